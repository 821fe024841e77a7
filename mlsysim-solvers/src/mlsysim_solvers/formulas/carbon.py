"""Carbon of electricity."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula

__all__ = ["operational_carbon"]


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
