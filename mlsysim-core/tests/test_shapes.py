"""Counts that follow from shapes, against published totals of released checkpoints."""

from __future__ import annotations

import subprocess
import sys

import attrs
import pytest

from mlsysim.errors import ConfigError
from mlsysim.records.model import Latent, Layer, Mixture, Model, Network, Transformer
from mlsysim.shapes import (
    expand,
    full_attention_layers,
    kv_bytes_per_token,
    matmul_parameters,
    network_work,
    parameters,
)
from mlsysim.shapes.layers import live_only

LLAMA_8B = Transformer(
    layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, ffn=14336, context=8192, vocab=128256
)
LLAMA_70B = attrs.evolve(LLAMA_8B, layers=80, hidden=8192, heads=64, ffn=28672)
MIXTRAL = attrs.evolve(LLAMA_8B, vocab=32000, mixture=Mixture(experts=8, active=2, ffn=14336))
DEEPSEEK_V3 = Transformer(
    layers=61, hidden=7168, heads=128, kv_heads=128, head_dim=192, ffn=18432, context=163840, vocab=129280,
    latent=Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128, q_rank=1536),
    mixture=Mixture(experts=256, active=8, ffn=2048, shared=1, dense_layers=3, router_bias=True),
)  # fmt: skip
GPT2 = Transformer(
    layers=12, hidden=768, heads=12, kv_heads=12, head_dim=64, ffn=3072, context=1024, vocab=50257, positions=1024,
    gated=False, tied=True, norm="layer", bias=True,
)  # fmt: skip
BERT_LARGE = Transformer(
    layers=24, hidden=1024, heads=16, kv_heads=16, head_dim=64, ffn=4096, context=512, vocab=30522, positions=512,
    token_types=2, causal=False, gated=False, head=False, norm="layer", bias=True, final_norm=False,
    embedding_norm=True, pooler=True,
)  # fmt: skip
VIT_B16 = Transformer(
    layers=12, hidden=768, heads=12, kv_heads=12, head_dim=64, ffn=3072, context=197, positions=197, patch=16,
    image=224, classes=1000, causal=False, gated=False, head=False, norm="layer", bias=True,
)  # fmt: skip


def network(*layers: Layer, height: int = 224, width: int = 224, channels: int = 3) -> Network:
    return Network(height=height, width=width, channels=channels, source="test", at="here", layers=layers)


RESNET50 = network(
    Layer("conv", 64, kernel=7, stride=2),
    Layer("pool", kernel=3, stride=2),
    Layer("bottleneck", 256, kernel=3, mid=64, repeat=3),
    Layer("bottleneck", 512, kernel=3, mid=128, stride=2, repeat=4),
    Layer("bottleneck", 1024, kernel=3, mid=256, stride=2, repeat=6),
    Layer("bottleneck", 2048, kernel=3, mid=512, stride=2, repeat=3),
    Layer("global_pool"),
    Layer("dense", 1000, bias=True, norm=False),
)
MOBILENET_V2 = network(
    Layer("conv", 32, kernel=3, stride=2),
    *(
        Layer("inverted_residual", out, kernel=3, stride=stride, expand=expansion, repeat=repeat)
        for expansion, out, repeat, stride in (
            (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1),
        )
    ),
    Layer("conv", 1280),
    Layer("global_pool"),
    Layer("dense", 1000, bias=True, norm=False),
)  # fmt: skip


def total(shape: Transformer | Network) -> int:
    kind = "network" if isinstance(shape, Network) else "transformer"
    return parameters(Model(name="test", lab="test", **{kind: shape})).total


@pytest.mark.parametrize(
    ("shape", "published"),
    [
        (LLAMA_8B, 8_030_261_248),
        (LLAMA_70B, 70_553_706_496),
        (MIXTRAL, 46_702_792_704),
        (DEEPSEEK_V3, 671_026_419_200),
        (GPT2, 124_439_808),
        (BERT_LARGE, 335_141_888),
        (VIT_B16, 86_567_656),
        (RESNET50, 25_557_032),
        (MOBILENET_V2, 3_504_872),
    ],
)
def test_totals_equal_the_released_checkpoints(shape: Transformer | Network, published: int) -> None:
    assert total(shape) == published


