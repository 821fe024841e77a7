"""Every error a user can meet: where it is, what is wrong, what to do.

All of them derive from :class:`MlsysimError`, so ``except MlsysimError`` catches
each user-facing failure and nothing else. The command line prints them without
a traceback and leaves with :attr:`MlsysimError.exit_code`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

__all__ = [
    "ConfigError",
    "Fault",
    "InfeasibleError",
    "MlsysimError",
    "OOMError",
    "PluginError",
    "RegistryError",
    "SLAViolation",
    "SolverError",
    "UnitError",
    "UnknownNameError",
]


class Fault:
    """One thing wrong with an input, in the three parts a user needs.

    Parameters
    ----------
    what : str
        What was wrong, with the offending value.
    where : str
        Location: ``file:line: key`` or the name of an argument.
    remedy : str
        What to do about it; empty when ``what`` says it already.
    """

    __slots__ = ("remedy", "what", "where")

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what = what
        self.where = where
        self.remedy = remedy

    def __str__(self) -> str:
        head = f"{self.where}: {self.what}" if self.where else self.what
        return f"{head}. {self.remedy}" if self.remedy else head

    def __repr__(self) -> str:
        return f"Fault({str(self)!r})"

    def at(self, where: str) -> Fault:
        """Return the same fault at another place.

        Parameters
        ----------
        where : str
            Location, or name of an argument.

        Returns
        -------
        Fault
        """
        return Fault(self.what, where=where, remedy=self.remedy)


class MlsysimError(Exception):
    """Base of every error that is the input's fault, not the program's.

    Parameters
    ----------
    what : str
        What was wrong, with the offending value.
    where : str
        Location: ``file:line: key`` or the name of an argument.
    remedy : str
        What to do about it.
    """

    exit_code: ClassVar[int] = 2

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.faults: tuple[Fault, ...] = (Fault(what, where=where, remedy=remedy),)
        super().__init__(str(self.faults[0]))

    @classmethod
    def from_faults(cls, faults: Iterable[Fault]) -> MlsysimError:
        """Build one error that reports several faults at once.

        Parameters
        ----------
        faults : iterable of Fault
            At least one fault.

        Returns
        -------
        MlsysimError
            An instance of the class it is called on.
        """
        found = tuple(faults)
        error = cls(found[0].what, where=found[0].where, remedy=found[0].remedy)
        error.faults = found
        error.args = ("\n".join(str(fault) for fault in found),)
        return error

    @property
    def what(self) -> str:
        """What was wrong (first fault)."""
        return self.faults[0].what

    @property
    def where(self) -> str:
        """Where it was wrong (first fault)."""
        return self.faults[0].where

    @property
    def remedy(self) -> str:
        """What to do about it (first fault)."""
        return self.faults[0].remedy


class ConfigError(MlsysimError):
    """A scenario, a configuration file or an argument cannot be used as given."""


class RegistryError(MlsysimError):
    """A registry file or entity is missing, malformed or unsourced."""


class UnknownNameError(RegistryError):
    """A name matches nothing; the remedy suggests the nearest ones."""


class UnitError(MlsysimError):
    """A text is not a quantity, or its dimension is not the one needed."""


class PluginError(MlsysimError):
    """A plugin could not be loaded, or two of them claim one name."""


class SolverError(MlsysimError):
    """A solver cannot answer, or answered with something that is not a number."""


class InfeasibleError(MlsysimError):
    """What the scenario asks for cannot work, however long one waits: a run that never ends, a queue that grows."""

    exit_code: ClassVar[int] = 3


class OOMError(InfeasibleError):
    """The workload does not fit the memory of the system."""


class SLAViolation(MlsysimError):  # noqa: N818 - the published name of this error
    """A constraint that the scenario declares is not met."""

    exit_code: ClassVar[int] = 4
