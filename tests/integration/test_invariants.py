"""What must hold of any answer, whatever the numbers: scenarios drawn from the whole registry, and those that broke it."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest

from mlsysim import SystemEvaluation, evaluate, registry, sweep
from mlsysim.errors import ConfigError, MlsysimError
from mlsysim_solvers.execution.device.labels import usable_of

REGISTRY = registry()
DEVICES = {key: REGISTRY.get("devices", key).record for key in REGISTRY.keys("devices")}
MODELS, STACKS = tuple(REGISTRY.keys("models")), tuple(REGISTRY.keys("stacks"))
DRAWS = 400
NEAR = 1e-6


def scenario(kind: str, workload: dict[str, Any], device: str, **system: Any) -> dict[str, Any]:
    return {"name": "any", "kind": kind, "workload": workload, "system": {"device": device, **system}}


def between(dice: Random, low: float, high: float) -> int:
    return round(math.exp(dice.uniform(math.log(low), math.log(high))))


def draw(dice: Random) -> dict[str, Any]:
    kind, device = dice.choice(("serving", "traffic", "training", "inference")), dice.choice(tuple(DEVICES))
    formats = [name for name, peak in DEVICES[device].compute.peak.items() if peak.dense]
    work: dict[str, Any] = {"model": dice.choice(MODELS), "precision": dice.choice(formats)}
    found = scenario(kind, work, device)
    if dice.random() < 0.5:
        found["system"]["stack"] = dice.choice(STACKS)
    if kind in ("serving", "traffic"):
        work |= {"input": between(dice, 1, 8000), "output": between(dice, 1, 2000)}
        if dice.random() < 0.3:
            work["weights"] = dice.choice(("int4", "fp8"))
    elif dice.random() < 0.5:
        work["sequence"] = between(dice, 1, 4096)
    if kind == "traffic":
        work |= dice.choice(({}, {"concurrency": between(dice, 1, 500)}, {"rate": f"{between(dice, 1, 50)} sample/s"}))
    else:
        work["batch"] = between(dice, 1, 256)
    if dice.random() < 0.3:
        found["system"]["devices"] = count = dice.choice((2, 8, 64))
        found["parallelism"] = {dice.choice(("tensor", "pipeline", "data")): count}
    return found


def value(card: SystemEvaluation, name: str) -> Any:
    return card.answers[name].value if name in card.answers else None


def assert_numbers(card: SystemEvaluation) -> None:
    for name, answer in card.answers.items():
        if isinstance(answer.value, float):
            assert math.isfinite(answer.value), name
            assert answer.value >= 0.0 or name == "feasibility.headroom", name
            if answer.low is not None and answer.high is not None:
                assert answer.low * (1.0 - NEAR) <= answer.value <= answer.high * (1.0 + NEAR), name


def assert_memory(card: SystemEvaluation) -> None:
    device = DEVICES[card.scenario.system.device]
    storage = device.storage
    required, usable = value(card, "feasibility.memory_required"), value(card, "feasibility.memory_usable")
    assert usable <= max(usable_of(device), storage.capacity if storage else 0.0) * (1.0 + NEAR)
    assert value(card, "feasibility.headroom") == pytest.approx(usable - required, abs=NEAR * usable)
    most = value(card, "feasibility.max_batch")
    if card.scenario.kind in ("serving", "inference") and most is not None:
        assert card.fits == (most >= card.scenario.workload.batch)  # type: ignore[union-attr]


def assert_roofs(card: SystemEvaluation) -> None:
    system, device = card.scenario.system, DEVICES[card.scenario.system.device]
    time, moved = value(card, "performance.latency"), value(card, "performance.bytes")
    # A convolution that multiplies less than it is counted for passes the peak: 32 bits on vector units.
    if card.scenario.workload.precision != "fp32":
        assert value(card, "performance.utilisation") <= 1.0 + NEAR
    if moved is not None:
        beside = device.storage.bandwidth or 0.0 if device.storage else 0.0
        assert moved / time <= (device.memory.bandwidth + beside) * system.devices * (1.0 + NEAR)


def assert_flow(card: SystemEvaluation) -> None:
    work, rate, time = card.scenario.workload, value(card, "performance.throughput"), value(card, "performance.latency")
    if card.scenario.kind == "serving" or card.scenario.kind == "training":
        assert rate * time == pytest.approx(work.batch, rel=NEAR)  # type: ignore[union-attr]
    if card.scenario.kind == "traffic" and work.concurrency:  # type: ignore[union-attr]
        assert rate * time == pytest.approx(work.concurrency, rel=1e-3)  # type: ignore[union-attr]
    first, power = value(card, "performance.ttft"), value(card, "macro.power")
    assert first is None or first <= time * (1.0 + NEAR)
    for amount, whole in (("energy", power), ("cost", value(card, "macro.hourly_cost"))):
        each, tokens = value(card, f"macro.{amount}_per_token"), value(card, "performance.token_throughput")
        if each is not None and whole:
            assert each * tokens == pytest.approx(whole, rel=NEAR)
    parts = [answer.value for name, answer in card.answers.items() if "breakdown" in name]
    assert not parts or math.fsum(parts) == pytest.approx(time, rel=NEAR)


def test_whatever_is_drawn_is_refused_with_words_or_answered_within_physics() -> None:
    dice, answered = Random(20261123), 0
    for _ in range(DRAWS):
        drawn = draw(dice)
        card, silent = None, []
        try:
            card = evaluate(drawn)
        except MlsysimError as error:
            silent = [str(fault) for fault in error.faults if not fault.where]
        assert not silent, drawn
        if card is None or "performance" not in card.solvers:
            continue
        answered += 1
        for check in (assert_numbers, assert_memory, assert_roofs, assert_flow):
            try:
                check(card)
            except AssertionError as error:
                raise AssertionError(f"{check.__name__} {drawn}: {error}") from None
    assert answered > DRAWS / 5


BROKE = {
    "experts that nobody decodes for": scenario(
        "traffic", {"model": "kimi-k2.5", "precision": "fp16", "input": 983, "output": 1}, "h200-sxm", stack="sglang-0.4"
    ),
    "a network without kernels of its own for some layers": scenario(
        "inference", {"model": "ssd-mobilenet-v1", "precision": "int8"}, "rtx-4070", stack="tensorrt-10"
    ),
    "a ceiling that other devices set above this one's peak": scenario(
        "inference", {"model": "salamandra-7b", "precision": "fp16", "sequence": 543}, "rx-vega-64", stack="flash-attention-3"
    ),
    "weights as large as a processor that holds none": scenario(
        "inference", {"model": "yolo11m", "precision": "fp32", "batch": 2}, "imxrt1062", stack="hailo-dataflow"
    ),
    "copies of a processor that takes any batch": scenario(
        "inference", {"model": "swin-t", "precision": "int8", "batch": 32}, "hailo-8", devices=8
    ),
    "attention in a format that is faster than the products": scenario(
        "traffic", {"model": "ernie-4.5-0.3b", "precision": "int8", "input": 18247, "output": 1418}, "gb300"
    ),
    "weights that do not fit beside a share for the cache": scenario(
        "traffic", {"model": "starcoder2-15b", "precision": "fp32"}, "rtx-a1000", stack="tensorrt-llm-0.9"
    ),
    "answers of one token for more clients than places": scenario(
        "traffic",
        {"model": "gemma-3-4b", "precision": "fp16", "input": 14, "output": 1, "concurrency": 168, "max_batch": 23,
         "max_tokens": 3},
        "trainium2", stack="sglang-0.4",
    ),
    "convolutions in 64 bits": scenario(
        "inference", {"model": "ssd-resnet34", "precision": "fp64", "batch": 100}, "v100-sxm2-16gb"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", BROKE)
def test_what_broke_them_holds_them(what: str) -> None:
    card = evaluate(BROKE[what])
    for check in (assert_numbers, assert_memory, assert_roofs, assert_flow):
        check(card)


def test_an_answer_of_one_token_has_no_time_per_token() -> None:
    work = {"model": "codellama-70b", "input": 1293, "output": 1, "concurrency": 10, "cached": 0.11, "max_tokens": 3}
    assert evaluate(scenario("traffic", work, "a40", devices=2, node="server-pcie-4-x16"))["tpot"].value == 0.0


def test_a_stage_of_a_pipeline_holds_its_share_of_what_stays_in_16_bits() -> None:
    def need(weights: str) -> float:
        work = {"model": "gemma-3-1b", "precision": "fp16", "weights": weights, "input": 100, "output": 8}
        asked = scenario("serving", work, "rtx-2000-ada", devices=16)
        return float(evaluate({**asked, "parallelism": {"pipeline": 16}})["memory_required"].value)

    assert need("int8") < need("fp16")


def test_pools_have_nothing_to_decode_for_answers_of_one_token() -> None:
    pools = "deepseek-v3-b200-disaggregated"
    with pytest.raises(ConfigError, match="first token"):
        evaluate(pools, {"output": "1"})
    with pytest.raises(ConfigError, match="first token"):
        sweep(pools, {"output": [1.0, 64.0]})
