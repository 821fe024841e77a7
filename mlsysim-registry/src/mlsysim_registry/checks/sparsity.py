"""Dense and sparse rates: ordered, and never one silently made from the other."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlsysim.entities import Registry
from mlsysim.names import did_you_mean
from mlsysim.provenance import Claim
from mlsysim.records.precision import BITS
from mlsysim.units import parse_quantity

from .finding import Finding, about

__all__ = ["dense_sparse"]

_DENSE = re.compile(r"dense|without|first value|/", re.IGNORECASE)


def dense_sparse(registry: Registry) -> Iterator[Finding]:
    """Check that dense <= sparse, and that a halved or doubled rate says how it was reached.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("devices"):
        for precision, peak in entry.record.compute.peak.items():
            field = f"compute.peak.{precision}.dense"
            if precision not in BITS:
                yield about(entry, f"compute.peak.{precision}", "fault", "dense-sparse",
                            f"{precision!r} is no number format", did_you_mean(precision, BITS))  # fmt: skip
            if peak.dense and peak.sparse and peak.dense > peak.sparse:
                yield about(entry, field, "fault", "dense-sparse",
                            f"the dense rate {peak.dense:.4g} FLOP/s exceeds the sparse one {peak.sparse:.4g}",
                            "The two are exchanged, or one belongs to another format")  # fmt: skip
            if peak.achieved and peak.dense and peak.achieved > peak.dense:
                yield about(entry, field, "fault", "dense-sparse",
                            f"a measured {peak.achieved:.4g} FLOP/s exceeds the dense peak {peak.dense:.4g}",
                            "The peak belongs to a lower clock or another format")  # fmt: skip
            for side in ("dense", "sparse"):
                path = f"compute.peak.{precision}.{side}"
                for claim in entry.claims.get(path, ()):
                    what = _silent(claim, side)
                    if what:
                        yield about(entry, path, "fault", "dense-sparse", what,
                                    'Write derived = "..." with the words of the document')  # fmt: skip


def _silent(claim: Claim, side: str) -> str:
    """Say how a claim was made from the other kind of rate without telling."""
    if claim.kind in ("derived", "estimate"):
        return ""
    if claim.means:
        printed = _printed(claim)
        ratio = claim.value / printed if printed else 1.0
        if abs(ratio - 0.5) < 0.01 or abs(ratio - 2.0) < 0.01:
            return f"{claim.as_stated!r} was turned into {claim.means!r} as if it were stated"
    if side == "dense" and ("spars" in claim.at.lower() or "2:4" in claim.at) and not _DENSE.search(claim.at):
        return f"a stated dense rate stands at a sparse one: {claim.at!r}"
    return ""


def _printed(claim: Claim) -> float:
    match = re.search(r"([\d.,]+)\s*(\S+)", claim.as_stated)
    try:
        return parse_quantity(f"{match[1]} {match[2]}", claim.unit) if match else 0.0
    except Exception:  # noqa: BLE001 - the print is loose; that is what `means` is for
        return 0.0
