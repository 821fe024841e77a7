"""What the columns of a case say: number formats, abilities of the stack, and its hold on memory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.numeric import only, sqrt
from mlsysim.tracing import named

from ...formulas.memory import weight_bytes
from ...formulas.serving import bucket_tokens
from ...lowering.attention import Abilities, outer_parameters
from ...lowering.encoder_decoder import EncoderDecoderShape
from ...lowering.operators import Formats, Table
from ...lowering.shape import TransformerShape, by_heads
from .engine import Totals, timed
from .machine import Machine
from .memory import Demand, fit
from .remembering import remembered
from .sequences import Room
from .settling import settle

__all__ = [
    "abilities_of", "feasibility", "fixed_bytes", "formats_of", "is_once", "later", "read_before",
    "read_tokens", "repeated", "room_of", "run_part", "turned", "weights_of",
]  # fmt: skip

Columns = Mapping[str, Any]


def formats_of(columns: Columns) -> Formats:
    """Return the number formats of a case.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    Formats
    """
    c = columns
    return Formats(
        c["weight_width"], c["operand_width"], c["activation_width"], c["kv_width"], c["flop_per_mac"],
        c.get("outer_width"), c.get("head_width"), bool(c.get("narrow_products")), c.get("block_casts", 0.0),
        c.get("grouped_share", 1.0),
    )  # fmt: skip


def weights_of(columns: Columns, shape: Any, share: Any = 1.0) -> Any:
    """Return the memory of a model's weights, or of one device's part of them.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    shape : object
        The model, or the part.
    share : float or array, ratio
        Layers of the part over those of the model, whose ends count as evenly spread.

    Returns
    -------
    float or array, B
        What stays in 16 bits beside narrower weights counts so.
    """
    weights = weight_bytes(shape.parameters, columns["weight_width"])
    if "outer_width" in columns:
        wide = outer_parameters(shape)
        weights = weights + weight_bytes(wide, columns["outer_width"] - columns["weight_width"])
    if "head_width" not in columns:
        return weights
    wider = columns["head_width"] - columns["weight_width"]
    return weights + weight_bytes(share * columns["head_copies"] * shape.vocab * shape.hidden, wider)


def abilities_of(columns: Columns) -> Abilities:
    """Return what the stack can do for the model of a case.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.

    Returns
    -------
    Abilities
    """
    features, shape = columns["features"], columns["shape"]
    shared = features.shared_kv
    if isinstance(shape, EncoderDecoderShape):
        shape = shape.decoder
    if shared and features.shared_kv_groups and isinstance(shape, TransformerShape):
        groups = features.shared_kv_groups
        shared = all(round(part.heads / part.kv_heads) in groups for part in by_heads(shape))
    return Abilities(
        features.fused_attention,
        shared,
        features.fused_elementwise,
        columns["reread_ratio"],
        columns.get("pass_tokens"),
        columns["expands"],
        features.staged_softmax,
        features.eager_scores,
        features.casts_scores,
        features.one_by_one,
        features.joins_cache,
        columns["unpacks"],
        columns["narrows"],
    )


def feasibility(columns: Columns, demand: Demand, weights: Any, *, within: Any = True) -> dict[str, Any]:
    """Hold the demand against memory, and weights read in place against storage.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    demand : Demand
        What has to fit one device.
    weights : float or array, B
        Its weights.
    within : bool or array of bool
        Whether the workload respects limits other than memory.

    Returns
    -------
    dict of str to number
    """
    answers = fit(demand, columns["capacity"], columns["utilisation"], weights, columns.get("storage"), within)
    share = columns["reserve"] / demand.required
    answers["feasibility.memory_required.log_sd"] = share * sqrt(columns["var_reserve"])
    return answers


def fixed_bytes(columns: Columns, weights: Any) -> Any:
    """Return the memory that does not depend on the batch.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    weights : float or array, B
        Weights of one device.

    Returns
    -------
    float or array, B
    """
    return columns["reserve"] if "storage" in columns else weights + columns["reserve"]


def later(totals: Totals, wait: Any) -> Totals:
    """Return what a table takes with a time in which the device waits.

    Parameters
    ----------
    totals : Totals
        What it takes.
    wait : float or array, s
        The time.

    Returns
    -------
    Totals
    """
    return totals._replace(time=totals.time + wait, overhead=totals.overhead + wait)


def turned(columns: Columns, totals: Totals) -> Totals:
    """Return a pass with the time in which the device waits for the host of a compiled program.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    totals : Totals
        What the pass takes.

    Returns
    -------
    Totals
    """
    return later(totals, named(columns["turn"], "turn of the host")) if "turn" in columns else totals


def read_tokens(columns: Columns, tokens: Any) -> Any:
    """Return the tokens that a pass over a prompt computes: those of the length that was compiled for it.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    tokens : float or array, token
        Tokens of the prompt.

    Returns
    -------
    float or array, token
    """
    return bucket_tokens(tokens, columns["bucket"]) if "bucket" in columns else tokens


def is_once(times: Any) -> bool:
    """Tell whether something is known to happen exactly once.

    Parameters
    ----------
    times : float or array, count
        How often.

    Returns
    -------
    bool
    """
    return type(times) is float and times == 1.0


def read_before(totals: Totals, tokens: Any) -> Totals:
    """Return a pass over prompts, which does not take place where a prompt is a single token.

    Parameters
    ----------
    totals : Totals
        What the pass takes.
    tokens : float or array, token
        Tokens of a prompt.

    Returns
    -------
    Totals
    """
    return Totals(*(only(tokens > 1.0, part) for part in totals))


def repeated(totals: Totals, times: Any, name: str) -> Totals:
    """Return a table run several times, one of which goes by a name.

    Parameters
    ----------
    totals : Totals
        What it takes once.
    times : float or array, count
        How often.
    name : str
        What one run is called in an explanation.

    Returns
    -------
    Totals
    """
    if is_once(times):
        return totals
    return Totals(*(times * part for part in totals._replace(time=named(totals.time, name))))


def room_of(columns: Columns, weights: Any) -> Room:
    """Return the memory and the formats of a device that generates text.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    weights : float or array, B
        Weights of one device.

    Returns
    -------
    Room
    """
    c = columns
    return Room(
        fixed_bytes(c, weights), c["capacity"] * c["utilisation"], c["activation_width"], c["kv_width"],
        0.0 if "place" in c else c["full_width"], c.get("pass_tokens", c["prefill_tokens"]),
        c["features"].fused_attention, "pass_tokens" in c,
    )  # fmt: skip


def run_part(columns: Columns, part: str, table: Callable[[], Table], machine: Machine) -> Totals:
    """Lower and time one table of a case; the lowering is remembered, since rates do not change it.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    part : str
        Which table of the case.
    table : callable
        Lowers it.
    machine : Machine
        Rates.

    Returns
    -------
    Totals
    """
    return timed(remembered(columns, part, lambda: settle(table(), machine)), machine)
