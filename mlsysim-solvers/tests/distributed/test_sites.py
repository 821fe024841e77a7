"""A cluster that is spread over two sites: its replicas exchange gradients over the link between them."""

from __future__ import annotations

import attrs
import pytest
from training_cases import LLAMA_70B, request

from mlsysim.errors import SolverError
from mlsysim.evaluation import evaluate
from mlsysim.explaining import explain
from mlsysim.records.infrastructure import Cluster, Link
from mlsysim.solving import Request
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.execution.network.communication import all_reduce, all_to_all, message
from mlsysim_solvers.execution.network.topology import group_of, network_of

WIDE = Link(name="Leased line", bandwidth=50e9, achieved=50e9, latency=10e-3)
SITES = Cluster(name="Two sites", node="n", nodes=16.0, far="line", far_links=4.0, sites=2.0)
LAYOUT = {"tensor": 8, "data": 16, "micro_batch": 1, "batch": 256, "zero": 1}


def columns(cluster=SITES, far=WIDE, **layout):
    made = request(LLAMA_70B, **{**LAYOUT, **layout})
    records = {**made.records, "cluster": cluster}
    if far is not None:
        records["far"] = far
    return DistributedSolver().prepare(Request(made.scenario, records, made.claims, made.settings, made.inputs))


def step(cluster=SITES, far=WIDE, **layout):
    return DistributedSolver().compute(columns(cluster, far, **layout))


ONE = attrs.evolve(SITES, far="", far_links=None, sites=None)


def test_gradients_cross_at_the_rate_of_the_line_and_wait_for_the_distance():
    c = columns()
    network = network_of(c)
    # 16 nodes of 8 devices: 64 at each site, which share four links of 50 GB/s.
    assert network.pod == 64.0
    assert network.crossing == pytest.approx(4 * 50e9 / 64)
    # One data-parallel group of 16: eight members at each site, whose eight shares of the line carry its ring.
    group, volume = group_of(network, 16.0, 8.0), 1e9
    sent = 2.0 * volume * 15 / 16
    time = all_reduce(network, group, volume)
    assert time == pytest.approx(sent / (8 * network.crossing) + 2 * 10e-3, rel=0.15)
    slow = all_reduce(network._replace(crossing=network.crossing / 10), group_of(
        network._replace(crossing=network.crossing / 10), 16.0, 8.0), volume)  # fmt: skip
    assert slow - time == pytest.approx(9 * sent / (8 * network.crossing), rel=0.15)
    # All eight groups of a site together send no more than the line carries.
    assert 8 * sent / time <= 4 * 50e9


def test_the_distance_is_added_once_a_round():
    network = network_of(columns())
    far = network._replace(far_step=network.far_step + 1.0)
    group = group_of(network, 16.0, 8.0)
    assert all_reduce(far, group, 1e6) - all_reduce(network, group, 1e6) == pytest.approx(2.0)
    assert all_to_all(far, group, 1e6) - all_to_all(network, group, 1e6) == pytest.approx(1.0)
    assert message(far, group, 1e6) - message(network, group, 1e6) == pytest.approx(1.0)
    near = group_of(network, 8.0, 8.0)
    assert all_reduce(far, near, 1e6) == all_reduce(network, near, 1e6)


def test_two_sites_expose_more_of_the_gradient_exchange_than_one_and_nothing_else():
    one, two = step(ONE, None), step()
    slower = step(far=attrs.evolve(WIDE, bandwidth=5e9, achieved=5e9))
    farther = step(far=attrs.evolve(WIDE, latency=1.0))
    data = "performance.breakdown_data"
    assert one[data] < two[data] < slower[data]
    assert farther[data] > two[data] + 1.0
    for name in ("compute", "tensor", "optimizer"):
        key = f"performance.breakdown_{name}"
        assert two[key] == pytest.approx(one[key])


def test_pipelines_stay_inside_a_site_where_gradients_are_placed_farthest():
    layout = {"pipeline": 2, "data": 8}
    inside = step(placement="tensor, context, pipeline, data", **layout)
    across = step(placement="tensor, context, data, pipeline", **layout)
    assert inside["performance.breakdown_pipeline"] < across["performance.breakdown_pipeline"]
    assert inside["performance.breakdown_data"] > across["performance.breakdown_data"]


def test_a_job_within_one_site_does_not_notice_the_other():
    small = {"data": 8}
    assert step(**small) == step(ONE, None, **small)


@pytest.mark.parametrize(
    ("cluster", "far", "names"),
    [
        (attrs.evolve(SITES, far_links=None), WIDE, "far_links"),
        (SITES, attrs.evolve(WIDE, latency=None), "latency"),
        (attrs.evolve(SITES, far=""), None, "far"),
        (attrs.evolve(SITES, sites=None), WIDE, "sites"),
    ],
)
def test_what_is_not_known_of_the_sites_is_refused(cluster, far, names):
    with pytest.raises(SolverError, match=names):
        columns(cluster, far)


def test_a_packaged_cluster_of_two_sites_reaches_the_solver():
    inputs = {"devices": "512", "parallelism.data": "16", "batch": "512", "node": ""}
    near, far = (
        evaluate("llama-70b-h100-64", {**inputs, "cluster": name}) for name in ("eos-dfw-1452", "two-sites-512")
    )
    assert far["breakdown_data"].value > near["breakdown_data"].value
    assert far["breakdown_compute"].value == pytest.approx(near["breakdown_compute"].value)
    names = {leaf.name for leaf in explain(far, "step_time").inputs()}
    assert any(name.startswith("far.latency") for name in names)
    assert any(name.startswith("cluster.far_links") for name in names)


def test_a_network_that_is_printed_goes_before_that_of_the_node():
    made = request(LLAMA_70B, **LAYOUT)

    def network(**settings):
        given = {**made.settings, **settings}
        return network_of(
            DistributedSolver().prepare(Request(made.scenario, made.records, made.claims, given, made.inputs))
        )

    usual, node = network(), made.records["node"]
    link = made.records["outer"]
    assert network(network_rate=node.outer_links * link.bandwidth).outer == pytest.approx(usual.outer)
    assert network(network_rate=node.outer_links * link.bandwidth / 4).outer == pytest.approx(usual.outer / 4)
    inner = made.records["inner"]
    assert network(link_rate=0.5 * node.inner_links * inner.bandwidth).inner == pytest.approx(usual.inner / 2)
    few = network(node_devices=4.0)
    assert (few.domain, few.outer) == (4.0, pytest.approx(usual.outer * node.devices / 4))
    lone = {**made.records, "outer": None}
    with pytest.raises(SolverError, match="no link that leaves"):
        DistributedSolver().prepare(Request(made.scenario, lone, made.claims, made.settings, made.inputs))
    given = {**made.settings, "network_rate": 100e9}
    DistributedSolver().prepare(Request(made.scenario, lone, made.claims, given, made.inputs))
