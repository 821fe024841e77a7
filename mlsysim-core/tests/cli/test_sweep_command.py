"""``mlsysim sweep``: ranges, aims, files."""

from __future__ import annotations

import csv
import io
import json

import numpy as np
import pytest

from mlsysim.cli import sweep_command
from mlsysim.cli.sweep_command import _head
from mlsysim.evaluation import evaluate
from mlsysim.units import dimension_text, parse_unit


def test_columns_are_listed_with_units(run, toy_file):
    assert json.loads(run("sweep", toy_file(), "--columns", "--json").out)["batch"] == "sample"
    out = run("sweep", toy_file(), "--columns").out
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "bandwidth B/s 1 TB/s device.memory.bandwidth" in lines
    assert "batch sample 4 samples workload.batch" in lines


def test_csv_holds_every_variation_in_si(run, toy_file):
    code, out, err = run(
        "sweep", toy_file(), "--vary", "batch=1,2,4", "--vary", "bandwidth=1 TB/s,2 TB/s", "--csv", "-"
    )
    assert (code, err) == (0, "")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == 6
    assert {row["performance.bound"] for row in rows} <= {"compute", "memory"}
    for row in rows:
        if float(row["bandwidth [B/s]"]) == 1e12:
            batch = row["batch [sample]"]
            one = evaluate(toy_file(), {"batch": f"{float(batch):g}"})
            assert float(row["performance.latency [s]"]) == pytest.approx(one["latency"].value, rel=1e-12)


def test_best_comes_first_and_top_limits(run, toy_file):
    words = ("sweep", toy_file(), "--vary", "bandwidth=1 TB/s:4 TB/s:4")
    lines = run(*words, "--minimise", "latency", "--top", "2").out.splitlines()
    assert lines[0] == "4 variations, 4 fit, best 2 first"
    assert lines[3].split()[:2] == ["4", "TB/s"]
    assert lines[5] == ""
    assert [line.partition(":")[0] for line in lines[6:]] == ["assumed"]
    worst = run(*words, "--maximise", "latency", "--top", "1").out.splitlines()
    assert worst[3].split()[:2] == ["1", "TB/s"]


def test_two_aims_give_the_frontier(run, toy_file):
    words = ("sweep", toy_file(), "--vary", "batch=1:512:10:log", "--minimise", "latency", "--maximise", "throughput")
    assert "on the frontier" in run(*words).out


def test_log_ranges_have_even_ratios(run, toy_file):
    out = run("sweep", toy_file(), "--vary", "batch=1:100:3:log", "--csv", "-").out
    assert [float(row.split(",")[0]) for row in out.splitlines()[1:]] == pytest.approx([1, 10, 100])


def test_counts_stay_whole(run, toy_file):
    out = run("sweep", toy_file(), "--vary", "batch=1:4:9", "--csv", "-").out
    assert [float(row.split(",")[0]) for row in out.splitlines()[1:]] == [1, 2, 3, 4]


@pytest.mark.parametrize("option", ["--csv", "--npz"])
@pytest.mark.parametrize("end", [KeyboardInterrupt, OSError(28, "No space left on device")])
def test_what_ends_while_it_is_written_leaves_no_half_of_a_file(run, toy_file, tmp_path, monkeypatch, option, end):
    def begun(file, *_, **__):
        file.write("half" if option == "--csv" else b"half")
        file.flush()
        raise end

    monkeypatch.setattr(sweep_command, "_write_csv", lambda _, file: begun(file))
    monkeypatch.setattr(np, "savez", begun)
    file = tmp_path / "all"
    code, _, err = run("sweep", toy_file(), "--vary", "batch=1,2", option, str(file))
    assert code == (130 if end is KeyboardInterrupt else 2)
    assert ("interrupted" if end is KeyboardInterrupt else "No space left") in err
    assert not file.exists()


def test_csv_file_is_written_and_said(run, toy_file, tmp_path):
    file = tmp_path / "all.csv"
    _, out, err = run("sweep", toy_file(), "--vary", "batch=1,2", "--csv", str(file))
    assert "2 variations" in out
    assert f"wrote {file}" in err
    assert file.read_text().count("\n") == 3


def test_csv_names_a_unit_rather_than_its_base_units():
    assert _head("macro.power", "W") == "macro.power [W]"
    assert _head("macro.energy", "kWh") == f"macro.energy [{dimension_text(parse_unit('J').dimension)}]"
    assert _head("performance.utilisation", "") == "performance.utilisation [1]"


