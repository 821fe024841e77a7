"""Rows of servers under a closed loop of requests."""

from __future__ import annotations

import attrs

from mlsysim.plugins import plugins
from mlsysim.records import Scenario, Traffic
from mlsysim.records.measurement import Measurement
from mlsysim.records.precision import bytes_per_element

from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, scenario, subject, whole
from .layouts import scripted_layout, served_layout, served_pools
from .recipes import Recipe, recipe_of

__all__ = ["serving_question"]

_OUTPUTS = {"ttft_ms": "performance.ttft", "tpot_ms": "performance.tpot"}

_WAVES = {"ttft_ms": 0.27, "tpot_ms": 0.03}
"""How much the number of requests, and how far they drift apart, may move a figure (natural-log units; estimates). With
the first, nine of ten first tokens of three servers lie inside when their group is left out; 0.35 held 93 of 100."""

_SCRIPTED_WAVES = {"ttft_ms": 0.17, "tpot_ms": 0.03}
"""The same where the benchmark's client was read, so that their number and lengths are known. Estimate, range 0.05 to
0.3: a simulation pass by pass leaves some 0.03 between it and the line for prompts, the rest is what front ends and
versions do; nine of ten lie inside, as they do with 0.2 where first tokens do not wait for front ends."""

_WAIT = 50
"""Passes for which TensorRT-LLM lets a prompt wait until each copy of attention has one: the benchmark's scripts switch
that on (InferenceX, benchmarks/gptoss_fp4_b200_trt.sh and dsr1_fp4_b200_trt.sh: attention_dp_config, enable_balance:
true), with the default of timeout_iters (llmapi/llm_args.py, AttentionDpConfig) or 60."""

_HANDSHAKE = 0.6
"""How far it may move the time to first token of two pools under SGLang that a prompt is read only when the worker that
will decode it has kept room for its cache (natural-log units). Estimate, chosen after a look at residuals."""

_EXACT = Assumed("prompts and answers of the printed lengths: the row prints no spread", 0.05)

_DRAWN = Assumed("lengths drawn between 0.8 times and once the printed ones, as the benchmark's client does", 0.02)

_COMPILED = Assumed("no requests before those that count: kernels that are compiled on first use are among them", 1.0)

_COMPILING = 40.0
"""Seconds for which kernels that read prompts in parts are compiled on first use. Estimate, range 10 to 120: the first
prompt took 14 s longer on B200 where products are compiled (lightseekorg/tokenspeed, pull request 398), and kernels of
FlashInfer some 120 s (vllm-project/vllm, issue 47456, comment of 2026-07-06). Rows that have it imply 10 to
80 s; they were seen before this was chosen."""


def serving_question(row: Measurement, known: Names) -> Question:
    """Return what is asked for a row of the serving table.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.

    Returns
    -------
    Question

    Raises
    ------
    Refused
        With the reason why nothing can be asked.
    """
    model = known.model(row.model)
    found = subject(row, known)
    assumed: list[Assumed] = []
    precision, weights, kv_cache = _formats(row, known, model, found.device, assumed)
    clients = whole(row, "concurrency")
    if clients is None:
        clients = whole(row, "batch_size")
        assumed.append(Assumed(f"{clients} clients, as many as the server takes: the row prints no concurrency", 0.1))
    if clients is None:
        raise Refused("neither the clients nor the requests that the server takes are published")
    input_, output = whole(row, "isl"), whole(row, "osl")
    if not input_ or not output:
        raise Refused("the lengths of prompts and answers are not published")
    recipe = recipe_of(row, clients)
    waves = f"{recipe.requests} requests, all clients starting at once, as the benchmark's client does"
    assumed.append(Assumed(waves, (_SCRIPTED_WAVES if recipe.variation else _WAVES)[row.name]))
    assumed.append(_DRAWN if recipe.variation else _EXACT)
    if recipe.cold and row.name == "ttft_ms":
        assumed.append(_COMPILED)
    job = Traffic(
        model=model, precision=precision, concurrency=clients, requests=recipe.requests,
        input=recipe.mean * input_, output=recipe.mean * output, input_variation=recipe.variation,
        output_variation=recipe.variation, max_tokens=recipe.tokens, hold=recipe.hold,
        interval=recipe.interval, weights=weights, kv_cache=kv_cache,
    )  # fmt: skip
    if cell(row, "mode") == "disagg":
        asked = _pools(row, known, found, job, assumed)
    else:
        asked = _server(row, found, job, recipe, assumed)
    return Question(asked, _OUTPUTS[row.name], None, tuple(assumed))


