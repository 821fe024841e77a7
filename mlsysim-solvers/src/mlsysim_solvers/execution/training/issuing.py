"""What the host of a training job issues kernel by kernel, and what it replays from graphs; how operands are scaled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import ConfigError
from mlsysim.names import did_you_mean
from mlsysim.records.scenario import Training
from mlsysim.records.stack import Ceilings, Features

from ...formulas import parallel_constants as constants
from ...formulas.training import issue_time
from ...lowering.shape import TransformerShape

__all__ = ["GRAPH_PARTS", "issue_columns", "issued_pass", "replayed", "scaling_columns", "scaling_of"]

GRAPH_PARTS = ("attention", "mlp", "router", "experts")
"""Parts of a layer that graphs may replay."""

_WHOLE = ("all", "none")


def replayed(workload: Training, features: Features, shape: TransformerShape) -> frozenset[str]:
    """Read which parts of a layer are replayed from graphs.

    Parameters
    ----------
    workload : Training
        The job.
    features : Features
        What the stack does unless told otherwise.
    shape : TransformerShape
        The model.

    Returns
    -------
    frozenset of str

    Raises
    ------
    ConfigError
        If a part is unknown, or no part of the model's layers.
    """
    where = "workload.graphs"
    names = [part.strip() for part in workload.graphs.split(",") if part.strip()]
    for name in names:
        if name not in (*GRAPH_PARTS, *_WHOLE):
            raise ConfigError(
                f"{name!r} is not a part of a layer that a graph replays", where=where,
                remedy=did_you_mean(name, GRAPH_PARTS) or f"Choose among {', '.join((*GRAPH_PARTS, *_WHOLE))}",
            )  # fmt: skip
        if name in _WHOLE and len(names) > 1:
            raise ConfigError(
                f"{name!r} stands beside other parts", where=where, remedy=f"Leave out {name}, or the others"
            )
        if name in ("router", "experts") and not shape.experts:
            raise ConfigError(
                f"the model has no {name} that a graph could replay", where=where, remedy=f"Leave out {name}"
            )
    if names in ([], ["all"]):
        return frozenset(GRAPH_PARTS if names or features.graphs else ())
    return frozenset(names) - {"none"}


def issue_columns(
    workload: Training, features: Features, ceilings: Ceilings, shape: TransformerShape
) -> dict[str, Any]:  # fmt: skip
    """Return the time in which the host issues the passes of a layer, as columns.

    Parameters
    ----------
    workload : Training
        The job.
    features : Features
        What the stack does.
    ceilings : Ceilings
        Its time for a layer of any kind.
    shape : TransformerShape
        The model.

    Returns
    -------
    dict of str to float
        ``host``, one pass of any layer; ``routing``, what a layer with experts adds; ``issue``, one product of one
        expert: zero where graphs replay it. ``hidden_expert``, the share of the exchange of tokens that paired passes
        hide.
    """
    parts = replayed(workload, features, shape)
    host = 0.0 if ceilings.host is None else ceilings.host
    attention = 0.0 if "attention" in parts else constants.ATTENTION_ISSUE
    rest = 0.0 if {"mlp", "experts"} & parts else 1.0 - constants.ATTENTION_ISSUE
    choice = 0.0 if "router" in parts else constants.ROUTER_ISSUE
    moved = 0.0 if "experts" in parts else constants.EXCHANGE_ISSUE
    placed = "attention" in parts or features.planned_exchange
    return {
        "host": host * (attention + rest),
        "routing": host * (choice + moved) if shape.experts else 0.0,
        "hidden_expert": constants.HIDDEN_EXPERT if placed else constants.HIDDEN_EXPERT_EAGER,
        "issue": 0.0 if "experts" in parts or not shape.experts else constants.EXPERT_ISSUE,
    }


def issued_pass(c: Mapping[str, Any], shape: TransformerShape, devices: Any = 1.0) -> Any:
    """Return how long the host takes to issue one pass of one layer.

    Parameters
    ----------
    c : mapping of str to number
        Columns, as :func:`issue_columns` returns them.
    shape : TransformerShape
        The model.
    devices : float or array, count, optional
        Devices among which the experts of a layer lie.

    Returns
    -------
    float or array, s
    """
    if not shape.experts:
        return c["host"] * (1.0 + shape.encoders) if shape.source else c["host"]
    # Two products of each expert that lies here, in those layers that have experts.
    share = shape.expert_layers / shape.layers
    return issue_time(c["host"] + share * c["routing"], 2.0, shape.experts / devices * share, c["issue"])


def scaling_of(workload: Training, features: Features, *, operand: float, narrow: bool) -> str:
    """Return how operands of products get their scales.

    Parameters
    ----------
    workload : Training
        The job.
    features : Features
        What the stack does unless told otherwise.
    operand : float, B
        Bytes of an operand.
    narrow : bool
        Whether products run in fewer bits than activations are kept in.

    Returns
    -------
    str
        delayed, tensor, rows or block; transformed for 4 bits.

    Raises
    ------
    ConfigError
        If the workload chooses, and there is no choice.
    """
    if workload.scaling and (not narrow or operand < 1.0):
        what = "operands of 4 bits have scales of blocks" if narrow else f"{workload.precision} has no scales"
        raise ConfigError(what, where="workload.scaling", remedy="Leave it out, or train in fp8")
    return "transformed" if operand < 1.0 else workload.scaling or features.scaling


def scaling_columns(workload: Any, features: Features, columns: Mapping[str, Any]) -> dict[str, Any]:
    """Return how operands of a training job on one device get their scales, as a column.

    Parameters
    ----------
    workload : Serving, Training or Inference
        What is run.
    features : Features
        What the stack does.
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    dict of str to str
        ``scaling``; empty unless products of training run in fewer bits than activations are kept in.
    """
    operand = columns["operand_width"]
    if not isinstance(workload, Training) or operand >= columns["activation_width"]:
        return {}
    return {"scaling": scaling_of(workload, features, operand=operand, narrow=True)}
