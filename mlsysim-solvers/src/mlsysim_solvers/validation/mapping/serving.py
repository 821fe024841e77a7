"""Rows of servers under a closed loop of requests."""

from __future__ import annotations

from mlsysim.plugins import plugins
from mlsysim.records import Parallelism, Traffic
from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Assumed, Question, Refused
from .common import Subject, cell, format_for, scenario, subject, whole
from .recipes import recipe_of

__all__ = ["batched", "serving_question", "traffic_formats"]

_FORMATS = {"nvfp4": "nvfp4", "fp8": "fp8", "": "bf16"}
"""Arithmetic of matrix products, by the quantisation that a row prints."""

_RELEASED = {"gpt-oss-120b": "mxfp4", "gpt-oss-20b": "mxfp4"}
"""Models whose weights are published in 4 bits; tables print any such format as nvfp4."""

_OUTPUTS = {"ttft_ms": "performance.ttft", "tpot_ms": "performance.tpot"}

_EACH = 10
"""Requests that a benchmark's client sends for each that it keeps in flight, where a row does not say: the client of
InferenceMAX (README, Benchmark Client Configuration) takes as many. An estimate for other clients, kept because without
it the first wave of prompts would be left out, which half of a measured time to first token consists of."""

_NODE = 8
"""Devices of a node."""

_WAVES = {"ttft_ms": 0.5, "tpot_ms": 0.03}
"""How much the number of requests, and how far they drift apart, may move a figure (natural-log units; estimates)."""

_EXACT = Assumed("prompts and answers of the printed lengths: the row prints no spread", 0.05)

_DRAWN = Assumed("lengths drawn between 0.8 times and once the printed ones, as the benchmark's client does", 0.02)


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
    found = batched(subject(row, known))
    if cell(row, "mode") == "disagg":
        raise Refused("prefill and decode on devices of their own: no installed solver expresses that")
    if (whole(row, "attention_dp_size") or 1) > 1:
        raise Refused("attention copied over devices that share the experts: no installed solver expresses that")
    waves = f"{_EACH} requests for each client, all clients starting at once: the row prints no number of requests"
    assumed = [Assumed(waves, _WAVES[row.name])]
    wanted = _FORMATS[cell(row, "gemm_quant_mode")]
    precision, weights, kv_cache = traffic_formats(found.device, wanted, assumed)
    if model in _RELEASED and wanted == "nvfp4":
        precision, weights, kv_cache = _released(found.device, _RELEASED[model], assumed)
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
    assumed.append(_DRAWN if recipe.variation else _EXACT)
    tensor, pipeline = _tensor(row), whole(row, "pp_size") or 1
    if _count(row, "moe_ep_size") > 1:
        assumed.append(Assumed("experts divided by columns, and not from device to device as the row says", 0.1))
    job = Traffic(
        model=model, precision=precision, concurrency=clients, requests=_EACH * clients,
        input=recipe.mean * input_, output=recipe.mean * output, input_variation=recipe.variation,
        output_variation=recipe.variation, max_tokens=recipe.tokens, hold=recipe.hold,
        interval=recipe.interval, weights=weights, kv_cache=kv_cache,
    )  # fmt: skip
    layout = Parallelism(tensor=tensor, pipeline=pipeline)
    asked = scenario(row, "traffic", job, found, layout, tensor * pipeline)
    return Question(asked, _OUTPUTS[row.name], None, tuple(assumed))


def _tensor(row: Measurement) -> int:
    """Return the devices that divide attention: no row without pools runs on more than the eight of one node.

    Rows of DeepSeek print the product of the degrees of attention and experts (16 = 4 x 4, 64 = 8 x 8) where the
    benchmark's configuration (.github/configs/nvidia-master.yaml of InferenceX, dsr1-fp4-b200-sglang) has 4 and 8.
    """
    tensor = whole(row, "tp_size") or 1
    return tensor if tensor <= _NODE else _count(row, "moe_tp_size") or tensor


def _released(device: str, weights: str, assumed: list[Assumed]) -> tuple[str, str, str]:
    """Return the formats of a model that is published in 4 bits: products take the narrowest wider format."""
    peak = plugins().registry.get("devices", device).record.compute.peak
    products = "fp8" if "nvfp4" in peak else "bf16"
    assumed.append(Assumed(f"weights in {weights}, as the model is published, and products in {products}", 0.15))
    return products, weights, ""


def _count(row: Measurement, name: str) -> int:
    text = cell(row, name)
    return int(text) if text.isdigit() else 0


def batched(found: Subject) -> Subject:
    """Return the subject with a stack that batches in flight, or with none.

    Parameters
    ----------
    found : Subject
        Device and stack of a row.

    Returns
    -------
    Subject
        Where the row's software says nothing about requests in flight, the usual stack is assumed.
    """
    if found.record is None or found.record.runs("traffic"):
        return found
    return Subject(found.device, "", None)


def traffic_formats(device: str, wanted: str, assumed: list[Assumed]) -> tuple[str, str, str]:
    """Return the formats of arithmetic, weights and key-value cache of a server.

    Parameters
    ----------
    device : str
        Key of the device.
    wanted : str
        Format of matrix products.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    precision, weights, kv_cache : str

    Raises
    ------
    Refused
        If the device has no rate that could be used.
    """
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
