"""Layer lists as operator tables: convolutions as implicit matrix products, depthwise ones and attention apart."""

from __future__ import annotations

from typing import Any, NamedTuple

from mlsysim.records.model import Network, Part
from mlsysim.shapes import Op, expand
from mlsysim.shapes.layers import live_only
from mlsysim.tracing import named

from ..formulas.attention import array_share
from ..formulas.constants import WINOGRAD_TILE
from ..formulas.elementwise import lookup_bytes
from ..formulas.gemm import matmul_flops, matmul_weight_bytes
from ..formulas.vision import conv_bytes, conv_flops, conv_rows, winograd_share
from .operators import ONCE, Formats, Operator, Table, stream
from .shape import number

__all__ = ["NetworkKernels", "NetworkRow", "NetworkShape", "lower_network", "network_shape"]


class NetworkRow(NamedTuple):
    """Equal convolutions, depthwise convolutions or dense layers of a network.

    Parameters
    ----------
    name : str
        Kind, inner dimension and columns.
    kind : str
        conv, depthwise, gemm or attention.
    count : float, count
        How many are equal.
    height, width : float, pixel
        Output map.
    n, k, groups : float, count
        Columns and inner dimension of one product, and products; width of a head and exponentials of attention.
    macs : float, count
        Multiply-accumulates per sample.
    elements : float, count
        Elements read and written per sample.
    quick : float, ratio
        Multiplications by Winograd's filtering over direct ones; 1 where it does not apply.
    """

    name: str
    kind: str
    count: Any
    height: Any
    width: Any
    n: Any
    k: Any
    groups: Any
    macs: Any
    elements: Any
    quick: Any = 1.0


class NetworkShape(NamedTuple):
    """What lowering and memory need to know of a layer list; counts per sample.

    Parameters
    ----------
    parameters : float
        All stored parameters.
    rows : tuple of NetworkRow
        Operators with weights, equal ones merged.
    moved, moving_kernels : float
        Elements moved by pools, shortcuts and scales, and their number.
    added, additions : float
        Outputs of additions of shortcuts, and their number.
    outputs, normed_outputs, normed : float
        Outputs of operators with weights, those of them that are normalised, and the number of these.
    activated, activations : float
        Elements that activation functions work on, and their number: one follows each norm, whether it is an operator
        of its own or not; where nothing is normed one follows each operator with weights.
    live : float
        Largest number of elements alive at once.
    kept : float
        Elements that the backward pass needs.
    scores : float
        Query-key pairs of all heads and attention rows, which a stack without fused attention writes.
    tables : float
        Parameters of embedding tables.
    gathered, gathers : float
        Elements of tables that one sample reads, and the number of tables.
    pooled : float
        Elements written by look-ups.
    windows, windowed : float
        Elements read and written to gather the windows of all convolutions that see more than one pixel at a
        time, and the number of these.
    convolved, convolutions : float
        Inputs and outputs of all dense convolutions, and their number.
    operations : float
        All operations, with and without weights.
    """

    parameters: Any
    rows: tuple[NetworkRow, ...]
    moved: Any
    moving_kernels: Any
    added: Any
    additions: Any
    outputs: Any
    normed_outputs: Any
    normed: Any
    activated: Any
    activations: Any
    live: Any
    kept: Any
    scores: Any
    tables: Any
    gathered: Any
    gathers: Any
    pooled: Any
    windows: Any
    windowed: Any
    convolved: Any = 0.0
    convolutions: Any = 0.0
    operations: Any = 0.0


class NetworkKernels(NamedTuple):
    """What the kernels of a stack do with a network.

    Parameters
    ----------
    fused : bool
        Whether activations happen inside their neighbours, and norms are folded into the weights.
    fused_attention : bool
        Whether attention blocks never write their scores to memory.
    gathers : bool
        Whether convolutions copy the windows of their input into a matrix first: the map is read and the matrix
        written, and the product reads the matrix.
    winograd : bool
        Whether convolutions multiply by Winograd's minimal filtering where it applies.
    transposes : bool
        Whether the inputs of convolutions are transposed before them, and their outputs after them.
    head_step : float, count
        Multiple to which kernels of attention pad the width of heads.
    """

    fused: bool
    fused_attention: bool = True
    gathers: bool = False
    winograd: bool = False
    transposes: bool = False
    head_step: Any = 1.0


