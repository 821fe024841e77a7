"""How published measurements of servers were taken, where a row prints none of it: lengths, limits and waits.

Two benchmarks stand behind the rows, and the scripts of both are public: InferenceMAX (now InferenceX,
https://github.com/SemiAnalysisAI/InferenceX), which dates its runs, and the runs by which aiconfigurator checks itself
(https://github.com/ai-dynamo/aiconfigurator). What follows is what those scripts say; nothing of it was chosen
by what was measured.
"""

from __future__ import annotations

import math
from typing import Any

import attrs

from mlsysim.records.measurement import Measurement

from .common import cell, whole

__all__ = ["Recipe", "recipe_of"]

_LENGTHS = frozenset({(1024, 1024), (1024, 8192), (8192, 1024)})
"""Prompts and answers of InferenceMAX (README, Benchmark Client Configuration)."""

_SHORTEST = 0.8
"""Shortest length over the printed one: RANDOM_RANGE_RATIO in .github/workflows/benchmark-tmpl.yml of InferenceX; its
client draws whole lengths uniformly between both (utils/bench_serving, sample_random_requests)."""

_WARMED = "2026-01-21"
"""From when the client of InferenceX sends requests that do not count before those that do (--num-warmups)."""

_CONFIGURED = "2025-11-03"
"""From when configurations of InferenceX, which rows print, tell how experts and attention are shared; before, the
scripts of DeepSeek for TensorRT-LLM did."""

_GRAPHS = 2048
"""max-cudagraph-capture-size in scripts of InferenceX for vLLM: gptoss_fp4_h100_docker.sh from 2025-12-05,
gptoss_fp4_b200.sh of 2026-02, minimaxm2.5_fp8_b200.sh and minimaxm2.5_fp4_b200.sh from 2026-04-03."""

_SPARE = 1500
"""Tokens of a pass beside a prompt and a token for each place: agg max_num_tokens in
src/aiconfigurator/generator/rule_plugin/benchmark of aiconfigurator, before 2026-03."""

_EACH = 10
"""Requests that a benchmark's client sends for each that it keeps in flight (InferenceX, --num-prompts
$((CONC * 10))). The times of a row are means over them: of medians, the first wave would be no part."""

_TWICE, _MOST = 20, 2000
"""Requests for each client, and in all at most, of rows without a date that another engine than vLLM gave. A mean of
times in whole nanoseconds over n requests is a multiple of 1/n nanoseconds: the printed digits of those rows are
multiples of 1/(20 c), and with 128 clients of 1/2000, hardly any of 1/(10 c); those of vLLM are all of 1/(10 c)."""


@attrs.frozen
class Recipe:
    """What a benchmark's scripts say of a row.

    Parameters
    ----------
    mean, variation : float, ratio
        Mean of the lengths over the printed ones, and their standard deviation over that mean.
    tokens : int, token
        Tokens of a pass at most; 0 where the scripts leave that to the stack.
    hold : int
        Passes for which new prompts are held back at most, so that more of them are read together.
    interval : int
        Passes that decode between two looks at what has come; 0 and 1 look before each.
    cold : bool
        Whether nothing was sent before the requests that count, to a stack that compiles kernels on first use.
    requests : int, count
        Requests over which the times of the row are means.
    experts, attention : bool
        Whether the script shares the experts among all devices, and gives each a copy of attention, whatever the row
        prints.
    replayed : int, token
        Tokens up to which a pass that reads prompts replays a graph; 0 where the scripts leave that to the stack.
    memory : float, ratio
        Share of a device's memory for weights and cache; 0 where the scripts leave that to the stack.
    overlap : bool
        Whether the server puts a pass together while the one before runs, though its stack says nothing of it.
    together : int, token
        Tokens that the server sends in one message; 0 where the scripts leave that to the stack.
    """

    mean: float = 1.0
    variation: float = 0.0
    tokens: int = 0
    hold: int = 0
    interval: int = 0
    cold: bool = False
    requests: int = 0
    experts: bool = False
    attention: bool = False
    replayed: int = 0
    memory: float = 0.0
    overlap: bool = False
    together: int = 0


def recipe_of(row: Measurement, clients: int) -> Recipe:
    """Return how a row of the serving table was taken.

    Parameters
    ----------
    row : Measurement
        The row.
    clients : int, count
        Requests that the client keeps in flight.

    Returns
    -------
    Recipe
    """
    lengths = whole(row, "isl") or 0, whole(row, "osl") or 0
    if not cell(row, "measured") or lengths not in _LENGTHS:
        return Recipe(tokens=_configured(row, lengths[0], clients), requests=_counted(row, clients))
    mean = 0.5 * (1.0 + _SHORTEST)
    found = Recipe(mean, (1.0 - _SHORTEST) / math.sqrt(12.0) / mean, requests=_EACH * clients)
    limits = {"trtllm": _tensorrt, "vllm": _vllm, "sglang": _sglang}.get(cell(row, "backend"))
    return attrs.evolve(found, **limits(row, *lengths, clients)) if limits else found


