"""Chunk by chunk: what an interleaved pipeline hides of gradients, parameters and messages, and what it cannot."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from training_cases import GPT_175B, H100, OVERLAPPED, columns

from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.execution.training import exchange
from mlsysim_solvers.formulas.overlap import contended_time, exposed_time, unhidden_pieces
from mlsysim_solvers.formulas.pipeline import chunk_passes, fill_share
from mlsysim_solvers.formulas.run import straggler_slowdown

STACK = attrs.evolve(OVERLAPPED, features=attrs.evolve(OVERLAPPED.features, sharded_optimizer=True))
"""Gathers the parameters that its optimizer divided beside the next forward pass."""

LAYOUT = {"model": GPT_175B, "tensor": 8, "pipeline": 4, "data": 64, "micro_batch": 1, "zero": 1, "spread": True}


def step(virtual, *, batch=512, **changes):
    c = columns(device=H100, stack=STACK, precision="bf16", batch=batch, virtual=virtual, **LAYOUT)
    return DistributedSolver().compute({**c, **changes})


@given(
    st.floats(1e-4, 1.0),
    st.floats(1e-4, 1.0),
    st.floats(0.5, 1.0),
    st.integers(1, 16),
    st.integers(1, 16),
)
def test_pieces_expose_no_less_than_links_or_the_last_piece_demand(first, time, hidden, stages, pieces):
    window = chunk_passes(float(stages), float(pieces)) * first
    found = unhidden_pieces(window, first, time, hidden, float(pieces))
    assert found >= exposed_time(window, time, hidden) - 1e-12
    assert found >= exposed_time(first, time, hidden) / pieces - 1e-12
    assert found <= exposed_time(first, time, hidden) + 1e-12


@settings(max_examples=30)
@given(st.integers(1, 64))
def test_one_chunk_or_one_stage_leaves_one_pass(count):
    assert chunk_passes(float(count), 1.0) == pytest.approx(1.0)
    assert chunk_passes(1.0, float(count)) == pytest.approx(1.0)


def test_a_pipeline_as_deep_as_its_batch_only_fills_and_drains():
    assert fill_share(8.0, 4.0, 8.0) == 1.0
    assert fill_share(8.0, 4.0, 8000.0) == pytest.approx((2 * 7 + 3 * 8) / 32000)


def test_messages_lose_no_more_than_their_own_time():
    assert contended_time(1.0, 0.0, 2.0) == 0.0
    assert contended_time(1.0, 1.0, 2.0) == 0.5
    assert contended_time(1.0, 9.0, 2.0) == 1.0


def test_more_chunks_hide_more_of_the_exchange():
    exposed = [step(v)["performance.breakdown_data"] for v in (1, 2, 4, 8)]
    assert exposed == sorted(exposed, reverse=True)
    assert exposed[-1] < 0.8 * exposed[0]


def test_without_chunks_the_window_is_one_micro_batch(monkeypatch):
    plain = step(1)["performance.breakdown_data"]
    monkeypatch.setattr(exchange, "chunk_passes", lambda stages, virtual: 1.0)
    monkeypatch.setattr(exchange, "fill_share", lambda stages, virtual, count: 0.0)
    assert step(1)["performance.breakdown_data"] == plain
    assert step(8)["performance.breakdown_data"] > 0.5 * plain


def test_messages_weigh_less_in_a_longer_batch():
    # A few micro-batches only fill and drain the pipeline, and nothing hides their messages.
    short, long = (step(4, batch=b)["performance.breakdown_pipeline"] / b for b in (256, 16384))
    assert long < 0.6 * short


def test_exchange_falls_with_the_rate_of_the_network():
    slow = step(4)
    c = columns(device=H100, stack=STACK, precision="bf16", batch=512, virtual=4, **LAYOUT)
    fast = DistributedSolver().compute({**c, "outer_rate": 2.0 * c["outer_rate"]})
    assert fast["performance.breakdown_data"] < slow["performance.breakdown_data"]
    assert fast["performance.step_time"] < slow["performance.step_time"]


def test_rings_over_both_kinds_of_links_slow_computation_down():
    c = columns(device=H100, stack=STACK, precision="bf16", batch=512, virtual=4, **{**LAYOUT, "tensor": 4})
    idle = DistributedSolver().compute({**c, "mixed_occupancy": c["outer_occupancy"]})
    assert c["mixed_occupancy"] > c["outer_occupancy"]
    assert DistributedSolver().compute(c)["performance.breakdown_data"] > idle["performance.breakdown_data"]
    # One member in each node sends over the network alone.
    alone = columns(device=H100, stack=STACK, precision="bf16", batch=512, virtual=4, **LAYOUT)
    same = DistributedSolver().compute({**alone, "mixed_occupancy": 0.9})
    assert same == DistributedSolver().compute(alone)


def test_all_wait_for_the_slowest_device():
    c = columns(device=H100, stack=STACK, precision="bf16", batch=512, virtual=4, **LAYOUT)
    equal, spread = (DistributedSolver().compute({**c, "device_spread": s}) for s in (0.0, 0.02))
    slower = spread["performance.breakdown_compute"] / equal["performance.breakdown_compute"]
    assert slower == pytest.approx(straggler_slowdown(0.02, 2048.0))
    assert spread["performance.step_time"] > equal["performance.step_time"]
    alone = columns(device=H100, stack=STACK, precision="bf16", batch=8, micro_batch=1, zero=0, data=1)
    assert DistributedSolver().compute(alone) == DistributedSolver().compute({**alone, "device_spread": 0.9})
