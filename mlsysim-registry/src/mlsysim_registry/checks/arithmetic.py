"""Numbers of one entity that must follow from each other."""

from __future__ import annotations

from collections.abc import Iterator

from mlsysim.entities import Entry, Registry
from mlsysim.errors import MlsysimError
from mlsysim.records.model import Transformer
from mlsysim.shapes import has_shape, head_kinds, kv_bytes_per_token, parameters
from mlsysim.units import format_quantity

from ..crosscheck import EXACT, Relation, relations_of
from .finding import Check, Finding, about, acknowledged, within

__all__ = ["kv_cache", "relation", "shape_parameters"]


def relation(kind: str, name: str, remedy: str) -> Check:
    """Make the check of one relation between the numbers of an entity.

    Parameters
    ----------
    kind : str
        Plural kind of the entities that have it.
    name : str
        As :func:`~..crosscheck.relations` calls it.
    remedy : str
        Where to look when it fails.

    Returns
    -------
    callable
        From the registry to what fails.
    """

    def check(registry: Registry) -> Iterator[Finding]:
        for entry in registry.readable(kind):
            for found in relations_of(entry):
                if found.name == name and not found.holds and not within(entry, found.fields[0], found.computed):
                    yield _gap(entry, found, remedy)

    return check


_counted = relation("models", "shape-parameters", "Look for tied embeddings, biases, norms and experts.")


def shape_parameters(registry: Registry) -> Iterator[Finding]:
    """Count the parameters of each model from its shape and compare them with the printed total, within 1 %.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("models"):
        if entry.record.parameters is not None and any(r.name == "shape-parameters" for r in relations_of(entry)):
            continue  # it was counted already
        try:
            if has_shape(entry.record):
                parameters(entry.record)
        except MlsysimError as error:
            for fault in error.faults:
                yield about(entry, fault.where, "fault", "shape-parameters", fault.what, fault.remedy)
    yield from _counted(registry)


def _gap(entry: Entry, relation: Relation, remedy: str) -> Finding:
    """Report a relation that fails; a note on one of its numbers makes it a visible dispute."""
    field = relation.fields[0]
    unit = entry.claims[field][0].unit
    counted = relation.name.startswith("shape-")  # then only a note on the label itself explains it
    note = acknowledged(entry, relation.fields[:1] if counted else relation.fields)
    what = (
        f"{format_quantity(relation.printed, unit)} is printed, {format_quantity(relation.computed, unit)} follows "
        f"({relation.how}): {relation.gap:.1%} apart, {relation.tolerance:.1%} allowed"
    )
    others = [c for c in entry.claims[field][1:] if abs(c.value - relation.computed) <= EXACT * relation.computed]
    if others:
        return about(
            entry, field, "dispute", relation.name, f"{what}; {others[0].source or 'an estimate'} agrees with that"
        )
    if note:
        return about(entry, field, "dispute", relation.name, f"{what}. Note: {note}")
    return about(
        entry,
        field,
        "fault",
        relation.name,
        what,
        f"{remedy} Correct a number, or explain the difference in a note on one of them",
    )


def _two_kinds(entry: Entry, shape: Transformer) -> Iterator[Finding]:
    """Check heads of two kinds: some layers of each, a window for one, and heads that divide."""
    full = shape.full
    if full is None:
        return
    (windowed, _), (_, other) = head_kinds(shape)
    faults = {
        f"{full.layers} of {shape.layers} layers leave none with a window": windowed < 1,
        "no window is given for the other layers": not shape.window,
        "window_every says the same in another way": bool(shape.window_every),
        "latent attention has one kind of heads": shape.latent is not None,
        f"{other.heads} query heads do not divide into {other.kv_heads} key-value heads": other.heads % other.kv_heads,
    }
    for what in (what for what, present in faults.items() if present):
        yield about(
            entry, "transformer.full", "fault", "kv-cache", what, "Count layer_types, and look at sliding_window"
        )


def kv_cache(registry: Registry) -> Iterator[Finding]:
    """Check the key-value cache: heads divide, and sharing never makes the cache larger.

    Parameters
    ----------
    registry : Registry
        All data.

    Yields
    ------
    Finding
    """
    for entry in registry.readable("models"):
        shape = entry.record.transformer
        if shape is None:
            continue
        if shape.heads % shape.kv_heads:
            yield about(entry, "transformer.kv_heads", "fault", "kv-cache",
                        f"{shape.heads} query heads do not divide into {shape.kv_heads} key-value heads",
                        "Look up num_key_value_heads")  # fmt: skip
        states = shape.states
        beside = states is not None and states.layers == states.attention == states.mlp == shape.layers
        if states is not None and not beside and states.layers + states.attention + states.mlp != 2 * shape.layers:
            yield about(entry, "transformer.states", "fault", "kv-cache",
                        f"{states.layers} + {states.attention} + {states.mlp} layers are not two for each of "
                        f"{shape.layers}", "Count hybrid_override_pattern: layers is half its length")  # fmt: skip
        if states is not None and states.groups and states.heads % states.groups:
            yield about(entry, "transformer.states", "fault", "kv-cache",
                        f"{states.heads} heads do not divide into {states.groups} groups",
                        "Look up linear_num_key_heads or n_groups")  # fmt: skip
        yield from _two_kinds(entry, shape)
        kinds = head_kinds(shape)
        full = 2 * sum(layers * one.heads * (one.head_dim + (one.v_dim or one.head_dim)) for layers, one in kinds)
        kept = kv_bytes_per_token(shape, 2)
        if shape.latent is not None and shape.latent.rope_dim + shape.latent.nope_dim != shape.head_dim:
            yield about(entry, "transformer.head_dim", "fault", "kv-cache",
                        f"head_dim {shape.head_dim} is not rope_dim {shape.latent.rope_dim} + nope_dim "
                        f"{shape.latent.nope_dim}", "A query head has both parts")  # fmt: skip
        if kept > full:
            yield about(entry, "transformer.kv_heads", "fault", "kv-cache",
                        f"the cache takes {kept:,.0f} B per token in 16 bits, more than {full:,.0f} B without sharing",
                        "Look at kv_heads and kv_rank")  # fmt: skip