def _pools(row: Measurement, known: Names, found: Subject, job: Traffic, assumed: list[Assumed]) -> Scenario:
    """Return the scenario of workers that read prompts and workers that write answers."""
    about = {"software": cell(row, "backend"), "device": found.device, "precision": cell(row, "precision"),
             "prompt": whole(row, "isl"), "copies": whole(row, "prefill_attention_dp_size") or 1}  # fmt: skip
    clients, decoders = int(job.concurrency), whole(row, "decode_num_workers") or 1
    pools = served_pools(row, known.runs.workers(about, cell(row, "measured"), clients, decoders), assumed)
    if row.name == "ttft_ms" and row.software.startswith("sglang"):
        what = "prompts that are read at once: SGLang first keeps room where they will be decoded"
        assumed.append(Assumed(what, _HANDSHAKE))
    devices = sum(pool.workers * pool.devices for pool in (pools.prefill, pools.decode))
    # The scripts of one server say nothing about the passes of two pools.
    return scenario(row, "traffic", attrs.evolve(job, max_tokens=0), found, None, devices, None, pools)


def _server(row: Measurement, found: Subject, job: Traffic, recipe: Recipe, assumed: list[Assumed]) -> Scenario:
    """Return the scenario of one server."""
    layout = scripted_layout(recipe, served_layout(row, "", assumed), assumed)
    devices = layout.attention * layout.tensor * layout.pipeline
    given: dict[str, object] = {"replayed": recipe.replayed} if recipe.replayed else {}
    if recipe.memory:
        given["memory_share"] = recipe.memory
    if recipe.together:
        given["together"] = recipe.together
    if recipe.overlap:
        given["overlap"] = 1.0
    if recipe.cold:
        given["compile_time"] = f"{_COMPILING} s"
    if layout.attention > 1 and row.software.startswith("trtllm"):
        given["rank_wait"] = _WAIT
        assumed.append(Assumed(f"prompts wait up to {_WAIT} passes until every copy of attention has one", 0.05))
    return scenario(row, "traffic", job, found, layout, devices, {"in-flight": given} if given else {})


def _formats(
    row: Measurement, known: Names, model: str, device: str, assumed: list[Assumed]
) -> tuple[str, str, str]:  # fmt: skip
    """Return the formats of arithmetic, weights and key-value cache of a server."""
    printed = cell(row, "gemm_quant_mode")
    wanted, stored = known.weights(printed) if printed else ("bf16", "")
    published = plugins().registry.get("models", model).record.weights
    # The table prints any format of 4 bits as nvfp4.
    if published and bytes_per_element(published) < 1 and wanted == "nvfp4":
        precision, weights, kv_cache = _released(device, published, assumed)
    else:
        precision, weights, kv_cache = _multiplied(device, wanted, assumed)
    if row.software.startswith("vllm") and precision not in ("bf16", "fp16"):
        kv_cache = _cache(known.runs.has_narrow_cache(model, device, cell(row, "measured")), assumed)
    return precision, weights or stored, kv_cache


def _released(device: str, weights: str, assumed: list[Assumed]) -> tuple[str, str, str]:
    """Return the formats of a model that is published in 4 bits: products take the narrowest wider format."""
    peak = plugins().registry.get("devices", device).record.compute.peak
    products = "fp8" if "nvfp4" in peak else "bf16"
    assumed.append(Assumed(f"weights in {weights}, as the model is published, and products in {products}", 0.15))
    return products, weights, ""


def _cache(narrow: bool, assumed: list[Assumed]) -> str:
    """Return the format of the key-value cache of vLLM."""
    kept = "fp8, as the benchmark's script says" if narrow else "16 bits, as vLLM keeps it unless told otherwise"
    assumed.append(Assumed(f"a key-value cache in {kept}", 0.03))
    return "fp8" if narrow else "bf16"


def _multiplied(device: str, wanted: str, assumed: list[Assumed]) -> tuple[str, str, str]:
    """Return the formats of arithmetic, weights and cache where the device multiplies the printed format, or cannot."""
    peak = plugins().registry.get("devices", device).record.compute.peak
    if wanted in peak and peak[wanted].dense is not None:
        narrow = wanted == "nvfp4"
        if narrow:
            assumed.append(Assumed("a key-value cache in fp8 beside weights in 4 bits", 0.03))
        return wanted, "", "fp8" if narrow else ""
    if wanted != "nvfp4":
        return format_for(device, wanted), "", ""
    assumed.append(Assumed("weights in 4 bits and products in bf16: the device multiplies nothing narrower", 0.1))
    return format_for(device, "bf16"), wanted, ""
