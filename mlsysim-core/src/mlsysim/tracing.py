"""Numbers that remember where they came from, for ``explain``.

A traced number *is* a float, so any solver runs on it unchanged; each
operation leaves a node that points to its operands. Calls of formulas are noticed from
outside, by a profile hook, so that formulas pay nothing in ordinary runs.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from types import FrameType, MappingProxyType
from typing import Any

import attrs

from .formula import DECLARED

__all__ = [
    "Node",
    "Traced",
    "TracedFloat",
    "TracedInt",
    "formula_calls",
    "named",
    "node_of",
    "origins_of",
    "trace",
    "trace_record",
]


class Node:
    """One step of a calculation.

    Parameters
    ----------
    value : float or int
        The number.
    op : str
        ``+``, ``*`` ..., the name of a helper, or ``input``.
    parents : tuple
        The operands as they were: traced or plain numbers.
    origin : str
        For an input: where it stands, for example ``device.memory.bandwidth``.
    """

    __slots__ = ("arguments", "formula", "label", "op", "origin", "parents", "value")

    def __init__(self, value: float, op: str, parents: tuple[Any, ...] = (), origin: str = "") -> None:
        self.value = value
        self.op = op
        self.parents = parents
        self.origin = origin
        self.label = ""
        self.formula: Callable[..., Any] | None = None
        self.arguments: Mapping[str, Any] = _NO_ARGUMENTS


_NO_ARGUMENTS: Mapping[str, Any] = MappingProxyType({})


def _plain(value: Any) -> Any:
    return value.node.value if isinstance(value, Traced) else value


def _binary(symbol: str, function: Callable[[Any, Any], Any], *, swapped: bool = False) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if not isinstance(other, (int, float)):
            return NotImplemented
        if swapped:
            return _noted(function(_plain(other), self.node.value), symbol, (other, self))
        return _noted(function(self.node.value, _plain(other)), symbol, (self, other))

    return method


class Traced:
    """What traced floats and ints share."""

    __slots__ = ()
    node: Node

    __add__ = _binary("+", operator.add)
    __radd__ = _binary("+", operator.add, swapped=True)
    __sub__ = _binary("-", operator.sub)
    __rsub__ = _binary("-", operator.sub, swapped=True)
    __mul__ = _binary("*", operator.mul)
    __rmul__ = _binary("*", operator.mul, swapped=True)
    __truediv__ = _binary("/", operator.truediv)
    __rtruediv__ = _binary("/", operator.truediv, swapped=True)
    __pow__ = _binary("**", operator.pow)
    __rpow__ = _binary("**", operator.pow, swapped=True)
    __floordiv__ = _binary("//", operator.floordiv)
    __rfloordiv__ = _binary("//", operator.floordiv, swapped=True)

    def __neg__(self) -> Any:
        return _noted(-self.node.value, "*", (-1, self))

    def __mlsysim_apply__(self, name: str, args: tuple[Any, ...], scalar: Callable[..., Any]) -> Any:
        return _noted(scalar(*map(_plain, args)), name, args)


class TracedFloat(Traced, float):  # type: ignore[misc] # powers of traced numbers are traced
    """A float with a history."""

    __slots__ = ("node",)


class TracedInt(Traced, float):  # type: ignore[misc] # powers of traced numbers are traced
    """An int with a history.

    It is carried by a float, because ``2.0 * n`` asks the plain float first and would forget where
    an int came from. Arithmetic, indices and ranges see the exact int.
    """

    __slots__ = ("node",)

    def __index__(self) -> int:
        return int(self.node.value)

    def __int__(self) -> int:
        return int(self.node.value)

    def __repr__(self) -> str:
        return repr(self.node.value)

    def __format__(self, text: str) -> str:
        return format(self.node.value, text)


def trace(value: Any, op: str, parents: tuple[Any, ...] = (), origin: str = "") -> Any:
    """Wrap a plain number in a traced one.

    Parameters
    ----------
    value : float or int
        The number; anything else, a bool included, is returned as it is.
    op : str
        How it came about.
    parents : tuple
        Operands.
    origin : str
        For an input: where it stands.

    Returns
    -------
    TracedFloat, TracedInt or the value itself
    """
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    value = _plain(value)
    return _noted(int(value) if isinstance(value, int) else float(value), op, parents, origin)


def _noted(value: Any, op: str, parents: tuple[Any, ...], origin: str = "") -> Any:
    """Wrap the result of an operation on plain numbers."""
    traced: Any
    if type(value) is float:
        traced = TracedFloat(value)
    elif type(value) is int:
        traced = TracedInt(value)
    else:  # a truth value, a complex power, a number of numpy
        return trace(value, op, parents, origin)
    traced.node = Node(value, op, parents, origin)
    return traced


def node_of(value: Any) -> Node:
    """Return the history of a number.

    Parameters
    ----------
    value : number
        Traced or plain.

    Returns
    -------
    Node
        A constant for a plain number.
    """
    return value.node if isinstance(value, Traced) else Node(value, "constant")


def origins_of(values: Iterable[Any]) -> list[str]:
    """Return the inputs behind some numbers.

    Parameters
    ----------
    values : iterable of number
        Traced or plain.

    Returns
    -------
    list of str
        Each origin once, the nearest first.
    """
    found: dict[str, None] = {}
    reached = [value.node for value in values if isinstance(value, Traced)]
    seen = set(map(id, reached))
    for node in reached:  # which grows on the way
        if node.origin:
            found[node.origin] = None
        for parent in node.parents:
            if isinstance(parent, Traced) and id(parent.node) not in seen:
                seen.add(id(parent.node))
                reached.append(parent.node)
    return list(found)


def named(value: Any, label: str) -> Any:
    """Give an intermediate value a name that ``explain`` prints.

    Parameters
    ----------
    value : float, array or quantity
        Any value; only traced ones keep the name.
    label : str
        For example ``"prefill: attention"``.

    Returns
    -------
    float, array or quantity
        The same value.
    """
    if isinstance(value, Traced):
        value.node.label = label
    return value


def trace_record(record: Any, origin: str) -> Any:
    """Return a record whose numbers are traced to their fields.

    Parameters
    ----------
    record : object
        An attrs record.
    origin : str
        What the fields are called, for example ``device``.

    Returns
    -------
    object
        Same class, equal values.
    """
    changes: dict[str, Any] = {}
    for field in attrs.fields(type(record)):
        value = getattr(record, field.name)
        place = f"{origin}.{field.name}"
        if "unit" in field.metadata and value is not None:
            changes[field.name] = trace(value, "input", origin=place)
        elif attrs.has(type(value)):
            changes[field.name] = trace_record(value, place)
        elif isinstance(value, Mapping):
            changes[field.name] = {
                k: trace_record(v, f"{place}.{k}") if attrs.has(type(v)) else v for k, v in value.items()
            }
        elif isinstance(value, tuple) and value and attrs.has(type(value[0])):
            changes[field.name] = tuple(trace_record(v, f"{place}.{i}") for i, v in enumerate(value))
    return attrs.evolve(record, **changes)


@contextmanager
def formula_calls() -> Iterator[None]:
    """Note, while active, which traced numbers a formula returned and from what.

    Yields
    ------
    None
    """

    def watch(frame: FrameType, event: str, result: Any) -> None:
        if event != "return" or not isinstance(result, Traced):
            return
        function = DECLARED.get(frame.f_code)
        if function is None:
            return
        code = frame.f_code
        arguments = {
            name: frame.f_locals[name] for name in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]
        }
        if not any(result is argument for argument in arguments.values()):
            result.node.formula, result.node.arguments = function, arguments

    before = sys.getprofile()
    sys.setprofile(watch)
    try:
        yield
    finally:
        sys.setprofile(before)
