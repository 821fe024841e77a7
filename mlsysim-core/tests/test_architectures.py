"""Counts of encoder-decoders, state-space models, detectors, diffusion networks and recommenders."""

from __future__ import annotations

import attrs
import pytest

from mlsysim.errors import ConfigError
from mlsysim.records.model import EncoderDecoder, Layer, Model, Network, StateSpace, Transformer
from mlsysim.shapes import parameters
from mlsysim.shapes.layers import expand, network_work

STACK = Transformer(
    layers=6, hidden=512, heads=8, kv_heads=8, head_dim=64, ffn=2048, context=512, vocab=32128, relative=32,
    gated=False,
)  # fmt: skip


def t5(layers=6, hidden=512, heads=8, dim=64, ffn=2048, *, gated=False):
    stack = attrs.evolve(STACK, layers=layers, hidden=hidden, heads=heads, kv_heads=heads, head_dim=dim, ffn=ffn,
                         gated=gated)  # fmt: skip
    encoder = attrs.evolve(stack, causal=False, head=False)
    return EncoderDecoder(encoder=encoder, decoder=attrs.evolve(stack, tied=not gated), shared=True)


def whisper(layers, hidden, heads, *, decoder=0, bins=80, vocab=51865):
    stack = Transformer(
        layers=layers, hidden=hidden, heads=heads, kv_heads=heads, head_dim=64, ffn=4 * hidden, context=1500,
        positions=1500, norm="layer", gated=False, bias=True, key_bias=False, causal=False, head=False,
    )  # fmt: skip
    text = attrs.evolve(
        stack, layers=decoder or layers, context=448, positions=448, vocab=vocab, causal=True, head=True, tied=True
    )
    return EncoderDecoder(encoder=stack, decoder=text, bins=bins, span=30.0)


