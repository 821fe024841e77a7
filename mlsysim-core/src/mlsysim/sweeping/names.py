"""Names among the values of a sweep, looked up before anything runs: a misspelt one is no contradiction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import attrs
import numpy as np

from ..config import NAMED
from ..errors import ConfigError, MlsysimError, UnknownNameError
from ..plugins import plugins
from ..records.precision import check_precision
from ..solving import choices_of
from .result import SweepResult

__all__ = ["check_choices", "codes_of", "with_numbers"]

_FORMATS = ("workload.precision", "workload.weights", "workload.kv_cache")


def check_choices(name: str, full: str, choices: Sequence[str]) -> None:
    """Refuse a choice that names nothing, whatever the rest of the scenario.

    Parameters
    ----------
    name : str
        The key as it was given.
    full : str
        The key, for example ``system.device``.
    choices : sequence of str
        Its values.

    Raises
    ------
    ConfigError
        With near names. What exists and contradicts the scenario passes: it is left out later, and said.
    """
    for choice in filter(None, choices):
        if full in _FORMATS:
            check_precision(choice, where=f"vary.{name}")
        elif full in NAMED:
            try:
                plugins().registry.get(NAMED[full], choice)
            except UnknownNameError as error:
                raise ConfigError(error.what, where=f"vary.{name}", remedy=error.remedy) from None
            except MlsysimError:  # a fault of its card or of a hub, which its own scenario tells
                continue


def codes_of(name: str, values: Any) -> tuple[list[str], list[float]]:
    """Return the choices of a key, and the position of each value among them.

    Parameters
    ----------
    name : str
        The key as it was given.
    values : str or sequence
        What it shall be.

    Returns
    -------
    choices : list of str
    codes : list of float

    Raises
    ------
    ConfigError
        If a choice has a comma, which separates choices.
    """
    texts = [_text(value) for value in ([values] if isinstance(values, (str, int, float)) else values)]
    choices = list(dict.fromkeys(texts))
    if any("," in text for text in choices):
        raise ConfigError(f"{name} has a choice with a comma", where="vary", remedy="Choose by keys")
    return choices, [float(choices.index(text)) for text in texts]


def with_numbers(result: SweepResult, name: str) -> SweepResult:
    """Return a sweep in which the choices of one key, which are numbers, are a column of numbers.

    Parameters
    ----------
    result : SweepResult
        A sweep over choices.
    name : str
        The key, which need not have varied.

    Returns
    -------
    SweepResult
    """
    choices = choices_of(result.units.get(name, ""))
    if not choices:
        return result
    values = np.array([float(choice) for choice in choices])[result.varied[name].astype(np.intp)]
    return attrs.evolve(result, varied={**result.varied, name: values}, units={**result.units, name: "1"})


def _text(value: Any) -> str:
    return f"{value:.0f}" if isinstance(value, float) and value.is_integer() else str(value)