def test_key_value_cache_of_grouped_and_latent_attention() -> None:
    assert kv_bytes_per_token(LLAMA_70B, 2) == 327_680
    assert kv_bytes_per_token(DEEPSEEK_V3, 2) == 70_272


def test_layers_that_no_window_bounds() -> None:
    assert full_attention_layers(LLAMA_8B) == 32
    assert full_attention_layers(attrs.evolve(LLAMA_8B, layers=34, window=1024, window_every=6)) == 5
    assert full_attention_layers(attrs.evolve(LLAMA_8B, window=4096)) == 0


def test_active_parameters_of_a_mixture() -> None:
    counted = parameters(Model(name="m", lab="l", transformer=MIXTRAL))
    one_expert = 3 * 4096 * 14336
    assert counted.total - counted.active_with_embedding == 32 * 6 * one_expert
    assert counted.active_with_embedding - counted.active == 32000 * 4096
    deepseek = parameters(Model(name="m", lab="l", transformer=DEEPSEEK_V3))
    assert deepseek.active_with_embedding == pytest.approx(37e9, rel=0.02)  # as its report prints
    assert deepseek.expert_layers == 58


def test_parts_add_up_to_the_total() -> None:
    p = parameters(Model(name="m", lab="l", transformer=DEEPSEEK_V3))
    blocks = p.layers * (p.attention + p.norms) + (p.layers - p.expert_layers) * p.mlp + p.expert_layers * p.experts
    assert p.total == blocks + 7168 + p.embedding + p.head  # the final norm stands outside the blocks


def test_a_tied_head_is_read_but_stored_once() -> None:
    counted = parameters(Model(name="m", lab="l", transformer=GPT2))
    assert counted.head == 0
    assert counted.active == counted.total - 1024 * 768
    assert counted.active_with_embedding == counted.total


def test_matrix_product_weights_leave_out_vectors_and_tables() -> None:
    weights = matmul_parameters(GPT2)
    assert weights.attention + weights.mlp == 12 * 12 * 768**2
    assert weights.head == 50257 * 768
    assert matmul_parameters(BERT_LARGE).head == 0
    deepseek = matmul_parameters(DEEPSEEK_V3)
    vectors = 61 * (2 * 7168 + 512 + 1536) + 58 * 256 + 7168
    assert deepseek.total == parameters(Model(name="m", lab="l", transformer=DEEPSEEK_V3)).active - vectors


def test_parallel_blocks_biases_and_sinks() -> None:
    shared = attrs.evolve(LLAMA_8B, parallel=True, shared_norm=True)
    assert total(LLAMA_8B) - total(shared) == 32 * 4096
    assert total(attrs.evolve(LLAMA_8B, sinks=True)) - total(LLAMA_8B) == 32 * 32
    assert total(attrs.evolve(LLAMA_8B, head_bias=True)) - total(LLAMA_8B) == 128256
    assert total(attrs.evolve(LLAMA_8B, qkv_bias=True)) - total(LLAMA_8B) == 32 * (32 + 2 * 8) * 128
    assert total(attrs.evolve(LLAMA_8B, qk_norm=True)) - total(LLAMA_8B) == 32 * 2 * 128
    assert total(attrs.evolve(LLAMA_8B, sandwich_norm=True)) - total(LLAMA_8B) == 32 * 2 * 4096
    gated = attrs.evolve(MIXTRAL, mixture=attrs.evolve(MIXTRAL.mixture, shared=1, shared_gate=True))
    assert total(gated) - total(MIXTRAL) == 32 * (3 * 4096 * 14336 + 4096)


def test_work_of_convolutional_networks() -> None:
    assert network_work(RESNET50) == 4_089_184_256
    assert network_work(MOBILENET_V2) == 300_774_272


def test_the_bottleneck_strides_in_its_middle() -> None:
    first = [op for op in expand(RESNET50) if op.in_channels == 256 and op.out_channels == 128]
    assert (first[0].out_height, first[0].kernel) == (56, (1, 1))
    strided = [op for op in expand(RESNET50) if op.in_channels == op.out_channels == 128 and op.stride == (2, 2)]
    assert [(op.kernel, op.out_height) for op in strided] == [((3, 3), 28)]


