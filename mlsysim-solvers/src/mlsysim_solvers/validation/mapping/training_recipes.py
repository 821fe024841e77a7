"""How published training runs were set where their rows do not say: by the scripts that their stack cites."""

from __future__ import annotations

import attrs

from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Recipe, Training
from mlsysim.records.measurement import Measurement

from ..questions import Assumed
from .common import Subject, cell

__all__ = ["followed", "real_length", "scaling_for"]

_WAYS = {
    "mxfp8": "block", "fp8-mx": "block", "fp8-sc": "block", "fp8-cs": "tensor",
    "float8 tensorwise": "tensor", "float8 rowwise": "rows",
}  # fmt: skip
"""Published formats that tell how operands get their scales."""


def scaling_for(row: Measurement) -> str:
    """Read from a published format how operands of 8 bits get their scales.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    str
        Empty where it does not say, or where there is no choice.
    """
    return _WAYS.get(cell(row, "precision").casefold(), "")


def followed(
    job: Training, layout: Parallelism, row: Measurement, found: Subject, assumed: list[Assumed]
) -> tuple[Training, Parallelism]:
    """Set what the scripts of a row's stack set and the row leaves open.

    Parameters
    ----------
    job : Training
        The job as published.
    layout : Parallelism
        The layout as published.
    row : Measurement
        The row.
    found : Subject
        Its device and stack.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Training, Parallelism
    """
    recipes = found.record.recipes if found.record is not None else ()
    for recipe in recipes:
        if not _holds(recipe, job.model, row, found):
            continue
        layout, spread = _spread(recipe, layout, row)
        job, what = _set(recipe, job, row)
        if what := spread | what:
            said = ", ".join(f"{name} {text}" for name, text in what.items())
            assumed.append(Assumed(f"{said}, which the row does not state: {recipe.reason}", recipe.log_sd))
    return job, layout


def real_length(found: Subject, sequence: int, assumed: list[Assumed]) -> int:
    """Return the tokens of a sample that are computed, where the software skips padding.

    Parameters
    ----------
    found : Subject
        Device and stack.
    sequence : int, token
        Length at which samples are cut.
    assumed : list of Assumed
        Gets the assumption.

    Returns
    -------
    int
        The mean of the data set that the stack names for training of this length; as given without one.
    """
    said = found.says("padding skipped")
    if said is None:
        return sequence
    data = plugins().registry.get("datasets", said.value).record
    if data.longest != sequence:
        return sequence
    assumed.append(Assumed(f"{data.input:g} tokens per sample, the mean of {data.name}: {said.reason}", said.log_sd))
    return round(float(data.input))


def _spread(recipe: Recipe, layout: Parallelism, row: Measurement) -> tuple[Parallelism, dict[str, str]]:
    """Set what a script says of experts and of their tokens, and name it."""
    what: dict[str, str] = {}
    if recipe.expert and not cell(row, "ep") and row.devices % recipe.expert == 0:
        what["expert"] = f"{recipe.expert}"
        layout = attrs.evolve(layout, expert=recipe.expert)
    if layout.expert > 1:
        ways = {name: text for name in ("exchange", "overlap_expert") if (text := getattr(recipe, name))}
        given = {name: text == "yes" if name == "overlap_expert" else text for name, text in ways.items()}
        return attrs.evolve(layout, **given), what | ways
    return layout, what


def _set(recipe: Recipe, job: Training, row: Measurement) -> tuple[Training, dict[str, str]]:
    """Set what a script says of the job, and name it."""
    what = {name: text for name in ("graphs", "master") if (text := getattr(recipe, name))}
    if recipe.adapter_modules and job.adapter:
        what["adapter_modules"] = recipe.adapter_modules
    given = {name: "" if text == "none" and name == "master" else text for name, text in what.items()}
    if recipe.recompute and not cell(row, "recompute"):
        given["recompute"] = what["recompute"] = recipe.recompute
    if recipe.recompute_modules and not cell(row, "recompute"):
        given |= {"recompute": "selective", "recompute_modules": recipe.recompute_modules}
        what["recompute_modules"] = recipe.recompute_modules
    return attrs.evolve(job, **given), what  # type: ignore[arg-type]


def _holds(recipe: Recipe, model: str, row: Measurement, found: Subject) -> bool:
    software = row.software.casefold()
    return (
        (not recipe.models or model in recipe.models)
        and (not recipe.devices or found.device in recipe.devices)
        and (not recipe.software or any(name.casefold() in software for name in recipe.software))
        and all(_begins(row, pair) for pair in recipe.cells.split(",") if pair.strip())
    )


def _begins(row: Measurement, pair: str) -> bool:
    name, _, text = pair.strip().partition("=")
    found = cell(row, name.strip()).casefold()
    return found == text.strip().casefold() if text.strip().isdigit() else found.startswith(text.strip().casefold())
