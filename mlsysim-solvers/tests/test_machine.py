"""Measuring the machine at hand: the cards that are written, what is refused, what happens when things go wrong."""

from __future__ import annotations

import datetime as dt
import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import attrs
import pytest
import tomli
from fake_torch import Event, FakeTorch

import mlsysim
import mlsysim_solvers
from mlsysim.errors import ConfigError
from mlsysim.provenance import MEASURED_HERE, Claim, Level, Source, judge
from mlsysim.records.model import Layer, Model, Network, Transformer
from mlsysim_solvers.calibration import machine, machine_card
from mlsysim_solvers.calibration.machine import calibrate_device
from mlsysim_solvers.calibration.machine_card import check_folder, key_of, overlay_files, write_overlay
from mlsysim_solvers.calibration.probes import backend as backends
from mlsysim_solvers.calibration.probes import host as system
from mlsysim_solvers.calibration.probes import plan, torch_backend
from mlsysim_solvers.calibration.probes.collective import SIZES, _sizes, all_reduce_readings, bus_bytes, check_ranks
from mlsysim_solvers.calibration.probes.numpy_backend import numpy_backend
from mlsysim_solvers.calibration.probes.readings import Host, Measured, Reading
from mlsysim_solvers.calibration.probes.timing import MOST_RUNS, summarise, thread_clock, time_action
from mlsysim_solvers.calibration.probes.torch_formats import _ALL, cuda_formats, fp8_type
from mlsysim_solvers.lowering.attention import Abilities, attention_over_sequence
from mlsysim_solvers.lowering.network import NetworkKernels, lower_network, network_shape
from mlsysim_solvers.lowering.operators import Formats
from mlsysim_solvers.lowering.shape import transformer_shape

HOST = Host("box 1", 'Chip "A"', "numpy", "2.0", "cpu", processors=8, threads=4, memory=64e9, reserve=4e7,
            usable=32e9, cache=32 * 2**20, clock=2.5e9, software="numpy 2.0")  # fmt: skip


def reading(probe, amount, *times, precision="", size="s", unit="B/s", note=""):
    return Reading(probe, precision, size, unit, amount, summarise(times), note)


def measured(host=HOST, *more):
    return Measured(
        host,
        (
            reading("copy", 20e9, 1.0, 1.1, 1.2, size="256 MiB"),
            reading("stream", 18e9, 1.0, 1.1, 1.2),
            reading("launch", 1.0, 1e-6, 2e-6, 3e-6, unit="s"),
            reading("decode", 12e9, 1.0, 1.0, 1.0, precision="fp32"),
            reading("gemm", 100e9, 1.0, 1.0, 1.0, precision="fp32", unit="FLOP/s", size="64x64x64"),
            reading("gemm", 100e9, 1.25, 1.5, 2.0, precision="fp32", unit="FLOP/s", size="128x32x64"),
            reading("gemm", 200e9, 1.0, 1.0, 1.0, precision="bf16", unit="FLOP/s", size="64x64x64"),
            *more,
        ),
        ("gemm fp16 left out: why",),
    )


@pytest.fixture(autouse=True)
def fixed_day(monkeypatch):
    monkeypatch.setattr(machine_card, "today", lambda: dt.date(2026, 1, 2))


@pytest.fixture
def small(monkeypatch):
    """Shapes that take no time."""
    for name, value in {
        "_CPU_SIDES": (16, 32), "_GPU_SIDES": (16, 32), "_CPU_SEQUENCES": (16, 32), "_GPU_SEQUENCES": (16, 32),
        "_CPU_HIDDEN": 128, "_GPU_HIDDEN": 128, "_CPU_BYTES": 2**16, "_GPU_BYTES": 2**16, "_LINK_BYTES": 2**12,
        "_TIMES_CACHE": 0, "ROUNDS": 2,
    }.items():  # fmt: skip
        monkeypatch.setattr(plan, name, value)