def test_shortcuts() -> None:
    kinds = [op.kind for op in expand(MOBILENET_V2)]
    assert kinds.count("add") == 10  # repetitions after the first of each group
    assert kinds.count("depthwise") == 17
    adds = [op for op in expand(RESNET50) if op.kind == "add"]
    assert len(adds) == 16
    assert all(op.inputs == 2 * op.outputs for op in adds)
    projections = [op for op in expand(RESNET50) if op.kernel == (1, 1) and op.held and op.out_channels == 256]
    assert [(op.in_channels, op.held) for op in projections if op.in_channels == 64][-1] == (64, 256 * 56 * 56)


def test_padding() -> None:
    def height(kernel: int, stride: int, *, same: bool) -> int:
        (op,) = expand(network(Layer("conv", 8, kernel=kernel, stride=stride, same=same), height=49, width=49))
        return op.out_height

    assert height(3, 2, same=True) == 25
    assert height(3, 2, same=False) == 24
    assert height(49, 1, same=False) == 1
    with pytest.raises(ConfigError, match="does not fit"):
        height(50, 1, same=False)


def test_separable_grouped_and_rectangular() -> None:
    first, depthwise, pointwise, pool, dense = expand(
        network(
            Layer("conv", 64, kernel=(10, 4), stride=(2, 2), bias=True),
            Layer("separable", 64, kernel=3, bias=True),
            Layer("pool", kernel=(24, 5), stride=(24, 5), same=False),
            Layer("dense", 12, bias=True, norm=False),
            height=49, width=10, channels=1,
        )
    )  # fmt: skip
    assert (first.out_height, first.out_width, first.parameters) == (25, 5, 40 * 64 + 3 * 64)
    assert (depthwise.kind, depthwise.parameters) == ("depthwise", 9 * 64 + 3 * 64)
    assert (pointwise.kind, pointwise.macs) == ("conv", 64 * 64 * 125)
    assert (pool.out_height, pool.out_width) == (1, 1)
    assert (dense.in_channels, dense.parameters) == (64, 64 * 12 + 12)
    (grouped,) = expand(network(Layer("conv", 64, kernel=3, groups=32, norm=False), channels=32))
    assert grouped.parameters == 9 * 64
    with pytest.raises(ConfigError, match="groups"):
        expand(network(Layer("conv", 64, groups=32)))


def test_squeeze_and_excitation() -> None:
    row = Layer("inverted_residual", 16, kernel=3, expand=4, squeeze=4)
    ops = expand(network(row, height=8, width=8, channels=16))
    assert [op.kind for op in ops] == ["conv", "depthwise", "pool", "conv", "conv", "scale", "conv", "add"]
    assert [ops[i].parameters for i in (3, 4)] == [64 * 4 + 4, 4 * 64 + 64]
    assert ops[3].held == 64 * 64 + 16 * 64


def test_a_model_without_shape_is_refused() -> None:
    with pytest.raises(ConfigError, match="no shape"):
        parameters(Model(name="nothing", lab="nobody"))


def test_numpy_is_not_imported() -> None:
    code = "import sys, mlsysim.shapes; print('numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_channels_of_zeros_are_left_out_of_both_sides() -> None:
    rows = network(
        Layer("conv", 8, kernel=3, norm=False), Layer("depthwise", kernel=3, norm=False), Layer("conv", 16, norm=False),
        Layer("global_pool"), Layer("dense", 10, norm=False),
    )  # fmt: skip
    full = expand(rows)
    first, depthwise, mixing, pool, last = live_only(full, (6, 4, 10))
    assert (first.in_channels, first.out_channels, first.macs) == (3, 6, full[0].macs * 6 // 8)
    assert (depthwise.groups, depthwise.outputs) == (6, full[1].outputs * 6 // 8)
    assert mixing.macs == full[2].macs * 6 * 4 // (8 * 16)
    assert pool.inputs == full[3].inputs * 4 // 16
    assert (last.in_channels, last.macs) == (4, 40)
    assert live_only(full, ()) == full


@pytest.mark.parametrize("live", [(6, 4), (6, 4, 10, 1), (9, 4, 10)])
def test_counts_of_live_channels_that_do_not_match_are_refused(live: tuple[int, ...]) -> None:
    rows = network(
        Layer("conv", 8, kernel=3), Layer("conv", 16), Layer("global_pool"), Layer("dense", 10, norm=False)
    )  # fmt: skip
    with pytest.raises(ConfigError, match="live channels"):
        live_only(expand(rows), live)
