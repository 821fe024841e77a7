"""The promise: the benchmarks that the plan names, within ten per cent as group medians.

Every row is predicted as `mlsysim validate --left-out` predicts it: with constants that were fitted without its source,
model and device. A group that misses its goal is an expected failure with its figure; none is left out, and no goal is
widened.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

import pytest

from mlsysim.records.measurement import Measurement
from mlsysim_solvers.validation.reports import Report
from mlsysim_solvers.validation.tables import SHAPES, packaged_tables, read_table

GOAL = 0.10

RESNET_OFFLINE = ("mlperf_v41-0018", "mlperf_v41-0088", "mlperf_v41-0099", "mlperf_v41-0111")
BERT_OFFLINE = (
    "mlperf_v41-0002", "mlperf_v41-0004", "mlperf_v41-0086", "mlperf_v41-0093", "mlperf_v41-0095", "mlperf_v41-0109",
)  # fmt: skip
LLAMA2_INFERENCE = ("mlperf_v41-0010", "mlperf_v41-0030", "mlperf_v51-0129")
LLAMA3_INFERENCE = ("mlperf_v51-0131", "mlperf_v51-0137", "mlperf_v51-0139", "mlperf_v51-0141", "mlperf_v51-0150")
LLAMA3_405B_TRAINING = (
    "mlperf-iter-029", "mlperf-iter-030", "mlperf-iter-031", "mlperf-iter-032", "mlperf-iter-033", "mlperf-iter-036",
    "mlperf-iter-038",
)  # fmt: skip
LLAMA3_8B_TRAINING = ("mlperf-iter-068", "mlperf-iter-070", "mlperf-iter-072")
LLAMA2_LORA_TRAINING = ("mlperf-iter-012", "mlperf-iter-014", "mlperf-iter-015", "mlperf-iter-034", "mlperf-iter-040")
RESNET_TRAINING = ("dle-rn50-001", "dle-rn50-002")
BERT_TRAINING = ("dle-bert-001", "dle-bert-002", "dle-bert-005", "dle-bert-006")

GROUPS: dict[str, tuple[str, ...]] = {
    "ResNet-50, offline": RESNET_OFFLINE,
    "BERT, offline": BERT_OFFLINE,
    "Llama 2 70B, inference": LLAMA2_INFERENCE,
    "Llama 3.1, inference": LLAMA3_INFERENCE,
    "Llama 3.1 405B, training": LLAMA3_405B_TRAINING,
    "Llama 3.1 8B, training": LLAMA3_8B_TRAINING,
    "Llama 2 70B LoRA, training": LLAMA2_LORA_TRAINING,
    "ResNet-50, training": RESNET_TRAINING,
    "BERT, training": BERT_TRAINING,
}

MISSES: dict[str, str] = {
    "ResNet-50, offline": "10.9 %: too slow on three of four devices, too fast on H100 NVL",
}
"""Groups that miss the goal today, with their figure."""


@pytest.fixture(scope="module")
def rows() -> dict[str, Measurement]:
    """Return all packaged measurements by id."""
    tables = packaged_tables()
    return {row.id: row for name in SHAPES for row in read_table(tables[name])}


def group_error(ids: Sequence[str], unseen: Report) -> float:
    """Return the median over (set, model, device) groups of their median errors, each row fitted without its group."""
    found = [outcome for outcome in unseen.left_out_outcomes if outcome.row.id in ids]
    refused = {outcome.row.id: outcome.reason for outcome in found if outcome.error is None}
    assert not refused
    assert len(found) == len(ids)
    errors: dict[tuple[str, ...], list[float]] = {}
    for outcome in found:
        errors.setdefault(outcome.row.group, []).append(abs(outcome.error or 0.0))
    return median(map(median, errors.values()))


def _cases() -> list[object]:
    return [
        pytest.param(
            name, id=name, marks=[pytest.mark.xfail(reason=MISSES[name], strict=True)] if name in MISSES else []
        )
        for name in GROUPS
    ]


@pytest.mark.parametrize("name", _cases())
def test_a_promised_group_is_within_ten_per_cent(name, unseen):
    error = group_error(GROUPS[name], unseen)
    assert error <= GOAL, f"{name}: {100 * error:.1f} %"


def test_at_least_twenty_rows_are_promised(rows):
    ids = [i for group in GROUPS.values() for i in group]
    assert len(set(ids)) == len(ids) >= 20
    assert set(ids) <= set(rows)


GOALS_ONE_DEVICE = {
    ("trtllm_v0.5.0", "tokens_per_s_total"): 0.15,
    ("trtllm_v0.5.0", "ttft_ms"): 0.15,
    ("trtllm_v0.9.0", "output_tokens_per_s_per_gpu"): 0.15,
    ("trtllm_v0.9.0", "ttft_ms"): 0.15,
    ("lmdeploy", "tokens_per_s_total"): 0.15,
    ("dle_resnet50", "samples_per_s"): 0.20,
    ("dle_bert", "samples_per_s"): 0.20,
    ("dle-rn50", "samples_per_s"): 0.20,
    ("k-fa3_fig", "TFLOP/s"): 0.12,
    ("k-fa2_fig", "TFLOP/s"): 0.12,
    ("k-mamf", "TFLOP/s"): 0.12,
    ("tiny_v1.1", "samples_per_s"): 0.30,
    ("tiny_v1.2", "samples_per_s"): 0.30,
}
"""Goal of the group median by set and metric, for rows of one device."""


@pytest.mark.parametrize("name", sorted(GOALS_ONE_DEVICE), ids="/".join)
def test_a_set_of_one_device_is_within_its_goal(report, name):
    found = next(s for s in report.sets if s.name == name)
    assert found.predicted
    assert found.group_median_ape <= GOALS_ONE_DEVICE[name]


def test_llama_cpp_decodes_within_12_and_reads_within_20_per_cent(report):
    decode: dict[tuple[str, ...], list[float]] = {}
    prefill: dict[tuple[str, ...], list[float]] = {}
    for outcome in report.outcomes:
        if outcome.row.set == "llamacpp_xiongjie" and outcome.predicted is not None and outcome.row.devices == 1:
            kind = prefill if outcome.row.configuration["output_len"] == "0" else decode
            kind.setdefault(outcome.row.group, []).append(abs(outcome.error))
    assert median(map(median, decode.values())) <= 0.12
    assert median(map(median, prefill.values())) <= 0.20
