"""What only a real process shows: imports, pipes, colour, exit codes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent.parent
HEAVY = ("numpy", "pint", "matplotlib", "requests", "yaml")


def process(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a program over the toy world in a process of its own."""
    setup = (
        f"import sys; sys.path.insert(0, {str(HERE)!r})\n"
        "import core_toys\n"
        "from mlsysim.testing.isolation import given_plugins\n"
        "from mlsysim.cli import main\n"
        "with given_plugins(core_toys.ToyPlugin()):\n"
    )
    body = "".join(f"    {line}\n" for line in code.splitlines())
    env = {**os.environ, "MLSYSIM_TODAY": "2026-06-01", "PYTHONIOENCODING": "utf-8", **environment}
    return subprocess.run([sys.executable, "-c", setup + body], capture_output=True, text=True, env=env, check=False)


def loaded_by(*words: str) -> set[str]:
    """Return which heavy modules a command imports."""
    code = f"main({list(words)!r})\nprint('LOADED', *(m for m in {HEAVY!r} if m in sys.modules))"
    result = process(code)
    assert "LOADED" in result.stdout, result.stderr
    return set(result.stdout.rpartition("LOADED")[2].split())


def test_listing_imports_nothing_heavy():
    assert loaded_by("plugins") == set()
    assert loaded_by("solvers") == set()
    assert loaded_by("list", "devices") == set()


def test_eval_imports_nothing_heavy():
    assert loaded_by("eval", "toy-net", "--on", "toy-one") == set()


def test_plugins_imports_no_evaluation():
    """With whatever is installed: listing plugins is the fastest thing that the command line does."""
    code = "import sys\nfrom mlsysim.cli import main\nmain(['plugins'])\n"
    code += f"print('LOADED', *(m for m in ('mlsysim.evaluation', *{HEAVY!r}) if m in sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.rpartition("LOADED")[2].split() == []


def test_exit_codes_of_the_process():
    assert process("sys.exit(main(['eval', 'toy-net', '--on', 'toy-one']))").returncode == 0
    assert process("sys.exit(main(['eval', 'nothing']))").returncode == 2
    limit = "'--set', 'constraints.latency=<= 1 us'"
    assert process(f"sys.exit(main(['eval', 'toy-net', '--on', 'toy-one', {limit}]))").returncode == 4


def test_pipes_get_no_colour_and_no_progress():
    result = process("main(['sweep', 'toy-net', '--on', 'toy-one', '--vary', 'batch=1:9:9', '--minimise', 'latency'])")
    assert result.returncode == 0
    assert "\x1b" not in result.stdout + result.stderr
    assert "\r" not in result.stderr
    assert "%" not in result.stderr


def test_an_ascii_terminal_gets_ascii():
    result = process("main(['eval', 'toy-net', '--on', 'toy-one'])", PYTHONIOENCODING="ascii")
    assert result.returncode == 0
    assert result.stdout.isascii()
    assert "----" in result.stdout
    assert process("main(['explain', 'toy-net', '--on', 'one', 'latency'])", PYTHONIOENCODING="ascii").stdout.isascii()


def test_a_closed_pipe_is_silent():
    code = f"sys.path.insert(0, {str(HERE)!r})\nimport core_toys\nfrom mlsysim.testing.isolation import given_plugins\n"
    code += "from mlsysim.cli import main\nwith given_plugins(core_toys.ToyPlugin()):\n"
    code += "    sys.exit(main(['completion', 'bash']))\n"
    writer = subprocess.Popen(
        [sys.executable, "-c", "import sys\n" + code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert writer.stdout is not None
    assert writer.stderr is not None
    writer.stdout.close()
    err = writer.stderr.read()
    writer.stderr.close()
    assert writer.wait() == 141
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_is_no_bug_of_the_program():
    result = process("sys.stdout = open('/dev/full', 'w')\nraise SystemExit(main(['list']))")
    assert result.returncode == 2
    assert result.stderr.startswith("error: No space left on device")
    assert "bug" not in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_were_closed_before_are_no_bug(closed):
    command = f"exec {sys.executable} -m mlsysim.cli list {closed}"
    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == 0
    assert "bug" not in done.stdout + done.stderr


def test_a_process_that_is_told_to_end_leaves_what_was_there_before(tmp_path):
    """SIGTERM in the middle of a table: the old file is whole, and what was written says by its name that it is not."""
    table = tmp_path / "all.csv"
    table.write_text("before\n", encoding="utf-8")
    code = (
        "import os, signal\n"
        "from mlsysim.cli import sweep_command\n"
        "def half(result, file):\n"
        "    file.write('half')\n"
        "    file.flush()\n"
        "    os.kill(os.getpid(), signal.SIGTERM)\n"
        "sweep_command._write_csv = half\n"
        f"sys.exit(main(['sweep', 'toy-net', '--on', 'toy-one', '--vary', 'batch=1,2', '--csv', {str(table)!r}]))"
    )
    assert process(code).returncode == -signal.SIGTERM
    assert table.read_text(encoding="utf-8") == "before\n"
    assert (tmp_path / "all.csv.part").read_text(encoding="utf-8") == "half"


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="no such device here")
def test_a_table_goes_to_a_pipe_by_its_name():
    code = "sys.exit(main(['sweep', 'toy-net', '--on', 'toy-one', '--vary', 'batch=1,2', '--csv', '/dev/stdout']))"
    result = process(code)
    assert result.returncode == 0
    assert result.stdout.startswith("batch [sample],")
