"""Battery life, braking distances and latency budgets."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum

__all__ = [
    "battery_energy",
    "battery_life",
    "braking_distance",
    "daily_energy",
    "latency_budget",
    "stopping_distance",
    "wake_energy",
    "wake_ups",
]


@formula("J", charge="A s", voltage="V", usable="1")
def battery_energy(charge: Any, voltage: Any, usable: Any) -> Any:
    """Return the energy that a battery gives to its load.

    Parameters
    ----------
    charge : float, A s
        Rated charge.
    voltage : float, V
        Nominal voltage.
    usable : float, ratio
        Share of the rated energy that reaches the load.

    Returns
    -------
    float, J

    Notes
    -----
    E = C V eta.
    """
    return charge * voltage * usable


@formula("J", capture_power="W", capture_time="s", inference_power="W", inference_time="s",
         send_power="W", send_time="s")  # fmt: skip
def wake_energy(
    capture_power: Any, capture_time: Any, inference_power: Any, inference_time: Any, send_power: Any, send_time: Any
) -> Any:
    """Return the energy of one wake-up: capture, infer, send.

    Parameters
    ----------
    capture_power, inference_power, send_power : float or array, W
        Draw in each phase.
    capture_time, inference_time, send_time : float or array, s
        Length of each phase.

    Returns
    -------
    float or array, J

    Notes
    -----
    E = P_cap t_cap + P_inf t_inf + P_tx t_tx.
    """
    return capture_power * capture_time + inference_power * inference_time + send_power * send_time


@formula("1", rate="1/s", period="s", awake="s")
def wake_ups(rate: Any, period: Any, awake: Any) -> Any:
    """Return the wake-ups in a period, at most as many as can be finished.

    Parameters
    ----------
    rate : float or array, 1/s
        Wake-ups that are asked for.
    period : float, s
        Length of the period.
    awake : float or array, s
        Time that one takes.

    Returns
    -------
    float or array, count

    Notes
    -----
    n = min(r T, T / t_awake).
    """
    return minimum(rate * period, period / awake)


@formula("J", wakes="1", wake="J", sleep="W", period="s", leak="J")
def daily_energy(wakes: Any, wake: Any, sleep: Any, period: Any, leak: Any) -> Any:
    """Return the energy of one period, usually a day.

    Parameters
    ----------
    wakes : float or array, count
        Wake-ups in the period.
    wake : float or array, J
        Energy of one.
    sleep : float, W
        Draw while asleep.
    period : float, s
        Length of the period.
    leak : float, J
        Self-discharge in the period.

    Returns
    -------
    float or array, J

    Notes
    -----
    E = n E_wake + P_sleep T + E_leak.
    """
    return wakes * wake + sleep * period + leak


@formula("s", energy="J", per_period="J", period="s")
def battery_life(energy: Any, per_period: Any, period: Any) -> Any:
    """Return how long a battery lasts.

    Parameters
    ----------
    energy : float, J
        What it gives to its load.
    per_period : float or array, J
        What the load takes per period.
    period : float, s
        Length of the period.

    Returns
    -------
    float or array, s

    Notes
    -----
    T = E / E_period * period.
    """
    return energy / per_period * period


@formula("m", speed="m/s", friction="1", gravity="m/s^2")
def braking_distance(speed: Any, friction: Any, gravity: Any) -> Any:
    """Return the distance from the first touch of the brake to standstill.

    Parameters
    ----------
    speed : float or array, m/s
        Speed.
    friction : float, ratio
        Friction between tyre and road.
    gravity : float, m/s^2
        Acceleration of free fall.

    Returns
    -------
    float or array, m

    Notes
    -----
    d = v^2 / (2 mu g).
    """
    return speed * speed / (2.0 * friction * gravity)


@formula("m", speed="m/s", latency="s", braking="m")
def stopping_distance(speed: Any, latency: Any, braking: Any) -> Any:
    """Return the distance from the event to standstill.

    Parameters
    ----------
    speed : float or array, m/s
        Speed.
    latency : float or array, s
        Time from the event to the first touch of the brake.
    braking : float or array, m
        Braking distance.

    Returns
    -------
    float or array, m

    Notes
    -----
    d = v t + d_brake.
    """
    return speed * latency + braking


@formula("s", reach="m", braking="m", speed="m/s")
def latency_budget(reach: Any, braking: Any, speed: Any) -> Any:
    """Return the time that may pass before braking starts; negative when none is left.

    Parameters
    ----------
    reach : float, m
        Distance at which the sensor sees an obstacle.
    braking : float or array, m
        Braking distance.
    speed : float or array, m/s
        Speed.

    Returns
    -------
    float or array, s

    Notes
    -----
    t = (R - d_brake) / v.
    """
    return (reach - braking) / speed
