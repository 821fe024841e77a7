"""Limits on outputs."""

from __future__ import annotations

import pytest
from core_toys import PERFORMANCE, SUSTAINABILITY

from mlsysim.config.constraints import Constraint, full_output_name, parse_constraints
from mlsysim.errors import ConfigError

KNOWN = ["performance.latency", "performance.throughput", "macro.latency", "macro.cost"]


def test_short_names_are_completed():
    assert full_output_name("macro.cost", KNOWN) == "macro.cost"
    assert full_output_name("cost", KNOWN) == "macro.cost"
    with pytest.raises(ConfigError, match=r"could be macro\.latency or performance\.latency"):
        full_output_name("latency", KNOWN)
    with pytest.raises(ConfigError, match="Did you mean 'cost'"):
        full_output_name("costs", KNOWN, where="output")
    with pytest.raises(ConfigError, match="no solver answers 'x'"):
        full_output_name("x", [])


def test_limits_are_read_with_their_units():
    (limit,) = parse_constraints({"latency": " <=  5 ms "}, [PERFORMANCE])
    assert limit == Constraint("performance.latency", "<=", 5e-3, "s")
    assert str(limit) == "performance.latency <= 5 ms"
    (energy,) = parse_constraints({"macro.energy": ">= 1 Wh"}, [PERFORMANCE, SUSTAINABILITY])
    assert energy.bound == 3600.0


def test_bounds_are_inclusive():
    at_most, at_least = Constraint("x", "<=", 5.0, "s"), Constraint("x", ">=", 5.0, "s")
    assert [at_most.holds(v) for v in (4.0, 5.0, 6.0)] == [True, True, False]
    assert [at_least.holds(v) for v in (4.0, 5.0, 6.0)] == [False, True, True]
    assert not at_most.holds(float("nan"))
    assert not at_least.holds(float("nan"))


def test_every_fault_at_once():
    texts = {
        "latency": "5 s",
        "throughput": "<= fast",
        "fits": "<= 1",
        "bound": "<= 1",
        "nothing": "<= 1",
        "energy": "<=",
    }
    with pytest.raises(ConfigError) as caught:
        parse_constraints(texts, [PERFORMANCE, SUSTAINABILITY])
    faults = {fault.where: str(fault) for fault in caught.value.faults}
    assert set(faults) == {f"constraints.{name}" for name in texts}
    assert 'Write for example "<= 5 s"' in faults["constraints.latency"]
    assert "is not a number" in faults["constraints.fits"]
    assert "is not a number" in faults["constraints.bound"]
