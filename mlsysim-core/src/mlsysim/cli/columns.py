"""What can vary in a sweep: each column with its unit, its value in the scenario and the fields that it comes from."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from textwrap import wrap
from typing import TYPE_CHECKING, Any, NamedTuple

from ..evaluation import ask, build_request
from ..explaining import traced_request
from ..renderers.numbers import quantity
from ..renderers.style import Style
from ..running import load_solver
from ..solving import SolverSpec, column_units, is_number
from ..tracing import Traced, origins_of
from .printing import table

if TYPE_CHECKING:
    from ..config import SimulationConfig

__all__ = ["Described", "described", "print_columns"]

_MOST_ORIGINS = 3


class Described(NamedTuple):
    """One column.

    Parameters
    ----------
    name, unit : str
        As solvers declare them.
    value : str
        In the scenario as it is; empty where it has none.
    origin : str
        Fields of records that the value comes from; empty for what solvers set themselves.
    """

    name: str
    unit: str
    value: str
    origin: str


def described(config: SimulationConfig) -> list[Described]:
    """Describe the columns of the solvers that answer a scenario.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.

    Returns
    -------
    list of Described
        Sorted by name.
    """
    known: dict[str, Any] = {}
    values: dict[str, Any] = {}
    specs: list[SolverSpec] = []
    for _, spec, result in ask(config, barring=False):
        if spec is None or isinstance(result, str):
            continue
        specs.append(spec)
        prepared = load_solver(spec).prepare(traced_request(spec, build_request(config, spec, known)))
        values = {**_named(prepared, spec), **values}
        known.update(result.known)
    return [_row(name, unit, values.get(name)) for name, unit in sorted(column_units(specs).items())]


def print_columns(config: SimulationConfig) -> None:
    """Print them, those without a number in this scenario by name alone.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    """
    style, found = Style.of(sys.stdout), described(config)
    idle = ", ".join(one.name for one in found if not one.value)
    print("\n".join(table(["column", "unit", "now", "comes from"], [one for one in found if one.value], style)))
    if idle:
        print("\n".join(wrap(f"without a number in this scenario: {idle}", style.width)))


def _named(prepared: Mapping[str, Any], spec: SolverSpec) -> dict[str, Any]:
    return {name: value for name, value in prepared.items() if name in spec.columns}


def _row(name: str, unit: str, value: Any) -> Described:
    plain = value.node.value if isinstance(value, Traced) else value
    if isinstance(plain, bool) or not isinstance(plain, (int, float)) or not is_number(unit):
        return Described(name, unit, "", "")
    origins = origins_of([value])
    told = ", ".join(origins) if len(origins) <= _MOST_ORIGINS else ""  # more than that is a result, not a place
    return Described(name, unit, quantity(float(plain), unit), told)
