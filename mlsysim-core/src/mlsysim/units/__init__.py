"""Reading and writing of quantities as text, without pint.

Inside mlsysim every number is a plain SI ``float``. This module turns ``"3.35 TB/s"``
into ``3.35e12`` and back. The base dimensions are the physical ones that occur and five
that keep different things apart: information (byte), computation (FLOP), currency,
token and sample. A rate of bytes is thus never mistaken for a frequency, and a FLOP is
not a FLOP/s.
"""

from __future__ import annotations

import math
import numbers
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from ..errors import UnitError
from ..names import did_you_mean
from .table import BASE_DIMENSIONS, BASE_SYMBOLS, COUNT_SUFFIXES, PREFIXES, SUPERSCRIPTS, UNIT_TABLE, UnitDef

__all__ = [
    "BASE_DIMENSIONS",
    "DIMENSIONLESS",
    "UNIT_TABLE",
    "Unit",
    "UnitDef",
    "dimension_text",
    "format_quantity",
    "parse_quantity",
    "parse_unit",
    "register_units",
    "unit_symbols",
]

Dimension = tuple[int, ...]
DIMENSIONLESS: Dimension = (0,) * len(BASE_DIMENSIONS)


class Unit(NamedTuple):
    """A parsed unit.

    Parameters
    ----------
    text : str
        The unit as written.
    factor : float
        Size of one unit in SI base units.
    dimension : tuple of int
        Exponents in the order of :data:`BASE_DIMENSIONS`.
    """

    text: str
    factor: float
    dimension: Dimension


_table: dict[str, tuple[float, Dimension]] = {}
_extra: list[UnitDef] = []


def _base_dimension(text: str) -> Dimension:
    exponents = [0] * len(BASE_DIMENSIONS)
    for factor in text.split():
        symbol, _, power = factor.partition("^")
        exponents[BASE_SYMBOLS.index(symbol)] += int(power or 1)
    return tuple(exponents)


def unit_symbols() -> Mapping[str, tuple[float, Dimension]]:
    """Return every symbol with its SI factor and dimension.

    Returns
    -------
    mapping of str to (float, tuple of int)
    """
    if not _table:
        rows = (*UNIT_TABLE, *_extra)
        for row in rows:
            if row.prefixable:
                dimension = _base_dimension(row.dimension)
                for prefix, size in PREFIXES.items():
                    _table.setdefault(prefix + row.symbol, (size * row.factor, dimension))
        # Exact symbols win over prefixed ones: "min" is a minute, "T" a transfer.
        for row in rows:
            _table[row.symbol] = (float(row.factor), _base_dimension(row.dimension))
    return _table


def register_units(units: Iterable[UnitDef]) -> None:
    """Add rows to the unit table.

    Parameters
    ----------
    units : iterable of UnitDef
        New units; a symbol that exists with another meaning is refused.

    Raises
    ------
    UnitError
        If a symbol is taken or its dimension names no base unit.
    """
    added: list[UnitDef] = []
    for row in units:
        known = unit_symbols().get(row.symbol)
        try:
            new = (float(row.factor), _base_dimension(row.dimension))
        except ValueError:
            raise UnitError(
                f"unit {row.symbol!r} has the dimension {row.dimension!r}",
                remedy=f"Write it as a product of {', '.join(BASE_SYMBOLS)}, for example 'kg m^2 s^-2'",
            ) from None
        if known is not None and known != new:
            raise UnitError(f"unit {row.symbol!r} exists already with another meaning", remedy="Choose another symbol")
        if known is None:
            added.append(row)
    if added:
        _extra.extend(added)
        _forget()


def _forget() -> None:
    """Forget what was read with the units known so far."""
    _table.clear()
    parse_unit.cache_clear()
    _parse_text.cache_clear()


_NAMED: dict[Dimension, str] = {
    tuple({"time": -2, "length": 2, "mass": 1}.get(name, 0) for name in BASE_DIMENSIONS): "J",
    tuple({"time": -3, "length": 2, "mass": 1}.get(name, 0) for name in BASE_DIMENSIONS): "W",
}
"""Dimensions that have a name of their own."""


def dimension_text(dimension: Dimension) -> str:
    """Write a dimension in base symbols.

    Parameters
    ----------
    dimension : tuple of int
        Exponents in the order of :data:`BASE_DIMENSIONS`.

    Returns
    -------
    str
        For example ``"B/s"``, ``"W"``; ``"1"`` for a pure number.
    """
    if dimension in _NAMED:
        return _NAMED[dimension]

    def side(sign: int) -> list[str]:
        return [
            symbol if abs(power) == 1 else f"{symbol}^{abs(power)}"
            for symbol, power in zip(BASE_SYMBOLS, dimension, strict=True)
            if power * sign > 0
        ]

    above, below = side(1), side(-1)
    return "/".join([" ".join(above) or "1", *below])


_FACTOR = re.compile(r"([A-Za-zµμ%$][A-Za-z0-9µμ]*?)(?:(?:\^|\*\*)(-?[0-9])|(?<=[A-Za-zµμ])([0-9]))?$|^(1)$")


