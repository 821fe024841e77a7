"""Plain data to records and back: the one cattrs converter, which guesses nothing.

Text is no number, true is not 1, and an unknown key is a fault.
"""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

import attrs
import cattrs

from ..records.scenario import WORKLOADS, Workload
from .plans import SCALARS, Reader, read_choice, read_int_or_pair

__all__ = ["converter", "to_plain"]


def _hook(read: Reader) -> Any:
    return lambda value, _: read(value)


def _workload(value: Any, _: Any) -> Any:
    """Choose the workload record by its fields, which differ between kinds."""
    fields = set(value)
    cls = next(cls for cls in WORKLOADS.values() if fields == {a.name for a in attrs.fields(cls)})
    return converter.structure(value, cls)


def _make_converter() -> cattrs.Converter:
    made = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    for kind, read in SCALARS.items():
        made.register_structure_hook(kind, _hook(read))
    made.register_structure_hook(int | tuple[int, int], _hook(read_int_or_pair))
    made.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    made.register_structure_hook_factory(_is_choice, lambda kind: _hook(read_choice(kind)))
    made.register_structure_hook_factory(_is_optional, lambda kind: _optional(made, kind))
    made.register_structure_hook(Workload, _workload)
    return made


def _is_choice(kind: Any) -> bool:
    origin: Any = typing.get_origin(kind)
    return origin is Literal


def _is_optional(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType) and len(_besides_none(kind)) == 1


def _besides_none(kind: Any) -> list[Any]:
    return [argument for argument in typing.get_args(kind) if argument is not types.NoneType]


def _optional(made: cattrs.Converter, kind: Any) -> Any:
    """Find the hook of ``X | None`` once; cattrs itself would look it up at each value."""
    (inner,) = _besides_none(kind)
    hook = made.get_structure_hook(inner)
    return lambda value, _: None if value is None else hook(value, inner)


converter = _make_converter()
"""The one cattrs converter."""


def to_plain(record: Any) -> Any:
    """Return a record as dictionaries, lists, text and SI numbers.

    Parameters
    ----------
    record : object
        An attrs instance.

    Returns
    -------
    dict
        Ready for ``json.dumps``; :data:`converter` reads it back.
    """
    return converter.unstructure(record)
