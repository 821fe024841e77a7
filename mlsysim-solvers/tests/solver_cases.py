"""Records for the tests: shapes of real models, and devices with round or published numbers."""

from __future__ import annotations

from types import SimpleNamespace

import attrs

from mlsysim.records.device import Compute, Device, Memory, Peak
from mlsysim.records.model import Latent, Layer, Mixture, Model, Network, Transformer
from mlsysim.records.scenario import Inference, Scenario, Serving, System, Training
from mlsysim.records.stack import Ceilings, Features, Stack, Tile

TILES = tuple(
    Tile(m=m, n=n, rate=r)
    for m, n, r in (
        (256, 128, 1.0),
        (128, 256, 1.0),
        (128, 128, 0.93),
        (64, 128, 0.80),
        (128, 64, 0.80),
        (64, 64, 0.65),
    )
)
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

LLAMA_8B = Model(
    name="Llama-3.1-8B",
    lab="Meta",
    transformer=Transformer(
        layers=32, hidden=4096, heads=32, kv_heads=8, head_dim=128, ffn=14336, vocab=128256, context=131072
    ),
)
LLAMA_70B = Model(
    name="Llama-3.1-70B",
    lab="Meta",
    transformer=Transformer(
        layers=80, hidden=8192, heads=64, kv_heads=8, head_dim=128, ffn=28672, vocab=128256, context=131072
    ),
)
GEMMA = Model(
    name="windowed",
    lab="Test",
    transformer=Transformer(
        layers=26,
        hidden=2304,
        heads=8,
        kv_heads=4,
        head_dim=256,
        ffn=9216,
        vocab=256000,
        context=8192,
        tied=True,
        sandwich_norm=True,
        window=4096,
        window_every=2,
    ),
)
MQA = Model(
    name="multi-query",
    lab="Test",
    transformer=Transformer(
        layers=32,
        hidden=4544,
        heads=71,
        kv_heads=1,
        head_dim=64,
        ffn=18176,
        vocab=65024,
        context=2048,
        gated=False,
        norm="layer",
        parallel=True,
        shared_norm=True,
        tied=True,
    ),
)
MIXTRAL = Model(
    name="Mixtral-8x7B",
    lab="Mistral",
    transformer=Transformer(
        layers=32,
        hidden=4096,
        heads=32,
        kv_heads=8,
        head_dim=128,
        ffn=14336,
        vocab=32000,
        context=32768,
        mixture=Mixture(experts=8, active=2, ffn=14336),
    ),
)
DEEPSEEK = Model(
    name="DeepSeek-V3",
    lab="DeepSeek",
    transformer=Transformer(
        layers=61,
        hidden=7168,
        heads=128,
        kv_heads=128,
        head_dim=192,
        ffn=18432,
        vocab=129280,
        context=163840,
        mixture=Mixture(experts=256, active=8, ffn=2048, shared=1, dense_layers=3),
        latent=Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128, q_rank=1536),
    ),
)
BERT = Model(
    name="BERT-large",
    lab="Google",
    transformer=Transformer(
        layers=24,
        hidden=1024,
        heads=16,
        kv_heads=16,
        head_dim=64,
        ffn=4096,
        vocab=30522,
        context=512,
        causal=False,
        gated=False,
        head=False,
        norm="layer",
        bias=True,
        qkv_bias=True,
        positions=512,
        token_types=2,
        embedding_norm=True,
        pooler=True,
        final_norm=False,
    ),
)
VIT = Model(
    name="ViT-B/16",
    lab="Google",
    transformer=Transformer(
        layers=12,
        hidden=768,
        heads=12,
        kv_heads=12,
        head_dim=64,
        ffn=3072,
        context=197,
        causal=False,
        gated=False,
        head=False,
        norm="layer",
        bias=True,
        qkv_bias=True,
        positions=197,
        patch=16,
        image=224,
        classes=1000,
    ),
)


def gpt(layers, hidden, heads, vocab=51200, sequence=2048):
    return Model(
        name="GPT",
        lab="Test",
        transformer=Transformer(
            layers=layers,
            hidden=hidden,
            heads=heads,
            kv_heads=heads,
            head_dim=hidden // heads,
            ffn=4 * hidden,
            vocab=vocab,
            context=sequence,
            gated=False,
            norm="layer",
            bias=True,
            qkv_bias=True,
            positions=sequence,
            tied=True,
        ),
    )


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
