"""What a library must offer so that the probes run on it."""

from __future__ import annotations

import abc
import re

from mlsysim.errors import ConfigError

from .readings import Host
from .timing import Action, Stopwatch, thread_clock, wall_clock

__all__ = ["BACKENDS", "Backend", "Unsupported", "choose_backend", "first_line"]

BACKENDS = ("auto", "numpy", "torch")
_DEVICE = re.compile(r"cpu|cuda(:\d+)?")


class Unsupported(Exception):  # noqa: N818 - no error: it is noted
    """The library or the device cannot do this; the text says why."""


def first_line(problem: BaseException) -> str:
    """Return what an error says first; libraries add stack traces of their own.

    Parameters
    ----------
    problem : BaseException
        The error.

    Returns
    -------
    str
        Its first line, or what kind of error it is.
    """
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]


class Backend(abc.ABC):
    """A library on one device.

    Every method that returns an action prepares its inputs first, so that running it does the
    work alone; :meth:`is_too_large` tells errors for want of memory from others.
    """

    name: str
    device: str
    threads: int

    @abc.abstractmethod
    def host(self) -> Host:
        """Return what is measured, with what.

        Returns
        -------
        Host
        """

    @abc.abstractmethod
    def precisions(self) -> tuple[str, ...]:
        """Return the number formats of matrix products to try, the usual one first.

        Returns
        -------
        tuple of str
        """

    @property
    def most_ranks(self) -> int | None:
        """Processes that can each have a device of their own; None without a limit."""
        return None

    @property
    def sustained(self) -> bool:
        """Whether the device's clock follows its load, so that its best moment is none that lasts."""
        return False

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the device and the library."""
        return ()

    @property
    def link_notes(self) -> dict[str, str]:
        """What a reader must know of links, by name."""
        return {}

    @property
    def stopwatch(self) -> Stopwatch:
        """Time of the device's work: without what other programs take, where one thread does all of it."""
        return thread_clock if self.threads == 1 else wall_clock

    @property
    def host_stopwatch(self) -> Stopwatch:
        """Time that the host spends until the device has done the work."""
        return self.stopwatch

    @abc.abstractmethod
    def copy(self, size: int) -> Action:
        """Return a copy of so many bytes from one buffer to another.

        Parameters
        ----------
        size : int, B
            Bytes of a buffer.

        Returns
        -------
        callable
        """

    @abc.abstractmethod
    def stream(self, size: int) -> Action:
        """Return the sum of two buffers of so many bytes, into a third.

        Parameters
        ----------
        size : int, B
            Bytes of a buffer.

        Returns
        -------
        callable
        """

    @abc.abstractmethod
    def small(self) -> Action:
        """Return an operation on one element.

        Returns
        -------
        callable
        """

    def graph(self, kernels: int) -> Action:  # noqa: ARG002 - none by default
        """Return the replay of a captured graph of operations on one element.

        Parameters
        ----------
        kernels : int, count
            Operations in it.

        Returns
        -------
        callable

        Raises
        ------
        Unsupported
            If the library captures none.
        """
        raise Unsupported(f"{self.name} captures no graphs on {self.device}")

    @abc.abstractmethod
    def product(self, precision: str, m: int, n: int, k: int) -> Action:
        """Return a matrix product.

        Parameters
        ----------
        precision : str
            Number format.
        m, n, k : int, count
            Rows, columns and inner dimension.

        Returns
        -------
        callable

        Raises
        ------
        Unsupported
            If it does not exist in this format.
        """

    @abc.abstractmethod
    def attention(self, precision: str, heads: int, sequence: int, width: int) -> Action:
        """Return attention of one sequence over itself, every token seeing all.

        Parameters
        ----------
        precision : str
            Number format.
        heads, sequence, width : int, count
            Heads, tokens, and elements of a token in a head.

        Returns
        -------
        callable
        """

    @abc.abstractmethod
    def decode(self, precision: str, hidden: int, heads: int, context: int) -> Action:
        """Return one token through one layer of a transformer, its cache filled.

        Parameters
        ----------
        precision : str
            Number format.
        hidden, heads, context : int, count
            Width of the layer, its heads, and tokens in its cache.

        Returns
        -------
        callable
        """

    def links(self, size: int) -> dict[str, Action]:  # noqa: ARG002 - none by default
        """Return copies of so many bytes over links, by name of the link and direction.

        Parameters
        ----------
        size : int, B
            Bytes of a copy.

        Returns
        -------
        dict of str to callable
        """
        return {}

    def is_too_large(self, error: BaseException) -> bool:
        """Tell whether something failed for want of memory.

        Parameters
        ----------
        error : BaseException
            What was raised.

        Returns
        -------
        bool
        """
        return isinstance(error, MemoryError)

    def release(self) -> None:  # noqa: B027 - nothing by default
        """Give memory that is no longer needed back to the device."""


def choose_backend(name: str, device: str) -> tuple[Backend, tuple[str, ...]]:
    """Return the library that measures, and what there is to say about the choice.

    Parameters
    ----------
    name : str
        ``auto``, ``numpy`` or ``torch``; ``auto`` takes torch where it is installed.
    device : str
        ``cpu``, ``cuda`` or ``cuda:n``; empty takes the first accelerator where torch sees one.

    Returns
    -------
    Backend
    tuple of str

    Raises
    ------
    ConfigError
        If the choice cannot be had; the remedy says what to do.
    """
    from .numpy_backend import numpy_backend
    from .torch_backend import find_torch, torch_backend

    if name not in BACKENDS:
        raise ConfigError(
            f"no backend is called {name!r}", where="--backend", remedy=f"Choose {', '.join(BACKENDS[:-1])} or torch"
        )
    if device and not _DEVICE.fullmatch(device):
        raise ConfigError(
            f"no device is called {device!r}", where="--device", remedy="Write cpu, cuda, or cuda:1 for the second one"
        )
    if name == "numpy":
        if device not in ("", "cpu"):
            raise ConfigError(
                f"numpy does not run on {device}", where="--device", remedy="Use --backend torch, or --device cpu"
            )
        return numpy_backend(), ()
    torch, why = find_torch()
    if torch is not None:
        return torch_backend(torch, device), ()
    if name == "torch" or device.startswith("cuda"):
        raise ConfigError(
            why, where="--backend" if name == "torch" else "--device",
            remedy='Install it: pip install "mlsysim-solvers[torch]"; or use --backend numpy --device cpu',
        )  # fmt: skip
    return numpy_backend(), (f"{why}: numpy measures instead",)
