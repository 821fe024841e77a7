"""What rows of servers say: clients, formats, layouts, and what they leave open."""

from __future__ import annotations

from collections import Counter

import attrs
import pytest
from measured_rows import own_row

from mlsysim.documents import load_document
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration.problem import prepare
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.runs import tuned
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
    assert any("640 requests, all clients starting at once" in one.what for one in question.assumed)


@pytest.mark.parametrize(
    ("cells", "layout", "told"),
    [
        ({"tp_size": "1", "attention_dp_size": "4", "moe_tp_size": "1", "moe_ep_size": "4"}, (4, 1, 4), ""),
        ({"tp_size": "1", "attention_dp_size": "4", "moe_tp_size": "4", "moe_ep_size": "1"}, (4, 1, 1), ""),
        ({"tp_size": "1", "attention_dp_size": "64", "moe_tp_size": "8", "moe_ep_size": "8"}, (8, 1, 8), "the square"),
        ({"tp_size": "64", "attention_dp_size": "1", "moe_tp_size": "8", "moe_ep_size": "8"}, (1, 8, 8), "the square"),
        ({"tp_size": "4", "attention_dp_size": "4", "moe_tp_size": "1", "moe_ep_size": "16"}, (1, 4, 4), "the square"),
        ({"tp_size": "2", "attention_dp_size": "1", "moe_tp_size": "1", "moe_ep_size": "2"}, (1, 2, 2), ""),
    ],
)
def test_layouts_are_those_that_the_benchmark_started(cells, layout, told):
    question = question_for(first(mode="agg", **cells), names())
    parts = question.scenario.parallelism
    assert (parts.attention, parts.tensor, parts.expert) == layout
    assert question.scenario.system.devices == parts.attention * parts.tensor
    assert any("the square" in one.what for one in question.assumed) == bool(told)


def test_the_same_measurement_printed_twice_is_asked_alike():
    # The document prints this row a second time, with degrees that were multiplied once too often.
    row = first(model_path="openai/gpt-oss-120b", isl="1024", osl="1024", concurrency="256", attention_dp_size="2")
    again = attrs.evolve(row, configuration={**row.configuration, "attention_dp_size": "4", "moe_tp_size": "2"})
    one, other = (question_for(each, names()).scenario for each in (row, again))
    assert (one.parallelism, one.system.devices) == (other.parallelism, other.system.devices)


def test_a_row_whose_degrees_contradict_each_other_is_refused():
    row = first(mode="agg", attention_dp_size="4", moe_ep_size="4")
    odd = attrs.evolve(row, configuration={**row.configuration, "moe_ep_size": "3"})
    with pytest.raises(Refused, match="cannot share experts over"):
        question_for(odd, names())


def test_two_pools_are_asked_with_their_workers_layouts_and_limits():
    row = first(mode="disagg", prefill_num_workers="7", decode_num_workers="2", concurrency="2048")
    scenario = question_for(row, names()).scenario
    pools = scenario.pools
    assert (pools.prefill.workers, pools.prefill.devices, pools.prefill.max_batch) == (7, 4, 256)
    assert pools.prefill.max_tokens == 16384
    assert (pools.decode.workers, pools.decode.devices, pools.decode.max_batch) == (2, 8, 256)
    assert (pools.decode.parallelism.attention, pools.decode.parallelism.expert) == (8, 8)
    assert scenario.system.devices == 7 * 4 + 2 * 8
    assert predict(row).predicted is not None


def test_clients_beyond_the_places_of_their_recipe_wait_for_one():
    # Three workers take one request each, and six clients ask: half of them wait for a whole answer.
    row = first(mode="disagg", system="h100_sxm", isl="1024", concurrency="6")
    pools = question_for(row, names()).scenario.pools
    assert (pools.decode.workers, pools.decode.max_batch) == (3, 1)
    assert 0.5 < predict(row).predicted / row.value < 1.5
    # No recipe was read of other clients than those that a benchmark sends.
    other = attrs.evolve(row, configuration=row.configuration | {"concurrency": "7"})
    question = question_for(other, names())
    assert question.scenario.pools.decode.max_batch == int(row.configuration["decode_batch_size"])
    assert any("their recipe was not read" in one.what for one in question.assumed)


