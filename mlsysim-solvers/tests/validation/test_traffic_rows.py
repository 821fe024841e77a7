"""What rows of servers say: clients, formats, layouts, and what they leave open."""

from __future__ import annotations

from collections import Counter

import pytest

from mlsysim_solvers.calibration.problem import prepare
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import packaged_tables, read_table

SERVERS = read_table(packaged_tables()["serving_silicon"])
OTHERS = {row.id: row for row in read_table(packaged_tables()["inference"])}


def first(**cells):
    return next(r for r in SERVERS if all(r.configuration.get(k, "") == v for k, v in cells.items()))


def test_a_closed_loop_is_asked_with_its_clients_and_layout():
    row = first(mode="agg", concurrency="64", tp_size="2", attention_dp_size="1", isl="1024", osl="8192")
    question = question_for(row, names())
    job, layout = question.scenario.workload, question.scenario.parallelism
    assert (job.concurrency, job.input, job.output, job.requests) == (64, 0.9 * 1024, 0.9 * 8192, 640)
    assert (layout.tensor, question.scenario.system.devices) == (2, 2)
    assert any("requests for each client" in one.what for one in question.assumed)


@pytest.mark.parametrize("cells", [{"mode": "disagg"}, {"mode": "agg", "attention_dp_size": "4"}])
def test_what_no_solver_expresses_is_refused(cells):
    with pytest.raises(Refused, match="no installed solver expresses"):
        question_for(first(**cells), names())


def test_weights_in_four_bits_keep_a_wider_cache():
    row = first(model_path="meta-llama/Llama-3.1-70B", gemm_quant_mode="nvfp4", mode="agg")
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.kv_cache) == ("nvfp4", "fp8")


def test_a_model_published_in_four_bits_multiplies_in_wider_formats():
    wide, narrow = (
        question_for(first(model_path="openai/gpt-oss-120b", system=system, gemm_quant_mode="nvfp4"), names())
        for system in ("b200_sxm", "h100_sxm")
    )
    assert (wide.scenario.workload.precision, wide.scenario.workload.weights) == ("fp8", "mxfp4")
    assert (narrow.scenario.workload.precision, narrow.scenario.workload.weights) == ("bf16", "mxfp4")


def test_runs_at_infinite_rate_keep_every_place_taken():
    row = next(r for r in OTHERS.values() if r.kind == "max_throughput" and r.configuration.get("tp") == "4")
    question = question_for(row, names())
    assert question.scenario.workload.concurrency == question.scenario.workload.rate == 0
    assert question.output == "performance.token_throughput"
    assert question.scenario.parallelism.tensor == 4


def test_a_figure_per_device_is_a_share_of_the_system():
    row = next(r for r in OTHERS.values() if r.kind == "max_throughput" and r.devices == 8 and r.metric.per == "device")
    assert question_for(row, names()).share == 1 / 8


def test_offline_rows_take_the_batch_and_the_budget_of_their_settings():
    row = next(r for r in OTHERS.values() if "max_num_tokens=1536" in r.configuration.get("notes", ""))
    job = question_for(row, names()).scenario.workload
    assert (job.max_tokens, job.max_batch) == (1536, 2048)
    assert 250 < job.output < 350


def test_beam_search_is_refused():
    row = next(r for r in OTHERS.values() if r.model == "gptj" and r.kind == "offline")
    with pytest.raises(Refused, match="beam search"):
        question_for(row, names())


def test_constants_are_fitted_on_times_per_token_of_one_device():
    rows = [r for r in SERVERS if r.id.startswith("2026_04_06_llama_3_1_70b_b200_sxm_vllm_fp8")]
    points = prepare(rows)
    assert Counter(p.row.name for p in points) == {"tpot_ms": len(points)}
    assert {p.question.scenario.system.devices for p in points} == {1}


def test_predictions_of_servers_are_within_a_factor_of_most_rows():
    found = [predict(row) for row in SERVERS[7::97]]
    ratios = sorted(o.predicted / o.row.value for o in found if o.predicted is not None and o.row.name == "tpot_ms")
    assert len(ratios) >= 10
    assert 0.7 < ratios[len(ratios) // 2] < 1.3
