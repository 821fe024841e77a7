"""Carbon of electricity and of silicon."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["logic_carbon", "operational_carbon"]


@formula("kg", energy="J", intensity="kg/J")
def operational_carbon(energy: Any, intensity: Any) -> Any:
    """Return the emissions of electricity.

    Parameters
    ----------
    energy : float or array, J
        Energy from the grid, the building included.
    intensity : float or array, kg/J
        Mass of CO2 equivalent per energy.

    Returns
    -------
    float or array, kg

    Notes
    -----
    C = E CI.
    """
    return energy * intensity


@formula("kg", area="m^2", intensity="kg/J", energy="J/m^2", gas="kg/m^2", material="kg/m^2", fab_yield="1")
def logic_carbon(area: Any, intensity: Any, energy: Any, gas: Any, material: Any, fab_yield: Any) -> Any:
    """Return the embodied carbon of a logic die.

    Parameters
    ----------
    area : float, m^2
        Area of the die.
    intensity : float, kg/J
        Carbon intensity of the fab's electricity.
    energy : float, J/m^2
        Energy of the fab per area.
    gas, material : float, kg/m^2
        Emissions of process gases, and of materials, per area.
    fab_yield : float, ratio
        Share of good dies.

    Returns
    -------
    float, kg

    Notes
    -----
    A (CI EPA + GPA + MPA) / Y.

    References
    ----------
    Gupta et al. 2022, ACT, ISCA; repository facebookresearch/ACT.
    """
    return area * (intensity * energy + gas + material) / fab_yield
