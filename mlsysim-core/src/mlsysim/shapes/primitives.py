"""Primitive operations of layer lists, and how the common ones are counted."""

from __future__ import annotations

from typing import Literal, NamedTuple

from ..errors import ConfigError
from ..records.model import Layer

__all__ = ["FeatureMap", "Kind", "Op", "after", "attention", "conv", "dense", "elementwise", "move", "pair", "pool"]

Kind = Literal["conv", "depthwise", "dense", "attention", "lookup", "pool", "add", "scale", "norm", "move"]
"""Kinds of primitive operations."""


class Op(NamedTuple):
    """One primitive operation of a network, for one sample.

    Parameters
    ----------
    kind : str
        conv, depthwise, dense, attention (scores and values), lookup (in a table), pool, add (of a
        shortcut), scale (by another map), norm or move (concatenation, upsampling).
    in_channels, out_channels : int, count
        Channels or features.
    kernel, stride : tuple of int, pixel
        (height, width).
    groups : int, count
        Groups of a convolution, heads of attention.
    in_height, in_width, out_height, out_width : int, pixel
        Sizes of the maps; 1 for features. Attention: keys in, queries out.
    parameters : int, count
        Weights, bias and batch norm.
    macs : int, count
        Multiply-accumulates of the weights.
    inputs, outputs : int, count
        Elements read and written.
    held : int, count
        Elements of another branch that stay in memory meanwhile.
    """

    kind: Kind
    in_channels: int
    out_channels: int
    kernel: tuple[int, int]
    stride: tuple[int, int]
    groups: int
    in_height: int
    in_width: int
    out_height: int
    out_width: int
    parameters: int
    macs: int
    inputs: int
    outputs: int
    held: int = 0


class FeatureMap(NamedTuple):
    """Size of a feature map.

    Parameters
    ----------
    channels : int, count
        Channels or features.
    height, width : int, pixel
        Sides; a sequence of tokens is one pixel wide.
    """

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        """Number of elements."""
        return self.channels * self.height * self.width


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    """Return (height, width) of a side or a pair.

    Parameters
    ----------
    value : int or tuple of int, pixel
        Either.

    Returns
    -------
    tuple of int, pixel
    """
    return value if isinstance(value, tuple) else (value, value)


def after(op: Op) -> FeatureMap:
    """Return what an operation writes.

    Parameters
    ----------
    op : Op
        The operation.

    Returns
    -------
    FeatureMap
    """
    return FeatureMap(op.out_channels, op.out_height, op.out_width)


