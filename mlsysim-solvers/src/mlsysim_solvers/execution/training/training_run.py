"""What a whole run needs to know of a training step: its forward pass alone, and what a checkpoint holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.numeric import maximum
from mlsysim.tracing import named

from ...formulas.reliability import checkpoint_bytes
from ...formulas.run import forward_pass_time
from .activations import share_again
from .exchange import Exchange
from .layers import Layer
from .schedule import Layout
from .state import adapter_parameters

__all__ = ["checkpoint_size", "forward_time", "run_answers"]

_NOTHING = 1e-12
"""Share of a layer's computation below which its communication counts as none."""


def run_answers(c: Mapping[str, Any], layout: Layout, layer: Layer, talk: Exchange, step: Any) -> dict[str, Any]:
    """Return the answers about one step that the solver of the whole run asks for.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    layer : Layer
        Times of one layer for one micro-batch.
    talk : Exchange
        What it exposes of its communication.
    step : Step
        Where the time of the step goes.

    Returns
    -------
    dict of str to number
        Size of a checkpoint and, where the run is evaluated, the time of a forward pass alone.
    """
    answers = {"performance.checkpoint_size": checkpoint_size(c, layout)}
    if c["evaluates"]:
        answers["performance.forward_time"] = forward_time(c, layout, layer, talk, step)
    return answers


def checkpoint_size(c: Mapping[str, Any], layout: Layout) -> Any:
    """Return what a checkpoint of the whole job holds.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        Any layout: the size depends on none.

    Returns
    -------
    float or array, B
    """
    shape = c["shape"]
    if c["frozen"]:
        trained = adapter_parameters(c, layout._replace(tensor=1.0), shape.layers)
    else:
        layers = shape.layers * (c["layer_parameters"] + c["expert_parameters"])
        trained = layers + c["first_parameters"] + (0.0 if c["tied"] else c["last_parameters"])
    return checkpoint_bytes(
        named(trained, "trained parameters"), c["stored_width"], c["master_width"], c["states"], c["state_width"]
    )


def forward_time(c: Mapping[str, Any], layout: Layout, layer: Layer, talk: Exchange, step: Any) -> Any:
    """Return the time in which the layout passes one batch forward, without gradients and update.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    layer : Layer
        Times of one layer for one micro-batch.
    talk : Exchange
        What it exposes of its communication.
    step : Step
        Where the time of the step goes.

    Returns
    -------
    float or array, s
        Each term of the step by the forward part of a layer; of fully sharded data parallelism the one gather of
        parameters out of two gathers and a scatter of gradients.
    """
    pure = layer.forward + layer.inputs + layer.weights
    within = (layer.forward + talk.ahead) / (pure + talk.ahead + talk.behind)
    share = share_again(c, layout.middle)
    around = talk.tensor + talk.context + talk.expert
    around = around + share * (talk.tensor_again + talk.context_again + talk.expert_again)
    # Without any communication the forward part of it is nothing of nothing.
    part = talk.ahead / maximum(around, _NOTHING * pure)
    exposed = named(step.tensor + step.context + step.expert, "communication within layers") * part
    exposed = exposed + 0.5 * step.pipeline
    if c["zero"] == 3:
        exposed = exposed + step.data / 3.0
    return forward_pass_time(step.compute, layer.forward / pure, exposed, 1.0, step.bubble, within)
