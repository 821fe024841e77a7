"""Energy of devices and of the building around them."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["device_power", "energy_per_work", "energy_use", "facility_energy", "water_use"]


@formula("W", idle="W", full="W", load="1")
def device_power(idle: Any, full: Any, load: Any) -> Any:
    """Return the power of a device at a load.

    Parameters
    ----------
    idle, full : float, W
        Draw while waiting, and at full load.
    load : float or array, ratio
        Share of time under full load.

    Returns
    -------
    float or array, W

    Notes
    -----
    P = P_idle + (P_full - P_idle) u.
    """
    return idle + (full - idle) * load


@formula("J", power="W", time="s", devices="1")
def energy_use(power: Any, time: Any, devices: Any) -> Any:
    """Return the energy of some devices over a time.

    Parameters
    ----------
    power : float or array, W
        Draw of one.
    time : float or array, s
        How long.
    devices : float or array, count
        How many.

    Returns
    -------
    float or array, J

    Notes
    -----
    E = n P t.
    """
    return power * time * devices


@formula("J", energy="J", pue="1")
def facility_energy(energy: Any, pue: Any) -> Any:
    """Return the energy that the building takes from the grid.

    Parameters
    ----------
    energy : float or array, J
        Energy of the machines.
    pue : float, ratio
        Power usage effectiveness.

    Returns
    -------
    float or array, J

    Notes
    -----
    E_total = PUE E_IT.
    """
    return energy * pue


@formula("m^3", energy="J", site="m^3/J", pue="1", source="m^3/J")
def water_use(energy: Any, site: Any, pue: Any, source: Any) -> Any:
    """Return the water that a job consumes on site and in power stations.

    Parameters
    ----------
    energy : float or array, J
        Energy of the machines, without the building.
    site : float, m^3/J
        Water usage effectiveness of the site, per energy of the machines.
    pue : float, ratio
        Power usage effectiveness.
    source : float, m^3/J
        Water consumed per energy generated.

    Returns
    -------
    float or array, m^3

    Notes
    -----
    W = E_IT (WUE + PUE w_source): the overhead of the building enters once.
    """
    return energy * (site + pue * source)


@formula("J", power="W", throughput="1/s")
def energy_per_work(power: Any, throughput: Any) -> Any:
    """Return the energy of one unit of work: a token or a sample.

    Parameters
    ----------
    power : float or array, W
        Draw while working.
    throughput : float or array, 1/s
        Units of work per time.

    Returns
    -------
    float or array, J

    Notes
    -----
    e = P / X.
    """
    return power / throughput