@pytest.mark.parametrize(
    ("measured", "clients", "tokens", "layout"),
    [
        ("2025-11-02", "16", 1024 + 16 + 64, (1, 8, 8)),
        ("2025-11-02", "256", 1024 + 256 + 64, (8, 1, 8)),
        ("2026-02-03", "4", 8192, (1, 8, 1)),
    ],
)
def test_scripts_of_their_day_share_experts_and_attention(measured, clients, tokens, layout):
    cells = {"model_path": "deepseek-ai/DeepSeek-V3", "precision": "fp4", "isl": "1024", "osl": "1024", "tp_size": "8"}
    row = first(mode="agg", backend="trtllm", measured=measured, concurrency=clients, **cells)
    scenario = question_for(row, names()).scenario
    parts = scenario.parallelism
    assert scenario.workload.max_tokens == -(-tokens // 64) * 64
    assert (parts.attention, parts.tensor, parts.expert) == layout


@pytest.mark.parametrize(("measured", "tokens"), [("2025-11-02", None), ("2026-02-25", 2048)])
def test_graphs_of_longer_passes_are_those_of_the_script(measured, tokens):
    row = first(backend="vllm", model_path="openai/gpt-oss-120b", system="b200_sxm", measured=measured)
    given = question_for(row, names()).scenario.settings.get("in-flight", {})
    assert given.get("replayed") == tokens
    assert given["overlap"] == 1.0


def test_a_server_that_was_told_to_take_more_memory_holds_more_requests():
    row = first(backend="sglang", precision="fp8", tp_size="4", attention_dp_size="1")
    scenario = question_for(row, names()).scenario
    assert scenario.settings["in-flight"]["memory_share"] == 0.95
    assert 0.4 < predict(row).predicted / row.value < 2.5


@pytest.mark.parametrize(
    ("cells", "tokens", "hold", "interval"),
    [
        ({"backend": "trtllm", "model_path": "meta-llama/Llama-3.1-70B", "isl": "1024", "osl": "1024", "tp_size": "4"},
         16384, 20, 0),
        ({"backend": "trtllm", "model_path": "meta-llama/Llama-3.1-70B", "isl": "1024", "osl": "1024", "tp_size": "8"},
         16384, 0, 0),
        ({"backend": "vllm", "model_path": "meta-llama/Llama-3.1-70B"}, 0, 0, 0),
        ({"backend": "vllm", "model_path": "Qwen/Qwen3-32B", "measured": "", "isl": "4096", "concurrency": "64"},
         64 + 4096 + 1500, 0, 0),
        ({"backend": "sglang", "model_path": "deepseek-ai/DeepSeek-V3", "precision": "fp4", "concurrency": "64"},
         16384, 0, 30),
    ],
)  # fmt: skip
def test_a_row_is_asked_as_the_scripts_of_its_benchmark_ran_it(cells, tokens, hold, interval):
    # Rows without a date print no pools at all.
    alone = {} if "measured" in cells else {"attention_dp_size": "1"}
    job = question_for(first(mode="agg", **alone, **cells), names()).scenario.workload
    assert (job.max_tokens, job.hold, job.interval) == (tokens, hold, interval)
    assert (job.output_variation > 0.0) == ("measured" not in cells)


@pytest.mark.parametrize(
    ("backend", "clients", "requests"),
    [("vllm", 64, 640), ("trtllm", 8, 160), ("sglang", 64, 1280), ("trtllm", 128, 2000), ("sglang", 128, 2000)],
)
def test_a_run_has_as_many_requests_as_the_digits_of_its_mean_say(backend, clients, requests):
    clients_in = "concurrency" if backend == "vllm" else "batch_size"
    row = first(backend=backend, measured="", model_path="Qwen/Qwen3-32B", **{clients_in: str(clients)})
    assert question_for(row, names()).scenario.workload.requests == requests
    # Times are kept in whole nanoseconds: their sum over the requests of the mean is one, too.
    total = float(row.configuration["silicon_ttft_ms"]) * 1e6 * requests
    assert total == pytest.approx(round(total), abs=4e-16 * total)


@pytest.mark.parametrize(("measured", "cache"), [("2026-03-11", "bf16"), ("2026-04-03", "fp8"), ("2026-04-22", "fp8")])
def test_the_cache_is_that_of_the_script_of_its_day(measured, cache):
    row = first(model_path="MiniMaxAI/MiniMax-M2.5", system="b200_sxm", precision="fp8", measured=measured)
    assert question_for(row, names()).scenario.workload.kv_cache == cache


def test_weights_in_four_bits_keep_a_wider_cache():
    row = first(model_path="meta-llama/Llama-3.1-70B", gemm_quant_mode="nvfp4", mode="agg")
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.kv_cache) == ("nvfp4", "fp8")


