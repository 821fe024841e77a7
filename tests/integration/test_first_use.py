"""What a newcomer types after the first answer: names as printed, a layout in part, a stack without its version."""

from __future__ import annotations

import io
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest

import mlsysim
from mlsysim.cli import main

JOB: dict[str, Any] = {
    "name": "job",
    "kind": "training",
    "workload": {"model": "llama-2-13b", "batch": 1024, "sequence": 4096},
    "system": {"device": "h100-sxm", "devices": 256},
}


def told(*words: str) -> tuple[int, str, str]:
    """Run a command."""
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(words)
    return code, " ".join(out.getvalue().split()), err.getvalue()


def test_an_answer_is_found_by_the_words_of_the_scorecard() -> None:
    card = mlsysim.evaluate("llama-3.1-8b-h100")
    for answer in card.answers.values():
        if " " in answer.label:
            assert card[answer.label] == answer
    assert card["Time per  output token"].name == "performance.tpot"
    with pytest.raises(mlsysim.ConfigError, match="no solver answers 'time per output'"):
        card["time per output"]


def test_a_layout_without_degrees_keeps_the_one_that_is_assumed() -> None:
    whole = mlsysim.evaluate(JOB)
    assert "set parallelism.micro_batch" in whole.shortfall()
    part = mlsysim.evaluate({**JOB, "parallelism": {"micro_batch": 2}})
    said = mlsysim.evaluate({**JOB, "parallelism": {"micro_batch": 2, "data": 256, "zero": 3}})
    assert {name: a.value for name, a in part.answers.items()} == {name: a.value for name, a in said.answers.items()}
    assert part.fits
    assert any("fully sharded data parallelism over 256" in line for line in part.assumptions)
    lesser = mlsysim.evaluate({**JOB, "parallelism": {"zero": 1}})
    assert any("ZeRO stage 1 over 256" in line for line in lesser.assumptions)
    assert lesser["feasibility.memory_required"].value > whole["feasibility.memory_required"].value


def test_a_layout_in_part_varies_as_it_is_evaluated() -> None:
    found = mlsysim.sweep({**JOB, "parallelism": {"micro_batch": 2}}, {"devices": [128, 256]})
    alone = mlsysim.evaluate({**JOB, "parallelism": {"micro_batch": 2}})["step_time"].value
    assert found.outputs["performance.step_time"][1] == pytest.approx(alone)


def test_degrees_that_miss_the_devices_are_still_refused() -> None:
    with pytest.raises(mlsysim.ConfigError, match="= 2, but there are 256 devices"):
        mlsysim.evaluate({**JOB, "parallelism": {"tensor": 2}})


def test_a_stack_named_without_its_version_says_which_one_it_is() -> None:
    job = ("eval", "llama-2-13b", "--on", "h100-sxm", "--kind", "training", "--batch", "8", "--sequence", "4096")
    said = told(*job, "--stack", "megatron")[1]
    assert "stack: megatron-lm-2024; megatron may also be" in said
    assert "may also be" not in told(*job, "--stack", "megatron-core-0.12")[1]


def test_a_table_is_no_key() -> None:
    code, _, err = told("eval", "llama-3.1-8b-h100", "--set", "workload=1")
    assert code == 2
    assert "'workload' is a table" in err
    assert "workload.batch" in err or "for example workload." in err


def test_an_option_of_another_kind_says_what_to_leave_out() -> None:
    err = told("eval", "llama-3.1-8b", "--on", "h100-sxm", "--rate", "1 sample/s")[2]
    assert "Add --kind traffic, or leave --rate out" in err


@pytest.mark.parametrize("output", ["performance.ttft", "performance.latency"])
def test_equations_end_where_their_explanation_begins(output: str) -> None:
    card = mlsysim.evaluate("llama-3.1-8b-h100-traffic")
    pending, seen = [mlsysim.explain(card, output)], []
    while pending:
        node = pending.pop()
        pending += node.children
        seen.append(node.equation)
    assert any(seen)
    for text in filter(None, seen):
        assert text.count("(") == text.count(")"), text
        assert text[-1] not in ",:;"


def test_a_drawn_scorecard_of_many_times_still_tells_cost_and_energy() -> None:
    from mlsysim.plotting.scorecard import _key_answers

    shown = [answer.name for answer in _key_answers(mlsysim.evaluate("llama-3.1-8b-h100-rate"))]
    assert {"macro.cost_per_token", "macro.energy_per_token", "performance.ttft_p99"} <= set(shown)
    assert shown == sorted(
        shown, key=lambda name: ("feasibility", "performance", "macro").index(name.partition(".")[0])
    )
