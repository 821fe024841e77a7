"""What a sweep took where its scenario is silent, and for which of its choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..config import NAMED, SimulationConfig

__all__ = ["Assumed", "assumed_by", "assumed_together", "assumption_lines", "chosen_by"]

Assumed = dict[str, dict[str, tuple[str, ...]]]
"""Role to the entities taken for it, each with the choices that take it; nobody is named where all do."""


def assumed_by(config: SimulationConfig) -> Assumed:
    """Return the entities that a scenario leaves open and that were taken for it.

    Parameters
    ----------
    config : SimulationConfig
        The scenario.

    Returns
    -------
    dict of str to (dict of str to tuple of str)
    """
    scenario = config.scenario
    found: Assumed = {}
    for path in NAMED:
        table, _, role = path.partition(".")
        # A cluster brings its node along, a site its grid: those follow from what is named.
        follows = (role == "node" and scenario.system.cluster) or (role == "grid" and scenario.place.site)
        if role in config.entries and not getattr(getattr(scenario, table), role) and not follows:
            found[role] = {config.entries[role].key: ()}
    return found


def assumed_together(parts: Iterable[tuple[Mapping[str, str], Assumed]]) -> Assumed:
    """Say what was taken for which choice.

    Parameters
    ----------
    parts : iterable of (choice, what was taken for it)
        One for each combination of choices.

    Returns
    -------
    dict of str to (dict of str to tuple of str)
        Named as by :func:`chosen_by`.
    """
    every = list(parts)
    choices = [choice for choice, _ in every]
    merged: Assumed = {}
    for role in dict.fromkeys(role for _, taken in every for role in taken):
        keys = [next(iter(taken.get(role, {})), "") for _, taken in every]
        merged[role] = {
            key: () if len(set(keys)) == 1 else chosen_by(choices, [key == other for other in keys])
            for key in dict.fromkeys(filter(None, keys))
        }
    return merged


def chosen_by(choices: Sequence[Mapping[str, str]], members: Sequence[bool]) -> tuple[str, ...]:
    """Name some of the choices of a sweep: by one key of the scenario where that tells them from the others.

    Parameters
    ----------
    choices : sequence of (mapping of str to str)
        Key of the scenario to its value, for each combination.
    members : sequence of bool
        Which of them are meant.

    Returns
    -------
    tuple of str
    """
    for name in choices[0]:
        inside, outside = (
            [c[name] for c, m in zip(choices, members, strict=True) if m is side] for side in (True, False)
        )
        if not set(inside) & set(outside):
            return tuple(dict.fromkeys(inside))
    return tuple(", ".join(choice.values()) for choice, member in zip(choices, members, strict=True) if member)


def assumption_lines(assumed: Assumed) -> list[str]:
    """Write what was taken.

    Parameters
    ----------
    assumed : dict of str to (dict of str to tuple of str)
        As of a sweep.

    Returns
    -------
    list of str
        One line for what all take, one for each role that differs.
    """
    same = [f"{role} {key}" for role, taken in assumed.items() for key, who in taken.items() if not who]
    differ = [f"{role} " + ", ".join(f"{key} for {' and '.join(who)}" for key, who in taken.items())
              for role, taken in assumed.items() if any(taken.values())]  # fmt: skip
    return [f"assumed: {line}" for line in ([", ".join(same)] if same else []) + differ]
