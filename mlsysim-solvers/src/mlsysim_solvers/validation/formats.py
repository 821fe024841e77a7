"""Formats of numbers as people write them: what is left without their dress, and what to write for an open one."""

from __future__ import annotations

import re
from collections.abc import Iterable

from mlsysim.names import did_you_mean

__all__ = ["plain_format", "stored_format", "unknown_format"]

_DRESS = re.compile(
    r"(?<![a-z0-9])(?:torch|mixed|pure|true|amp|autocast|precision|dynamic|static|dyn|block ?(?:wise|scaled|scaling)|"
    r"(?:tensor|row|channel)wise|per (?:tensor|token|channel|row)|(?:delayed|current) scaling|hybrid|modelopt|ammo|ocp|"
    r"ptq|qat|quanti[sz]ed|quanti[sz]ation|tensor cores?|training|inference|weights and activations|w4a4)(?![a-z0-9])"
)
"""How a format was reached and scaled, the library that made it, and what training keeps beside it."""
_BITS = re.compile(r"(?:exl[23] )?(\d+(?:\.\d+)?) ?bpw")
_NARROW = re.compile(r"(?<![a-z0-9])(?:int4|uint4|4 ?bits?|w4a16|awq|gptq)(?![a-z0-9])")
_BYTES = re.compile(r"(?<![a-z0-9])(?:(?:awq|gptq) (?:int8|8 ?bits?)|(?:int8|8 ?bits?) (?:awq|gptq))(?![a-z0-9])")
_OTHER = re.compile(r"w4a(?:4|8)|w8|fp8|nvfp4|mxfp4")
_GROUP = re.compile(r"(?<![a-z])(?:g|gs|group(?: ?size)?) ?=? ?(\d+)")

_OPEN = (
    (r"w8a8|8 ?bits?|8", "it leaves open whether its 8 bits are fp8 or int8: write one, or w8a16 for weights alone"),
    (r"w4a8", "it leaves open what products are made in: write w4a8 fp8 or w4a8 int8"),
    (r"mixed|mixed precision|w?16a?16|16 ?bits?|16\.16|16\.32|16", "it leaves open which 16 bits: write fp16 or bf16"),
    (r"w?[123]|w[123]a\d+|int[123]|[123](?:\.\d+)? ?bits?|b?1\.58|ternary|binary|exl[23]|hqq|gguf|awq|gptq|quant",
     "it leaves open how many bits are stored: write bits per weight with their scales, such as 2.5 bpw"),
    (r"auto|dtype auto|none|default|native|original", "write the format that the run used"),
)  # fmt: skip
"""Texts that several formats may mean, and what to write instead."""


def plain_format(text: str) -> str:
    """Drop from the name of a format what changes neither the rate of products nor the size of what is stored.

    Parameters
    ----------
    text : str
        In lower case, words apart.

    Returns
    -------
    str
        What is left; nothing where the text names no format at all.
    """
    return " ".join(_DRESS.sub(" ", text.replace("torch.", "torch ")).split())


def stored_format(text: str) -> str:
    """Return the bits per weight of integers with the scales of their groups, beside 16-bit arithmetic.

    Parameters
    ----------
    text : str
        In lower case, words apart.

    Returns
    -------
    str
        As the table of formats writes it; empty where the text names no such format.

    Notes
    -----
    b + (16 + b) / g: for each group of g weights of b bits, 128 unless the text says otherwise, a scale of 16 bits and
    a zero point of b.
    """
    given = _BITS.fullmatch(text)
    if given:
        return f"fp16/{given[1]}bpw"
    bits = 8.0 if _BYTES.search(text) else 4.0 if _NARROW.search(text) else 0.0
    if not bits or (bits < 8.0 and _OTHER.search(text)):
        return ""
    group = _GROUP.search(text)
    return f"fp16/{bits + (16.0 + bits) / (int(group[1]) if group else 128):.4g}bpw"


def unknown_format(text: str, spaced: str, known: Iterable[str]) -> str:
    """Say what is wrong with a format that is not known, and what to write.

    Parameters
    ----------
    text, spaced : str
        As published; the same in lower case, words apart.
    known : iterable of str
        Formats that are known.

    Returns
    -------
    str
    """
    why = next((advice for pattern, advice in _OPEN if re.fullmatch(pattern, spaced)), "")
    advice = why or did_you_mean(spaced, known)
    return f"the precision {text!r} is not known" + (f": {advice}" if advice else "")