@pytest.mark.parametrize(
    ("printed", "precision", "weights"), [("bfloat16", "bf16", ""), ("int8", "int8", ""), ("w4a16", "fp16", "4.156bpw")]
)
def test_formats_of_products_may_be_spelled_as_elsewhere(printed, precision, weights):
    row = first(system="h100_sxm", gemm_quant_mode="fp8", mode="agg")
    row = attrs.evolve(row, configuration={**row.configuration, "gemm_quant_mode": printed})
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.weights) == (precision, weights)


def test_an_unknown_format_of_products_is_refused():
    row = first(system="h100_sxm", gemm_quant_mode="fp8", mode="agg")
    row = attrs.evolve(row, configuration={**row.configuration, "gemm_quant_mode": "octal"})
    assert "the precision 'octal' is not known" in predict(row).reason


def test_a_model_published_in_four_bits_multiplies_in_wider_formats():
    wide, narrow = (
        question_for(first(model_path="openai/gpt-oss-120b", system=system, gemm_quant_mode="nvfp4"), names())
        for system in ("b200_sxm", "h100_sxm")
    )
    assert (wide.scenario.workload.precision, wide.scenario.workload.weights) == ("fp8", "mxfp4")
    assert (narrow.scenario.workload.precision, narrow.scenario.workload.weights) == ("bf16", "mxfp4")
    for question in (wide, narrow):
        assert sum("weights in" in one.what for one in question.assumed) == 1
        assert not any("key-value cache in fp8 beside" in one.what for one in question.assumed)


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


def test_documented_runs_fill_what_rows_leave_out():
    row = OTHERS["trtllm_v0.14-0008"]
    question = question_for(row, names())
    job = question.scenario.workload
    assert (job.requests, job.max_batch, job.max_tokens) == (3000, 2048, 1024)
    assert any("as the benchmark builds it" in one.what for one in question.assumed)
    assert question_for(OTHERS["trtllm_v1.0-0022"], names()).scenario.workload.requests == 0


def test_documented_runs_name_documents_models_and_whole_numbers():
    data, registry = load_document(packaged_tables()["names"]).data, plugins().registry
    assert data["runs"]
    sources = packaged_tables()["names"].parent.parent / "sources"
    for rule in (*data["runs"], *data["engines"], *data["pools"]):
        assert (sources / f"{rule['source']}.toml").is_file()
        assert rule["software"] == rule["software"].casefold()
    for rule in data["engines"]:
        assert ("limits" in rule) != rule.get("tuned", False)
        assert all(model in registry.keys("models") for model in rule.get("models", ()))
        assert all(count > 0 and most > 0 and tokens > 0 for count, _, most, tokens in rule.get("limits", ()))
    for rule in data["pools"]:
        assert rule["device"] in registry.keys("devices")
        assert all(number > 0 for number in (*rule["reads"], *(n for line in rule["decodes"] for n in line)))
    named = {s.name for key in registry.keys("stacks") for s in registry.get("stacks", key).record.schedulers}
    assert all(rule["scheduler"] in named for rule in data["schedulers"])


def test_a_benchmark_that_computes_its_limits_leaves_room_for_what_fits():
    few, many = tuned(10e9, 1e5, 128, 2048), tuned(1e12, 1e5, 128, 128)
    assert (few.requests, few.tokens) == (64, 2048)
    # 45 requests fit the cache; the fewest places are 64, the shortest pass 2048 tokens.
    assert (many.requests, many.tokens) == (4096, 8192)
    assert (tuned(2e10, 1e5, 1000, 1000).requests, tuned(2e10, 1e5, 10_000, 100).tokens) == (96, 2048)
    job = question_for(OTHERS["trtllm_v0.17-0119"], names()).scenario.workload
    assert 768 <= job.max_batch <= 1024
    assert job.max_tokens == 2048
    assert job.scheduler == "tensorrt"


def test_servers_and_later_versions_run_the_usual_engine():
    assert question_for(OTHERS["trtllm_v1.0-0022"], names()).scenario.workload.scheduler == ""
    assert question_for(OTHERS["mlperf_v51-0129"], names()).scenario.workload.scheduler == "tensorrt"


def test_a_limit_on_the_time_per_token_leaves_fewer_in_flight():
    tight, loose = (question_for(OTHERS[f"mlperf_v51-{row}"], names()).scenario for row in ("0128", "0130"))
    assert tight.workload.model == loose.workload.model
    assert tight.workload.max_batch < min(512, loose.workload.max_batch)


def test_a_limit_on_the_first_token_leaves_fewer_in_flight_than_have_places():
    row = OTHERS["mlperf_v51-0130"]
    free = attrs.evolve(row, configuration={**row.configuration, "qps_or_sla": ""})
    limited, unlimited = (question_for(one, names()).scenario.workload for one in (row, free))
    assert limited.max_batch < unlimited.max_batch == 2048
    late = attrs.evolve(row, configuration={**row.configuration, "qps_or_sla": "TTFT p99<=600ms; TPOT p99<=200ms"})
    assert question_for(late, names()).scenario.workload.max_batch < limited.max_batch


