"""Metrics as people spell them, brought to the names and units that are known."""

from __future__ import annotations

import math
import re

import attrs

from mlsysim.errors import UnitError
from mlsysim.names import did_you_mean
from mlsysim.records.measurement import METRICS
from mlsysim.units import parse_quantity, parse_unit

from .cells import figure_of

__all__ = ["Reading", "read_metric"]

_TIMES = {
    "ttft_ms": r"ttft|time_to_first_tokens?|first_tokens?_(?:latency|time)|prefill_(?:latency|time)",
    "tpot_ms": r"tpot|itl|inter_?tokens?_latency|time_per_(?:output_)?tokens?|decode_latency|per_tokens?_latency|"
               r"next_tokens?_latency",
    "latency_ms": r"latency|e2e|e2el|e2e_latency|end_to_end_latency|request_latency|total_latency",
    "iteration_time_s": r"(?:iteration|step|iter|train_step|batch)_time|time_per_(?:step|iteration|batch|iter)|"
                        r"step_duration",
    "time_to_train_min": r"time_to_train|ttt|training_time",
}  # fmt: skip
"""Times by what they are called without their unit."""

_UNITS = {"s": "s", "sec": "s", "seconds": "s", "ms": "ms", "us": "us", "min": "min", "minutes": "min", "h": "h",
          "hours": "h", "gb": "GB", "gib": "GiB", "mb": "MB", "mib": "MiB", "percent": "%", "": ""}  # fmt: skip
_MEMORY = (
    r"(?:peak_|max_)?(?:hbm_|accelerator_)?(?:peak_|max_)?(?:memory|mem|vram)(?:_(?:allocated|reserved|used|usage))?"
)
_WORDS = {
    "tok": "tokens", "toks": "tokens", "token": "tokens", "t": "tokens", "tk": "tokens", "tps": "tokens_per_s",
    "sec": "s", "second": "s", "gpu": "accelerator", "gpus": "accelerator", "chip": "accelerator",
    "device": "accelerator", "tpu": "accelerator", "req": "samples", "reqs": "samples", "request": "samples",
    "requests": "samples", "query": "samples", "queries": "samples", "qps": "samples_per_s", "rps": "samples_per_s",
    "img": "samples", "imgs": "samples", "image": "samples", "images": "samples", "frame": "samples",
    "frames": "samples", "seq": "samples", "seqs": "samples", "sequence": "samples", "sequences": "samples",
    "sentences": "samples", "sample": "samples", "ips": "samples_per_s", "input": "prefill", "prompt": "prefill",
    "generation": "decode", "gen": "decode", "milliseconds": "ms", "tflop": "tflops", "overall": "total",
}  # fmt: skip
_RATES = {
    r"(?:total_)?(?:output_)?(?:throughput_)?tokens_per_s(?:_total)?(?:_throughput)?": "tokens_per_s_total",
    r"output_(?:tokens_)?throughput": "tokens_per_s_total",
    r"(?:output_)?(?:throughput_)?tokens_per_s_per_accelerator": "output_tokens_per_s_per_gpu",
    r"(?:total_)?(?:throughput_)?samples_per_s(?:_total)?": "samples_per_s",
    r"samples_(?:throughput|rate)": "samples_per_s",
    r"(?:throughput_)?samples_per_s_per_accelerator": "samples_per_s_per_accelerator",
    r"prefill_(?:throughput_)?tokens_per_s|prefill_throughput": "prefill_tokens_per_s",
    r"decode_(?:throughput_)?tokens_per_s|decode_throughput": "decode_tokens_per_s",
    r"(?:output_)?tokens_per_s_per_user|tokens_per_s_user": "tokens_per_s_per_user",
}
_TRAINED = {
    "tokens_per_s_total": "total_tokens_per_s", "output_tokens_per_s_per_gpu": "tokens_per_s_per_accelerator",
}  # fmt: skip
"""Rates that are called alike in training, where each token counts."""
_ALL = r"(?:total|all)_tokens_(?:per_s|throughput)(?:_total)?|tokens_per_s_all"
"""Rates of a server that count prompts too: what benchmarks of servers print as total beside output tokens."""

_WRITTEN = "tokens_per_s_total"
_PROMPTS_TOO = re.compile(
    r"(?:^|;)\s*(?:total of |counts |counting )?(?:both )?(?:input|prompt)s?(?: tokens)? ?(?:and|\+|plus|&) ?"
    r"(?:output|generated|generation|completion|answer|decode)s?(?: tokens)?(?: together| counted| both)?\s*(?:;|$)",
    re.IGNORECASE,
)
"""What notes say where a rate counts prompts too: a clause that says nothing else."""
_BINARY = re.compile(r"(?:^|;)\s*GiB\b")
"""What notes say where memory is printed in GiB: a clause that begins with the unit, and not with another figure."""

_PERCENTILE = re.compile(r"(?:^|_)(p9\d(?:_\d+)?|p95|99th|95th|90th)(?:_|$)")
_MEAN = re.compile(r"^(?:mean|avg|average|median|p50)_|_(?:mean|avg|average|median|p50)(?=_|$)")


@attrs.frozen
class Reading:
    """How a metric is read.

    Parameters
    ----------
    name : str
        Key of :data:`mlsysim.records.measurement.METRICS`; empty where it is none.
    value : float
        In the unit of the metric; not a number where it is none.
    fault : str
        Why it cannot be read.
    told : str
        What was read otherwise than it stands.
    """

    name: str
    value: float = math.nan
    fault: str = ""
    told: str = ""


