"""Numbers of one entity that follow from its other numbers.

A :class:`Relation` compares a printed number with the one computed from others. A failing
relation is a finding of the checks; a passing one corroborates the fields that it ties
together, so that their level rises without a second document.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from functools import cached_property, partial
from typing import Any

import attrs

from mlsysim.entities import Entry
from mlsysim.errors import MlsysimError
from mlsysim.provenance import Claim
from mlsysim.records import Device, Memory, Model, Transformer
from mlsysim.shapes import has_shape, matmul_parameters, parameters
from mlsysim.shapes.layers import network_work

__all__ = ["Backed", "Relation", "relations", "relations_of", "resolution"]

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
    backs : callable
        Names the fields that it corroborates when it holds.
    """

    name: str
    fields: tuple[str, ...]
    printed: float
    computed: float
    tolerance: float
    how: str
    backs: Callable[[], Iterable[str]] = tuple

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


class Backed(AbstractSet[str]):
    """The fields that other numbers of the same entity corroborate, computed when somebody asks.

    What was estimated, or computed back from the result, vouches for nothing.

    Parameters
    ----------
    kind : str
        Plural kind.
    record : object
        The record.
    claims : mapping of str to tuple of Claim
        By field path.
    """

    def __init__(self, kind: str, record: Any, claims: Claims) -> None:
        self._of = (kind, record, claims)

    def __reduce__(self) -> tuple[Any, ...]:
        return Backed, self._of

    @cached_property
    def relations(self) -> tuple[Relation, ...]:
        """What can be computed inside the entity."""
        return tuple(relations(*self._of))

    @cached_property
    def fields(self) -> frozenset[str]:
        """The fields."""
        claims = self._of[2]
        return frozenset(
            field
            for relation in self.relations
            if relation.holds and relation.gap <= max(EXACT, min(CLOCK_TOLERANCE, _coarsest(relation, claims)))
            if _read(relation, claims)
            for field in relation.backs()
        )

    @classmethod
    def _from_iterable(cls, it: Iterable[Any]) -> frozenset[Any]:
        return frozenset(it)

    def __contains__(self, field: object) -> bool:
        return field in self.fields

    def __iter__(self) -> Iterator[str]:
        return iter(self.fields)

    def __len__(self) -> int:
        return len(self.fields)

    def __hash__(self) -> int:
        return hash(self.fields)

    def __repr__(self) -> str:
        return repr(set(self.fields))


def _all(fields: tuple[str, ...]) -> Callable[[], Iterable[str]]:
    return lambda: fields


def relations_of(entry: Entry) -> tuple[Relation, ...]:
    """Return what can be computed inside an entity, computed once where a data package keeps it.

    Parameters
    ----------
    entry : Entry
        Any entity.

    Returns
    -------
    tuple of Relation
    """
    kept: object = entry.cross_checked
    return kept.relations if isinstance(kept, Backed) else tuple(relations(entry.kind, entry.record, entry.claims))


def _read(relation: Relation, claims: Claims) -> bool:
    """Tell whether the numbers of a relation were read apart from each other.

    The result must be printed; an input may be converted ("two transfers per cycle of 2619 MHz")
    but not estimated, and not computed back from the result.
    """
    chosen = [claims[f][0] for f in relation.fields if f in claims]
    if not any(claim.kind in ("stated", "measured") for claim in claims.get(relation.fields[0], ())):
        return False
    printed = {number for claim in claims[relation.fields[0]] for number in _numbers(claim.as_stated)}
    return all(
        claim.kind != "estimate" and not (claim.kind == "derived" and printed & _numbers(claim.reason))
        for claim in chosen[1:]
    )


def _numbers(text: str) -> set[float]:
    return {float(re.sub("[,_]", "", match[0])) for match in _DIGITS.finditer(text)}


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
        fields = (f"compute.peak.{precision}.dense", "compute.processors", "compute.clock")
        # A rate that was measured holds at whatever clock the machine then ran, and below its peak.
        measured = fields[0] in claims and claims[fields[0]][0].kind == "measured"
        if peak.dense is None or measured:
            continue
        per_clock = 2 ** round(math.log2(peak.dense / (processors * clock)))
        how = f"{processors:g} processors x {clock / 1e6:g} MHz x {per_clock:g} FLOP per clock"
        computed = processors * clock * per_clock
        allowed = max(CLOCK_TOLERANCE, resolution(claims[fields[0]][0]) if fields[0] in claims else 0.0)
        exact = abs(computed - peak.dense) <= EXACT * peak.dense  # any number is near a power of two: ask for more
        yield Relation("units-clock-peak", fields, peak.dense, computed, allowed, how, _all(fields if exact else ()))


