"""Cells of a table as people write them: numbers with separators, suffixes and units, and words for no entry."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

from mlsysim.errors import UnitError
from mlsysim.units import parse_quantity, parse_unit

__all__ = ["COUNTS", "READ", "cleaned", "count_of", "figure_of"]

READ = "(read)"
"""Under which a row's configuration says what was read otherwise than it stands."""

COUNTS = frozenset({
    "layers", "hidden", "heads", "kv_heads", "ffn_hidden", "vocab", "n_experts", "experts_per_token", "seq_len",
    "global_batch", "micro_batch", "n_accelerators", "accel_per_node", "tp", "pp", "dp", "cp", "ep", "interleave_vp",
    "batch_or_concurrency", "input_len", "output_len", "isl", "osl", "batch_size", "concurrency", "tp_size", "pp_size",
    "attention_dp_size", "moe_tp_size", "moe_ep_size", "prefill_batch_size", "prefill_num_workers", "prefill_tp_size",
    "prefill_pp_size", "prefill_attention_dp_size", "prefill_moe_tp_size", "prefill_moe_ep_size", "decode_batch_size",
    "decode_num_workers", "decode_tp_size", "decode_pp_size", "decode_attention_dp_size", "decode_moe_tp_size",
    "decode_moe_ep_size",
})  # fmt: skip
"""Columns that hold counts and lengths."""

_LENGTHS = frozenset({"seq_len", "input_len", "output_len", "isl", "osl"})
"""Columns whose ``k`` is 1024, as contexts are named."""

_TEXTS = frozenset({"accelerator", "system", "model", "framework", "precision", "weight_precision", "kv_precision",
                    "dtype", "gemm_quant_mode", "moe_quant_mode"})  # fmt: skip
"""Columns of text in which a word for no entry is no entry."""

_NOTHING = frozenset({"-", "--", "–", "—", "n/a", "na", "nan", "null", "unknown", "?", "unspecified", "not stated",
                      "not published", "not reported", "tbd"})  # fmt: skip
"""Words for no entry; ``none`` is one among counts alone: elsewhere it says that something was off."""

_THOUSANDS = re.compile(r"[+-]?\d{1,3}(?:([, _'’])\d{3})(?:\1\d{3})*(?:\.\d+)?")
_DECIMAL_COMMA = re.compile(r"([+-]?\d+),(\d{1,2}|\d{4,})")
_NUMBER = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*(.*)")
_NODES = re.compile(r"(\d+)\s*[x×*]\s*(\d+)")
_COUNTED = re.compile(r"(?:tokens?|toks?|gpus?|tpus?|chips?|accelerators?|devices?|layers?|heads?|experts?|requests?|"
                      r"samples?|sequences?|seqs?|users?)")  # fmt: skip
_THOUSAND, _BINARY = 1000, 1024


def _plain(text: str) -> str:
    """Drop the separators of thousands and make a decimal comma a point."""
    if _THOUSANDS.fullmatch(text):
        return re.sub(r"[, _'’]", "", text)
    comma = _DECIMAL_COMMA.fullmatch(text)
    return f"{comma[1]}.{comma[2]}" if comma else text


def _split(text: str) -> tuple[str, str]:
    """Split a cell into its number and what follows it."""
    whole = _plain(text)
    found = _NUMBER.fullmatch(whole)
    if found is None or (found[2] and found[2][0] in ",'_"):
        head, _, tail = text.partition(" ")
        found = _NUMBER.fullmatch(f"{_plain(head)} {tail}".strip())
    return (found[1], found[2].strip()) if found else ("", text)


def figure_of(text: str, unit: str) -> tuple[float, str]:
    """Read a published figure.

    Parameters
    ----------
    text : str
        As printed: separators of thousands, a ``k`` for a thousand, and a unit after it are understood.
    unit : str
        Unit of the figure where the cell prints none.

    Returns
    -------
    value : float
        In ``unit``; not a number where the cell holds no positive number.
    fault : str
        Why it does not; empty where it does.
    """
    number, rest = _split(text)
    value = float(number) if number else math.nan
    if rest[:1] in ("k", "K") and not rest[1:2].isalnum():
        value, rest = value * _THOUSAND, rest[1:].strip()
    if number and rest:
        try:
            value = parse_quantity(f"{value!r} {rest}", unit) / parse_unit(unit).factor
        except UnitError as problem:
            return math.nan, f"value = {text!r}: {problem.what}"
    if math.isfinite(value) and value > 0.0:
        return value, ""
    return math.nan, f"value = {text!r} is not a positive number"


def count_of(text: str, column: str) -> str:
    """Read a count or a length.

    Parameters
    ----------
    text : str
        As printed.
    column : str
        Its column; in those of lengths ``k`` is 1024, in that of devices ``2x8`` is a product.

    Returns
    -------
    str
        As a plain number, or as printed where it is none.
    """
    nodes = _NODES.fullmatch(text) if column == "n_accelerators" else None
    if nodes is not None:
        return str(int(nodes[1]) * int(nodes[2]))
    number, rest = _split(text)
    if not number:
        return text
    if rest[:1] in ("k", "K") and not rest[1:2].isalnum() and column in _LENGTHS:
        number, rest = f"{float(number) * _BINARY:.17g}", rest[1:].strip()
    return number if not rest or _COUNTED.fullmatch(rest.casefold()) else text


def cleaned(row: Mapping[str, str]) -> dict[str, str]:
    """Return the cells of a row with plain counts, and words for no entry left out.

    Parameters
    ----------
    row : mapping of str to str
        Cells by column.

    Returns
    -------
    dict of str to str
        What was read otherwise than it stands is told under :data:`READ`.
    """
    found, told = dict(row), []
    for column, text in row.items():
        if not text:
            continue
        folded = text.casefold()
        if column in COUNTS:
            if folded in _NOTHING or folded == "none":
                found[column] = ""
                continue
            found[column] = count_of(text, column)
            if found[column] != text and not _same(found[column], text):
                told.append(f"{column} {text!r} as {found[column]}")
        elif column in _TEXTS and folded in _NOTHING:
            found[column] = ""
    if told:
        found[READ] = "; ".join(told)
    return found


def _same(number: str, text: str) -> bool:
    """Tell whether only separators or a counted noun were dropped: no other reading is possible."""
    return "k" not in text.casefold().split(" ")[0] and _NODES.fullmatch(text) is None and number[:1] == text[:1]
