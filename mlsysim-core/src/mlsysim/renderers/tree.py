"""The tree behind one answer, drawn or as plain data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from .style import Style, badge_colour

if TYPE_CHECKING:
    from ..explaining.tree import Explanation

__all__ = ["tree_data", "tree_lines"]

_TERMS = 6
"""Terms of a longer sum that are drawn; the rest is said in one line with its share."""

_ROOM = 40
"""Characters that a remark gets at least, however deep it stands."""


def tree_lines(explanation: Explanation, style: Style | None = None, depth: int | None = None) -> Iterator[str]:
    """Draw the tree.

    Parameters
    ----------
    explanation : Explanation
        Its root.
    style : Style, optional
        What the screen can show; plain text by default.
    depth : int or None
        Levels to draw; None draws all.

    Yields
    ------
    str
    """
    yield from _Drawing(style or Style()).node(explanation, "", "", depth)


class _Drawing:
    """Draws trees in one style."""

    def __init__(self, style: Style) -> None:
        self.style = style
        self.cited: set[str] = set()
        self.drawn: set[str] = set()

    def node(self, node: Explanation, first: str, rest: str, depth: int | None) -> Iterator[str]:
        """Draw a node: ``first`` stands before its first line, ``rest`` before all others."""
        glyphs = self.style.glyphs
        children = node.children
        below = rest + (glyphs.trunk if children else glyphs.blank)
        again = node.how == "see above" and node.name in self.drawn
        yield from self.head(node, first, below, again=again)
        if not again:
            self.drawn.add(node.name)
            yield from self.details(node, below)
        if depth is not None and depth <= 1 and children:
            yield self.dim(f"{rest}{glyphs.last}... {_count(node)} more below (--depth)")
            return
        drawn, left_out = _largest(children)
        for position, child in enumerate(drawn):
            end = position == len(drawn) - 1 and not left_out
            branch, trunk = (glyphs.last, glyphs.blank) if end else (glyphs.branch, glyphs.trunk)
            yield from self.node(child, rest + branch, rest + trunk, None if depth is None else depth - 1)
        if left_out:
            share = sum(child.share or 0.0 for child in left_out)
            yield self.dim(f"{rest}{glyphs.last}... {len(left_out)} smaller terms, together {_percent(share)}")

    def head(self, node: Explanation, first: str, below: str, *, again: bool) -> Iterator[str]:
        share = f"  ({_percent(node.share)})" if node.share is not None else ""
        hidden = node.how == "see above" and not node.badge  # it stands among what --depth leaves out
        seen = "  (see above)" if again else "  (--depth 0 shows how)" if hidden else ""
        room = self.style.width - len(first) - len(f"{node.name} = {node.value}{share}{seen}") - 4
        equation = _sentence(node.equation)
        beside = f"    {equation}" if equation and len(equation) <= room else ""
        yield f"{self.dim(first)}{node.name} = {self.style.paint(node.value, 'bold')}{share}{self.dim(seen)}{beside}"
        if equation and not beside:
            yield from self.below(equation, below + "  ")

    def details(self, node: Explanation, below: str) -> Iterator[str]:
        if node.reference and node.reference not in self.cited:
            self.cited.add(node.reference)
            yield from self.below(f"ref: {node.reference}", below + "  ", "dim")
        if node.badge:
            said = (
                f'"{node.as_stated}" {node.source}, {node.at}, read {node.retrieved}' if node.source else node.as_stated
            )
            said += f" ({node.reason})" if node.reason else ""
            yield from self.below(f"[{node.badge}] {said}", below + "  ", badge_colour(node.badge))

    def below(self, text: str, indent: str, *colours: str) -> Iterator[str]:
        """Wrap a remark below a node; a deep one keeps some room of its own."""
        style = attrs.evolve(self.style, width=max(self.style.width, len(indent) + _ROOM))
        for line in style.wrap(text, indent, indent + "  "):
            start = len(line) - len(line[len(indent) :])
            yield self.dim(line[:start]) + self.style.paint(line[start:], *colours)

    def dim(self, text: str) -> str:
        return self.style.paint(text, "dim")


def _sentence(equation: str) -> str:
    """Keep the equation and leave its explanation to the docstring."""
    return equation.partition(". ")[0].rstrip(".")


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _count(node: Explanation) -> int:
    return sum(1 + _count(child) for child in node.children)


def _largest(children: Sequence[Explanation]) -> tuple[Sequence[Explanation], Sequence[Explanation]]:
    """Split the terms of a long sum, which come largest first."""
    if len(children) <= _TERMS + 1 or any(child.share is None for child in children):
        return children, ()
    return children[:_TERMS], children[_TERMS:]


def tree_data(explanation: Explanation) -> dict[str, Any]:
    """Return a tree as plain data.

    Parameters
    ----------
    explanation : Explanation
        Its root.

    Returns
    -------
    dict
        Without empty entries; the whole depth.
    """
    data: dict[str, Any] = {
        field.name: getattr(explanation, field.name)
        for field in attrs.fields(type(explanation))
        if field.name != "children" and getattr(explanation, field.name) not in ("", None)
    }
    if explanation.children:
        data["children"] = [tree_data(child) for child in explanation.children]
    return data
