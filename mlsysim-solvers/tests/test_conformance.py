"""Every solver passes the conformance kit on scenarios of all the kinds that it answers."""

from __future__ import annotations

import attrs
import pytest

from mlsysim.config import SimulationConfig
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim.units import BASE_DIMENSIONS, parse_unit
from mlsysim_solvers.plugin import BATTERY, BRAKING, ECONOMICS, SINGLE_NODE, SUSTAINABILITY, mlsysim_register_solvers

SPECS = mlsysim_register_solvers()
SERVING, MIXTURE, LAPTOP = "llama-3.1-8b-h100", "mixtral-8x7b-h200", "llama-3.1-8b-m2-ultra"
IMAGES, TRAINING, ENCODER = "resnet-50-training", "llama-3.1-8b-training-h100", "bert-large-a100"
DOORBELL, CAR = "smart-doorbell", "autonomous-vehicle"
TIMES = ("performance.latency",)
MORE_WORK = ("batch", "input", "output", "sequence")
SHORTENING = ("latency", "rate", "sleep_power", "inference_power", "capture_power", "send_power", "self_discharge")
UP = 1 + 1e-12


def varied(name, **overrides):
    return SimulationConfig.load(name, overrides)


def _without(role, **fields):
    """Turn a request into one whose record lacks what it needs."""

    def change(request):
        return attrs.evolve(request, records={**request.records, role: attrs.evolve(request.records[role], **fields)})

    return change


def _without_sleep(request):
    device = request.records["device"]
    silent = attrs.evolve(device, power=attrs.evolve(device.power, sleep=None))
    records = {**request.records, "device": silent}
    return attrs.evolve(request, records=records, settings={**request.settings, "sleep_power": 0.0})


SINGLE_NODE_CASE = SolverCase(
    SINGLE_NODE,
    scenarios=[SERVING, MIXTURE, LAPTOP, IMAGES, TRAINING, ENCODER, DOORBELL, CAR],
    # Tiles, context windows and passes of a prefill are counted in whole tokens and samples.
    discrete=("token", "sample"),
    never_falls=dict.fromkeys(MORE_WORK, TIMES) | {"tokens": ("performance.latency",), "overhead": TIMES,
                 "weight_width": ("feasibility.memory_required",), "capacity": ("feasibility.max_batch",)},
    never_rises=dict.fromkeys(("peak", "bandwidth", "vector_peak", "weight_bandwidth"), TIMES)
    | {"batch": ("feasibility.headroom",), "reserve": ("feasibility.max_batch",)},
    limits={
        "arithmetic is never above the peak": lambda c, a: a["performance.utilisation"] <= UP,
        "traffic is never above the bandwidth": lambda c, a: a["performance.bandwidth_utilisation"] <= UP
        or "weight_bandwidth" in c,
        "it fits exactly when the memory does": lambda c, a: "storage" in c
        or bool(a["feasibility.fits"]) == (a["feasibility.headroom"] >= 0)
        or not a["feasibility.fits"],
        "the largest batch that fits decides": lambda c, a: c["batch"] <= a["feasibility.max_batch"] * UP
        or not a["feasibility.fits"],
        "the first token comes before the last": lambda c, a: a.get("performance.ttft", 0.0)
        <= a["performance.latency"] * UP,
        "a device is busy at most all the time": lambda c, a: a.get("performance.duty", 0.0) <= 1
        and ("rate" not in c or a["feasibility.keeps_up"] == (c["rate"] <= a["performance.throughput"])),
    },
    bad_inputs=(
        BadInput("workload.batch", {"batch": "0"}),
        BadInput("workload.input", {"input": "1e9"}),
        BadInput("precision", {"precision": "fp5"}),
        BadInput("parallelism", {"parallelism.tensor": "2"}),
    ),
)  # fmt: skip

ECONOMICS_CASE = SolverCase(
    ECONOMICS,
    scenarios=[
        SERVING,
        IMAGES,
        ENCODER,
        varied(CAR, **{"settings.economics.lifetime": "4 year"}),
        varied(
            IMAGES,
            device="a100-sxm-40gb",
            price="a100-sxm-40gb-purchase",
            **{"settings.economics.lifetime": "5 year"},
        ),
    ],
    never_falls={
        "rent": ("macro.hourly_cost",),
        "devices": ("macro.hourly_cost",),
        "run_time": ("macro.run_cost",),
        "amount": ("macro.capital",),
    },
    never_rises={"price_devices": ("macro.hourly_cost",)},
    limits={
        "a run costs its time": lambda c, a: (
            "macro.run_cost" not in a or a["macro.run_cost"] == pytest.approx(a["macro.hourly_cost"] * c["run_time"])
        ),
    },
    bad_inputs=(
        BadInput("place.price", change=_without("price", rate=None, amount=None)),
        BadInput("lifetime", change=lambda r: attrs.evolve(r, settings={"lifetime": 1e8})),
    ),
)


