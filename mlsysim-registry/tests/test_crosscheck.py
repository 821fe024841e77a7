"""What a machine derives from other numbers raises a level; what is circular or guessed does not."""

from __future__ import annotations

import pytest

from mlsysim.provenance import Claim, Level
from mlsysim_registry.crosscheck import resolution

from .conftest import CLAIM, FILES, Package

DEVICE, MODEL = "devices/acme/chip-1.toml", "models/acme/toy.toml"
MEMORY = {"memory.bandwidth", "memory.bus", "memory.rate"}


@pytest.mark.parametrize(
    ("text", "unit", "expected"),
    [("132", "1", 0.0), ("8,030,261,248", "1", 0.0), ("8B", "1", 0.5 / 8), ("8.03B", "1", 0.005 / 8.03),
     ("3.35 TB/s", "B/s", 0.005 / 3.35), ("8 TB/s", "B/s", 0.5 / 8), ("1e3 W", "W", 0.5), ("many", "1", 0.0)],
)  # fmt: skip
def test_resolution_is_half_of_the_last_printed_digit(text: str, unit: str, expected: float) -> None:
    assert resolution(Claim("x", text, 1.0, unit, source="s", at="t")) == pytest.approx(expected)


def test_bandwidth_bus_and_rate_back_each_other(package: Package) -> None:
    entry = package().get("devices", "chip-1")
    assert entry.cross_checked >= MEMORY
    standing = entry.standing("memory.rate")
    assert standing is not None
    assert standing.level is Level.CORROBORATED


@pytest.mark.parametrize(
    "rate",
    [f'"4 GT/s", {CLAIM}, derived = "2.05 TB/s over 4096 bit"',
     '"4 GT/s", estimate = "as usual", low = "3 GT/s", high = "5 GT/s"'],
)  # fmt: skip
def test_a_circular_or_estimated_number_backs_nothing(package: Package, rate: str) -> None:
    entry = package(chip_1=(f'"4 GT/s", {CLAIM}', rate)).get("devices", "chip-1")
    assert not entry.cross_checked & MEMORY


def test_a_number_converted_from_another_print_does_back(package: Package) -> None:
    rate = f'"4 GT/s", {CLAIM}, derived = "two transfers per cycle of 2000 MHz"'
    assert package(chip_1=(f'"4 GT/s", {CLAIM}', rate)).get("devices", "chip-1").cross_checked >= MEMORY


def test_units_and_clock_back_a_peak_within_one_per_cent_only(package: Package) -> None:
    peak = "compute.peak.fp16.dense"
    assert peak in package().get("devices", "chip-1").cross_checked
    assert peak not in package(chip_1=("153.6 TFLOPS", "156.5 TFLOPS")).get("devices", "chip-1").cross_checked


SHAPE = {f"transformer.{name}" for name in ("layers", "hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")}


def test_an_exact_count_vouches_for_every_dimension_that_changes_it(package: Package) -> None:
    backed = package().get("models", "toy").cross_checked
    assert set(backed) == {"parameters"} | SHAPE  # not the context: it has no parameters here


@pytest.mark.parametrize(("label", "backed"), [('"1.17M"', True), ('"1.2M"', False), ("1171585", False)])
def test_a_coarse_or_inexact_label_vouches_for_less(package: Package, label: str, backed: bool) -> None:
    found = package(toy=("value = 1171584", f"value = {label}")).get("models", "toy").cross_checked
    assert ("transformer.hidden" in found) is backed
    assert "transformer.context" not in found


def test_a_label_computed_from_the_shape_backs_nothing(package: Package) -> None:
    registry = package(toy=(f"1171584, {CLAIM}", f'1171584, {CLAIM}, derived = "counted from config"'))
    assert not registry.get("models", "toy").cross_checked


def test_a_second_exact_label_is_used(package: Package) -> None:
    claims = f'[{{ value = "1.2M", {CLAIM} }}, {{ value = 1171584, source = "other", at = "index" }}]'
    text = FILES[MODEL].replace(f"{{ value = 1171584, {CLAIM} }}", claims)
    assert set(package({MODEL: text}).get("models", "toy").cross_checked) | {"parameters"} >= SHAPE


def test_counted_work_backs_the_input_size_of_a_network(package: Package) -> None:
    backed = package().get("models", "net").cross_checked
    assert set(backed) == {"parameters", "work", "network.height", "network.width", "network.channels"}