def test_the_card_says_what_was_measured():
    files = {name: text if name.endswith("csv") else tomli.loads(text) for name, text in
             overlay_files(measured(), "box-1").items()}  # fmt: skip
    assert list(files) == ["sources/measured-box-1.toml", "stacks/numpy-box-1.toml", "readings-box-1.csv",
                           "devices/box-1.toml"]  # fmt: skip
    device, stack = files["devices/box-1.toml"], files["stacks/numpy-box-1.toml"]
    assert device["name"] == 'Chip "A", 4 threads, numpy'
    peak = device["compute"]["peak"]
    assert peak["fp32"]["dense"]["value"] == "1e+11 FLOP/s"
    assert peak["fp32"]["dense"]["at"].startswith("gemm fp32, 64x64x64: best of 3, median 1e+11, spread 0.0 %")
    assert peak["bf16"]["engine"] == "vector"
    assert device["memory"]["bandwidth"]["value"] == "2e+10 B/s"
    assert device["memory"]["usable"]["value"] == "32000000000 B"
    assert device["compute"]["processors"]["value"] == "4"
    assert device["compute"]["clock"]["value"] == "2500 MHz"
    # The middle of 100 and 80 GFLOP/s over 100; 12 of 20 GB/s in decoding, 18 in adding.
    assert stack["ceilings"]["compute"]["value"] == "0.9"
    assert stack["ceilings"]["memory"] == {
        "value": "0.6", "source": "measured-box-1", "at": "decode step over the copy", "kind": "measured",
        "low": "0.6", "high": "0.9",
    }  # fmt: skip
    assert stack["assumed_for"] == [f"{kind}/{device['vendor']}" for kind in ("inference", "serving", "training")]
    assert files["sources/measured-box-1.toml"]["retrieved"] == "2026-01-02"
    assert "gemm fp16 left out: why" in files["sources/measured-box-1.toml"]["note"]
    assert files["readings-box-1.csv"].splitlines()[1] == "copy,,256 MiB,B/s,2e+10,1.818e+10,0.045,3,"


def test_every_number_on_the_card_is_a_measurement_with_its_document():
    def claims(table):
        if "value" in table:
            yield table
            return
        for value in table.values():
            if isinstance(value, dict):
                yield from claims(value)

    for name, text in overlay_files(measured(), "box-1").items():
        if name.startswith(("devices", "stacks")):
            found = list(claims(tomli.loads(text)))
            assert len(found) >= 4
            assert {(claim["kind"], claim["source"]) for claim in found} == {("measured", "measured-box-1")}


def test_the_same_measurement_gives_the_same_files():
    assert overlay_files(measured(), "box-1") == overlay_files(measured(), "box-1")


def test_what_was_measured_here_has_the_highest_level_and_a_printed_measurement_has_not():
    own = Source("a", "t", "box 1", MEASURED_HERE + "box-1", "benchmark", "primary", "2026-01-02")
    printed = attrs.evolve(own, id="b", url="https://example.org/b")
    for source, level in ((own, Level.MEASURED), (printed, Level.STATED)):
        claim = Claim("memory.bandwidth", "1 B/s", 1.0, "B/s", kind="measured", source=source.id, at="copy")
        standing = judge([claim], {source.id: source}, tolerance=0.01, today=dt.date(2026, 1, 3))
        assert standing.level is level
    stated = Claim("memory.bandwidth", "1 B/s", 1.0, "B/s", source="a", at="copy")
    assert judge([stated], {"a": own}, tolerance=0.01, today=dt.date(2026, 1, 3)).level is Level.STATED


def test_keys_tell_machines_and_libraries_apart():
    assert key_of(HOST) == "box-1"
    assert key_of(attrs.evolve(HOST, backend="torch")) == "box-1-torch"
    assert key_of(attrs.evolve(HOST, backend="torch", device="cuda:1")) == "box-1-cuda1"
    assert key_of(attrs.evolve(HOST, host="")) == "this-machine"
    with pytest.raises(ConfigError, match="not a key"):
        overlay_files(measured(), "../up")


