"""How a row of the serving table divides a model over its devices."""

from __future__ import annotations

import attrs

from mlsysim.records import Parallelism, Pool, Pools
from mlsysim.records.measurement import Measurement

from ..questions import Assumed, Refused
from ..runs import Workers
from .common import cell
from .recipes import Recipe

__all__ = ["scripted_layout", "served_layout", "served_pools"]

_SQUARED = 0.1
"""How far a layout that is read otherwise than it is printed may move a figure (natural-log units; estimate)."""

_PLACES = 0.5
"""How far unknown places of workers that decode may move the time to first token (natural-log units; estimate)."""


def served_layout(row: Measurement, pool: str, assumed: list[Assumed]) -> Parallelism:
    """Return the layout of a server, or of one worker of a pool.

    Parameters
    ----------
    row : Measurement
        The row.
    pool : str
        What the names of its columns begin with: empty, ``prefill_`` or ``decode_``.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Parallelism

    Raises
    ------
    Refused
        If the printed degrees contradict each other.

    Notes
    -----
    Some rows print degrees that were multiplied once too often. Where a row prints as many devices or copies of
    attention as the product of two equal degrees of the experts, two measurements were published twice, once so
    and once with the root of it, and 64 devices are none that the benchmark's server of eight could have; it was
    started with one number of devices for attention and for experts (``--tp_size=$TP --ep_size=$EP_SIZE``,
    benchmarks/dsr1_fp4_b200_trt.sh and gptoss_fp4_b200_trt.sh of InferenceX).
    Where vLLM prints the tensor degree a second time as copies of attention, the benchmark started it without any
    (``--tensor-parallel-size=$TP --enable-expert-parallel``, benchmarks/single_node/minimaxm2.5_fp8_b200.sh and
    minimaxm2.5_fp8_h100.sh).
    """
    names = ("tp_size", "pp_size", "attention_dp_size", "moe_tp_size", "moe_ep_size")
    tensor, pipeline, attention, columns, expert = (_degree(row, pool + name) for name in names)
    printed = bool(cell(row, f"{pool}attention_dp_size"))
    if printed and 1 < columns == expert and columns * expert == attention * tensor and 1 in (attention, tensor):
        copied = attention > 1
        what = "copies of attention" if copied else "tensor-parallel devices"
        assumed.append(Assumed(f"{columns} {what} share the experts, of which the row prints the square", _SQUARED))
        return Parallelism(
            attention=columns if copied else 1, tensor=1 if copied else columns, pipeline=pipeline, expert=columns
        )
    if attention == 1:
        return Parallelism(tensor=tensor, pipeline=pipeline, expert=expert)
    if attention == tensor and expert == tensor * attention:
        assumed.append(Assumed(f"experts on {tensor} tensor-parallel devices, of which the row prints the square",
                               _SQUARED))  # fmt: skip
        return Parallelism(tensor=tensor, pipeline=pipeline, expert=tensor)
    if columns * expert != attention * tensor:
        raise Refused(
            f"{attention} copies of attention on {tensor} devices each cannot share experts over {columns} x {expert}"
        )
    return Parallelism(attention=attention, tensor=tensor, pipeline=pipeline, expert=expert)


def scripted_layout(recipe: Recipe, printed: Parallelism, assumed: list[Assumed]) -> Parallelism:
    """Return the layout of a server whose start script shares experts or attention, though the row prints neither.

    Parameters
    ----------
    recipe : Recipe
        What the script says.
    printed : Parallelism
        As the row prints it.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Parallelism
    """
    devices = printed.tensor
    if devices == 1 or not (recipe.experts or recipe.attention):
        return printed
    what = "experts and copies of attention" if recipe.attention else "experts"
    assumed.append(
        Assumed(f"{what} on {devices} devices, as the benchmark's script says: the row prints neither", 0.05)
    )
    copies = devices if recipe.attention else 1
    return attrs.evolve(printed, attention=copies, tensor=devices // copies, expert=devices if recipe.experts else 1)


def served_pools(row: Measurement, workers: Workers | None, assumed: list[Assumed]) -> Pools:
    """Return the pools of a server that reads prompts and writes answers on devices of their own.

    Parameters
    ----------
    row : Measurement
        The row.
    workers : Workers or None
        Limits of the workers, where a benchmark's recipe tells them.
    assumed : list of Assumed
        Gets what is assumed.

    Returns
    -------
    Pools

    Raises
    ------
    Refused
        If the printed degrees contradict each other.

    Notes
    -----
    Printed batches of workers that decode are the clients of a worker, not the requests that it takes: with more
    clients than places the difference is most of the time to first token.
    """
    pools: dict[str, Pool] = {}
    if workers is None:
        assumed.append(Assumed("workers that decode take all clients: their recipe was not read", _PLACES))
    for name in ("prefill", "decode"):
        layout = served_layout(row, f"{name}_", assumed)
        batch, tokens = _degree(row, f"{name}_batch_size"), 0
        if workers is not None:
            batch, tokens = (workers.requests, 0) if name == "decode" else (workers.prompts, workers.tokens)
        pools[name] = Pool(
            workers=_degree(row, f"{name}_num_workers"), max_batch=batch, max_tokens=tokens,
            devices=layout.attention * layout.tensor * layout.pipeline, parallelism=layout,
        )  # fmt: skip
    return Pools(prefill=pools["prefill"], decode=pools["decode"])


def _degree(row: Measurement, name: str) -> int:
    text = cell(row, name)
    return int(text) if text.isdigit() and int(text) else 1
