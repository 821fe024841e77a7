"""How unsure a time is, from variances that a sweep may vary."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.numeric import is_array

from ...formulas.uncertainty import time_log_sd

__all__ = ["log_sd_of_shares"]

_VARIANCES = ("var_compute", "var_memory", "var_overhead", "cov_cm", "cov_co", "cov_mo")


def log_sd_of_shares(columns: Mapping[str, Any], compute: Any, waiting: Any, scatter: Any) -> Any:
    """Return the spread of the logarithm of a time from the shares of its terms.

    Parameters
    ----------
    columns : mapping of str to number
        All columns.
    compute, waiting : float or array, ratio
        Shares of the time that arithmetic and kernels set; memory sets the rest.
    scatter : float or array, squared natural-log units
        Variance that does not come from the ceilings.

    Returns
    -------
    float or array, natural-log units

    Raises
    ------
    ConfigError
        If a sweep asks for covariances that no quantities with these variances have.
    """
    try:
        found = time_log_sd(
            compute, 1.0 - compute - waiting, waiting, columns["var_compute"], columns["var_memory"],
            columns["var_overhead"], columns["cov_cm"], columns["cov_co"], columns["cov_mo"], scatter,
        )  # fmt: skip
    except ValueError:  # the root of a float below 0
        raise _impossible() from None
    if type(found) is float or not any(is_array(columns[name]) for name in _VARIANCES):
        return found
    if not (getattr(found, "values", found) >= 0.0).all():
        raise _impossible()
    return found


def _impossible() -> ConfigError:
    return ConfigError(
        "cov_cm, cov_co and cov_mo are no covariances of quantities with the variances var_compute, var_memory and "
        "var_overhead", where="vary",
        remedy="Keep each at most sqrt(a b) of its two variances a and b, or vary the variances alone",
    )  # fmt: skip
