"""What the documentation of a benchmark says of its runs, where rows leave it out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

__all__ = ["Engine", "Runs", "Workers"]


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


class Runs:
    """Runs of benchmarks, by the software that rows name.

    Parameters
    ----------
    data : mapping
        The table of names: ``runs``, ``engines`` and ``pools``.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._runs: Sequence[Mapping[str, Any]] = data.get("runs", ())
        self._engines: Sequence[Mapping[str, Any]] = data.get("engines", ())
        self._pools: Sequence[Mapping[str, Any]] = data.get("pools", ())

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
        for rule in self._runs:
            if software.casefold().startswith(rule["software"]):
                for prompt, answer, requests in rule["requests"]:
                    if (prompt, answer) == (input, output):
                        return int(requests)
        return None

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
        for rule in self._engines:
            if software.casefold().startswith(rule["software"]) and model in rule["models"]:
                for count, total, requests, budget in rule["limits"]:
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
