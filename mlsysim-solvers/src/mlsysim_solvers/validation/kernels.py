"""Questions about single kernels, answered by the engine that runs whole models."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

import attrs

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.records.precision import bytes_per_element

from ..execution.device.answers import log_sd, machine_of
from ..execution.device.ceilings import ceiling_columns, spread_columns
from ..execution.device.engine import Totals, run
from ..execution.device.few_tiles import few_tiles
from ..formulas.attention import attention_bytes, attention_flops, block_share, causal_pairs, full_pairs
from ..formulas.constants import ATTENTION_BLOCK, FLOP_PER_MAC, FULL_WIDTH, HALF_WIDTH
from ..formulas.elementwise import stream_bytes
from ..formulas.gemm import matmul_activation_bytes, matmul_flops, matmul_weight_bytes
from ..lowering.operators import Operator, Table, stream
from ..lowering.training import backward
from .mapping.common import format_for
from .names import Names
from .questions import Assumed, Refused

__all__ = ["Kernel", "KernelAnswer", "kernel_of", "predict_kernel"]

_SIDES = re.compile(
    r"(?:MxNxK\s*=\s*)?([1-9]\d*)\s*[x×]\s*([1-9]\d*)\s*[x×]\s*([1-9]\d*)|"
    r"m\s*=\s*([1-9]\d*)\W+n\s*=\s*([1-9]\d*)\W+k\s*=\s*([1-9]\d*)",
    re.IGNORECASE,
)
_CUBE = re.compile(r"(?:(?:m\s*=\s*)?n(?:\s*=\s*k)?\s*=\s*)?([1-9]\d*)(?:\s*[x×]\s*\1)?", re.IGNORECASE)
_ATTENTION = re.compile(r"seqlen ([1-9]\d*)(k?), head dim ([1-9]\d*)(?:, (causal|no mask))?(?=$|[;,])")
_UNMASKED = 0.15
"""How far a rate lies from that of a causal mask, of which a row may say nothing."""
_IMPLEMENTATION = re.compile(r"implementation ([\w .-]+)")
_SQUARE = re.compile(r"square, best of \d+\.\.([1-9]\d*)")

TOKENS, HIDDEN = 16384.0, 2048.0
"""Total tokens and hidden width that the attention figures keep (FlashAttention-2, section 4.1)."""


@attrs.frozen
class Kernel:
    """A kernel with what the engine needs to time it.

    Parameters
    ----------
    table : list of Operator
        Its operators.
    work : float
        What the published rate counts: FLOP, or bytes.
    columns : dict
        Rates and ceilings of device and stack.
    stack, device, precision : str
        Keys.
    calibrated, in_sample : bool
        As in an outcome.
    assumed : tuple of Assumed
        What the row leaves open.
    """

    table: Table
    work: float
    columns: dict[str, object]
    stack: str
    device: str
    precision: str
    calibrated: bool = False
    in_sample: bool = False
    assumed: tuple[Assumed, ...] = ()

    def totals(self, columns: dict[str, object]) -> Totals:
        """Time the kernel.

        Parameters
        ----------
        columns : dict
            Rates and ceilings.

        Returns
        -------
        Totals
        """
        return run(self.table, machine_of(columns))

    def rate(self, columns: dict[str, object]) -> float:
        """Return the rate of the kernel.

        Parameters
        ----------
        columns : dict
            Rates and ceilings.

        Returns
        -------
        float
            Work per time, SI.
        """
        return self.work / float(self.totals(columns).time)


@attrs.frozen
class KernelAnswer:
    """What is predicted for a kernel.

    Parameters
    ----------
    value, ideal : float
        In SI; the ideal at the full peak and bandwidth.
    log_sd : float, natural-log units
        Its spread.
    kernel : Kernel
        What was asked.
    """

    value: float
    ideal: float
    log_sd: float
    kernel: Kernel


def predict_kernel(row: Measurement, known: Names) -> KernelAnswer:
    """Predict the rate of a kernel.

    Parameters
    ----------
    row : Measurement
        A row of the table of kernels.
    known : Names
        Names as published.

    Returns
    -------
    KernelAnswer

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    kernel = kernel_of(row, known)
    totals = kernel.totals(kernel.columns)
    roof = {**kernel.columns, "compute_ceiling": 1.0 / float(kernel.columns["achieved"]), "memory_ceiling": 1.0,  # type: ignore[arg-type]
            "overhead": 0.0, "tiles": (), "special_rate": None, "attention_ceiling": 1.0}  # fmt: skip
    value = kernel.work / float(totals.time)
    return KernelAnswer(value, kernel.rate(roof), float(log_sd(kernel.columns, totals)), kernel)


