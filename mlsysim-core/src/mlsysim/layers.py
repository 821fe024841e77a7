"""Layer lists of convolutional and dense networks, turned into primitive operations.

Conventions. Work is counted in multiply-accumulates (MAC): one MAC is two FLOP. Batch norm
counts its weight and bias; its moving statistics are no parameters. The bottleneck of a
residual network strides in its middle convolution (version 1.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

import attrs

from .errors import ConfigError
from .records.model import Layer, Network

__all__ = ["Op", "expand", "network_work"]


class Op(NamedTuple):
    """One primitive operation of a network, for one sample.

    Parameters
    ----------
    kind : str
        conv, depthwise, dense, pool, add (of a shortcut) or scale (by a squeeze-and-excitation).
    in_channels, out_channels : int, count
        Channels or features.
    kernel, stride : tuple of int, pixel
        (height, width).
    groups : int, count
        Groups of a convolution.
    in_height, in_width, out_height, out_width : int, pixel
        Sizes of the maps; 1 for features.
    parameters : int, count
        Weights, bias and batch norm.
    macs : int, count
        Multiply-accumulates of the weights.
    inputs, outputs : int, count
        Elements read and written.
    held : int, count
        Elements of another branch that stay in memory meanwhile.
    """

    kind: Literal["conv", "depthwise", "dense", "pool", "add", "scale"]
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


class _Map(NamedTuple):
    """Size of a feature map."""

    channels: int
    height: int
    width: int

    @property
    def elements(self) -> int:
        return self.channels * self.height * self.width


def _pair(value: int | tuple[int, int]) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)


def _after(op: Op) -> _Map:
    return _Map(op.out_channels, op.out_height, op.out_width)


def _window(side: int, kernel: int, stride: int, *, same: bool) -> int:
    """Return the output side: every stride once, or only full windows."""
    return -(-side // stride) if same else (side - kernel) // stride + 1


def _conv(x: _Map, row: Layer, out: int, *, kernel: int | tuple[int, int] = 1, stride: int | tuple[int, int] = 1,
          groups: int = 1, held: int = 0, norm: bool | None = None) -> Op:  # fmt: skip
    """Return a convolution with the bias and norm of its row."""
    if x.channels % groups or out % groups:
        raise ConfigError(f"{x.channels} to {out} channels do not divide into {groups} groups", where="network.layers")
    k, s = _pair(kernel), _pair(stride)
    y = _Map(out, _window(x.height, k[0], s[0], same=row.same), _window(x.width, k[1], s[1], same=row.same))
    if y.height < 1 or y.width < 1:
        raise ConfigError(f"a {k[0]}x{k[1]} window does not fit {x.height}x{x.width}", where="network.layers")
    weights = k[0] * k[1] * (x.channels // groups) * out
    vectors = (out if row.bias else 0) + (2 * out if (row.norm if norm is None else norm) else 0)
    depthwise = groups == x.channels == out and groups > 1
    return Op("depthwise" if depthwise else "conv", x.channels, out, k, s, groups, x.height, x.width, y.height,
              y.width, weights + vectors, weights * y.height * y.width, x.elements, y.elements, held)  # fmt: skip


def _dense(x: _Map, row: Layer) -> Op:
    inputs, out = x.elements, row.out
    vectors = (out if row.bias else 0) + (2 * out if row.norm else 0)
    macs = inputs * out
    return Op("dense", inputs, out, (1, 1), (1, 1), 1, 1, 1, 1, 1, macs + vectors, macs, inputs, out)


def _pool(x: _Map, row: Layer, kernel: int | tuple[int, int], held: int = 0) -> Op:
    k = _pair(kernel)
    s = k if row.op != "pool" else _pair(row.stride)
    y = _Map(x.channels, _window(x.height, k[0], s[0], same=row.same), _window(x.width, k[1], s[1], same=row.same))
    return Op("pool", x.channels, x.channels, k, s, 1, x.height, x.width, y.height, y.width, 0, 0, x.elements,
              y.elements, held)  # fmt: skip


def _elementwise(kind: Literal["add", "scale"], x: _Map, second: int) -> Op:
    return Op(kind, x.channels, x.channels, (1, 1), (1, 1), 1, x.height, x.width, x.height, x.width, 0, 0,
              x.elements + second, x.elements)  # fmt: skip


def _residual(x: _Map, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield a basic block or a bottleneck; the shortcut is projected where the shape changes."""
    plan: tuple[tuple[int, int | tuple[int, int], int | tuple[int, int], int], ...]
    if row.op == "basic":
        plan = ((row.out, row.kernel, stride, 1), (row.out, row.kernel, 1, 1))
    else:
        plan = ((row.mid, 1, 1, 1), (row.mid, row.kernel, stride, row.groups), (row.out, 1, 1, 1))
    y = x
    for out, kernel, step, groups in plan:
        op = _conv(y, row, out, kernel=kernel, stride=step, groups=groups, held=0 if y is x else x.elements)
        yield op
        y = _after(op)
    if y != x:
        yield _conv(x, row, y.channels, stride=stride, held=y.elements, norm=row.norm and row.shortcut_norm)
    yield _elementwise("add", y, y.elements)


