"""Errors say where, what and what to do; their classes carry the exit code."""

from __future__ import annotations

import pytest

from mlsysim import errors
from mlsysim.errors import ConfigError, Fault, InfeasibleError, MlsysimError, OOMError, SLAViolation, UnknownNameError


def test_the_three_parts_of_a_message():
    assert str(Fault("too hot")) == "too hot"
    assert str(Fault("too hot", where="a.toml:3: tdp")) == "a.toml:3: tdp: too hot"
    assert str(Fault("too hot", where="tdp", remedy="Cool it")) == "tdp: too hot. Cool it"
    assert repr(Fault("too hot")) == "Fault('too hot')"
    assert str(Fault("too hot", where="tdp", remedy="Cool it").at("power.tdp")) == "power.tdp: too hot. Cool it"
    error = ConfigError("too hot", where="tdp", remedy="Cool it")
    assert (error.what, error.where, error.remedy, str(error)) == ("too hot", "tdp", "Cool it", "tdp: too hot. Cool it")


def test_several_faults_are_one_error_of_the_class():
    error = UnknownNameError.from_faults(iter([Fault("one", where="a"), Fault("two")]))
    assert type(error) is UnknownNameError
    assert str(error) == "a: one\ntwo"
    assert [f.what for f in error.faults] == ["one", "two"]
    assert error.what == "one"


@pytest.mark.parametrize("name", errors.__all__)
def test_every_error_is_an_mlsysim_error_with_an_exit_code(name):
    cls = getattr(errors, name)
    if cls is Fault:
        return
    assert issubclass(cls, MlsysimError)
    assert cls.__doc__
    assert cls.exit_code == {InfeasibleError: 3, OOMError: 3, SLAViolation: 4}.get(cls, 2)
    with pytest.raises(MlsysimError):
        raise cls("what")
