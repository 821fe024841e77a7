"""What layers keep that are recomputed whole: all of them, some of each stage, or in groups."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import maximum, minimum

__all__ = ["block_activation_bytes", "group_activation_bytes", "recomputed_activation_bytes", "recomputed_share"]


@formula("B", tokens="1", hidden="1", width="B")
def recomputed_activation_bytes(tokens: Any, hidden: Any, width: Any) -> Any:
    """Return what one layer keeps when it is recomputed whole: its input.

    Parameters
    ----------
    tokens : float or array, count
        Tokens of a micro-batch.
    hidden : float, count
        Width of the model.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    s b h w: 2 s b h in 16 bits.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198.
    """
    return width * hidden * tokens


@formula("1", layers="1", chosen="1")
def recomputed_share(layers: Any, chosen: Any) -> Any:
    """Return the share of a stage's layers that are recomputed whole.

    Parameters
    ----------
    layers : float or array, count
        Layers of the stage.
    chosen : float or array, count
        How many of them are recomputed.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    min(n, L) / max(L, 1).

    References
    ----------
    NVIDIA Megatron Bridge documentation, training/activation-recomputation: recompute_method block with
    recompute_num_layers.
    """
    return minimum(chosen, layers) / maximum(layers, 1.0 * (chosen / chosen))


@formula("B", layers="1", share="1", whole="B", entry="B")
def block_activation_bytes(layers: Any, share: Any, whole: Any, entry: Any) -> Any:
    """Return what layers in flight keep of which some are recomputed whole.

    Parameters
    ----------
    layers : float or array, count
        Layers in flight, counted once for each micro-batch.
    share : float or array, ratio
        Share of them that is recomputed.
    whole, entry : float or array, B
        What a layer keeps that is not recomputed, and the input of one that is.

    Returns
    -------
    float or array, B

    Notes
    -----
    F [(1 - r) a + r i]. While one is done again, what it would keep is alive beside this.

    References
    ----------
    NVIDIA Megatron Bridge documentation, training/activation-recomputation: partial transformer layer recomputation.
    """
    return layers * ((1.0 - share) * whole + share * entry)


@formula("B", layers="1", group="1", entry="B")
def group_activation_bytes(layers: Any, group: Any, entry: Any) -> Any:
    """Return what layers in flight keep that are recomputed in groups: one input for each group.

    Parameters
    ----------
    layers : float or array, count
        Layers in flight, counted once for each micro-batch.
    group : float or array, count
        Layers of a group.
    entry : float or array, B
        Input of a layer.

    Returns
    -------
    float or array, B

    Notes
    -----
    F i / g. While a group is done again, what all its layers would keep is alive beside this.

    References
    ----------
    ms-swift documentation, Megatron-SWIFT command line parameters: recompute_num_layers with method uniform.
    """
    return layers / group * entry
