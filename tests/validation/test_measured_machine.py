"""A measured machine as a user meets it: its card is found, carries its badge, and answers questions."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from mlsysim_solvers.calibration.machine_card import overlay_files, write_overlay
from mlsysim_solvers.calibration.probes.readings import Host, Measured, Reading
from mlsysim_solvers.calibration.probes.timing import summarise

HOST = Host("box", "Chip", "numpy", "2.0", "cpu", processors=2, threads=2, memory=64e9, reserve=4e7)


def reading(probe, amount, seconds, precision="", unit="B/s"):
    return Reading(probe, precision, "a shape", unit, amount, summarise((seconds, 1.1 * seconds)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run a command with a machine of 100 GFLOP/s and 20 GB/s in the user's own data."""
    folder = tmp_path_factory.mktemp("own")
    found = Measured(HOST, (
        reading("copy", 20e9, 1.0), reading("stream", 20e9, 1.0), reading("launch", 1.0, 1e-6, unit="s"),
        reading("gemm", 100e9, 1.0, "fp32", "FLOP/s"),
    ))  # fmt: skip
    write_overlay(folder, overlay_files(found, "box"))

    def command(*words):
        code = "import sys; from mlsysim.cli import main; sys.exit(main(sys.argv[1:]))"
        return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=False,
                              env={**os.environ, "MLSYSIM_DATA": str(folder)})  # fmt: skip

    return command


def test_the_card_carries_its_badge(run):
    shown = run("show", "devices/box").stdout
    assert "compute.peak.fp32.dense = 100 GFLOP/s  [measured] measured on box" in shown
    assert "memory.bandwidth = 20 GB/s  [measured] measured on box" in shown


def test_questions_are_answered_on_it_with_the_stack_that_measured(run):
    done = run("eval", "resnet-50", "--on", "box", "--precision", "fp32")
    assert done.returncode == 0, done.stderr
    assert "stack: numpy-box" in done.stdout
    # 8.2 GFLOP cannot take less than 82 ms, nor much more with little traffic.
    answers = json.loads(run("eval", "resnet-50", "--on", "box", "--precision", "fp32", "--json").stdout)["answers"]
    assert 0.082 < answers["performance.latency"]["value"] < 0.16
