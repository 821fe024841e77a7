"""Layer lists turned into primitive operations.

Conventions. Work is counted in multiply-accumulates (MAC): one MAC is two FLOP. Batch norm
counts its weight and bias; its moving statistics are no parameters. The bottleneck of a
residual network strides in its middle convolution (version 1.5).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import attrs

from ..errors import ConfigError
from ..names import did_you_mean
from ..records.model import Layer, Network, Part
from .primitives import FeatureMap, Kind, Op, after, attention, conv, dense, elementwise, move, pair, pool

__all__ = ["expand", "live_only", "network_work"]


def _residual(x: FeatureMap, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield a basic block or a bottleneck; the shortcut is projected where the shape changes."""
    plan: tuple[tuple[int, int | tuple[int, int], int | tuple[int, int], int], ...]
    if row.op == "basic":
        plan = ((row.out, row.kernel, stride, 1), (row.out, row.kernel, 1, 1))
    else:
        plan = ((row.mid, 1, 1, 1), (row.mid, row.kernel, stride, row.groups), (row.out, 1, 1, 1))
    y = x
    for out, kernel, step, groups in plan:
        op = conv(y, row, out, kernel=kernel, stride=step, groups=groups, held=0 if y is x else x.elements)
        yield op
        y = after(op)
    if y != x:
        yield conv(x, row, y.channels, stride=stride, held=y.elements, norm=row.norm and row.shortcut_norm)
    yield elementwise("add", y, y.elements)


