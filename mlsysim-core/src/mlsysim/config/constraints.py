"""Limits that a scenario declares on the outputs of solvers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from ..errors import ConfigError, Fault, MlsysimError
from ..names import did_you_mean
from ..solving import SolverSpec, is_number
from ..units import format_quantity, parse_quantity

__all__ = ["Constraint", "full_output_name", "parse_constraints"]


@attrs.frozen
class Constraint:
    """One limit.

    Parameters
    ----------
    output : str
        Output name, for example ``performance.latency``.
    relation : str
        ``<=`` or ``>=``.
    bound : float
        In SI.
    unit : str
        Unit of the output.
    """

    output: str
    relation: str
    bound: float
    unit: str

    def holds(self, value: Any) -> Any:
        """Tell whether a value satisfies the limit.

        Parameters
        ----------
        value : float or array
            In SI.

        Returns
        -------
        bool or array of bool
        """
        return value <= self.bound if self.relation == "<=" else value >= self.bound

    def __str__(self) -> str:
        return f"{self.output} {self.relation} {format_quantity(self.bound, self.unit)}"


def full_output_name(name: str, known: Iterable[str], *, where: str = "") -> str:
    """Complete the name of an output.

    Parameters
    ----------
    name : str
        Full (``performance.latency``) or short (``latency``).
    known : iterable of str
        All outputs.
    where : str
        Location for messages.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If nothing or more than one thing is called so.
    """
    names = sorted(set(known))
    if not isinstance(name, str):
        raise ConfigError(f"{name!r} is not the name of an output", where=where, remedy='Give text such as "latency"')
    if name in names:
        return name
    fits = [n for n in names if n.rsplit(".", 1)[-1] == name]
    if len(fits) == 1:
        return fits[0]
    if fits:
        raise ConfigError(f"{name!r} could be {' or '.join(fits)}", where=where, remedy="Write the full name")
    short = {n.rsplit(".", 1)[-1] for n in names}
    remedy = did_you_mean(name, [*names, *short], listing="mlsysim solvers")
    raise ConfigError(f"no solver answers {name!r}", where=where, remedy=remedy)


def parse_constraints(texts: Mapping[str, str], specs: Iterable[SolverSpec]) -> tuple[Constraint, ...]:
    """Read the limits of a scenario.

    Parameters
    ----------
    texts : mapping of str to str
        Output to limit, for example ``{"latency": "<= 5 s"}``.
    specs : iterable of SolverSpec
        Solvers whose outputs may be limited.

    Returns
    -------
    tuple of Constraint

    Raises
    ------
    ConfigError
        With every fault.
    """
    units: dict[str, str] = {}
    for spec in specs:
        units.update(spec.outputs)
    found: list[Constraint] = []
    faults: list[Fault] = []
    for name, text in texts.items():
        try:
            found.append(_parse(name, text, units))
        except ConfigError as error:
            faults += error.faults
        except MlsysimError as error:
            faults += [fault.at(f"constraints.{name}") for fault in error.faults]
    if faults:
        raise ConfigError.from_faults(faults)
    return tuple(found)


def _parse(name: str, text: Any, units: Mapping[str, str]) -> Constraint:
    where = f"constraints.{name}"
    output = full_output_name(name, units, where=where)
    unit = units[output]
    if not is_number(unit):
        raise ConfigError(f"{output} is not a number", where=where, remedy="Limit a number")
    match = re.fullmatch(r"\s*(<=|>=)\s*(\S.*)", text)
    if not match:
        raise ConfigError(f"{text!r} is not a limit", where=where, remedy=f'Write for example "<= 5 {unit}"')
    return Constraint(output, match[1], parse_quantity(match[2], unit), unit)
