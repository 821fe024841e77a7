"""Layer A: layer lists, the shape of convolutional and dense networks."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import fact

__all__ = ["Layer", "Network", "Part"]


@attrs.frozen
class Layer:
    """One row of a layer list.

    Parameters
    ----------
    op : str
        conv, depthwise, separable (depthwise, then 1x1), dense, pool, global_pool, basic (two
        convolutions with a shortcut), bottleneck (1x1, kernel, 1x1 with a shortcut) or
        inverted_residual (1x1 expansion, depthwise, 1x1 projection).
        Between maps: concat (in channels), join (in rows), add, multiply (the first map gives the
        shape), slice (the first ``out`` channels, and with a kernel so many rows and columns),
        upsample (by the stride), gate (one half of the channels scales the other), norm.
        attention (scores and values between pixels: of one map with queries, keys and values, or of
        queries to a map with keys and values); table (``lookups`` rows of an embedding table, added up);
        input (a further input of ``out`` channels and the size of the kernel); block (a list of rows,
        repeated as a whole).
    out : int, count
        Output channels or features; 0 keeps the number that came in.
    kernel : int or tuple of int, pixel
        Side of the window, or (height, width).
    stride : int or tuple of int, pixel
        Stride of the first repetition, or (height, width).
    mid : int, count
        Inner channels of a bottleneck, or of an inverted residual whose expansion is no whole number.
    expand : int, count
        Expansion of an inverted residual.
    squeeze : int, count
        Inner channels of the squeeze-and-excitation of an inverted residual; 0 for none.
    groups : int, count
        Groups of a convolution, or of the middle convolution of a bottleneck.
    repeat : int, count
        How often; only the first repetition strides.
    bias, norm, shortcut_norm : bool
        Bias vector; batch norm; batch norm on the shortcut's projection.
    same : bool
        Whether the output covers the whole input (padding); otherwise only full windows count.
    name : str
        What later rows call the output.
    of : tuple of str
        Names of the rows that it reads; empty reads the row before. ``in`` is the input of the list.
    heads : int, count
        Heads of attention.
    entries, lookups : int, count
        Rows of a table, and how many of them one sample reads.
    shared : bool
        Whether it uses the weights of a row before, and stores none of its own.
    rows : tuple of Layer
        A block. Its names are its own, and it sees those around it.
    """

    op: Literal[
        "conv", "depthwise", "separable", "dense", "pool", "global_pool", "basic", "bottleneck", "inverted_residual",
        "concat", "join", "add", "multiply", "slice", "upsample", "gate", "norm", "attention", "table", "input",
        "block",
    ]  # fmt: skip
    out: int = 0
    kernel: int | tuple[int, int] = 1
    stride: int | tuple[int, int] = 1
    mid: int = 0
    expand: int = 1
    squeeze: int = 0
    groups: int = 1
    repeat: int = 1
    bias: bool = False
    norm: bool = True
    shortcut_norm: bool = True
    same: bool = True
    name: str = ""
    of: tuple[str, ...] = ()
    heads: int = 1
    entries: int = 0
    lookups: int = 1
    shared: bool = False
    rows: tuple[Layer, ...] = ()


@attrs.frozen
class Part:
    """A network that runs once for each sample beside a denoiser: a text encoder before its steps, a decoder after.

    Parameters
    ----------
    name : str
        What it is.
    source, at : str
        Document from which its list was taken, and the place in it.
    layers : tuple of Layer
        From input to output.
    height, width, channels : int
        Input of one sample.
    guided : bool
        Whether it runs twice for a sample that is guided, with and without its condition.
    """

    name: str
    source: str
    at: str
    layers: tuple[Layer, ...]
    height: int
    width: int
    channels: int
    guided: bool = False


@attrs.frozen
class Network:
    """A layer list: convolutional, dense and diffusion networks, detectors and recommenders.

    Parameters
    ----------
    source, at : str
        Document from which the whole list was taken, and the place in it.
    layers : tuple of Layer
        From input to output.
    height, width, channels : int
        Input of one sample.
    denoiser : bool
        Whether it is run step by step, each time on its own output.
    live : tuple of int, count
        Output channels that have any weight other than zero in the published parameters, for each row with weights
        that mixes channels (dense, and convolutions that are not depthwise), in order of execution; empty where
        nobody counted, and all channels count.
    parts : tuple of Part
        What runs once beside the steps of a denoiser; the parameters and the work of the network do not count it.
    """

    source: str
    at: str
    layers: tuple[Layer, ...]
    height: int = fact("1", tolerance=0.0)
    width: int = fact("1", tolerance=0.0)
    channels: int = fact("1", tolerance=0.0)
    denoiser: bool = False
    live: tuple[int, ...] = ()
    parts: tuple[Part, ...] = ()
