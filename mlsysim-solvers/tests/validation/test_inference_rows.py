"""What rows of inference say between the lines: supplies, software in the name of a system, several devices."""

from __future__ import annotations

import math

import attrs
import pytest
from measured_rows import own_row, published

from mlsysim.plugins import plugins
from mlsysim_solvers.formulas.constants import INTERVAL_QUANTILE
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import read_table

ROWS = published()


def asked(key):
    return question_for(ROWS[key], names()).scenario


def asked_of(folder, row):
    return question_for(own_row(folder, row), names()).scenario


@pytest.mark.parametrize(("key", "volts"), [("tiny_v1.1-0028", 3.0), ("tiny_v1.1-0056", 1.8)])
def test_a_linear_regulator_draws_the_same_current_at_any_supply(key, volts):
    power = asked(key).settings["sustainability"]["power"]
    assert float(power.split()[0]) == pytest.approx(0.0818 * volts / 3.3)


def test_a_switched_converter_draws_the_same_power():
    rows = [row for row in ROWS.values() if "with SMPS" in row.configuration.get("notes", "")
            and row.metric.quantity == "energy"]  # fmt: skip
    assert rows
    assert all(question_for(row, names()).scenario.settings == {} for row in rows)


def test_the_name_of_a_system_may_say_what_runs_on_it():
    assert asked("tiny_v1.1-0029").system.stack == "x-cube-ai-7"
    assert asked("tiny_v1.1-0057").system.stack == "x-cube-ai-8"


@pytest.fixture
def drawn(tmp_path):
    """Return a function that asks a row of one image after another, of a table of its own."""

    def read(model="sdxl-base", precision="fp16", kind="static_batch", notes=""):
        file = tmp_path / "own.csv"
        file.write_text(
            "id,model,accelerator,n_accelerators,framework,weight_precision,scenario,batch_or_concurrency,metric,value,notes\n"
            f"own-1,{model},NVIDIA H100 80GB HBM3,1,PyTorch 2.1,{precision},{kind},4,latency_ms,1000,{notes}\n"
        )
        (row,) = read_table(file)
        return question_for(row, names())

    return read


def test_models_that_draw_have_16_bits_and_others_say_what_they_have(drawn):
    question = drawn(precision="")
    assert question.scenario.workload.precision == "bf16"
    assert [one for one in question.assumed if "16 bits" in one.what and one.log_sd > 0.0]
    assert not [one for one in drawn().assumed if "16 bits" in one.what]
    with pytest.raises(Refused):
        drawn(model="ResNet-50", precision="")


@pytest.mark.parametrize(("kind", "notes", "steps"), [
    ("offline", "", 20), ("static_batch", "", 32), ("static_batch", "28 denoising steps", 28),
])  # fmt: skip
def test_a_benchmark_says_how_many_denoising_steps_its_own_rows_have(drawn, kind, notes, steps):
    question = drawn(kind=kind, notes=notes)
    assert question.scenario.workload.steps == steps
    open_ = [one.log_sd for one in question.assumed if "denoising steps" in one.what]
    # Between 20 and 50, as nine of ten may be.
    assert open_ == ([pytest.approx(math.log(2.5) / 2 / INTERVAL_QUANTILE)] if steps == 32 else [])


def test_rows_of_several_devices_carry_their_layout():
    tensor, layers = asked("trtllm_v0.5.0-0009"), asked("llamacpp_xiongjie-0345")
    assert (tensor.parallelism.tensor, tensor.parallelism.pipeline) == (4, 1)
    assert (layers.parallelism.tensor, layers.parallelism.pipeline) == (1, 4)


def test_a_scan_that_is_read_in_pieces_takes_a_pass_for_each() -> None:
    row = ROWS["mlperf_v41-0001"]
    question = question_for(row, names())
    passes = plugins().registry.get("datasets", "kits19-mlperf").record.passes
    batch = question.scenario.workload.batch
    assert question.amount == pytest.approx(batch * row.devices / passes)
    assert any("passes per sample" in one.what for one in question.assumed)


@pytest.mark.parametrize("key", ["mlperf_v41-0093", "mlperf_v41-0094"])
def test_a_submission_whose_configuration_switches_fp8_on_ran_in_it(key: str) -> None:
    """Their results declare weights in 16 bits, as those of all submissions with this switch do."""
    assert "use_fp8 = True" in ROWS[key].configuration["notes"]
    assert asked(key).workload.precision == "fp8"


def test_an_unstated_supply_lies_between_the_usual_ones() -> None:
    stated, unstated = (question_for(ROWS[key], names()) for key in ("tiny_v1.1-0056", "tiny_v1.1-0072"))
    assert not any("supply" in one.what for one in stated.assumed)
    assert any("supply" in one.what for one in unstated.assumed)
    watts = [float(q.scenario.settings["sustainability"]["power"].split()[0]) for q in (stated, unstated)]
    assert watts[0] < watts[1] < 2.0 * watts[0]


@pytest.mark.parametrize(
    ("key", "stack"), [("tiny_v1.1-0020", "microtvm-cmsis-nn-2023"), ("tiny_v1.1-0110", "microtvm-2023"),
                       ("tiny_v1.1-0013", "x-cube-ai-7"), ("tiny_v1.2-0010", "x-cube-ai-9")],
)  # fmt: skip
def test_the_name_of_the_system_tells_which_software_ran(key: str, stack: str) -> None:
    assert asked(key).system.stack == stack


