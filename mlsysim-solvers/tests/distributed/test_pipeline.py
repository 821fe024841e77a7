"""Schedules: the formula against a schedule that is played through."""

from __future__ import annotations

import pytest

from mlsysim_solvers.formulas.overlap import exposed_time
from mlsysim_solvers.formulas.pipeline import bubble_time, in_flight_chunks, zero_bubble_time
from mlsysim_solvers.step_pictures import gantt, gantt_lines, step_lines


@pytest.mark.parametrize(("p", "m", "v"), [(2, 4, 1), (4, 8, 1), (8, 8, 1), (4, 8, 2), (8, 24, 3), (4, 12, 5)])
def test_the_bubble_is_that_of_the_schedule(p, m, v):
    forward, backward = 1.0, 2.0
    played = max(slot.end for slot in gantt(p, m, v, forward, backward))
    slowest = forward + backward
    assert played == pytest.approx(m * slowest + bubble_time(p * slowest, slowest, v))
    assert (played - m * slowest) / (m * slowest) == pytest.approx((p - 1) / (v * m))


@pytest.mark.parametrize(("p", "m", "v"), [(4, 8, 1), (8, 16, 1), (4, 8, 2), (8, 24, 3)])
def test_what_is_in_flight_is_what_the_schedule_holds(p, m, v):
    slots = sorted(gantt(p, m, v, 1.0, 2.0), key=lambda s: (s.start, s.end))
    for rank in (0, p - 1):
        held = most = 0
        for slot in (s for s in slots if s.stage == rank):
            held += -1 if slot.back else 1
            most = max(most, held)
        # The schedule frees after the backward pass ends, so the one in progress counts as well.
        assert most == in_flight_chunks(float(p), float(rank), float(v), float(m))


def test_first_stage_of_an_interleaved_pipeline_holds_korthikantis_factor():
    p, v, layers = 8.0, 3.0, 96.0
    chunks = in_flight_chunks(p, 0.0, v, 64.0)
    assert chunks * layers / (p * v) == pytest.approx(layers * (1.0 + (p - 1.0) / (p * v)))


def test_zero_bubble_fills_with_weight_gradients():
    f, b, w, p = 1.0, 1.0, 1.0, 4.0
    total, slowest = p * (f + b + w), f + b + w
    assert zero_bubble_time(total, slowest, w, 2.0, p) == (p - 1.0) * (f + b - w)
    assert zero_bubble_time(total, slowest, w, 3.0, p) == (p - 1.0) * (f + b - 2.0 * w)


def test_overlap_never_hides_more_than_the_shorter():
    assert exposed_time(3.0, 1.0, 1.0) == 0.0
    assert exposed_time(3.0, 1.0, 0.0) == 1.0
    assert exposed_time(1.0, 3.0, 1.0) == 2.0


def test_a_schedule_in_text_has_one_line_for_each_stage():
    lines = list(gantt_lines(gantt(4, 8, 1, 1.0, 2.0), 60))
    assert len(lines) == 4
    assert "." in lines[0]
    assert "a" in lines[0]
    assert "0" in lines[0]


def test_bars_leave_out_terms_that_are_nothing():
    lines = list(step_lines({"compute": 3.0, "recompute": 0.0, "bubble": 1.0}))
    assert len(lines) == 2
    assert "75.0%" in lines[0]