@lru_cache(maxsize=1024)
def parse_unit(text: str) -> Unit:
    """Read a unit.

    Parameters
    ----------
    text : str
        Products with a space or ``*``, quotients with ``/``, powers as ``m^2`` or ``mm2``.

    Returns
    -------
    Unit

    Raises
    ------
    UnitError
        If a symbol is unknown; the message suggests near ones.
    """
    symbols = unit_symbols()
    clean = text.translate(SUPERSCRIPTS).strip()
    if clean in symbols:
        return Unit(text, *symbols[clean])
    if not clean:
        return Unit(text, 1.0, DIMENSIONLESS)
    factor, exponents = 1.0, [0] * len(BASE_DIMENSIONS)
    for position, part in enumerate(clean.split("/")):
        sign = 1 if position == 0 else -1
        for piece in re.split(r"\s+|\*(?!\*)(?<!\*\*)", part.strip()):
            size, dimension, power = _read_factor(piece, text)
            factor *= size ** (sign * power)
            for i, exponent in enumerate(dimension):
                exponents[i] += sign * power * exponent
    if not 0 < factor < float("inf"):
        raise UnitError(f"the unit {text!r} is too large or too small for a number")
    return Unit(text, factor, tuple(exponents))


def _read_factor(piece: str, text: str) -> tuple[float, Dimension, int]:
    symbols = unit_symbols()
    if piece in symbols:
        return (*symbols[piece], 1)
    match = _FACTOR.match(piece)
    if match and match[1] in symbols:
        return (*symbols[match[1]], int(match[2] or match[3] or 1))
    if not piece:
        raise UnitError(f"unknown unit {text!r}: nothing stands on one side of * or /",
                        remedy='Name both, for example "sample/s"')  # fmt: skip
    same_fold = [s for s in symbols if s.casefold() == piece.casefold()]
    hint = f"Did you mean {same_fold[0]!r}?" if same_fold else did_you_mean(piece, symbols)
    within = "" if piece == text else f" in {text!r}"
    raise UnitError(f"unknown unit {piece!r}{within}", remedy=hint)


# A comma groups thousands: 1,5 is no number, and must not become 15.
_NUMBER = re.compile(r"\s*([+-]?(?:\d{1,3}(?:,\d{3})+(?:\.\d*)?|\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\d,_.])")


def parse_quantity(text: str | float, unit: str) -> float:
    """Read a number with its unit and return it in SI.

    Parameters
    ----------
    text : str or number
        For example ``"3.35 TB/s"`` or ``"81,559 MiB"``. A bare number is accepted only
        where ``unit`` is dimensionless, or counts tokens or samples.
    unit : str
        The unit that the place asks for; it fixes the dimension.

    Returns
    -------
    float
        The value in SI base units.

    Raises
    ------
    UnitError
        If the text is not a number with a unit, or the dimension is another.
    """
    if isinstance(text, str):
        return _parse_text(text, unit)
    wanted = parse_unit(unit)
    # Whole numbers of numpy are numbers too.
    if isinstance(text, bool) or not isinstance(text, numbers.Real):
        raise UnitError(f"expected a quantity in {unit or '1'}, got {text!r}", remedy=_example(unit))
    try:
        number = float(text)
    except OverflowError:
        number = math.inf
    return _bare_number(number, wanted)


@lru_cache(maxsize=4096)
def _parse_text(text: str, unit: str) -> float:
    """Read a quantity as text, once: the same few stand in many files."""
    wanted = parse_unit(unit)
    match = _NUMBER.match(text)
    if not match:
        hint = "A fraction has a point (1.5); commas group thousands (1,500)" if "," in text else _example(unit)
        raise UnitError(f"{text!r} is not a number" + " with a unit" * (unit not in ("", "1")), remedy=hint)
    digits = match[1].replace(",", "").replace("_", "")
    symbol = text[match.end() :].strip()
    if not symbol:
        return _bare_number(float(digits), wanted, text)
    if wanted.dimension == DIMENSIONLESS and symbol in COUNT_SUFFIXES:
        return _finite(float(digits) * COUNT_SUFFIXES[symbol], text)
    given = parse_unit(symbol)
    if given.dimension != wanted.dimension:
        raise UnitError(
            f"{text!r} is {dimension_text(given.dimension)}, but {dimension_text(wanted.dimension)} is needed here",
            remedy=_confusion(given, wanted) or f"Give it in {unit or '1'}{'s' * (unit in ('token', 'sample'))}",
        )
    return _finite(_scaled(digits, given.factor), text)


def _example(unit: str) -> str:
    return "Write for example 3" if unit in ("", "1") else f'Write for example "3 {unit}"'


@lru_cache(maxsize=256)
def _decimal_exponent(factor: float) -> int | None:
    """Return n for a factor of exactly ten to the n."""
    exponent = round(math.log10(factor))
    return exponent if float(f"1e{exponent}") == factor else None