def read_metric(name: str, text: str, shape: str, notes: str = "") -> Reading:
    """Read a metric and its figure.

    Parameters
    ----------
    name, text : str
        As printed.
    shape : str
        Table: training, inference or kernels.
    notes : str
        What the row notes: rates that count prompts too, memory in GiB.

    Returns
    -------
    Reading
    """
    if not name:
        return Reading("", fault="it has no metric")
    known, unit = (name, METRICS[name].unit) if name in METRICS else _canonical(name, shape)
    if known == _WRITTEN and shape == "inference" and _PROMPTS_TOO.search(notes):
        known = _TRAINED[known]
    if name == "memory_gb" and _BINARY.search(notes):
        unit = "GiB"
    if known not in METRICS:
        return Reading("", fault=unit or f"no metric is called {name!r}. {did_you_mean(name, METRICS)}")
    wanted = METRICS[known].unit
    value, fault = figure_of(text, unit or wanted)
    if not fault and not unit and text.replace(",", "").strip()[-1:].isdigit():
        return Reading(known, fault=f"the metric {name!r} prints no unit, and neither does its value")
    if unit and unit != wanted and not fault:
        value = parse_quantity(f"{value!r} {unit}", wanted) / parse_unit(wanted).factor
    told = "" if known == name else f"the metric {name!r} as {known}"
    return Reading(known, value, fault, told)


def _folded(name: str) -> str:
    text = name.casefold().replace("%", " percent ").replace("/", " per ")
    words = [_WORDS.get(word, word) for word in re.split(r"[^a-z0-9]+", text) if word]
    folded = "_".join(words)
    return re.sub(r"(tokens|samples)_s(?=_|$)", r"\1_per_s", folded)


def _canonical(name: str, shape: str) -> tuple[str, str]:
    """Return a metric and the unit that its name prints, or nothing and a reason."""
    if shape == "kernels":
        return _of_kernel(name)
    folded = _folded(name)
    if _PERCENTILE.search(folded):
        return "", f"{name}: only means are answered, not percentiles"
    folded = _MEAN.sub("", folded)
    if folded in ("ms_per_tokens", "ms_per_output_tokens"):
        return "tpot_ms", "ms"
    if re.fullmatch(r"(ms|s)_per_(step|iteration|iter|batch)", folded):
        return "iteration_time_s", folded.split("_")[0]
    for known, called in (*_TIMES.items(), ("memory_gb", _MEMORY), ("mfu", "mfu"), ("hfu", "hfu")):
        found = re.fullmatch(rf"(?:{called})(?:_(?:per_accelerator|in))?(?:_([a-z]+))?", folded)
        if found is not None and (found[1] or "") in _UNITS:
            unit = _UNITS[found[1] or ""]
            return known, unit or ("1" if known in ("mfu", "hfu") else "")
    if re.fullmatch(r"power(?:_draw)?(?:_w|_watts)?_per_accelerator(?:_w|_watts)?", folded):
        return "power_w_per_accelerator", "W"
    if re.fullmatch(r"(?:model_|achieved_)?tflops(?:_per_s)?(?:_per_accelerator)?(?:_per_s)?", folded):
        return "model_tflops_per_accelerator", "TFLOP/s"
    return _rate(name, folded, shape)


def _rate(name: str, folded: str, shape: str) -> tuple[str, str]:
    if re.fullmatch(_ALL, folded):
        return "total_tokens_per_s", "token/s"
    for called, known in _RATES.items():
        if re.fullmatch(called, folded):
            meant = _TRAINED.get(known, known) if shape == "training" else known
            return meant, METRICS[meant].unit
    if folded in ("throughput", "total_throughput", "speed", "performance"):
        return "", f"the metric {name!r} does not say what it counts. Say tokens_per_s_total or samples_per_s"
    return "", ""


def _of_kernel(name: str) -> tuple[str, str]:
    """Return the metric of a kernel, by the unit that its name is or ends with."""
    folded = re.sub(r"\s*\((.*)\)", r"_\1", name.strip()).replace(" ", "_").replace("μ", "u").replace("µ", "u")
    head, _, tail = folded.rpartition("_")
    bus = re.match(r"(?i)(bus_?(?:bw|bandwidth)|alg_?(?:bw|bandwidth))", folded)
    unit = {"gb/s": "GB/s", "tflops": "TFLOP/s", "us": "us", "ms": "ms", "s": "s"}.get(
        tail.casefold(), re.sub(r"(?i)flops?(/s)?$", "FLOP/s", tail)
    )
    if bus is not None:
        try:
            parse_quantity(f"1 {unit}", "GB/s")
        except UnitError:
            return f"{bus[1][:3].casefold()}bw_GB/s" if folded == bus[1] else "", ""
        return f"{bus[1][:3].casefold()}bw_GB/s", unit
    if head.casefold() in ("", "achieved", "latency", "time", "kernel_time", "bandwidth", "memory_bandwidth",
                           "throughput", "gemm", "compute", "copy_bandwidth", "triad"):  # fmt: skip
        for known in ("TFLOP/s", "GB/s", "latency_us"):
            try:
                parse_quantity(f"1 {unit}", METRICS[known].unit)
            except UnitError:
                continue
            return known, unit
    return "", ""
