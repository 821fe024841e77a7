"""The probes in PyTorch, on a processor or on a CUDA device.

PyTorch is optional and its types are not known where it is missing, so it is passed around as a
module of any type; nothing here imports it before somebody measures.
"""

from __future__ import annotations

import importlib
import platform
import time
from typing import Any

from mlsysim.errors import ConfigError

from . import host as system
from .backend import Backend, Unsupported
from .readings import Host
from .timing import Action, Stopwatch

__all__ = ["find_torch", "torch_backend"]

_CPU = ("fp32", "bf16", "fp16", "int8", "fp64")
_CUDA = ("bf16", "fp16", "tf32", "fp32", "fp8", "int8", "fp64")
_TYPES = {
    "fp64": "float64", "fp32": "float32", "tf32": "float32", "bf16": "bfloat16", "fp16": "float16",
    "fp8": "float8_e4m3fn", "int8": "int8",
}  # fmt: skip


def find_torch() -> tuple[Any, str]:
    """Import PyTorch where it is installed.

    Returns
    -------
    module or None
    str
        Why there is none.
    """
    try:
        return importlib.import_module("torch"), ""
    except ModuleNotFoundError as problem:
        if problem.name != "torch":
            return None, f"PyTorch cannot be imported: {problem}"
        return None, "PyTorch is not installed"
    except (ImportError, OSError, ValueError) as problem:
        return None, f"PyTorch cannot be imported: {problem}"


def torch_backend(torch: Any, device: str = "") -> Backend:
    """Return PyTorch on one device.

    Parameters
    ----------
    torch : module
        PyTorch.
    device : str
        ``cpu``, ``cuda`` or ``cuda:n``; empty takes the first CUDA device, else the processor.

    Returns
    -------
    Backend

    Raises
    ------
    ConfigError
        If there is no such device.
    """
    return _Torch(torch, _device(torch, device))


