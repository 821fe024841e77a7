"""Measurements of outside sources: no constant is fitted on them; they say how answers hold on what was not compared."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import median

import pytest

from mlsysim.cli import main
from mlsysim.plugins import plugins
from mlsysim_solvers.calibration import spreads
from mlsysim_solvers.calibration.publications import next_sides, strays_of
from mlsysim_solvers.formulas.constants import PUBLICATION_LOG_SDS
from mlsysim_solvers.validation.publications import kind_of
from mlsysim_solvers.validation.tables import outside_rows, packaged_rows, packaged_tables, read_rows

ROUNDS_FILE = Path(__file__).with_name("rounds.json")
LEAST, LOW = 10, 0.85
"""Sets are judged as those in the fits are: with ten predicted rows, and 85 % of the measurements held."""

TOO_FEW: dict[str, str] = {
    "nanobench/tokens_per_s_per_accelerator": "80 %: 10 layouts of an eager framework, all answered too fast",
    "ptgpui/latency_ms": "69 %: 13 rows of a version of 2020, answered by its successor of 2021",
    "colossalpp/tokens_per_s_total": "70 %: 10 rows of an eager pipeline that a server stands for",
    "azkern/TFLOP/s": "85 %: 11 of 13 products in PyTorch on A100 to H200",
    "vllm34424/TFLOP/s": "70 %: 10 products on a desktop card by rows of 1 to 4,096, in eager PyTorch and CUTLASS",
}
"""Sets whose intervals hold fewer, with their figure."""

HELD_MORE = {"power": "98 %: 81 of 83 figures of fourteen publications, which leave open more than nine of ten need"}
"""Kinds whose intervals hold more than they say, with their figure."""

SETS = {int(number): sets for number, sets in json.loads(ROUNDS_FILE.read_text(encoding="utf-8")).items()}
"""Sets by round of collecting after the first. The third looked for what tables lacked, the fourth for what people ask
most, the fifth for devices and models seldom compared before, the sixth for mainstream questions again. On the first day
187 of the fifth's 257 rows were predicted, with a median error of 31.1 %, and 60 % of the measurements lay inside; of the
sixth's 231 rows 184, with 28.5 % and 71 %; of the seventh's 186 rows 174, with 17.4 % and 88 % (78 % without what
publications add). The eighth are powers, in view when their constants were chosen. The ninth took frameworks, devices and
models as they came: of its 177 rows 120 on the first day, with 28.9 % and 87 %; the tenth what people plan with: 140 of
223, with 25.3 % and 82 %."""

ROUNDS = {
    1: (364, 347, 0.15, 0.97),
    2: (400, 355, 0.14, 0.92),
    3: (394, 341, 0.18, 0.93),
    4: (267, 239, 0.23, 0.93),
    5: (257, 220, 0.19, 0.89),
    6: (231, 212, 0.19, 0.88),
    7: (186, 174, 0.17, 0.92),
    8: (152, 77, 0.11, 0.95),
    9: (177, 142, 0.24, 0.90),
    10: (223, 166, 0.27, 0.86),
}
"""By round of collecting: rows, how many are predicted, their median error at most (rounded), and the share of
measurements that their intervals hold at least."""


def _round_of(name):
    return next((number for number, sets in SETS.items() if name in sets), 1)


@pytest.fixture(scope="module")
def rows():
    """Return the outside rows."""
    return outside_rows()


def test_no_row_set_or_document_is_shared_with_the_fits(rows):
    fitted = packaged_rows()
    assert len(rows) > 1100
    assert len({row.id for row in rows}) == len(rows)
    for name in ("id", "set", "source"):
        assert not {getattr(row, name) for row in rows} & {getattr(row, name) for row in fitted}, name


def test_no_address_is_shared_with_the_fits():
    def cited(folder):
        tables = (path for path in packaged_tables(folder).values() if path.suffix == ".csv")
        rows = (row for path in tables for _, row in read_rows(path)[1])
        return {row["source_url"].replace("github:", "github.com/") for row in rows if row.get("source_url")}

    assert len(cited("measurements/outside")) > 100
    assert not cited("measurements/outside") & cited("measurements")


def test_every_row_cites_a_document_that_is_described(rows):
    described = {path.stem for path in (packaged_tables()["names"].parent.parent / "sources").glob("*.toml")}
    assert described
    assert all(row.source in described and row.at for row in rows)


def test_no_calibration_names_an_outside_row(rows):
    ids = {row.id for row in rows}
    records = [entry.record for entry in plugins().registry.entries("stacks")]
    assert any(c.rows for record in records for c in record.calibrations)
    assert not any(ids & set(c.rows) for record in records for c in record.calibrations)


def test_the_spreads_are_estimated_without_outside_rows(rows, monkeypatch):
    class Stopped(Exception):  # noqa: N818 - no fault
        pass

    def stop(asked, **_):
        assert asked
        assert not {row.id for row in asked} & {row.id for row in rows}
        raise Stopped

    monkeypatch.setattr(spreads, "run_rows", stop)
    with pytest.raises(Stopped):
        spreads.estimate_spreads()


def test_no_prediction_was_fitted_on_its_own_row(outside):
    assert outside.overall.predicted > 900
    assert not any(outcome.in_sample for outcome in outside.outcomes)
    assert all(outcome.reason for outcome in outside.outcomes if outcome.predicted is None)


def test_sets_that_hold_too_few_are_stated(outside):
    found = {"/".join(s.name): round(s.coverage90, 3) for s in outside.sets if s.predicted >= LEAST}
    few = {name: share for name, share in found.items() if share < LOW}
    assert set(few) == set(TOO_FEW), few


@pytest.mark.parametrize("number", sorted(ROUNDS))
def test_each_round_stands_as_it_is_documented(outside, number):
    rows = [outcome for outcome in outside.outcomes if _round_of(outcome.row.set) == number]
    found = [outcome for outcome in rows if outcome.predicted is not None]
    held = [outcome.low <= outcome.row.value <= outcome.high for outcome in found]
    error = median(abs(outcome.predicted / outcome.row.value - 1.0) for outcome in found)
    assert (len(rows), len(found)) == ROUNDS[number][:2]
    assert round(error, 2) <= ROUNDS[number][2]
    assert sum(held) / len(held) >= ROUNDS[number][3]


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(kind, marks=[pytest.mark.xfail(reason=HELD_MORE[kind], strict=True)] if kind in HELD_MORE else [])
        for kind in PUBLICATION_LOG_SDS
    ],
)
def test_intervals_hold_nine_of_ten_of_a_publication_that_nobody_compared(outside, kind):
    """Judged without each in turn, as what it adds to intervals comes from these rows."""
    found = next_sides(strays_of([outcome for outcome in outside.outcomes if kind_of(outcome.row) == kind]))
    assert PUBLICATION_LOG_SDS[kind] == pytest.approx((found.fast, found.slow), abs=0.05)
    assert 0.85 <= found.held <= 0.96


def test_the_option_runs_them_alone_and_other_reports_keep_them_apart(rows, capsys):
    assert main(["validate", "--outside", "--source", "bench-gpu-benches", "--format", "json"]) == 0
    alone = json.loads(capsys.readouterr().out)
    assert {row["source"] for row in alone["rows"]} == {"bench-gpu-benches"}
    assert main(["validate", "--kind", "membw", "--format", "json"]) == 0
    beside = json.loads(capsys.readouterr().out)
    assert beside["summary"]["outside"]["n"] == sum(row.kind == "membw" for row in rows)
    assert not {row["id"] for row in beside["rows"]} & {row["id"] for row in alone["rows"]}
    assert main(["validate", "--kind", "membw"]) == 0
    assert "outside sources, on which no constant is fitted" in capsys.readouterr().out


@pytest.mark.parametrize("words", [["--left-out"], ["--file", "own.csv"]])
def test_options_that_have_no_meaning_for_them_are_refused(words, capsys):
    assert main(["validate", "--outside", *words]) == 2
    assert "--outside" in capsys.readouterr().err


def test_a_filter_that_only_outside_rows_match_says_so(capsys):
    assert main(["validate", "--source", "bench-gpu-benches"]) == 2
    assert "add --outside" in capsys.readouterr().err
