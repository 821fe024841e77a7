"""What units and power leave of a peak; what the cache keeps and delivers; Winograd convolutions."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solver_cases import BERT, RESNET_50, STACK, request_of

from mlsysim.errors import ConfigError, SolverError
from mlsysim.plugins import plugins
from mlsysim.records.device import Compute, Device, Die, Memory, Peak, Power
from mlsysim.records.scenario import Inference
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.execution.device.ceilings import cache_ratio, ceiling_columns
from mlsysim_solvers.execution.device.shares import clock_left, narrow_share, product_share, share_log_sd, warp_share
from mlsysim_solvers.formulas.constants import BUSY_SHARE, ISSUE_SHARE, MATRIX_SHARE, VECTOR_SHARE, WARP_SHARE
from mlsysim_solvers.formulas.gemm import delivered_rate
from mlsysim_solvers.formulas.power import operation_density, sustained_clock
from mlsysim_solvers.formulas.power_constants import INTEGER_ENERGY, LOWEST_CLOCK
from mlsysim_solvers.formulas.vision import winograd_share
from mlsysim_solvers.lowering.attention import Abilities, attention_over_sequence
from mlsysim_solvers.lowering.operators import Formats, Operator, resident, stream
from mlsysim_solvers.lowering.shape import transformer_shape

SOLVER = SingleNodeSolver()


def card(power=350.0, *, vendor="NVIDIA", lanes=64, cache=None, **peaks):
    found = {
        "fp16": Peak(dense=200e12), "int8": Peak(dense=400e12),
        "fp32": Peak(dense=2.0 * lanes * 100 * 1.5e9, engine="vector"),
    }  # fmt: skip
    return Device(
        name="Card", vendor=vendor, tier="cloud",
        compute=Compute(peak={**found, **peaks}, processors=100.0, clock=1.5e9),
        memory=Memory(capacity=80e9, bandwidth=2e12),
        cache=None if cache is None else Memory(capacity=cache),
        power=Power(tdp=power), die=Die(process="4 nm", area=6e-4),
    )  # fmt: skip


def share(device, precision="fp16"):
    return product_share(device, precision)[0]


def test_a_power_limit_sets_the_clock_and_no_more_than_the_peak():
    clock, shares = card(1e4).compute.clock, [share(card(watts)) for watts in (30.0, 60.0, 95.0, 104.5, 1e4)]
    assert shares == sorted(shares)
    # At the lowest voltage the clock follows the power, above it the square root of it.
    assert shares[1] * clock < BUSY_SHARE * LOWEST_CLOCK["NVIDIA"] < shares[2] * clock
    assert shares[1] == pytest.approx(shares[0] * 2.0)
    assert shares[3] == pytest.approx(shares[2] * 1.1**0.5)
    assert shares[-1] == BUSY_SHARE


def test_narrow_operands_draw_less_each_but_there_are_twice_as_many():
    tight = card(60.0, fp8=Peak(dense=400e12))
    assert share(tight, "fp8") < share(tight)
    assert 400.0 * share(tight, "fp8") > 200.0 * share(tight)
    assert operation_density(1.0, 2.0, 2.0, 0.65) == 1.0
    assert operation_density(1.0, 1.0, 2.0, 0.65) == pytest.approx(0.65)


def test_what_was_measured_stands_and_holds_other_formats_down():
    measured = card(1e4, fp16=Peak(dense=200e12, achieved=100e12))
    assert share(measured) == 0.5
    assert share(measured, "int8") == 0.5
    assert share(attrs.evolve(measured, die=None), "int8") == 0.5


def test_a_format_that_nobody_measured_falls_short_as_another_of_its_units_does():
    """Power sets either share alone; what was measured of one over that says what is lost in both."""
    whole = card(60.0)
    half = card(60.0, fp16=Peak(dense=200e12, achieved=0.5 * 200e12 * share(whole)))
    assert share(half, "int8") == pytest.approx(0.5 * share(whole, "int8"))
    # Eight bits that draw more than the limit carries do not hold sixteen down, which draw less.
    eight = card(60.0, int8=Peak(dense=400e12, achieved=400e12 * share(whole, "int8")))
    assert share(eight) == pytest.approx(share(whole))
    better = card(1e4, int8=Peak(dense=400e12, achieved=0.99 * 400e12), fp16=Peak(dense=200e12))
    assert share(better) == pytest.approx(0.99)
    best = card(1e4, int8=Peak(dense=400e12, achieved=400e12), fp16=Peak(dense=200e12))
    assert share(best) <= 1.0


def test_integers_draw_less_than_floats_of_their_width():
    floats = {"fp8": Peak(dense=400e12)}
    tight, cool = card(40.0, **floats), card(1e4, **floats)
    assert share(cool, "int8") == share(cool, "fp8")
    assert share(tight, "int8") == pytest.approx(share(tight, "fp8") / INTEGER_ENERGY)
    # What was measured in one is no measurement of the other where power binds, and is one where it does not.
    rate = 0.8 * 400e12 * share(tight, "fp8")
    measured = card(40.0, fp8=Peak(dense=400e12, achieved=rate), fp6=Peak(dense=400e12))
    assert share(measured, "fp6") == share(measured, "fp8") < share(measured, "int8") < 1.0
    assert share(card(1e4, fp8=Peak(dense=400e12, achieved=rate)), "int8") == pytest.approx(rate / 400e12)


def test_power_is_known_by_process_or_by_architecture():
    bare = attrs.evolve(card(100.0), die=None)
    assert share(attrs.evolve(bare, architecture="Hopper")) == pytest.approx(share(card(100.0)))
    amd = attrs.evolve(card(100.0, vendor="AMD"), die=None)
    assert share(amd) == MATRIX_SHARE
    assert share(attrs.evolve(amd, architecture="CDNA 3")) < share(attrs.evolve(amd, architecture="CDNA 4"))


@pytest.mark.parametrize("key", ["mi300x", "mi325x"])
def test_accelerators_of_one_architecture_differ_by_their_power(key):
    """Each is predicted without its own measurement; the constant lies between what the two say."""
    device = plugins().registry.get("devices", key).record
    peak = device.compute.peak["bf16"]
    peaks = {name: attrs.evolve(one, achieved=None) for name, one in device.compute.peak.items()}
    bare = attrs.evolve(device, compute=attrs.evolve(device.compute, peak=peaks))
    assert share(bare, "bf16") == pytest.approx(peak.achieved / peak.dense, rel=0.05)


def test_instructions_of_one_warp_reach_a_part_where_units_need_several():
    hopper = attrs.evolve(card(1e4), architecture="Hopper")
    assert warp_share(hopper, "fp16") == pytest.approx(BUSY_SHARE * 2.0 / 3.0)
    assert warp_share(hopper, "fp32") == share(hopper, "fp32")
    assert warp_share(card(1e4), "fp16") == share(card(1e4))
    # A limit that holds all products down further holds these down alike.
    tight = attrs.evolve(card(20.0), architecture="Hopper")
    assert warp_share(tight, "fp16") == share(tight)
    held = attrs.evolve(STACK, features=attrs.evolve(STACK.features, warp_products=True))
    for stack, achieved in ((STACK, share(hopper)), (held, warp_share(hopper, "fp16"))):
        assert ceiling_columns(hopper, stack, "card", "fp16", {})["achieved"] == achieved


def test_an_unknown_maker_keeps_the_general_share():
    assert share(card(30.0, vendor="Test")) == MATRIX_SHARE


@pytest.mark.parametrize(("lanes", "expected"), [(64, VECTOR_SHARE), (128, ISSUE_SHARE)])
def test_vector_units_that_need_every_issue_slot_reach_less(lanes, expected):
    assert share(card(1e4, lanes=lanes), "fp32") == expected


def test_sums_in_the_format_of_the_operands_draw_more():
    halved = card(200.0, fp16=Peak(dense=200e12, narrow=400e12))
    assert narrow_share(halved, "fp16") < share(halved)
    assert 400.0 * narrow_share(halved, "fp16") > 200.0 * share(halved)


def test_a_lower_limit_leaves_less_of_the_clock():
    limited = card(350.0)
    assert clock_left(limited, "int8", 350.0) == 1.0
    assert 0.5 < clock_left(limited, "int8", 60.0) < clock_left(limited, "int8", 80.0) < 1.0


def test_a_limit_above_the_rating_or_on_an_unknown_chip_is_refused():
    with pytest.raises(ConfigError, match="above"):
        clock_left(card(350.0), "fp16", 400.0)
    with pytest.raises(SolverError, match="not known"):
        clock_left(card(vendor="Test"), "fp16", 100.0)


def passed(model, device, precision="int8", **settings):
    work = Inference(model="m", batch=64, precision=precision, sequence=128 if model is BERT else 0)
    return SOLVER.compute(SOLVER.prepare(request_of(model, device, work, STACK, settings=settings)))


def test_the_solver_follows_the_limit():
    free, held = passed(BERT, card(350.0)), passed(BERT, card(350.0), power_limit=70.0)
    assert held["performance.latency"] > free["performance.latency"]


def test_activations_that_fit_the_cache_are_not_read_from_memory():
    times = [passed(BERT, card(cache=size))["performance.latency"] for size in (None, 8e6, 50e6, 400e6, 800e6)]
    assert times == sorted(times, reverse=True)
    assert times[-1] == times[-2] < times[0]


def test_each_kernel_finds_what_the_one_before_left():
    one = Operator("product", "gemm", 1.0, 8.0, 8.0, 8.0, 1.0, 1.0, 50.0, 100.0)
    many = stream("norms", 1.0, 100.0, 4.0)
    kept = resident([one, many, stream("table", 1.0, 100.0, kind="lookup")], 30.0, 10.0)
    assert kept[0].weight_bytes == 50.0
    assert [row.activation_bytes for row in kept] == [100.0 - 30.0 * 0.9, 10.0, 100.0]
    batches = stream("norms", 1.0, np.array([10.0, 100.0]))
    assert resident([batches], 30.0, 10.0)[0].activation_bytes.tolist() == [1.0, 73.0]


def test_winograd_multiplies_less_and_only_beside_the_matrix_units():
    assert winograd_share(2.0, 3.0) == pytest.approx(16.0 / 36.0)
    assert winograd_share(1.0, 3.0) == 1.0
    quick = attrs.evolve(STACK, features=attrs.evolve(STACK.features, winograd=True))
    for precision, faster in (("fp32", True), ("fp16", False)):
        work = Inference(model="m", batch=64, precision=precision)
        times = [
            SOLVER.compute(SOLVER.prepare(request_of(RESNET_50, card(1e4), work, stack)))["performance.latency"]
            for stack in (STACK, quick)
        ]
        assert (times[1] < times[0]) is faster


def test_large_tiles_need_less_of_the_cache():
    rates = [delivered_rate(m, n, 1.0, 8192.0, 32.0, 2.0) for m, n in ((256, 128), (128, 128), (128, 64))]
    assert rates == pytest.approx([2.0 / 3.0, 0.5, 1.0 / 3.0])
    assert delivered_rate(128, 128, 1.0, 2048.0, 32.0, 2.0) == 2.0


def test_convolutions_wait_for_the_cache_where_units_are_fast():
    fast = card(1e4, int8=Peak(dense=2000e12))
    columns = SOLVER.prepare(request_of(RESNET_50, fast, Inference(model="m", batch=64, precision="int8"), STACK))
    assert all(held[2] < free[2] for held, free in zip(columns["window_tiles"], columns["tiles"], strict=True))
    free = SOLVER.compute({**columns, "window_tiles": None})["performance.latency"]
    assert SOLVER.compute(columns)["performance.latency"] > free


def test_few_tiles_cost_more_where_units_are_faster():
    slow, fast = card(1e4, int8=Peak(dense=500e12)), card(1e4, int8=Peak(dense=2000e12))
    work = Inference(model="m", batch=1, precision="int8")
    prepared = [SOLVER.prepare(request_of(RESNET_50, device, work, STACK)) for device in (slow, fast)]
    assert prepared[1]["lone_area"] == pytest.approx(4 * prepared[0]["lone_area"])
    for columns in prepared:
        free = SOLVER.compute({**columns, "lone_area": 0.0})["performance.latency"]
        assert SOLVER.compute(columns)["performance.latency"] > free
    vector = SOLVER.prepare(request_of(RESNET_50, slow, Inference(model="m", batch=1, precision="fp32"), STACK))
    assert "lone_area" not in vector


def test_the_sustained_clock_falls_with_the_work_in_one_clock():
    wide, narrow = (sustained_clock(400.0, 0.85, 1e-21, work, 0.9, 0.5e9) for work in (4e5, 1e5))
    assert wide == pytest.approx(narrow / 2.0)


@given(power=st.floats(1.0, 2000.0), lowest=st.floats(1e8, 3e9))
def test_below_the_lowest_voltage_the_clock_follows_the_power(power, lowest):
    clock = sustained_clock(power, 0.85, 1e-21, 3e5, 0.9, lowest)
    drawn = 1e-21 * 3e5 * 0.9 * clock * max(clock, lowest)
    assert drawn == pytest.approx(0.85 * power)
    half = sustained_clock(power / 2.0, 0.85, 1e-21, 3e5, 0.9, lowest)
    assert clock / 2.0 <= half * (1.0 + 1e-12)
    assert half <= clock / 2.0**0.5 * (1.0 + 1e-12)


def test_channels_first_cost_a_pass_before_and_after_each_convolution():
    last = passed(RESNET_50, card(1e4), "fp16")["performance.bytes"]
    first = attrs.evolve(STACK, features=attrs.evolve(STACK.features, channels_first=("fp16",)))
    work = Inference(model="m", batch=64, precision="fp16")
    columns = SOLVER.prepare(request_of(RESNET_50, card(1e4), work, first))
    moved = 64.0 * columns["shape"].convolved * 2.0 * 2.0
    assert SOLVER.compute(columns)["performance.bytes"] == pytest.approx(last + moved)
    wide = SOLVER.prepare(request_of(RESNET_50, card(1e4), attrs.evolve(work, precision="fp32"), first))
    assert wide["transposes"] is False


def test_eager_scores_take_more_passes_in_16_bits_than_in_32():
    def softmax(width, *, eager):
        formats = Formats(width, width, width, width, 2.0)
        abilities = Abilities(False, False, False, 1.0, eager_scores=eager)
        shape = transformer_shape(BERT, BERT.transformer)
        rows = attention_over_sequence(shape, formats, abilities, 4.0, 128.0)
        return next(row for row in rows if row.name == "softmax")

    pairs = 4.0 * BERT.transformer.heads * 128.0**2
    assert softmax(2.0, eager=False).activation_bytes == pairs * 4.0
    assert softmax(2.0, eager=True).activation_bytes == pairs * (8.0 + 6.0 + 8.0 + 6.0)
    assert softmax(4.0, eager=True).activation_bytes == pairs * (16.0 + 8.0)
    assert (softmax(2.0, eager=True).kernels, softmax(4.0, eager=True).kernels) == (5.0, 3.0)


def test_scores_that_are_cast_pass_through_memory_once_more_on_either_side():
    def softmax(kept, operand, *, casts):
        formats = Formats(operand, operand, kept, kept, 2.0)
        abilities = Abilities(False, False, False, 1.0, casts_scores=casts)
        shape = transformer_shape(BERT, BERT.transformer)
        rows = attention_over_sequence(shape, formats, abilities, 4.0, 128.0)
        return next(row for row in rows if row.name == "softmax")

    pairs = 4.0 * BERT.transformer.heads * 128.0**2
    plain, cast = softmax(4.0, 2.0, casts=False), softmax(4.0, 2.0, casts=True)
    assert cast.activation_bytes - plain.activation_bytes == pairs * 8.0
    assert cast.kernels == plain.kernels + 2.0
    # Nothing is cast where the format of the products is kept.
    assert softmax(2.0, 2.0, casts=True) == softmax(2.0, 2.0, casts=False)


def test_a_share_that_follows_from_power_is_known_better_than_one_that_nobody_can_derive():
    """Own measurement, then another format of the units, then the clock that the power limit leaves, then nothing."""
    registry = plugins().registry
    h100, gaudi = registry.get("devices", "h100-sxm").record, registry.get("devices", "gaudi2").record

    def bare(device):
        peaks = {name: attrs.evolve(peak, achieved=None) for name, peak in device.compute.peak.items()}
        return attrs.evolve(device, compute=attrs.evolve(device.compute, peak=peaks))

    assert h100.compute.peak["bf16"].achieved is not None
    assert share_log_sd(h100, "bf16") == 0.0
    assert 0.0 < share_log_sd(h100, "int8") < share_log_sd(bare(h100), "bf16") < share_log_sd(bare(gaudi), "bf16")


@pytest.mark.parametrize("device", ["tpu-v5e", "gaudi2", "gaudi3", "h100-sxm"])
def test_a_cache_is_never_slower_than_memory(device):
    registry = plugins().registry
    stack = registry.get("stacks", "generic").record
    assert cache_ratio(registry.get("devices", device).record, stack) >= 1.0


def test_adding_up_parts_counts_on_one_image_and_not_on_many():
    def times(batch):
        work = Inference(model="m", batch=batch, precision="int8")
        columns = SOLVER.prepare(request_of(RESNET_50, card(1e4, int8=Peak(dense=2000e12)), work, STACK))
        free = SOLVER.compute({**columns, "clock_macs": 0.0})["performance.latency"]
        return SOLVER.compute(columns)["performance.latency"] / free

    assert times(1) > 1.05
    assert times(2048) == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("architecture", WARP_SHARE)
def test_an_architecture_whose_instructions_a_constant_knows_is_one_kind_of_processor(architecture):
    """Cards for games and data centres share a name, not their processors."""
    rates = {
        entry.key: entry.record.compute.peak["bf16"].dense
        for entry in plugins().registry.readable("devices")
        if entry.record.architecture == architecture
    }
    assert rates
    assert max(rates.values()) < 2.0 * min(rates.values()), rates
