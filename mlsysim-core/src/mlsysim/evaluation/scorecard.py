"""What an evaluation says: answers in three levels, what stayed open, and what was violated."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from ..config import SimulationConfig
from ..errors import ConfigError, InfeasibleError, OOMError, SLAViolation
from ..provenance import Standing
from ..records import Scenario
from ..units import format_quantity

__all__ = ["LEVELS", "Answer", "SystemEvaluation", "Violation"]

LEVELS = {"feasibility": "Feasibility", "performance": "Performance", "macro": "Macro"}
"""Levels of the scorecard: the first part of an output's name, and its heading."""

ORDER = 10.0
"""Factor either way beyond which a 90 % interval is no information: it does not even tell the order of magnitude."""

NOT_KNOWN = f"not known within a factor of {ORDER:.0f}"
"""What stands in the place of such an interval."""


@attrs.frozen
class Answer:
    """One line of the scorecard.

    Parameters
    ----------
    name : str
        Output name, for example ``performance.latency``.
    value : float, bool or str
        In SI.
    unit : str
        Unit, ``bool`` or ``choice``.
    label : str
        Words for people.
    solver : str
        Who answered.
    low, high : float or None
        90 % interval in SI; :attr:`informative` says whether it tells anything.
    """

    name: str
    value: Any
    unit: str
    label: str
    solver: str
    low: float | None = None
    high: float | None = None

    @property
    def quantity(self) -> Any:
        """The value as a pint quantity; a yes or no and a choice are none."""
        from ..units.quantity import Quantity

        if isinstance(self.value, (bool, str)):
            raise ConfigError(f"{self.name} = {self} is not a quantity", where="quantity", remedy="Take .value")
        return Quantity(self.value, self.unit)

    @property
    def informative(self) -> bool:
        """Whether the interval, if any, tells at least the order of magnitude: a factor of ten either way."""
        return self.low is None or self.high is None or self.high <= ORDER * ORDER * self.low

    def __str__(self) -> str:
        if isinstance(self.value, bool):
            return "yes" if self.value else "no"
        if isinstance(self.value, str):
            return self.value
        if self.low is None or self.high is None:
            return format_quantity(self.value, self.unit)
        if not self.informative:
            return f"{format_quantity(self.value, self.unit, whole=False)}  [{NOT_KNOWN}]"
        low, high = (format_quantity(end, self.unit, 3, whole=False) for end in (self.low, self.high))
        return f"{format_quantity(self.value, self.unit, whole=False)}  [{low} .. {high}]"


@attrs.frozen
class Violation:
    """A declared constraint that the answers do not meet.

    Parameters
    ----------
    constraint : str
        The limit, as text.
    value : str
        What was found instead, as text; empty when nobody answered.
    why : str
        Why nobody answered.
    """

    constraint: str
    value: str
    why: str = ""

    @property
    def found(self) -> str:
        """What was found, in words."""
        return self.value or "not evaluated, so not passed" + (f": {self.why}" if self.why else "")

    def __str__(self) -> str:
        return f"{self.constraint}: {self.found}"


