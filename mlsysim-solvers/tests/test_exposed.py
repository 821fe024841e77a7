"""Fused attention that computes and loads by turns: clocks add up, so narrow matrix units lose less of their peak."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

import mlsysim
from mlsysim.plugins import plugins
from mlsysim_solvers.execution.device.ceilings import ceiling_columns
from mlsysim_solvers.execution.device.exposed import exposed_columns
from mlsysim_solvers.execution.device.few_tiles import few_tiles
from mlsysim_solvers.execution.device.shares import warp_share
from mlsysim_solvers.formulas.attention import exposed_share, softmax_clocks
from mlsysim_solvers.formulas.constants import EXPOSED, OPERAND_FLOP, SPECIAL_PER_CLOCK

STACK = "flash-attention-2"


def device(key):
    return plugins().registry.get("devices", key).record


def test_units_that_do_little_per_clock_lose_little():
    wide = np.array([1.0, 512.0, 1024.0, 2048.0, 4096.0])
    found = exposed_share(0.9, wide, OPERAND_FLOP, EXPOSED)
    assert (np.diff(found) < 0.0).all()
    assert found[0] == pytest.approx(0.9, rel=1e-3)
    assert exposed_share(0.9, 2048.0, OPERAND_FLOP, 0.0) == pytest.approx(0.9)
    # Nothing hidden, products at the peak: each part takes its own clocks.
    assert exposed_share(1.0, 4096.0, 4096.0, 1.0) == 0.5


def test_a_softmax_takes_exponentials_and_vector_operations():
    assert softmax_clocks(1.0 / 16.0, 4.0, 64.0) == 0.125
    assert softmax_clocks(1.0 / 16.0, 4.0, 1e12) == pytest.approx(1.0 / 16.0)


def test_cards_with_narrower_units_come_nearer_to_what_their_products_reach():
    lost = {}
    for key in ("rtx-4090", "a100-sxm-80gb", "h100-sxm"):
        card = device(key)
        lost[key] = exposed_columns(card, "fp16")["attention_achieved"] / warp_share(card, "fp16")
    assert 1.0 > lost["rtx-4090"] > lost["a100-sxm-80gb"] > 0.6
    assert lost["rtx-4090"] > 0.9


def test_exponentials_alone_would_be_faster():
    card = device("a100-sxm-80gb")
    alone = SPECIAL_PER_CLOCK * card.compute.processors * card.compute.clock
    # 64 lanes take as long for four operations as special-function units for one exponential; half of it shows.
    assert exposed_columns(card, "fp16")["special_rate"] == pytest.approx(alone / (2.0 * EXPOSED), rel=0.01)


def test_one_share_holds_for_two_generations():
    entry = plugins().registry.get("stacks", STACK)
    found = {one.device: float(one.compute) for one in entry.record.calibrations}
    assert found["h100-sxm"] == pytest.approx(found["a100-sxm-80gb"], rel=0.03)


def test_only_attention_of_one_warp_is_exposed():
    record = plugins().registry.get("stacks", STACK).record
    other = attrs.evolve(record, features=attrs.evolve(record.features, warp_products=False), calibrations=())
    card = device("a100-sxm-80gb")
    plain, turned = (
        ceiling_columns(card, stack, "a100-sxm-80gb", "fp16", {})
        for stack in (other, attrs.evolve(record, calibrations=()))
    )
    assert "attention_achieved" not in plain
    assert turned["attention_achieved"] < plain["achieved"]
    assert turned["achieved"] == plain["achieved"]


@pytest.mark.parametrize(("device", "most"), [("h100-sxm", 335e12), ("b200-sxm", 330.6e12)])
def test_pytorch_trains_long_sequences_at_the_measured_rate_of_its_attention(device, most):
    short, long = 8192, 32768

    def step(sequence):
        asked = {
            "name": "one sequence", "kind": "training", "system": {"device": device, "stack": "pytorch-2"},
            "workload": {"model": "qwen3-0.6b", "batch": 1, "sequence": sequence, "precision": "bf16"},
        }  # fmt: skip
        return mlsysim.evaluate(asked)["step_time"].value

    layers, width = 28, 16 * 128

    def work(sequence):
        # Seven causal products of sequence by sequence in all: two forward, five backward.
        return 7 * sequence**2 * width * layers

    ratio = long // short
    beyond = step(long) - ratio * step(short)
    assert (work(long) - ratio * work(short)) / beyond == pytest.approx(most, rel=0.05)


@pytest.mark.parametrize("key", ["b200-sxm", "gb200", "gb300"])
def test_units_with_a_memory_of_their_own_wait_for_no_warp(key):
    card, columns = device(key), {"operand_width": 2.0, "flop_per_mac": 2.0}
    peak = card.compute.peak["bf16"].dense
    # 8,192 operations per clock and processor make the printed peak.
    assert card.compute.processors * card.compute.clock * 8192.0 == pytest.approx(peak, rel=0.05)
    found = few_tiles(card, "bf16", {**columns, "peak": peak})
    assert found["clock_macs"] == pytest.approx(4096.0, rel=0.05)
    assert "lone_area" not in found
    hopper = device("h100-sxm")
    assert "lone_area" in few_tiles(hopper, "bf16", {**columns, "peak": hopper.compute.peak["bf16"].dense})


def test_kernels_made_for_such_units_take_exponentials_on_others_too():
    card = device("b200-sxm")
    special = SPECIAL_PER_CLOCK * card.compute.processors * card.compute.clock
    library, older = (plugins().registry.get("stacks", key).record for key in ("cudnn-9", STACK))
    made = ceiling_columns(card, library, "b200-sxm", "bf16", {})["special_rate"]
    assert made == pytest.approx(2.0 * special)
    assert ceiling_columns(card, older, "b200-sxm", "bf16", {})["special_rate"] < 0.8 * made


def test_a_stack_is_surer_of_the_device_that_it_was_fitted_on():
    def width(key):
        asked = {
            "name": "another device", "kind": "training", "parallelism": {"data": 8, "micro_batch": 2},
            "system": {"device": key, "stack": "megatron-lm-2021", "devices": 8},
            "workload": {"model": "llama-2-7b", "batch": 64, "sequence": 4096, "precision": "bf16", "recompute": "full"},
        }  # fmt: skip
        found = mlsysim.evaluate(asked)["step_time"]
        return found.high / found.low

    assert width("h100-sxm") > 1.15 * width("a100-sxm-80gb")
