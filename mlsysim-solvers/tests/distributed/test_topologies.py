"""Fat trees, rail-optimised networks, dragonflies, tori and NVLink domains at their limits."""

from __future__ import annotations

import math
from types import SimpleNamespace

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import LLAMA_70B, NETWORK, NODE, NVLINK, OVERLAPPED, columns

from mlsysim.records.infrastructure import Fabric, Link, Node
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.execution.network.communication import all_gather, all_reduce, all_to_all, message
from mlsysim_solvers.execution.network.links import network_columns
from mlsysim_solvers.execution.network.topology import group_of, network_of
from mlsysim_solvers.formulas import parallel_constants as constants
from mlsysim_solvers.formulas.torus import torus_side

ALL = (all_gather, all_reduce, all_to_all, message)
BIG = 1e12
"""A volume beside which latencies count for nothing, B."""

RATE = 25e9 * constants.OUTER_SHARE
"""Rate of one device through its interface in these clusters, B/s."""


def network(topology="fat-tree", oversubscription=1.0, pod=None, devices=4096.0, node=NODE, inner=NVLINK):
    fabric = Fabric(name="fabric", topology=topology, link="ib", oversubscription=oversubscription, pod=pod)
    records = {"node": node, "inner": inner, "outer": NETWORK, "fabric": fabric}
    scenario = SimpleNamespace(system=SimpleNamespace(device="a100"))
    return network_of(network_columns(records, scenario, devices))


PLAIN = network()


@pytest.mark.parametrize("topology", ["fat-tree", "rail-optimised", "switch"])
@pytest.mark.parametrize("call", ALL)
def test_without_oversubscription_every_group_has_the_full_bisection(topology, call):
    full = network(topology, 1.0, pod=64.0)
    for size, stride in ((8.0, 1.0), (64.0, 1.0), (128.0, 8.0), (4096.0, 1.0)):
        assert call(full, group_of(full, size, stride), 1e9) == call(PLAIN, group_of(PLAIN, size, stride), 1e9)


@pytest.mark.parametrize("call", ALL)
@pytest.mark.parametrize("loss", [2.0, 7.0, 100.0])
def test_inside_a_pod_nothing_is_oversubscribed(call, loss):
    narrow = network("fat-tree", loss, pod=512.0)
    for size, stride in ((512.0, 1.0), (64.0, 8.0), (8.0, 64.0)):
        assert call(narrow, group_of(narrow, size, stride), 1e9) == call(PLAIN, group_of(PLAIN, size, stride), 1e9)


def test_an_all_to_all_beyond_the_pod_is_bounded_by_the_bisection():
    size, pod, loss = 4096.0, 512.0, 4.0
    narrow = network("fat-tree", loss, pod=pod)
    time = all_to_all(narrow, group_of(narrow, size, 1.0), BIG)
    # Bytes over the cut of one pod, over the links that leave it: every device below sends V (n - p)/n.
    leaving, links = pod * BIG * (size - pod) / size, pod * RATE / loss
    assert time == pytest.approx(leaving / links, rel=1e-6)


def test_a_ring_leaves_a_pod_once_for_all_its_members_there():
    # 32 members of a group lie in each pod: a ring sends a 32nd of what an all-to-all sends through the cut.
    loss = 8.0
    narrow = network("fat-tree", loss, pod=256.0)
    group = group_of(narrow, 128.0, 8.0)
    assert group.within == 32.0
    assert all_gather(narrow, group, BIG) == all_gather(PLAIN, group_of(PLAIN, 128.0, 8.0), BIG)
    # Where only two do, the cut is the limit.
    sparse = group_of(narrow, 16.0, 128.0)
    time = all_gather(narrow, sparse, BIG)
    assert time == pytest.approx(BIG * 15.0 / 16.0 / (2.0 * RATE / loss), rel=1e-6)


def test_a_message_between_pods_shares_the_cut_with_its_neighbours():
    narrow = network("fat-tree", 7.0, pod=1024.0)
    for inside, share in ((1.0, 1.0 / 7.0), (4.0, 4.0 / 7.0), (8.0, 1.0)):
        group = group_of(narrow, 16.0, 1024.0 / inside)
        assert message(narrow, group, BIG) == pytest.approx(BIG / (RATE * share), rel=1e-6)


