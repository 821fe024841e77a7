"""Libraries that run a model's modules one by one from Python: operators, caches, weights of few bits, and the host."""

from __future__ import annotations

import attrs
import pytest
from solver_cases import H100, LLAMA_8B, LLAMA_70B, STACK, request_of, serving

from mlsysim.plugins import plugins
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.lowering.attention import Abilities
from mlsysim_solvers.lowering.operators import Formats
from mlsysim_solvers.lowering.shape import transformer_shape
from mlsysim_solvers.lowering.transformer import decode, prefill

SOLVER = SingleNodeSolver()
BF16 = Formats(2.0, 2.0, 2.0, 2.0, 2.0)
EAGER = Abilities(True, True, False, 1.6)
MODULES = EAGER._replace(one_by_one=True)
SPELLED = attrs.evolve(
    STACK, features=attrs.evolve(STACK.features, graphs=False, fused_elementwise=False, one_by_one=True),
    ceilings=attrs.evolve(STACK.ceilings, launch=1e-3),
)  # fmt: skip


def operators(model, abilities, formats=BF16):
    shape = transformer_shape(model, model.transformer)
    table = decode(shape, formats, abilities, 1.0, 100.0, 10.0)
    return sum(row.count * row.kernels for row in table if row.count == shape.layers) / shape.layers


def with_norm(norm):
    return attrs.evolve(LLAMA_8B, transformer=attrs.evolve(LLAMA_8B.transformer, norm=norm))


def test_operators_of_a_layer_are_those_of_its_source():
    # Eight for each of two norms, ten to turn queries and keys, four products around attention and three of the MLP,
    # two for the activation and the gate, two for the cache, attention, and two residuals: modeling_llama.py.
    assert operators(LLAMA_8B, MODULES) == 8 * 2 + 10 + 4 + 3 + 2 + 2 + 1 + 2
    # A layer norm is one operator of PyTorch.
    assert operators(with_norm("layer"), MODULES) == operators(with_norm("rms"), MODULES) - 7 * 2
    # Scale, mask, softmax and the product with the values, where attention is not fused.
    assert operators(LLAMA_8B, MODULES._replace(fused_attention=False)) == operators(LLAMA_8B, MODULES) + 4
    assert operators(LLAMA_8B, EAGER) < 0.4 * operators(LLAMA_8B, MODULES)


def test_steps_of_norms_move_the_tensor_again_and_add_no_work():
    shape = transformer_shape(LLAMA_8B, LLAMA_8B.transformer)
    plain, spelled = (prefill(shape, BF16, abilities, 1.0, 1000.0) for abilities in (EAGER, MODULES))
    assert sum(row.flops for row in plain) == sum(row.flops for row in spelled)
    (norms,) = (row for row in spelled if row.name == "norms, step by step")
    # Seven times in four bytes and twice in two, for either norm.
    assert norms.activation_bytes == 1000 * 2 * shape.hidden * (7 * 4 + 2 * 2)


def test_a_cache_that_is_joined_is_read_and_written_as_a_whole():
    shape = transformer_shape(LLAMA_8B, LLAMA_8B.transformer)
    placed, joined = (
        decode(shape, BF16, MODULES._replace(joins_cache=joins), 4.0, 1000.0, 10.0) for joins in (False, True)
    )
    read = sum(row.count * row.cache_bytes for row in placed)
    moved = [sum(row.count * row.activation_bytes for row in table) for table in (placed, joined)]
    assert moved[1] - moved[0] == pytest.approx(2 * read)


def test_weights_that_are_unpacked_pass_memory_twice_more_before_every_product():
    shape = transformer_shape(LLAMA_8B, LLAMA_8B.transformer)
    stored = BF16._replace(weight=0.5)
    table = decode(shape, stored, MODULES._replace(unpacks_weights=True, expands_weights=True), 1.0, 10.0, 10.0)
    (row,) = (row for row in table if row.name == "expansion of weights")
    read = sum(r.count * r.weight_bytes for r in table if r.count == shape.layers)
    # Half a byte is read and two are written for each two that the products read.
    assert row.activation_bytes == pytest.approx(read * (0.5 + 2.0) / 2.0)
    assert row.kernels == 4 * shape.layers


def test_a_token_takes_the_operators_of_all_layers_whatever_the_size_of_the_model():
    small, large = (
        SOLVER.compute(SOLVER.prepare(request_of(model, H100, serving(), SPELLED))) for model in (LLAMA_8B, LLAMA_70B)
    )
    assert small["performance.tpot"] == pytest.approx(1e-3 * 40 * 32, rel=0.01)
    assert large["performance.tpot"] == pytest.approx(1e-3 * 40 * 80, rel=0.01)


def test_nothing_is_unpacked_where_weights_have_the_width_of_products():
    sat = plugins().registry.get("stacks", "swissarmytransformer-0").record
    wide, narrow = (
        SOLVER.prepare(request_of(LLAMA_8B, H100, attrs.evolve(serving(), weights=weights), sat))
        for weights in ("", "int4")
    )
    assert not wide["unpacks"]
    assert narrow["unpacks"]
    assert narrow["expands"]
