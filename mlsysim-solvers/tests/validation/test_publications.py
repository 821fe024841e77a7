"""Whose a measurement is, and how far those of unknown publications stray."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from mlsysim_solvers.calibration.publications import Strays, lines_of, next_sides, strays_of
from mlsysim_solvers.formulas.constants import INTERVAL_QUANTILE, PUBLICATION_LOG_SDS
from mlsysim_solvers.validation.predicting import predict, rescaled
from mlsysim_solvers.validation.publications import apart, interval, kind_of, publication_of
from mlsysim_solvers.validation.tables import outside_rows, packaged_rows


@pytest.mark.parametrize(
    ("address", "publication"),
    [
        ("github.com/mlcommons/inference_results_v4.1", "github.com/mlcommons/inference_results"),
        ("https://github.com/mlcommons/inference_results_v5.1", "github.com/mlcommons/inference_results"),
        ("github:NVIDIA/NeMo docs/source/performance/performance_summary.md @e2de75c15e", "github.com/nvidia/nemo"),
        ("github.com/NVIDIA/TensorRT-LLM/issues/6294", "github.com/nvidia/tensorrt-llm/issues/6294"),
        ("arXiv:2201.11990 via github:cli99/llm-analysis", "arxiv:2201.11990"),
        ("https://www.example.org/a/b.html", "example.org/a/b.html"),
        ("", ""),
    ],
)
def test_an_address_names_a_publication(address, publication):
    assert publication_of(address) == publication


def test_rows_that_constants_are_fitted_on_are_compared():
    assert all(apart(row) == (0.0, 0.0) for row in packaged_rows())


def test_outside_rows_are_not_but_for_further_editions():
    known = {row.set for row in outside_rows() if apart(row) == (0.0, 0.0)}
    assert known == {"tiny10"}


def test_a_row_that_cites_nothing_is_not_compared():
    row = next(row for row in packaged_rows() if row.table == "training" and row.metric.quantity != "memory")
    assert apart(attrs.evolve(row, publication="")) == PUBLICATION_LOG_SDS["training"]


def test_every_kind_has_spreads():
    assert {kind_of(row) for row in (*packaged_rows(), *outside_rows())} == set(PUBLICATION_LOG_SDS)


def test_slower_runs_lie_below_a_rate_and_above_a_time():
    low, high = interval(1.0, 0.1, (0.0, 0.5), larger_is_faster=True)
    assert low * interval(1.0, 0.1, (0.0, 0.5), larger_is_faster=False)[1] == pytest.approx(1.0)
    assert high == pytest.approx(np.exp(INTERVAL_QUANTILE * 0.1))
    assert low == pytest.approx(np.exp(-INTERVAL_QUANTILE * np.hypot(0.1, 0.5)))


def test_without_such_doubt_an_interval_is_as_wide_to_both_sides():
    low, high = interval(3.0, 0.2, (0.0, 0.0), larger_is_faster=False)
    assert low * high == pytest.approx(9.0)


def test_a_prediction_of_an_unknown_publication_is_wider_and_says_so():
    row = next(row for row in packaged_rows() if row.table == "inference" and predict(row).predicted)
    known, unknown = predict(row), predict(attrs.evolve(row, publication="example.org"))
    assert unknown.predicted == known.predicted
    assert unknown.low < known.low
    assert unknown.high > known.high
    assert {*unknown.assumed} - {*known.assumed} == {"nobody compared figures of this publication before"}
    again = rescaled(unknown, 1.0)
    assert (again.low, again.high) == pytest.approx((unknown.low, unknown.high))


def _drawn(fast, slow, own, seed=3, publications=400, rows=4):
    rng = np.random.default_rng(seed)
    size = publications * rows
    below = rng.random(size) < fast / (fast + slow)
    far = np.abs(rng.standard_t(6.0, size)) * 0.8465
    return Strays(
        np.where(below, -far * np.hypot(fast, own), far * np.hypot(slow, own)),
        np.full(size, own), tuple(f"p{i // rows}" for i in range(size)),
    )  # fmt: skip


def test_spreads_of_drawn_publications_are_found():
    found = next_sides(_drawn(0.1, 0.4, own=0.02))
    assert found.fast == pytest.approx(0.1, abs=0.03)
    assert found.slow == pytest.approx(0.4, abs=0.04)
    assert found.held == pytest.approx(0.9, abs=0.02)
    assert found.before < found.held


def test_publications_that_stray_no_further_need_nothing():
    drawn = _drawn(0.2, 0.2, own=0.0)
    found = next_sides(drawn._replace(own=np.full(len(drawn.own), 0.3)))
    assert max(found.fast, found.slow) <= 0.05


def test_what_is_found_is_written_as_the_program_has_it():
    outcomes = [predict(row) for row in outside_rows() if row.metric.quantity == "memory"]
    found = next_sides(strays_of(outcomes))
    lines = lines_of({"memory": found})
    assert lines[1].startswith(f'    "memory": ({found.fast}, {found.slow}),')
    assert ("the program has" in lines[1]) == ((found.fast, found.slow) != PUBLICATION_LOG_SDS["memory"])
