"""Encoder-decoders, state-space models, diffusion and recommendation: work, memory, and what is refused."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import A100, BERT, H100, LLAMA_8B, PLAIN, RESNET_50, STACK, request_of

from mlsysim.errors import ConfigError
from mlsysim.records.model import EncoderDecoder, Layer, Model, Network, Part, StateSpace, Transformer
from mlsysim.records.scenario import Inference, Serving, Training
from mlsysim.shapes import expand, network_work, parameters
from mlsysim_solvers import SingleNodeSolver
from mlsysim_solvers.lowering.network import NetworkKernels, lower_network, network_shape
from mlsysim_solvers.lowering.operators import Formats

SOLVER = SingleNodeSolver()
TEXT = Transformer(
    layers=24, hidden=1024, heads=16, kv_heads=16, head_dim=64, ffn=4096, context=512, vocab=32128, relative=32,
    gated=False, tied=True,
)  # fmt: skip
READER = attrs.evolve(TEXT, causal=False, head=False, tied=False)
T5 = Model(name="T5 large", lab="Google", pair=EncoderDecoder(encoder=READER, decoder=TEXT, shared=True))
HEARER = attrs.evolve(READER, vocab=0, context=1500, positions=1500, relative=0)
WHISPER = Model(name="Hearer", lab="x", pair=EncoderDecoder(encoder=HEARER, decoder=TEXT, bins=80, span=30.0))
MAMBA = Model(
    name="Mamba 2.8B", lab="x",
    state_space=StateSpace(layers=64, hidden=2560, inner=5120, state=16, vocab=50280, conv=4, rank=160),
)  # fmt: skip
MAMBA2 = Model(
    name="Mamba-2 2.7B", lab="x",
    state_space=StateSpace(layers=64, hidden=2560, inner=5120, state=128, vocab=50288, conv=4, heads=80, groups=1,
                           chunk=256),
)  # fmt: skip
DENOISER = Model(
    name="Denoiser", lab="x",
    network=Network(
        source="t", at="h", height=32, width=32, channels=4, denoiser=True,
        layers=(Layer("conv", 256, kernel=3), Layer("conv", 768), Layer("attention", heads=4), Layer("conv", 4)),
    ),
)  # fmt: skip
DECODER = Part(
    "decoder", "t", "h", (Layer("conv", 512, kernel=3), Layer("upsample", stride=2), Layer("conv", 3)), 32, 32, 4
)
DRAWER = attrs.evolve(DENOISER, network=attrs.evolve(DENOISER.network, parts=(DECODER,)))
TABLES = (Layer("input", 64, name="dense"), Layer("table", 64, entries=4_000_000, lookups=20, name="a"),
          Layer("table", 64, entries=1_000_000, lookups=5, name="b"), Layer("concat", of=("dense", "a", "b")),
          Layer("dense", 1024, norm=False), Layer("dense", 1, norm=False))  # fmt: skip
RECOMMENDER = Model(
    name="Recommender", lab="x",
    network=Network(source="t", at="h", height=1, width=1, channels=1, layers=TABLES),
)  # fmt: skip


def ask(model, workload, device=H100, stack=STACK, **changes):
    columns = SOLVER.prepare(request_of(model, device, workload, stack))
    return SOLVER.compute({**columns, **changes})


def serve(model, **fields):
    return ask(model, Serving(model="m", precision="bf16", **fields))


def test_the_encoder_reads_once_and_the_decoder_step_by_step():
    few, many = serve(T5, batch=8, input=400, output=2), serve(T5, batch=8, input=400, output=66)
    assert many["performance.ttft"] == pytest.approx(few["performance.ttft"], rel=1e-9)
    steps = (many["performance.flops"] - few["performance.flops"]) / 64
    counts = parameters(T5)
    decoder = TEXT.layers * (6 * 1024 * 1024 + 2 * 1024 * 4096) + 32128 * 1024
    # Each step: queries and outputs of both attentions, keys and values of one, MLP, head; then scores and values.
    assert steps == pytest.approx(2 * 8 * decoder + 4 * 8 * 24 * 1024 * (400 + 34), rel=0.02)
    assert counts.total * 2 < many["feasibility.memory_required"]


def test_cross_attention_keeps_the_whole_input():
    def cache(tokens, answer):
        return serve(T5, batch=64, input=tokens, output=answer)["feasibility.memory_required"]

    per_token = 64 * 24 * 2 * 1024 * 2
    assert cache(300, 100) - cache(300, 50) == pytest.approx(50 * per_token, rel=1e-9)
    assert cache(300, 100) - cache(200, 100) >= 100 * per_token


def test_speech_comes_in_windows():
    one = serve(WHISPER, batch=4, output=100, audio=12.0)
    padded = serve(WHISPER, batch=4, output=100, audio=30.0)
    three = serve(WHISPER, batch=4, output=300, audio=70.0)
    assert one["performance.latency"] == padded["performance.latency"]
    assert three["performance.latency"] == pytest.approx(3 * one["performance.latency"], rel=1e-9)
    assert three["performance.ttft"] == one["performance.ttft"]
    assert three["feasibility.memory_required"] == one["feasibility.memory_required"]
    notes = SOLVER.prepare(request_of(WHISPER, H100, Serving(model="m", audio=70.0, output=300)))["assumptions"]
    assert any("3 x 30 s" in note for note in notes)


@pytest.mark.parametrize("model", [MAMBA, MAMBA2], ids=["scan", "chunks"])
def test_a_state_does_not_grow(model):
    short, long = (serve(model, batch=16, input=n, output=64) for n in (512, 8192))
    assert long["performance.tpot"] == short["performance.tpot"]
    assert long["feasibility.memory_required"] == short["feasibility.memory_required"]
    shape = model.state_space
    mixed = shape.inner + 2 * shape.groups * shape.state if shape.heads else shape.inner
    state = shape.layers * (shape.inner * shape.state + mixed * shape.conv) * 2
    more = serve(model, batch=17, input=8192, output=64)["feasibility.memory_required"]
    assert more - long["feasibility.memory_required"] == pytest.approx(state + 4 * shape.vocab, rel=1e-9)


def test_prefill_of_a_state_space_model_is_linear_in_the_prompt():
    short, long = (serve(MAMBA2, batch=1, input=n, output=1)["performance.flops"] for n in (4096, 8192))
    assert long == pytest.approx(2 * short, rel=0.01)
    shape = MAMBA2.state_space
    blocks = parameters(MAMBA2).active - shape.vocab * shape.hidden
    assert short == pytest.approx(2 * blocks * 4096, rel=0.06)


def test_a_stack_that_does_not_fuse_the_scan_writes_its_states():
    workload = Serving(model="m", precision="bf16", batch=1, input=2048, output=1)
    fused, plain = (ask(MAMBA, workload, stack=s)["performance.bytes"] for s in (STACK, PLAIN))
    assert plain - fused > 64 * 2048 * 5120 * 16 * 2 * 6


def test_images_take_steps_times_passes():
    once = ask(DENOISER, Inference(model="m", precision="bf16", batch=2, steps=1))
    many = ask(DENOISER, Inference(model="m", precision="bf16", batch=2, steps=50))
    guided = ask(DENOISER, Inference(model="m", precision="bf16", batch=2, steps=50, guidance=True))
    assert once["performance.flops"] == 2 * 2 * network_work(DENOISER.network)
    assert many["performance.latency"] == pytest.approx(50 * once["performance.latency"])
    assert guided["performance.flops"] == pytest.approx(2 * many["performance.flops"])
    assert guided["performance.latency"] > many["performance.latency"]
    assert many["feasibility.memory_required"] == once["feasibility.memory_required"]


def test_unfused_attention_moves_its_scores():
    work = Inference(model="m", precision="bf16", batch=1, steps=1)
    difference = ask(DENOISER, work, stack=PLAIN)["performance.bytes"] - ask(DENOISER, work)["performance.bytes"]
    assert difference > 4 * 2 * 4 * 1024 * 1024


def test_tables_fill_memory_and_only_rows_read_move():
    small, large = (ask(RECOMMENDER, Inference(model="m", precision="bf16", batch=n)) for n in (1024, 2048))
    assert small["feasibility.memory_required"] > 2 * 5_000_000 * 64
    rows = 1024 * 64 * 2 * (25 + 2)
    moved = large["performance.bytes"] - small["performance.bytes"]
    assert rows <= moved < 3 * rows
    trained = ask(RECOMMENDER, Training(model="m", batch=1024, optimizer="sgd"), device=A100)
    # Weights, master copy and momentum of all rows; gradients of those that a batch reads.
    assert trained["feasibility.memory_required"] - STACK.ceilings.reserve == pytest.approx(10 * 320e6, rel=0.05)
    assert trained["performance.bytes"] < 320e6


@pytest.mark.parametrize("model", [T5, MAMBA, MAMBA2], ids=lambda m: m.name)
def test_arrays_answer_as_floats_do(model):
    request = request_of(model, H100, Serving(model="m", precision="bf16", batch=1, input=256, output=64))
    columns = SOLVER.prepare(request)
    batches = np.array([1.0, 8.0, 64.0])
    together = SOLVER.compute({**columns, "batch": batches})
    for i, batch in enumerate(batches):
        alone = SOLVER.compute({**columns, "batch": float(batch)})
        for name in ("performance.latency", "feasibility.memory_required", "feasibility.max_batch"):
            assert np.broadcast_to(together[name], 3)[i] == pytest.approx(alone[name], rel=1e-12)


@pytest.mark.parametrize("model", [T5, MAMBA, MAMBA2], ids=lambda m: m.name)
def test_the_largest_batch_fits_and_one_more_does_not(model):
    largest = serve(model, batch=1, input=256, output=64)["feasibility.max_batch"]
    assert serve(model, batch=int(largest), input=256, output=64)["feasibility.fits"]
    assert not serve(model, batch=int(largest) + 1, input=256, output=64)["feasibility.fits"]


@pytest.mark.parametrize(
    ("model", "workload", "place"),
    [
        (T5, Inference(model="m", precision="bf16", sequence=100), "workload.model"),
        (MAMBA, Training(model="m", batch=1, sequence=100), "workload.model"),
        (T5, Serving(model="m", input=600), "workload.input"),
        (T5, Serving(model="m", input=100, output=600), "workload.output"),
        (T5, Serving(model="m", audio=30.0), "workload.audio"),
        (LLAMA_8B, Serving(model="m", audio=30.0), "workload.audio"),
        (WHISPER, Serving(model="m"), "workload.audio"),
        (DENOISER, Inference(model="m", precision="bf16"), "workload.steps"),
        (RESNET_50, Inference(model="m", precision="bf16", steps=20), "workload.steps"),
        (BERT, Inference(model="m", precision="bf16", sequence=100, guidance=True), "workload.guidance"),
        (DENOISER, Serving(model="m"), "workload.model"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(model, workload, place):
    with pytest.raises(ConfigError) as caught:
        SOLVER.prepare(request_of(model, H100, workload))
    fault = caught.value.faults[0]
    assert fault.where == place
    assert fault.remedy


def test_parts_beside_the_steps_run_once_for_each_image():
    def drawn(model, part_guided=False, **fields):
        parts = tuple(attrs.evolve(part, guided=part_guided) for part in model.network.parts)
        model = attrs.evolve(model, network=attrs.evolve(model.network, parts=parts))
        return ask(model, Inference(model="m", batch=8, precision="fp16", **fields))

    one, many = drawn(DRAWER, steps=1), drawn(DRAWER, steps=9)
    alone = [drawn(DENOISER, steps=n) for n in (1, 9)]
    name = "performance.flops"
    once = 8 * 2.0 * network_work(DECODER)
    assert one[name] - alone[0][name] == pytest.approx(once)
    assert many[name] - alone[1][name] == pytest.approx(once)
    name = "performance.latency"
    assert many[name] - alone[1][name] == pytest.approx(one[name] - alone[0][name])
    assert one[name] > alone[0][name]
    # Both conditions of a guided sample are encoded, and one image is decoded.
    free, guided = (drawn(DRAWER, part, steps=1, guidance=True)["performance.flops"] for part in (False, True))
    assert guided - free == pytest.approx(once)
    weights = 2.0 * sum(op.parameters for op in expand(DECODER))
    name = "feasibility.memory_required"
    assert one[name] - alone[0][name] >= weights


def test_training_reads_what_parts_have_left():
    plain, whole = (ask(model, Training(model="m", batch=8, precision="bf16")) for model in (DENOISER, DRAWER))
    assert plain["performance.flops"] == whole["performance.flops"]


def test_parts_are_named_among_the_assumptions():
    columns = SOLVER.prepare(request_of(DRAWER, H100, Inference(model="m", batch=1, steps=2, precision="fp16")))
    assert any("beside the denoising steps: decoder" in line for line in columns["assumptions"])


@pytest.mark.parametrize(("heads", "padding"), [(4, 1.0), (8, 1.0), (16, 2.0), (2, 1.0)])
def test_heads_are_padded_to_widths_for_which_kernels_exist(heads, padding):
    layers = (Layer("conv", 768), Layer("attention", heads=heads))
    network = Network(source="t", at="h", height=64, width=64, channels=4, layers=layers)
    shape, formats = network_shape(network), Formats(2.0, 2.0, 2.0, 2.0, 2.0)
    free, padded = (
        next(
            row
            for row in lower_network(shape, formats, 4.0, NetworkKernels(True, head_step=step))
            if row.kind == "attention"
        )
        for step in (1.0, 32.0)
    )
    assert padded.work == pytest.approx(padding * free.work)
    assert padded.flops == free.flops


def test_only_fused_kernels_on_matrix_units_pad_heads():
    work = Inference(model="m", batch=1, precision="fp16", steps=1)
    plain = attrs.evolve(STACK, features=attrs.evolve(STACK.features, fused_attention=False))
    clocked = attrs.evolve(H100, compute=attrs.evolve(H100.compute, clock=1.7e9))
    assert SOLVER.prepare(request_of(DENOISER, clocked, work, STACK))["head_step"] == 32.0
    assert SOLVER.prepare(request_of(DENOISER, clocked, work, plain))["head_step"] == 1.0
