"""Energy of devices and of the building around them."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import minimum

__all__ = [
    "device_power",
    "draw_log_sd",
    "energy_per_work",
    "energy_use",
    "facility_energy",
    "machine_power",
    "memory_share",
    "water_use",
    "working_share",
]


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


@formula("1", floor="1", load="1", memory="1", streaming="1")
def working_share(floor: Any, load: Any, memory: Any, streaming: Any) -> Any:
    """Return the power of a device at work, over its sustained maximum.

    Parameters
    ----------
    floor : float, ratio
        Draw while kernels run that neither calculate nor fetch: leakage, clocks, memory that waits.
    load : float or array, ratio
        Rate of arithmetic over that at which the device draws its maximum.
    memory : float, ratio
        What reading memory at the full bandwidth adds.
    streaming : float or array, ratio
        Share of the bandwidth that is in use.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    p = min(1, f + (1 - f) u + m b): each operation and each byte has its energy, and the limit holds.
    """
    return minimum(1.0, floor + (1.0 - floor) * load + memory * streaming)


@formula("1", energy="J/b", bandwidth="b/s", rated="W")
def memory_share(energy: Any, bandwidth: Any, rated: Any) -> Any:
    """Return the power that reading memory at a rate takes, over the sustained maximum of the device.

    Parameters
    ----------
    energy : float, J/b
        Of a bit on its way from memory to the units that calculate.
    bandwidth : float, b/s
        Rate.
    rated : float, W
        Sustained maximum.

    Returns
    -------
    float, ratio

    Notes
    -----
    m = e B / W.
    """
    return energy * bandwidth / rated


@formula("W", full="W", rated="1", drawn="1")
def machine_power(full: Any, rated: Any, drawn: Any) -> Any:
    """Return the power per device at work, with its share of the host.

    Parameters
    ----------
    full : float or array, W
        The same at the sustained maximum of the device.
    rated : float, ratio
        The device's own part of that.
    drawn : float or array, ratio
        What the device draws over its sustained maximum.

    Returns
    -------
    float or array, W

    Notes
    -----
    P = W (1 - r + r p): only the device draws less; its share of the host stays.
    """
    return full * (1.0 - rated + rated * drawn)


@formula("1", spread="1", drawn="1")
def draw_log_sd(spread: Any, drawn: Any) -> Any:
    """Return the spread of the logarithm of the power of a device at work.

    Parameters
    ----------
    spread : float, natural-log units
        That of a device far from its limit.
    drawn : float or array, ratio
        What it draws over its sustained maximum.

    Returns
    -------
    float or array, natural-log units

    Notes
    -----
    s (1 - p / 2): at the limit only one side is left.
    """
    return spread * (1.0 - 0.5 * drawn)