def _window(side: int, kernel: int, stride: int, *, same: bool) -> int:
    """Return the output side: every stride once, or only full windows."""
    if same and stride == 1:
        return side
    return -(-side // stride) if same else (side - kernel) // stride + 1


def conv(x: FeatureMap, row: Layer, out: int, *, kernel: int | tuple[int, int] = 1, stride: int | tuple[int, int] = 1,
         groups: int = 1, held: int = 0, norm: bool | None = None) -> Op:  # fmt: skip
    """Return a convolution with the bias and norm of its row.

    Parameters
    ----------
    x : FeatureMap
        Input.
    row : Layer
        Bias, norm and padding.
    out : int, count
        Output channels.
    kernel, stride : int or tuple of int, pixel
        Window and step.
    groups : int, count
        Groups.
    held : int, count
        Elements of another branch that stay in memory.
    norm : bool or None
        Batch norm; None takes it from the row.

    Returns
    -------
    Op

    Raises
    ------
    ConfigError
        If the window does not fit or the channels do not divide.
    """
    if x.channels % groups or out % groups:
        raise ConfigError(f"{x.channels} to {out} channels do not divide into {groups} groups", where="network.layers")
    k, s = pair(kernel), pair(stride)
    y = FeatureMap(out, _window(x.height, k[0], s[0], same=row.same), _window(x.width, k[1], s[1], same=row.same))
    if y.height < 1 or y.width < 1:
        raise ConfigError(f"a {k[0]}x{k[1]} window does not fit {x.height}x{x.width}", where="network.layers")
    weights = k[0] * k[1] * (x.channels // groups) * out
    vectors = (out if row.bias else 0) + (2 * out if (row.norm if norm is None else norm) else 0)
    depthwise = groups == x.channels == out and groups > 1
    return Op("depthwise" if depthwise else "conv", x.channels, out, k, s, groups, x.height, x.width, y.height,
              y.width, weights + vectors, weights * y.height * y.width, x.elements, y.elements, held)  # fmt: skip


def dense(x: FeatureMap, row: Layer) -> Op:
    """Return a dense layer on all elements of its input.

    Parameters
    ----------
    x : FeatureMap
        Input.
    row : Layer
        Width, bias and norm.

    Returns
    -------
    Op
    """
    inputs, out = x.elements, row.out
    vectors = (out if row.bias else 0) + (2 * out if row.norm else 0)
    macs = inputs * out
    return Op("dense", inputs, out, (1, 1), (1, 1), 1, 1, 1, 1, 1, macs + vectors, macs, inputs, out)


def pool(x: FeatureMap, row: Layer, kernel: int | tuple[int, int], held: int = 0) -> Op:
    """Return a pooling.

    Parameters
    ----------
    x : FeatureMap
        Input.
    row : Layer
        Stride and padding.
    kernel : int or tuple of int, pixel
        Window.
    held : int, count
        Elements of another branch that stay in memory.

    Returns
    -------
    Op
    """
    k = pair(kernel)
    s = k if row.op != "pool" else pair(row.stride)
    height, width = _window(x.height, k[0], s[0], same=row.same), _window(x.width, k[1], s[1], same=row.same)
    return Op("pool", x.channels, x.channels, k, s, 1, x.height, x.width, height, width, 0, 0, x.elements,
              x.channels * height * width, held)  # fmt: skip


def elementwise(kind: Kind, x: FeatureMap, second: int) -> Op:
    """Return an operation on a map and a second operand.

    Parameters
    ----------
    kind : str
        add or scale.
    x : FeatureMap
        First operand, which gives the shape.
    second : int, count
        Elements of the second operand.

    Returns
    -------
    Op
    """
    return Op(kind, x.channels, x.channels, (1, 1), (1, 1), 1, x.height, x.width, x.height, x.width, 0, 0,
              x.elements + second, x.elements)  # fmt: skip


def move(kind: Kind, inputs: int, y: FeatureMap, parameters: int = 0) -> Op:
    """Return an operation that reads, and writes a map of its own.

    Parameters
    ----------
    kind : str
        norm, scale or move.
    inputs : int, count
        Elements read.
    y : FeatureMap
        What is written.
    parameters : int, count
        Parameters that it reads.

    Returns
    -------
    Op
    """
    return Op(kind, y.channels, y.channels, (1, 1), (1, 1), 1, y.height, y.width, y.height, y.width, parameters, 0,
              inputs, y.elements)  # fmt: skip


def attention(queries: FeatureMap, memory: FeatureMap, width: int, heads: int) -> Op:
    """Return scores and values of attention between the pixels of two maps; the projections are rows of their own.

    Parameters
    ----------
    queries, memory : FeatureMap
        Maps with queries, and with keys and values.
    width : int, count
        Channels of queries, keys and values each.
    heads : int, count
        Heads.

    Returns
    -------
    Op
        Each pair of pixels takes one multiply-accumulate per channel for its score, and one for its value.
    """
    rows, seen = queries.height * queries.width, memory.height * memory.width
    return Op("attention", width, width, (1, 1), (1, 1), heads, memory.height, memory.width, queries.height,
              queries.width, 0, 2 * width * rows * seen, width * (rows + 2 * seen), width * rows)  # fmt: skip
