"""Which probes run on a device, in what sizes, and how they are run one after another."""

from __future__ import annotations

import time
from collections.abc import Callable

import attrs

from ...formulas.attention import attention_flops, full_pairs
from ...formulas.constants import FLOP_PER_MAC
from ...formulas.gemm import matmul_flops
from .backend import Backend, Unsupported, first_line
from .readings import Host, Measured, Reading
from .timing import Action, Stopwatch, summarise, time_action

__all__ = ["Probe", "run_probes"]

_ELEMENT = {"fp64": 8, "fp32": 4, "tf32": 4, "bf16": 2, "fp16": 2, "fp8": 1, "int8": 1}

_CPU_SIDES, _GPU_SIDES = (256, 512, 1024, 2048), (2048, 4096, 8192, 16384)
"""The smallest product of a GPU takes longer than the host needs to start it, or the host would be timed."""

_CPU_SEQUENCES, _GPU_SEQUENCES = (512, 2048), (2048, 8192)
_CPU_HEADS, _GPU_HEADS = (8, 64), (32, 128)
"""Heads and their width: on a GPU enough of them for all its processors."""

_HEAD_WIDTH = 64
_GRAPH = 200
"""Kernels of a captured graph: enough that its start is little of their time."""

_CPU_HIDDEN, _GPU_HIDDEN, _CONTEXT = 1536, 8192, 512
_CPU_BYTES, _GPU_BYTES = 256 * 2**20, 2**30
_LINK_BYTES = 256 * 2**20
_TIMES_CACHE = 8
"""Buffers are so many times the last-level cache, so that little of them is found in it."""

ROUNDS = 3
"""How often all probes run."""

_PATIENCE, _SOON = 1.0, 0.1
"""A shape is left out when one run would take longer than so many budgets of a probe, and than so many seconds."""


@attrs.frozen(eq=False)
class Probe:
    """One thing to measure.

    Parameters
    ----------
    name, precision, size, unit : str
        As in a reading.
    amount : float
        As in a reading.
    make : callable
        Prepares it.
    smaller : Probe or None
        What to measure where memory does not suffice.
    on_host : bool
        Whether the host's clock counts, until the device is done.
    """

    name: str
    precision: str
    size: str
    unit: str
    amount: float
    make: Callable[[Backend], Action]
    smaller: Probe | None = None
    on_host: bool = False