def test_what_breaks_a_constraint_is_counted_and_left_out(run, toy_file):
    words = ("sweep", toy_file(), "--vary", "bandwidth=1 TB/s,2 TB/s,4 TB/s", "--minimise", "latency")
    code, out, err = run(*words, "--set", "constraints.latency=<= 1 ns")
    assert (code, err) == (4, "")
    assert "3 variations, 3 fit, 0 keep the constraints" in out
    assert "performance.latency <= 1 ns: kept by 0 of 3; nearest" in out
    rows = json.loads(run(*words, "--json", "--set", "constraints.latency=<= 1 h").out)
    assert (rows["fit"], rows["acceptable"]) == (3, 3)


def test_ranges_of_too_many_values_are_refused(run, toy_file):
    code, _, err = run("sweep", toy_file(), "--vary", "bandwidth=1 TB/s:4 TB/s:1000000000")
    assert code == 2
    assert "1,000,000,000 values are too many" in err


def test_none_fits_is_exit_3(run, toy_file):
    code, out, _ = run("sweep", toy_file(), "--vary", "capacity=1 GB,1.5 GB")
    assert code == 3
    assert "2 variations, 0 fit" in out


@pytest.mark.parametrize(
    ("words", "what", "remedy"),
    [
        ((), "nothing varies", "--vary batch=1,2,4"),
        (("--vary", "batch"), "'batch' is not COLUMN=VALUES", "batch=1,2,4"),
        (("--vary", "bacth=1"), "nothing called 'bacth' can vary", "'batch'"),
        (("--vary", "batch=1", "--vary", "batch=2"), "batch varies twice", "at once"),
        (("--vary", "batch=1:2"), "is not a range", "low:high:count"),
        (("--vary", "batch=1:2:3:lin"), "is not a range", "low:high:count"),
        (("--vary", "batch=4:2:3"), "does not rise", "lower end first"),
        (("--vary", "bandwidth=1,2"), "'1' has no unit", "B/s"),
        (("--vary", "bandwidth=1 s:2 s:3"), "is s, but", "B/s"),
        (("--vary", "batch=1", "--minimise", "latancy"), "no solver answers 'latancy'", "'latency'"),
        (("--vary", "batch=1", "--top", "0"), "'0' is not a number of rows", "from 1"),
        (("--vary", "batch=1", "--executor", "serail"), "there is no executor 'serail'", "'serial'"),
    ],
)
def test_refusals(run, toy_file, words, what, remedy):
    code, out, err = run("sweep", toy_file(), *words)
    assert (code, out) == (2, "")
    assert what in err
    assert remedy in err


@pytest.mark.parametrize(("given", "said"), [("batch=1,2 B", "'2 B' is B"), ("batch=1:inf:3", "'inf' is not a number")])
def test_a_value_that_is_none_names_its_column(run, toy_file, given, said):
    code, _, err = run("sweep", toy_file(), "--vary", given)
    assert code == 2
    assert f"error: --vary batch: {said}" in err


def test_a_third_aim_is_refused_before_anything_else(run, toy_file):
    code, _, err = run(
        "sweep", toy_file(), "--vary", "batch=1", "--minimise", "a", "--minimise", "b", "--maximise", "c"
    )
    assert code == 2
    assert "more than two aims" in err


def test_more_rows_than_the_memory_holds_are_no_bug(run, toy_file, monkeypatch):
    def full(*_, **__):
        raise MemoryError("74.5 GiB")

    monkeypatch.setattr(np, "linspace", full)
    code, _, err = run("sweep", toy_file(), "--vary", "bandwidth=1 TB/s:2 TB/s:10000000")
    assert code == 2
    assert err.startswith("error: not enough memory: 74.5 GiB")


def test_rows_come_as_plain_data_in_si(run, toy_file):
    code, out, _ = run("sweep", toy_file(), "--vary", "batch=1,2,4", "--maximise", "throughput", "--top", "2", "--json")
    data = json.loads(out)
    assert code == 0
    assert (data["variations"], data["fit"]) == (3, 3)
    assert [row["batch"] for row in data["rows"]] == [4.0, 2.0]
    assert data["rows"][0]["feasibility.fits"] is True
    assert data["units"]["performance.latency"] == "s"
    assert set(data["units"]) == set(data["rows"][0])
    assert run("sweep", toy_file(), "--vary", "batch=1", "--json", "--csv", "-").code == 2