@attrs.frozen
class SystemEvaluation:
    """The scorecard of one scenario.

    Parameters
    ----------
    scenario : Scenario
        What was asked.
    answers : dict of str to Answer
        By output name.
    unanswered : dict of str to str
        Question to the reason why nobody answered it.
    violations : tuple of Violation
        Declared constraints that are not met.
    assumptions : tuple of str
        What was assumed where the scenario is silent.
    entities : dict of str to str
        Role to ``kind/key`` of what took part.
    solvers : dict of str to str
        Question to the solver that answered it.
    """

    scenario: Scenario
    answers: dict[str, Answer]
    unanswered: dict[str, str] = attrs.field(factory=dict)
    violations: tuple[Violation, ...] = ()
    assumptions: tuple[str, ...] = ()
    entities: dict[str, str] = attrs.field(factory=dict)
    solvers: dict[str, str] = attrs.field(factory=dict)
    config: SimulationConfig | None = attrs.field(default=None, eq=False, repr=False)

    def __getitem__(self, name: str) -> Answer:
        """Return an answer by full or short name.

        Parameters
        ----------
        name : str
            ``performance.latency`` or ``latency``.

        Returns
        -------
        Answer

        Raises
        ------
        ConfigError
            If nothing is called so, with near names; if it is not answered here, with the reason.
        """
        from .unanswered import answer_name

        return self.answers[answer_name(name, self.answers, self.solvers.values(), self.unanswered)]

    def level(self, name: str) -> dict[str, Answer]:
        """Return the answers of one level.

        Parameters
        ----------
        name : str
            ``feasibility``, ``performance`` or ``macro``.

        Returns
        -------
        dict of str to Answer
        """
        return {key: answer for key, answer in self.answers.items() if key.startswith(f"{name}.")}

    @property
    def fits(self) -> bool:
        """Whether memory suffices; False also when nobody answered."""
        answer = self.answers.get("feasibility.fits")
        return answer is not None and bool(answer.value)

    @property
    def infeasible(self) -> tuple[str, ...]:
        """Names of the answers of yes or no about feasibility that are no: ``feasibility.fits`` and the like."""
        return tuple(name for name, answer in self.level("feasibility").items() if answer.value is False)

    @property
    def exit_code(self) -> int:
        """0 good, 2 nothing answered, 3 does not fit or cannot work, 4 a constraint is violated."""
        if self.infeasible:
            return InfeasibleError.exit_code
        if self.violations:
            return SLAViolation.exit_code
        return 0 if self.answers else ConfigError.exit_code

    def raise_for_status(self) -> None:
        """Raise what the exit code says.

        Raises
        ------
        OOMError
            If it does not fit.
        InfeasibleError
            If it fits and cannot work for another reason, for example because the run never ends.
        SLAViolation
            If a declared constraint is not met.
        """
        if "feasibility.fits" in self.infeasible:
            raise OOMError(self.shortfall(), remedy="Use fewer bytes per weight, a smaller batch or more memory")
        if self.infeasible:
            said = "; ".join(f"{self.answers[name].label}: no" for name in self.infeasible)
            raise InfeasibleError(f"{self.scenario.name} cannot work: {said}", where=self.infeasible[0])
        if self.violations:
            raise SLAViolation("; ".join(map(str, self.violations)), where="constraints")

    def shortfall(self) -> str:
        """Say how much memory is missing and how much would fit.

        Returns
        -------
        str
        """
        required = self.answers.get("feasibility.memory_required")
        usable = self.answers.get("feasibility.memory_usable")
        name = next((n for n in ("batch", "micro_batch") if f"feasibility.max_{n}" in self.answers), "")
        text = f"{self.scenario.name} does not fit"
        if required is not None and usable is not None:
            needed, missing = (format_quantity(b, "B") for b in (required.value, required.value - usable.value))
            text += f": it needs {needed}, {missing} more than the usable {format_quantity(usable.value, 'B')}"
        if name:
            most, said = self.answers[f"feasibility.max_{name}"].value, name.replace("_", "-")
            hint = " (set parallelism.micro_batch)" * (name == "micro_batch")
            text += f"; the largest {said} that fits is {most:,.0f}{hint}" if most >= 1 else f"; not even {said} 1 fits"
        return text

    def evidence(self) -> dict[str, Standing]:
        """Return the standing of every sourced number that took part.

        Returns
        -------
        dict of str to Standing
            By ``role.field``, for example ``device.memory.bandwidth``.
        """
        from ..explaining import evidence

        return evidence(self)

    def to_dict(self) -> dict[str, Any]:
        """Return plain data that :meth:`from_dict` reads back.

        Returns
        -------
        dict
            Dictionaries, lists, text and SI numbers only.
        """
        from ..structure.converting import to_plain

        plain = {
            field.name: to_plain(getattr(self, field.name))
            for field in attrs.fields(type(self))
            if field.name != "config"
        }
        return {"exit_code": self.exit_code, **plain}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> SystemEvaluation:
        """Read what :meth:`to_dict` wrote.

        Parameters
        ----------
        data : mapping
            As written.

        Returns
        -------
        SystemEvaluation

        Raises
        ------
        ConfigError
            If the data are not what :meth:`to_dict` writes.
        """
        from ..structure import read_plain

        if not isinstance(data, Mapping):
            raise ConfigError(f"{type(data).__name__} is not an evaluation", where="evaluation",
                              remedy="Give what to_dict or `mlsysim eval --json` wrote")  # fmt: skip
        return read_plain(cls, {field.name: data[field.name] for field in attrs.fields(cls) if field.name in data})