class _Torch(Backend):
    """PyTorch on one device."""

    name = "torch"

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self.device = device
        self._on_gpu = self.device != "cpu"
        self._reserve = system.resident()
        self.threads = int(torch.get_num_threads())
        if self._on_gpu:
            torch.cuda.set_device(self.device)
            torch.cuda.init()
            free, total = torch.cuda.mem_get_info(self.device)
            self._reserve = float(total - free)

    def host(self) -> Host:
        """Return what is measured, with what."""
        torch = self._torch
        version = str(torch.__version__)
        software = f"PyTorch {version}, Python {platform.python_version()}"
        host = platform.node() or "this machine"
        reserve = self._reserve or 0.0
        if not self._on_gpu:
            return Host(
                host=host, name=system.processor(), backend=self.name, version=version, device="cpu",
                processors=system.cores(), threads=self.threads, memory=system.memory(), reserve=reserve,
                usable=system.allowed_memory(), cache=system.cache_size(), clock=system.clock(), software=software,
            )  # fmt: skip
        found = torch.cuda.get_device_properties(self.device)
        # Not every version of PyTorch tells cache and clock; the clock is in kHz.
        cache, clock = getattr(found, "L2_cache_size", 0), getattr(found, "clock_rate", 0)
        return Host(
            host=host, name=str(found.name), backend=self.name, version=version, device=self.device,
            processors=int(found.multi_processor_count), threads=self.threads, memory=float(found.total_memory),
            reserve=reserve, cache=float(cache) or None, clock=1e3 * float(clock) or None,
            software=f"{software}, CUDA {torch.version.cuda}",
        )  # fmt: skip

    def precisions(self) -> tuple[str, ...]:
        """Return the number formats of matrix products to try, the usual one first."""
        return _CUDA if self._on_gpu else _CPU

    @property
    def most_ranks(self) -> int | None:
        """Processes that can each have a device of their own; None without a limit."""
        return int(self._torch.cuda.device_count()) if self._on_gpu else None

    @property
    def stopwatch(self) -> Stopwatch:
        """Time of the device's work: between two events on its stream."""
        return self._between_events if self._on_gpu else super().stopwatch

    @property
    def host_stopwatch(self) -> Stopwatch:
        """Time that the host spends until the device has done the work."""
        return self._until_done if self._on_gpu else super().host_stopwatch

    def is_too_large(self, error: BaseException) -> bool:
        """Whether something failed for want of memory."""
        kind = getattr(self._torch.cuda, "OutOfMemoryError", None)
        if isinstance(error, MemoryError) or (kind is not None and isinstance(error, kind)):
            return True
        # On a processor it is a RuntimeError like any other.
        return isinstance(error, RuntimeError) and "allocate memory" in str(error)

    def copy(self, size: int) -> Action:
        """Return a copy of so many bytes from one buffer to another."""
        source = self._ones((size // 4,), "fp32")
        target = self._torch.zeros_like(source)
        return lambda: target.copy_(source)

    def stream(self, size: int) -> Action:
        """Return the sum of two buffers of so many bytes, into a third."""
        torch = self._torch
        first, second, third = (self._ones((size // 4,), "fp32") for _ in range(3))
        return lambda: torch.add(first, second, out=third)

    def small(self) -> Action:
        """Return an operation on one element."""
        one = self._ones((1,), "fp32")
        return lambda: one.mul_(1.0)

    def product(self, precision: str, m: int, n: int, k: int) -> Action:
        """Return a matrix product; Unsupported where it does not exist in this format."""
        torch = self._torch
        if self._on_gpu and precision in ("fp32", "tf32"):
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        if not hasattr(torch, _TYPES[precision]):
            raise Unsupported(f"this version of PyTorch has no {precision}")
        left = self._ones((m, k), precision)
        # The library wants the right operand of 8-bit products by columns.
        right = self._ones((n, k), precision).t() if precision == "fp8" else self._ones((k, n), precision)
        action = _product_of(torch, precision, left, right, self.device)
        try:
            action()
        except Exception as problem:
            if self.is_too_large(problem):
                raise
            raise Unsupported(_first_line(problem)) from None
        return action

    def attention(self, precision: str, heads: int, sequence: int, width: int) -> Action:
        """Return attention of one sequence over itself, with the kernel that PyTorch chooses."""
        attend = self._torch.nn.functional.scaled_dot_product_attention
        q, k, v = (self._random((1, heads, sequence, width), precision) for _ in range(3))
        return lambda: attend(q, k, v)

    def decode(self, precision: str, hidden: int, heads: int, context: int) -> Action:
        """Return one token through one layer of a transformer, its cache filled."""
        functions, width = self._torch.nn.functional, hidden // heads
        qkv, out = self._random((3 * hidden, hidden), precision), self._random((hidden, hidden), precision)
        up, down = self._random((4 * hidden, hidden), precision), self._random((hidden, 4 * hidden), precision)
        keys, values = (self._random((1, heads, context, width), precision) for _ in range(2))
        token = self._random((1, hidden), precision)
        linear, attend, norm = functions.linear, functions.scaled_dot_product_attention, functions.layer_norm

        def run() -> Any:
            query = linear(norm(token, (hidden,)), qkv)[:, :hidden].view(1, heads, 1, width)
            x = token + linear(attend(query, keys, values).reshape(1, hidden), out)
            return x + linear(functions.relu(linear(norm(x, (hidden,)), up)), down)

        return run

    def links(self, size: int) -> dict[str, Action]:
        """Return copies of so many bytes to and from the host, and to other CUDA devices."""
        if not self._on_gpu:
            return {}
        torch = self._torch
        here = torch.ones(size, dtype=torch.uint8, device=self.device)
        there = torch.ones(size, dtype=torch.uint8, pin_memory=True)
        found: dict[str, Action] = {
            "host to device": lambda: here.copy_(there, non_blocking=True),
            "device to host": lambda: there.copy_(here, non_blocking=True),
        }
        for index in range(torch.cuda.device_count()):
            peer = f"cuda:{index}"
            if peer != self.device:
                found[f"device to {peer}"] = _onto(torch.empty_like(here, device=peer), here)
        return found

    def release(self) -> None:
        """Give memory that is no longer needed back to the device."""
        if self._on_gpu:
            self._torch.cuda.empty_cache()

    def _ones(self, shape: tuple[int, ...], precision: str) -> Any:
        torch = self._torch
        return torch.ones(shape, device=self.device).to(getattr(torch, _TYPES[precision]))

    def _random(self, shape: tuple[int, ...], precision: str) -> Any:
        torch = self._torch
        return (torch.rand(shape, device=self.device) * 0.01).to(getattr(torch, _TYPES[precision]))

    def _between_events(self, action: Action, runs: int) -> float:
        torch = self._torch
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize(self.device)
        start.record()
        for _ in range(runs):
            action()
        end.record()
        end.synchronize()
        return 1e-3 * float(start.elapsed_time(end))

    def _until_done(self, action: Action, runs: int) -> float:
        self._torch.cuda.synchronize(self.device)
        start = time.perf_counter()
        for _ in range(runs):
            action()
        self._torch.cuda.synchronize(self.device)
        return time.perf_counter() - start


def _device(torch: Any, wanted: str) -> str:
    if wanted == "cpu":
        return "cpu"
    count = int(torch.cuda.device_count()) if torch.cuda.is_available() else 0
    if not wanted:
        return "cuda:0" if count else "cpu"
    index = int(wanted.partition(":")[2] or 0)
    if not count:
        raise ConfigError(
            f"PyTorch {torch.__version__} sees no CUDA device", where="--device",
            remedy="Use --device cpu; or install a driver and a PyTorch built for CUDA",
        )  # fmt: skip
    if index >= count:
        known = ", ".join(f"cuda:{i}" for i in range(count))
        raise ConfigError(f"there is no cuda:{index}", where="--device", remedy=f"PyTorch sees {known}")
    return f"cuda:{index}"


def _product_of(torch: Any, precision: str, left: Any, right: Any, device: str) -> Action:
    if precision == "int8":
        multiply = getattr(torch, "_int_mm", None)
        if multiply is None:
            raise Unsupported("this version of PyTorch has no product of 8-bit integers")
        return lambda: multiply(left, right)
    if precision == "fp8":
        scaled = getattr(torch, "_scaled_mm", None)
        if scaled is None:
            raise Unsupported("this version of PyTorch has no product in fp8")
        one = torch.ones((), device=device)
        return lambda: scaled(left, right, scale_a=one, scale_b=one, out_dtype=torch.bfloat16)
    return lambda: torch.mm(left, right)


def _onto(target: Any, source: Any) -> Action:
    return lambda: target.copy_(source, non_blocking=True)


def _first_line(problem: BaseException) -> str:
    return (str(problem).strip().splitlines() or [type(problem).__name__])[0]
