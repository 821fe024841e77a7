"""Layouts of served models whose attention is copied, or whose experts lie on devices of their own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.records.scenario import Parallelism

from ...formulas.parallel_constants import RANK_IMBALANCE
from ...lowering.divisors import divisors
from ...lowering.shape import TransformerShape, number
from ..device.arrays import divides, shares_heads
from .attention_copies import sharing_of

__all__ = ["legal_degrees", "refuse_shared", "shared_columns", "shared_notes"]


def legal_degrees(c: Mapping[str, Any]) -> Any:
    """Tell which layouts of a sweep suit the model: what a scenario is refused for cannot fit.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    bool or array of bool
    """
    shape = c["shape"]
    if "tensor" not in c or not isinstance(shape, TransformerShape):
        return True
    legal = shares_heads(c, c["tensor"])
    if sharing_of(c) is None:
        return legal
    group = c["attention"] * c["tensor"]
    if not shape.experts:
        return legal & (c["expert"] <= 1.0) & divides(group, shape.ffn)
    legal = legal & divides(c["expert"], shape.experts) & divides(c["expert"], group)
    return legal & divides(group / c["expert"], shape.expert_ffn)


def refuse_shared(layout: Parallelism) -> None:
    """Refuse copies of attention, and experts on devices of their own, where nobody answers for them.

    Parameters
    ----------
    layout : Parallelism
        The layout.

    Raises
    ------
    ConfigError
        If it has either.
    """
    for name, what in (("attention", "copies of attention"), ("expert", "experts on devices of their own")):
        if getattr(layout, name) > 1:
            raise ConfigError(
                f"{what} are not answered for a fixed batch", where=f"parallelism.{name}",
                remedy='Use kind = "traffic", whose requests come and go, or leave it out: serving divides a model by '
                "tensor and pipeline, and copies it by data",
            )  # fmt: skip


def shared_columns(
    layout: Parallelism, shape: Any, settings: Mapping[str, float], *, expands: bool
) -> dict[str, float]:
    """Return the columns of a layout whose requests come and go.

    Parameters
    ----------
    layout : Parallelism
        The layout.
    shape : TransformerShape, EncoderDecoderShape or StateShape
        The model.
    settings : mapping of str to float
        Settings of the solver.
    expands : bool
        Whether the stack expands stored weights before it multiplies.

    Returns
    -------
    dict of str to float

    Raises
    ------
    ConfigError
        If the layout does not suit the model; the message names legal values.
    """
    columns = {
        "attention": number(layout.attention), "expert": number(layout.expert),
        "rank_imbalance": number(settings.get("rank_imbalance", RANK_IMBALANCE)),
    }  # fmt: skip
    if settings.get("rank_wait") and layout.attention > 1:
        columns["rank_wait"] = number(settings["rank_wait"])
    if layout.attention * layout.expert == 1 or not isinstance(shape, TransformerShape):
        return columns
    group = layout.attention * layout.tensor
    if layout.expert > 1 and not shape.experts:
        raise ConfigError("the model has no experts", where="parallelism.expert", remedy="Set it to 1")
    if group % layout.expert:
        near = divisors(group)
        raise ConfigError(
            f"expert = {layout.expert} does not divide the {group} devices that share a layer (attention x tensor)",
            where="parallelism.expert", remedy=f"Legal degrees: {', '.join(map(str, near))}",
        )  # fmt: skip
    _check_columns(shape, group // layout.expert)
    if expands:
        raise ConfigError(
            "the stack expands stored weights before it multiplies, and no rate is known for experts that do so on "
            "devices of their own", where="workload.weights", remedy="Store the weights in the format of the products",
        )  # fmt: skip
    return columns


def _check_columns(shape: TransformerShape, parts: int) -> None:
    """Refuse an MLP, or experts, whose columns do not divide over the devices that share them."""
    width, what = (shape.expert_ffn, "an expert") if shape.experts else (shape.ffn, "the MLP")
    if int(width) % parts:
        legal = [d for d in divisors(int(width)) if d <= 2 * parts]
        raise ConfigError(
            f"{parts} devices cannot share the {width:g} columns of {what}", where="parallelism.attention",
            remedy=f"Let attention x tensor / expert be one of {', '.join(map(str, legal))}",
        )  # fmt: skip


def shared_notes(layout: Parallelism, shape: Any) -> list[str]:
    """Return what is assumed about such a layout.

    Parameters
    ----------
    layout : Parallelism
        The layout.
    shape : TransformerShape, EncoderDecoderShape or StateShape
        The model.

    Returns
    -------
    list of str
    """
    notes: list[str] = []
    if not isinstance(shape, TransformerShape):
        return notes
    if layout.attention > 1:
        notes.append(
            "requests are dealt out evenly to the copies of attention, and limits of requests and tokens hold for each"
        )
        if shape.experts and (shape.shared_ffn or shape.dense_layers):
            notes.append("shared experts and layers without experts are copied with attention")
    if layout.expert > 1:
        notes.append("tokens choose experts evenly and independently: the busiest device has more of them by chance")
    return notes
