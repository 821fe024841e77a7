"""Rows of servers that keep limits of latency: what the limits leave in flight, and whether they were reached."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections.abc import Callable, Mapping

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
    """Return the question with no more requests in flight than the limits on its times leave.

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
    Requests come at random, so that 1 % of them meet b + 2.33 sqrt(2 b / 3) others where b are in flight on average,
    and wait for their first token as an open loop of that rate does.
    """
    limits = {name: float(value) / 1000.0 for name, value in _LIMIT.findall(cell(row, "qps_or_sla"))}
    job = asked.workload
    if not limits or not isinstance(job, Traffic):
        return asked
    copies = max(1, asked.parallelism.data)
    found = _answer(asked)
    most = max(1, math.floor(found["in_flight"] / copies))
    if "TPOT" in limits and found["tpot"] > limits["TPOT"]:
        most = _most(most, lambda middle: _answer(_with(asked, job, middle))["tpot"] <= limits["TPOT"])
        most = _mean_in_flight(most)
        what = f"{most} requests in flight, of which 1 % meet the limit of {limits['TPOT'] * 1000:g} ms a token"
        assumed.append(Assumed(what, 0.1))
        asked = _with(asked, job, most)
    if "TTFT" in limits and not _starts_within(asked, job, most, limits["TTFT"]):
        most = _most(most, lambda middle: _starts_within(asked, job, middle, limits["TTFT"]))
        what = (
            f"{most} requests in flight, of which 1 % meet the limit of {limits['TTFT'] * 1000:g} ms to the first token"
        )
        assumed.append(Assumed(what, 0.1))
        asked = _with(asked, job, most)
    return asked


def _most(above: int, holds: Callable[[int], bool]) -> int:
    """Return the most requests in flight, below so many, that hold a limit."""
    high = max(2, above)
    return high - bisect_left(range(high), x=True, lo=1, hi=high - 1, key=lambda fewer: holds(high - fewer))


def _starts_within(asked: Scenario, job: Traffic, most: int, limit: float) -> bool:
    """Tell whether requests at the rate that so many in flight make see their first token in time."""
    rate = _answer(_with(asked, job, most))["throughput"]
    found = _answer(attrs.evolve(asked, workload=attrs.evolve(job, rate=rate, requests=0)))
    return found["ttft_p99"] <= limit


def _mean_in_flight(most: int) -> int:
    """Return the mean of a random number that averages to more than ``most`` for one stay in a hundred."""
    half = 0.5 * _HIGHEST * math.sqrt(_AVERAGED)
    return max(1, math.floor((math.sqrt(half * half + most) - half) ** 2))


def _with(asked: Scenario, job: Traffic, most: int) -> Scenario:
    return attrs.evolve(asked, workload=attrs.evolve(job, max_batch=most))


def _answer(asked: Scenario) -> Mapping[str, float]:
    """Return what the scenario answers of performance."""
    for name, _, result in ask(SimulationConfig.from_scenario(asked)):
        if isinstance(result, str):
            raise Refused(result)
        if name == "performance":
            return {key.partition(".")[2]: float(value) for key, value in result.outputs.items()}
    raise Refused("no installed solver answers performance.tpot")
