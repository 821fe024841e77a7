"""Closing the loop: measure this machine, predict two forward passes written in numpy, run them, compare.

``python benchmarks/closed_loop.py`` exits with 1 when a prediction is more than a quarter off.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np

from mlsysim.records import Inference, Model, Scenario, System
from mlsysim.records.device import Compute, Device, Memory, Peak
from mlsysim.records.model import Layer, Network, Transformer
from mlsysim.records.stack import Ceilings, Features, Stack
from mlsysim.solving import Request, solve
from mlsysim_solvers.calibration.machine import Measured, measure

GOAL = 0.25
BATCH, SEQUENCE = 4, 256
SHAPE = Transformer(layers=4, hidden=512, heads=8, ffn=2048, context=512, kv_heads=8, head_dim=64, vocab=2000,
                    causal=False, gated=False, head=False, norm="rms", final_norm=False)  # fmt: skip
LAYERS = tuple(
    Layer("conv", out=out, kernel=3, stride=stride, norm=False)
    for out, stride in ((64, 1), (128, 2), (128, 1), (256, 2))
)
SIDE = 64


def machine(found: Measured) -> tuple[Device, Stack]:
    """Return the device and the stack that were measured."""
    peak = Peak(dense=found.best("fp32"), achieved=found.best("fp32"), engine="vector")
    device = Device("this machine", "this machine", "workstation",
                    Compute({"fp32": peak}, processors=float(found.processors)),
                    Memory(capacity=found.memory, bandwidth=found.bandwidth))  # fmt: skip
    typical = float(np.median(list(found.products["fp32"].values()))) / found.best("fp32")
    ceilings = Ceilings(compute=min(1.0, max(typical, 0.5)), memory=1.0, overhead=found.launch, reserve=1e8)
    return device, Stack("numpy", found.library, ("inference",), Features(), ceilings)


def predict(model: Model, sequence: int, device: Device, stack: Stack) -> float:
    """Return the predicted time of one pass, in seconds."""
    job = Inference(model="m", precision="fp32", batch=BATCH, sequence=sequence)
    scenario = Scenario("closed loop", "inference", job, System(device="d", stack="s"))
    request = Request(scenario, {"model": model, "device": device, "stack": stack})
    return float(solve("single-node", request).outputs["performance.latency"])


def transformer_pass() -> Callable[[], object]:
    """Return a forward pass of the transformer."""
    rng = np.random.default_rng(0)
    h, f, a, d = SHAPE.hidden, SHAPE.ffn, SHAPE.heads, SHAPE.head_dim

    def matrix(*size: int) -> np.ndarray:
        drawn: np.ndarray = rng.standard_normal(size, dtype=np.float32) * np.float32(0.02)
        return drawn

    layers = [(matrix(h, 3 * h), matrix(h, h), matrix(h, f), matrix(f, h)) for _ in range(SHAPE.layers)]
    start = matrix(BATCH * SEQUENCE, h)

    def normed(x: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = x / np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] / np.float32(h))
        return scaled

    def run() -> np.ndarray:
        x = start
        for qkv, out, up, down in layers:
            parts = (normed(x) @ qkv).reshape(BATCH, SEQUENCE, 3, a, d).transpose(2, 0, 3, 1, 4)
            scores = parts[0] @ parts[1].transpose(0, 1, 3, 2)
            np.exp(scores, out=scores)
            scores /= scores.sum(-1, keepdims=True)
            mixed = (scores @ parts[2]).transpose(0, 2, 1, 3).reshape(BATCH * SEQUENCE, h)
            x = x + mixed @ out
            x = x + np.maximum(normed(x) @ up, 0) @ down
        return x

    return run


def convolution_pass() -> Callable[[], object]:
    """Return a forward pass of the convolutional network, as products over gathered windows."""
    rng = np.random.default_rng(0)
    channels, weights = 3, []
    for layer in LAYERS:
        weights.append(rng.standard_normal((9 * channels, layer.out), dtype=np.float32) * np.float32(0.05))
        channels = layer.out
    start = rng.standard_normal((BATCH, SIDE, SIDE, 3), dtype=np.float32)

    def run() -> np.ndarray:
        x = start
        for layer, weight in zip(LAYERS, weights, strict=True):
            stride = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::stride, ::stride]
            n, height, width = windows.shape[:3]
            x = np.maximum(windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * height * width, -1) @ weight, 0)
            x = x.reshape(n, height, width, -1)
        return x

    return run


def fastest(action: Callable[[], object], times: int = 15) -> float:
    """Return the least time of a repeated action, in seconds."""
    action()
    found = []
    for _ in range(times):
        start = time.perf_counter()
        action()
        found.append(time.perf_counter() - start)
    return min(found)


def main() -> int:
    """Compare both passes."""
    found = measure(15.0)
    device, stack = machine(found)
    network = Network("benchmark", "this file", LAYERS, height=SIDE, width=SIDE, channels=3)
    cases = (
        ("transformer", Model("transformer", "", transformer=SHAPE), SEQUENCE, transformer_pass()),
        ("convolutions", Model("convolutions", "", network=network), 0, convolution_pass()),
    )
    worst = 0.0
    for name, model, sequence, action in cases:
        predicted, measured = predict(model, sequence, device, stack), fastest(action)
        error = predicted / measured - 1.0
        worst = max(worst, abs(error))
        print(
            f"{name:14s} predicted {1e3 * predicted:8.2f} ms  measured {1e3 * measured:8.2f} ms  {100 * error:+.0f} %"
        )
    return 0 if worst <= GOAL else 1


if __name__ == "__main__":
    sys.exit(main())