def mamba(layers, hidden, *, second=False):
    if second:
        return StateSpace(layers=layers, hidden=hidden, inner=2 * hidden, state=128, vocab=50288, conv=4,
                          heads=hidden // 32, groups=1, chunk=256)  # fmt: skip
    return StateSpace(layers=layers, hidden=hidden, inner=2 * hidden, state=16, vocab=50280, conv=4, rank=hidden // 16)


@pytest.mark.parametrize(
    ("shape", "total"),
    [
        (t5(8, 512, 6, 64, 1024, gated=True), 60_511_616 + 32128 * 512),
        (t5(12, 768, 12, 64, 2048, gated=True), 247_577_856),
        (t5(24, 1024, 16, 64, 2816, gated=True), 750_251_008 + 32128 * 1024),
        (t5(24, 2048, 32, 64, 5120, gated=True), 2_849_757_184),
    ],
)
def test_t5_counts_are_those_of_a_second_implementation(shape, total):
    assert parameters(Model(name="T5", lab="x", pair=shape)).total == total


@pytest.mark.parametrize(
    ("shape", "printed"),
    [
        (t5(), 60.5e6),
        (t5(12, 768, 12, 64, 3072), 223e6),
        (t5(24, 1024, 16, 64, 4096), 738e6),
        (whisper(4, 384, 6), 37.8e6),
        (whisper(6, 512, 8), 72.6e6),
        (whisper(12, 768, 12), 242e6),
        (whisper(24, 1024, 16), 764e6),
        (whisper(32, 1280, 20, bins=128, vocab=51866), 1.54e9),
        (whisper(32, 1280, 20, decoder=4, bins=128, vocab=51866), 809e6),
    ],
)
def test_encoder_decoders_round_to_their_printed_size(shape, printed):
    total = parameters(Model(name="m", lab="x", pair=shape)).total
    assert total == pytest.approx(printed, rel=3e-3)


def test_one_stack_embeds_for_both():
    apart = attrs.evolve(t5(), shared=False)
    difference = parameters(Model(name="m", lab="x", pair=apart)).total - parameters(Model("m", "x", pair=t5())).total
    assert difference == 32128 * 512


@pytest.mark.parametrize(
    ("shape", "printed"),
    [
        (mamba(24, 768), 517e6 / 4),
        (mamba(48, 2048), 5.49e9 / 4),
        (mamba(64, 2560), 2.77e9),
        (mamba(48, 1024, second=True), 737e6 / 2),
        (mamba(48, 1536, second=True), 780e6),
        (mamba(64, 2560, second=True), 2.7e9),
    ],
)
def test_state_space_models_have_their_published_size(shape, printed):
    assert parameters(Model(name="m", lab="x", state_space=shape)).total == pytest.approx(printed, rel=2e-3)


def network(*layers: Layer, height: int = 8, width: int = 8, channels: int = 4) -> Network:
    return Network(source="test", at="here", layers=layers, height=height, width=width, channels=channels)


def test_a_model_has_one_shape():
    both = Model(name="both", lab="x", pair=t5(), network=network(Layer("dense", 2)))
    with pytest.raises(ConfigError, match="several shapes: network, pair"):
        parameters(both)


def test_rows_read_what_they_name():
    rows = (Layer("conv", 6, name="a"), Layer("conv", 10, of=("in",), name="b"), Layer("concat", of=("a", "b")),
            Layer("conv", 3))  # fmt: skip
    last = expand(network(*rows))[-1]
    assert last.in_channels == 16
    assert expand(network(*rows))[1].in_channels == 4


def test_an_unknown_name_and_maps_that_do_not_fit_are_refused():
    with pytest.raises(ConfigError, match="no row before is named 'missing'"):
        expand(network(Layer("conv", 6, name="a"), Layer("add", of=("a", "missing"))))
    with pytest.raises(ConfigError, match="do not concat"):
        expand(network(Layer("conv", 6, stride=2, name="a"), Layer("concat", of=("a", "in"))))
    with pytest.raises(ConfigError, match="does not divide into 3 parts"):
        expand(network(Layer("attention", heads=2)))


def test_a_block_repeats_as_a_whole_and_sees_around_it():
    rows = (Layer("conv", 4, norm=False), Layer("conv", 4, norm=False, name="y"), Layer("add", of=("y", "in", "outer")))
    block = Layer("block", repeat=5, rows=rows)
    counted = expand(network(Layer("conv", 4, norm=False, name="outer"), block))
    assert sum(op.parameters for op in counted) == 16 * 11
    assert [op.kind for op in counted].count("add") == 5


def test_a_block_that_collects_its_outputs_grows():
    rows = (Layer("slice", 4, of=("in",)), Layer("conv", 4, name="new"), Layer("concat", of=("in", "new")))
    assert expand(network(Layer("conv", 8), Layer("block", repeat=3, rows=rows)))[-1].out_channels == 8 + 3 * 4


def test_attention_multiplies_every_pair_of_pixels_twice():
    own = expand(network(Layer("conv", 24, norm=False), Layer("attention", heads=2)))[-1]
    assert own.macs == 2 * 8 * 64 * 64
    memory = Layer("input", 5, kernel=(7, 1))
    rows = (
        memory,
        Layer("conv", 8, name="kv"),
        Layer("conv", 4, of=("in",), name="q"),
        Layer("attention", of=("q", "kv")),
    )
    crossed = expand(network(*rows))[-1]
    assert crossed.macs == 2 * 4 * 64 * 7
    assert crossed.out_channels == 4


def test_tokens_join_and_part():
    rows = (Layer("input", 4, kernel=(3, 1), name="text"), Layer("join", of=("text", "in")), Layer("slice", kernel=(5, 1)),
            Layer("conv", 2))  # fmt: skip
    assert expand(network(*rows, height=9, width=1))[-1].in_height == 5


def test_a_table_is_stored_whole_and_read_by_the_row():
    op = expand(network(Layer("table", 16, entries=1000, lookups=3), height=1, width=1))[0]
    assert (op.parameters, op.inputs, op.outputs, op.macs) == (16000, 48, 16, 0)


def test_shared_rows_store_nothing_and_work_as_much():
    alone = network(Layer("conv", 4, kernel=3))
    twice = network(Layer("conv", 4, kernel=3), Layer("conv", 4, kernel=3, shared=True))
    assert sum(op.parameters for op in expand(twice)) == sum(op.parameters for op in expand(alone))
    assert network_work(twice) == 2 * network_work(alone)


def test_a_named_map_stays_in_memory_until_it_is_read():
    rows = (Layer("conv", 4, name="kept"), Layer("conv", 2), Layer("conv", 4, name="y"), Layer("add", of=("y", "kept")))
    ops = expand(network(*rows))
    assert [op.held for op in ops] == [0, 0, 4 * 64, 0]
