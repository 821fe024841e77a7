"""How published measurements of servers were taken, where a row prints none of it: as the benchmarks' scripts say."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import attrs

from mlsysim.documents import load_document
from mlsysim.records.measurement import Measurement

from ..tables import packaged_tables
from .common import cell, whole

__all__ = ["Recipe", "recipe_of"]


@attrs.frozen
class Recipe:
    """What a benchmark's scripts say of a row.

    Parameters
    ----------
    mean, variation : float, ratio
        Mean of the lengths over the printed ones, and their standard deviation over that mean.
    tokens : int, token
        Tokens of a pass at most; 0 where the scripts leave that to the stack.
    hold : int
        Passes for which new prompts are held back at most, so that more of them are read together.
    interval : int
        Passes that decode between two looks at what has come; 0 and 1 look before each.
    cold : bool
        Whether nothing was sent before the requests that count, to a stack that compiles kernels on first use.
    requests : int, count
        Requests over which the times of the row are means.
    experts, attention : bool
        Whether the script shares the experts among all devices, and gives each a copy of attention, whatever the row
        prints.
    replayed : int, token
        Tokens up to which a pass that reads prompts replays a graph; 0 where the scripts leave that to the stack.
    memory : float, ratio
        Share of a device's memory for weights and cache; 0 where the scripts leave that to the stack.
    overlap : bool
        Whether the server puts a pass together while the one before runs, though its stack says nothing of it.
    together : int, token
        Tokens that the server sends in one message; 0 where the scripts leave that to the stack.
    """

    mean: float = 1.0
    variation: float = 0.0
    tokens: int = 0
    hold: int = 0
    interval: int = 0
    cold: bool = False
    requests: int = 0
    experts: bool = False
    attention: bool = False
    replayed: int = 0
    memory: float = 0.0
    overlap: bool = False
    together: int = 0


@attrs.frozen
class _Script:
    """What a script says of the rows that it started; a condition that is left out holds for all rows."""

    at: str
    says: Mapping[str, Any]
    backend: str = ""
    model: str = ""
    system: str = ""
    precision: str = ""
    prompt: int = 0
    output: int = 0
    tensor: int = 0
    tensor_below: float = math.inf
    clients: int = 0
    since: str = ""
    until: str = "9"

    def started(self, row: Measurement, clients: int) -> bool:
        """Tell whether the script started a row."""
        tensor = whole(row, "tp_size") or 1
        return (
            self.backend in ("", cell(row, "backend"))
            and self.precision in ("", cell(row, "precision"))
            and self.model in cell(row, "model_path")
            and self.system in cell(row, "system")
            and self.prompt in (0, whole(row, "isl"))
            and self.output in (0, whole(row, "osl"))
            and self.tensor in (0, tensor)
            and tensor < self.tensor_below
            and clients >= self.clients
            and self.since <= cell(row, "measured") < self.until
        )


@lru_cache(maxsize=1)
def _benchmarks() -> Mapping[str, Any]:
    path = packaged_tables().get("serving_scripts")
    return load_document(path).data if path is not None else {}


@lru_cache(maxsize=2)
def _scripts(benchmark: str) -> tuple[_Script, ...]:
    """Return what the scripts of a benchmark say, in the order of the file."""
    scripts = _benchmarks().get(benchmark, {}).get("scripts", ())
    return tuple(_Script(one["at"], one["says"], **one.get("rows", {})) for one in scripts)


def recipe_of(row: Measurement, clients: int) -> Recipe:
    """Return how a row of the serving table was taken.

    Parameters
    ----------
    row : Measurement
        The row.
    clients : int, count
        Requests that the client keeps in flight.

    Returns
    -------
    Recipe
    """
    prompt, output = whole(row, "isl") or 0, whole(row, "osl") or 0
    usual = [prompt, output] in _benchmarks().get("inferencemax", {}).get("lengths", ())
    benchmark = "inferencemax" if cell(row, "measured") and usual else "aiconfigurator"
    said: dict[str, Any] = {}
    for script in _scripts(benchmark):
        if script.started(row, clients):
            said |= script.says
    places = whole(row, "batch_size") or clients
    mean = 0.5 * (1.0 + said.get("shortest", 1.0))
    return Recipe(
        mean=mean,
        variation=(1.0 - said.get("shortest", 1.0)) / math.sqrt(12.0) / mean,
        tokens=_tokens(said, prompt, clients, places),
        requests=_requests(said, clients),
        **{name: value for name, value in said.items() if name in attrs.fields_dict(Recipe) and name != "tokens"},
    )


def _tokens(said: Mapping[str, Any], prompt: int, clients: int, places: int) -> int:
    """Return the most tokens of a pass; 0 where no script says any."""
    tokens: int = said.get("tokens", 0) or said.get("prompts", 0) * prompt
    for each, beside in ((clients, said.get("beside_clients", 0)), (places, said.get("beside_places", 0))):
        if beside:
            tokens = each + prompt + beside
    multiple: int = said.get("multiple", 1)
    least: int = said.get("least", 0)
    return max(least, -(-tokens // multiple) * multiple)


def _requests(said: Mapping[str, Any], clients: int) -> int:
    """Return the requests over which the times of a row are means."""
    requests: int = said.get("requests_per_client", 0) * clients
    most = said.get("requests_most", 0)
    return min(requests, max(clients, most)) if most else requests
