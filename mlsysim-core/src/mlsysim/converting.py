"""Plain data to records and back: the one cattrs converter, which guesses nothing.

Text is no number, true is not 1, and an unknown key is a fault.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Hashable
from typing import Any, Literal

import attrs
import cattrs

from .errors import ConfigError
from .records.scenario import KINDS, Workload

__all__ = ["converter", "to_plain"]


def _strict(kind: type, accepted: tuple[type, ...], name: str) -> Any:
    def hook(value: Any, _: Any) -> Any:
        if isinstance(value, bool) and kind is not bool:
            raise TypeError(f"expected {name}, got {value!r}")
        if not isinstance(value, accepted):
            raise TypeError(f"expected {name}, got {value!r}")
        return value if isinstance(value, kind) else kind(value)

    return hook


def _workload(value: Any, _: Any) -> Any:
    """Choose the workload record by its fields, which differ between kinds."""
    fields = set(value)
    cls = next(cls for cls in KINDS.values() if fields == {a.name for a in attrs.fields(cls)})
    return converter.structure(value, cls)


def _make_converter() -> cattrs.Converter:
    made = cattrs.Converter(forbid_extra_keys=True, detailed_validation=True)
    made.register_structure_hook(str, _strict(str, (str,), "text"))
    made.register_structure_hook(bool, _strict(bool, (bool,), "true or false"))
    made.register_structure_hook(int, _strict(int, (int,), "a whole number"))
    made.register_structure_hook(float, _strict(float, (int, float), "a number"))
    made.register_structure_hook(int | tuple[int, int], _int_or_pair)
    made.register_structure_hook_func(lambda kind: kind is object, lambda value, _: value)
    made.register_structure_hook_factory(_is_choice, _choice)
    made.register_structure_hook_factory(_is_optional, lambda kind: _optional(made, kind))
    made.register_structure_hook(Workload, _workload)
    return made


def _is_choice(kind: Any) -> bool:
    origin: Any = typing.get_origin(kind)
    return origin is Literal


def _choice(kind: Any) -> Any:
    """Accept one of the choices; true is not 1, which Python takes for its equal."""
    choices = typing.get_args(kind)
    known = {(type(choice), choice) for choice in choices}

    def hook(value: Any, _: Any) -> Any:
        if not isinstance(value, Hashable) or (type(value), value) not in known:
            shown = str(value).lower() if isinstance(value, bool) else value
            # The empty choice is the one of a key that is left out.
            offered = ", ".join(str(choice) for choice in choices if choice != "")
            raise ConfigError(f"{shown} is not one of the choices", remedy=f"Choose {offered}")
        return value

    return hook


def _is_optional(kind: Any) -> bool:
    return typing.get_origin(kind) in (typing.Union, types.UnionType) and len(_besides_none(kind)) == 1


def _besides_none(kind: Any) -> list[Any]:
    return [argument for argument in typing.get_args(kind) if argument is not types.NoneType]


def _optional(made: cattrs.Converter, kind: Any) -> Any:
    """Find the hook of ``X | None`` once; cattrs itself would look it up at each value."""
    (inner,) = _besides_none(kind)
    hook = made.get_structure_hook(inner)
    return lambda value, _: None if value is None else hook(value, inner)


def _int_or_pair(value: Any, _: Any) -> Any:
    if isinstance(value, list) and len(value) == 2 and all(type(v) is int for v in value):
        return tuple(value)
    if type(value) is int:
        return value
    raise TypeError(f"expected a whole number or a pair of them, got {value!r}")


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