def _scaled(digits: str, factor: float) -> float:
    """Multiply printed digits by a unit's size without a rounding error for decimal prefixes."""
    exponent = _decimal_exponent(factor)
    if exponent is None:
        return float(digits) * factor
    mantissa, _, power = digits.lower().partition("e")
    return float(f"{mantissa}e{int(power or 0) + exponent}")


@lru_cache(maxsize=256)
def _counts(dimension: tuple[int, ...]) -> bool:
    """Say whether a dimension is that of a plain number, or of a count of tokens or samples."""
    counted = {BASE_DIMENSIONS.index("token"), BASE_DIMENSIONS.index("sample")}
    return not any(power for i, power in enumerate(dimension) if i not in counted)


def _bare_number(number: float, wanted: Unit, text: object = None) -> float:
    _finite(number, number if text is None else text)
    if not _counts(wanted.dimension):
        shown = f"{number:g}" if text is None else repr(text)
        raise UnitError(
            f"{shown} has no unit", remedy=f'Write it with its unit, for example "{number:g} {wanted.text}"'
        )
    return number


def _finite(value: float, text: object) -> float:
    if not math.isfinite(value):
        raise UnitError(f"{text!r} is not a finite number", remedy="Give a finite number")
    return value


def _confusion(given: Unit, wanted: Unit) -> str:
    """Say which of the usual confusions this is, if it is one."""
    time = BASE_DIMENSIONS.index("time")
    computation = BASE_DIMENSIONS.index("computation")
    difference = [a - b for a, b in zip(given.dimension, wanted.dimension, strict=True)]
    only_time = all(d == 0 for i, d in enumerate(difference) if i != time)
    if given.dimension[computation] and wanted.dimension[computation] and only_time:
        return "FLOP is an amount of work, FLOP/s (also written FLOPS) is a rate, and one MAC is 2 FLOP"
    if only_time and difference[time] == -1:
        return f"{given.text} is a rate and an amount is needed: multiply by a time, or drop the '/s'"
    if only_time and difference[time] == 1:
        return f"{given.text} is an amount and a rate is needed: did you forget '/s'?"
    return ""


_SHOWN_TIMES = (("s", 1.0), ("ms", 1e-3), ("us", 1e-6), ("ns", 1e-9))
_LONG_TIMES = (("days", 86400.0), ("h", 3600.0), ("min", 60.0))
_SHOWN_PREFIXES = (("E", 1e18), ("P", 1e15), ("T", 1e12), ("G", 1e9), ("M", 1e6), ("k", 1e3), ("", 1.0),
                   ("m", 1e-3), ("u", 1e-6), ("n", 1e-9))  # fmt: skip
_PLAIN_UNITS = {"1", "", "USD", "token", "sample", "token/s", "sample/s", "m", "%", "USD/h", "USD/token", "USD/sample",
                "1/s", "tokens/s", "samples/s", "days", "kgCO2e", "m/s", "m/s^2"}  # fmt: skip


def format_quantity(value: float, unit: str, digits: int = 4, *, whole: bool = True) -> str:
    """Write an SI value in the unit and prefix a person would choose.

    Parameters
    ----------
    value : float
        The value in SI base units.
    unit : str
        The unit that the value belongs to, for example ``"B/s"``.
    digits : int
        Significant digits.
    whole : bool
        Whether numbers above 10 to the power of ``digits`` keep all digits before the point, as counts and prices
        do; an estimate does not know them.

    Returns
    -------
    str
        For example ``"3.35 TB/s"``.
    """
    shown = parse_unit(unit)
    if unit == "%":
        return f"{_digits(100 * value, digits)} %"
    if unit == "s":
        return _format_time(value, digits)
    scaled = value / shown.factor
    if "m^2" in unit:
        return f"{_digits(value * 1e6, digits)} mm^2"
    if unit in _PLAIN_UNITS or scaled == 0 or unit.startswith(("k", "USD", "L/", "GiB", "MiB")):
        scaled = scaled if whole else float(f"{scaled:.{digits}g}")
        return f"{_digits(scaled, digits)} {unit if unit != '1' else ''}".strip()
    for prefix, size in _SHOWN_PREFIXES:
        if abs(scaled) >= size * 0.99999:
            return f"{_digits(scaled / size, digits)} {prefix}{unit}"
    return f"{scaled:.{digits}g} {unit}"


def _format_time(value: float, digits: int) -> str:
    for symbol, size in _LONG_TIMES:
        if abs(value) >= 2 * size:
            return f"{_digits(value / size, digits)} {symbol}"
    for symbol, size in _SHOWN_TIMES:
        if abs(value) >= size * 0.99999:
            return f"{_digits(value / size, digits)} {symbol}"
    return f"{value:.{digits}g} s"


def _digits(value: float, digits: int) -> str:
    text = f"{value:.{digits}g}"
    if "e" in text:
        text = f"{value:,.0f}" if 1 <= abs(value) < 1e12 else text
    elif abs(value) >= 1000:
        text = f"{float(text):,.15g}"
    return text
