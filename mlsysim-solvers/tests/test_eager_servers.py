"""Servers that are told to replay no graph: the host launches what it would have replayed."""

from __future__ import annotations

from math import log

import pytest

from mlsysim.evaluation import evaluate
from mlsysim.plugins import plugins

SOLVER = {"serving": "single-node", "traffic": "in-flight"}


def tpot(kind, eager, *, devices=1, stack="vllm-0.11", **workload):
    name = "parallel-serving" if kind == "serving" and devices > 1 else SOLVER[kind]
    card = evaluate({
        "name": "eager", "kind": kind, "system": {"device": "h100-sxm", "devices": devices, "stack": stack},
        "workload": {"model": "llama-3.1-8b", "precision": "bf16", "input": 512, "output": 64} | workload,
        "parallelism": {"tensor": devices}, "settings": {name: {"eager": eager}},
    })  # fmt: skip
    return card["performance.tpot"]


ALONE = {"serving": {"batch": 1}, "traffic": {"concurrency": 1}}


@pytest.mark.parametrize("kind", ["serving", "traffic"])
def test_one_request_goes_at_the_pace_of_the_host(kind):
    replayed, launched = (tpot(kind, eager, **ALONE[kind]) for eager in (0, 1))
    launch = plugins().registry.get("stacks", "vllm-0.11").record.ceilings.launch
    # Five matrix products and attention in each of 32 layers are the least that a host has to launch.
    assert launched.value > max(6 * 32 * launch, 1.2 * replayed.value)
    # Constants that were fitted on replayed steps do not tell how long a launch takes.
    widths = [log(each.high / each.low) for each in (launched, replayed)]
    assert widths[0] > 1.2 * widths[1]


def test_a_step_that_takes_longer_than_its_launches_does_not_wait():
    long = {"batch": 64, "input": 8000}
    assert tpot("serving", 1, **long).value == tpot("serving", 0, **long).value


def test_the_sums_over_devices_are_launched_too():
    one, four = (tpot("traffic", 1, devices=n, concurrency=1).value for n in (1, 4))
    launch = plugins().registry.get("stacks", "vllm-0.11").record.ceilings.launch
    assert four - one == pytest.approx(2 * 32 * launch, rel=0.05)


def test_a_stack_without_graphs_is_told_nothing_new():
    assert tpot("serving", 1, stack="transformers-4", batch=1) == tpot("serving", 0, stack="transformers-4", batch=1)
