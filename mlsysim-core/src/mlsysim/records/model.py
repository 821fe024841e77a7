"""Layer A: the shape of a model. What follows from it is in :mod:`mlsysim.shapes`."""

from __future__ import annotations

import attrs

from .architectures import EncoderDecoder, StateSpace
from .fields import fact
from .network import Layer, Network, Part
from .transformer import FullHeads, Latent, Mixture, Sparse, StateLayers, Transformer

__all__ = [
    "EncoderDecoder", "FullHeads", "Latent", "Layer", "Mixture", "Model", "Network", "Part", "Sparse", "StateLayers",
    "StateSpace", "Transformer",
]  # fmt: skip


@attrs.frozen
class Model:
    """A model: exactly one of the shapes is given.

    Parameters
    ----------
    name, lab, released, licence, note : str
        Names and dates.
    weights : str
        Format in which the lab publishes the weights where it has fewer than 16 bits; ``note`` says where it says so.
    unmodelled : str
        What of the architecture the shape does not express, in words; every answer says so.
    parameters : float, count
        Published total, as a label to check the shape against.
    active : float, count
        Published active parameters of a mixture of experts.
    work : float, FLOP/sample
        Published work of one forward pass, as a label to check the shape against.
    blocks : float, count
        Elements of the inner dimension of a product that share a scale in the lab's own version in 8 bits.
    transformer : Transformer or None
        Shape of a transformer.
    network : Network or None
        Layer list.
    pair : EncoderDecoder or None
        Encoder and decoder that reads it by cross-attention.
    state_space : StateSpace or None
        State-space layers.
    aliases : tuple of str
        What people type.
    """

    name: str
    lab: str
    parameters: float | None = fact("1", default=None)
    active: float | None = fact("1", default=None, tolerance=0.05)
    work: float | None = fact("FLOP/sample", default=None, tolerance=0.05)
    blocks: float | None = fact("1", default=None)
    transformer: Transformer | None = None
    network: Network | None = None
    pair: EncoderDecoder | None = None
    state_space: StateSpace | None = None
    released: str = ""
    licence: str = ""
    aliases: tuple[str, ...] = ()
    note: str = ""
    weights: str = ""
    unmodelled: str = ""
