"""Small models written out in numpy and in PyTorch, and the records that describe them to mlsysim."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mlsysim.records.model import Layer, Network, Transformer

Action = Callable[[], object]
Array = NDArray[Any]

BATCH, SEQUENCE, CONTEXT = 4, 256, 512
ENCODER = Transformer(layers=4, hidden=512, heads=8, ffn=2048, context=512, kv_heads=8, head_dim=64, vocab=2000,
                      causal=False, gated=False, head=False, norm="rms", final_norm=False)  # fmt: skip
DECODER = Transformer(layers=4, hidden=1024, heads=16, ffn=4096, context=2 * CONTEXT, kv_heads=16, head_dim=64,
                      vocab=8000, causal=True, gated=False, head=True, norm="rms", final_norm=False)  # fmt: skip
LAYERS = tuple(
    Layer("conv", out=out, kernel=3, stride=stride, norm=False)
    for out, stride in ((64, 1), (128, 2), (128, 1), (256, 2))
)
SIDE = 64
NETWORK = Network("benchmark", "this file", LAYERS, height=SIDE, width=SIDE, channels=3)


def _matrix(rng: np.random.Generator, *size: int) -> Array:
    drawn: Array = rng.standard_normal(size, dtype=np.float32) * np.float32(0.02)
    return drawn


def _weights(shape: Transformer) -> list[tuple[Array, Array, Array, Array]]:
    """Draw (h, 3 h), (h, h), (h, f) and (f, h) for each layer."""
    rng, h, f = np.random.default_rng(0), shape.hidden, shape.ffn
    return [
        (_matrix(rng, h, 3 * h), _matrix(rng, h, h), _matrix(rng, h, f), _matrix(rng, f, h))
        for _ in range(shape.layers)
    ]


def _filters() -> list[Array]:
    rng, channels, found = np.random.default_rng(0), 3, []
    for layer in LAYERS:
        found.append(_matrix(rng, layer.out, channels, 3, 3))
        channels = layer.out
    return found


def _normed(x: Array) -> Array:
    scaled: Array = x / np.sqrt(np.einsum("ij,ij->i", x, x)[:, None] / np.float32(x.shape[1]))
    return scaled


def _attended(q: Array, k: Array, v: Array) -> Array:
    scores = q @ k.swapaxes(-1, -2)
    scores -= scores.max(-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(-1, keepdims=True)
    mixed: Array = scores @ v
    return mixed


def encoder_in_numpy() -> Action:
    """Return a forward pass of the encoder over a batch of sequences."""
    a, d, h = ENCODER.heads, ENCODER.head_dim, ENCODER.hidden
    layers, start = _weights(ENCODER), _matrix(np.random.default_rng(1), BATCH * SEQUENCE, h)

    def run() -> Array:
        x = start
        for qkv, out, up, down in layers:
            q, k, v = (_normed(x) @ qkv).reshape(BATCH, SEQUENCE, 3, a, d).transpose(2, 0, 3, 1, 4)
            x = x + _attended(q, k, v).transpose(0, 2, 1, 3).reshape(BATCH * SEQUENCE, h) @ out
            x = x + np.maximum(_normed(x) @ up, 0) @ down
        return x

    return run


def convolutions_in_numpy() -> Action:
    """Return a forward pass of the convolutions, as products over gathered windows."""
    weights = [w.transpose(2, 3, 1, 0).reshape(-1, w.shape[0]).copy() for w in _filters()]
    start = _matrix(np.random.default_rng(1), BATCH, SIDE, SIDE, 3)

    def run() -> Array:
        x = start
        for layer, weight in zip(LAYERS, weights, strict=True):
            step = layer.stride if isinstance(layer.stride, int) else layer.stride[0]
            padded = np.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)))
            windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), axis=(1, 2))[:, ::step, ::step]
            n, height, width = windows.shape[:3]
            x = np.maximum(windows.transpose(0, 1, 2, 4, 5, 3).reshape(n * height * width, -1) @ weight, 0)
            x = x.reshape(n, height, width, -1)
        return x

    return run


def decoder_in_numpy() -> Action:
    """Return one decode step of the decoder, its cache filled."""
    a, d, h = DECODER.heads, DECODER.head_dim, DECODER.hidden
    rng = np.random.default_rng(1)
    layers = [(*weights, _matrix(rng, a, CONTEXT, d), _matrix(rng, a, CONTEXT, d)) for weights in _weights(DECODER)]
    head, start = _matrix(rng, h, DECODER.vocab), _matrix(rng, 1, h)

    def run() -> Array:
        x = start
        for qkv, out, up, down, keys, values in layers:
            q, k, v = (_normed(x) @ qkv).reshape(3, a, 1, d)
            keys[:, -1:], values[:, -1:] = k, v
            x = x + _attended(q, keys, values).reshape(1, h) @ out
            x = x + np.maximum(_normed(x) @ up, 0) @ down
        logits: Array = x @ head
        return logits

    return run


def _on(torch: Any, device: str, precision: str) -> Callable[[Array], Any]:
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    return lambda array: torch.from_numpy(np.ascontiguousarray(array)).to(device=device, dtype=kind)


def encoder_in_torch(torch: Any, device: str, precision: str) -> Action:
    """Return a forward pass of the encoder over a batch of sequences."""
    functions, put = torch.nn.functional, _on(torch, device, precision)
    a, d, h = ENCODER.heads, ENCODER.head_dim, ENCODER.hidden
    layers = [tuple(put(w.T) for w in weights) for weights in _weights(ENCODER)]
    start = put(_matrix(np.random.default_rng(1), BATCH * SEQUENCE, h))

    def run() -> Any:
        x = start
        for qkv, out, up, down in layers:
            joined = functions.linear(functions.rms_norm(x, (h,)), qkv).view(BATCH, SEQUENCE, 3, a, d)
            q, k, v = joined.permute(2, 0, 3, 1, 4)
            mixed = functions.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(BATCH * SEQUENCE, h)
            x = x + functions.linear(mixed, out)
            x = x + functions.linear(functions.relu(functions.linear(functions.rms_norm(x, (h,)), up)), down)
        return x

    return run


def convolutions_in_torch(torch: Any, device: str, precision: str) -> Action:
    """Return a forward pass of the convolutions, channels last as its fastest kernels want them."""
    put, last = _on(torch, device, precision), torch.channels_last
    weights = [put(w).to(memory_format=last) for w in _filters()]
    start = put(_matrix(np.random.default_rng(1), BATCH, 3, SIDE, SIDE)).to(memory_format=last)
    convolve = torch.nn.functional.conv2d

    def run() -> Any:
        x = start
        for layer, weight in zip(LAYERS, weights, strict=True):
            x = torch.relu(convolve(x, weight, stride=layer.stride, padding=1))
        return x

    return run


def decoder_in_torch(torch: Any, device: str, precision: str) -> Action:
    """Return one decode step of the decoder, its cache filled."""
    functions, put = torch.nn.functional, _on(torch, device, precision)
    a, d, h = DECODER.heads, DECODER.head_dim, DECODER.hidden
    rng = np.random.default_rng(1)
    layers = [
        (*(put(w.T) for w in weights), put(_matrix(rng, 1, a, CONTEXT, d)), put(_matrix(rng, 1, a, CONTEXT, d)))
        for weights in _weights(DECODER)
    ]
    head, start = put(_matrix(rng, DECODER.vocab, h)), put(_matrix(rng, 1, h))

    def run() -> Any:
        x = start
        for qkv, out, up, down, keys, values in layers:
            q, k, v = functions.linear(functions.rms_norm(x, (h,)), qkv).view(3, 1, a, 1, d)
            keys[:, :, -1:], values[:, :, -1:] = k, v
            mixed = functions.scaled_dot_product_attention(q, keys, values).reshape(1, h)
            x = x + functions.linear(mixed, out)
            x = x + functions.linear(functions.relu(functions.linear(functions.rms_norm(x, (h,)), up)), down)
        return functions.linear(x, head)

    return run
