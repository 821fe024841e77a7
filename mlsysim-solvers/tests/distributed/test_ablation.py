"""Each term earns its place: without it, predictions of published runs get worse."""

from __future__ import annotations

import math
import statistics

import pytest

from mlsysim.plugins import plugins
from mlsysim.units import parse_unit
from mlsysim_solvers.calibration.problem import prepare
from mlsysim_solvers.validation.tables import packaged_tables, read_table

SETS = ("sc21t1", "seqsel-t5", "mlperf-iter-029", "mlperf-iter-03", "mlperf-iter-01", "mtv5p", "mosaic")


@pytest.fixture(scope="module")
def points():
    tables = packaged_tables()
    assert plugins().sources, "install mlsysim-registry: this test stands on its measurements"
    rows = [
        r for r in read_table(tables["training"]) if r.id.startswith(SETS) and r.devices > 1 and "LoRA" not in r.model
    ]
    return prepare(rows)


def spread(points, change):
    """Return the scatter that one constant per stack and device leaves, natural-log units."""
    residuals: dict[tuple[str, str], list[float]] = {}
    for point in points:
        columns = {**point.columns, "layer_memo": {}, **change(point.columns)}
        value = float(point.solver.compute(columns)[point.question.output])
        unit = parse_unit(point.row.metric.unit).factor
        figure = value / unit if point.question.amount is None else point.question.amount / value
        sign = 1.0 if point.row.metric.larger_is_faster else -1.0
        residuals.setdefault((point.stack, point.device), []).append(sign * math.log(figure / point.row.value))
    centred = [abs(r - statistics.median(own)) for own in residuals.values() for r in own]
    return statistics.fmean(centred)


def test_the_full_physics_is_better_than_one_constant_utilisation(points):
    def constant(columns):
        # Every operator runs at one share of the peak, and nothing else takes time.
        return {"bandwidth": 1e30, "overhead": 0.0, "inner_rate": 1e30, "outer_rate": 1e30, "tiles": (),
                "attention_ceiling": 1.0, **{f"{w}_{p}": 0.0 for w in ("short", "long") for p in ("base", "inner_step", "outer_step")}}  # fmt: skip

    assert spread(points, lambda c: {}) < 0.8 * spread(points, constant)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("network between nodes", lambda c: {"outer_rate": 1e30, "long_outer_step": 0.0, "short_outer_step": 0.0}),
        ("link inside nodes", lambda c: {"inner_rate": 1e30}),
        ("memory traffic", lambda c: {"bandwidth": 1e30}),
        ("attention below the rate of products", lambda c: {"attention_ceiling": 1.0}),
    ],
)
def test_a_term_earns_its_place(points, name, change):
    assert spread(points, lambda c: {}) < spread(points, change), name
