"""Whose a measurement is: those of publications that nobody compared before stray further, most to the slow side."""

from __future__ import annotations

import math
import re
from functools import lru_cache

from mlsysim.records.measurement import Measurement

from ..formulas.constants import INTERVAL_QUANTILE, PUBLICATION_LOG_SDS

__all__ = ["SERVERS", "apart", "interval", "kind_of", "publication_of"]

SERVERS = "table of servers"
"""Stands for the address in tables of servers, which have no column for one and come from one publication."""

_SCHEME = re.compile(r"^(https?://)?(www\.)?")
_REPOSITORY = re.compile(r"github\.com/([^/\s]+)/([^/\s]+)(/(?:issues|pull|discussions)/\d+)?")
_EDITION = re.compile(r"_v\d[\d.]*$")


def publication_of(address: str) -> str:
    """Return what tells publications apart in the address of one.

    Parameters
    ----------
    address : str
        As a row cites it; ``github:owner/name`` is read as a repository, too.

    Returns
    -------
    str
        Owner and name of a repository, of which a thread is a publication of its own and an edition (``_v5.1``) is
        not; else the address up to the first blank. Empty where there is none.
    """
    plain = _SCHEME.sub("", address.strip()).replace("github:", "github.com/", 1)
    found = _REPOSITORY.match(plain)
    if not found:
        return plain.split(" ")[0].lower()
    owner, name, thread = found.groups()
    return f"github.com/{owner}/{_EDITION.sub('', name)}{thread or ''}".lower()


def kind_of(row: Measurement) -> str:
    """Return the key of :data:`~mlsysim_solvers.formulas.constants.PUBLICATION_LOG_SDS` for a row.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    str
        memory, power, first token, collectives, training, inference or kernels.
    """
    if row.metric.quantity in ("memory", "power"):
        return row.metric.quantity
    if row.name == "ttft_ms":
        return "first token"
    if row.table == "kernels" and row.devices > 1:
        return "collectives"
    return "inference" if row.table == "serving_silicon" else row.table


def apart(row: Measurement) -> tuple[float, float]:
    """Return how far measurements stray because their publication was never compared with answers.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    fast, slow : float, natural-log units
        Spread towards runs that are faster (need less memory) than answered, and towards slower ones; both 0 where
        packaged rows on which constants are fitted are of the same publication.
    """
    return (0.0, 0.0) if row.publication in _compared() else PUBLICATION_LOG_SDS[kind_of(row)]


@lru_cache(maxsize=1)
def _compared() -> frozenset[str]:
    from .tables import packaged_rows

    return frozenset(row.publication for row in packaged_rows()) - {""}


def interval(
    value: float, log_sd: float, beyond: tuple[float, float], *, larger_is_faster: bool
) -> tuple[float, float]:
    """Return the 90 % interval of a prediction.

    Parameters
    ----------
    value : float
        The prediction.
    log_sd : float, natural-log units
        What it strays to both sides.
    beyond : tuple of float, natural-log units
        What it strays besides towards faster and towards slower runs.
    larger_is_faster : bool
        Whether a larger figure is a better one.

    Returns
    -------
    low, high : float
        value exp(-z sqrt(s^2 + b^2)) with b of the side that smaller figures are on, and likewise above.
    """
    below, above = reversed(beyond) if larger_is_faster else beyond
    low, high = (INTERVAL_QUANTILE * math.hypot(log_sd, side) for side in (below, above))
    return value * math.exp(-low), value * math.exp(high)