def test_a_fat_tree_that_says_no_more_narrows_above_each_node():
    narrow, wide = network("fat-tree", 2.0), network("fat-tree", 1.0)
    for size, stride in ((64.0, 8.0), (512.0, 1.0)):
        ratio = all_to_all(narrow, group_of(narrow, size, stride), BIG) / all_to_all(
            wide, group_of(wide, size, stride), BIG
        )
        assert ratio == pytest.approx(2.0, rel=1e-6)


def test_a_rail_optimised_network_keeps_traffic_of_a_rail_below_the_spine():
    # The n-th interfaces of all nodes meet at one switch, so a narrow spine costs a fat tree and not the rails.
    rails, tree = network("rail-optimised", 4.0), network("fat-tree", 4.0)
    rail = (128.0, 8.0)
    assert all_gather(rails, group_of(rails, *rail), BIG) == all_gather(PLAIN, group_of(PLAIN, *rail), BIG)
    assert all_gather(tree, group_of(tree, *rail), BIG) > 3.9 * all_gather(rails, group_of(rails, *rail), BIG)
    # Rails end at the ports of their switches: beyond, the spine counts.
    ended = network("rail-optimised", 4.0, pod=256.0)
    assert all_to_all(ended, group_of(ended, 512.0, 8.0), BIG) > all_to_all(rails, group_of(rails, 512.0, 8.0), BIG)


def test_a_dragonfly_exchanges_over_its_global_links():
    size, pod, loss = 4096.0, 256.0, 2.0
    fly = network("dragonfly", loss, pod=pod)
    time = all_to_all(fly, group_of(fly, size, 1.0), BIG)
    crossing = RATE * constants.DRAGONFLY_SHARE / loss
    assert time == pytest.approx(BIG * (size - pod) / size / crossing, rel=1e-6)
    # Within a group of the dragonfly its global links do not matter.
    for call in ALL:
        assert call(fly, group_of(fly, pod, 1.0), 1e9) == call(PLAIN, group_of(PLAIN, pod, 1.0), 1e9)


def test_a_dragonfly_of_one_group_is_a_switch():
    fly = network("dragonfly", 2.0, pod=4096.0)
    for call in ALL:
        assert call(fly, group_of(fly, 4096.0, 1.0), 1e9) == call(PLAIN, group_of(PLAIN, 4096.0, 1.0), 1e9)


ICI = Link(name="inter-chip interconnect", bandwidth=100e9, achieved=90e9)


def torus(devices=256.0, links=4.0, wrap=None, pod=None):
    node = Node(name="host", device="tpu", devices=4.0, inner="ici", inner_links=links, domain=pod or devices, outer="ib",
                outer_links=4.0)  # fmt: skip
    return network("torus", None, devices=devices, node=node, inner=attrs.evolve(ICI, wrap=wrap))


def test_a_ring_of_a_torus_runs_both_ways_round():
    flat = torus()
    # A line of 16 closes by its wrap-around link: two links of each chip work.
    for size, links in ((16.0, 2.0), (256.0, 4.0)):
        time = all_gather(flat, group_of(flat, size, 1.0), BIG)
        assert time == pytest.approx(BIG * (size - 1.0) / size / (links * 90e9), rel=1e-3)


@pytest.mark.parametrize(("devices", "links", "dimensions"), [(256.0, 4.0, 2.0), (4096.0, 6.0, 3.0)])
def test_an_all_to_all_of_a_torus_is_bounded_by_its_bisection(devices, links, dimensions):
    whole = torus(devices, links)
    side = devices ** (1.0 / dimensions)
    time = all_to_all(whole, group_of(whole, devices, 1.0), BIG)
    # Half of the chips send half of their bytes to the other half over two links for each line of chips.
    cut = 2.0 * devices / side * 90e9
    assert time == pytest.approx(devices / 2.0 * BIG / 2.0 / cut, rel=1e-3)
    # It grows with the side, which a ring does not.
    assert time > all_gather(whole, group_of(whole, devices, 1.0), BIG)


