"""What a sweep took where its scenario is silent, and for which of its choices."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .config import NAMED, SimulationConfig

__all__ = ["Assumed", "assumed_by", "assumed_together", "assumption_lines"]

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
        Where one key of the scenario decides, its choices stand for the combinations.
    """
    every = list(parts)
    merged: Assumed = {}
    for role in dict.fromkeys(role for _, taken in every for role in taken):
        pairs = [(choice, next(iter(taken[role]))) for choice, taken in every if role in taken]
        if len({key for _, key in pairs}) == 1 and len(pairs) == len(every):
            merged[role] = {pairs[0][1]: ()}
            continue
        decides = next((name for name in every[0][0] if len({(c[name], key) for c, key in pairs})
                        == len({c[name] for c, _ in pairs})), None)  # fmt: skip
        merged[role] = {}
        for choice, key in pairs:
            who = choice[decides] if decides else " ".join(choice.values())
            merged[role][key] = tuple(dict.fromkeys((*merged[role].get(key, ()), who)))
    return merged


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
