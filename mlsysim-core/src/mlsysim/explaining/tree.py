"""The tree behind one number, put together from the trace of its computation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import attrs

from ..errors import ConfigError
from ..formula import equation_of, formula_of
from ..solving import is_number
from ..tracing import Node, Traced, node_of
from ..units import format_quantity

if TYPE_CHECKING:
    from ..config import SimulationConfig
    from ..entities import Entry
    from ..provenance import Claim

__all__ = ["Explanation", "TreeBuilder", "entity_of"]


@attrs.frozen
class Explanation:
    """One node of the tree.

    Parameters
    ----------
    name : str
        What it is called.
    value : str
        The number with its unit.
    how : str
        ``formula``, ``sum``, ``product`` ..., ``input``, ``setting`` or ``constant``.
    equation, reference : str
        Of a formula.
    source, url, at, retrieved, badge, as_stated, reason : str
        Of a sourced input; the reason tells how it was derived, or the range of an estimate.
    share : float or None, ratio
        Of a term: its part of the sum.
    children : tuple of Explanation
        What it was made from.
    """

    name: str
    value: str
    how: str
    equation: str = ""
    reference: str = ""
    source: str = ""
    url: str = ""
    at: str = ""
    retrieved: str = ""
    badge: str = ""
    as_stated: str = ""
    reason: str = ""
    share: float | None = None
    children: tuple[Explanation, ...] = ()

    def lines(self, depth: int | None = None) -> Iterator[str]:
        """Write the tree as text.

        Parameters
        ----------
        depth : int or None
            Levels to print; None prints all.

        Returns
        -------
        iterator of str
        """
        from ..renderers.tree import tree_lines

        return tree_lines(self, depth=depth)

    def inputs(self) -> Iterator[Explanation]:
        """Go through the sourced inputs of the tree.

        Yields
        ------
        Explanation
        """
        if self.badge:
            yield self
        for child in self.children:
            yield from child.inputs()


def entity_of(config: SimulationConfig, origin: str) -> tuple[Entry | None, str]:
    """Find what an input of a trace is a number of.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    origin : str
        ``role.field``, or ``kind/key.field`` of an entity that a solver looked up itself.

    Returns
    -------
    entry : Entry or None
        None for what is no number of an entity.
    field : str
    """
    role, _, field = origin.partition(".")
    if role in config.entries:
        return config.entries[role], field
    kind, slash, rest = origin.partition("/")
    if slash:
        from ..plugins import plugins

        registry = plugins().registry
        for key in registry.keys(kind):
            if rest.startswith(f"{key}."):
                return registry.get(kind, key), rest[len(key) + 1 :]
    return None, field


_OPERATIONS = {"+": "sum", "-": "difference", "*": "product", "/": "quotient", "**": "power"}
_PARTS = {
    "+": ("term",), "-": ("term", "less"), "*": ("factor",), "/": ("numerator", "denominator"),
    "**": ("base", "exponent"),
    "maximum": ("the larger of",), "minimum": ("the smaller of",), "where": ("condition", "if so", "if not"),
}  # fmt: skip
"""What the operands of an operation are called where they have no name of their own."""


def _part(name: str, operand: Any) -> str:
    """Say what an operand is: a plain factor is how many times."""
    return "times" if name == "factor" and not isinstance(operand, Traced) else name


_KEEP_UNIT = ("+", "-", "maximum", "minimum", "where")
"""Operations whose operands have the unit of the result."""


def _is_plain(node: Node) -> bool:
    """Whether a node is arithmetic on constants alone: nothing to explain."""
    pending = [node]
    while pending:
        current = pending.pop()
        if current.origin or current.label or current.formula:
            return False
        pending += [p.node for p in current.parents if isinstance(p, Traced)]
    return True


class TreeBuilder:
    """Turns trace nodes into explanations, each shared part written once.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    units : dict of str to str
        Unit of each output.
    """

    def __init__(self, config: SimulationConfig, units: dict[str, str]) -> None:
        self.config = config
        self.units = units
        self.written: set[int] = set()
        self.shown: set[str] = set()

    def tree(self, node: Node, unit: str, name: str) -> Explanation:
        """Explain a node and all that it was made from.

        Parameters
        ----------
        node : Node
            Of a trace.
        unit : str
            Of its value; empty where nothing says it.
        name : str
            What it is called where it has no name of its own.

        Returns
        -------
        Explanation
        """
        if node.origin:
            return self._input(node, unit)
        unit = unit or self._unit(node)
        shown = self._value(node, unit)
        if _is_plain(node):
            return Explanation(name, shown, "constant")
        title = node.label or (node.formula.__name__ if node.formula else name)
        if id(node) in self.written:
            return Explanation(self._titled(node, title), shown, "see above")
        if node.formula is None and not node.label:
            single = self._single(node, unit, name)
            if single is not None:
                return single
        self.written.add(id(node))
        if node.formula is not None:
            return self._formula(node, title)
        return Explanation(title, shown, _OPERATIONS.get(node.op, node.op), children=self._children(node, unit))

    def _single(self, node: Node, unit: str, name: str) -> Explanation | None:
        """Say "5 x layer" for a multiple of one thing, and nothing at all for a sum of one."""
        operands = self._operands(node)
        nothing_less = node.op == "-" and not isinstance(operands[1], Traced) and operands[1] == 0
        if nothing_less or (node.op == "+" and len(operands) == 1):
            return self.tree(node_of(operands[0]), unit, name)
        things = [self._bare(node_of(p)) for p in operands if not _is_plain(node_of(p))]
        if node.op != "*" or len(things) != 1 or not (things[0].label or things[0].formula):
            return None
        child = self.tree(things[0], unit, name)
        times = float(node.value) / float(things[0].value) if things[0].value else 0.0
        if times == 1:
            return child
        return attrs.evolve(
            child, name=f"{times:.6g} x {child.name}", value=self._value(node, unit) if unit else child.value
        )

    def _unit(self, node: Node) -> str:
        """Find the unit of a sum, a difference or a choice by what a formula in it returns."""
        pending = [node]
        while pending:
            current = pending.pop()
            spec = formula_of(current.formula)
            if spec is not None:
                return spec.returns
            if current.op in _KEEP_UNIT:
                pending += [p.node for p in current.parents if isinstance(p, Traced)]
        return ""

    def _bare(self, node: Node) -> Node:
        """Look through sums of one term."""
        while node.op == "+" and not (node.label or node.formula) and len(self._operands(node)) == 1:
            node = node_of(self._operands(node)[0])
        return node

    def _children(self, node: Node, unit: str) -> tuple[Explanation, ...]:
        same = unit if node.op in _KEEP_UNIT else ""
        operands = [p for p in self._operands(node) if isinstance(p, Traced) or node.op in ("*", "/", "**", "-")]
        names = _PARTS.get(node.op, ("argument",))
        if node.op == "+":
            operands.sort(key=lambda p: -abs(float(p)))
        if node.op == "*":
            operands = [p for p in operands if isinstance(p, Traced) or p != 1] or operands
        found = [
            self.tree(node_of(p), same, _part(names[min(position, len(names) - 1)], p))
            for position, p in enumerate(operands)
        ]
        if node.op == "+" and node.value:
            found = [attrs.evolve(c, share=float(p) / float(node.value)) for c, p in zip(found, operands, strict=True)]
        return tuple(found)

    def _operands(self, node: Node) -> list[Any]:
        """Flatten chains of one operation, except through named or formula nodes; zeros stay where all are zero."""
        flat: list[Any] = []
        for parent in node.parents:
            inner = node_of(parent)
            chain = inner.op == node.op and node.op in ("+", "*") and not (inner.label or inner.formula or inner.origin)
            flat += self._operands(inner) if chain else [parent]
        return [p for p in flat if not (node.op == "+" and p == 0)] or flat

    def _titled(self, node: Node, title: str) -> str:
        """Add the formula's name to a label."""
        spec = formula_of(node.formula)
        return title if spec is None or title == spec.name else f"{title} ({spec.name})"

    def _formula(self, node: Node, title: str) -> Explanation:
        function = node.formula
        spec = formula_of(function)
        if function is None or spec is None:
            raise ConfigError(f"{title} is not a formula")
        equation, reference = equation_of(function)
        children = tuple(
            self.tree(node_of(value), spec.units[argument], argument) for argument, value in node.arguments.items()
        )
        shown = format_quantity(float(node.value), spec.returns)
        return Explanation(self._titled(node, title), shown, "formula", equation, reference, children=children)

    def _input(self, node: Node, unit: str) -> Explanation:
        entry, field = entity_of(self.config, node.origin)
        standing = entry.standing(field) if entry is not None else None
        if entry is None or standing is None:
            return self._setting(node, unit, entry, field)
        claim = standing.chosen
        source = entry.sources.get(claim.source)
        name = node.origin if node.origin.startswith(entry.name) else f"{node.origin} of {entry.name}"
        shown = format_quantity(float(node.value), claim.unit)
        how = "see above" if node.origin in self.shown else "input"
        self.shown.add(node.origin)
        return Explanation(
            name, shown, how, badge=standing.badge, as_stated=claim.as_stated if source else claim.reason,
            source=source.title if source else "", url=source.url if source else "", at=claim.at,
            retrieved=source.retrieved if source else "", reason=_reason(claim),
        )  # fmt: skip

    def _setting(self, node: Node, unit: str, entry: Entry | None, field: str) -> Explanation:
        """Say what a constant that was fitted was fitted on; whoever asked set all others."""
        value, parts = self._value(node, unit), field.split(".")
        if entry is None or parts[0] != "calibrations":
            return Explanation(node.origin, value, "setting")
        found = entry.record.calibrations[int(parts[1])]
        how = "see above" if node.origin in self.shown else "setting"
        self.shown.add(node.origin)
        return Explanation(
            f"{node.origin} of {entry.name}", value, how, badge="fitted",
            as_stated=f"on {len(found.rows)} measured rows, {found.date}: {found.command}",
        )  # fmt: skip

    def _value(self, node: Node, unit: str) -> str:
        if isinstance(node.value, (int, float)) and unit and is_number(unit):
            return format_quantity(float(node.value), unit)
        return f"{node.value:.6g}" if isinstance(node.value, float) else str(node.value)


def _reason(claim: Claim) -> str:
    """Say how a number was derived, or between what limits an estimate lies."""
    if claim.kind != "estimate" or claim.low is None or claim.high is None:
        return claim.reason if claim.source else ""
    limits = f"{format_quantity(claim.low, claim.unit)} to {format_quantity(claim.high, claim.unit)}"
    return f"{claim.reason}: {limits}" if claim.source else limits