def _least(columns):
    """Return the least that a machine at work draws, over its most."""
    drawn = columns.get("drawn", columns.get("floor", 1.0))
    return 1.0 - min(1.0, columns.get("rated", 0.0)) * (1.0 - min(1.0, drawn))


SUSTAINABILITY_CASE = SolverCase(
    SUSTAINABILITY,
    scenarios=[varied(SERVING, site="hyperscale-us"), IMAGES, ENCODER, DOORBELL, CAR, "llama-70b-h100-64"],
    never_falls={
        "pue": ("macro.power",),
        "full_power": ("macro.power",),
        "idle_power": ("macro.power",),
        "devices": ("macro.power",),
    },
    never_rises={"throughput": ("macro.power",)},
    limits={
        "a device draws between idle and full power": lambda c, a: min(c["idle_power"], c["full_power"] * _least(c))
        <= a["macro.power"] / c["devices"] / c["pue"] * UP
        <= max(c["idle_power"], c["full_power"]) * UP * UP
        or c.get("waiting_power", 0.0) > c["full_power"]
        or c.get("active_share", 0.0) > 1.0,
    },
    bad_inputs=(BadInput("power", change=_without("device", power=None)),),
)  # fmt: skip

BATTERY_CASE = SolverCase(
    BATTERY,
    scenarios=[DOORBELL, varied(DOORBELL, **{"settings.battery.self_discharge": "0.02 1/month"})],
    never_falls={"charge": ("feasibility.battery_life",), "latency": ("macro.wake_energy",)},
    never_rises=dict.fromkeys(SHORTENING, ("feasibility.battery_life",)),
    limits={
        "never longer than asleep": lambda c, a: a["feasibility.battery_life"]
        <= c["charge"] * c["voltage"] * c["usable"] / c["sleep_power"] * UP,
    },
    bad_inputs=(
        BadInput("workload.rate", {"rate": "0 sample/s"}),
        BadInput("workload.rate", change=lambda r: attrs.evolve(r, inputs={"performance.latency": 11.0})),
        BadInput("sleep_power", change=_without_sleep),
    ),
)  # fmt: skip

BRAKING_CASE = SolverCase(
    BRAKING,
    scenarios=[CAR],
    never_falls={"speed": ("performance.stopping_distance",), "reach": ("performance.latency_margin",)},
    never_rises={
        "friction": ("performance.stopping_distance",),
        "latency": ("performance.latency_margin",),
        "sensing": ("performance.latency_budget",),
    },
    limits={
        "a margin left is a stop in sight": lambda c, a: (
            (a["performance.latency_margin"] >= 0) == (a["performance.stopping_distance"] <= c["reach"] * UP)
        ),
    },
    bad_inputs=(
        BadInput("speed", {"settings.braking.speed": "0 m/s"}),
        BadInput("friction", {"settings.braking.friction": "0"}),
    ),
)


@parametrize_checks(SINGLE_NODE_CASE)
def test_single_node(check):
    check()


@parametrize_checks(ECONOMICS_CASE)
def test_economics(check):
    check()


@parametrize_checks(SUSTAINABILITY_CASE)
def test_sustainability(check):
    check()


@parametrize_checks(BATTERY_CASE)
def test_battery(check):
    check()


@parametrize_checks(BRAKING_CASE)
def test_braking(check):
    check()


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.name)
def test_every_output_has_a_label(spec):
    assert [name for name in spec.outputs if not spec.labels.get(name)] == []
    assert len(set(spec.labels.values())) == len(spec.labels)


def test_a_column_of_two_solvers_means_one_thing():
    # A sweep sets a column by its name wherever it occurs. Samples and tokens are counts.
    counts = {BASE_DIMENSIONS.index(name) for name in ("sample", "token")}
    seen: dict[str, tuple[str, tuple[object, ...]]] = {}
    for spec in SPECS:
        for name, unit in spec.columns.items():
            dimension = tuple(p for i, p in enumerate(parse_unit(unit).dimension) if i not in counts)
            other, known = seen.setdefault(name, (spec.name, dimension))
            assert known == dimension, f"{name} of {spec.name} and of {other}"
