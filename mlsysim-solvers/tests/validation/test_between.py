"""Software that nobody knows may be any of the stacks that are known on such a device."""

from __future__ import annotations

import math

import attrs
import pytest
from measured_rows import published

from mlsysim.plugins import plugins
from mlsysim_solvers.formulas.constants import BETWEEN_STACK_LOG_SD, DEVICE_PRIOR_LOG_SDS, VERSION_LOG_SD
from mlsysim_solvers.validation.between import between_makers, between_stacks, between_versions, known_stacks, robust_sd
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict


@pytest.fixture(scope="module")
def row():
    return published()["trtllm_v0.9.0-0001"]


def foreign(row):
    settings = {**row.configuration, "framework": "Nobody's engine 3"}
    return attrs.evolve(row, id="own-1", set="own", software="Nobody's engine 3", configuration=settings)


def test_the_spread_of_a_normal_distribution_is_found_and_one_outlier_moves_it_little():
    quantiles = [0.25335, 0.52440, 0.84162, 1.28155]  # of 60, 70, 80 and 90 %
    deviations = [sign * 0.3 * q for q in quantiles for sign in (-1.0, 1.0)] + [0.0]
    assert robust_sd(deviations) == pytest.approx(0.3, rel=0.3)
    assert robust_sd([*deviations, 5.0]) == pytest.approx(robust_sd(deviations), rel=0.6)


def test_only_stacks_that_were_measured_on_such_devices_in_such_a_format_count():
    found = known_stacks("serving", "h100-sxm", "fp8")
    assert {"tensorrt-llm-0.9", "vllm-0.11"} <= set(found)
    assert "exllamav2-0.0.1" not in found  # measured on cards for workstations, in 16 bits
    assert known_stacks("serving", "gaudi2", "fp8") == ()


def test_an_unknown_engine_widens_the_interval_by_how_far_the_known_ones_differ(row):
    named, nameless = predict(row), predict(foreign(row))
    assert any("names none that is known" in one for one in nameless.assumed)
    assert nameless.log_sd > named.log_sd
    assert nameless.low < row.value < nameless.high
    question = question_for(foreign(row), names())
    value = 1.0  # any answer: that of the known stacks is about a thousandth of a second or a few seconds
    far = between_stacks(question.scenario, question.output, "vllm-0.11", "h200-sxm", value * 1e-9)
    assert far > math.log(1e3)


def test_where_too_few_are_known_the_general_estimate_holds(row):
    question = question_for(foreign(row), names())
    assert between_stacks(question.scenario, question.output, "generic", "gaudi2", 1.0) == BETWEEN_STACK_LOG_SD
    assert between_stacks(question.scenario, "feasibility.memory_required", "vllm-0.11", "h200-sxm", 1.0) == (
        BETWEEN_STACK_LOG_SD
    )


@pytest.mark.parametrize(
    ("stack", "device", "sd"),
    [("vllm-0.11", "mi300x", DEVICE_PRIOR_LOG_SDS[0]), ("vllm-0.11", "a40", 0.0), ("generic", "gaudi2", 0.0)],
)
def test_constants_of_another_makers_devices_are_less_certain(stack, device, sd):
    registry = plugins().registry
    assert between_makers(registry.get("stacks", stack).record, registry.get("devices", device).record) == sd


def test_a_relative_of_a_known_stack_is_not_that_stack():
    row = next(r for r in published().values() if r.software == "Megatron-LM" and r.set == "seqsel-t5")
    other = attrs.evolve(row, software="Megatron-DeepSpeed")
    found = predict(other)
    assert any("the nearest relative of Megatron-DeepSpeed" in one for one in found.assumed)
    assert found.log_sd > predict(row).log_sd


def test_a_version_that_nobody_measured_widens_the_interval(row):
    assert between_versions(row.software) == 0.0
    software = "TensorRT-LLM v0.9.9"
    assert between_versions(software) == VERSION_LOG_SD
    settings = {**row.configuration, "framework": software}
    found, known = predict(attrs.evolve(row, software=software, configuration=settings)), predict(row)
    assert any("as the versions that gave the constants" in one for one in found.assumed)
    assert found.log_sd == pytest.approx(math.hypot(known.log_sd, VERSION_LOG_SD))


def test_a_run_of_unknown_length_says_so(row):
    settings = {"framework": "vLLM 0.11", "batch_or_concurrency": "50", "input_len": "100", "output_len": "400"}
    settings |= {"weight_precision": "bf16"}
    burst = attrs.evolve(row, software="vLLM 0.11", kind="max_throughput", configuration=settings)
    assert any("the row prints no requests" in one for one in predict(burst).assumed)
