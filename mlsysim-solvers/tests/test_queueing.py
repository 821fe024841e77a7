"""Waiting lines: against numbers of simulations and against each other."""

from __future__ import annotations

import math

import pytest

from mlsysim_solvers.formulas.admission import unsure_places
from mlsysim_solvers.formulas.queueing import (
    mean_delay,
    tail_quantile,
    wait_probability,
    wait_quantile,
)


def erlang_c(servers, load):
    """Return the exact chance to find all servers taken, for random arrivals and exponential service."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = load * blocked / (k + load * blocked)
    return blocked / (1.0 - load / servers * (1.0 - blocked))


def p99(servers, load, variation2=1.0):
    """Return mean and 99th percentile of the wait in units of the time of service."""
    chance = erlang_c(servers, servers * load)
    delay = mean_delay(1.0, servers, load, 1.0, variation2)
    return chance * delay, wait_quantile(chance, delay, 0.01)


@pytest.mark.parametrize(
    ("servers", "load", "variation2", "simulated", "within"),
    [
        (1, 0.7, 1.0, 13.99, 0.02), (4, 0.8, 1.0, 5.26, 0.04), (16, 0.9, 1.0, 2.57, 0.02),
        (8, 0.85, 1.0, 3.55, 0.06), (8, 0.85, 0.25, 2.11, 0.02), (8, 0.85, 4.0, 7.99, 0.07),
        (1, 0.7, 4.0, 64.9, 0.5),
    ],
)  # fmt: skip
def test_tails_of_simulated_lines(servers, load, variation2, simulated, within):
    """Simulations of 400,000 customers; the last, one server with very uneven service, has a heavier tail."""
    assert p99(servers, load, variation2)[1] == pytest.approx(simulated, rel=within)


def test_one_server_waits_as_pollaczek_and_khinchine_say():
    """W = rho s (1 + c^2) / (2 (1 - rho))."""
    for variation2 in (0.0, 1.0, 4.0):
        assert p99(1, 0.7, variation2)[0] == pytest.approx(0.7 * (1.0 + variation2) / 0.6)


@pytest.mark.parametrize("servers", [1, 4, 16, 64])
def test_the_short_form_is_near_the_exact_chance(servers):
    for load in (0.7, 0.9, 0.99):
        exact = erlang_c(servers, servers * load)
        assert wait_probability(load, float(servers)) == pytest.approx(exact, rel=0.25, abs=0.05)


def test_quantiles_of_parts_do_not_add_up():
    own, late = tail_quantile(1.0, 0.5, 2.33, 0.0, 0.0, 0.01), tail_quantile(0.0, 0.0, 2.33, 0.3, 0.0, 0.01)
    assert max(own, late) < tail_quantile(1.0, 0.5, 2.33, 0.3, 0.0, 0.01) < own + late


def test_a_wait_for_a_place_is_as_unsure_as_the_places():
    stay, few, spread = 10.0, 8.0, 0.1
    wait = stay * (16.0 / few - 1.0)
    # Of ten per cent fewer places follow 2 s more of waiting, beside 10 s.
    assert unsure_places(16.0, few, spread, stay, wait) == pytest.approx(math.log(1.0 + 0.1 * stay * 2.0 / wait))
    # Without uncertainty, and with places for many more, nothing follows.
    assert unsure_places(16.0, few, 0.0, stay, wait) == 0.0
    assert unsure_places(16.0, 160.0, spread, stay, 0.1) == pytest.approx(0.0, abs=1e-12)
    # One place more than clients is no more certain than one fewer.
    near = [unsure_places(16.0, slots, spread, stay, 0.2) for slots in (16.0, 16.5, 18.0, 24.0)]
    assert near == sorted(near, reverse=True)
    assert near[1] > 0.9 * near[0]
