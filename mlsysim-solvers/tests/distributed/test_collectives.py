"""Collectives against measurements and their own limits."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mlsysim.plugins import plugins
from mlsysim_solvers.execution.network.communication import (
    all_gather,
    all_reduce,
    all_to_all,
    message,
    served_all_reduce,
)
from mlsysim_solvers.execution.network.topology import Network, Way, group_of, strides

SHORT, LONG = Way(3.6e-6, 0.47e-6, 2.7e-6, 0.25), Way(8.4e-6, 3.4e-6, 9.6e-6, 1.0)
A100 = Network(8.0, 235e9, 22.5e9, None, None, None, (SHORT, LONG))


def test_nccl_ring_of_eight_a100_takes_eight_milliseconds_for_a_gibibyte():
    # 8.204 ms were measured (stas00/ml-engineering, network/README.md); the library's own model says 8.05.
    time = all_reduce(A100, group_of(A100, 8.0, 1.0), 2.0**30)
    assert time == pytest.approx(8.05e-3, rel=0.01)


def test_kernels_of_a_server_are_faster_for_short_vectors_and_only_in_one_domain():
    able = A100._replace(direct=Way(5e-6, 2e-6, 2e-6, 1.0))
    inside, across = group_of(able, 8.0, 1.0), group_of(able, 16.0, 1.0)
    # At one go each member reads the vectors of seven others.
    assert served_all_reduce(able, inside, 16e3) == pytest.approx(5e-6 + 7 * 16e3 / 235e9)
    # A part each, and once more to all, sends less.
    assert served_all_reduce(able, inside, 4e6) == pytest.approx(7e-6 + 2 * 7 / 8 * 4e6 / 235e9)
    assert served_all_reduce(able, across, 16e3) == all_reduce(able, across, 16e3)
    assert served_all_reduce(able, group_of(able, 1.0, 1.0), 16e3) == 0.0
    assert served_all_reduce(A100, inside, 16e3) == all_reduce(A100, inside, 16e3)


def test_a_server_does_not_let_switches_add_up():
    switched = A100._replace(reduced=400e9)
    inside = group_of(switched, 8.0, 1.0)
    assert all_reduce(switched, inside, 64e6) < all_reduce(A100, inside, 64e6)
    assert served_all_reduce(switched, inside, 64e6) == all_reduce(A100, inside, 64e6)


@pytest.mark.parametrize(
    ("link", "size", "low", "high", "seconds"),
    [
        # vllm-project/vllm, pull request 22086: hidden 8192 in bf16, 32 and 128 rows on two H100: 10 and 17 us.
        ("nvlink-4", 2.0, 32 * 8192 * 2.0, 128 * 8192 * 2.0, 7e-6),
        # NVIDIA/TensorRT-LLM, pull request 14534: 1024 and 2048 rows of 16384 on four GB200, in parts: 126 us apart.
        ("nvlink-5", 4.0, 1024 * 16384 * 2.0, 2048 * 16384 * 2.0, 126.4e-6),
    ],
)
def test_longer_vectors_take_kernels_of_servers_as_much_longer_as_published(link, size, low, high, seconds):
    record = plugins().registry.get("links", link).record
    (direct,) = (one for one in record.protocols if one.name == "direct")
    # Eighteen links for each device of either generation.
    slow = Way(1.0, 0.0, 0.0, 1.0)
    able = A100._replace(
        ways=(slow, slow), inner=18.0 * record.achieved, direct=Way(direct.base, direct.step, direct.step, direct.share)
    )
    group = group_of(able, size, 1.0)
    longer = served_all_reduce(able, group, high) - served_all_reduce(able, group, low)
    assert longer == pytest.approx(seconds, rel=0.15)


@pytest.mark.parametrize(("volume", "seconds"), [(64 * 2.0**20, 0.219e-3), (128 * 2.0**20, 0.393e-3)])
def test_rings_of_six_b300_take_as_long_as_published(volume, seconds):
    # vllm-project/vllm, pull request 37756, column pynccl.
    inner = 18.0 * plugins().registry.get("links", "nvlink-5").record.achieved
    network = A100._replace(inner=inner)
    assert all_reduce(network, group_of(network, 6.0, 1.0), volume) == pytest.approx(seconds, rel=0.05)


def test_a_group_of_one_says_nothing():
    one = group_of(A100, 1.0, 1.0)
    for call in (all_reduce, all_gather, all_to_all, message):
        assert call(A100, one, 1e9) == 0.0


def test_an_all_reduce_is_at_most_a_scatter_and_a_gather():
    for size in (2.0, 8.0, 64.0):
        group = group_of(A100, size, 1.0)
        for volume in (1e4, 1e6, 1e9):
            assert all_reduce(A100, group, volume) <= 2.0 * all_gather(A100, group, volume) * (1 + 1e-12)


def test_never_faster_than_the_wire():
    for size, stride in ((8.0, 1.0), (16.0, 1.0), (64.0, 8.0)):
        group = group_of(A100, size, stride)
        for volume in (1e3, 1e6, 1e10):
            assert all_gather(A100, group, volume) >= volume * (size - 1.0) / size / group.rate


def test_all_interfaces_of_a_node_carry_a_ring_that_spans_nodes():
    spanning = group_of(A100, 32.0, 1.0)
    assert spanning.rate == pytest.approx(min(235e9, 8.0 * 22.5e9))
    alone = group_of(A100, 4.0, 8.0)
    assert alone.rate == pytest.approx(22.5e9)


def test_short_messages_take_the_short_protocol():
    group = group_of(A100, 8.0, 1.0)
    base, hops = SHORT.base, 7.0 * SHORT.inner_step
    assert all_gather(A100, group, 64.0) == pytest.approx(base + hops + 56.0 / (0.25 * 235e9))


def test_switches_that_add_up_are_faster_only_in_one_domain():
    able = A100._replace(reduced=480e9)
    inside, across = group_of(able, 8.0, 1.0), group_of(able, 16.0, 1.0)
    assert all_reduce(able, inside, 1e9) < all_reduce(A100, inside, 1e9)
    assert all_reduce(able, across, 1e9) == all_reduce(A100, across, 1e9)


def test_switches_add_up_at_their_rate_only_where_vectors_take_many_passes():
    # all_reduce_bench.py on 8 H200 (stas00/ml-engineering, network/README.md): 16 MiB and 64 MiB take 133 and 339 us.
    able = A100._replace(inner=367.6e9, reduced=482.3e9)
    group = group_of(able, 8.0, 1.0)
    times = [float(all_reduce(able, group, mebibytes * 2.0**20)) for mebibytes in (16, 64, 2**14)]
    assert times[0] == pytest.approx(133e-6, rel=0.15)
    assert times[1] == pytest.approx(339e-6, rel=0.15)
    assert times[2] == pytest.approx(2 * 7 / 8 * 2.0**34 / 482.3e9, rel=0.01)
    # More members share out more parts, so the pipeline fills for longer.
    rack = able._replace(domain=72.0)
    above = [all_reduce(rack, group_of(rack, n, 1.0), 2.0**31) * n / (n - 1.0) for n in (8.0, 72.0)]
    assert above[1] > above[0] + 100e-6


def test_longer_vectors_never_take_less_time():
    able = A100._replace(reduced=480e9)
    sizes = np.geomspace(1e3, 1e11, 4000)
    assert np.all(np.diff(all_reduce(able, group_of(able, 8.0, 1.0), sizes)) > 0.0)


def test_a_torus_gives_a_line_half_of_the_links_of_a_plane():
    torus = Network(256.0, 50e9, 3e9, None, 4.0, 2.0, (SHORT, LONG))
    assert group_of(torus, 16.0, 1.0).rate == pytest.approx(100e9)
    assert group_of(torus, 256.0, 1.0).rate == pytest.approx(200e9)


def test_strides_follow_the_placement():
    found = strides(("tensor", "data", "context", "pipeline"), {"tensor": 8, "data": 4, "context": 2, "pipeline": 3})
    assert found == {"tensor": 1.0, "data": 8.0, "context": 32.0, "pipeline": 64.0}


def test_arrays_and_floats_agree():
    sizes = np.array([1.0, 2.0, 8.0, 16.0, 64.0, 448.0])
    for call in (all_reduce, all_gather, all_to_all, message):
        together = call(A100, group_of(A100, sizes, 4.0), 3e8)
        for size, value in zip(sizes, together, strict=True):
            single = call(A100, group_of(A100, float(size), 4.0), 3e8)
            assert math.isclose(single, float(value), rel_tol=1e-12)


def test_two_nodes_pass_a_vector_once_each_way():
    # 51.4 ms were measured for 2 GiB on two p4de.24xlarge (aws-samples/awsome-distributed-training,
    # micro-benchmarks/nccl-tests/README.md), which four interfaces of 12.5 GB/s join: a ring takes 81 ms.
    narrow = A100._replace(outer=50e9 / 8.0 * 0.9)
    two, four = group_of(narrow, 16.0, 1.0), group_of(narrow, 32.0, 1.0)
    volume = 2.0**31
    assert all_reduce(narrow, two, volume) == pytest.approx(51.4e-3, rel=0.1)
    assert all_reduce(narrow, two, volume) > volume / (8.0 * narrow.outer)
    assert all_reduce(narrow, four, volume) > 1.6 * all_reduce(narrow, two, volume)


def test_a_short_message_between_two_nodes_takes_the_library_s_own_latencies():
    """NCCL's tuning.cc: tree, LL: 4.4 + 2 (7 x .52 x 1.8 + 5.0) us; ring, LL: 3.6 + 14 x .47 x 1.8 + 2.7 us."""
    both = group_of(A100, 16.0, 1.0)
    assert all_reduce(A100, both, 8.0) == pytest.approx(27.5e-6, rel=1e-3)
    assert all_gather(A100, both, 8.0) == pytest.approx(18.14e-6, rel=1e-3)


def test_hops_take_longer_only_where_a_group_leaves_its_node():
    inside = group_of(A100, 8.0, 1.0)
    ring, tree = 3.6e-6 + 14 * 0.47e-6, 4.4e-6 + 14 * 0.52e-6
    assert all_reduce(A100, inside, 8.0) == pytest.approx(min(ring, tree), rel=1e-3)
    # A megabyte and more takes the protocol for long messages, whose hops are the same everywhere.
    both = group_of(A100, 16.0, 1.0)
    slower = A100._replace(ways=(SHORT._replace(inner_step=10 * SHORT.inner_step), LONG))
    assert all_reduce(slower, both, 64e6) == all_reduce(A100, both, 64e6)
