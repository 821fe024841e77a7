"""The unit table, as data: every symbol, its size and its dimension."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["BASE_DIMENSIONS", "BASE_SYMBOLS", "COUNT_SUFFIXES", "PREFIXES", "SUPERSCRIPTS", "UNIT_TABLE", "UnitDef"]

BASE_DIMENSIONS = (
    "time", "length", "mass", "temperature", "current",
    "information", "computation", "currency", "token", "sample",
)  # fmt: skip
"""Names of the base dimensions, in the order of every exponent tuple."""

BASE_SYMBOLS = ("s", "m", "kg", "K", "A", "B", "FLOP", "USD", "token", "sample")
"""Their SI units, in the same order."""


class UnitDef(NamedTuple):
    """One row of the unit table.

    Parameters
    ----------
    symbol : str
        How the unit is written, for example ``"Wh"``.
    factor : float
        Size of one unit in SI base units.
    dimension : str
        Product of base symbols, for example ``"kg m^2 s^-2"``; empty for a pure number.
    prefixable : bool
        Whether ``k``, ``M``, ``G``, ``m``, ``u`` ... may stand in front.
    """

    symbol: str
    factor: float
    dimension: str
    prefixable: bool = False


_ENERGY = "kg m^2 s^-2"
_POWER = "kg m^2 s^-3"

UNIT_TABLE: tuple[UnitDef, ...] = (
    # time
    UnitDef("s", 1, "s", True), UnitDef("min", 60, "s"), UnitDef("h", 3600, "s"),
    UnitDef("hour", 3600, "s"), UnitDef("hours", 3600, "s"), UnitDef("hr", 3600, "s"),
    UnitDef("day", 86400, "s"), UnitDef("days", 86400, "s"), UnitDef("week", 604800, "s"),
    UnitDef("month", 2629800, "s"), UnitDef("year", 31557600, "s"), UnitDef("years", 31557600, "s"),
    UnitDef("Hz", 1, "s^-1", True), UnitDef("fps", 1, "sample s^-1"),
    # length, area, volume
    UnitDef("m", 1, "m", True), UnitDef("L", 1e-3, "m^3", True), UnitDef("l", 1e-3, "m^3"),
    # mass; CO2e is a kind of mass, so the suffix changes nothing
    UnitDef("g", 1e-3, "kg", True), UnitDef("t", 1e3, "kg"), UnitDef("lb", 0.45359237, "kg"),
    UnitDef("gCO2", 1e-3, "kg", True), UnitDef("gCO2e", 1e-3, "kg", True), UnitDef("gCO2eq", 1e-3, "kg", True),
    UnitDef("tCO2e", 1e3, "kg"),
    # temperature, current, voltage, energy, power
    UnitDef("K", 1, "K"), UnitDef("A", 1, "A", True), UnitDef("Ah", 3600, "A s", True),
    UnitDef("V", 1, "kg m^2 s^-3 A^-1", True), UnitDef("J", 1, _ENERGY, True), UnitDef("Wh", 3600, _ENERGY, True),
    UnitDef("W", 1, _POWER, True), UnitDef("Watt", 1, _POWER), UnitDef("Watts", 1, _POWER),
    UnitDef("watts", 1, _POWER), UnitDef("N", 1, "kg m s^-2", True),
    # information: GB is 1e9 B, GiB is 2^30 B, Gb is an eighth of a GB
    UnitDef("B", 1, "B", True), UnitDef("byte", 1, "B"), UnitDef("bytes", 1, "B"), UnitDef("KB", 1e3, "B"),
    UnitDef("KiB", 2**10, "B"), UnitDef("MiB", 2**20, "B"), UnitDef("GiB", 2**30, "B"), UnitDef("TiB", 2**40, "B"),
    UnitDef("PiB", 2**50, "B"), UnitDef("b", 0.125, "B", True), UnitDef("bit", 0.125, "B", True),
    UnitDef("bits", 0.125, "B"), UnitDef("bps", 0.125, "B s^-1", True), UnitDef("Kb", 125, "B"),
    # transfers are counted, not measured: MT/s is a frequency
    UnitDef("T", 1, ""), UnitDef("kT", 1e3, ""), UnitDef("MT", 1e6, ""), UnitDef("GT", 1e9, ""),
    # computation: one multiply-accumulate is two FLOP; integer operations share the dimension
    UnitDef("FLOP", 1, "FLOP", True), UnitDef("FLOPs", 1, "FLOP", True), UnitDef("OP", 1, "FLOP", True),
    UnitDef("OPs", 1, "FLOP", True), UnitDef("MAC", 2, "FLOP", True), UnitDef("MACs", 2, "FLOP", True),
    UnitDef("FLOPS", 1, "FLOP s^-1", True), UnitDef("FLOP/s", 1, "FLOP s^-1", True),
    UnitDef("OPS", 1, "FLOP s^-1", True), UnitDef("MACS", 2, "FLOP s^-1", True),
    UnitDef("teraFLOPS", 1e12, "FLOP s^-1"), UnitDef("petaFLOPS", 1e15, "FLOP s^-1"),
    UnitDef("teraflops", 1e12, "FLOP s^-1"), UnitDef("TFLOPs/s", 1e12, "FLOP s^-1"),
    # money, tokens, samples, pure numbers
    UnitDef("USD", 1, "USD"), UnitDef("$", 1, "USD"),
    UnitDef("token", 1, "token"), UnitDef("tokens", 1, "token"), UnitDef("tok", 1, "token"),
    UnitDef("Mtoken", 1e6, "token"), UnitDef("Msample", 1e6, "sample"),
    UnitDef("sample", 1, "sample"), UnitDef("samples", 1, "sample"), UnitDef("image", 1, "sample"),
    UnitDef("images", 1, "sample"), UnitDef("frame", 1, "sample"), UnitDef("frames", 1, "sample"),
    UnitDef("request", 1, "sample"), UnitDef("requests", 1, "sample"), UnitDef("req", 1, "sample"),
    UnitDef("qps", 1, "sample s^-1"), UnitDef("rps", 1, "sample s^-1"), UnitDef("fps", 1, "sample s^-1"),
    UnitDef("1", 1, ""), UnitDef("%", 0.01, ""), UnitDef("cycle", 1, ""), UnitDef("cycles", 1, ""),
)  # fmt: skip
"""The whole table, as data; plugins add rows through ``mlsysim_register_units``."""

PREFIXES = {
    "Q": 1e30, "R": 1e27, "Y": 1e24, "Z": 1e21, "E": 1e18, "P": 1e15, "T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3,
    "c": 1e-2, "m": 1e-3, "u": 1e-6, "µ": 1e-6, "μ": 1e-6, "n": 1e-9, "p": 1e-12, "f": 1e-15,
}  # fmt: skip
COUNT_SUFFIXES = {"K": 1e3, "M": 1e6, "B": 1e9, "G": 1e9, "T": 1e12,
                   "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12}  # fmt: skip
SUPERSCRIPTS = str.maketrans({"²": "^2", "³": "^3", "⁻": "^-", "¹": "1", "·": "*", "×": "*"})
