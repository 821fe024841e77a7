"""The probes in PyTorch, on a processor or on a CUDA device.

PyTorch is optional and its types are not known where it is missing, so it is passed around as a
module of any type; nothing here imports it before somebody measures.
"""

from __future__ import annotations

import contextlib
import importlib
import platform
import time
from typing import Any

from mlsysim.errors import ConfigError

from . import host as system
from .backend import Backend, Unsupported, first_line
from .readings import Host
from .timing import Action, Stopwatch
from .torch_formats import TYPES, cuda_formats, fp8_type, rocm_formats
from .torch_products import product_of

__all__ = ["find_torch", "torch_backend"]

_CPU = ("fp32", "bf16", "fp16", "int8", "fp64")
_BY_COLUMNS = ("fp8", "int8")
"""Formats in which the library of a GPU wants the right operand by columns, or is slow."""

_CROWDED = 0.05
"""Share of a device's memory from which on what was taken before is no driver's context."""


def find_torch() -> tuple[Any, str]:
    """Import PyTorch where it is installed.

    Returns
    -------
    module or None
    str
        Why there is none.
    """
    try:
        found = importlib.import_module("torch")
    except ModuleNotFoundError as problem:
        if problem.name != "torch":
            return None, f"PyTorch cannot be imported: {problem}"
        return None, "PyTorch is not installed"
    except (ImportError, OSError, ValueError, RuntimeError, AttributeError) as problem:
        return None, f"PyTorch cannot be imported: {problem}"
    if not hasattr(found, "cuda"):
        # A folder of that name, or what an uninstallation left behind.
        return None, "PyTorch cannot be imported: what is called torch here is something else"
    return found, ""


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
        If there is no such device, or it does not compute.
    """
    chosen = _device(torch, device)
    try:
        return _Torch(torch, chosen)
    except (RuntimeError, AssertionError) as problem:
        raise ConfigError(
            f"{chosen} does not compute: {first_line(problem)}", where="--device",
            remedy="Use --device cpu; or free the device, or install a PyTorch that was built for it",
        ) from None  # fmt: skip


class _Torch(Backend):
    """PyTorch on one device."""

    name = "torch"

    def __init__(self, torch: Any, device: str) -> None:
        self._torch = torch
        self.device = device
        self._on_gpu = self.device != "cpu"
        self._reserve = system.resident()
        self.threads = int(torch.get_num_threads())
        self._architecture = ""
        self._formats: tuple[tuple[str, ...], str] = (_CPU, "")
        if self._on_gpu:
            self._start()

    def _start(self) -> None:
        torch = self._torch
        torch.cuda.set_device(self.device)
        torch.cuda.init()
        free, total = torch.cuda.mem_get_info(self.device)
        self._reserve = float(total - free)
        self._crowded = self._reserve > _CROWDED * float(total)
        if getattr(torch.version, "hip", None):
            found = torch.cuda.get_device_properties(self.device)
            self._architecture = str(getattr(found, "gcnArchName", "")).partition(":")[0]
            self._formats = rocm_formats(self._architecture)
        else:
            major, minor = torch.cuda.get_device_capability(self.device)
            self._formats = cuda_formats((int(major), int(minor)))
        # A build without kernels for this device only fails once one is started.
        torch.ones((1,), device=self.device).mul_(1.0)
        torch.cuda.synchronize(self.device)

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
            software=f"{software}, {self._platform()}",
        )  # fmt: skip

    def precisions(self) -> tuple[str, ...]:
        """Return the number formats of matrix products to try, the usual one first."""
        return self._formats[0]

    @property
    def sustained(self) -> bool:
        """Whether the device's clock follows its load, so that its best moment is none that lasts."""
        return self._on_gpu

    @property
    def notes(self) -> tuple[str, ...]:
        """What a reader must know of the device and the library."""
        if not self._on_gpu:
            other = next((name for name in ("mps", "xpu") if _sees(self._torch, name)), "")
            return (f"the GPU of this machine ({other}) is not measured: the processor is",) * bool(other)
        taken = f"{(self._reserve or 0.0) / 1e9:.1f} GB of the device were taken before"
        crowd = f"{taken}: other programs may disturb, and the stack counts their memory as its own"
        return tuple(filter(None, (crowd * self._crowded, self._formats[1])))

    @property
    def link_notes(self) -> dict[str, str]:
        """What a reader must know of links, by name."""
        torch, here = self._torch, int(self.device.partition(":")[2] or 0)
        reached = getattr(torch.cuda, "can_device_access_peer", None)
        if not self._on_gpu or reached is None:
            return {}
        others = (i for i in range(int(torch.cuda.device_count())) if i != here)
        return {f"device to cuda:{i}": "no peer access: through memory of the host" for i in others
                if not reached(here, i)}  # fmt: skip

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
        # On a processor, in the driver and in a library it is a RuntimeError like any other.
        said = str(error).casefold()
        return isinstance(error, RuntimeError) and any(
            sign in said for sign in ("allocate memory", "out of memory", "alloc_failed")
        )

    def copy(self, size: int) -> Action:
        """Return a copy of so many bytes from one buffer to another."""
        source = self._random((size // 4,), "fp32")
        target = self._torch.zeros_like(source)
        return lambda: target.copy_(source)

    def stream(self, size: int) -> Action:
        """Return the sum of two buffers of so many bytes, into a third."""
        torch = self._torch
        first, second, third = (self._random((size // 4,), "fp32") for _ in range(3))
        return lambda: torch.add(first, second, out=third)

    def small(self) -> Action:
        """Return an operation on one element."""
        one = self._torch.ones((1,), device=self.device)
        return lambda: one.mul_(1.0)

    def graph(self, kernels: int) -> Action:
        """Return the replay of a captured graph of operations on one element."""
        cuda = self._torch.cuda
        if not self._on_gpu or not hasattr(cuda, "CUDAGraph"):
            return super().graph(kernels)
        small, graph = self.small(), cuda.CUDAGraph()
        small()
        cuda.synchronize(self.device)
        try:
            with cuda.graph(graph):
                for _ in range(kernels):
                    small()
        except RuntimeError as problem:
            raise Unsupported(first_line(problem)) from None

        def replay(kept: Action = small) -> Action:
            graph.replay()
            return kept  # the graph works on its element, which must not be given back before

        return replay

    def product(self, precision: str, m: int, n: int, k: int) -> Action:
        """Return a matrix product; Unsupported where it does not exist in this format."""
        torch = self._torch
        if self._on_gpu and precision in ("fp32", "tf32"):
            torch.set_float32_matmul_precision("high" if precision == "tf32" else "highest")
        if not hasattr(torch, self._type(precision)):
            raise Unsupported(f"this version of PyTorch has no {precision}")
        # Units draw less power on operands that are all alike, and run faster than on any that mean something.
        left = self._drawn((m, k), precision)
        turned = self._on_gpu and precision in _BY_COLUMNS
        right = self._drawn((n, k), precision).t() if turned else self._drawn((k, n), precision)
        try:
            action = product_of(torch, precision, left, right, self.device)
            action()
        except Unsupported:
            raise
        except Exception as problem:
            if self.is_too_large(problem):
                raise
            raise Unsupported(first_line(problem)) from None
        return action

    def attention(self, precision: str, heads: int, sequence: int, width: int) -> Action:
        """Return attention of one sequence over itself, with the kernel that PyTorch chooses."""
        attend = self._attend()
        q, k, v = (self._random((1, heads, sequence, width), precision) for _ in range(3))
        return lambda: attend(q, k, v)

    def decode(self, precision: str, hidden: int, heads: int, context: int) -> Action:
        """Return one token through one layer of a transformer, its cache filled."""
        functions, width = self._torch.nn.functional, hidden // heads
        qkv, out = self._random((3 * hidden, hidden), precision), self._random((hidden, hidden), precision)
        up, down = self._random((4 * hidden, hidden), precision), self._random((hidden, 4 * hidden), precision)
        keys, values = (self._random((1, heads, context, width), precision) for _ in range(2))
        token = self._random((1, hidden), precision)
        linear, attend, norm = functions.linear, self._attend(), functions.layer_norm

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
        peers = [peer for peer in map("cuda:{}".format, range(torch.cuda.device_count())) if peer != self.device]
        found: dict[str, Action] = {}
        # Memory of the host that cannot be pinned, or a peer that others hold, is no reason to leave out the rest.
        try:
            there = torch.ones(size, dtype=torch.uint8, pin_memory=True)
            found |= {"host to device": _onto(here, there), "device to host": _onto(there, here)}
        except RuntimeError as problem:
            found |= {"host to device": _failing(problem)}
        for peer in peers:
            try:
                found[f"device to {peer}"] = _onto(torch.empty_like(here, device=peer), here)
            except RuntimeError as problem:
                found[f"device to {peer}"] = _failing(problem)
        return found

    def release(self) -> None:
        """Give memory that is no longer needed back to the device."""
        if self._on_gpu:
            # After a kernel that broke the device every call fails; which one it was is noted.
            with contextlib.suppress(RuntimeError):
                self._torch.cuda.empty_cache()

    def _random(self, shape: tuple[int, ...], precision: str) -> Any:
        torch = self._torch
        return (torch.rand(shape, device=self.device) * 0.01).to(getattr(torch, self._type(precision)))

    def _drawn(self, shape: tuple[int, ...], precision: str) -> Any:
        """Draw operands of either sign, as weights and activations are."""
        torch = self._torch
        if precision == "int8":
            return torch.randint(-127, 128, shape, dtype=torch.int8, device=self.device)
        return torch.randn(shape, device=self.device).to(getattr(torch, self._type(precision)))

    def _type(self, precision: str) -> str:
        return fp8_type(self._architecture) if precision == "fp8" else TYPES[precision]

    def _attend(self) -> Any:
        found = getattr(self._torch.nn.functional, "scaled_dot_product_attention", None)
        if found is None:
            raise Unsupported("this version of PyTorch has no fused attention")
        return found

    def _platform(self) -> str:
        hip = getattr(self._torch.version, "hip", None)
        return f"ROCm {hip}, {self._architecture}" if hip else f"CUDA {self._torch.version.cuda}"

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


def _failing(problem: BaseException) -> Action:
    """Return an action that says why it cannot be done."""

    def fail() -> object:
        raise RuntimeError(first_line(problem)) from problem

    return fail


def _sees(torch: Any, name: str) -> bool:
    """Whether PyTorch sees an accelerator of a kind that the probes do not know."""
    found = getattr(getattr(torch, "backends", None), name, None) if name == "mps" else getattr(torch, name, None)
    return bool(getattr(found, "is_available", bool)())


def _onto(target: Any, source: Any) -> Action:
    return lambda: target.copy_(source, non_blocking=True)
