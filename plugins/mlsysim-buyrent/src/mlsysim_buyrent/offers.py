"""Finding what it costs to buy the device that a scenario rents."""

from __future__ import annotations

from typing import Any

from mlsysim import registry
from mlsysim.entities import Entry
from mlsysim.errors import SolverError
from mlsysim.tracing import Traced, trace_record

__all__ = ["latest_purchase", "log_sd", "traced_like"]


def latest_purchase(device: str) -> Entry:
    """Find the newest registered purchase of a device; of equally new ones the cheapest per device.

    Parameters
    ----------
    device : str
        Key of the device.

    Returns
    -------
    Entry

    Raises
    ------
    SolverError
        If no data package holds one.
    """
    offers = [e for e in registry().entries("prices") if e.record.device == device and e.record.amount is not None]
    if not offers:
        raise SolverError(
            f"no purchase price of {device} is registered",
            where="settings.buy-or-rent.purchase",
            remedy="Give one, for example --set 'settings.buy-or-rent.purchase=30000 USD'",
        )
    offers.sort(key=lambda entry: float(entry.record.amount / entry.record.devices))
    return max(offers, key=lambda entry: str(entry.record.date))


def log_sd(entry: Entry, field: str) -> float:
    """Return how uncertain a number is: nothing unless it is an estimate with a range.

    Parameters
    ----------
    entry : Entry
        The entity.
    field : str
        Path of the field.

    Returns
    -------
    float, dimensionless
        Standard deviation of the logarithm.
    """
    standing = entry.standing(field)
    return 0.0 if standing is None else standing.chosen.log_sd or 0.0


def traced_like(number: float, entry: Entry) -> Any:
    """Return the record of an entity, traced when the rest of the calculation is.

    Parameters
    ----------
    number : float
        A number of the request.
    entry : Entry
        An entity that the request does not hold.

    Returns
    -------
    record
    """
    return trace_record(entry.record, entry.name) if isinstance(number, Traced) else entry.record
