"""What single kernels of a measured machine should take: the engine that runs whole models, asked for one operator."""

from __future__ import annotations

import math

from mlsysim.records.device import Device
from mlsysim.records.model import Model, Transformer
from mlsysim.records.precision import bytes_per_element
from mlsysim.records.stack import Stack
from mlsysim_solvers.calibration.probes.readings import Measured, Reading
from mlsysim_solvers.execution.device.answers import machine_of
from mlsysim_solvers.execution.device.ceilings import ceiling_columns
from mlsysim_solvers.execution.device.engine import run
from mlsysim_solvers.execution.device.machine import Machine
from mlsysim_solvers.formulas.constants import ATTENTION_CEILING, FLOP_PER_MAC
from mlsysim_solvers.lowering.attention import Abilities, attention_over_sequence
from mlsysim_solvers.lowering.operators import Formats, Table, gemm
from mlsysim_solvers.lowering.shape import transformer_shape


def _machine(device: Device, stack: Stack, precision: str) -> Machine:
    columns = dict(ceiling_columns(device, stack, "machine", precision, {}))
    return machine_of({**columns, "tiles": (), "flop_per_mac": FLOP_PER_MAC, "attention_ceiling": ATTENTION_CEILING,
                       "features": stack.features})  # fmt: skip


def _table(reading: Reading, stack: Stack) -> Table:
    width = bytes_per_element(reading.precision)
    formats = Formats(width, width, width, width, FLOP_PER_MAC)
    if reading.probe == "gemm":
        m, n, k = map(float, reading.size.split("x"))
        return [gemm("product", 1.0, m, n, k, formats)]
    heads, head_dim, tokens = (int(word) for word in reading.size.split() if word.isdigit())
    layer = Transformer(layers=1, hidden=heads * head_dim, heads=heads, kv_heads=heads, head_dim=head_dim, ffn=1,
                        context=tokens, vocab=1, causal=False)  # fmt: skip
    features = stack.features
    abilities = Abilities(features.fused_attention, features.shared_kv, features.fused_elementwise, 1.0,
                          staged_softmax=features.staged_softmax)  # fmt: skip
    return attention_over_sequence(transformer_shape(Model("", "", transformer=layer), layer), formats, abilities, 1.0,
                                   float(tokens))  # fmt: skip


def kernel_errors(found: Measured, device: Device, stack: Stack) -> dict[str, list[float]]:
    """Return predicted over measured time of each product and attention in the usual format, less one.

    Parameters
    ----------
    found : Measured
        What was measured.
    device, stack : Device, Stack
        What was made of it.

    Returns
    -------
    dict of str to list of float, ratio
        By ``gemm`` and ``attention``.
    """
    usual = found.precisions[0]
    machine = _machine(device, stack, usual)
    errors: dict[str, list[float]] = {}
    for probe in ("gemm", "attention"):
        for reading in found.of(probe, usual):
            predicted = float(run(_table(reading, stack), machine).time)
            errors.setdefault(probe, []).append(predicted / reading.timing.best - 1.0)
    return {probe: [error for error in each if math.isfinite(error)] for probe, each in errors.items()}
