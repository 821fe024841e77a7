"""The probes in numpy, on the processor of the host."""

from __future__ import annotations

import platform
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from . import host as system
from .backend import Backend, Unsupported
from .readings import Host
from .timing import Action

__all__ = ["numpy_backend"]

_TYPES: dict[str, Any] = {"fp32": np.float32, "fp64": np.float64}


def numpy_backend() -> Backend:
    """Return numpy on the processor of the host.

    Returns
    -------
    Backend
    """
    return _Numpy()


class _Numpy(Backend):
    """numpy with the library of linear algebra that it was built with."""

    name = "numpy"
    device = "cpu"

    def __init__(self) -> None:
        self._reserve = system.resident()
        self.threads = system.threads_asked(_linear_algebra())

    def host(self) -> Host:
        """Return what is measured, with what."""
        blas = _linear_algebra()
        return Host(
            host=platform.node() or "this machine", name=system.processor(), backend=self.name, version=np.__version__,
            device=self.device, processors=system.cores(), threads=self.threads, memory=system.memory(),
            reserve=self._reserve or 0.0, usable=system.allowed_memory(), cache=system.cache_size(),
            clock=system.clock(),
            software=f"numpy {np.__version__}{f' with {blas}' if blas else ''}, Python {platform.python_version()}",
        )  # fmt: skip

    def precisions(self) -> tuple[str, ...]:
        """Return the number formats of matrix products to try, the usual one first."""
        return tuple(_TYPES)

    def copy(self, size: int) -> Action:
        """Return a copy of so many bytes from one buffer to another."""
        source = np.ones(size // 8)
        target = np.zeros_like(source)
        return lambda: np.copyto(target, source)

    def stream(self, size: int) -> Action:
        """Return the sum of two buffers of so many bytes, into a third."""
        first, second, third = (np.ones(size // 4, np.float32) for _ in range(3))
        return lambda: np.add(first, second, out=third)

    def small(self) -> Action:
        """Return an operation on one element."""
        one = np.zeros(1, np.float32)
        return lambda: np.add(one, one, out=one)

    def product(self, precision: str, m: int, n: int, k: int) -> Action:
        """Return a matrix product; Unsupported where numpy has no such format."""
        if precision not in _TYPES:
            raise Unsupported(f"numpy has no {precision}")
        left, right = _filled((m, k), precision), _filled((k, n), precision)
        return lambda: left @ right

    def attention(self, precision: str, heads: int, sequence: int, width: int) -> Action:
        """Return attention as numpy does it: scores are written, normalised and read again."""
        q, k, v = (_filled((heads, sequence, width), precision) for _ in range(3))
        scale = q.dtype.type(width**-0.5)

        def run() -> NDArray[Any]:
            return _attended(q * scale, k, v)

        return run

    def decode(self, precision: str, hidden: int, heads: int, context: int) -> Action:
        """Return one token through one layer of a transformer, its cache filled."""
        width = hidden // heads
        qkv, out = _filled((hidden, 3 * hidden), precision), _filled((hidden, hidden), precision)
        up, down = _filled((hidden, 4 * hidden), precision), _filled((4 * hidden, hidden), precision)
        keys, values = (_filled((heads, context, width), precision) for _ in range(2))
        token = _filled((1, hidden), precision)

        def run() -> NDArray[Any]:
            query = (_normed(token) @ qkv)[:, :hidden].reshape(heads, 1, width)
            x = token + _attended(query, keys, values).reshape(1, hidden) @ out
            done: NDArray[Any] = x + np.maximum(_normed(x) @ up, 0) @ down
            return done

        return run


def _filled(shape: tuple[int, ...], precision: str) -> NDArray[Any]:
    drawn: NDArray[Any] = np.random.default_rng(0).random(shape, dtype=_TYPES[precision]) * _TYPES[precision](0.01)
    return drawn


def _attended(q: NDArray[Any], k: NDArray[Any], v: NDArray[Any]) -> NDArray[Any]:
    scores = q @ k.transpose(0, 2, 1)
    scores -= scores.max(axis=-1, keepdims=True)
    np.exp(scores, out=scores)
    scores /= scores.sum(axis=-1, keepdims=True)
    mixed: NDArray[Any] = scores @ v
    return mixed


def _normed(x: NDArray[Any]) -> NDArray[Any]:
    scaled: NDArray[Any] = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True))
    return scaled


def _linear_algebra() -> str:
    """Return name and version of the library behind matrix products, where numpy tells."""
    try:
        found = cast("dict[str, Any]", np.show_config(mode="dicts"))["Build Dependencies"]["blas"]
        return f"{found['name']} {found['version']}".strip()
    except (KeyError, TypeError, AttributeError):
        return ""
