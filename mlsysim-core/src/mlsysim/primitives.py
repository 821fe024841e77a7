"""Primitive operations of layer lists, and how the common ones are counted."""

from __future__ import annotations

from typing import Literal, NamedTuple

from .errors import ConfigError
from .records.model import Layer

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
    """Size of a feature map."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width


def pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def after(op: Op) -> FeatureMap:
    return FeatureMap(op.out_channels, op.out_height, op.out_width)


def window(side: int, kernel: int, stride: int, *, same: bool) -> int:
    """Return the output side: every stride once, or only full windows."""
    return -(-side // stride) if same else (side - kernel) // stride + 1


def conv(x: FeatureMap, row: Layer, out: int, *, kernel: int | tuple[int, int] = 1, stride: int | tuple[int, int] = 1,
          groups: int = 1, held: int = 0, norm: bool | None = None) -> Op:  # fmt: skip
    """Return a convolution with the bias and norm of its row."""
    if x.channels % groups or out % groups:
        raise ConfigError(f"{x.channels} to {out} channels do not divide into {groups} groups", where="network.layers")
    k, s = pair(kernel), pair(stride)
    y = FeatureMap(out, window(x.height, k[0], s[0], same=row.same), window(x.width, k[1], s[1], same=row.same))
    if y.height < 1 or y.width < 1:
        raise ConfigError(f"a {k[0]}x{k[1]} window does not fit {x.height}x{x.width}", where="network.layers")
    weights = k[0] * k[1] * (x.channels // groups) * out
    vectors = (out if row.bias else 0) + (2 * out if (row.norm if norm is None else norm) else 0)
    depthwise = groups == x.channels == out and groups > 1
    return Op("depthwise" if depthwise else "conv", x.channels, out, k, s, groups, x.height, x.width, y.height,
              y.width, weights + vectors, weights * y.height * y.width, x.elements, y.elements, held)  # fmt: skip


def dense(x: FeatureMap, row: Layer) -> Op:
    inputs, out = x.elements, row.out
    vectors = (out if row.bias else 0) + (2 * out if row.norm else 0)
    macs = inputs * out
    return Op("dense", inputs, out, (1, 1), (1, 1), 1, 1, 1, 1, 1, macs + vectors, macs, inputs, out)


def pool(x: FeatureMap, row: Layer, kernel: int | tuple[int, int], held: int = 0) -> Op:
    k = pair(kernel)
    s = k if row.op != "pool" else pair(row.stride)
    y = FeatureMap(x.channels, window(x.height, k[0], s[0], same=row.same), window(x.width, k[1], s[1], same=row.same))
    return Op("pool", x.channels, x.channels, k, s, 1, x.height, x.width, y.height, y.width, 0, 0, x.elements,
              y.elements, held)  # fmt: skip


def elementwise(kind: Kind, x: FeatureMap, second: int) -> Op:
    return Op(kind, x.channels, x.channels, (1, 1), (1, 1), 1, x.height, x.width, x.height, x.width, 0, 0,
              x.elements + second, x.elements)  # fmt: skip
