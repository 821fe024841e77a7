"""How long a process takes, beside a bare interpreter in the same run."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROUNDS = 9
CASES = {
    "import mlsysim": (["-c", "import mlsysim"], "20 ms over a bare interpreter"),
    "mlsysim plugins": (["-m", "mlsysim.cli", "plugins"], "150 ms"),
    "mlsysim eval llama-8b-on-h100": (["-m", "mlsysim.cli", "eval", "llama-8b-on-h100"], "250 ms"),
    "mlsysim eval resnet-50-training": (["-m", "mlsysim.cli", "eval", "resnet-50-training"], "250 ms"),
}


def process(words: list[str]) -> float:
    """Return the seconds of one process, whose modules are compiled already, as those of an installed program are."""
    kept = {**os.environ, "PYTHONPYCACHEPREFIX": str(Path(tempfile.gettempdir(), "mlsysim-startup"))}
    kept.pop("PYTHONDONTWRITEBYTECODE", None)
    begin = time.perf_counter()
    subprocess.run([sys.executable, *words], check=True, capture_output=True, env=kept)
    return time.perf_counter() - begin


@pytest.mark.parametrize("name", CASES)
def test_process(name: str, benchmark: Any, report: Callable[[str], None]) -> None:
    words, budget = CASES[name]
    bare: list[float] = []

    def before() -> tuple[tuple[list[str]], dict[str, Any]]:
        bare.append(process(["-c", "pass"]))  # interleaved, so that a busy moment hits both
        return (words,), {}

    benchmark.pedantic(process, setup=before, rounds=ROUNDS, warmup_rounds=1)
    took, idle = statistics.median(benchmark.stats.stats.data), statistics.median(bare)
    report(
        f"{name}: {1000 * took:.0f} ms, {took / idle:.1f} x a bare interpreter ({1000 * idle:.0f} ms), "
        f"{1000 * (took - idle):.0f} ms over it [{budget}]"
    )
