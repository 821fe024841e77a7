"""Transformers with state spaces (Mamba-2) among layers of attention and of MLPs."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import H100, STACK, request_of

from mlsysim.plugins import plugins
from mlsysim.records.model import Mixture, Model, StateLayers, Transformer
from mlsysim.records.scenario import Serving
from mlsysim.shapes import attention_layers, matmul_parameters, mlp_layers, parameters, state_layers
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.formulas.state_space import chunk_flops
from mlsysim_solvers.lowering.recurrence import kept_states
from mlsysim_solvers.lowering.serving import sharded, stage
from mlsysim_solvers.lowering.shape import transformer_shape

SOLVER = SingleNodeSolver()
STATES = StateLayers(layers=23, attention=6, mlp=23, heads=64, head_dim=64, state=128, groups=8, conv=4, chunk=128)
SHAPE = Transformer(
    layers=26, hidden=2688, heads=32, kv_heads=2, head_dim=128, ffn=1856, context=262144, vocab=131072, gated=False,
    states=STATES,
)  # fmt: skip
HYBRID = Model(name="Hybrid", lab="x", transformer=SHAPE)
INNER, MIXED = 64 * 64, 64 * 64 + 2 * 8 * 128
STATE = 23 * (INNER * 128 * 4 + 3 * MIXED * 2)


def serve(model, **fields):
    workload = Serving(**{"model": "m", "precision": "bf16", "batch": 4, "input": 1024, "output": 128, **fields})
    return SOLVER.compute(SOLVER.prepare(request_of(model, H100, workload, STACK)))


@pytest.mark.parametrize(
    ("key", "printed", "active"),
    [
        ("nemotron-3-nano-30b-a3b", 31.6e9, 3.2e9),
        ("nemotron-h-56b", 56.3e9, None),
        ("nemotron-3-super-120b-a12b", 120.7e9, 12.2e9),
        ("nemotron-3-ultra-550b-a55b", 549.3e9, 55e9),
    ],
)
def test_models_have_the_size_that_their_makers_say(key, printed, active):
    counts = parameters(plugins().registry.get("models", key).record)
    assert counts.total == pytest.approx(printed, rel=2e-3)
    assert active is None or counts.active == pytest.approx(active, rel=0.01)


def test_layers_of_each_kind_are_counted():
    assert (attention_layers(SHAPE), state_layers(SHAPE), mlp_layers(SHAPE)) == (6, 23, 23)
    counts = parameters(HYBRID)
    matrices = 2688 * (INNER + MIXED + 64) + INNER * 2688
    assert counts.recurrence == matrices + MIXED * 5 + 3 * 64 + INNER
    mlp = 2 * 2688 * 1856
    assert matmul_parameters(SHAPE).mlp == 23 * mlp
    norms = 52 * 2688
    vectors = 23 * counts.recurrence + 6 * counts.attention + 23 * mlp + norms + 2688
    assert counts.total == vectors + 2 * 131072 * 2688
    mixed = attrs.evolve(SHAPE, mixture=Mixture(experts=8, active=2, ffn=1856))
    assert transformer_shape(HYBRID, mixed).expert_layers == 23


@pytest.mark.parametrize(
    ("key", "total", "active"),
    [("nemotron-3-super-120b-a12b", 120e9, 12e9), ("nemotron-3-ultra-550b-a55b", 550e9, 55e9)],
)
def test_models_have_the_size_in_their_names(key, total, active):
    """Names round down; the layers that predict further tokens are counted in neither."""
    counts = parameters(plugins().registry.get("models", key).record)
    assert counts.total == pytest.approx(total, rel=0.006)
    assert counts.active == pytest.approx(active, rel=0.02)


LATENT = attrs.evolve(SHAPE, mixture=Mixture(experts=512, active=22, ffn=2688, shared=2, latent=1024))


def test_experts_on_compressed_vectors():
    """Router and shared experts read whole tokens; two matrices compress them for the routed experts and back."""
    narrow, wide = (parameters(Model(name="x", lab="x", transformer=t)) for t in (LATENT, attrs.evolve(
        LATENT, mixture=attrs.evolve(LATENT.mixture, latent=0))))  # fmt: skip
    shared = 2 * 2 * 2688 * 2688
    assert narrow.experts == 2688 * 512 + shared + 2 * 2688 * 1024 + 512 * 2 * 1024 * 2688
    assert wide.total - narrow.total == 23 * (512 * 2 * 2688 * (2688 - 1024) - 2 * 2688 * 1024)
    used = 2688 * 512 + shared + 2 * 2688 * 1024 + 22 * 2 * 1024 * 2688
    assert matmul_parameters(LATENT).mlp == 23 * used


def test_a_pass_multiplies_what_is_counted():
    models = [Model(name="x", lab="x", transformer=t) for t in (SHAPE, LATENT)]
    work = [serve(one, batch=1, input=4096, output=1)["performance.flops"] for one in models]
    mlps = [matmul_parameters(one.transformer).mlp for one in models]
    assert work[1] - work[0] == pytest.approx(2 * 4096 * (mlps[1] - mlps[0]), rel=1e-9)


def test_devices_hold_copies_of_what_compresses():
    shape = transformer_shape(HYBRID, LATENT)
    half, plain = sharded(shape, 2.0), sharded(shape._replace(expert_hidden=shape.hidden), 2.0)
    assert half.parameters - plain.parameters == pytest.approx(23 * 2688 * 1024, rel=1e-9)


def test_a_request_keeps_a_state_and_the_cache_of_six_layers():
    four, five = (serve(HYBRID, batch=n)["feasibility.memory_required"] for n in (64, 65))
    assert five - four == pytest.approx(STATE + 1152 * 6 * 2 * 2 * 128 * 2 + 4 * 131072, rel=1e-9)


def test_prompts_take_the_work_of_chunks_and_of_six_layers_that_attend():
    work = serve(HYBRID, batch=1, input=4096, output=1)["performance.flops"]
    matrices = matmul_parameters(SHAPE)
    pairs = 6 * 2 * 256 * 32 * 4096 * 4097 / 2
    chunks = 23 * chunk_flops(4096, 128, INNER, 128, 8, 2)
    head = 2 * 131072 * 2688
    assert work == pytest.approx(2 * 4096 * (matrices.attention + matrices.mlp) + head + pairs + chunks, rel=5e-3)


def test_devices_share_the_heads_and_stages_the_layers():
    shape = transformer_shape(HYBRID, SHAPE)
    half = sharded(shape, 2.0)
    assert 2 * kept_states(half.recurrence, 2.0) == kept_states(shape.recurrence, 2.0)
    crowded = sharded(shape, 16.0).recurrence.mixer
    assert (crowded.heads, crowded.groups) == (4.0, 1.0)
    part = stage(shape, 0.5)
    assert (part.recurrence.layers, part.attention_layers, part.layers) == (11.5, 3.0, 13.0)
