"""The passes of an engine that batches in flight: what each computes, says to other devices and takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from mlsysim.numeric import is_array, maximum, only, sqrt
from mlsysim.tracing import named

from ...formulas.elementwise import stream_bytes
from ...formulas.uncertainty import divided_variance
from ...lowering.expert_parallel import spread
from ...lowering.operators import ONCE, Table, stream
from ...lowering.serving import first_pass, next_token
from ...lowering.shape import TransformerShape
from ...lowering.transformer import PrefillChunk, mixed
from ..device.answers import decoding, log_sd, machine_of, replaying
from ..device.arrays import level
from ..device.cases import abilities_of, formats_of, is_once, later, read_tokens, run_part, turned
from ..device.engine import Totals, timed
from ..device.machine import Machine
from ..device.remembering import remembered
from ..device.settling import settle
from .attention_copies import own_prompts, own_requests
from .copies import Place, place_of, spread_of, summed, through, within_layers

__all__ = ["Engine", "Pass", "decoding_pass", "engine_of", "joined", "reading_pass", "spread_of_pass"]

Columns = Mapping[str, Any]

SHARED_KERNELS = 4.0
"""Kernels of shared experts in a layer: two products, the activation function between them, and the sum with what the
routed experts give."""


class Engine(NamedTuple):
    """What runs the passes of one copy of a model.

    Parameters
    ----------
    columns : mapping of str to number or object
        All columns.
    place : Place or None
        Where the parts of the model lie; None on one device.
    machine, replay : Machine
        Rates of passes that the host launches, and of those that are replayed.
    """

    columns: Columns
    place: Place | None
    machine: Machine
    replay: Machine

    def brief(self) -> Engine:
        """Return an engine that tells only how long its passes take.

        Returns
        -------
        Engine
        """
        return self._replace(machine=self.machine._replace(brief=True), replay=self.replay._replace(brief=True))


class Pass(NamedTuple):
    """One pass, or several together.

    Parameters
    ----------
    time, talk : float or array, s
        What it takes, and communication in it.
    totals : Totals
        What one device computes.
    """

    time: Any
    talk: Any
    totals: Totals


def engine_of(c: Columns) -> Engine:
    """Return what runs the passes of a case.

    Parameters
    ----------
    c : mapping of str to number or object
        All columns.

    Returns
    -------
    Engine
    """
    machine = machine_of(c)
    return Engine(c, place_of(c) if "tensor" in c else None, machine, replaying(c, machine))


def decoding_pass(engine: Engine, requests: Any, active: Any) -> Pass:
    """Return a pass that decodes one token of each request.

    Parameters
    ----------
    engine : Engine
        What runs it.
    requests : float or array, count
        Requests.
    active : float or array, count
        Batches that the stages of a pipeline work on in turn.

    Returns
    -------
    Pass
    """
    requests = level(requests)
    c = {**engine.columns, "decoding": requests}
    shape, own = _own(engine), own_requests(_sharing(engine), requests)
    totals = run_part(
        c, "decoding pass",
        lambda: _met(
            engine,
            next_token(shape, formats_of(c), abilities_of(c), own, c["input"], c["long_output"]) + _sampled(c, own),
            requests,
        ),
        decoding(c, engine.replay, requests),
    )  # fmt: skip
    done = _placed(engine, totals, requests, requests, active, own)
    if c.get("eager"):
        kernels = totals.overhead / engine.replay.overhead + _unseen(engine, shape)
        done = _launched(done, kernels * c["launch"])
    return _stepped(c, done, own, active)


def reading_pass(engine: Engine, requests: Any, tokens: Any, active: Any) -> Pass:
    """Return a pass that reads prompts, and decodes one token of each of some requests.

    Parameters
    ----------
    engine : Engine
        What runs it.
    requests : float or array, count
        Requests that decode; 0 for a pass that only reads.
    tokens : float or array, count
        Prompt tokens.
    active : float or array, count
        Batches that the stages of a pipeline work on in turn.

    Returns
    -------
    Pass
    """
    requests, tokens = level(requests), level(tokens)
    c = {**engine.columns, "decoding": requests}
    if "bucket" in c:
        # Each prompt is filled up to a length that was compiled.
        each = c["input"] * (1.0 - c["cached"])
        filled = read_tokens(c, each) / each
        tokens, c["input"] = filled * tokens, filled * c["input"]
    c["reading"] = tokens
    shape = _own(engine)
    sharing = _sharing(engine)
    own, reading = own_requests(sharing, requests), _reading(c, own_prompts(c, sharing, tokens))
    launch = c.get("launch")
    # Of what is launched ahead of the device, only what passes on the device adds up.
    machine = engine.machine if launch is None else engine.replay
    table = remembered(
        c, "reading pass",
        lambda: settle(_met(
            engine, _table(c, shape, own, reading) + _sampled(c, own + reading.prompts), requests + tokens
        ), machine),
    )  # fmt: skip
    done = _placed(
        engine, timed(table, machine), requests + tokens, requests + reading.prompts, active, own + reading.tokens
    )
    if launch is not None:
        issued = (sum(row.count * row.kernels for row in table) + _unseen(engine, shape)) * launch
        done = _launched(done, only(requests + tokens > c["replayed"], issued))
    return _stepped(c, done, own + reading.prompts, active)


def _unseen(engine: Engine, shape: Any) -> Any:
    """Return the kernels that a host launches beside those that take time of their own on the device.

    Shared experts run beside the routed ones, and collectives count with their own start; the host waits for neither,
    but it launches both, one after the other.
    """
    if not isinstance(shape, TransformerShape):
        return 0.0
    beside = 0.0
    if shape.expert_layers and (is_array(shape.shared_ffn) or shape.shared_ffn):
        beside = SHARED_KERNELS * shape.expert_layers
    place = engine.place
    if place is None:
        return beside
    devices = place.tensor.size if place.sharing is None else place.sharing.devices
    sums = shape.sums * shape.layers
    return beside + only(devices > 1.0, sums + 0.0 * devices)


def _launched(done: Pass, issued: Any) -> Pass:
    """Return a pass that waits for the host where that launches kernels more slowly than they run."""
    late = named(maximum(0.0, issued - done.time), "waiting for the host")
    return done._replace(time=done.time + late, totals=later(done.totals, late))


def _stepped(c: Columns, done: Pass, requests: Any, active: Any) -> Pass:
    """Return a pass with what the host does for each of its requests before the next one starts."""
    if "step_request" not in c:
        return done
    # Batches that stages work on in turn hide it behind each other.
    between = only(active <= 1.0, named(c["step_request"] * requests, "host between passes"))
    return done._replace(time=done.time + between, totals=later(done.totals, between))


def _own(engine: Engine) -> Any:
    return engine.columns["shape"] if engine.place is None else engine.place.shape


def _sharing(engine: Engine) -> Any:
    return None if engine.place is None else engine.place.sharing


def _met(engine: Engine, table: Table, tokens: Any) -> Table:
    """Return a table in which the tokens of all copies of attention meet in the experts, where it is copied."""
    sharing, shape = _sharing(engine), _own(engine)
    if engine.place is not None and isinstance(shape, TransformerShape):
        table = summed(engine.columns, shape, table)
    if sharing is None:
        return table
    return spread(table, _own(engine), formats_of(engine.columns), abilities_of(engine.columns), sharing, tokens)


def _reading(c: Columns, tokens: Any) -> PrefillChunk:
    """Return the prompts of a pass: long ones have more pairs, and what is cached is seen without being read."""
    input_, cached = c["input"], c["cached"]
    length = input_ * (1.0 + c["input_variation"] * c["input_variation"])
    prompts = tokens / (input_ * (1.0 - cached))
    # Of the pairs of a prompt, those among cached tokens are not formed.
    return PrefillChunk(tokens, prompts, prompts * (1.0 - cached * cached) * (input_ / length), length)


def _sampled(c: Columns, rows: Any) -> Table:
    """Return the choice of a token for each of some rows: every device looks at the whole vocabulary."""
    if "sampling" not in c:
        return []
    return [stream("sampling", ONCE, stream_bytes(rows, c["shape"].vocab, c["sampling"]))]


def _table(c: Columns, shape: Any, requests: Any, reading: PrefillChunk) -> Any:
    formats, abilities = formats_of(c), abilities_of(c)
    if isinstance(shape, TransformerShape):
        return mixed(shape, formats, abilities, requests, c["input"], c["long_output"], reading)
    # A state is carried from token to token: prompts and answers run one after the other.
    read = first_pass(shape, formats, abilities, reading.prompts, c["input"] * (1.0 - c["cached"]))
    return read + next_token(shape, formats, abilities, requests, c["input"], c["long_output"])


def _placed(engine: Engine, totals: Totals, rows: Any, last: Any, active: Any, own: Any) -> Pass:
    place, c = engine.place, engine.columns
    if place is None:
        totals = turned(c, totals)
        return Pass(totals.time, 0.0, totals)
    within = within_layers(c, place, rows, last, own)
    one, slowest = through(c, place, totals.time, within, own)
    # A batch waits for its last stage, and for the other batches in flight where they take longer.
    time = one if is_once(c["pipeline"]) else maximum(one, active * slowest)
    done = Pass(time, named(time - totals.time * (time / one), "communication"), totals)
    return done._replace(time=time + c["turn"], totals=turned(c, totals)) if "turn" in c else done


def joined(first: Pass, times: Any, second: Pass, others: Any) -> Pass:
    """Return some passes of one kind and some of another.

    Parameters
    ----------
    first, second : Pass
        The passes.
    times, others : float or array, count
        How many of either.

    Returns
    -------
    Pass
    """

    def _sum(one: Any, other: Any) -> Any:
        # What neither has is 0 for all rows alike.
        return 0.0 if type(one) is type(other) is float and one == other == 0.0 else times * one + others * other

    totals = Totals(*map(_sum, first.totals, second.totals))
    return Pass(_sum(first.time, second.time), _sum(first.talk, second.talk), totals)


def spread_of_pass(engine: Engine, done: Pass) -> Any:
    """Return the spread of the logarithm of the time of passes.

    Parameters
    ----------
    engine : Engine
        What ran them.
    done : Pass
        The passes.

    Returns
    -------
    float or array, natural-log units
    """
    if engine.place is None:
        return log_sd(engine.columns, done.totals)
    c, sharing = engine.columns, engine.place.sharing
    spread = spread_of(c, done.totals, done.time, done.talk)
    devices = (c["tensor"] if sharing is None else sharing.devices) * c["pipeline"]
    return sqrt(spread * spread + divided_variance(c["var_layout"], devices))
