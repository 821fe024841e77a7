"""Records: frozen, documented, whole; every one of them survives JSON."""

from __future__ import annotations

import functools
import json
import math
import types
import typing

import attrs
import pytest
from core_toys import ToySource, scenario
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsysim import records
from mlsysim.documents import Document
from mlsysim.errors import ConfigError
from mlsysim.records import KINDS, Scenario, singular
from mlsysim.records.measurement import Measurement
from mlsysim.records.precision import BITS, bytes_per_element, check_precision
from mlsysim.records.scenario import WORKLOADS
from mlsysim.structure import read_settings
from mlsysim.structure.converting import converter, to_plain
from mlsysim.structure.plans import plan_of
from mlsysim.units import parse_unit

CLASSES = [getattr(records, name) for name in records.__all__ if attrs.has(getattr(records, name))]
finite = st.floats(allow_nan=False, allow_infinity=False)
words = st.text(max_size=8)
plain = st.recursive(st.none() | st.booleans() | st.integers() | finite | words,
                     lambda inner: st.lists(inner, max_size=2) | st.dictionaries(words, inner, max_size=2), max_leaves=4)  # fmt: skip


def values(annotation):
    """A strategy for whatever a field may hold."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    simple = {float: finite, int: st.integers(), bool: st.booleans(), str: words, object: plain, type(None): st.none()}
    if annotation in simple:
        return simple[annotation]
    if attrs.has(annotation):
        # Deferred, because the rows of a block are layers again.
        return st.deferred(lambda: instances(annotation))
    if origin is typing.Literal:
        return st.sampled_from(arguments)
    if origin in (typing.Union, types.UnionType):
        return st.one_of([values(a) for a in arguments])
    if origin is dict:
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=2)
    assert origin is tuple, annotation
    if arguments[-1] is Ellipsis:
        return st.lists(values(arguments[0]), max_size=1 if attrs.has(arguments[0]) else 2).map(tuple)
    return st.tuples(*map(values, arguments))


@functools.cache
def instances(cls):
    fields = {a.name: values(a.type) for a in attrs.fields(attrs.resolve_types(cls))}
    return st.builds(cls, **fields)


@pytest.mark.parametrize("cls", [*(c for c in CLASSES if c is not Scenario), Measurement], ids=lambda c: c.__name__)
@settings(max_examples=20)
@given(st.data())
def test_any_record_round_trips_through_json(cls, data):
    record = data.draw(instances(cls))
    text = json.dumps(to_plain(record), allow_nan=False)
    assert converter.structure(json.loads(text), cls) == record


@given(st.data())
def test_any_scenario_round_trips_through_json(data):
    kind = data.draw(st.sampled_from(sorted(WORKLOADS)))
    made = attrs.evolve(data.draw(instances(Scenario)), kind=kind, workload=data.draw(instances(WORKLOADS[kind])))
    assert converter.structure(json.loads(json.dumps(to_plain(made))), Scenario) == made


@pytest.mark.parametrize("cls", CLASSES, ids=lambda c: c.__name__)
def test_records_are_frozen_slotted_and_documented(cls):
    assert cls.__setattr__ is not object.__setattr__
    assert "__slots__" in vars(cls)
    for field in attrs.fields(attrs.resolve_types(cls)):
        assert field.name in cls.__doc__ or field.name in ("aliases", "note"), field.name
        unit = field.metadata.get("unit")
        if unit is not None:
            parse_unit(unit)
            assert plan_of(cls).fields[field.name].minimum >= 0
        else:
            assert field.type is not float, f"{cls.__name__}.{field.name} declares no unit"
            # Only logarithms, which have none, come as plain rows of numbers.
            logarithms = f"{field.name} : tuple of float, natural-log units" in cls.__doc__
            assert logarithms or float not in typing.get_args(field.type), (
                f"{cls.__name__}.{field.name} declares no unit"
            )


def test_a_record_cannot_be_changed():
    device = ToySource().entry("devices", "toy-one").record
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        device.name = "x"
    with pytest.raises(ConfigError, match="It has bf16, int8; no format is ever derived from another"):
        device.peak_of("fp8")
    assert device.peak_of("int8").dense == 200e12


def test_kinds_and_their_singulars():
    assert singular("batteries") == "battery"
    assert singular("switches") == "switch"
    assert singular("devices") == "device"
    assert len({singular(kind) for kind in KINDS}) == len(KINDS)
    assert set(WORKLOADS) == {"serving", "traffic", "training", "inference"}


def test_defaults_of_a_minimal_scenario():
    data = {"name": "x", "kind": "serving", "workload": {"model": "m"}, "system": {"device": "d"}}
    read = read_settings(Scenario, Document("", data))
    assert (read.workload.batch, read.workload.input, read.workload.output) == (1, 1024, 256)
    assert read.parallelism == records.Parallelism()
    assert read_settings(Scenario, Document("", scenario())).workload.batch == 4


@pytest.mark.parametrize("name", BITS)
def test_every_number_format_has_a_width(name):
    assert check_precision(name.upper()) == name
    assert bytes_per_element(name) == BITS[name] / 8
    assert math.isfinite(bytes_per_element(name))


@pytest.mark.parametrize("name", ["bf61", "", "float", "int", "fp8 "])
def test_an_unknown_number_format_is_refused(name):
    with pytest.raises(ConfigError) as caught:
        bytes_per_element(name)
    assert repr(name) in str(caught.value)


def test_calibrations_are_found_by_device_and_precision():
    fitted = records.Calibration("toy-one", "bf16", ("row",), "fit", "1", "2026-01-01", 0.1, compute=0.7)
    stack = ToySource().entry("stacks", "toy-stack").record
    stack = attrs.evolve(stack, calibrations=(fitted,))
    assert stack.calibration_for("toy-one", "bf16") is fitted
    assert stack.calibration_for("toy-one", "int8") is None
    assert stack.calibration_for("toy-two", "bf16") is None


def test_what_was_fitted_on_devices_of_a_maker_goes_before_what_was_fitted_on_all():
    def fitted(device, precision):
        return records.Calibration(device, precision, ("row",), "fit", "1", "2026-01-01", 0.1, compute=0.7)

    every, maker, own = fitted("*", "bf16"), fitted("Toys/*", "*"), fitted("toy-one", "bf16")
    stack = attrs.evolve(ToySource().entry("stacks", "toy-stack").record, calibrations=(every, maker, own))
    assert stack.calibration_for("toy-one", "bf16", "Toys") is own
    assert stack.calibration_for("toy-two", "bf16", "Toys") is maker
    assert stack.calibration_for("toy-two", "bf16", "Others") is every
    assert stack.calibration_for("toy-two", "bf16") is every
    assert [one.is_shared for one in (every, maker, own)] == [True, True, False]


def test_what_was_fitted_in_one_format_of_16_bits_holds_in_the_other_at_the_same_rate():
    fitted = records.Calibration("toy-one", "fp16", ("row",), "fit", "1", "2026-01-01", 0.1, compute=0.7)
    stack = attrs.evolve(ToySource().entry("stacks", "toy-stack").record, calibrations=(fitted,))
    device = ToySource().entry("devices", "toy-one").record
    peak = records.Peak(dense=1e14, engine="matrix")
    both = attrs.evolve(device, compute=attrs.evolve(device.compute, peak={"fp16": peak, "bf16": peak, "int8": peak}))
    assert both.alike("bf16") == ("fp16",)
    assert both.alike("int8") == ()
    assert stack.calibration_for("toy-one", "bf16", alike=both.alike("bf16")) is fitted
    assert stack.calibration_for("toy-one", "bf16") is None
    beside = attrs.evolve(peak, engine="vector")
    apart = attrs.evolve(device, compute=attrs.evolve(device.compute, peak={"fp16": beside, "bf16": peak}))
    assert apart.alike("bf16") == ()


def test_without_its_own_a_format_takes_the_device_before_other_devices():
    def fitted(device, precision):
        return records.Calibration(device, precision, ("row",), "fit", "1", "2026-01-01", 0.1, compute=0.7)

    every, here, alike = fitted("*", "*"), fitted("toy-one", "*"), fitted("*", "bf16")
    stack = attrs.evolve(ToySource().entry("stacks", "toy-stack").record, calibrations=(every, here, alike))
    assert stack.calibration_for("toy-one", "bf16") is here
    assert stack.calibration_for("toy-two", "bf16") is alike
    assert stack.calibration_for("toy-two", "int8") is every
