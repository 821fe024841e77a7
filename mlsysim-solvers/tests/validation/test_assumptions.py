"""Empty cells are never filled silently: what is assumed is listed, and widens the interval."""

from __future__ import annotations

import attrs
import pytest

from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.reports.plain import row_of
from mlsysim_solvers.validation.tables import packaged_rows

FILLED = [
    ("tiny_v1.1", "weight_precision", "int8", "precision int8"),
    ("mlperf_v41", "batch_or_concurrency", "64", "batch 64"),
    ("mlperf_v41", "input_len", "180", "180 tokens per sample"),
    ("exllamav2", "input_len", "64", "input 64"),
    ("exllamav2", "output_len", "128", "output 128"),
    ("mlc_perf", "input_len", "8", "input 8"),
    ("dle-rn50", "micro_batch", "256", "batch 256"),
    ("trtllm_v0.9.0", "kv_precision", "fp8", "key-value cache in fp8"),
    ("nemo2407", "recompute", "none", "recomputation none"),
    ("mbridge", "interleave_vp", "1", "1 chunk of layers"),
    ("mbridge", "sequence_parallel", "1", "sequence parallelism on"),
]
"""Set, a column that some of its rows leave empty, the value that is assumed, and the words that list it."""


@pytest.fixture(scope="module")
def rows():
    return packaged_rows()


@pytest.mark.parametrize(("set_", "column", "value", "words"), FILLED, ids=lambda value: str(value).replace(" ", "-"))
def test_an_empty_cell_is_listed_and_widens_the_interval(rows, set_, column, value, words):
    open_ = (predict(row) for row in rows if row.set == set_ and not row.configuration.get(column))
    before = next(outcome for outcome in open_ if any(words in one for one in outcome.assumed))
    row = before.row
    given = attrs.evolve(row, configuration={**row.configuration, column: value})
    after = predict(given)
    assert any(words in one for one in row_of(before)["assumed"])
    assert not any(words in one for one in row_of(after)["assumed"])
    assert after.predicted == pytest.approx(before.predicted)
    assert before.high / before.low > after.high / after.low


def test_a_row_without_software_lists_the_stack_that_is_assumed(rows):
    row = next(r for r in rows if r.id == "mlperf-iter-029")
    nameless = attrs.evolve(row, software="", configuration={**row.configuration, "framework": ""})
    found = predict(nameless)
    assert found.predicted is not None
    assert any(one.startswith("stack ") for one in found.assumed)
    assert found.log_sd > predict(row).log_sd


def test_every_assumption_carries_its_width(rows):
    """An assumption without a width would be a cell filled silently in the interval."""
    for row in rows[::29]:
        if row.table == "kernels":
            continue
        try:
            question = question_for(row, names())
        except Exception:  # noqa: BLE001 - refused rows assume nothing
            continue
        for one in question.assumed:
            stated = ("from devices and the other degrees", "as the row states", "as the row prints")
            assert one.log_sd > 0.0 or any(text in one.what for text in stated), (row.id, one.what)


def test_a_setting_that_the_stack_does_not_tell_is_refused(rows):
    row = next(r for r in rows if r.set == "trtllm_v0.9.0" and r.name == "ttft_ms")
    bare = attrs.evolve(row, configuration={**row.configuration, "batch_or_concurrency": ""})
    assert "batch is not published" in predict(bare).reason


def test_a_release_may_be_another_stack_on_another_device(rows):
    # NeMo 26.06 captures whole iterations of mixtures on GB200 alone.
    stacks = {
        r.device: question_for(r, names()).scenario.system.stack for r in rows if r.id in ("mbridge-048", "mbridge-050")
    }
    assert sorted(stacks.values()) == ["megatron-bridge-26.06", "megatron-core-0.12"]
    assert stacks["H100"] == "megatron-core-0.12"


def test_the_time_per_token_of_one_request_hardly_needs_lengths(rows):
    row = next(r for r in rows if r.set == "exllamav2")
    foreign = attrs.evolve(
        row, id="own-1", set="own", software="", configuration={**row.configuration, "framework": ""}
    )
    found = predict(foreign)
    assert sum("128, which the row does not state" in one for one in found.assumed) == 2
    given = attrs.evolve(foreign, configuration={**foreign.configuration, "input_len": "512", "output_len": "512"})
    assert predict(given).predicted == pytest.approx(found.predicted, rel=0.1)
    batch = {**foreign.configuration, "batch_or_concurrency": "64"}
    assert "is not published" in predict(attrs.evolve(foreign, configuration=batch)).reason


def test_states_are_divided_where_the_row_is_silent_and_the_run_would_not_fit(rows):
    row = next(r for r in rows if r.set == "mosaic" and r.model == "MPT-7b" and r.devices == 8)
    silent = attrs.evolve(row, configuration={**row.configuration, "zero_stage_or_fsdp": "", "recompute": ""})
    found = predict(silent)
    assert any("divided" in one and "would not fit" in one for one in found.assumed)
    assert found.predicted == pytest.approx(predict(row).predicted, rel=0.5)
