"""Rows of servers that keep limits of latency: what the limits leave in flight, and whether they were reached."""

from __future__ import annotations

import math
import re

import attrs

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import ask
from mlsysim.records import Scenario, Traffic
from mlsysim.records.measurement import Measurement

from ..questions import Assumed, Refused
from .common import cell

__all__ = ["check_reached", "within_limits"]

_LIMIT = re.compile(r"(TTFT|TPOT) p99<=(\d+)ms")
_REACHED = re.compile(r"(TTFT|TPOT) mean/p50/p99=[\d.]+/[\d.]+/([\d.]+) ms")

_HALF = 0.5
"""Share of its limit below which a latency does not limit a rate."""

_HIGHEST = 2.326
"""Standard normal quantile of 99 %."""

_AVERAGED = 2.0 / 3.0
"""Variance of the number in flight, averaged over one stay of fixed length, over that at one moment: the number that a
random stream leaves in flight is correlated for the time that each stays, falling linearly."""


def check_reached(row: Measurement) -> None:
    """Refuse a row whose rate its limits of latency did not set.

    Parameters
    ----------
    row : Measurement
        A row of a server.

    Raises
    ------
    Refused
        If every latency that it prints stays under half of its limit.
    """
    limits = {name: float(value) for name, value in _LIMIT.findall(cell(row, "qps_or_sla"))}
    reached = {name: float(value) for name, value in _REACHED.findall(cell(row, "notes"))}
    both = limits.keys() & reached.keys()
    if both and all(reached[name] < _HALF * limits[name] for name in both):
        raise Refused("a rate that was chosen: every latency stays under half of its limit, so it is not the largest")


def within_limits(row: Measurement, asked: Scenario, assumed: list[Assumed]) -> Scenario:
    """Return the question with no more requests in flight than the limit on the time per token leaves.

    Parameters
    ----------
    row : Measurement
        A row of a server.
    asked : Scenario
        The question, with every place in flight taken.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Scenario

    Notes
    -----
    Requests come at random, so that 1 % of them meet b + 2.33 sqrt(2 b / 3) others where b are in flight on average.
    """
    limits = {name: float(value) for name, value in _LIMIT.findall(cell(row, "qps_or_sla"))}
    job = asked.workload
    if "TPOT" not in limits or not isinstance(job, Traffic):
        return asked
    limit, copies = limits["TPOT"] / 1000.0, max(1, asked.parallelism.data)
    token, flying = _answer(asked)
    if token <= limit:
        return asked
    low, high = 1, max(2, math.floor(flying / copies))
    while high - low > 1:
        middle = (low + high) // 2
        token, _ = _answer(_with(asked, job, middle))
        low, high = (middle, high) if token <= limit else (low, middle)
    mean = _mean_in_flight(low)
    what = f"{mean} requests in flight, of which 1 % meet the limit of {limit * 1000:g} ms a token"
    assumed.append(Assumed(what, 0.1))
    return _with(asked, job, mean)


def _mean_in_flight(most: int) -> int:
    """Return the mean of a random number that averages to more than ``most`` for one stay in a hundred."""
    half = 0.5 * _HIGHEST * math.sqrt(_AVERAGED)
    return max(1, math.floor((math.sqrt(half * half + most) - half) ** 2))


def _with(asked: Scenario, job: Traffic, most: int) -> Scenario:
    return attrs.evolve(asked, workload=attrs.evolve(job, max_batch=most))


def _answer(asked: Scenario) -> tuple[float, float]:
    """Return the time per token and the requests in flight."""
    for name, _, result in ask(SimulationConfig.from_scenario(asked)):
        if isinstance(result, str):
            raise Refused(result)
        if name == "performance":
            found = result.outputs
            return float(found["performance.tpot"]), float(found["performance.in_flight"])
    raise Refused("no installed solver answers performance.tpot")
