"""Layer B: what computes, what it holds, what it draws."""

from __future__ import annotations

from typing import Literal

import attrs

from ..errors import ConfigError
from .fields import fact

__all__ = ["Compute", "Device", "Die", "Memory", "Peak", "Port", "Power"]

_HALVES = ("fp16", "bf16")


@attrs.frozen
class Peak:
    """Arithmetic rate of a device in one number format.

    Parameters
    ----------
    dense : float, FLOP/s
        Rate on dense operands: the only denominator that solvers use.
    sparse : float, FLOP/s
        Rate with structured sparsity; never derived from ``dense`` nor the reverse.
    achieved : float, FLOP/s
        Highest rate that a matrix product was measured to reach.
    narrow : float, FLOP/s
        Rate on dense operands when sums are kept in the format itself, where that differs.
    engine : str
        ``matrix`` (tensor cores, systolic arrays), ``vector`` or ``scalar``.
    accumulate : str
        Format of the accumulator when the rate depends on it.
    """

    dense: float | None = fact("FLOP/s", default=None)
    sparse: float | None = fact("FLOP/s", default=None)
    achieved: float | None = fact("FLOP/s", default=None, tolerance=0.05)
    narrow: float | None = fact("FLOP/s", default=None)
    engine: Literal["matrix", "vector", "scalar"] = "matrix"
    accumulate: str = ""


@attrs.frozen
class Compute:
    """The arithmetic side of a device.

    Parameters
    ----------
    peak : dict of str to Peak
        Rates by number format; a format that is missing is not supported.
    processors : float, count
        Units that each run one output tile at a time: SM, CU, core.
    clock : float, Hz
        Clock at which the peaks hold.
    array : float, count
        Side of a systolic array, where products run on few large ones: what is narrower leaves part of it idle.
    """

    peak: dict[str, Peak]
    processors: float | None = fact("1", default=None, tolerance=0.0)
    clock: float | None = fact("Hz", default=None)
    array: float | None = fact("1", default=None, tolerance=0.0)


@attrs.frozen
class Memory:
    """One level of memory.

    Parameters
    ----------
    capacity : float, B
        Nominal capacity, as labelled.
    bandwidth : float, B/s
        Peak transfer rate.
    kind : str
        Technology, for example ``HBM3`` or ``SRAM``.
    usable : float, B
        What software can allocate, when published (``nvidia-smi`` totals and the like).
    achieved : float, B/s
        Highest copy or read rate that was measured.
    engines : float, B/s
        Rate of the engines that carry data between memory and the processors, all together.
    bus : float, b
        Width of the data bus.
    rate : float, 1/s
        Transfers per second and pin.
    """

    capacity: float = fact("B", tolerance=0.0)
    bandwidth: float | None = fact("B/s", default=None)
    kind: str = ""
    usable: float | None = fact("B", default=None, tolerance=0.005)
    achieved: float | None = fact("B/s", default=None, tolerance=0.05)
    engines: float | None = fact("B/s", default=None)
    bus: float | None = fact("b", default=None, tolerance=0.0)
    rate: float | None = fact("1/s", default=None)


@attrs.frozen
class Power:
    """What a device draws.

    Parameters
    ----------
    tdp : float, W
        Sustained maximum.
    idle : float, W
        Powered and waiting.
    sleep : float, W
        Deep sleep with wake-up armed; for battery devices.
    """

    tdp: float = fact("W")
    idle: float | None = fact("W", default=None, tolerance=0.1)
    sleep: float | None = fact("W", default=None, tolerance=0.1)


@attrs.frozen
class Port:
    """Links that leave a device.

    Parameters
    ----------
    link : str
        Key of a link entity.
    count : float, count
        How many of them.
    """

    link: str
    count: float = fact("1", tolerance=0.0)


@attrs.frozen
class Die:
    """Silicon, for embodied carbon.

    Parameters
    ----------
    area : float, m^2
        Area of one die.
    process : str
        Process node, for example ``"4 nm"``.
    count : float, count
        Compute dies in the package.
    """

    process: str
    area: float = fact("m^2")
    count: float = fact("1", default=1.0, tolerance=0.0)


@attrs.frozen
class Device:
    """One accelerator, processor or microcontroller: one SKU, one record.

    Parameters
    ----------
    name, vendor, architecture, released, note : str
        Full name, maker, architecture, ``YYYY-MM``, remark.
    tier : str
        cloud, workstation, edge, mobile or tiny.
    compute : Compute
        Arithmetic.
    memory : Memory
        Main memory: where weights and activations live.
    cache : Memory or None
        Last-level cache or scratchpad.
    storage : Memory or None
        Flash from which weights are read in place.
    power : Power or None
        Draw; None when unpublished.
    ports : tuple of Port
        Links out of the device.
    die : Die or None
        Silicon.
    host : float or None, ratio
        Speed of one thread of the processor that drives it, over that of a server's, where both are parts of one
        chip. None where any host may drive it.
    aliases : tuple of str
        What people type.
    """

    name: str
    vendor: str
    tier: Literal["cloud", "workstation", "edge", "mobile", "tiny"]
    compute: Compute
    memory: Memory
    architecture: str = ""
    released: str = ""
    cache: Memory | None = None
    storage: Memory | None = None
    power: Power | None = None
    ports: tuple[Port, ...] = ()
    die: Die | None = None
    host: float | None = fact("1", default=None, tolerance=0.5)
    aliases: tuple[str, ...] = ()
    note: str = ""

    def peak_of(self, precision: str) -> Peak:
        """Return the rates in a number format, or refuse it.

        Parameters
        ----------
        precision : str
            For example ``"bf16"``.

        Returns
        -------
        Peak
            With a dense rate.

        Raises
        ------
        ConfigError
            If the device lacks the format; the message lists those it has.
        """
        found = self.compute.peak.get(precision)
        if found is None or found.dense is None:
            has = [name for name, peak in self.compute.peak.items() if peak.dense is not None]
            meant = f"Write {precision.lower()}" if precision.lower() in has else f"It has {', '.join(has)}"
            raise ConfigError(
                f"{self.name} has no dense {precision} rate",
                where="workload.precision", remedy=f"{meant}; no format is ever derived from another",
            )  # fmt: skip
        return found

    def alike(self, precision: str) -> tuple[str, ...]:
        """Return the other formats of 16 bits that the same units multiply at the same rate.

        Parameters
        ----------
        precision : str
            For example ``"bf16"``.

        Returns
        -------
        tuple of str
            Formats for which the same kernels exist: what was fitted in one holds in the other.
        """
        peaks = self.compute.peak
        own = peaks.get(precision) if precision in _HALVES else None
        others = ((name, peaks.get(name)) for name in _HALVES if name != precision)
        return tuple(
            name for name, peak in others if own and peak and (peak.engine, peak.dense) == (own.engine, own.dense)
        )