def _matrix_row(op: Op) -> NetworkRow:
    depth = op.in_channels // op.groups * op.kernel[0] * op.kernel[1]
    # One pixel at a time, a convolution is a plain product: it gathers no windows.
    kind = "gemm" if op.kind == "dense" or (op.kind == "conv" and op.kernel == (1, 1)) else op.kind
    if op.kind == "attention":
        pairs = op.groups * op.in_height * op.in_width * op.out_height * op.out_width
        return NetworkRow(
            f"attention {op.groups}x{op.out_channels // op.groups}", "attention", 1.0, number(op.out_height),
            number(op.out_width), 1.0, number(op.out_channels // op.groups), number(pairs), number(op.macs),
            number(op.inputs + op.outputs),
        )  # fmt: skip
    columns = op.out_channels // op.groups
    return NetworkRow(
        f"{op.kind} {depth}x{columns}", kind, 1.0, number(op.out_height), number(op.out_width), number(columns),
        number(depth), number(op.groups), number(op.macs), number(op.inputs + op.outputs), _quick(op),
    )  # fmt: skip


def _quick(op: Op) -> float:
    """Return what Winograd's filtering leaves of a convolution's multiplications: of 3 x 3 kernels that move by one."""
    slides = op.kernel == (3, 3) and (op.in_height, op.in_width) == (op.out_height, op.out_width)
    if op.kind != "conv" or op.groups > 1 or not slides:
        return 1.0
    return float(winograd_share(WINOGRAD_TILE, number(op.kernel[0])))


def _windows(op: Op) -> int:
    """Count the elements of the matrix whose rows are the windows of a convolution."""
    return op.in_channels * op.kernel[0] * op.kernel[1] * op.out_height * op.out_width


def _is_normed(op: Op) -> bool:
    weights = op.out_channels * (op.in_channels // op.groups) * op.kernel[0] * op.kernel[1]
    return op.parameters - weights >= 2 * op.out_channels


def _rows(merged: dict[NetworkRow, float]) -> tuple[NetworkRow, ...]:
    """Put rows that occur equally often side by side, with one object for their count: the engine adds them first."""
    same: dict[float, float] = {ONCE: ONCE}
    ordered = sorted(merged.items(), key=lambda item: -item[1])
    return tuple(row._replace(count=same.setdefault(count, count)) for row, count in ordered)


def network_shape(network: Network | Part, *, live: bool = False) -> NetworkShape:
    """Expand and summarise a layer list.

    Parameters
    ----------
    network : Network or Part
        Layer list.
    live : bool
        Whether channels whose published weights are all zero are left out.

    Returns
    -------
    NetworkShape
    """
    ops = expand(network)
    if live and isinstance(network, Network):
        ops = live_only(ops, network.live)
    weighted = [op for op in ops if op.kind in ("conv", "depthwise", "dense")]
    attending = [op for op in ops if op.kind == "attention"]
    tables = [op for op in ops if op.kind == "lookup"]
    moving = [op for op in ops if op.kind in ("pool", "add", "scale", "norm", "move")]
    convolutions = [op for op in ops if op.kind == "conv"]
    sliding = [op for op in convolutions if op.kernel != (1, 1)]
    merged: dict[NetworkRow, float] = {}
    for op in [*weighted, *attending]:
        row = _matrix_row(op)
        merged[row] = merged.get(row, 0.0) + 1.0
    normed = [op for op in weighted if _is_normed(op)]
    activated = [*normed, *(op for op in moving if op.kind == "norm")] or weighted
    normed_outputs = sum(op.outputs for op in normed)
    return NetworkShape(
        parameters=number(sum(named(op.parameters, f"{op.kind} to {op.out_channels} channels") for op in ops)),
        rows=_rows(merged),
        moved=number(sum(op.inputs + op.outputs for op in moving)),
        moving_kernels=number(len(moving)),
        added=number(sum(op.outputs for op in moving if op.kind == "add")),
        additions=number(sum(op.kind == "add" for op in moving)),
        outputs=number(sum(op.outputs for op in weighted)),
        normed_outputs=number(normed_outputs),
        normed=number(len(normed)),
        activated=number(sum(op.outputs for op in activated)),
        activations=number(len(activated)),
        live=number(max(op.inputs + op.outputs + op.held for op in ops)),
        # The input of every operator whose gradient depends on it, which that of a sum or a copy does not, and the
        # input of every norm; an activation works in place.
        kept=number(sum(op.inputs for op in ops if op.kind not in ("lookup", "add", "move")) + normed_outputs),
        scores=number(sum(op.groups * op.in_height * op.in_width * op.out_height * op.out_width for op in attending)),
        tables=number(sum(op.parameters for op in tables)),
        gathered=number(sum(op.inputs for op in tables)),
        gathers=number(len(tables)),
        pooled=number(sum(op.outputs for op in tables)),
        windows=number(sum(op.inputs + _windows(op) for op in sliding)),
        windowed=number(len(sliding)),
        convolved=number(sum(op.inputs + op.outputs for op in convolutions)),
        convolutions=number(len(convolutions)),
        operations=number(len(ops)),
    )


def lower_network(
    shape: NetworkShape, formats: Formats, batch: Any, kernels: NetworkKernels, *, training: bool = False
) -> Table:
    """Return one pass over a batch.

    Parameters
    ----------
    shape : NetworkShape
        The network.
    formats : Formats
        Number formats.
    batch : float or array, count
        Samples.
    kernels : NetworkKernels
        What the kernels of the stack do.
    training : bool
        Whether norms take the statistics of the batch; otherwise those that are not folded scale and shift.

    Returns
    -------
    list of Operator
    """
    table: Table = []
    activation, flop_per_mac = formats.activation, formats.flop_per_mac
    for name, kind, count, height, width, n, k, groups, macs, elements, quick in shape.rows:
        flops = conv_flops(batch, macs, flop_per_mac)
        rows = conv_rows(batch, height, width)
        # A product of gathered windows reads their matrix, not the map.
        own = groups * (k + n) * height * width if kernels.gathers and kind == "conv" else elements
        moved = conv_bytes(batch, own, activation)
        if kind == "attention":
            work = flops / array_share(k, k, kernels.head_step)
            row = Operator(name, kind, count, rows, 1.0, 1.0, batch * groups, flops, 0.0, moved, work=work)
            table.append(row)
            continue
        weights = matmul_weight_bytes(n, k, groups, formats.weight)
        depth = k * quick if kernels.winograd else k
        work = flops if kind == "depthwise" else matmul_flops(rows, n, depth, groups, flop_per_mac)
        table.append(Operator(name, kind, count, rows, n, depth, groups, flops, weights, moved, 0.0, 1.0, work))
    table.append(_moving(shape, batch, activation, kernels, training=training))
    if kernels.gathers and shape.windowed:
        table.append(
            stream("windows of convolutions", ONCE, conv_bytes(batch, shape.windows, activation), shape.windowed)
        )
    if kernels.transposes:
        traffic = conv_bytes(batch, 2.0 * shape.convolved, activation)
        table.append(stream("transposes of convolutions", ONCE, traffic, 2.0 * shape.convolutions))
    if shape.gathers:
        read, written = (
            lookup_bytes(batch, shape.gathered, formats.weight, 0.0),
            conv_bytes(batch, shape.pooled, activation),
        )
        # One kernel reads all tables where operators are fused.
        launched = 1.0 if kernels.fused else shape.gathers
        table.append(stream("embedding tables", ONCE, read + written, launched, kind="lookup"))
    return table


def _moving(shape: NetworkShape, batch: Any, activation: Any, kernels: NetworkKernels, *, training: bool) -> Operator:
    """Return norms, activations, pools and shortcuts of a pass, in one row."""
    # An activation reads and writes; a batch norm reads twice, for statistics and values, and writes.
    elements, launched = shape.moved, shape.moving_kernels
    if kernels.fused and not training:
        # The convolution before an addition reads the shortcut and writes the sum.
        elements, launched = elements - 2.0 * shape.added, launched - shape.additions
    if not kernels.fused:
        elements, launched = elements + 2.0 * shape.activated, launched + shape.activations
        if not training:
            elements, launched = elements + 2.0 * shape.normed_outputs, launched + shape.normed
    if not kernels.fused_attention:
        # Scores are written, read and written by the softmax, and read again.
        elements = elements + 4.0 * shape.scores
    if training:
        elements, launched = elements + 3.0 * shape.normed_outputs, launched + 2.0 * shape.normed
    return stream("norms, activations and pools", ONCE, conv_bytes(batch, elements, activation), launched)