def _inverted(x: FeatureMap, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield an inverted residual; the shortcut exists only where the shape stays."""
    out = row.out or x.channels
    mid = row.mid or x.channels * row.expand
    kept = x.elements if pair(stride) == (1, 1) and out == x.channels else 0
    y = x
    if mid != x.channels:
        op = conv(y, row, mid)
        yield op
        y = after(op)
    op = conv(y, row, mid, kernel=row.kernel, stride=stride, groups=mid, held=kept if y is not x else 0)
    yield op
    y = after(op)
    if row.squeeze:
        yield from _squeeze(y, row, kept)
    op = conv(y, row, out, held=kept)
    yield op
    if kept:
        yield elementwise("add", after(op), kept)


def _squeeze(x: FeatureMap, row: Layer, kept: int) -> Iterator[Op]:
    """Yield a squeeze-and-excitation: pool, two biased 1x1 convolutions, scale."""
    plain = attrs.evolve(row, bias=True, norm=False)
    held = x.elements + kept
    pooled = pool(x, plain, (x.height, x.width), kept)
    down = conv(after(pooled), plain, row.squeeze, held=held)
    up = conv(after(down), plain, x.channels, held=held)
    yield from (pooled, down, up, elementwise("scale", x, x.channels)._replace(held=kept))


def _convolutions(x: FeatureMap, row: Layer, stride: int | tuple[int, int]) -> Iterator[Op]:
    """Yield the operations of one repetition of a row that reads one map."""
    if row.op == "dense":
        yield dense(x, row)
    elif row.op == "global_pool":
        yield pool(x, row, (x.height, x.width))
    elif row.op == "pool":
        yield pool(x, row, row.kernel)
    elif row.op in ("basic", "bottleneck"):
        yield from _residual(x, row, stride)
    elif row.op == "inverted_residual":
        yield from _inverted(x, row, stride)
    else:
        groups = row.groups if row.op == "conv" else x.channels
        out = x.channels if row.op == "separable" else row.out or x.channels
        first = conv(x, row, out, kernel=row.kernel, stride=stride, groups=groups)
        yield first
        if row.op == "separable":
            yield conv(after(first), row, row.out or x.channels)


def _joined(inputs: Sequence[FeatureMap], row: Layer) -> FeatureMap:
    """Return several maps beside each other: in channels (concat) or in rows (join)."""
    first = inputs[0]
    if row.op == "concat":
        fits = all((x.height, x.width) == (first.height, first.width) for x in inputs)
        joined = FeatureMap(sum(x.channels for x in inputs), first.height, first.width)
    else:
        fits = all((x.channels, x.width) == (first.channels, first.width) for x in inputs)
        joined = FeatureMap(first.channels, sum(x.height for x in inputs), first.width)
    if not fits:
        sizes = ", ".join(f"{x.channels}x{x.height}x{x.width}" for x in inputs)
        raise ConfigError(f"maps of {sizes} do not {row.op}", where="network.layers")
    return joined


def _attention(inputs: Sequence[FeatureMap], row: Layer) -> Op:
    """Return attention of one map with queries, keys and values in it, or of queries to keys and values."""
    parts = 3 if len(inputs) == 1 else 2
    memory = inputs[-1]
    width = memory.channels // parts
    if memory.channels % parts or width % row.heads or (parts == 2 and inputs[0].channels != width):
        raise ConfigError(
            f"attention over {memory.channels} channels does not divide into {parts} parts of {row.heads} heads",
            where="network.layers", remedy="Give queries, keys and values beside each other, or queries and a memory",
        )  # fmt: skip
    return attention(inputs[0], memory, width, row.heads)


def _wired(inputs: Sequence[FeatureMap], row: Layer) -> tuple[list[Op], FeatureMap] | None:
    """Return a row that connects maps, or None for a row of convolutions."""
    x = inputs[0]
    if row.op in ("input", "slice"):
        high, wide = pair(row.kernel)
        if row.op == "input":
            return [], FeatureMap(row.out, high, wide)
        return [], FeatureMap(row.out or x.channels, high if high > 1 else x.height, wide if wide > 1 else x.width)
    if row.op in ("concat", "join"):
        y = _joined(inputs, row)
        return [move("move", y.elements, y)], y
    if row.op == "upsample":
        high, wide = pair(row.stride)
        y = FeatureMap(x.channels, x.height * high, x.width * wide)
        return [move("move", x.elements, y)], y
    if row.op in ("add", "multiply"):
        kind: Kind = "add" if row.op == "add" else "scale"
        return [elementwise(kind, x, sum(second.elements for second in inputs[1:]))], x
    if row.op == "gate":
        y = x._replace(channels=x.channels // 2)
        return [move("scale", x.elements, y)], y
    if row.op == "norm":
        width = row.mid or x.channels
        return [move("norm", x.elements, x, (width if row.norm else 0) + (width if row.bias else 0))], x
    if row.op == "table":
        y = FeatureMap(row.out, 1, 1)
        op = move("lookup", row.out * row.lookups, y, row.entries * row.out)
        return [op], y
    if row.op == "attention":
        op = _attention(inputs, row)
        return [op], after(op)
    return None


def _waiting(rows: Sequence[Layer], known: Mapping[str, FeatureMap], own: set[str], index: int) -> int:
    """Count the elements of named maps that a later row reads, and that this one does not."""
    before = rows[index - 1].name if index else "in"
    now = set(rows[index].of) or {before}
    later = {name for row in rows[index + 1 :] for name in _read(row)}
    return sum(known[name].elements for name in (own & later) - now)


def _read(row: Layer) -> set[str]:
    """Return the names that a row reads, inside a block as well."""
    return set(row.of) | {name for inner in row.rows for name in _read(inner) if name != "in"}


def _walk(
    rows: Sequence[Layer], start: FeatureMap, outer: Mapping[str, FeatureMap], held: int
) -> tuple[list[Op], FeatureMap]:
    """Return the operations of a list and its last map."""
    known = {**outer, "in": start}
    own = {"in"}
    ops: list[Op] = []
    x = start
    for index, row in enumerate(rows):
        for name in row.of:
            if name not in known:
                raise ConfigError(
                    f"no row before is named {name!r}", where="network.layers", remedy=did_you_mean(name, known)
                )
        inputs = [known[name] for name in row.of] or [x]
        waiting = held + (_waiting(rows, known, own, index) if len(known) > 1 or own & _names(rows) else 0)
        found, x = _repeated(inputs, row, known, waiting)
        ops += found
        if row.name:
            known[row.name] = x
            own.add(row.name)
    return ops, x


def _names(rows: Sequence[Layer]) -> set[str]:
    return {name for row in rows for name in row.of}


def _repeated(
    inputs: Sequence[FeatureMap], row: Layer, known: Mapping[str, FeatureMap], waiting: int
) -> tuple[list[Op], FeatureMap]:
    """Return all repetitions of a row; each reads what the one before wrote."""
    ops: list[Op] = []
    x = inputs[0]
    for repetition in range(row.repeat):
        if row.op == "block":
            found, x = _walk(row.rows, x, known, waiting)
            ops += found
            continue
        wired = _wired(inputs if repetition == 0 else [x], row)
        if wired is None:
            found = list(_convolutions(x, row, row.stride if repetition == 0 else 1))
            wired = found, after(found[-1])
        found = [op._replace(parameters=0) for op in wired[0]] if row.shared else wired[0]
        ops += [op._replace(held=op.held + waiting) for op in found] if waiting else found
        x = wired[1]
    return ops, x


def expand(network: Network | Part) -> tuple[Op, ...]:
    """Turn a layer list into primitive operations.

    Parameters
    ----------
    network : Network or Part
        Layer list.

    Returns
    -------
    tuple of Op
        In order of execution.

    Raises
    ------
    ConfigError
        If a window does not fit its map, channels do not divide into groups, maps do not fit each
        other, or a row reads a name that no row before it has.

    References
    ----------
    He et al. 2015, arXiv:1512.03385; Sandler et al. 2018, arXiv:1801.04381; Hu et al. 2017, arXiv:1709.01507.
    """
    start = FeatureMap(network.channels, network.height, network.width)
    return tuple(_walk(network.layers, start, {}, 0)[0])


def live_only(ops: Sequence[Op], live: Sequence[int]) -> tuple[Op, ...]:
    """Leave out the channels of a chain of operations whose weights are all zero.

    Parameters
    ----------
    ops : sequence of Op
        In order of execution, each reading what the one before it wrote.
    live : sequence of int, count
        Channels that remain of each operation that mixes channels; empty leaves everything.

    Returns
    -------
    tuple of Op

    Raises
    ------
    ConfigError
        If there are not as many counts as operations that mix channels, or a count exceeds its channels.
    """
    mixing = [op for op in ops if op.kind in ("conv", "dense")]
    if not live:
        return tuple(ops)
    if len(live) != len(mixing) or any(n > op.out_channels for n, op in zip(live, mixing, strict=False)):
        raise ConfigError(
            f"{len(live)} counts of live channels for {len(mixing)} rows that mix channels", where="network.live",
            remedy="Give one count per convolution that is not depthwise and per dense row, at most its channels",
        )  # fmt: skip
    counts, kept, full = iter(live), ops[0].in_channels, ops[0].in_channels
    result: list[Op] = []
    for op in ops:
        mixes = op.kind in ("conv", "dense")
        # A dense row reads all pixels of a channel as features of their own.
        inputs = op.in_channels * kept // full
        outputs = next(counts) if mixes else op.out_channels * kept // full
        share_in, share_out = inputs / op.in_channels, outputs / op.out_channels
        shrunk = share_in * share_out if mixes else share_out
        result.append(op._replace(
            in_channels=inputs, out_channels=outputs, groups=outputs if op.kind == "depthwise" else op.groups,
            parameters=round(op.parameters * shrunk), macs=round(op.macs * shrunk), inputs=round(op.inputs * share_in),
            outputs=round(op.outputs * share_out),
        ))  # fmt: skip
        kept, full = outputs, op.out_channels
    return tuple(result)


def network_work(network: Network | Part) -> int:
    """Count the multiply-accumulates of one forward pass.

    Parameters
    ----------
    network : Network or Part
        Layer list.

    Returns
    -------
    int, MAC/sample
    """
    return sum(op.macs for op in expand(network))