def test_dimensions_without_wrap_around_links_are_lines_of_half_the_rate():
    # Of a pod of 16 x 16 chips whose ends are joined, a slice of 8 x 8 has lines: their ends have one link.
    whole, part = torus(256.0, wrap=16.0), torus(64.0, wrap=16.0, pod=256.0)
    closed, lines = group_of(whole, 256.0, 1.0), group_of(part, 64.0, 1.0)
    assert closed.rate == pytest.approx(4.0 * 90e9)
    assert lines.rate == pytest.approx(2.0 * 90e9)
    assert group_of(whole, 16.0, 1.0).rate == pytest.approx(2.0 * 90e9)
    assert group_of(whole, 8.0, 1.0).rate == pytest.approx(90e9)
    # The cut of a line has one link for each row of chips, that of a ring two.
    time = all_to_all(part, lines, BIG)
    assert time == pytest.approx(64.0 / 4.0 * BIG / (8.0 * 90e9), rel=1e-3)


@given(size=st.sampled_from([2.0, 4.0, 8.0, 16.0, 64.0, 256.0]), wrap=st.sampled_from([4.0, 16.0, 64.0]))
@settings(deadline=None)
def test_open_dimensions_are_never_faster(size, wrap):
    ring, line = torus(256.0), torus(256.0, wrap=wrap)
    for call in ALL:
        assert call(line, group_of(line, size, 1.0), 1e8) >= call(ring, group_of(ring, size, 1.0), 1e8) * (1 - 1e-12)


def test_two_chips_of_a_torus_exchange_over_their_own_links():
    pair = torus()
    group = group_of(pair, 2.0, 1.0)
    assert all_to_all(pair, group, BIG) == pytest.approx(BIG / 2.0 / (2.0 * 90e9), rel=1e-3)


def test_a_domain_of_72_keeps_inside_what_a_domain_of_eight_sends_over_the_network():
    eight = network(devices=72.0)
    rack = network(devices=72.0, node=Node(name="rack", device="gb200", devices=4.0, inner="nvlink", inner_links=12.0,
                                           domain=72.0, outer="ib", outer_links=4.0))  # fmt: skip
    inside = 12.0 * 20e9
    for size in (16.0, 64.0, 72.0):
        near, far = group_of(rack, size, 1.0), group_of(eight, size, 1.0)
        assert near.nodes == 1.0
        assert all_to_all(rack, near, BIG) == pytest.approx(BIG * (size - 1.0) / size / inside, rel=1e-4)
        assert all_to_all(eight, far, BIG) == pytest.approx(BIG * (size - 8.0) / size / RATE, rel=1e-6)
    # A group that fits either is as fast in both, and tensor parallelism over more than eight only in the larger.
    assert all_reduce(rack, group_of(rack, 8.0, 1.0), BIG) == all_reduce(eight, group_of(eight, 8.0, 1.0), BIG)
    assert all_reduce(rack, group_of(rack, 16.0, 1.0), BIG) < all_reduce(eight, group_of(eight, 16.0, 1.0), BIG)


@settings(deadline=None)
@given(
    size=st.sampled_from([2.0, 8.0, 16.0, 64.0, 512.0, 4096.0]),
    stride=st.sampled_from([1.0, 8.0, 64.0]),
    pod=st.sampled_from([8.0, 64.0, 512.0, 1024.0, 4096.0]),
    loss=st.floats(1.0, 32.0),
    more=st.floats(1.0, 4.0),
    topology=st.sampled_from(["fat-tree", "dragonfly", "rail-optimised"]),
)
def test_a_narrower_tier_or_smaller_pods_are_never_faster(size, stride, pod, loss, more, topology):
    if size * stride > 4096.0:
        stride = 1.0
    wide, narrow = network(topology, loss, pod=pod), network(topology, loss * more, pod=pod)
    small = network(topology, loss, pod=pod / 2.0 if pod > 8.0 else pod)
    for call in ALL:
        best, plain = call(PLAIN, group_of(PLAIN, size, stride), 1e8), call(wide, group_of(wide, size, stride), 1e8)
        assert plain >= best * (1.0 - 1e-12)
        assert call(narrow, group_of(narrow, size, stride), 1e8) >= plain * (1.0 - 1e-12)
        assert call(small, group_of(small, size, stride), 1e8) >= plain * (1.0 - 1e-12)


