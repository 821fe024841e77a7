"""Records for the tests: shapes of real models, and devices with round or published numbers."""

from __future__ import annotations

from types import SimpleNamespace

import attrs

from mlsysim.records.device import Compute, Device, Memory, Peak
from mlsysim.records.model import (
    EncoderDecoder,
    Latent,
    Layer,
    Mixture,
    Model,
    Network,
    StateLayers,
    Transformer,
)
from mlsysim.records.scenario import Inference, Scenario, Serving, System, Training
from mlsysim.records.stack import Ceilings, Features, Stack, Tile
from mlsysim_solvers import SingleNodeSolver

TILES = tuple(
    Tile(m=m, n=n, rate=rate)
    for m, n, rate in (
        (256, 128, 1.0), (128, 256, 1.0), (128, 128, 0.93), (64, 128, 0.80), (128, 64, 0.80), (64, 64, 0.65),
    )
)  # fmt: skip
FUSED = Features(fused_attention=True, shared_kv=True, fused_elementwise=True, graphs=True)
KINDS = ("serving", "training", "inference")
STACK = Stack(
    name="Test stack",
    version="1",
    serves=KINDS,
    features=FUSED,
    tiles=TILES,
    ceilings=Ceilings(compute=0.9, memory=0.88, overhead=3e-6, reserve=1e9),
    utilisation=0.9,
)
PLAIN = attrs.evolve(STACK, features=Features())
MICRO = Stack(
    name="Micro",
    version="1",
    serves=("inference",),
    features=Features(fused_elementwise=True, in_place_weights=True),
    ceilings=Ceilings(compute=0.5, memory=0.8, overhead=2e-5, reserve=32768.0),
)


def gpu(name, peaks, bandwidth, capacity, processors, usable=None, cache=None):
    peak = {p: Peak(dense=d, achieved=a) for p, (d, a) in peaks.items()}
    peak["fp32"] = Peak(dense=67e12, engine="vector")
    return Device(
        name=name,
        vendor="Test",
        tier="cloud",
        compute=Compute(peak=peak, processors=processors),
        memory=Memory(capacity=capacity, bandwidth=bandwidth, usable=usable),
    )


H100 = gpu(
    "H100",
    {"bf16": (989.4e12, 794.5e12), "fp16": (989.4e12, None), "fp8": (1978.9e12, 1402.6e12)},
    3.35e12,
    80e9,
    132.0,
    usable=85.5e9,
)
A100 = gpu("A100", {"bf16": (312e12, 271.2e12), "fp16": (312e12, 271.2e12)}, 2.039e12, 80e9, 108.0)
MCU = Device(
    name="MCU",
    vendor="Test",
    tier="tiny",
    compute=Compute(peak={"int8": Peak(dense=2e9, engine="vector")}),
    memory=Memory(capacity=512e3, bandwidth=960e6),
    storage=Memory(capacity=8e6, bandwidth=40e6),
)


CLASSIC = {"gated": False, "norm": "layer", "bias": True, "qkv_bias": True}
"""Norms, biases and MLPs of the first transformers."""


def llm(name, layers, hidden, heads, kv_heads, head_dim, ffn, vocab, context, **more):
    """Return a model by the numbers that every transformer has, and what sets it apart."""
    shape = Transformer(
        layers=layers, hidden=hidden, heads=heads, kv_heads=kv_heads, head_dim=head_dim, ffn=ffn, vocab=vocab,
        context=context, **more,
    )  # fmt: skip
    return Model(name=name, lab="Test", transformer=shape)


def gpt(layers, hidden, heads, vocab=51200, sequence=2048):
    return llm(
        "GPT", layers, hidden, heads, heads, hidden // heads, 4 * hidden, vocab, sequence, **CLASSIC, positions=sequence,
        tied=True,
    )  # fmt: skip


LLAMA_8B = llm("Llama-3.1-8B", 32, 4096, 32, 8, 128, 14336, 128256, 131072)
LLAMA_70B = llm("Llama-3.1-70B", 80, 8192, 64, 8, 128, 28672, 128256, 131072)
GEMMA = llm(
    "windowed", 26, 2304, 8, 4, 256, 9216, 256000, 8192, tied=True, sandwich_norm=True, window=4096, window_every=2
)
MQA = llm(
    "multi-query", 32, 4544, 71, 1, 64, 18176, 65024, 2048, gated=False, norm="layer", parallel=True, shared_norm=True,
    tied=True,
)  # fmt: skip
MIXTRAL = llm(
    "Mixtral-8x7B", 32, 4096, 32, 8, 128, 14336, 32000, 32768, mixture=Mixture(experts=8, active=2, ffn=14336)
)
DEEPSEEK = llm(
    "DeepSeek-V3", 61, 7168, 128, 128, 192, 18432, 129280, 163840,
    mixture=Mixture(experts=256, active=8, ffn=2048, shared=1, dense_layers=3),
    latent=Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128, q_rank=1536),
)  # fmt: skip
BERT = llm(
    "BERT-large", 24, 1024, 16, 16, 64, 4096, 30522, 512, **CLASSIC, causal=False, head=False, positions=512,
    token_types=2, embedding_norm=True, pooler=True, final_norm=False,
)  # fmt: skip
VIT = llm(
    "ViT-B/16", 12, 768, 12, 12, 64, 3072, 0, 197, **CLASSIC, causal=False, head=False, positions=197, patch=16,
    image=224, classes=1000,
)  # fmt: skip