def _plan_for(host: Host, precisions: tuple[str, ...]) -> tuple[Probe, ...]:
    """Return the probes of a device."""
    gpu = host.is_accelerator
    usual = precisions[0]
    least = _GPU_BYTES if gpu else _CPU_BYTES
    size = max(least, int(_TIMES_CACHE * (host.cache or 0.0)))
    found = [
        _buffer("copy", size, 2.0),
        _buffer("stream", size, 3.0),
        Probe("launch", "", "one element", "s", 1.0, lambda backend: backend.small(), on_host=True),
    ]
    if gpu:
        many = f"{_GRAPH} operations"
        found.append(Probe("graph", "", many, "s", float(_GRAPH), lambda backend: backend.graph(_GRAPH)))
    heads, width = _GPU_HEADS if gpu else _CPU_HEADS
    found += [_attention(usual, sequence, heads, width) for sequence in (_GPU_SEQUENCES if gpu else _CPU_SEQUENCES)]
    found.append(_decode(usual, _GPU_HIDDEN if gpu else _CPU_HIDDEN))
    for precision in precisions:
        for side in _GPU_SIDES if gpu else _CPU_SIDES:
            found.append(_product(precision, side, side, side))
            # As many multiplications with few columns: convolutions and narrow layers look like this.
            found.append(_product(precision, 4 * side, side // 4, side))
    return tuple(found)


def _buffer(name: str, size: int, passes: float) -> Probe:
    smaller = _buffer(name, size // 2, passes) if size > 2**24 else None
    make: Callable[[Backend], Action] = (
        (lambda backend: backend.copy(size)) if name == "copy" else (lambda backend: backend.stream(size))
    )
    return Probe(name, "", f"{size / 2**20:.4g} MiB", "B/s", passes * size, make, smaller)


def _product(precision: str, m: int, n: int, k: int) -> Probe:
    work = float(matmul_flops(float(m), float(n), float(k), 1.0, FLOP_PER_MAC))
    unit = "OP/s" if precision.startswith("int") else "FLOP/s"
    return Probe("gemm", precision, f"{m}x{n}x{k}", unit, work, lambda backend: backend.product(precision, m, n, k))


def _attention(precision: str, sequence: int, heads: int, width: int) -> Probe:
    pairs = full_pairs(float(sequence), float(sequence))
    work = float(attention_flops(pairs, float(heads), float(width), float(width), FLOP_PER_MAC))
    text = f"{heads} heads, {width} wide, {sequence} tokens"
    smaller = _attention(precision, sequence // 2, heads, width) if sequence > _CPU_SEQUENCES[0] else None
    return Probe("attention", precision, text, "FLOP/s", work,
                 lambda backend: backend.attention(precision, heads, sequence, width), smaller)  # fmt: skip


def _decode(precision: str, hidden: int) -> Probe:
    """Weights of 3 + 1 + 4 + 4 hidden by hidden, and the keys and values of the context, are read once."""
    read = float(_ELEMENT[precision] * (12 * hidden * hidden + 2 * _CONTEXT * hidden))
    smaller = _decode(precision, hidden // 2) if hidden > _CPU_HIDDEN // 2 else None
    return Probe("decode", precision, f"1 token, hidden {hidden}, context {_CONTEXT}", "B/s", read,
                 lambda backend: backend.decode(precision, hidden, hidden // _HEAD_WIDTH, _CONTEXT),
                 smaller)  # fmt: skip


def run_probes(
    backend: Backend, seconds: float, *, progress: Callable[[int, int], None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> Measured:  # fmt: skip
    """Run all probes of a device, in rounds: what disturbs the machine for a while disturbs one of them.

    Parameters
    ----------
    backend : Backend
        What runs them.
    seconds : float, s
        About how long in all.
    progress : callable, optional
        Called with the probes done and the probes in all.
    clock : callable
        Clock of the budget.

    Returns
    -------
    Measured
        What does not exist on the device, or would take too long, is named in its notes.
    """
    host = backend.host()
    probes = _plan_for(host, backend.precisions())
    runner = _Runner(backend, seconds / (ROUNDS * len(probes)), clock)
    for turn in range(ROUNDS):
        for done, probe in enumerate(probes):
            runner.run(probe)
            if progress is not None:
                progress(turn * len(probes) + done + 1, ROUNDS * len(probes))
    runner.links()
    return Measured(host, (*runner.readings.values(), *runner.linked), (*backend.notes, *runner.notes))


class _Runner:
    """Runs probes and keeps what they found, what is given up, and why."""

    def __init__(self, backend: Backend, share: float, clock: Callable[[], float]) -> None:
        self.backend, self.share, self._clock = backend, share, clock
        self.readings: dict[Probe, Reading] = {}
        self.linked: list[Reading] = []
        self.notes: list[str] = []
        self._rates: dict[str, float] = {}
        self._given_up: set[Probe] = set()
        self._instead: dict[Probe, Probe] = {}

    def run(self, probe: Probe) -> None:
        """Run a probe, smaller where memory does not suffice, unless it is given up."""
        if probe in self._given_up:
            return
        what = f"{probe.name} {probe.precision}".rstrip()
        rate = self._rates.get(what)
        if rate is not None and probe not in self.readings and probe.amount / rate > _PATIENCE * max(self.share, _SOON):
            self._give_up(probe, f"it would take {probe.amount / rate:.3g} s a run")
            return
        current = self._instead.get(probe, probe)
        try:
            self._time(probe, current)
            self._rates[what] = current.amount / self.readings[probe].timing.median
        except Unsupported as problem:
            self._give_up(probe, str(problem))
        except (MemoryError, RuntimeError) as problem:
            if not self.backend.is_too_large(problem):
                # What one kernel cannot do says nothing of the others.
                self._give_up(probe, first_line(problem))
                return
            self.backend.release()
            if current.smaller is None:
                self._give_up(probe, "memory does not suffice")
                return
            self._instead[probe] = current.smaller
            self.run(probe)
        self.backend.release()

    def _time(self, probe: Probe, current: Probe) -> None:
        watch: Stopwatch = self.backend.host_stopwatch if probe.on_host else self.backend.stopwatch
        sustained = self.backend.sustained and not probe.on_host
        timing = time_action(
            current.make(self.backend), self.share, stopwatch=watch, clock=self._clock, settles=sustained
        )
        before = self.readings.get(probe)
        if before is not None:
            timing = summarise((*before.timing.samples, *timing.samples))
        note = "" if current is probe else f"instead of {probe.size}, for which memory does not suffice"
        self.readings[probe] = Reading(
            current.name, current.precision, current.size, current.unit, current.amount, timing, note, sustained
        )

    def _give_up(self, probe: Probe, why: str) -> None:
        self._given_up.add(probe)
        what = f"{probe.name} {probe.precision}".rstrip()
        self.notes.append(f"{what} {probe.size} left out: {why}")

    def links(self) -> None:
        """Time the links of the device."""
        watch = self.backend.host_stopwatch
        # A link is extra: a device without peers, or a full one, is measured all the same.
        try:
            actions = self.backend.links(_LINK_BYTES)
        except (MemoryError, RuntimeError) as problem:
            self.notes.append(f"links left out: {first_line(problem)}")
            actions = {}
        for name, action in actions.items():
            try:
                timing = time_action(action, self.share, stopwatch=watch, clock=self._clock)
            except (MemoryError, RuntimeError) as problem:
                self.notes.append(f"link {name} left out: {first_line(problem)}")
                continue
            note = self.backend.link_notes.get(name, "")
            self.linked.append(Reading("link", "", name, "B/s", float(_LINK_BYTES), timing, note))
        self.backend.release()
