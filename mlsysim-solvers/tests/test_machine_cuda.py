"""The probes on a stand-in that is as strict as CUDA: events, layouts, scales, and what breaks half way."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
from fake_torch import FakeTorch, Tensor

from mlsysim_solvers.calibration.machine import calibrate_device
from mlsysim_solvers.calibration.probes import plan, torch_backend


class StrictEvent:
    """An event tells a time only when both were recorded and the later one is over."""

    def __init__(self, enable_timing=False):
        self.timed, self.at, self.over = enable_timing, None, False

    def record(self):
        self.at = SimpleNamespace(time=time.perf_counter())

    def synchronize(self):
        self.over = True

    def elapsed_time(self, end):
        if not (self.timed and end.timed and self.at and end.at and end.over):
            raise RuntimeError("Both events must be completed before calculating elapsed time.")
        return 1e3 * (end.at.time - self.at.time)


class Hopper(FakeTorch):
    """Two devices of compute capability 9.0 whose libraries are as particular as the real ones."""

    float8_e4m3fn = np.float16

    def __init__(self, **given):
        super().__init__(2, capability=(9, 0), **given)
        self.cuda.Event = StrictEvent
        self.scaled: list[dict] = []

    def ones(self, shape, dtype=np.float32, device="cpu", pin_memory=False):
        return super().ones(() if shape == () else shape, dtype, device, pin_memory)

    def _scaled_mm(self, left, right, *, scale_a, scale_b, out_dtype, use_fast_accum=False):
        if not left.flags.c_contiguous or not right.flags.f_contiguous:
            raise RuntimeError("mat2 must be col_major")
        if any(scale.dtype != np.float32 or scale.size != 1 for scale in (scale_a, scale_b)):
            raise RuntimeError("scales must be float32 and one element")
        self.scaled.append({"fast": use_fast_accum, "out": out_dtype})
        return left.astype(np.float32) @ right.astype(np.float32)

    def _int_mm(self, left, right):
        if left.shape[0] <= 16 or not right.flags.f_contiguous:
            raise RuntimeError("self.size(0) needs to be greater than 16, and mat2 col_major")
        return left.astype(np.int32) @ right.astype(np.int32)


@pytest.fixture
def small(monkeypatch):
    for name, value in {
        "_GPU_SIDES": (32, 64), "_GPU_SEQUENCES": (16, 32), "_GPU_HIDDEN": 128, "_GPU_BYTES": 2**16,
        "_LINK_BYTES": 2**12, "_TIMES_CACHE": 0, "ROUNDS": 2,
    }.items():  # fmt: skip
        monkeypatch.setattr(plan, name, value)


def test_a_gpu_is_measured_from_end_to_end_and_answers_questions(small, tmp_path, monkeypatch, capsys):
    torch = Hopper()
    monkeypatch.setattr(torch_backend, "find_torch", lambda: (torch, ""))
    folder = tmp_path / "mine"
    assert calibrate_device(str(folder), seconds=0.1, backend="torch", device="cuda:1", key="gpu") == 0
    said = capsys.readouterr()
    assert "cuda:1" in said.out
    for precision in ("bf16", "fp16", "tf32", "fp32", "fp8", "int8", "fp64"):
        assert f"gemm {precision}" in said.out
    assert "left out" not in said.err
    assert torch.scaled[0] == {"fast": True, "out": np.float32}
    assert {path.name for path in (folder / "links").iterdir()} == {"gpu-host.toml", "gpu-cuda0.toml"}
    environment = {**os.environ, "MLSYSIM_DATA": str(folder), "NO_COLOR": "1"}
    for question in (("resnet-50", "--precision", "fp16"), ("llama-3.2-1b", "--precision", "fp8", "--kind", "serving")):
        command = [sys.executable, "-m", "mlsysim.cli", "eval", *question, "--on", "gpu"]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        assert "torch-gpu" in done.stdout


def test_an_older_library_multiplies_in_8_bits_without_a_choice_of_sums(small):
    def scaled_mm(self, left, right, *, scale_a, scale_b, out_dtype):
        return Hopper._scaled_mm(self, left, right, scale_a=scale_a, scale_b=scale_b, out_dtype=out_dtype)

    torch = type("Older", (Hopper,), {"_scaled_mm": scaled_mm})()
    found = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert found.of("gemm", "fp8")
    assert {call["fast"] for call in torch.scaled} == {False}


def test_a_peer_that_others_hold_leaves_the_other_links(small, monkeypatch):
    torch = Hopper()

    def held(other, device="cpu"):
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable\nmore")

    monkeypatch.setattr(torch, "empty_like", held)
    found = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert [r.size for r in found.of("link")] == ["host to device", "device to host"]
    assert "link device to cuda:1 left out: CUDA-capable device(s) is/are busy or unavailable" in found.notes
    whole = Hopper.ones

    def unpinned(self, shape, dtype=np.float32, device="cpu", pin_memory=False):
        if pin_memory:
            raise RuntimeError("cannot pin memory")
        return whole(self, shape, dtype, device)

    monkeypatch.setattr(Hopper, "ones", unpinned)
    found = plan.run_probes(torch_backend.torch_backend(Hopper()), 0.05)
    assert [r.size for r in found.of("link")] == ["device to cuda:1"]
    assert "link host to device left out: cannot pin memory" in found.notes


def test_a_kernel_that_breaks_the_device_is_noted_and_no_traceback(small, monkeypatch):
    """After an illegal access every later call fails, also those that give memory back."""
    torch = Hopper()

    def broken(*_, **__):
        torch.cuda.empty_cache = torch.cuda.synchronize = broken
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    monkeypatch.setattr(torch, "_int_mm", broken)
    found = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert any("gemm int8" in note and "illegal memory access" in note for note in found.notes)
    assert found.of("gemm", "bf16")


def test_the_element_of_a_captured_graph_lives_as_long_as_the_graph(monkeypatch):
    import gc
    import weakref

    torch = Hopper()
    whole = torch.ones

    class Kept(Tensor):
        def to(self, dtype):
            return self

    backend = torch_backend.torch_backend(torch)
    monkeypatch.setattr(torch, "ones", lambda *a, **k: whole(*a, **k).view(Kept))
    replay = backend.graph(3)
    element = weakref.ref(replay.__defaults__[0].__closure__[0].cell_contents)
    gc.collect()
    replay()
    assert element() is not None
    del replay
    gc.collect()
    assert element() is None