def kernel_of(row: Measurement, known: Names) -> Kernel:
    """Return the kernel of a row.

    Parameters
    ----------
    row : Measurement
        A row of the table of kernels.
    known : Names
        Names as published.

    Returns
    -------
    Kernel

    Raises
    ------
    Refused
        If the row is no kernel of one device that the engine knows.
    """
    build = _BUILDERS.get(row.kind)
    if build is None or row.devices > 1:
        raise Refused(f"{row.kind}: it needs a link between devices, which no installed solver expresses")
    device = known.device(row.device)
    registry = plugins().registry
    key = known.stack(_software(row), row.set, row.kind)
    if key is None or key not in registry.keys("stacks"):
        raise Refused(f"no stack of the registry is the kernel library of {row.set}")
    return build(row, device, key, known)


def _software(row: Measurement) -> str:
    notes = row.configuration.get("notes", "")
    found = _IMPLEMENTATION.search(notes)
    return found[1] if found else notes.split(";", 1)[0] if row.kind == "attention" else ""


def _columns(device: str, stack: str, precision: str) -> tuple[dict[str, object], bool, tuple[str, ...]]:
    registry = plugins().registry
    machine, software = registry.get("devices", device), registry.get("stacks", stack)
    record = software.record
    columns: dict[str, object] = dict(ceiling_columns(machine.record, record, device, precision, {}))
    claims = {
        (role, name): entry.standing(name)
        for role, entry, names in (
            ("device", machine, (f"compute.peak.{precision}.dense", "memory.bandwidth")),
            ("stack", software, ("ceilings.compute", "ceilings.memory", "ceilings.overhead", "ceilings.reserve")),
        )
        for name in names
    }
    columns |= spread_columns(claims, machine.record, record, device, precision)
    columns |= {
        "tiles": tuple((float(t.m), float(t.n), float(t.rate)) for t in record.tiles),
        "flop_per_mac": FLOP_PER_MAC, "attention_ceiling": 1.0, "features": record.features,
    }  # fmt: skip
    waits = few_tiles(machine.record, precision, {**columns, "operand_width": bytes_per_element(precision)})
    # What a tile waits for in each step is left out: these are kernels whose loads run ahead of their products.
    columns |= {name: value for name, value in waits.items() if name == "clock_macs"}
    made = machine.record
    fitted = record.calibration_for(device, precision, made.vendor, made.alike(precision))
    return columns, fitted is not None, fitted.rows if fitted is not None else ()


def _product(name: str, m: float, n: float, k: float, width: float, out: float) -> Operator:
    moved = matmul_activation_bytes(m, n, k, 1.0, width, out)
    flops = matmul_flops(m, n, k, 1.0, FLOP_PER_MAC)
    return Operator(name, "gemm", 1.0, m, n, k, 1.0, flops, matmul_weight_bytes(n, k, 1.0, width), moved, work=flops)


def _sides(text: str) -> tuple[float, float, float] | None:
    """Read the three sides of a matrix product; one number, or the last of several, is that of square matrices."""
    three = _SIDES.fullmatch(text.strip())
    if three is not None:
        m, n, k = (float(side) for side in three.groups() if side)
        return m, n, k
    cube = _CUBE.fullmatch(text.strip()) or _SQUARE.fullmatch(text)
    return None if cube is None else (float(cube[1]),) * 3


def _gemm(row: Measurement, device: str, stack: str, known: Names) -> Kernel:
    text = row.configuration.get("shape_or_size", "")
    precision = format_for(device, known.weights(row.configuration.get("dtype", ""))[0])
    sides = _sides(text)
    if sides is None:
        raise Refused(f"the shape {text!r} of a matrix product is not understood")
    m, n, k = sides
    columns, calibrated, rows = _columns(device, stack, precision)
    width = bytes_per_element(precision)
    out = max(width, HALF_WIDTH)
    serial = bool(plugins().registry.get("stacks", stack).record.features.serial_epilogue)
    operator = _product("matrix product", m, n, k, width, 0.0 if serial else out)
    table = [operator]
    if serial:
        table.append(stream("results", 1.0, stream_bytes(m, n, out), 0.0))
    return Kernel(table, float(operator.flops), columns, stack, device, precision, calibrated,
                  row.id in rows or _is_fact(device, precision, row))  # fmt: skip