def _bus(name: str, memory: Memory, claims: Claims) -> Iterator[Relation]:
    if memory.bandwidth is None or memory.bus is None or memory.rate is None:
        return
    fields = (f"{name}.bandwidth", f"{name}.bus", f"{name}.rate")
    coarse = sum(resolution(claims[f][0]) for f in fields if f in claims)
    how = f"{8 * memory.bus:g} bit x {memory.rate / 1e9:g} GT/s"
    computed = memory.bus * memory.rate
    yield Relation("bus-rate-bandwidth", fields, memory.bandwidth, computed, max(EXACT, coarse), how, _all(fields))


# --- models -------------------------------------------------------------------------------------

_Counter = Callable[[Model], tuple[float, ...]]


def _total(model: Model) -> tuple[float, ...]:
    return (parameters(model).total,)


def _active(model: Model) -> tuple[float, ...]:
    """Count by both conventions: input tables left out, or each stored parameter once."""
    counts = parameters(model)
    return counts.active, counts.active_with_embedding


def _work(model: Model) -> tuple[float, ...]:
    """Count the work of one sample; empty where it depends on a sequence length."""
    if model.network is not None:
        return (FLOP_PER_MAC * network_work(model.network),)
    shape = model.transformer
    return (_image_work(shape),) if shape is not None and shape.patch and shape.image else ()


def _image_work(shape: Transformer) -> float:
    """Return the FLOP of a vision transformer on one image: projections, scores and values, patches, classes."""
    patches = (shape.image // shape.patch) ** 2
    tokens = patches + 1
    scores = 2 * shape.layers * tokens * tokens * shape.heads * shape.head_dim
    ends = patches * shape.channels * shape.patch**2 * shape.hidden + shape.hidden * shape.classes
    return FLOP_PER_MAC * (tokens * matmul_parameters(shape).total + scores + ends)


_LABELS: tuple[tuple[str, str, _Counter, float], ...] = (
    ("shape-parameters", "parameters", _total, EXACT),
    ("shape-active", "active", _active, 5 * EXACT),
    ("shape-work", "work", _work, 5 * EXACT),
)
"""Name of the check, printed label, how to count it, tolerance."""


def _model(model: Model, claims: Claims) -> Iterator[Relation]:
    shape = tuple(path for path in claims if path.startswith(("transformer.", "network.", "pair.", "state_space.")))
    for name, label, count, tolerance in _LABELS:
        printed = _finest(claims.get(label, ()))
        if printed is None or not has_shape(model):
            continue
        try:
            counted = count(model)
        except MlsysimError:
            continue  # the check of shapes reports a shape that cannot be counted
        if counted:
            nearest = min(counted, key=lambda value: abs(value - printed.value))
            agrees = abs(claims[label][0].value - nearest) <= EXACT * nearest
            backs = partial(_vouched, model, printed, nearest, count, (label,) if agrees else (), shape)
            yield Relation(name, (label, *shape), printed.value, nearest, tolerance, "counted from the shape", backs)


def _finest(claims: tuple[Claim, ...]) -> Claim | None:
    """Return the claim that is printed with the most digits: "8,030,261,248" says more than "8B"."""
    return min(claims, key=lambda claim: (claim.kind not in ("stated", "measured"), resolution(claim)), default=None)


def _vouched(
    model: Model, claim: Claim, counted: float, count: _Counter, labels: tuple[str, ...], shape: tuple[str, ...]
) -> Iterator[str]:
    """Yield the labels that were counted, and the shape fields that a printed count vouches for in turn.

    The count must match to its last printed digit, and another value of the field, one per
    cent or one unit away, must break that match.
    """
    yield from labels
    slack = resolution(claim) * claim.value * (1 + 1e-9)
    if slack > EXACT * claim.value or abs(counted - claim.value) > slack:
        return
    for path in shape:
        try:
            others = count(_changed(model, path.split(".")))
        except (MlsysimError, ZeroDivisionError):
            continue
        if min(abs(other - claim.value) for other in others) > slack:
            yield path


def _changed(record: Any, path: list[str]) -> Any:
    """Return the record with one of its counts changed by one per cent, at least by one."""
    value = getattr(record, path[0])
    new = _changed(value, path[1:]) if len(path) > 1 else value + max(1, round(EXACT * value))
    return attrs.evolve(record, **{path[0]: new})