def network(*layers, side=224, channels=3):
    return Network(source="none", at="test", layers=layers, height=side, width=side, channels=channels)


RESNET_50 = Model(
    name="ResNet-50",
    lab="Microsoft",
    network=network(
        Layer("conv", out=64, kernel=7, stride=2),
        Layer("pool", kernel=3, stride=2),
        Layer("bottleneck", mid=64, out=256, kernel=3, repeat=3),
        Layer("bottleneck", mid=128, out=512, kernel=3, stride=2, repeat=4),
        Layer("bottleneck", mid=256, out=1024, kernel=3, stride=2, repeat=6),
        Layer("bottleneck", mid=512, out=2048, kernel=3, stride=2, repeat=3),
        Layer("global_pool"),
        Layer("dense", out=1000, bias=True, norm=False),
    ),
)
MOBILENET_V2 = Model(
    name="MobileNet-V2",
    lab="Google",
    network=network(
        Layer("conv", out=32, kernel=3, stride=2),
        Layer("inverted_residual", out=16, kernel=3, expand=1),
        Layer("inverted_residual", out=24, kernel=3, expand=6, stride=2, repeat=2),
        Layer("inverted_residual", out=32, kernel=3, expand=6, stride=2, repeat=3),
        Layer("inverted_residual", out=64, kernel=3, expand=6, stride=2, repeat=4),
        Layer("inverted_residual", out=96, kernel=3, expand=6, repeat=3),
        Layer("inverted_residual", out=160, kernel=3, expand=6, stride=2, repeat=3),
        Layer("inverted_residual", out=320, kernel=3, expand=6),
        Layer("conv", out=1280),
        Layer("global_pool"),
        Layer("dense", out=1000, bias=True, norm=False),
    ),
)
TINY = Model(
    name="tiny",
    lab="Test",
    network=network(
        Layer("conv", out=8, kernel=3, stride=2),
        Layer("separable", out=16, kernel=3, stride=2),
        Layer("separable", out=32, kernel=3, stride=2),
        Layer("global_pool"),
        Layer("dense", out=2, norm=False),
        side=96,
        channels=1,
    ),
)


def serving(model="m", **kw):
    return Serving(model=model, **kw)


def request_of(model, device, workload, stack=STACK, *, settings=None, claims=None, devices=1, **scenario):
    kind = {Serving: "serving", Training: "training", Inference: "inference"}[type(workload)]
    case = Scenario(
        name="case",
        kind=kind,
        workload=workload,
        system=System(device="dev", stack="stack", devices=devices),
        **scenario,
    )
    return SimpleNamespace(
        scenario=case,
        records={"model": model, "device": device, "stack": stack},
        claims=claims or {},
        settings=settings or {},
        inputs={},
    )


def answers(*args, **kwargs):
    solver = SingleNodeSolver()
    return solver.compute(solver.prepare(request_of(*args, **kwargs)))


DELTA = Model(name="Delta", lab="Test", transformer=Transformer(
    layers=32, hidden=2560, heads=16, kv_heads=4, head_dim=256, ffn=9216, context=262144, vocab=248320, qk_norm=True,
    output_gate=True, tied=True,
    states=StateLayers(
        kind="gated-delta", layers=24, attention=8, mlp=32, heads=32, groups=16, state=128, head_dim=128, conv=4,
    ),
))  # fmt: skip
NEMOTRON = Model(name="Nemotron", lab="Test", transformer=Transformer(
    layers=26, hidden=2688, heads=32, kv_heads=2, head_dim=128, ffn=1856, context=262144, vocab=131072, gated=False,
    states=StateLayers(layers=23, attention=6, mlp=23, heads=64, head_dim=64, state=128, groups=8, conv=4, chunk=128),
))  # fmt: skip
_STACK = {"layers": 24, "hidden": 1024, "heads": 32, "kv_heads": 32, "head_dim": 128, "ffn": 16384, "context": 512,
          "vocab": 32128, "gated": False}  # fmt: skip
PAIR = Model(name="Pair", lab="Test", pair=EncoderDecoder(
    shared=True, encoder=Transformer(**_STACK, relative=32, causal=False, head=False),
    decoder=Transformer(**_STACK, relative=32, tied=True),
))  # fmt: skip