def test_copies_on_one_device_each_say_what_one_device_does():
    copies, divided = OTHERS["mlperf_v51-0129"], OTHERS["mlperf_v41-0030"]
    assert [point.row for point in prepare([copies, divided])] == [copies]


def test_a_rate_that_nothing_limits_is_not_the_largest():
    with pytest.raises(Refused, match="under half of its limit"):
        question_for(OTHERS["mlperf_v41-0159"], names())


def test_a_declaration_of_narrow_weights_tells_the_format_and_one_of_sixteen_bits_does_not():
    narrow = question_for(OTHERS["mlperf_v51-0131"], names())
    assert narrow.scenario.workload.precision == "fp8"
    assert any("declares its weights" in one.what for one in narrow.assumed)
    with pytest.raises(Refused, match="precision is not published"):
        question_for(OTHERS["mlperf_v41-0163"], names())


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


def test_a_server_with_counted_clients_is_a_closed_loop(tmp_path):
    """A table of one's own may print clients, and times or rates of tokens, in the shape of the inference table."""
    path = tmp_path / "own.csv"
    head = (
        "id,model,accelerator,n_accelerators,weight_precision,framework,scenario,batch_or_concurrency,input_len,"
        "output_len,metric,value"
    )
    asked = "Llama 3.1 8B,NVIDIA H100 80GB HBM3,1,bf16,vLLM 0.11,{},{},256,128,{},100"
    cases = [("server", 4, "ttft_ms"), ("closed loop", 4, "tpot_ms"), ("server", 64, "tpot_ms"),
             ("serving", 4, "tokens_per_s_total"), ("server", 64, "tokens_per_s_total")]  # fmt: skip
    lines = [f"own-{i}," + asked.format(*case) for i, case in enumerate(cases)]
    path.write_text("\n".join([head, *lines]) + "\n")
    found = [predict(row) for row in read_table(path)]
    assert not [one.reason for one in found if one.reason]
    first, few, many, slow, fast = (one.predicted for one in found)
    assert few < many < 64 * few / 4
    assert slow < fast < 16 * slow
    assert slow == pytest.approx(4 / (few / 1e3 + first / 1e3 / 128), rel=0.1)
    assert any("clients" in one for one in found[0].assumed)


@pytest.mark.parametrize(
    ("said", "settings", "tokens", "most"),
    [
        ("--gpu-memory-utilization 0.95; --max-num-batched-tokens 4096", {"memory_share": 0.95}, 4096, 0),
        ("max_num_seqs=1232; gpu_memory_utilization=0.9", {"memory_share": 0.9}, 0, 1232),
        ("--mem-fraction-static .85 --cuda-graph-sizes 3000", {"memory_share": 0.85, "replayed": 3000.0}, 0, 0),
        ("gpu-memory-utilization as it comes", {}, 0, 0),
    ],
)
def test_a_server_may_have_been_given_memory_tokens_and_places(said, settings, tokens, most):
    row = OTHERS["mlperf_v51-0139"]
    question = question_for(attrs.evolve(row, configuration={**row.configuration, "notes": said}), names())
    job = question.scenario.workload
    assert question.scenario.settings == ({"in-flight": settings} if settings else {})
    assert (job.max_tokens, job.max_batch) == (tokens, most)


SERVER = {
    "id": "own-1", "source_title": "t", "source_url": "example.org", "published": "2025-06", "n_accelerators": "8",
    "model": "DeepSeek-V3", "accelerator": "NVIDIA H20", "weight_precision": "fp8", "framework": "SGLang",
    "scenario": "server", "batch_or_concurrency": "8", "input_len": "512", "output_len": "256", "tp": "8",
    "metric": "tokens_per_s_total", "value": "300",
}  # fmt: skip


@pytest.mark.parametrize(
    ("model", "wide"),
    [("meta-llama/Llama-3.1-405B-Instruct-FP8", 1), ("nvidia/Llama-3.1-405B-Instruct-FP8", None)],
)
def test_whose_checkpoint_in_8_bits_it_is_tells_how_wide_attention_is(tmp_path, model, wide):
    row = own_row(tmp_path, SERVER | {"model": model, "accelerator": "H200 SXM", "framework": "vLLM 0.6"})
    told = question_for(row, names()).scenario.settings.get("in-flight", {})
    assert told.get("wide_attention") == wide
