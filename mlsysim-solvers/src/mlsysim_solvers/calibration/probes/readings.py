"""What was measured, and on what."""

from __future__ import annotations

import statistics

import attrs

from .timing import Timing

__all__ = ["Host", "Measured", "Reading"]


@attrs.frozen
class Host:
    """A device and the software that measured it.

    Parameters
    ----------
    host : str
        Name of the machine.
    name : str
        Processor or accelerator.
    backend, version : str
        Library that ran the probes, and its version.
    device : str
        ``cpu``, or ``cuda:0`` and the like.
    processors : int, count
        Cores, or multiprocessors.
    threads : int, count
        Threads that the library uses on the host.
    memory : float, B
        Main memory of the device.
    reserve : float, B
        Memory that the library took before anything was measured.
    usable : float or None, B
        What software may allocate, where it is less than the memory.
    cache : float or None, B
        Last-level cache.
    clock : float or None, Hz
        Clock that the system reports.
    software : str
        Versions of everything that took part.
    """

    host: str
    name: str
    backend: str
    version: str
    device: str
    processors: int
    threads: int
    memory: float
    reserve: float
    usable: float | None = None
    cache: float | None = None
    clock: float | None = None
    software: str = ""

    @property
    def is_accelerator(self) -> bool:
        """Whether the device is not the processor of the host."""
        return self.device != "cpu"


@attrs.frozen
class Reading:
    """One measurement.

    Parameters
    ----------
    probe : str
        copy, stream, launch, graph, gemm, attention, decode, link or allreduce.
    precision : str
        Number format; empty where bytes are moved.
    size : str
        Shape, as printed.
    unit : str
        ``B/s``, ``FLOP/s``, ``OP/s`` or ``s``.
    amount : float
        Bytes, FLOP or operations of one run; kernels where the time of one is wanted.
    timing : Timing
        How long one run took.
    note : str
        Anything a reader must know.
    sustained : bool
        Whether the median counts instead of the best: the best moment of a device whose clock follows its load is none
        that lasts.
    """

    probe: str
    precision: str
    size: str
    unit: str
    amount: float
    timing: Timing
    note: str = ""
    sustained: bool = False

    @property
    def value(self) -> float:
        """Best rate, or least time; the median ones where they are to last."""
        return self._per(self.timing.median if self.sustained else self.timing.best)

    @property
    def median(self) -> float:
        """Median rate, or median time."""
        return self._per(self.timing.median)

    def _per(self, time: float) -> float:
        return time / self.amount if self.unit == "s" else self.amount / time


@attrs.frozen
class Measured:
    """Everything that was measured.

    Parameters
    ----------
    host : Host
        On what, with what.
    readings : tuple of Reading
        In the order of measuring.
    notes : tuple of str
        What could not be measured, and why.
    """

    host: Host
    readings: tuple[Reading, ...]
    notes: tuple[str, ...] = ()

    def of(self, probe: str, precision: str = "") -> tuple[Reading, ...]:
        """Return the readings of a probe.

        Parameters
        ----------
        probe : str
            Which one.
        precision : str
            Number format; empty takes all.

        Returns
        -------
        tuple of Reading
        """
        return tuple(r for r in self.readings if r.probe == probe and precision in ("", r.precision))

    @property
    def precisions(self) -> tuple[str, ...]:
        """Number formats of the matrix products."""
        return tuple(dict.fromkeys(reading.precision for reading in self.of("gemm")))

    def best(self, precision: str) -> Reading:
        """Return the fastest of the matrix products in a format.

        Parameters
        ----------
        precision : str
            One of ``precisions``.

        Returns
        -------
        Reading
        """
        return max(self.of("gemm", precision), key=lambda reading: reading.value)

    def shares(self, precision: str) -> tuple[float, float]:
        """Return least and median rate of the products in a format over the best of them.

        Parameters
        ----------
        precision : str
            One of ``precisions``.

        Returns
        -------
        tuple of float, ratio
        """
        best = self.best(precision).value
        found = [reading.value / best for reading in self.of("gemm", precision)]
        return min(found), statistics.median(found)

    @property
    def bandwidth(self) -> float:
        """Rate of a copy, bytes read plus bytes written, in B/s."""
        return self.of("copy")[0].value

    @property
    def launch(self) -> float:
        """Time of an operation on one element, in s."""
        return self.of("launch")[0].value
