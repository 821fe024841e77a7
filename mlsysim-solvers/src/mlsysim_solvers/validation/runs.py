"""What the documentation of a benchmark says of its runs, where rows leave it out."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import attrs

__all__ = ["Clients", "Engine", "ModelRuns", "Runs", "Sets", "Workers", "tuned"]


@attrs.frozen
class Engine:
    """Limits of an engine that a benchmark builds.

    Parameters
    ----------
    requests, tokens : int, count
        Most requests in flight, and most tokens of a pass.
    note : str
        What the documentation leaves open.
    """

    requests: int
    tokens: int
    note: str = ""


@attrs.frozen
class Workers:
    """Limits with which a benchmark starts its workers, for one copy of attention.

    Parameters
    ----------
    prompts, tokens : int, count
        Most prompts and tokens of a pass of a worker that reads.
    requests : int, count
        Most requests in flight in a worker that decodes.
    """

    prompts: int
    tokens: int
    requests: int


@attrs.frozen
class Clients:
    """What the clients of a benchmark send unless they are told otherwise.

    Parameters
    ----------
    requests : int, count
        Requests for each client; 0 where no script says so.
    alike : bool
        Whether prompts, and answers, have one length.
    """

    requests: int = 0
    alike: bool = False


@attrs.frozen
class Sets:
    """Sets of whose rows a document says something that no row prints, by how their names begin.

    Parameters
    ----------
    dropout : tuple of str
        Runs that drop out activations.
    channels_first : tuple of str
        Runs on images with their channels first in 16 bits too.
    counts_masked_pairs, counts_recomputation : tuple of str
        Whose published FLOP count every query-key pair of a causal model, and recomputed forward passes.
    """

    dropout: tuple[str, ...] = ()
    channels_first: tuple[str, ...] = ()
    counts_masked_pairs: tuple[str, ...] = ()
    counts_recomputation: tuple[str, ...] = ()


@attrs.frozen
class ModelRuns:
    """Models that benchmarks run in a way of their own.

    Parameters
    ----------
    beam_search : tuple of str
        Models whose benchmark searches for answers with beams.
    guidance_as_input : tuple of str
        Models that draw in one pass a step, as their guidance is an input of the network.
    """

    beam_search: tuple[str, ...] = ()
    guidance_as_input: tuple[str, ...] = ()


class Runs:
    """Runs of benchmarks, by the software, set or model that rows name.

    Parameters
    ----------
    data : mapping
        The table of names: ``runs``, ``engines``, ``pools``, ``schedulers``, ``sets``, ``model_runs``,
        ``narrow_caches``, ``clients``, ``software_settings``, ``server_settings`` and ``language_engines``.

    Attributes
    ----------
    sets : Sets
        Sets of whose rows a document says more.
    models : ModelRuns
        Models that benchmarks run in a way of their own.
    language_engines : mapping of str to str
        Stacks that run networks, to the engine upon them that serves language models.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._runs: Sequence[Mapping[str, Any]] = data.get("runs", ())
        self._engines: Sequence[Mapping[str, Any]] = data.get("engines", ())
        self._pools: Sequence[Mapping[str, Any]] = data.get("pools", ())
        self._schedulers: Sequence[Mapping[str, Any]] = data.get("schedulers", ())
        self._clients: Sequence[Mapping[str, Any]] = data.get("clients", ())
        self._narrow_caches = {(r["model"], r["device"]): r.get("since", "") for r in data.get("narrow_caches", ())}
        self._settings: Mapping[str, str] = data.get("software_settings", {})
        self._told: Mapping[str, str] = data.get("server_settings", {})
        self._given: Mapping[str, str] = data.get("server_values", {})
        self.sets = Sets(**{name: tuple(sets) for name, sets in data.get("sets", {}).items()})
        self.models = ModelRuns(**{name: tuple(keys) for name, keys in data.get("model_runs", {}).items()})
        self.language_engines: Mapping[str, str] = data.get("language_engines", {})

    def settings(self, software: str) -> list[str]:
        """Return the settings of a solver that the name of software tells.

        Parameters
        ----------
        software : str
            As published.

        Returns
        -------
        list of str
        """
        return [name for part, name in self._settings.items() if part in software.casefold()]

    def told(self, words: str) -> dict[str, object]:
        """Return the settings of a solver that a server was started with.

        Parameters
        ----------
        words : str
            Software, published name of the model, and notes of a row.

        Returns
        -------
        dict of str to object
        """
        return {name: 1 for part, name in self._told.items() if part in words.casefold().replace("_", "-")}

    def given(self, words: str) -> dict[str, object]:
        """Return the settings of requests in flight to which a server's arguments give a number.

        Parameters
        ----------
        words : str
            Notes of a row.

        Returns
        -------
        dict of str to object
        """
        spelled = words.casefold().replace("_", "-")
        found = {name: re.search(rf"{part}[= ](\d*\.?\d+)", spelled) for part, name in self._given.items()}
        return {name: float(value[1]) for name, value in found.items() if value is not None}

    def has_narrow_cache(self, model: str, device: str, measured: str) -> bool:
        """Tell whether a benchmark starts a server with a key-value cache in 8 bits.

        Parameters
        ----------
        model, device : str
            Their keys.
        measured : str
            When, as published.

        Returns
        -------
        bool
        """
        since = self._narrow_caches.get((model, device))
        return since is not None and measured >= since

    def requests(self, software: str, input: float, output: float) -> int | None:  # noqa: A002
        """Return how many requests a run answers.

        Parameters
        ----------
        software : str
            As published.
        input, output : float, token
            Prompt and answer.

        Returns
        -------
        int or None
            None where the documentation says nothing.
        """
        for rule in _of(self._runs, software):
            for prompt, answer, requests in rule["requests"]:
                if (prompt, answer) == (input, output):
                    return int(requests)
        return None

    def clients(self, software: str) -> Clients:
        """Return what the clients of a server's own benchmark send.

        Parameters
        ----------
        software : str
            As published.

        Returns
        -------
        Clients
        """
        found = (Clients(rule["requests"], rule.get("alike", False)) for rule in _of(self._clients, software))
        return next(found, Clients())

    def scheduler(self, software: str) -> str:
        """Return which engine of its stack a benchmark runs.

        Parameters
        ----------
        software : str
            As published.

        Returns
        -------
        str
            Empty for the usual one.
        """
        return next((rule["scheduler"] for rule in _of(self._schedulers, software)), "")

    def is_tuned(self, software: str) -> bool:
        """Tell whether a benchmark computes the limits of its engine from memory and lengths.

        Parameters
        ----------
        software : str
            As published.

        Returns
        -------
        bool
        """
        return any(rule.get("tuned") for rule in _of(self._engines, software))

    def engine(self, software: str, model: str, devices: int, tokens: float) -> Engine | None:
        """Return the limits of the engine that a benchmark builds.

        Parameters
        ----------
        software : str
            As published.
        model : str
            Key of the model.
        devices : int, count
            Devices of a copy of the model.
        tokens : float, token
            Prompt and answer together.

        Returns
        -------
        Engine or None
            None where the documentation says nothing.
        """
        for rule in _of(self._engines, software):
            for count, total, requests, budget in rule["limits"] if model in rule.get("models", ()) else ():
                if count == devices and total in (0, tokens):
                    return Engine(requests, budget, rule.get("note", ""))
        return None

    def workers(self, about: Mapping[str, Any], dated: str, clients: int, decoders: int) -> Workers | None:
        """Return the limits with which a benchmark starts the workers of two pools.

        Parameters
        ----------
        about : mapping of str to str or int
            ``software``, ``device``, ``precision``, ``prompt`` (token) and ``copies`` (of attention in a worker that
            reads), as a rule names them.
        dated : str
            Date of the row, as published.
        clients, decoders : int, count
            Clients, and workers that decode.

        Returns
        -------
        Workers or None
            None where no recipe was read.
        """
        for rule in self._pools:
            named = all(rule.get(name, value) == value for name, value in about.items())
            if named and rule.get("since", "") <= dated < rule.get("until", "9"):
                for count, writers, requests in rule["decodes"]:
                    if (count, writers) == (clients, decoders):
                        prompts, tokens = rule["reads"]
                        return Workers(prompts, tokens, requests)
        return None


