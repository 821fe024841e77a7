"""A small stand-in for PyTorch with one or more CUDA devices, made of numpy arrays: names and meanings, no speed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np


class OutOfMemoryError(RuntimeError):
    """What PyTorch raises when a device is full."""


class Tensor(np.ndarray):
    """An array with the methods that the probes use."""

    def to(self, dtype: Any) -> Tensor:
        return self.astype(dtype).view(Tensor)

    def view(self, *shape: Any) -> Any:  # type: ignore[override]
        return super().view(*shape) if isinstance(shape[0], type) else self.reshape(*shape)

    def t(self) -> Tensor:
        return self.T

    def copy_(self, other: Any, non_blocking: bool = False) -> Tensor:
        self[...] = other
        return self

    def mul_(self, factor: float) -> Tensor:
        self *= factor
        return self


class Event:
    """A point in time on a stream; all of them are counted."""

    made = 0

    def __init__(self, enable_timing: bool = False) -> None:
        assert enable_timing
        Event.made += 1
        self.at = 0.0

    def record(self) -> None:
        self.at = time.perf_counter()

    def synchronize(self) -> None:
        pass

    def elapsed_time(self, end: Event) -> float:
        return 1e3 * (end.at - self.at)


class Graph:
    """A captured graph; its replays are counted."""

    def __init__(self) -> None:
        self.replays = 0

    def replay(self) -> None:
        self.replays += 1
        time.sleep(1e-5)


class FakeTorch:
    """The module."""

    __version__ = "9.9"
    version = SimpleNamespace(cuda="13.0", hip=None)
    float64, float32, bfloat16, float16 = np.float64, np.float32, np.float32, np.float16
    int8, uint8 = np.int8, np.uint8

    def __init__(
        self, devices: int, limit: float = 1e12, capability: tuple[int, int] = (8, 0), architecture: str = "",
        taken: int = 10**9, peers: bool = True,
    ) -> None:  # fmt: skip
        self.limit = limit
        self.products: list[str] = []
        self.drawn: list[Any] = []
        self.graphs: list[Graph] = []
        if architecture:
            self.version = SimpleNamespace(cuda=None, hip="7.0")
        self.cuda = SimpleNamespace(
            is_available=lambda: devices > 0, device_count=lambda: devices, set_device=lambda device: None,
            init=lambda: None, mem_get_info=lambda device: (80 * 10**9 - taken, 80 * 10**9),
            synchronize=lambda device: None, get_device_capability=lambda device: capability,
            can_device_access_peer=lambda device, other: peers, CUDAGraph=Graph, graph=self._capture,
            empty_cache=lambda: None, Event=Event, OutOfMemoryError=OutOfMemoryError,
            get_device_properties=lambda device: SimpleNamespace(
                name="Pretend 1", total_memory=80 * 10**9, multi_processor_count=100, L2_cache_size=2**16,
                gcnArchName=f"{architecture}:sramecc+:xnack-",
            ),
        )  # fmt: skip
        self.nn = SimpleNamespace(functional=SimpleNamespace(
            scaled_dot_product_attention=lambda q, k, v: (q @ np.swapaxes(k, -1, -2)) @ v, relu=lambda x: x,
            linear=lambda x, w: x @ w.T, layer_norm=lambda x, shape: x,
        ))  # fmt: skip

    @contextmanager
    def _capture(self, graph: Graph) -> Iterator[None]:
        self.graphs.append(graph)
        yield

    def randn(self, shape: Any, device: str = "cpu") -> Tensor:
        self.drawn.append(tuple(shape))
        self.ones(shape, device=device)
        return np.random.default_rng(0).standard_normal(shape).view(Tensor)

    def randint(self, low: int, high: int, shape: Any, dtype: Any, device: str = "cpu") -> Tensor:
        self.drawn.append(tuple(shape))
        return np.random.default_rng(0).integers(low, high, shape, dtype).view(Tensor)

    def get_num_threads(self) -> int:
        return 3

    def set_float32_matmul_precision(self, name: str) -> None:
        self.products.append(name)

    def ones(self, shape: Any, dtype: Any = np.float32, device: str = "cpu", pin_memory: bool = False) -> Tensor:
        if float(np.prod(shape)) * 4.0 > self.limit:
            raise OutOfMemoryError("CUDA out of memory")
        return np.ones(shape, dtype).view(Tensor)

    def rand(self, shape: Any, device: str = "cpu") -> Tensor:
        return self.ones(shape, device=device)

    def zeros_like(self, other: Tensor) -> Tensor:
        return np.zeros_like(other).view(Tensor)

    def empty_like(self, other: Tensor, device: str = "cpu") -> Tensor:
        return self.zeros_like(other)

    def add(self, first: Tensor, second: Tensor, out: Tensor) -> Any:
        return np.add(first, second, out=out)

    def mm(self, left: Tensor, right: Tensor) -> Any:
        return left @ right

    def _int_mm(self, left: Tensor, right: Tensor) -> Tensor:
        raise RuntimeError("no kernel for 8-bit integers\nsecond line")
