"""Collectives that share a tier: none is faster for it, and the links never carry more than they can."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import H100, LLAMA_70B, MIXTRAL, OVERLAPPED, columns

from mlsysim_solvers import distributed
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.execution.training import exchange
from mlsysim_solvers.execution.training.exchange import Load
from mlsysim_solvers.formulas.overlap import exposed_time, free_window

STACK = attrs.evolve(OVERLAPPED, features=attrs.evolve(OVERLAPPED.features, sharded_optimizer=True))
"""Gathers the parameters that its optimizer divided beside the next forward pass."""

TERMS = ("tensor", "context", "expert", "pipeline", "data")
LAYOUTS = [
    {"model": LLAMA_70B, "tensor": 8, "data": 8, "context": 2, "batch": 16, "micro_batch": 1},
    {
        "model": LLAMA_70B,
        "tensor": 8,
        "data": 4,
        "context": 2,
        "pipeline": 4,
        "virtual": 2,
        "batch": 32,
        "micro_batch": 1,
    },
    {"model": LLAMA_70B, "tensor": 16, "data": 4, "spread": True, "batch": 8},
    {"model": LLAMA_70B, "data": 64, "tensor": 2, "zero": 3, "spread": True, "batch": 64},
    {"model": MIXTRAL, "data": 32, "expert": 8, "batch": 64, "micro_batch": 1, "zero": 1},
    {
        "model": MIXTRAL,
        "tensor": 2,
        "data": 64,
        "expert": 32,
        "spread": True,
        "batch": 128,
        "micro_batch": 1,
        "zero": 1,
    },
]


def solve(layout, **changes):
    c = columns(device=H100, stack=STACK, precision="bf16", sequence=8192, **layout)
    return DistributedSolver().compute({**c, **changes})


@pytest.fixture
def together(monkeypatch):
    """Solve with and without contention."""

    def both(layout, **changes):
        shared = solve(layout, **changes)
        with monkeypatch.context() as patch:
            patch.setattr(Load, "beside", lambda self, group: 0.0 * self.inner)
            return shared, solve(layout, **changes)

    return both


@pytest.mark.parametrize("layout", LAYOUTS)
def test_sharing_links_never_makes_anything_faster(together, layout):
    for rate in (1.0, 0.1, 0.01):
        c = columns(device=H100, stack=STACK, precision="bf16", sequence=8192, **layout)
        slower = {"outer_rate": rate * c["outer_rate"], "inner_rate": rate * c["inner_rate"]}
        shared, own = together(layout, **slower)
        assert shared["performance.step_time"] >= own["performance.step_time"]
        for name in TERMS:
            assert shared[f"performance.breakdown_{name}"] >= own[f"performance.breakdown_{name}"] * (1.0 - 1e-12)


@pytest.mark.parametrize(("layout", "more"), [(LAYOUTS[2], 1.3), (LAYOUTS[5], 1.05)])
def test_it_matters_where_two_kinds_of_communication_leave_the_node(together, layout, more):
    # Sums over tensor-parallel ranks, or tokens on their way to experts, and gradients pass the same interfaces: time
    # in which the one is exposed hides nothing of the other.
    c = columns(device=H100, stack=STACK, precision="bf16", sequence=8192, **layout)
    shared, own = together(layout, outer_rate=0.25 * c["outer_rate"])
    assert shared["performance.step_time"] > more * own["performance.step_time"]


def test_traffic_on_other_links_does_not_matter(together):
    # Tensor parallelism inside a node and replicas between nodes share nothing.
    shared, own = together({"model": LLAMA_70B, "tensor": 8, "data": 16, "batch": 16, "micro_batch": 1})
    assert shared["performance.step_time"] == own["performance.step_time"]


def test_a_free_network_still_costs_nothing():
    free = {
        name: 0.0 for way in ("short", "long") for name in (f"{way}_base", f"{way}_inner_step", f"{way}_outer_step")
    }
    for layout in LAYOUTS:
        found = solve(layout, inner_rate=1e30, outer_rate=1e30, **free)
        assert all(found[f"performance.breakdown_{name}"] < 1e-12 for name in TERMS)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_more_bandwidth_is_never_slower(layout):
    c = columns(device=H100, stack=STACK, precision="bf16", sequence=8192, **layout)
    for tier in ("inner_rate", "outer_rate"):
        times = [
            DistributedSolver().compute({**c, tier: factor * c[tier]})["performance.step_time"]
            for factor in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
        ]
        assert times == sorted(times, reverse=True)


@settings(deadline=None)
@given(
    compute=st.floats(0.0, 10.0),
    sent=st.lists(st.tuples(st.floats(0.0, 10.0), st.floats(0.0, 1.0)), min_size=1, max_size=5),
)
def test_a_window_is_never_shorter_than_what_its_links_carry(compute, sent):
    window, busy = compute, 0.0
    for time, hidden in sent:
        window = window + exposed_time(free_window(window, busy), time, hidden)
        busy = busy + time
        assert window >= busy * (1.0 - 1e-12)
        assert window >= compute


@settings(deadline=None, max_examples=25)
@given(inner=st.floats(1e9, 1e12), outer=st.floats(1e8, 1e11), layout=st.sampled_from(LAYOUTS[:3]))
def test_a_step_is_never_shorter_than_the_bytes_of_a_tier(inner, outer, layout):
    # All that a layer sends over each tier, for all layers and micro-batches, at full rate.
    c = {
        **columns(device=H100, stack=STACK, precision="bf16", sequence=8192, **layout),
        "inner_rate": inner,
        "outer_rate": outer,
    }
    seen = []
    keep = exchange.layer_exchange
    try:
        distributed_pieces = distributed.pieces_of.__globals__

        def watched(*args):
            seen.append(keep(*args))
            return seen[-1]

        distributed_pieces["layer_exchange"] = watched
        found = DistributedSolver().compute(c)
    finally:
        distributed_pieces["layer_exchange"] = keep
    (talk,) = seen
    rounds = layout["batch"] / layout["data"] / layout.get("micro_batch", layout["batch"] // layout["data"])
    layers = 80.0 / layout.get("pipeline", 1)
    for ahead, behind in zip(*talk.loads, strict=True):
        assert found["performance.step_time"] >= rounds * layers * (ahead + behind) * (1.0 - 1e-9)
