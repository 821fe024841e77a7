"""Numbers of one entity that follow from its other numbers.

A :class:`Relation` compares a printed number with the one computed from others. A failing
relation is a finding of the checks; a passing one corroborates the fields that it ties
together, so that their level rises without a second document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import attrs
from mlsysim.errors import MlsysimError
from mlsysim.layers import network_work
from mlsysim.provenance import Claim
from mlsysim.records import Device, Memory, Model, Transformer
from mlsysim.shapes import parameters

__all__ = ["Relation", "cross_checked", "relations", "resolution"]

Claims = Mapping[str, tuple[Claim, ...]]

CLOCK_TOLERANCE = 0.03
"""Printed peaks and clocks are both rounded; more than this apart, one of them belongs to another mode."""
EXACT = 0.01
"""Agreement that counts as corroboration: the tolerance of physical data."""
FLOP_PER_MAC = 2


@attrs.frozen
class Relation:
    """One number that can be computed from others.

    Parameters
    ----------
    name : str
        Name of the check.
    fields : tuple of str
        The fields that it ties together; the first is the printed result.
    printed, computed : float, SI
        The number as recorded, and as computed.
    tolerance : float, dimensionless
        Largest relative difference at which the relation holds.
    how : str
        The computation in words.
    backs : tuple of str
        The fields that it corroborates when it holds.
    """

    name: str
    fields: tuple[str, ...]
    printed: float
    computed: float
    tolerance: float
    how: str
    backs: tuple[str, ...] = ()

    @property
    def gap(self) -> float:
        """Relative difference between computed and printed."""
        return abs(self.computed - self.printed) / abs(self.printed)

    @property
    def holds(self) -> bool:
        """Whether the two agree."""
        return self.gap <= self.tolerance


_DIGITS = re.compile(r"\d[\d,_]*(?:\.(\d+))?(?:[eE]([+-]?\d+))?")


def resolution(claim: Claim) -> float:
    """Return how finely a number is printed.

    Parameters
    ----------
    claim : Claim
        A claim.

    Returns
    -------
    float, dimensionless
        Half a unit of the last printed digit, relative to the number; 0 for a whole count printed in full.
    """
    text = claim.means or claim.as_stated
    match = _DIGITS.search(text)
    if match is None or claim.value == 0:
        return 0.0
    whole = text[match.start() : match.end()]
    if claim.unit in ("1", "token") and match.end() == len(text.rstrip()) and not match[1] and not match[2]:
        return 0.0
    number = float(re.sub("[,_]", "", whole))
    step = 10.0 ** (int(match[2] or 0) - len(match[1] or ""))
    return 0.5 * step / number if number else 0.0


def relations(kind: str, record: Any, claims: Claims) -> Iterator[Relation]:
    """Yield what can be computed inside one entity.

    Parameters
    ----------
    kind : str
        Plural kind.
    record : object
        The record.
    claims : mapping of str to tuple of Claim
        By field path.

    Yields
    ------
    Relation
    """
    if kind == "devices":
        yield from _device(record, claims)
    elif kind == "models":
        yield from _model(record, claims)


def cross_checked(kind: str, record: Any, claims: Claims) -> frozenset[str]:
    """Return the fields that other numbers of the same entity corroborate.

    Parameters
    ----------
    kind : str
        Plural kind.
    record : object
        The record.
    claims : mapping of str to tuple of Claim
        By field path.

    Returns
    -------
    frozenset of str
        Only fields whose numbers were all read: what was derived or estimated vouches for nothing.
    """
    found: set[str] = set()
    for relation in relations(kind, record, claims):
        if relation.holds and relation.gap <= max(EXACT, _coarsest(relation, claims)) and _read(relation, claims):
            found.update(relation.backs)
    return frozenset(found)


def _read(relation: Relation, claims: Claims) -> bool:
    return all(claims[f][0].kind in ("stated", "measured") for f in relation.fields if f in claims)


def _coarsest(relation: Relation, claims: Claims) -> float:
    return max((resolution(claims[f][0]) for f in relation.fields if f in claims), default=0.0)


# --- devices ------------------------------------------------------------------------------------


def _device(device: Device, claims: Claims) -> Iterator[Relation]:
    for name in ("memory", "cache", "storage"):
        memory = getattr(device, name)
        if memory is not None:
            yield from _bus(name, memory, claims)
    processors, clock = device.compute.processors, device.compute.clock
    if processors is None or clock is None:
        return
    for precision, peak in device.compute.peak.items():
        if peak.dense is None:
            continue
        fields = (f"compute.peak.{precision}.dense", "compute.processors", "compute.clock")
        per_clock = 2 ** round(math.log2(peak.dense / (processors * clock)))
        how = f"{processors:g} processors x {clock / 1e6:g} MHz x {per_clock:g} FLOP per clock"
        computed = processors * clock * per_clock
        yield Relation("units-clock-peak", fields, peak.dense, computed, CLOCK_TOLERANCE, how, fields)


def _bus(name: str, memory: Memory, claims: Claims) -> Iterator[Relation]:
    if memory.bandwidth is None or memory.bus is None or memory.rate is None:
        return
    fields = (f"{name}.bandwidth", f"{name}.bus", f"{name}.rate")
    coarse = sum(resolution(claims[f][0]) for f in fields if f in claims)
    how = f"{8 * memory.bus:g} bit x {memory.rate / 1e9:g} GT/s"
    computed = memory.bus * memory.rate
    yield Relation("bus-rate-bandwidth", fields, memory.bandwidth, computed, max(EXACT, coarse), how, fields)


# --- models -------------------------------------------------------------------------------------


def _model(model: Model, claims: Claims) -> Iterator[Relation]:
    if model.transformer is None and model.network is None:
        return
    try:
        counts = parameters(model)
        work = FLOP_PER_MAC * network_work(model.network) if model.network is not None else None
    except MlsysimError:
        return  # the check of shapes reports a shape that cannot be counted
    if model.parameters is not None:
        fields = ("parameters", *_shape(claims))
        backs = ("parameters", *_vouched(model, claims, "parameters", counts.total))
        yield Relation("shape-parameters", fields, model.parameters, counts.total, EXACT, "counted from the shape", backs)
    if model.active is not None:
        conventions = {"without input embedding": counts.active, "with embeddings": counts.active_with_embedding}
        name, computed = min(conventions.items(), key=lambda item: abs(item[1] - (model.active or 0)))
        fields = ("active", *_shape(claims))
        backs = ("active", *_vouched(model, claims, "active", computed))
        yield Relation("shape-active", fields, model.active, computed, 5 * EXACT, f"counted {name}", backs)
    if model.work is not None and work is not None:
        fields = ("work", *_shape(claims))
        yield Relation("shape-work", fields, model.work, work, 5 * EXACT, "counted from the layer list", ("work",))


def _shape(claims: Claims) -> tuple[str, ...]:
    return tuple(path for path in claims if path.startswith(("transformer.", "network.")))


def _vouched(model: Model, claims: Claims, label: str, computed: float) -> Iterable[str]:
    """Yield the shape fields that the printed count vouches for.

    The count must match to its last printed digit, and another value of the field, one per
    cent or one unit away, must break that match.
    """
    if model.transformer is None or label not in claims:
        return
    claim = claims[label][0]
    slack = resolution(claim) * claim.value
    if abs(computed - claim.value) > slack * (1 + 1e-9):
        return
    for path in _shape(claims):
        other = _changed(model.transformer, path.split(".")[1:])
        try:
            counts = parameters(attrs.evolve(model, transformer=other))
        except (MlsysimError, ZeroDivisionError):
            continue
        nearest = counts.total if label == "parameters" else min(
            (counts.active, counts.active_with_embedding), key=lambda count: abs(count - claim.value))  # fmt: skip
        if abs(nearest - claim.value) > slack:
            yield path


def _changed(transformer: Transformer, path: list[str]) -> Transformer:
    """Return the shape with one count changed by one per cent, at least by one."""
    record: Any = transformer if len(path) == 1 else getattr(transformer, path[0])
    value = getattr(record, path[-1])
    changed = attrs.evolve(record, **{path[-1]: value + max(1, round(EXACT * value))})
    return changed if len(path) == 1 else attrs.evolve(transformer, **{path[0]: changed})