def test_a_training_step_pays_for_pods_only_where_groups_leave_them():
    layout = {"tensor": 8, "pipeline": 4, "data": 16, "batch": 64, "micro_batch": 1, "precision": "bf16"}
    steps = {}
    for pod, placement in (
        (128.0, "tensor, context, data, pipeline"),
        (32.0, "tensor, context, pipeline, data"),
        (8.0, ""),
    ):
        c = columns(LLAMA_70B, stack=OVERLAPPED, **layout, **({"placement": placement} if placement else {}))
        crossing = {"pod": pod, "crossing_rate": c["outer_rate"] / 16.0}
        steps[pod] = [
            DistributedSolver().compute({**c, **more})["performance.breakdown_data"] for more in ({}, crossing)
        ]
    # Replicas inside a pod: nothing but messages between stages beside them, which take longer and hold the same
    # interfaces. One to a pod or node: the narrow tier is all they have.
    assert steps[128.0][0] <= steps[128.0][1] < 1.02 * steps[128.0][0]
    assert steps[32.0][1] > 4.0 * steps[32.0][0]
    assert steps[8.0][1] > 4.0 * steps[8.0][0]
    assert math.isfinite(steps[8.0][1])


def test_where_a_fabric_narrows_is_said_when_it_is_assumed():
    from mlsysim_solvers.execution.training.layout_notes import layout_notes

    def notes(topology, oversubscription, pod=None):
        c = columns(LLAMA_70B, tensor=8, data=8, batch=8, precision="bf16")
        fabric = Fabric(name="fabric", topology=topology, link="ib", oversubscription=oversubscription, pod=pod)
        layout = SimpleNamespace(pipeline=1, virtual=1, data=8, tensor=8, micro_batch=1, zero=c["zero"])
        return [note for note in layout_notes(layout, c["shape"], c, {"fabric": fabric}) if "fabric" in note]

    assert notes("fat-tree", 2.0)
    assert notes("dragonfly", None)
    assert notes("rail-optimised", 4.0)
    assert not notes("fat-tree", 1.0)
    assert not notes("fat-tree", 2.0, pod=64.0)


@pytest.mark.parametrize(("chips", "side"), [(64.0, 4.0), (512.0, 8.0), (1024.0, 8.0), (1536.0, 8.0), (6144.0, 16.0)])
def test_sides_of_a_torus_are_powers_of_two(chips, side):
    assert torus_side(chips, 3.0) == pytest.approx(side)


def test_a_part_of_a_dimension_is_a_line():
    base = {"domain": 8960.0, "inner_rate": 9e10, "outer_rate": 9e10, "torus_links": 6.0, "torus_dimensions": 3.0,
            "torus_wrap": 4.0, **{f"{w}_{p}": 1e-6 for w in ("short", "long") for p in ("base", "inner_step", "outer_step")},
            "short_share": 0.25, "long_share": 1.0}  # fmt: skip
    ring, line = (group_of(network_of({**base, "torus_members": n}), 8.0, 1.0) for n in (512.0, 4096.0))
    assert ring.closed == 1.0
    assert line.closed == 0.5
    assert line.rate == pytest.approx(0.5 * ring.rate)


@pytest.mark.parametrize("call", ALL)
def test_nodes_of_one_device_are_joined_by_the_link_that_leaves_them(call):
    alone = attrs.evolve(NODE, devices=1.0, domain=1.0, inner_links=None, outer_links=1.0)
    joined = network(devices=4.0, node=alone, inner=None)
    assert call(joined, group_of(joined, 4.0, 1.0), BIG) == pytest.approx(
        call(PLAIN, group_of(PLAIN, 4.0, NODE.devices), BIG), rel=0.01
    )
