"""The installed command in a process of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def command(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run mlsysim as installed beside this Python."""
    return subprocess.run(
        [sys.executable, "-m", "mlsysim.cli", *words], capture_output=True, text=True, check=False,
        env={**os.environ, **variables}, encoding="utf-8",
    )  # fmt: skip


def test_the_usual_lengths_give_way_to_what_a_model_reads() -> None:
    for kind in ("serving", "traffic"):
        done = command("eval", "gpt2", "--on", "rtx-4090", "--kind", kind)
        assert done.returncode == 0, done.stderr
        assert "input 768, output 256 (set" in done.stdout
    assert "input 1024, output 256 (set" in command("eval", "llama-3.1-8b", "--on", "rtx-4090").stdout
    asked = command("eval", "gpt2", "--on", "rtx-4090", "--input", "1000")
    assert asked.returncode == 2  # what was asked for is not changed
    assert "1,256 tokens are more than" in asked.stderr


def test_published_formats_hold_where_nothing_says_otherwise() -> None:
    asked = ("eval", "deepseek-r1", "--on", "h200-sxm", "--devices", "8")
    assert "precision: fp8, as DeepSeek-R1 is published (set --precision)" in command(*asked).stdout
    for told in (("--precision", "bf16"), ("--kind", "training")):
        assert "is published" not in command(*asked, *told).stdout
    kept = command("eval", "gpt-oss-20b", "--on", "h100-sxm", "--set", "weights=bf16").stdout
    assert "precision: bf16, which h100-sxm has (set --precision)" in kept


def test_the_readme_s_scorecards() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    first = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)[0]
    evaluations = re.findall(r"mlsysim (eval [\w.-]+)", first)
    assert len(evaluations) == 2
    for words in evaluations:
        done = command(*words.split())
        assert done.returncode == 0, done.stderr
        for level in ("Feasibility", "Performance", "Macro"):
            assert level in done.stdout


def test_a_pipe_gets_neither_colour_nor_progress() -> None:
    done = command("sweep", "llama-3.1-8b-h100", "--vary", "batch=1,2,4", "--minimise", "latency")
    assert done.returncode == 0, done.stderr
    assert "\x1b" not in done.stdout + done.stderr
    assert "\r" not in done.stderr


def test_the_entry_point_is_installed() -> None:
    program = Path(sys.executable).with_name("mlsysim.exe" if os.name == "nt" else "mlsysim")
    done = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True)
    assert re.match(r"mlsysim \d+\.\d+", done.stdout)


def test_two_runs_print_the_same() -> None:
    first, second = (
        command("eval", "resnet-50-training", "--format", "json", PYTHONHASHSEED=seed) for seed in ("1", "2")
    )
    assert first.stdout == second.stdout
    assert json.loads(first.stdout)["answers"]


def test_a_broken_plugin_is_listed_and_everything_else_runs(tmp_path: Path) -> None:
    info = tmp_path / "broken-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: broken\nVersion: 1.0\n", encoding="utf-8")
    (info / "entry_points.txt").write_text("[mlsysim]\nbroken = no_such_module\n", encoding="utf-8")
    listed = command("plugins", PYTHONPATH=str(tmp_path))
    assert "broken" in listed.stdout
    assert "no_such_module" in listed.stdout + listed.stderr
    assert command("eval", "llama-3.1-8b-h100", PYTHONPATH=str(tmp_path)).returncode == 0
    missing = command("eval", "lama-3.1-8b", PYTHONPATH=str(tmp_path))
    assert "no_such_module" in missing.stderr
    strict = command("plugins", PYTHONPATH=str(tmp_path), MLSYSIM_STRICT_PLUGINS="1")
    assert strict.returncode == 2
    assert "Traceback" not in strict.stderr


def test_python_and_command_agree() -> None:
    from mlsysim.evaluation import evaluate

    printed = json.loads(command("eval", "llama-3.1-8b-h100", "--format", "json").stdout)
    computed = json.loads(json.dumps(evaluate("llama-3.1-8b-h100").to_dict()))
    assert {name: printed[name] for name in computed} == computed