def _counted(row: Measurement, clients: int) -> int:
    """Return the requests of a run of aiconfigurator."""
    if cell(row, "measured") or cell(row, "backend") == "vllm":
        return _EACH * clients
    return min(_TWICE * clients, max(clients, _MOST))


def _configured(row: Measurement, input_: int, clients: int) -> int:
    """Return the tokens of a pass that aiconfigurator sets; for SGLang it sets none."""
    if cell(row, "backend") == "sglang":
        return 0
    return (whole(row, "batch_size") or clients) + input_ + _SPARE


def _tensorrt(row: Measurement, input_: int, output: int, clients: int) -> dict[str, Any]:
    """Read 70b_fp8_b200_trt, gptoss_fp4_b200_trt, dsr1_fp8_b200_trt, dsr1_fp4_b200_trt of InferenceX."""
    model = cell(row, "model_path")
    if "Llama-3.1-70B" in model:
        held = (input_, output) == (1024, 1024) and (whole(row, "tp_size") or 1) < 8
        return {"tokens": 16384, "hold": 20 if held else 0, "together": 10}
    if "gpt-oss" in model:
        return {"tokens": 20000, "together": 20}
    if "DeepSeek" in model:
        dated, wide = cell(row, "measured"), cell(row, "precision") == "fp8"
        held = wide and (input_, output) == (1024, 1024) and clients >= 64 and dated >= _WARMED
        tokens = -(-(clients + input_ + 64) // 64) * 64
        shared = _shared(wide, whole(row, "tp_size") or 1, input_, output, clients) if dated < _CONFIGURED else {}
        # The floor came with the evaluations (scripts of 2026-01-21).
        return {
            "tokens": tokens if dated < _WARMED else max(8192, tokens),
            "hold": 40 if held else 0,
            "together": 10,
        } | shared
    return {}


def _shared(wide: bool, tensor: int, input_: int, output: int, clients: int) -> dict[str, bool]:
    """Read EP_SIZE and DP_ATTENTION in dsr1_fp8_b200_trt_slurm.sh and dsr1_fp4_b200_trt_slurm.sh as of 2025-11-02."""
    long_prompt, long_answer = input_ > output, output > input_
    if wide:
        return {"experts": True, "attention": clients > (64 if long_prompt or long_answer else 32)}
    if long_prompt:
        return {"experts": clients > 32, "attention": clients > 32}
    least = 32 if tensor == 4 else (16 if long_answer else 8)
    return {"experts": clients > least, "attention": clients >= 256}


def _vllm(row: Measurement, input_: int, _: int, __: int) -> dict[str, Any]:
    """Read minimaxm2.5_fp8_b200, minimaxm2.5_fp4_b200, gptoss_fp4_b200, gptoss_fp4_h100; others leave it to vLLM.

    Scripts of 2025 say ``async-scheduling: true``; later ones leave that out, of versions that do so anyway (0.14 and
    later: pull request 31998 of vLLM and issue 3833 of deepjavalibrary/djl).
    """
    found: dict[str, Any] = {"overlap": True}
    model, device, dated = (cell(row, name) for name in ("model_path", "system", "measured"))
    if "gpt-oss" in model:
        return found | ({"replayed": _GRAPHS} if dated >= "2025-12-05" else {})
    if "MiniMax" not in model or "b200" not in device:
        return found
    told = {"tokens": 2 * input_, "replayed": _GRAPHS} if dated >= "2026-04-03" else {"memory": 0.95}
    return found | told


def _sglang(row: Measurement, _: int, __: int, clients: int) -> dict[str, Any]:
    """Read dsr1_fp4_b200 and dsr1_fp8_b200 under benchmarks/ of InferenceX."""
    if "DeepSeek" not in cell(row, "model_path"):
        return {}
    wide, cold = cell(row, "precision") == "fp8", cell(row, "measured") < _WARMED
    if wide and whole(row, "tp_size") == 4:
        return {"tokens": 8192, "interval": 10, "cold": cold, "memory": 0.95}
    limits: dict[str, Any] = {"tokens": 32768, "memory": 0.82} if wide else {"tokens": 16384, "memory": 0.85}
    return limits | {"interval": 30 if clients >= 16 else 10, "cold": cold}
