"""Sums over devices whose kernel adds the residual and norms, too: which passes become shorter, and by how much."""

from __future__ import annotations

import numpy as np
import pytest

from mlsysim.evaluation import evaluate
from mlsysim.plugins import plugins
from mlsysim_solvers.execution.device import remembering
from mlsysim_solvers.execution.serving import copies
from mlsysim_solvers.lowering.operators import stream
from mlsysim_solvers.lowering.serving import normed_by_sums
from mlsysim_solvers.lowering.shape import transformer_shape
from mlsysim_solvers.lowering.transformer import NORMS


def tpot(stack, devices, *, kind="traffic", device="b200-sxm", model="llama-3.1-70b", **layout):
    load = {"concurrency": 4} if kind == "traffic" else {"batch": 4}
    return evaluate({
        "name": "fused sums", "kind": kind, "system": {"device": device, "devices": devices, "stack": stack},
        "workload": {"model": model, "precision": "fp8", "input": 1024, "output": 256} | load,
        "parallelism": layout or {"tensor": devices},
    })["performance.tpot"].value  # fmt: skip


@pytest.fixture
def apart(monkeypatch):
    """Keep norms in kernels of their own from here on."""

    def change():
        monkeypatch.setattr(copies, "normed_by_sums", lambda table, shape, together: table)
        monkeypatch.setattr(remembering, "_kept", {})

    return change


def shape_of(model):
    record = plugins().registry.get("models", model).record
    return transformer_shape(record, record.transformer)


def test_as_many_norms_disappear_as_there_are_sums():
    shape = shape_of("llama-3.1-70b")
    table = [stream(NORMS, shape.layers, 8.0, shape.norm_passes), stream("activation", shape.layers, 8.0)]
    norms, other = normed_by_sums(table, shape, together=True)
    assert norms.kernels == shape.norm_passes - 2
    assert norms.activation_bytes == table[0].activation_bytes
    assert other == table[1]
    assert normed_by_sums(table, shape, together=False) == table
    both = normed_by_sums(table, shape, together=np.array([False, True]))[0]
    assert both.kernels.tolist() == [shape.norm_passes, shape.norm_passes - 2]


@pytest.mark.parametrize("kind", ["traffic", "serving"])
def test_one_device_sums_nothing_and_several_save_their_norms(kind, apart):
    stack = "tensorrt-llm-1.0"
    fused = [tpot(stack, n, kind=kind) for n in (1, 8)]
    apart()
    plain = [tpot(stack, n, kind=kind) for n in (1, 8)]
    assert fused[0] == plain[0]
    # 160 kernels of some microseconds each.
    assert 160 * 1e-6 < plain[1] - fused[1] < 160 * 12e-6


@pytest.mark.parametrize(
    "asked",
    [{"device": "h100-sxm"}, {"model": "llama-3.1-8b"}, {"attention": 8, "tensor": 1, "expert": 8, "model": "deepseek-v3"}],
    ids=["another architecture", "a small model", "attention in copies"],
)  # fmt: skip
def test_where_norms_stay_apart(asked, apart):
    one = tpot("tensorrt-llm-1.0", 8, **asked)
    apart()
    assert tpot("tensorrt-llm-1.0", 8, **asked) == one
