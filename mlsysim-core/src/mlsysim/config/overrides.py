"""Values set over a scenario before it is checked, by dotted or short key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from ..errors import ConfigError, Fault
from ..names import did_you_mean

__all__ = ["apply_overrides", "flat", "full_key", "known_keys", "named_by"]


_ENTITIES = ("device", "model", "stack", "node", "cluster", "grid", "price", "site", "battery")


def apply_overrides(data: Mapping[str, Any], overrides: Mapping[str, str]) -> dict[str, Any]:
    """Return scenario data with some keys set.

    Parameters
    ----------
    data : mapping
        As parsed.
    overrides : mapping of str to str
        Dotted or short key to value; a value that reads as TOML is taken as such, else as text.

    Returns
    -------
    dict

    Raises
    ------
    ConfigError
        If a short key belongs to no table.
    """
    if not isinstance(overrides, Mapping) or not all(isinstance(key, str) for key in overrides):
        raise ConfigError(f"{overrides!r} sets no keys", where="overrides", remedy='Give a mapping: {"batch": "64"}')
    changed: dict[str, Any] = _copied(dict(data))
    for key, text in overrides.items():
        *parents, last = full_key(key, changed).split(".")
        table = changed
        for part in parents:
            inner = table.setdefault(part, {})
            if not isinstance(inner, dict):
                raise ConfigError(f"{part!r} is not a table", where=f"--set {key}")
            table = inner
        table[last] = _value(text)
    return changed


def known_keys(kind: str) -> dict[str, str]:
    """Return the keys of the tables of a scenario.

    Parameters
    ----------
    kind : str
        Kind of the scenario; an unknown one has no workload.

    Returns
    -------
    dict of str to str
        Short name to full name; the workload comes first where tables share a name.
    """
    from ..records import Parallelism, Place, Run, System
    from ..records.scenario import WORKLOADS

    owners: dict[str, Any] = {"workload": WORKLOADS.get(kind), "system": System, "parallelism": Parallelism,
                              "place": Place, "workload.run": Run if kind == "training" else None}  # fmt: skip
    return {a.name: f"{table}.{a.name}" for table, cls in reversed(owners.items()) if cls for a in attrs.fields(cls)}


def full_key(key: str, data: Mapping[str, Any]) -> str:
    """Complete a key that is to be set.

    Parameters
    ----------
    key : str
        Dotted (``system.device``) or short (``device``).
    data : mapping
        The scenario as parsed.

    Returns
    -------
    str

    Raises
    ------
    ConfigError
        If a short key belongs to no table.
    """
    if "." in key:
        head, _, rest = key.partition(".")
        if head in _ENTITIES and head not in data:
            raise ConfigError(
                f"a scenario names its {head}, whose numbers stand on its card", where=f"--set {key}",
                remedy="Vary them (`mlsysim sweep SCENARIO --columns` lists what can vary), or describe one "
                "of your own in a folder that MLSYSIM_DATA names",
            )  # fmt: skip
        return f"constraints.{key}" if head in ("feasibility", "performance", "macro") else f"{head}.{rest}"
    if key in ("name", "kind", "note"):
        return key
    known = known_keys(str(data.get("kind")))
    if key not in known and key in {full.partition(".")[0] for full in known.values()}:
        raise ConfigError(
            f"{key!r} is a table of the scenario", where=f"--set {key}",
            remedy=f"Set a key in it, for example {next(full for full in known.values() if full.startswith(key))}",
        )  # fmt: skip
    if key not in known:
        raise ConfigError(
            f"no table of the scenario has a key {key!r}",
            where=f"--set {key}",
            remedy=did_you_mean(key, known)
            or f"A limit on an answer is set as constraints.{key}; numbers of devices vary in `mlsysim sweep`",
        )
    return known[key]


def named_by(fault: Fault, keys: Sequence[str]) -> Fault:
    """Name the override, where a fault lies in it or in its table: the line of a file without it would mislead.

    Parameters
    ----------
    fault : Fault
        What is wrong.
    keys : sequence of str
        Full names of the keys that were set.

    Returns
    -------
    Fault
    """
    path = fault.where.rpartition(": ")[2]
    for key in keys:
        if path == key or key.startswith(f"{path}."):
            return fault.at(f"--set {key}")
    return fault


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Join the keys of nested tables with dots.

    Parameters
    ----------
    table : dict
        Tables in tables.
    prefix : str
        What stands before each key.

    Returns
    -------
    dict
    """
    parts = (flat(v, f"{prefix}{k}.") if isinstance(v, dict) else {prefix + k: v} for k, v in table.items())
    return {key: value for part in parts for key, value in part.items()}


def _copied(value: Any) -> Any:
    """Copy tables and lists, which overrides change; what stands in them nobody changes."""
    if isinstance(value, dict):
        return {key: _copied(item) for key, item in value.items()}
    return [_copied(item) for item in value] if isinstance(value, list) else value


def _value(text: str) -> Any:
    import tomli

    try:
        parsed = tomli.loads(f"x = {text}")
    except (ValueError, RecursionError):
        return text
    return parsed["x"] if len(parsed) == 1 else text
