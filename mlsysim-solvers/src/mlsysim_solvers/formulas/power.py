"""The clock that a power limit leaves, and what matrix products reach under it."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum, sqrt

__all__ = ["clocked_share", "operation_density", "sustained_clock", "work_per_clock"]


@formula("FLOP", peak="FLOP/s", clock="1/s")
def work_per_clock(peak: Any, clock: Any) -> Any:
    """Return the work that all units of a device do in one clock.

    Parameters
    ----------
    peak : float, FLOP/s
        Dense peak.
    clock : float, 1/s
        Clock at which the peak holds.

    Returns
    -------
    float, FLOP

    Notes
    -----
    N = P / f_0.
    """
    return peak / clock


@formula("J s/FLOP", density="J s/FLOP", width="B", half="B", narrow="1")
def operation_density(density: Any, width: Any, half: Any, narrow: Any) -> Any:
    """Return the power density of operations on operands of some width.

    Parameters
    ----------
    density : float, J s/FLOP
        Dynamic power of matrix units on 16-bit operands, over work per clock and the square of the clock.
    width, half : float, B
        Bytes per operand, and of 16 bits.
    narrow : float, ratio
        Energy of an operation on operands of half the width.

    Returns
    -------
    float, J s/FLOP

    Notes
    -----
    kappa_w = kappa_16 (1 + 2 (1 - n) (w / w_16 - 1)): linear in the width, through n at half of it.
    """
    return density * (1.0 + 2.0 * (1.0 - narrow) * (width / half - 1.0))


@formula("1/s", power="W", dynamic="1", density="J s/FLOP", per_clock="FLOP", busy="1", lowest="1/s")
def sustained_clock(power: Any, dynamic: Any, density: Any, per_clock: Any, busy: Any, lowest: Any) -> Any:
    """Return the clock at which busy units draw what a power limit leaves them.

    Parameters
    ----------
    power : float, W
        Sustained maximum of the device.
    dynamic : float, ratio
        Share of it that follows the clock: all but leakage, memory and fans.
    density : float, J s/FLOP
        Dynamic power over work per clock and the square of the clock.
    per_clock : float, FLOP
        Work of all units in one clock.
    busy : float, ratio
        Share of the clocks in which they work.
    lowest : float, 1/s
        Clock below which the voltage falls no further; 0 where nobody knows.

    Returns
    -------
    float, 1/s

    Notes
    -----
    kappa N u f max(f, f_v) = d W, so that f = x / max(f_v, sqrt(x)) with x = d W / (kappa N u).

    Dynamic power is capacitance times voltage squared times clock. Voltage is at its floor up to some clock, where
    power is the clock times what an operation takes, and nearly follows the clock at high ones, so that power grows
    between linearly and as the cube; above the floor the square is taken.

    References
    ----------
    University of Cambridge, Computer Laboratory, System on Chip Design and Modelling, lecture slides on frequency and
    voltage scaling: the curve of frequency over voltage is roughly linear, and power then has cubic dependence.
    cachenetics/170tune, docs/mechanism.md, The two regimes: the rail bottoms out below some clock.
    """
    squared = dynamic * power / (density * per_clock * busy)
    return squared / maximum(lowest, sqrt(squared))


@formula("1", busy="1", sustained="1/s", clock="1/s")
def clocked_share(busy: Any, sustained: Any, clock: Any) -> Any:
    """Return the share of the peak that matrix products reach at the clock that power leaves.

    Parameters
    ----------
    busy : float, ratio
        Share that they reach at the clock of the peak.
    sustained, clock : float, 1/s
        Clock that power leaves, and clock at which the peak holds.

    Returns
    -------
    float, ratio

    Notes
    -----
    e = u min(1, f / f_0).
    """
    return busy * minimum(1.0, sustained / clock)