def test_nothing_is_written_into_a_package(tmp_path):
    for package in (mlsysim, mlsysim_solvers):
        with pytest.raises(ConfigError, match="installed package"):
            check_folder(str(Path(package.__file__).parent / "deep" / "er"))
    link = tmp_path / "link"
    link.symlink_to(Path(mlsysim.__file__).parent)
    with pytest.raises(ConfigError, match="installed package"):
        check_folder(str(link))
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be written"):
        check_folder(str(tmp_path / "file" / "below"))
    assert check_folder(str(tmp_path / "new")) == tmp_path / "new"


def test_a_second_measurement_replaces_the_first_and_nothing_else(tmp_path):
    files = overlay_files(measured(), "box-1")
    write_overlay(tmp_path, files)
    write_overlay(tmp_path, files)
    assert {str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*") if p.is_file()} == set(files)
    own = tmp_path / "devices" / "box-1.toml"
    own.write_text('name = "mine"\n')
    with pytest.raises(ConfigError, match="not a measurement"):
        write_overlay(tmp_path, files)
    assert own.read_text() == 'name = "mine"\n'


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(ConfigError, match="No space left"):
        write_overlay(tmp_path, overlay_files(measured(), "box-1"))
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == []


def test_an_interrupted_measurement_leaves_nothing(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(machine, "run_probes", stopped)
    with pytest.raises(KeyboardInterrupt):
        calibrate_device(str(tmp_path / "out"), backend="numpy", seconds=1.0)
    assert list(tmp_path.iterdir()) == []


def test_samples_are_warmed_up_repeated_and_summarised():
    times, seen = iter([9.0, 0.1, 4.0, 1.0, 2.0, 3.0]), []

    def stopwatch(action, runs):
        seen.append(runs)
        return next(times)

    clock = iter([0.0, 1.0, 9.0]).__next__
    found = time_action(lambda: None, 4.0, stopwatch=stopwatch, clock=clock)
    assert seen == [1] * 6
    assert (found.best, found.median, found.samples) == (1.0, 2.5, (4.0, 1.0, 2.0, 3.0))
    assert found.spread == pytest.approx(0.5 * 1.5 / 2.5)


def test_short_actions_run_many_times_in_a_sample():
    seen = []

    def stopwatch(action, runs):
        seen.append(runs)
        return 1e-5 * runs

    assert time_action(lambda: None, 0.0, stopwatch=stopwatch).best == pytest.approx(1e-5)
    assert seen == [1, 1, 100, 100, 100]
    assert time_action(lambda: None, 0.0, stopwatch=lambda _, runs: 0.0 if runs == 1 else 1.0).best == 1.0 / MOST_RUNS


def test_the_clock_of_one_thread_counts_no_sleep():
    import time

    assert thread_clock(lambda: time.sleep(0.05), 1) < 0.04


def test_numpy_runs_every_probe(small):
    found = plan.run_probes(numpy_backend(), 0.05)
    assert found.notes == ()
    assert {r.probe for r in found.readings} == {"copy", "stream", "launch", "attention", "decode", "gemm"}
    assert found.precisions == ("fp32", "fp64")
    assert all(r.value > 0.0 for r in found.readings)
    # Two rounds of at least three samples.
    assert min(len(r.timing.samples) for r in found.readings) >= 6


def test_numpy_attends_and_decodes_as_written():
    import numpy as np

    attended = numpy_backend().attention("fp64", 2, 8, 4)()
    values = np.random.default_rng(0).random((2, 8, 4)) * 0.01
    weights = np.exp(values * 0.5 @ values.transpose(0, 2, 1))
    weights /= weights.sum(-1, keepdims=True)
    np.testing.assert_allclose(attended, weights @ values, rtol=1e-12)
    assert numpy_backend().decode("fp32", 64, 2, 16)().shape == (1, 64)


def test_a_gpu_is_measured_with_its_events_and_links(small, tmp_path):
    torch = FakeTorch(2)
    Event.made = 0
    found = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert Event.made > 0
    assert found.host.device == "cuda:0"
    assert found.host.reserve == 1e9
    assert found.host.clock is None
    assert [r.size for r in found.of("link")] == ["host to device", "device to host", "device to cuda:1"]
    # Products in fp32 follow those in TF32, and leave the usual setting behind.
    assert torch.products[0] == "high"
    assert torch.products[-1] == "highest"
    assert "gemm int8 16x16x16 left out: no kernel for 8-bit integers" in found.notes
    assert "products in fp8 left out: compute capability 8.0 has no units for them" in found.notes
    # Whether graphs are replayed makes a difference: a reading of its own, for each kernel.
    replayed = found.of("graph")[0]
    assert torch.graphs[0].replays > 0
    assert replayed.value == pytest.approx(replayed.timing.median / 200)
    files = {name: tomli.loads(text) for name, text in overlay_files(found, "gpu").items() if name.endswith("toml")}
    assert files["devices/gpu.toml"]["compute"]["peak"]["bf16"]["engine"] == "matrix"
    assert files["devices/gpu.toml"]["compute"]["peak"]["fp32"]["engine"] == "vector"
    assert files["stacks/torch-gpu.toml"]["features"] == {"fused_attention": True, "asynchronous": True}
    slower = min(r.value for r in found.of("link")[:2])
    assert files["links/gpu-host.toml"]["bandwidth"]["value"] == f"{slower:.4g} B/s"
    assert "links/gpu-cuda1.toml" in files


def test_what_lasts_counts_on_a_gpu_and_the_best_moment_on_a_processor(small, monkeypatch):
    found = plan.run_probes(torch_backend.torch_backend(FakeTorch(1)), 0.05)
    product, launch = found.of("gemm")[0], found.of("launch")[0]
    assert product.value == product.amount / product.timing.median
    assert launch.value == launch.timing.best
    text = overlay_files(found, "gpu")["devices/gpu.toml"]
    assert "median of" in text
    assert "best of" not in text
    assert plan.run_probes(numpy_backend(), 0.05).of("gemm")[0].sustained is False


def test_samples_before_a_clock_has_settled_are_left_out():
    times = iter([0.0, 0.0, 5.0, 5.0, 1.0, 2.0, 3.0, 4.0])
    clock = iter([0.0, 1.0, 1.0, 1.0, 9.0]).__next__
    found = time_action(lambda: None, 4.0, stopwatch=lambda _, runs: next(times) * runs, clock=clock, settles=True)
    assert found.samples == (1.0, 2.0, 3.0, 4.0)
    few = iter([1.0, 1.0, 5.0, 1.0, 2.0])
    kept = time_action(lambda: None, 0.0, stopwatch=lambda _, runs: next(few) * runs, settles=True)
    assert kept.samples == (5.0, 1.0, 2.0)


def test_operands_are_drawn_since_equal_ones_draw_less_power(small, monkeypatch):
    torch = FakeTorch(1)
    left_right = []

    def product(left, right):
        left_right.append((left, right))
        return left

    monkeypatch.setattr(torch, "mm", product)
    torch_backend.torch_backend(torch).product("bf16", 16, 8, 32)()
    left, right = left_right[0]
    assert (left.shape, right.shape) == ((16, 32), (32, 8))
    assert left.std() > 0.5
    assert (left < 0).any()
    monkeypatch.setattr(torch, "_int_mm", product)
    torch_backend.torch_backend(torch).product("int8", 16, 8, 32)()
    # The right operand of 8-bit products lies by columns.
    assert left_right[-1][1].shape == (32, 8)
    assert left_right[-1][1].flags.f_contiguous


@pytest.mark.parametrize(
    ("capability", "first", "lacking"),
    [
        ((6, 1), "fp32", {"bf16", "tf32", "fp8"}),
        ((7, 5), "fp16", {"bf16", "tf32", "fp8"}),
        ((8, 6), "bf16", {"fp8"}),
        ((8, 9), "bf16", set()),
        ((10, 0), "bf16", set()),
    ],
)
def test_formats_that_units_lack_are_not_timed_as_if_they_had_them(capability, first, lacking, monkeypatch):
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE", raising=False)
    chosen = torch_backend.torch_backend(FakeTorch(1, capability=capability))
    assert chosen.precisions()[0] == first
    assert set(_ALL) - set(chosen.precisions()) == lacking
    assert bool(chosen.notes) is bool(lacking)


def test_a_variable_that_turns_tf32_on_or_off_leaves_the_other_out(monkeypatch):
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "0")
    formats, why = cuda_formats((9, 0))
    assert "tf32" not in formats
    assert "fp32" in formats
    assert why == "products in tf32 left out: NVIDIA_TF32_OVERRIDE is 0"
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")
    assert "fp32" not in cuda_formats((9, 0))[0]


@pytest.mark.parametrize(
    ("architecture", "first", "fp8"),
    [("gfx906", "fp16", ""), ("gfx90a", "bf16", ""), ("gfx942", "bf16", "float8_e4m3fnuz"),
     ("gfx950", "bf16", "float8_e4m3fn"), ("gfx1100", "bf16", "")],
)  # fmt: skip
def test_units_of_amd_have_formats_of_their_own(architecture, first, fp8):
    chosen = torch_backend.torch_backend(FakeTorch(1, architecture=architecture))
    assert chosen.precisions()[0] == first
    assert "tf32" not in chosen.precisions()
    assert ("fp8" in chosen.precisions()) is bool(fp8)
    assert fp8_type(architecture) == (fp8 or "float8_e4m3fn")
    assert chosen.host().software.endswith(f"ROCm 7.0, {architecture}")


def test_a_crowded_device_and_links_through_the_host_are_said(small):
    found = plan.run_probes(torch_backend.torch_backend(FakeTorch(2, taken=30 * 10**9, peers=False)), 0.05)
    assert any(note.startswith("30.0 GB of the device were taken before") for note in found.notes)
    notes = {r.size: r.note for r in found.of("link")}
    assert notes["device to cuda:1"].startswith("no peer access")
    assert notes["host to device"] == ""
    alone = torch_backend.torch_backend(FakeTorch(1, capability=(9, 0)))
    assert alone.notes == ()
    assert alone.link_notes == {}


def test_a_device_that_does_not_compute_is_no_traceback():
    torch = FakeTorch(1)

    def busy():
        raise RuntimeError("CUDA error: all CUDA-capable devices are busy or unavailable\nmore")

    torch.cuda.init = busy
    with pytest.raises(ConfigError, match="cuda:0 does not compute: CUDA error: all CUDA-capable") as caught:
        torch_backend.torch_backend(torch)
    assert "more" not in str(caught.value)


def test_one_kernel_that_fails_leaves_the_others(small):
    torch = FakeTorch(1, capability=(9, 0))

    def fail(*_):
        raise RuntimeError("no kernel image is available\nsecond line")

    torch.nn.functional.scaled_dot_product_attention = fail
    found = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert found.of("attention") == found.of("decode") == ()
    assert any(note.endswith("left out: no kernel image is available") for note in found.notes)
    assert tomli.loads(overlay_files(found, "gpu")["stacks/torch-gpu.toml"])["ceilings"]["memory"]["value"]
    del torch.nn.functional.scaled_dot_product_attention
    none = plan.run_probes(torch_backend.torch_backend(torch), 0.05)
    assert any("no fused attention" in note for note in none.notes)


@pytest.mark.parametrize("said", ["CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"])
def test_want_of_memory_has_several_names(said):
    chosen = torch_backend.torch_backend(FakeTorch(1))
    assert chosen.is_too_large(RuntimeError(said))
    assert not chosen.is_too_large(RuntimeError("an illegal memory access was encountered"))


def test_an_accelerator_that_is_not_measured_is_named():
    torch = FakeTorch(0)
    torch.backends = SimpleNamespace(mps=SimpleNamespace(is_available=lambda: True))
    chosen = torch_backend.torch_backend(torch)
    assert chosen.device == "cpu"
    assert chosen.notes == ("the GPU of this machine (mps) is not measured: the processor is",)
    assert torch_backend.torch_backend(FakeTorch(0)).notes == ()


def test_what_is_left_of_pytorch_is_no_pytorch(tmp_path, monkeypatch):
    (tmp_path / "torch").mkdir()
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    importlib.invalidate_caches()
    torch, why = torch_backend.find_torch()
    assert torch is None
    assert "something else" in why


def test_links_of_devices_are_filled_by_larger_buffers_than_the_loopback():
    assert _sizes("gloo") == SIZES
    assert max(_sizes("nccl")) == 2**30


def test_want_of_memory_takes_something_smaller(small):
    # Buffers of a pass hold 64 KiB, weights of the decode step 256 KiB.
    found = plan.run_probes(torch_backend.torch_backend(FakeTorch(1, limit=2.0**17)), 0.05)
    decode = found.of("decode")[0]
    assert decode.size == "1 token, hidden 64, context 512"
    assert decode.note.startswith("instead of 1 token, hidden 128, context 512")
    nothing = plan.run_probes(torch_backend.torch_backend(FakeTorch(1, limit=100.0)), 0.05)
    assert nothing.of("gemm") == ()
    assert any(note.endswith("memory does not suffice") for note in nothing.notes)
    with pytest.raises(ConfigError, match="gemm could not be measured"):
        overlay_files(nothing, "gpu")


def test_shapes_that_would_take_too_long_are_left_out(small, monkeypatch):
    slow = numpy_backend()
    monkeypatch.setattr(type(slow), "stopwatch", property(lambda _: lambda action, runs: 10.0 * runs))
    found = plan.run_probes(slow, 0.05)
    assert [r.size for r in found.of("gemm", "fp32")] == ["16x16x16"]
    assert any("it would take" in note for note in found.notes)


@pytest.mark.parametrize(
    ("name", "device", "torch", "what"),
    [
        ("tensorflow", "", None, "no backend"),
        ("auto", "gpu", None, "no device"),
        ("numpy", "cuda", None, "numpy does not run on cuda"),
        ("torch", "", None, "PyTorch is not installed"),
        ("auto", "cuda:0", None, "PyTorch is not installed"),
        ("auto", "cuda", FakeTorch(0), "sees no CUDA device"),
        ("torch", "cuda:3", FakeTorch(2), "no cuda:3"),
    ],
)
def test_what_cannot_be_had_is_refused_with_a_remedy(name, device, torch, what, monkeypatch):
    monkeypatch.setattr(torch_backend, "find_torch", lambda: (torch, "" if torch else "PyTorch is not installed"))
    with pytest.raises(ConfigError, match=what) as caught:
        backends.choose_backend(name, device)
    assert caught.value.remedy


def test_without_pytorch_numpy_measures_and_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    chosen, said = backends.choose_backend("auto", "")
    assert chosen.name == "numpy"
    assert said == ("PyTorch is not installed: numpy measures instead",)
    assert backends.choose_backend("numpy", "cpu")[1] == ()


def test_a_broken_pytorch_is_no_traceback(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so: cannot open shared object file')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "torch", raising=False)
    importlib.invalidate_caches()
    torch, why = torch_backend.find_torch()
    assert torch is None
    assert "libcudart.so" in why


def test_pytorch_is_not_imported_before_somebody_measures(tmp_path):
    (tmp_path / "torch.py").write_text("raise SystemExit('torch was imported')\n")
    code = "import mlsysim_solvers.calibration.machine, mlsysim_solvers.calibration.probes.torch_backend\n"
    code += "from mlsysim.cli import main; main(['calibrate', 'device', '--seconds', '0'])"
    path = os.pathsep.join([str(tmp_path), *filter(None, sys.path)])
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False,
                          env={**os.environ, "PYTHONPATH": path})  # fmt: skip
    assert "torch was imported" not in done.stderr


def test_each_library_is_asked_for_its_own_threads(monkeypatch):
    monkeypatch.setattr(system, "cores", lambda: 8)
    for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    assert system.threads_asked("scipy-openblas 0.3") == 8
    monkeypatch.setenv("MKL_NUM_THREADS", "1")
    assert system.threads_asked("scipy-openblas 0.3") == 8
    assert system.threads_asked("mkl") == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("OPENBLAS_NUM_THREADS", "64")
    assert system.threads_asked("scipy-openblas 0.3") == 8
    assert system.threads_asked("unknown") == 4


def test_an_all_reduce_that_fails_is_said_at_once(tmp_path, monkeypatch):
    (tmp_path / "torch.py").write_text("raise SystemExit('no network')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), *filter(None, sys.path)]))
    with pytest.raises(ConfigError, match="no network"):
        all_reduce_readings(torch_backend.torch_backend(FakeTorch(0)), 2)


def test_an_all_reduce_needs_pytorch_and_two_processes():
    assert bus_bytes(8.0, 4) == 12.0
    with pytest.raises(ConfigError, match="PyTorch"):
        check_ranks(numpy_backend(), 2)
    with pytest.raises(ConfigError, match="moves nothing"):
        check_ranks(torch_backend.torch_backend(FakeTorch(0)), 1)
    with pytest.raises(ConfigError, match="2 CUDA devices"):
        check_ranks(torch_backend.torch_backend(FakeTorch(2)), 4)


def test_gathered_windows_are_written_once_and_read_by_the_product():
    layers = (Layer("conv", out=8, kernel=3, stride=2, norm=False), Layer("conv", out=16, kernel=1, norm=False))
    shape = network_shape(Network("n", "here", layers, height=8, width=8, channels=4))
    formats = Formats(4.0, 4.0, 4.0, 4.0, 2.0)
    plain, gathered = (lower_network(shape, formats, 2.0, NetworkKernels(True, gathers=flag)) for flag in (False, True))
    rows = {row.name: row for row in gathered}
    # A map of 8 x 8 x 4 is read and 4 x 4 windows of 3 x 3 x 4 are written; 4 bytes each, two samples.
    assert rows["windows of convolutions"].activation_bytes == 2 * 4 * (8 * 8 * 4 + 16 * 36)
    assert rows["windows of convolutions"].kernels == 1.0
    assert rows["conv 36x8"].activation_bytes == 2 * 4 * 16 * (36 + 8)
    # A window of one pixel is the map itself.
    unchanged = {row.name: row for row in plain}
    assert rows["conv 8x16"] == unchanged["conv 8x16"]
    assert unchanged["conv 36x8"].activation_bytes == 2 * 4 * (8 * 8 * 4 + 16 * 8)
    assert "windows of convolutions" not in unchanged


def test_a_softmax_in_steps_passes_over_the_scores_eight_times():
    encoder = Transformer(layers=3, hidden=64, heads=4, kv_heads=4, head_dim=16, ffn=128, context=256, vocab=10,
                          causal=False)  # fmt: skip
    shape = transformer_shape(Model("m", "here", transformer=encoder), encoder)
    formats = Formats(4.0, 4.0, 4.0, 4.0, 2.0)
    rows = {}
    for staged in (False, True):
        abilities = Abilities(False, False, False, 1.0, staged_softmax=staged)
        table = attention_over_sequence(shape, formats, abilities, 2.0, 100.0)
        rows[staged] = {row.name: row for row in table}
    scores = 4 * 2 * 4 * 100 * 100
    assert (rows[False]["softmax"].activation_bytes, rows[False]["softmax"].kernels) == (2 * scores, 1.0)
    assert (rows[True]["softmax"].activation_bytes, rows[True]["softmax"].kernels) == (8 * scores, 5.0)
    assert {k: v for k, v in rows[True].items() if k != "softmax"} == {
        k: v for k, v in rows[False].items() if k != "softmax"
    }


def test_an_interrupt_does_not_wait_for_what_is_measured():
    """A matrix product is one call into a library, in which Python sees no signal."""
    code = (
        "import hashlib, os, signal, sys, threading\n"
        "from mlsysim.cli import main\n"
        "from mlsysim_solvers.calibration import machine\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a job in the background begins without
        "def long(*_, **__):\n"
        "    threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "    hashlib.pbkdf2_hmac('sha256', b'a', b'b', 5_000_000)\n"
        "    return 0\n"
        "machine.calibrate_device = long\n"
        "sys.exit(main(['calibrate', 'device']))\n"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGINT
