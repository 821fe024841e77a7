"""Tiles and waves: worked products, and the tables against the formulas they stand for."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from solver_cases import TILES

from mlsysim_solvers.execution.device.factored import Factored, factored
from mlsysim_solvers.execution.device.quantisation import SPLITS, TileMenu, menu_area, tile_menu
from mlsysim_solvers.formulas.gemm import (
    joining_area,
    lone_area,
    matmul_activation_bytes,
    matmul_weight_bytes,
    padded_flops,
)
from mlsysim_solvers.formulas.roofline import compute_time, memory_time, operator_time

MENU = tuple((tile.m, tile.n, tile.rate) for tile in TILES)


def product_time(m, n, k, *, peak, processors, e_mm, bandwidth=1e30, e_bw=1.0, width=1.0, out=2.0):
    area = tile_menu(MENU, processors).area(m, n, k, 1.0)
    work = compute_time(padded_flops(area, k, processors, 2.0), peak * e_mm)
    moved = matmul_weight_bytes(n, k, 1.0, width) + matmul_activation_bytes(m, n, k, 1.0, width, out)
    return operator_time(work, memory_time(moved, bandwidth * e_bw))


def test_square_product_on_a100():
    time = product_time(8192.0, 8192.0, 8192.0, peak=312e12, processors=108.0, e_mm=0.869)
    assert time == pytest.approx(4.063e-3, rel=1e-4)


@pytest.mark.parametrize(
    ("m", "microseconds"), [(1, 79.7), (64, 81.1), (128, 82.5), (256, 100.9), (512, 189.8), (1024, 353.1)]
)
def test_decode_products_on_h100_in_fp8(m, microseconds):
    time = product_time(
        float(m), 28672.0, 8192.0, peak=1979e12, processors=132.0, e_mm=0.71, bandwidth=3.35e12, e_bw=0.88
    )
    assert time * 1e6 == pytest.approx(microseconds, abs=0.06)


def test_no_tiles_waste_nothing():
    assert tile_menu((), 10.0).area(7.0, 30.0, 5.0, 2.0) == 42.0


def test_dividing_the_inner_dimension_helps_few_tiles_only():
    few, many = (64.0, 64.0, 65536.0), (8192.0, 8192.0, 65536.0)
    assert menu_area(*few, 1.0, 132.0, MENU, SPLITS) < menu_area(*few, 1.0, 132.0, MENU, ())
    assert menu_area(*many, 1.0, 132.0, MENU, SPLITS) == menu_area(*many, 1.0, 132.0, MENU, ())


def test_a_lone_tile_waits_and_many_hide_it():
    lone = lone_area(100.0, 2048.0, 2.0, 64.0, 2.0)
    assert lone == 100 * 1024 / 32  # the products of 100 clocks, over the 32 elements of a step
    tile = ((128.0, 128.0, 1.0),)
    assert menu_area(128.0, 128.0, 64.0, 1.0, 1.0, tile, (), lone) == 128 * 128 + lone
    assert menu_area(256.0, 128.0, 64.0, 1.0, 1.0, tile, (), lone) == 2 * 128 * 128


@pytest.mark.parametrize("lone", [0.0, 3200.0])
def test_arrays_of_rows_take_what_single_ones_do(lone):
    rows = np.array([1.0, 40.0, 128.0, 196.0, 700.0, 5000.0, 20000.0])
    for n, k in ((256.0, 2304.0), (256.0, 700.0), (4096.0, 64.0)):
        menu = tile_menu(MENU, 108.0, lone=lone).start()
        assert menu.area(rows, n, k, 1.0).tolist() == [menu.area(float(m), n, k, 1.0) for m in rows]
        assert menu.area(rows, n, k, 1.0).tolist() == [
            menu_area(math.ceil(m / menu.step) * menu.step, n, k, 1.0, 108.0, MENU, SPLITS, lone) for m in rows
        ]


sizes = st.integers(1, 20000).map(float)


@given(m=sizes, n=sizes, k=sizes, batch=st.integers(1, 64).map(float), processors=st.integers(1, 200).map(float))
def test_padding_never_falls_below_the_work(m, n, k, batch, processors):
    area = TileMenu(MENU, processors).area(m, n, k, batch)
    assert area * processors >= m * n * batch * (1 - 1e-12)


@given(
    n=st.sampled_from([64.0, 1000.0, 1024.0, 4096.0, 6144.0, 28672.0, 128256.0]) | sizes,
    k=st.sampled_from([64.0, 512.0, 4096.0, 14336.0]),
    batch=st.sampled_from([1.0, 8.0, 128.0]),
    processors=st.sampled_from([1.0, 38.0, 108.0, 132.0, 304.0]),
    scale=st.sampled_from([64, 4096, 10**6, 10**8]),
    seed=st.integers(0, 9),
)
def test_tables_equal_the_whole_menu_at_any_number_of_rows(n, k, batch, processors, scale, seed):
    rows = np.random.default_rng(seed).integers(1, scale, 200).astype(np.float64)
    menu = TileMenu(MENU, processors)
    found = menu.area(rows, n, k, batch)
    expected = [menu_area(m, n, k, batch, processors, MENU, SPLITS) for m in rows.tolist()]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_fractional_rows_round_up_alike_on_both_paths():
    rows = np.array([0.3, 63.9, 64.0, 64.1, 1000.5])
    menu = TileMenu(MENU, 132.0)
    np.testing.assert_array_equal(
        menu.area(rows, 512.0, 4096.0, 1.0), [menu.area(m, 512.0, 4096.0, 1.0) for m in rows.tolist()]
    )


def test_menu_of_odd_tiles():
    odd = ((96.0, 80.0, 1.0), (48.0, 16.0, 0.7))
    rows = np.arange(1.0, 5000.0, 37.0)
    menu = TileMenu(odd, 20.0)
    assert menu.step == 48.0
    expected = [menu_area(m, 333.0, 2048.0, 3.0, 20.0, odd, SPLITS) for m in rows.tolist()]
    np.testing.assert_allclose(menu.area(rows, 333.0, 2048.0, 3.0), expected, rtol=1e-12)


@pytest.mark.parametrize(("m", "n"), [(64.0, 64.0), (64.0, 4096.0), (4096.0, 4096.0)])
def test_products_of_any_depth_equal_the_whole_menu(m, n):
    depths = np.random.default_rng(0).integers(1, 4096, 300).astype(np.float64)
    found = TileMenu(MENU, 108.0).area(m, n, depths, 1.0)
    expected = [menu_area(m, n, k, 1.0, 108.0, MENU, SPLITS) for k in depths.tolist()]
    np.testing.assert_array_equal(found, expected)


def test_arrays_of_every_size_equal_the_whole_menu():
    dice = np.random.default_rng(1)
    m, n, k, batch = (dice.integers(1, top, 400).astype(np.float64) for top in (2048, 2048, 4096, 64))
    found = TileMenu(MENU, 108.0).area(m, n, k, batch)
    expected = [
        menu_area(float(m[i]), float(n[i]), float(k[i]), float(batch[i]), 108.0, MENU, SPLITS) for i in range(400)
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("top", [8, 96, 200, 5000])
@pytest.mark.parametrize("lone", [0.0, 3200.0])
def test_tiles_that_cannot_win_change_nothing(top, lone):
    dice = np.random.default_rng(top)
    m, batch = dice.uniform(0.5, top, 300), dice.uniform(1.0, 64.0, 300)
    menu = TileMenu(MENU, 108.0, lone=lone)
    for n in (48.0, 4096.0):
        found = menu.area(m, n, 2048.0, batch)
        np.testing.assert_array_equal(found, menu_area(m, n, 2048.0, batch, 108.0, MENU, SPLITS, lone))


def test_a_table_grows_with_the_rows_asked_for():
    menu, dice = TileMenu(MENU, 108.0), np.random.default_rng(3)
    for top in (100, 30000, 500, 10**6, 2000):
        rows = dice.integers(1, top, 200).astype(np.float64)
        expected = [menu_area(m, 1024.0, 4096.0, 1.0, 108.0, MENU, SPLITS) for m in rows.tolist()]
        np.testing.assert_allclose(menu.start().area(rows, 1024.0, 4096.0, 1.0), expected, rtol=1e-12)


def test_products_of_the_same_arrays_have_one_area():
    menu = TileMenu(MENU, 108.0)
    m, batch = np.array([100.0, 900.0]), np.array([1.0, 3.0])
    assert menu.area(m, m, 64.0, batch) is menu.area(m, m, 64.0, batch)
    before = menu.area(m, m, 64.0, batch).tolist()
    m += 5000.0
    assert menu.start().area(m, m, 64.0, batch).tolist() != before


def test_areas_are_found_once_per_combination():
    dice = np.random.default_rng(2)
    rows = {"rows": 64.0 * dice.integers(1, 9, 1024)}
    few = factored(rows, ("rows",))["rows"]
    found = TileMenu(MENU, 108.0).area(few, 512.0, 1024.0, 1.0)
    assert type(found) is Factored
    np.testing.assert_array_equal(found.rows(), TileMenu(MENU, 108.0).area(rows["rows"], 512.0, 1024.0, 1.0))


MACS = 1024.0
"""Multiply-accumulates of a processor of an A100 in one clock, 16 bits."""


def test_parts_are_added_up_by_a_second_kernel_and_through_the_cache():
    # 3000 clocks, and 64 x 64 sums of 4 bytes, written and read at 32 bytes a clock.
    assert joining_area(1.0, 64.0, 64.0, 1.0, MACS, 3000.0, 4.0, 32.0) == (3000 + 1024) * MACS
    assert joining_area(2.0, 64.0, 64.0, 512.0, MACS, 3000.0, 4.0, 32.0) == (3000 + 2048) * MACS / 512
    assert joining_area(3.0, 64.0, 64.0, 512.0, 0.0, 3000.0, 4.0, 32.0) == 0.0


def test_short_products_are_not_divided_and_deep_ones_at_hardly_any_cost():
    def areas(k):
        return tuple(menu_area(64.0, 64.0, k, 1.0, 108.0, MENU, s, 3200.0, MACS) for s in ((), SPLITS))

    whole, divided = areas(128.0)
    assert divided == whole
    whole, divided = areas(1e9)
    assert divided == pytest.approx(whole / 8.0, rel=1e-3)
    free = menu_area(64.0, 64.0, 1e9, 1.0, 108.0, MENU, SPLITS, 3200.0, 0.0)
    assert divided == pytest.approx(free, rel=1e-3)
    assert free == whole / 8.0


def test_time_grows_with_the_depth_however_a_product_is_divided():
    depths = np.arange(64.0, 20000.0, 64.0)
    for m, n in ((64.0, 64.0), (196.0, 256.0), (784.0, 128.0)):
        spent = depths * TileMenu(MENU, 108.0, lone=3200.0, macs=MACS).area(m, n, depths, 1.0)
        assert (np.diff(spent) >= 0.0).all()


@pytest.mark.parametrize("macs", [256.0, MACS, 4096.0])
def test_divided_products_take_the_same_on_every_path(macs):
    menu, dice = TileMenu(MENU, 108.0, lone=3200.0, macs=macs), np.random.default_rng(5)
    rows, depths = (dice.integers(1, top, 200).astype(np.float64) for top in (900, 20000))
    for n, k in ((64.0, 4608.0), (256.0, 2304.0), (512.0, 700.0)):
        single = [menu.area(m, n, k, 1.0) for m in rows.tolist()]
        np.testing.assert_array_equal(menu.start().area(rows, n, k, 1.0), single)
        np.testing.assert_array_equal(menu.area(rows, np.full(200, n), k, 1.0), single)
    for m, n in ((49.0, 512.0), (196.0, 256.0), (3136.0, 64.0), (4096.0, 4096.0)):
        single = [menu_area(m, n, k, 1.0, 108.0, MENU, SPLITS, 3200.0, macs) for k in depths.tolist()]
        np.testing.assert_array_equal(menu.area(m, n, depths, 1.0), single)


def test_a_tall_tile_that_writes_more_sums_does_not_stand_for_a_short_one():
    menu = TileMenu(((256.0, 64.0, 1.0), (128.0, 64.0, 0.45)), 108.0, macs=MACS)
    rows, wide = np.full(3, 100.0), np.full(3, 64.0)
    expected = menu.whole(100.0, 64.0, 4096.0, 1.0)
    assert menu.area(rows, wide, 4096.0, 1.0).tolist() == [expected] * 3
