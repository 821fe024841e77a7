"""From an answer back to its documents: the tree behind one number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import attrs

from .errors import ConfigError, MlsysimError
from .formula import equation_of, formula_of
from .provenance import Standing
from .tracing import Node, Traced, formula_calls, named, node_of, trace, trace_record
from .units import format_quantity

if TYPE_CHECKING:
    from .config import SimulationConfig
    from .entities import Entry
    from .evaluation import SystemEvaluation

__all__ = ["Explanation", "evidence", "explain"]


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
    source, at, retrieved, badge, as_stated : str
        Of a sourced input.
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
    at: str = ""
    retrieved: str = ""
    badge: str = ""
    as_stated: str = ""
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
        from .renderers.tree import tree_lines

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


def traced_answers(config: SimulationConfig, *, formulas: bool = True) -> tuple[dict[str, Any], dict[str, str]]:
    """Solve a scenario once more on numbers that remember where they came from.

    Parameters
    ----------
    config : SimulationConfig
        The checked scenario.
    formulas : bool
        Whether calls of formulas are noted; finding inputs alone does without, which is quicker.

    Returns
    -------
    answers : dict of str to traced number
        By output name.
    units : dict of str to str
        Unit of each output.
    """
    from .choosing import choose_solvers
    from .evaluation import build_request
    from .plugins import plugins
    from .running import load_solver

    known: dict[str, Any] = {}
    units: dict[str, str] = {}
    chosen, _ = choose_solvers(config, plugins())
    with formula_calls() if formulas else nullcontext():
        for spec in chosen:
            absent = any(role not in config.entries for role, required in spec.roles if required)
            if absent or any(n not in known for n in spec.needs if not n.endswith("?")):
                continue
            request = build_request(config, spec, known)
            traced = attrs.evolve(
                request,
                scenario=attrs.evolve(
                    request.scenario,
                    workload=trace_record(request.scenario.workload, "workload"),
                    system=trace_record(request.scenario.system, "system"),
                ),
                records={role: trace_record(record, role) for role, record in request.records.items()},
                settings={
                    k: trace(v, "input", origin=f"settings.{spec.name}.{k}") for k, v in request.settings.items()
                },
            )
            solver = load_solver(spec)
            try:
                answers = solver.compute(solver.prepare(traced))
            except MlsysimError:  # the evaluation says "not evaluated" with this reason
                continue
            known.update({name: _titled(value, spec.labels.get(name, "")) for name, value in answers.items()})
            units.update(spec.outputs)
    return {name: value for name, value in known.items() if name in units}, units


def _titled(answer: Any, label: str) -> Any:
    """Name an answer for the solvers that take it, unless it has a name."""
    node = node_of(answer)
    return answer if node.label or node.formula or node.origin else named(answer, label)


def explain(evaluation: SystemEvaluation, output: str) -> Explanation:
    """Build the tree behind one answer.

    Parameters
    ----------
    evaluation : SystemEvaluation
        As :func:`mlsysim.evaluate` returned it.
    output : str
        Full or short name of an output.

    Returns
    -------
    Explanation

    Raises
    ------
    ConfigError
        If there is no such answer, or the evaluation was read back from a file.
    """
    if not hasattr(evaluation, "answers"):
        raise ConfigError(f"{type(evaluation).__name__} is no evaluation", where="evaluation", remedy="Evaluate it")
    answer = evaluation[output]
    config = _config_of(evaluation)
    answers, units = traced_answers(config)
    builder = _Builder(config, units)
    tree = builder.tree(node_of(answers[answer.name]), units[answer.name], answer.name)
    level, _, short = answer.name.rpartition(".")
    if not isinstance(answers[answer.name], Traced) and short in _DECIDED_BY:
        grounds = [f"{level}.{name}" for name in _DECIDED_BY[short] if f"{level}.{name}" in answers]
        children = tuple(builder.tree(node_of(answers[name]), units[name], name) for name in grounds)
        tree = attrs.evolve(tree, how="decision", children=children)
    return attrs.evolve(tree, name=answer.name, value=str(answer))


def evidence(evaluation: SystemEvaluation) -> dict[str, Standing]:
    """Return the standing of every sourced number behind the answers.

    Parameters
    ----------
    evaluation : SystemEvaluation
        As :func:`mlsysim.evaluate` returned it.

    Returns
    -------
    dict of str to Standing
        By ``role.field``.
    """
    config = _config_of(evaluation)
    answers, _ = traced_answers(config, formulas=False)
    found: dict[str, Standing] = {}
    for origin in sorted(_origins(answers.values())):
        standing = _standing(config, origin)
        if standing is not None:
            found[origin] = standing
    return found


def _origins(answers: Iterable[Any]) -> set[str]:
    """Collect the inputs that some answers were computed from."""
    origins: set[str] = set()
    pending = [value.node for value in answers if isinstance(value, Traced)]
    seen = set(map(id, pending))
    while pending:
        node = pending.pop()
        if node.origin:
            origins.add(node.origin)
        for parent in node.parents:
            if isinstance(parent, Traced) and id(parent.node) not in seen:
                seen.add(id(parent.node))
                pending.append(parent.node)
    return origins


def _config_of(evaluation: SystemEvaluation) -> SimulationConfig:
    if evaluation.config is not None:
        return evaluation.config
    from .config import SimulationConfig

    return SimulationConfig.from_scenario(evaluation.scenario)


def _entity(config: SimulationConfig, origin: str) -> tuple[Entry | None, str]:
    """Find what an origin names: ``role.field``, or ``kind/key.field`` of an entity that a solver looked up itself."""
    role, _, field = origin.partition(".")
    if role in config.entries:
        return config.entries[role], field
    kind, slash, rest = origin.partition("/")
    if slash:
        from .plugins import plugins

        registry = plugins().registry
        for key in registry.keys(kind):
            if rest.startswith(f"{key}."):
                return registry.get(kind, key), rest[len(key) + 1 :]
    return None, field


def _standing(config: SimulationConfig, origin: str) -> Standing | None:
    entry, field = _entity(config, origin)
    return entry.standing(field) if entry is not None else None


_DECIDED_BY = {"bound": ("bound_factor",), "fits": ("memory_required", "memory_usable")}
"""Answers in words, which have no history of their own, and the numbers that decide them."""

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


class _Builder:
    """Turns trace nodes into explanations, each shared part written once."""

    def __init__(self, config: SimulationConfig, units: dict[str, str]) -> None:
        self.config = config
        self.units = units
        self.written: set[int] = set()
        self.shown: set[str] = set()

    def tree(self, node: Node, unit: str, name: str) -> Explanation:
        if node.origin:
            return self.input(node, unit)
        unit = unit or self.unit(node)
        shown = self.value(node, unit)
        if _is_plain(node):
            return Explanation(name, shown, "constant")
        title = node.label or (node.formula.__name__ if node.formula else name)
        if id(node) in self.written:
            return Explanation(self.titled(node, title), shown, "see above")
        if node.formula is None and not node.label:
            single = self.single(node, unit, name)
            if single is not None:
                return single
        self.written.add(id(node))
        if node.formula is not None:
            return self.formula(node, title)
        return Explanation(title, shown, _OPERATIONS.get(node.op, node.op), children=self.children(node, unit))

    def single(self, node: Node, unit: str, name: str) -> Explanation | None:
        """Say "5 x layer" for a multiple of one thing, and nothing at all for a sum of one."""
        operands = self.operands(node)
        nothing_less = node.op == "-" and not isinstance(operands[1], Traced) and operands[1] == 0
        if nothing_less or (node.op == "+" and len(operands) == 1):
            return self.tree(node_of(operands[0]), unit, name)
        things = [self.bare(node_of(p)) for p in operands if not _is_plain(node_of(p))]
        if node.op != "*" or len(things) != 1 or not (things[0].label or things[0].formula):
            return None
        child = self.tree(things[0], unit, name)
        times = float(node.value) / float(things[0].value) if things[0].value else 0.0
        if times == 1:
            return child
        return attrs.evolve(
            child, name=f"{times:.6g} x {child.name}", value=self.value(node, unit) if unit else child.value
        )

    def unit(self, node: Node) -> str:
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

    def bare(self, node: Node) -> Node:
        """Look through sums of one term."""
        while node.op == "+" and not (node.label or node.formula) and len(self.operands(node)) == 1:
            node = node_of(self.operands(node)[0])
        return node

    def children(self, node: Node, unit: str) -> tuple[Explanation, ...]:
        same = unit if node.op in _KEEP_UNIT else ""
        operands = [p for p in self.operands(node) if isinstance(p, Traced) or node.op in ("*", "/", "**", "-")]
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

    def operands(self, node: Node) -> list[Any]:
        """Flatten chains of one operation, except through named or formula nodes; zeros stay where all are zero."""
        flat: list[Any] = []
        for parent in node.parents:
            inner = node_of(parent)
            chain = inner.op == node.op and node.op in ("+", "*") and not (inner.label or inner.formula or inner.origin)
            flat += self.operands(inner) if chain else [parent]
        return [p for p in flat if not (node.op == "+" and p == 0)] or flat

    def titled(self, node: Node, title: str) -> str:
        """Add the formula's name to a label."""
        spec = formula_of(node.formula)
        return title if spec is None or title == spec.name else f"{title} ({spec.name})"

    def formula(self, node: Node, title: str) -> Explanation:
        function = node.formula
        spec = formula_of(function)
        if function is None or spec is None:
            raise ConfigError(f"{title} is no formula")
        equation, reference = equation_of(function)
        children = tuple(
            self.tree(node_of(value), spec.units[argument], argument) for argument, value in node.arguments.items()
        )
        shown = format_quantity(float(node.value), spec.returns)
        return Explanation(self.titled(node, title), shown, "formula", equation, reference, children=children)

    def input(self, node: Node, unit: str) -> Explanation:
        entry, field = _entity(self.config, node.origin)
        standing = entry.standing(field) if entry is not None else None
        if entry is None or standing is None:
            return Explanation(node.origin, self.value(node, unit), "setting")
        claim = standing.chosen
        source = entry.sources.get(claim.source)
        name = node.origin if node.origin.startswith(entry.name) else f"{node.origin} of {entry.name}"
        shown = format_quantity(float(node.value), claim.unit)
        how = "see above" if node.origin in self.shown else "input"
        self.shown.add(node.origin)
        return Explanation(
            name, shown, how, badge=standing.badge, as_stated=claim.as_stated if source else claim.reason,
            source=source.title if source else "", at=claim.at, retrieved=source.retrieved if source else "",
        )  # fmt: skip

    def value(self, node: Node, unit: str) -> str:
        if isinstance(node.value, (int, float)) and unit and unit != "bool" and not unit.startswith("choice"):
            return format_quantity(float(node.value), unit)
        return f"{node.value:.6g}" if isinstance(node.value, float) else str(node.value)