def _of(rules: Sequence[Mapping[str, Any]], software: str) -> Iterator[Mapping[str, Any]]:
    """Yield the rules for software whose name begins as they say."""
    return (rule for rule in rules if software.casefold().startswith(rule["software"]))


_BATCHES = ((256.0, 32), (1024.0, 128), (math.inf, 256))
_TOKENS = ((4096.0, 256), (8192.0, 512), (math.inf, 1024))


def tuned(room: float, token: float, prompt: float, answer: float) -> Engine:
    """Return the limits that TensorRT-LLM's benchmark computes for an engine.

    Parameters
    ----------
    room : float, B
        Memory of all devices of a copy beside the weights.
    token : float, B
        Cache of a token on all of them.
    prompt, answer : float, token
        Lengths.

    Returns
    -------
    Engine
        Requests whose cache fills 0.95 of the room, 4096 at most, rounded up; and their tokens of a pass if prompts
        come as fast as answers end, 2048 to 32,768, rounded up (tensorrt_llm/bench/build/tuning.py).
    """
    requests = min(0.95 * room / (token * (prompt + answer)), 4096.0)
    tokens = min(requests * (1.0 + prompt / answer), 32768.0)
    most, budget = _rounded(requests, _BATCHES), _rounded(tokens, _TOKENS)
    return Engine(max(64, most), max(2048, budget), "computed from memory and lengths")


def _rounded(value: float, steps: Sequence[tuple[float, int]]) -> int:
    step = next(step for below, step in steps if value < below)
    return step * math.ceil(value / step)