@pytest.mark.parametrize("spelt", ["Static Batch", "static-batch", "StaticBatch"])
def test_a_scenario_may_be_spelt_as_benchmarks_do(spelt):
    row = ROWS["trtllm_v0.5.0-0009"]
    assert row.kind == "static_batch"
    assert question_for(attrs.evolve(row, kind=spelt), names()) == question_for(row, names())


def test_an_unknown_scenario_is_refused_and_a_missing_one_assumed_in_sight():
    row = ROWS["trtllm_v0.5.0-0009"]
    with pytest.raises(Refused, match="'online' is not known: it is one of static_batch"):
        question_for(attrs.evolve(row, kind="online"), names())
    said = [one.what for one in question_for(attrs.evolve(row, kind=""), names()).assumed]
    assert "a fixed batch: no scenario is published" in said


@pytest.mark.parametrize(
    ("model", "device", "printed", "formats"),
    [
        ("DeepSeek-R1", "H200", "", ("fp8", "")),
        ("DeepSeek-V3", "A100 80GB", "", ("bf16", "fp8")),
        ("gpt-oss-20b", "H100", "", ("bf16", "mxfp4")),
        ("DeepSeek-R1", "H200", "bf16", ("bf16", "")),
        ("Llama 3.1 8B", "H200", "", ("bf16", "")),
    ],
)
@pytest.mark.parametrize("kind", ["static_batch", "server"])
def test_a_model_is_served_in_the_weights_that_its_lab_publishes(tmp_path, kind, model, device, printed, formats):
    row = {"id": "own-1", "model": model, "accelerator": device, "n_accelerators": "8", "weight_precision": printed,
           "framework": "vLLM 0.9", "scenario": kind, "batch_or_concurrency": "1", "input_len": "512",
           "output_len": "128", "metric": "tpot_ms", "value": "10"}  # fmt: skip
    job = asked_of(tmp_path, row).workload
    assert (job.precision, job.weights) == formats


@pytest.mark.parametrize("notes", ["--enforce-eager; mean", "enforce_eager=True", "--disable-cuda-graph", ""])
@pytest.mark.parametrize(("kind", "solver"), [("static_batch", "single-node"), ("server", "in-flight")])
def test_a_server_may_have_been_told_to_replay_no_graph(tmp_path, kind, solver, notes):
    row = {"id": "own-1", "model": "Llama 3.1 8B", "accelerator": "H200", "n_accelerators": "1",
           "weight_precision": "bf16", "framework": "vLLM 0.9", "scenario": kind, "batch_or_concurrency": "1",
           "input_len": "512", "output_len": "128", "metric": "tpot_ms", "value": "10", "notes": notes}  # fmt: skip
    assert asked_of(tmp_path, row).settings == ({solver: {"eager": 1}} if notes else {})


def test_a_prompt_behind_other_tokens_is_refused(tmp_path):
    row = {"id": "own-1", "model": "Llama 3 8B", "accelerator": "RTX 3090", "n_accelerators": "1",
           "framework": "llama.cpp", "weight_precision": "Q4_0", "scenario": "latency", "batch_or_concurrency": "1",
           "input_len": "512", "output_len": "0", "metric": "tokens_per_s_total", "value": "1448",
           "notes": "prompt processing after a context of 32768"}  # fmt: skip
    assert asked_of(tmp_path, row | {"notes": "prompt processing"}).workload.input == 512
    with pytest.raises(Refused, match="attends to them"):
        asked_of(tmp_path, row)


def test_a_prompt_alone_takes_memory_and_no_time_per_token(tmp_path):
    row = {"id": "own-1", "model": "Llama 3.1 8B", "accelerator": "H200", "n_accelerators": "1",
           "weight_precision": "bf16", "framework": "vLLM 0.9", "scenario": "latency", "batch_or_concurrency": "1",
           "input_len": "512", "output_len": "0", "metric": "memory_gb", "value": "18"}  # fmt: skip
    assert question_for(own_row(tmp_path, row), names()).output == "feasibility.memory_required"
    assert question_for(own_row(tmp_path, row | {"metric": "latency_ms"}), names()).output == "performance.ttft"
    with pytest.raises(Refused, match="writes none"):
        asked_of(tmp_path, row | {"metric": "tpot_ms"})


def test_no_more_is_answered_than_is_offered(tmp_path):
    row = {"id": "own-1", "model": "Llama 3.1 8B", "accelerator": "H200", "n_accelerators": "1",
           "weight_precision": "bf16", "framework": "vLLM 0.9", "scenario": "server", "qps_or_sla": "2 req/s",
           "input_len": "512", "output_len": "100", "metric": "tokens_per_s_total", "value": "190"}  # fmt: skip
    found = predict(own_row(tmp_path, row))
    assert found.predicted == pytest.approx(200.0)
    assert found.low < 190 < found.high
    assert predict(own_row(tmp_path, row | {"qps_or_sla": "2000 req/s"})).predicted < 200_000
