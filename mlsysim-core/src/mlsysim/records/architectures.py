"""Layer A: models that are neither one stack of attention blocks nor a layer list."""

from __future__ import annotations

import attrs

from .fields import fact
from .transformer import Transformer

__all__ = ["EncoderDecoder", "StateSpace"]


@attrs.frozen
class EncoderDecoder:
    """An encoder, and a decoder each of whose layers also attends to what the encoder returned.

    Cross-attention has the heads, norms and biases of the decoder.

    Parameters
    ----------
    encoder, decoder : Transformer
        The two stacks. The head belongs to the decoder.
    shared : bool
        One token embedding serves both stacks.
    bins : int, count
        Speech: frequency bins of the spectrogram. Two biased convolutions over three frames, of which the
        second strides by two, turn it into the positions of the encoder; 0 for text.
    span : float, s
        Speech: audio of one encoder pass, to which shorter audio is padded.
    """

    encoder: Transformer
    decoder: Transformer
    shared: bool = False
    bins: int = fact("1", default=0, tolerance=0.0, zero=True)
    span: float = fact("s", default=0.0, tolerance=0.0, zero=True)


@attrs.frozen
class StateSpace:
    """A stack of selective state-space layers: each sequence keeps a state whose size never grows.

    With ``heads`` it is Mamba-2 (one decay per head, work in chunks of matrix products), without it Mamba
    (one decay per channel and state, a scan).

    Parameters
    ----------
    layers, hidden, inner, state : int, count
        Layers, width, inner width and states per channel.
    conv : int, token
        Taps of the causal convolution.
    rank : int, count
        Mamba: width of the compressed time step.
    heads, groups : int, count
        Mamba-2: heads, and groups of heads that share input and output matrices.
    chunk : int, token
        Mamba-2: tokens that are worked on as one matrix product.
    vocab : int, count
        Rows of the token embedding, padding included.
    tied : bool
        Whether input and output embedding are one matrix.
    """

    layers: int = fact("1", tolerance=0.0)
    hidden: int = fact("1", tolerance=0.0)
    inner: int = fact("1", tolerance=0.0)
    state: int = fact("1", tolerance=0.0)
    vocab: int = fact("1", tolerance=0.0)
    conv: int = fact("token", tolerance=0.0)
    rank: int = fact("1", default=0, tolerance=0.0, zero=True)
    heads: int = fact("1", default=0, tolerance=0.0, zero=True)
    groups: int = fact("1", default=0, tolerance=0.0, zero=True)
    chunk: int = fact("token", default=0, tolerance=0.0, zero=True)
    tied: bool = True
