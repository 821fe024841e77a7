"""Layer D: how a job is divided over devices, and pools of devices that share its phases."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import setting

__all__ = ["Parallelism", "Pool", "Pools"]


@attrs.frozen
class Parallelism:
    """How the work is divided; data x attention x tensor x pipeline x context is the number of devices.

    Parameters
    ----------
    data, tensor, pipeline, context, expert : int, count
        Degrees. Expert parallelism lives inside the data- and context-parallel group in training; in serving inside
        the ``attention`` x ``tensor`` devices that share the layers of one copy of the model, of which those beyond
        ``expert`` divide each expert by columns.
    attention : int, count
        Copies of attention in one copy of the model that is served (attention data parallelism): each has requests
        and a key-value cache of its own, and all of them share the experts, or the MLP of a model without experts.
    micro_batch : int, sample
        Samples that pass a pipeline stage together; 0 takes all samples of a data-parallel rank.
    virtual : int, count
        Model chunks per pipeline stage; more than 1 interleaves them.
    schedule : str
        Order of micro-batches: 1f1b, gpipe, zero-bubble-h1 or zero-bubble-h2.
    sequence : bool
        Divide norms and their activations over the tensor-parallel group as well.
    zero : int, stage
        What the data-parallel group divides: 0 nothing, 1 optimizer states, 2 gradients too, 3 parameters too
        (fully sharded data parallelism).
    shard : int, count
        Devices of a group over which stages 1 to 3 divide; the groups are copies of each other (hybrid
        sharding). 0 takes the whole data-parallel group.
    reshard : bool
        Whether stage 3 drops a layer's parameters after its forward pass and gathers them again.
    context_kind : str
        How context parallelism works: ring passes keys and values on, all-to-all trades tokens for heads.
    exchange : str
        How tokens go to their experts: all-to-all sends every copy on its own; merged sends one copy to each node, from
        where it goes on. Empty follows the stack.
    overlap_expert : bool or None
        Whether that runs beside the passes of another micro-batch. None follows the stack.
    placement : str
        Dimensions from the nearest devices to the farthest.
    """

    data: int = setting("1", default=1)
    tensor: int = setting("1", default=1)
    pipeline: int = setting("1", default=1)
    context: int = setting("1", default=1)
    expert: int = setting("1", default=1)
    attention: int = setting("1", default=1)
    micro_batch: int = setting("sample", default=0, zero=True)
    virtual: int = setting("1", default=1)
    schedule: Literal["1f1b", "gpipe", "zero-bubble-h1", "zero-bubble-h2"] = "1f1b"
    sequence: bool = False
    zero: Literal[0, 1, 2, 3] = 0
    shard: int = setting("1", default=0, zero=True)
    reshard: bool = True
    context_kind: Literal["ring", "all-to-all"] = "ring"
    exchange: Literal["", "all-to-all", "merged"] = ""
    overlap_expert: bool | None = None
    placement: str = "tensor, context, data, pipeline"

    @property
    def degrees(self) -> int:
        """Number of devices that the degrees multiply to."""
        return self.data * self.attention * self.tensor * self.pipeline * self.context


@attrs.frozen
class Pool:
    """Workers that do one phase of serving; each is a copy of the model on devices of its own.

    Parameters
    ----------
    workers : int, count
        How many.
    devices : int, count
        Devices of one worker.
    max_batch : int, sample
        Requests that one copy of attention of a worker works on at most; 0 takes that of the workload, and one prompt
        at a time in the pool that reads.
    max_tokens : int, token
        Tokens of one pass of it at most; 0 takes those of the workload.
    parallelism : Parallelism
        Division of one worker over its devices.
    """

    workers: int = setting("1", default=1)
    devices: int = setting("1", default=1)
    max_batch: int = setting("sample", default=0, zero=True)
    max_tokens: int = setting("token", default=0, zero=True)
    parallelism: Parallelism = attrs.field(factory=Parallelism)


@attrs.frozen
class Pools:
    """Disaggregated serving: one pool reads prompts, the other writes answers, and the cache moves between them.

    Parameters
    ----------
    prefill, decode : Pool
        Workers that read prompts, and workers that write answers.
    link : str
        Key of the link that carries the cache, one for each device; empty takes what joins the devices.
    layerwise : bool
        Whether the cache of a layer travels while the next layers read the prompt; else a prompt's whole cache follows
        its last layer.
    """

    prefill: Pool = attrs.field(factory=Pool)
    decode: Pool = attrs.field(factory=Pool)
    link: str = ""
    layerwise: bool = False