def _is_fact(device: str, precision: str, row: Measurement) -> bool:
    """Whether this very figure stands in the registry as what the device reaches."""
    standing = plugins().registry.get("devices", device).standing(f"compute.peak.{precision}.achieved")
    return standing is not None and math.isclose(standing.chosen.value, row.value * 1e12)


def _copy(row: Measurement, device: str, stack: str, _: Names) -> Kernel:
    record = plugins().registry.get("devices", device).record
    precision = next((p for p in ("fp32", "fp16", "bf16", "int8") if p in record.compute.peak), "")
    if not precision:
        raise Refused(f"{record.name} has no rate in the registry")
    columns, calibrated, rows = _columns(device, stack, precision)
    traffic = stream_bytes(1.0, record.memory.capacity / 8.0, 1.0)
    return Kernel([stream("copy", 1.0, traffic)], float(traffic), columns, stack, device, precision, calibrated,
                  row.id in rows)  # fmt: skip


def _attention(row: Measurement, device: str, stack: str, known: Names) -> Kernel:
    text = row.configuration.get("shape_or_size", "")
    shape = _ATTENTION.match(text)
    if shape is None:
        raise Refused(f"the shape {text!r} of attention is not understood")
    # Kernels of attention read 16 bits where a row says no more.
    precision = format_for(device, known.weights(row.configuration.get("dtype", "") or "fp16")[0])
    assumed = () if shape[4] else (Assumed("no mask, of which the row says nothing", _UNMASKED),)
    columns, calibrated, rows = _columns(device, stack, precision)
    sequence = float(shape[1]) * (1024.0 if shape[2] else 1.0)
    head, causal = float(shape[3]), shape[4] == "causal"
    heads, batch = HIDDEN / head, TOKENS / sequence
    pairs = causal_pairs(sequence, sequence) if causal else full_pairs(sequence, sequence)
    flops = attention_flops(batch * pairs, heads, head, head, FLOP_PER_MAC)
    fused = bool(plugins().registry.get("stacks", stack).record.features.fused_attention)
    table = (
        _fused(batch, sequence, heads, head, pairs, causal=causal) if fused else _plain(batch, sequence, heads, head)
    )
    table = [operator._replace(flops=flops / len(table)) for operator in table]
    work = flops
    if "backward" in row.configuration.get("notes", ""):
        table, work = table + backward(table, fused_attention=fused), 3.5 * flops
    return Kernel(table, float(work), columns, stack, device, precision, calibrated, row.id in rows, assumed)


def _fused(batch: float, sequence: float, heads: float, head: float, pairs: float, *, causal: bool) -> Table:
    blocks = block_share(sequence, ATTENTION_BLOCK, 3.0 if causal else 1.0)
    seen = batch * pairs * blocks
    traffic = attention_bytes(batch * sequence, 4.0 * heads * head, HALF_WIDTH)
    work = attention_flops(seen, heads, head, head, FLOP_PER_MAC)
    return [
        Operator("attention", "attention", 1.0, batch * sequence, 1.0, 1.0, heads * seen, work, 0.0, traffic, work=work)
    ]


def _plain(batch: float, sequence: float, heads: float, head: float) -> Table:
    """Scores are written, masked, normalised and read again, in 16 bits; the softmax passes through 32."""
    products = batch * heads
    table = []
    for name, n, k in (("scores", sequence, head), ("values", head, sequence)):
        moved = matmul_activation_bytes(sequence, n + head, k, products, HALF_WIDTH, HALF_WIDTH)
        work = matmul_flops(sequence, n, k, products, FLOP_PER_MAC)
        table.append(Operator(name, "gemm", 1.0, sequence, n, k, products, 0.0, 0.0, moved, work=work))
    table.append(stream("softmax", 1.0, stream_bytes(products * sequence, 3.0 * sequence, FULL_WIDTH), 3.0))
    return table


_BUILDERS: dict[str, Callable[[Measurement, str, str, Names], Kernel]] = {
    "gemm": _gemm, "membw": _copy, "attention": _attention,
}  # fmt: skip
