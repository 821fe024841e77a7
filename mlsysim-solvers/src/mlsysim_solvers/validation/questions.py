"""What is asked of the program for one measurement, or why nothing can be asked."""

from __future__ import annotations

from typing import Any

import attrs

from mlsysim.records import Scenario

__all__ = ["Assumed", "Question", "Refused"]


class Refused(Exception):  # noqa: N818 - it is an outcome, not an error of the user
    """The row cannot be expressed; the message is the reason that is reported.

    Parameters
    ----------
    reason : str
        Why, in words that group: rows refused for one reason carry one text.
    """


@attrs.frozen
class Assumed:
    """Something that the published row leaves open, and what is assumed for it.

    Parameters
    ----------
    what : str
        The assumption in words.
    log_sd : float, natural-log units
        How much it may move the prediction; it widens the interval.
    """

    what: str
    log_sd: float = 0.0


@attrs.frozen
class Question:
    """A scenario, and how the measured figure follows from its answer.

    Parameters
    ----------
    scenario : Scenario
        What is evaluated.
    output : str
        Output of the performance solver; its value is the prediction, unless ``amount`` is given.
    amount : float or None
        Work done in the time that ``output`` gives: the prediction is the rate ``amount / output``.
        The unit is that of the metric's numerator.
    assumed : tuple of Assumed
        What the row leaves open.
    share : float, ratio
        Part of the value that the figure counts, for example that of one device.
    """

    scenario: Scenario
    output: str
    amount: float | None = None
    assumed: tuple[Assumed, ...] = ()
    share: float = 1.0

    def figure(self, answer: Any, unit: float) -> Any:
        """Return the measured figure that follows from an answer.

        Parameters
        ----------
        answer : float or array, SI
            Value of ``output``.
        unit : float
            What one unit of the metric is in SI.

        Returns
        -------
        float or array, in the metric's unit
        """
        return answer * self.share / unit if self.amount is None else self.amount / answer