def _inverted(x: _Map, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield an inverted residual; the shortcut exists only where the shape stays."""
    out = row.out or x.channels
    mid = row.mid or x.channels * row.expand
    kept = x.elements if _pair(stride) == (1, 1) and out == x.channels else 0
    y = x
    if mid != x.channels:
        op = _conv(y, row, mid)
        yield op
        y = _after(op)
    op = _conv(y, row, mid, kernel=row.kernel, stride=stride, groups=mid, held=kept if y is not x else 0)
    yield op
    y = _after(op)
    if row.squeeze:
        yield from _squeeze(y, row, kept)
    op = _conv(y, row, out, held=kept)
    yield op
    if kept:
        yield _elementwise("add", _after(op), kept)


def _squeeze(x: _Map, row: Layer, kept: int) -> Iterator[Op]:
    """Yield a squeeze-and-excitation: pool, two biased 1x1 convolutions, scale."""
    plain = attrs.evolve(row, bias=True, norm=False)
    held = x.elements + kept
    pooled = _pool(x, plain, (x.height, x.width), kept)
    down = _conv(_after(pooled), plain, row.squeeze, held=held)
    up = _conv(_after(down), plain, x.channels, held=held)
    yield from (pooled, down, up, _elementwise("scale", x, x.channels)._replace(held=kept))


def _row(x: _Map, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield the operations of one repetition of a row."""
    if row.op == "dense":
        yield _dense(x, row)
    elif row.op == "global_pool":
        yield _pool(x, row, (x.height, x.width))
    elif row.op == "pool":
        yield _pool(x, row, row.kernel)
    elif row.op in ("basic", "bottleneck"):
        yield from _residual(x, row, stride)
    elif row.op == "inverted_residual":
        yield from _inverted(x, row, stride)
    else:
        groups = row.groups if row.op == "conv" else x.channels
        out = x.channels if row.op == "separable" else row.out or x.channels
        first = _conv(x, row, out, kernel=row.kernel, stride=stride, groups=groups)
        yield first
        if row.op == "separable":
            yield _conv(_after(first), row, row.out or x.channels)


def expand(network: Network) -> tuple[Op, ...]:
    """Turn a layer list into primitive operations.

    Parameters
    ----------
    network : Network
        Layer list.

    Returns
    -------
    tuple of Op
        In order of execution.

    Raises
    ------
    ConfigError
        If a window does not fit its map or channels do not divide into groups.

    References
    ----------
    He et al. 2015, arXiv:1512.03385; Sandler et al. 2018, arXiv:1801.04381; Hu et al. 2017, arXiv:1709.01507.
    """
    x = _Map(network.channels, network.height, network.width)
    ops: list[Op] = []
    for row in network.layers:
        for repetition in range(row.repeat):
            ops.extend(_row(x, row, row.stride if repetition == 0 else 1))
            x = _after(ops[-1])
    return tuple(ops)


def network_work(network: Network) -> int:
    """Count the multiply-accumulates of one forward pass.

    Parameters
    ----------
    network : Network
        Layer list.

    Returns
    -------
    int, MAC/sample
    """
    return sum(op.macs for op in expand(network))
