"""Every kind of layer that keeps a state: what it holds, moves and computes, alone, divided, and in sweeps."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import H100, STACK, request_of

from mlsysim.plugins import plugins
from mlsysim.records.model import Latent, Model, StateLayers, Transformer
from mlsysim.records.scenario import Serving, Training
from mlsysim.shapes import matmul_parameters, parameters
from mlsysim.shapes.state_layers import KINDS
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.delta_rule import delta_chunk_elements, delta_chunk_flops
from mlsysim_solvers.formulas.state_space import chunk_flops, scan_flops
from mlsysim_solvers.lowering.recurrence import kept_states
from mlsysim_solvers.lowering.serving import sharded
from mlsysim_solvers.lowering.shape import transformer_shape

SOLVER = SingleNodeSolver()
HEADS = {"heads": 16, "groups": 16, "state": 128, "head_dim": 128}
OWN = {
    "mamba": {"heads": 4096, "head_dim": 1, "groups": 1, "state": 16, "conv": 4, "rank": 128},
    "mamba2": {"heads": 64, "head_dim": 64, "groups": 8, "state": 128, "conv": 4, "chunk": 128},
    "gated-delta": {**HEADS, "conv": 4},
    "kimi-delta": {**HEADS, "conv": 4, "rank": 128},
    "lightning": HEADS,
    "short-convolution": {"heads": 2048, "head_dim": 1, "conv": 3},
}
COUNTS = {"layers": 12, "attention": 4, "mlp": 16}
ALL = pytest.mark.parametrize("kind", KINDS)


def model(kind, **fields):
    states = StateLayers(kind=kind, **COUNTS, **OWN[kind])
    shape = Transformer(
        layers=16, hidden=2048, heads=16, kv_heads=4, head_dim=128, ffn=5632, context=262144, vocab=65536, states=states
    )
    return Model(name=kind, lab="x", transformer=attrs.evolve(shape, **fields))


def serve(one, **fields):
    workload = Serving(**{"model": "m", "precision": "bf16", "batch": 4, "input": 1024, "output": 128, **fields})
    return SOLVER.compute(SOLVER.prepare(request_of(one, H100, workload, STACK)))


def work_of(kind, tokens):
    """Return the work of the states of one layer, counted by hand."""
    inner = OWN[kind]["heads"] * OWN[kind]["head_dim"]
    return {
        "mamba": lambda: scan_flops(tokens, inner, 16, 2),
        "mamba2": lambda: chunk_flops(tokens, 128, inner, 128, 8, 2),
        "gated-delta": lambda: delta_chunk_flops(tokens, 16, 128, 128, 64, 2),
        "kimi-delta": lambda: delta_chunk_flops(tokens, 16, 128, 128, 64, 2),
        "lightning": lambda: chunk_flops(tokens, 64, inner, 128, 16, 2),
        "short-convolution": lambda: 0.0,
    }[kind]()


def kept_of(kind):
    """Return the bytes that all layers keep of one sequence: states in 32 bits, the window of the convolution in 16."""
    own = OWN[kind]
    inner, shared = own["heads"] * own["head_dim"], 2 * own.get("groups", 0) * own.get("state", 0)
    mixed = {"mamba": inner, "lightning": 0, "short-convolution": inner}.get(kind, inner + shared)
    return 12 * (4 * inner * own.get("state", 0) + 2 * max(own.get("conv", 0) - 1, 0) * mixed)


@pytest.mark.parametrize(
    ("key", "total"),
    [("lfm2-350m", 354_483_968), ("lfm2-700m", 742_489_344), ("lfm2-1.2b", 1_170_340_608),
     ("lfm2-2.6b", 2_569_272_320), ("jamba-v0.1", 51_570_323_328)],
)  # fmt: skip
def test_models_are_counted_parameter_by_parameter(key, total):
    assert parameters(plugins().registry.get("models", key).record).total == total


@pytest.mark.parametrize(
    ("key", "active"), [("kimi-k3", 104e9), ("jamba-v0.1", 12e9), ("minimax-text-01", 45.9e9), ("lfm2-8b-a1b", 1.5e9)]
)
def test_a_token_passes_the_printed_number_of_parameters(key, active):
    assert parameters(plugins().registry.get("models", key).record).active == pytest.approx(active, rel=0.04)


@ALL
def test_a_request_keeps_its_states_and_the_cache_of_the_layers_that_attend(kind):
    shape = transformer_shape(model(kind), model(kind).transformer)
    assert kept_states(shape.recurrence, 2.0) == kept_of(kind)
    four, five = (serve(model(kind), batch=n)["feasibility.memory_required"] for n in (64, 65))
    assert five - four == pytest.approx(kept_of(kind) + 1152 * 4 * 2 * 4 * 128 * 2 + 4 * 65536, rel=1e-9)


@ALL
def test_prompts_take_the_work_of_states_and_of_the_layers_that_attend(kind):
    matrices = matmul_parameters(model(kind).transformer)
    pairs = 4 * 2 * 256 * 16 * 4096 * 4097 / 2
    wanted = 2 * 4096 * (matrices.attention + matrices.mlp) + 2 * matrices.head + pairs + 12 * work_of(kind, 4096)
    assert serve(model(kind), batch=1, input=4096, output=1)["performance.flops"] == pytest.approx(wanted, rel=5e-3)


@ALL
def test_every_token_reads_and_writes_the_states_however_long_the_context(kind):
    def more(length):
        few, many = (serve(model(kind), batch=64, input=length, output=n)["performance.bytes"] for n in (2, 3))
        one, two = (serve(model(kind), batch=65, input=length, output=n)["performance.bytes"] for n in (2, 3))
        return (two - one) - (many - few)

    cache = 4 * 2 * 4 * 128 * 2
    assert 2 * kept_of(kind) + 1025.5 * cache < more(1024) < 1.1 * (2 * kept_of(kind) + 1025.5 * cache) + 3e6
    assert more(8192) - more(1024) == pytest.approx(7168 * cache, rel=1e-6)


@ALL
def test_arrays_answer_as_numbers_do(kind):
    workload = Serving(model="m", precision="bf16", input=512, output=64)
    columns = SOLVER.prepare(request_of(model(kind), H100, workload, STACK))
    batches = np.array([1.0, 7.0, 64.0])
    rows = SOLVER.compute({**columns, "batch": batches})
    for place, batch in enumerate(batches):
        one = SOLVER.compute({**columns, "batch": float(batch)})
        for name in ("performance.tpot", "performance.ttft", "feasibility.memory_required"):
            assert rows[name][place] == pytest.approx(one[name], rel=1e-12)


@ALL
def test_two_devices_hold_half_of_the_states_each(kind):
    shape = transformer_shape(model(kind), model(kind).transformer)
    half = sharded(shape, 2.0)
    assert 2 * kept_states(half.recurrence, 2.0) == pytest.approx(kept_states(shape.recurrence, 2.0), rel=0.02)


@ALL
def test_a_step_of_training_does_three_times_the_work_of_a_forward_pass(kind):
    job = Training(model="m", precision="bf16", batch=1, sequence=4096)
    found = SOLVER.compute(SOLVER.prepare(request_of(model(kind), H100, job, STACK)))["performance.flops"]
    matrices = matmul_parameters(model(kind).transformer)
    pairs = 4 * 2 * 256 * 16 * 4096 * 4097 / 2
    forward = 2 * 4096 * (matrices.attention + matrices.mlp + matrices.head) + pairs + 12 * work_of(kind, 4096)
    assert found == pytest.approx(3 * forward, rel=5e-3)


def test_rates_of_their_own_for_each_row_move_more_and_compute_the_same():
    one, each = (delta_chunk_elements(1.0, 1.0, 128.0, 128.0, 64.0, decays) for decays in (0.0, 128.0))
    assert each - one == 8 * 128
    plain, own = (serve(model(kind), batch=1, input=65536, output=1) for kind in ("gated-delta", "kimi-delta"))
    assert own["performance.bytes"] > plain["performance.bytes"]


def test_a_gate_on_latent_attention_is_a_product_of_its_own():
    latent = Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128)
    plain, gated = (model("kimi-delta", latent=latent, head_dim=192, output_gate=gate) for gate in (False, True))
    assert parameters(gated).total - parameters(plain).total == 4 * 2048 * 16 * 128
    more = [serve(one, batch=1, input=4096, output=1)["performance.flops"] for one in (plain, gated)]
    assert more[1] - more[0] == pytest.approx(2 * 4096 * 4 * 2048 * 16 * 128, rel=1e-9)
