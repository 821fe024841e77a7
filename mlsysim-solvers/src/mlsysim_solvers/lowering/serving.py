"""Prefill and decode of whatever generates text."""

from __future__ import annotations

from typing import Any

from .attention import Abilities
from .operators import Formats, Table
from .pair import PairShape, pair_decode, pair_prefill
from .shape import TransformerShape
from .state_space import StateShape, state_decode, state_prefill
from .transformer import decode, prefill

__all__ = ["Generator", "first_pass", "next_token"]

Generator = TransformerShape | PairShape | StateShape
"""Shapes that generate text."""

_PREFILL: dict[type, Any] = {TransformerShape: prefill, PairShape: pair_prefill, StateShape: state_prefill}
_DECODE: dict[type, Any] = {TransformerShape: decode, PairShape: pair_decode, StateShape: state_decode}


def first_pass(shape: Generator, formats: Formats, abilities: Abilities, batch: Any, input: Any) -> Table:  # noqa: A002
    """Return the pass that reads the prompts and yields the first token of each.

    Parameters
    ----------
    shape : TransformerShape, PairShape or StateShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Prompts.
    input : float or array, count
        Tokens of each.

    Returns
    -------
    list of Operator
    """
    table: Table = _PREFILL[type(shape)](shape, formats, abilities, batch, input)
    return table


def next_token(
    shape: Generator, formats: Formats, abilities: Abilities, batch: Any, input: Any, output: Any  # noqa: A002
) -> Table:  # fmt: skip
    """Return the average decode step of an answer.

    Parameters
    ----------
    shape : TransformerShape, PairShape or StateShape
        The model.
    formats : Formats
        Number formats.
    abilities : Abilities
        What the stack can do.
    batch : float or array, count
        Sequences, one new token each.
    input, output : float or array, count
        Tokens of prompt and answer.

    Returns
    -------
    list of Operator
    """
    table: Table = _DECODE[type(shape)](shape, formats, abilities, batch, input, output)
    return table
