"""Products that are sorted by intensity take as long as products that are timed one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlsysim_solvers.execution.device.engine import timed
from mlsysim_solvers.execution.device.factored import Combinations, Factored
from mlsysim_solvers.execution.device.machine import Machine
from mlsysim_solvers.execution.device.quantisation import TileMenu
from mlsysim_solvers.execution.device.ranking import joined, rebound, sorted_out
from mlsysim_solvers.execution.device.settling import Settled, Settlement

ROWS = 600


def group(dice, products):
    rows = []
    for _ in range(products):
        plain, moved = (float(10.0 ** dice.uniform(6.0, 12.0)) for _ in range(2))
        rows.append((plain * float(dice.uniform(1.0, 12.0)), plain, moved, 0.75 * moved, 0.25 * moved))
    moved = sum((row[2] for row in rows), 0.0)
    return Settled("rows", float(dice.integers(1, 9)), 3.0, rows, [], [], 1e6, moved + 1e6, 0.0, moved + 1e6, 1.0)


def machines(dice, *, vector):
    rate, bandwidth = 10.0 ** dice.uniform(12.0, 15.0, ROWS), 10.0 ** dice.uniform(10.0, 13.0, ROWS)
    beside = {"none": rate, "some": np.minimum(rate, 2e14), "slow": 1e9}[vector]
    return Machine(rate, rate, beside, bandwidth, 1e-6, 100.0, TileMenu((), 100.0), 2.0)


def one_of(machine, i):
    return Machine(*(float(v[i]) if isinstance(v, np.ndarray) else v for v in machine))


@pytest.mark.parametrize("vector", ["none", "some", "slow"])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6), sizes=st.lists(st.integers(0, 9), min_size=1, max_size=4))
def test_sorted_products_take_what_single_ones_take(vector, seed, sizes):
    dice = np.random.default_rng(seed)
    table = Settlement(group(dice, size) for size in sizes)
    machine = machines(dice, vector=vector)
    together = timed(table, machine)
    for i in range(0, ROWS, 60):
        alone = timed(table, one_of(machine, i))
        for mine, wanted in zip(together, alone, strict=True):
            assert np.broadcast_to(mine, (ROWS,))[i] == pytest.approx(wanted, rel=1e-12)


@pytest.mark.parametrize("slowness", [None, 3.0])
@pytest.mark.parametrize("special", [None, 1e12])
@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_a_plain_number_takes_what_a_column_of_one_takes(slowness, special, seed):
    dice = np.random.default_rng(seed)
    found = group(dice, 5)
    beside = [(row[1], *row[1:]) for row in group(dice, 3).products]
    scores = [(float(10.0 ** dice.uniform(6.0, 12.0)), 1e9, float(10.0 ** dice.uniform(6.0, 12.0))) for _ in range(3)]
    table = Settlement([found._replace(beside=beside, scores=scores, weights=1e7), found])
    machine = one_of(machines(dice, vector="some"), 0)._replace(weight_slowness=slowness, special_rate=special)
    column = machine._replace(
        attention_rate=np.array([machine.attention_rate]), bandwidth=np.array([machine.bandwidth])
    )
    for mine, wanted in zip(timed(table, machine), timed(table, column), strict=True):
        assert mine == pytest.approx(float(np.squeeze(wanted)), rel=1e-12)


def test_each_row_takes_the_table_of_its_combination():
    dice = np.random.default_rng(4)
    tables = [Settlement([group(dice, 5)]) for _ in range(7)]
    codes = dice.integers(0, 7, ROWS)
    machine = machines(dice, vector="some")
    together = timed(joined(tables, Combinations(codes, 7)), machine)
    for i in range(0, ROWS, 40):
        assert together.time[i] == pytest.approx(timed(tables[codes[i]], one_of(machine, i)).time, rel=1e-12)


def test_products_that_some_machine_runs_beside_its_matrix_units_are_not_sorted():
    dice = np.random.default_rng(5)
    table = Settlement([group(dice, 6)])
    left, sums = sorted_out(table, machines(dice, vector="slow"))
    assert sums is not None
    assert not left[0].products
    left, sums = sorted_out(table, machines(dice, vector="some"))
    assert len(left[0].products) > 0


def test_a_table_for_other_rows_keeps_its_ranking():
    dice = np.random.default_rng(6)
    shared = Combinations(dice.integers(0, 3, ROWS), 3)
    tables = [Settlement([group(dice, 4)]) for _ in range(3)]
    table = joined(tables, shared)
    machine = machines(dice, vector="slow")
    timed(table, machine)
    other = Combinations(dice.integers(0, 3, ROWS), 3)
    moved = rebound(table, other)
    assert moved.ranking[0] is table.ranking[0]
    assert all(number.shared is other for number in moved[0].products[0] if type(number) is Factored)
    np.testing.assert_array_equal(timed(moved, machine).time, timed(joined(tables, other), machine).time)


def test_tables_of_other_rows_are_not_joined():
    dice = np.random.default_rng(8)
    tables = [Settlement([group(dice, 4)]), Settlement([group(dice, 5)])]
    assert joined(tables, Combinations(np.zeros(ROWS, dtype=int), 2)) is None
