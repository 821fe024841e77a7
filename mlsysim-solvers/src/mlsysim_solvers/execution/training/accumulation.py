"""Gradients of several micro-batches that kernels of their own add up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...formulas.optimizer import accumulation_traffic
from ...formulas.roofline import memory_time
from .layers import Layer
from .schedule import Layout
from .state import stage_parameters

__all__ = ["accumulated"]


def accumulated(c: Mapping[str, Any], layout: Layout, layer: Layer, bandwidth: Any) -> Layer:
    """Return the times of a layer with what adds its gradients to those of earlier micro-batches.

    Parameters
    ----------
    c : mapping of str to number
        All columns.
    layout : Layout
        The layout.
    layer : Layer
        Times of one layer for one micro-batch.
    bandwidth : float or array, B/s
        Effective memory bandwidth.

    Returns
    -------
    Layer
        As it is where products add by themselves, where gradients are divided before they are added, and for adapters,
        whose gradients are few. The first micro-batch of a step has nothing to add to.
    """
    if not c["features"].adds_gradients or c["zero"] >= 2 or c["frozen"]:
        return layer
    own = stage_parameters(c, layout, 1.0, 0.0)
    traffic = accumulation_traffic(own.dense + own.experts, c["activation_width"], c["gradient_width"])
    times = (layout.rounds - 1.0) / layout.rounds
    return layer._replace(weights=layer.weights + times * memory_time(traffic, bandwidth))
