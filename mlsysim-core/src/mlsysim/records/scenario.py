"""Layer D: one question - a workload on a system in a place, under constraints."""

from __future__ import annotations

from typing import Literal

import attrs

from .fields import setting
from .parallelism import Parallelism, Pools

__all__ = [
    "WORKLOADS", "Inference", "Parallelism", "Place", "Pools", "Run", "Scenario", "Serving", "System", "Traffic",
    "Training", "Workload",
]  # fmt: skip


@attrs.frozen
class Serving:
    """Generate text: prompts in, tokens out, a fixed number of requests at a time.

    Parameters
    ----------
    model : str
        Key of a model.
    precision : str
        Number format of the arithmetic, and of weights and cache unless they say otherwise.
    batch : int, sample
        Requests in flight.
    input, output : int, token
        Prompt and answer length of one request.
    audio : float, s
        Speech that one request holds, instead of a prompt; 0 for text.
    weights, kv_cache : str
        Formats of stored weights and of the key-value cache; empty follows ``precision``; the cache has at least 8
        bits, and 16 where the stack keeps them.
    """

    model: str
    precision: str = "bf16"
    batch: int = setting("sample", default=1)
    input: int = setting("token", default=1024)
    output: int = setting("token", default=256)
    audio: float = setting("s", default=0.0, zero=True)
    weights: str = ""
    kv_cache: str = ""


@attrs.frozen
class Traffic:
    """Generate text for requests that come and go, batched in flight.

    Parameters
    ----------
    model : str
        Key of a model.
    precision : str
        Number format of the arithmetic, and of weights and cache unless they say otherwise.
    concurrency : int, sample
        Clients that each send their next request when the last one is answered (closed loop); 0 for none. Without
        clients, ``rate`` and ``requests`` more requests wait at any time than are in flight (:attr:`offline`).
    rate : float, sample/s
        Requests that arrive at random, whoever is served (open loop); 0 for none. Without clients and without a
        rate more requests wait than fit at any time (offline).
    requests : int, sample
        Requests of the whole run, the first of which all come at once; 0 for a run that never ends.
    input, output : float, token
        Mean length of prompt and answer.
    input_variation, output_variation : float, ratio
        Standard deviation of a length over its mean.
    cached : float, ratio
        Share of a prompt whose keys and values are found in the cache.
    max_batch : int, sample
        Requests that one copy of the model works on at most; 0 takes the setting of the stack.
    max_tokens : int, token
        Tokens of one pass at most; 0 takes the setting of the stack.
    scheduler : str
        Which engine of the stack runs, by the name of its scheduler; empty for the usual one.
    hold : int
        Passes for which new prompts are held back at most, so that more of them are read together; 0 for none.
    interval : int
        Passes that decode between two looks at what has come; 0 looks before each.
    weights, kv_cache : str
        Formats of stored weights and of the key-value cache; empty follows ``precision``; the cache has at least 8
        bits, and 16 where the stack keeps them.
    """

    model: str
    precision: str = "bf16"
    concurrency: int = setting("sample", default=0, zero=True)
    rate: float = setting("sample/s", default=0.0, zero=True)
    requests: int = setting("sample", default=0, zero=True)
    input: float = setting("token", default=1024.0)
    output: float = setting("token", default=256.0)
    input_variation: float = setting("1", default=0.0, zero=True)
    output_variation: float = setting("1", default=0.0, zero=True)
    cached: float = setting("1", default=0.0, zero=True)
    max_batch: int = setting("sample", default=0, zero=True)
    max_tokens: int = setting("token", default=0, zero=True)
    scheduler: str = ""
    hold: int = setting("1", default=0, zero=True)
    interval: int = setting("1", default=0, zero=True)
    weights: str = ""
    kv_cache: str = ""

    @property
    def offline(self) -> bool:
        """Whether nothing says who comes: then more requests wait at any time than are in flight."""
        return not (self.concurrency or self.rate or self.requests)


@attrs.frozen
class Run:
    """What a training run meets beside its steps; what is left out is not counted, and the answer says so.

    Parameters
    ----------
    evaluation_interval : float, sample
        Samples trained between two evaluations.
    evaluation_steps : float, count
        The same in steps.
    evaluation_samples : float, sample
        Samples that each evaluation reads, forward only.
    checkpoint_interval : float, s
        Time between checkpoints; 0 takes the optimum where failures are known, else none are written.
    checkpoint_blocking : float, ratio
        Share of a checkpoint's writing for which training stands still; the rest goes on beside it.
    storage_bandwidth : float, B/s
        Sustained write rate of the storage for the whole job; 0 takes the cluster's.
    device_mtbf : float, s
        Device time between failures that stop the job; 0 takes the cluster's.
    restart_time : float, s
        From a failure until the job trains again; 0 takes the cluster's.
    straggler_variation : float, ratio
        Standard deviation of a device's step time over its mean; every step waits for the slowest device.
    straggler_slowdown : float, ratio
        What stragglers make of a step, where it is known: 1.05 is five percent longer.
    """

    evaluation_interval: float = setting("sample", default=0.0, zero=True)
    evaluation_steps: float = setting("1", default=0.0, zero=True)
    evaluation_samples: float = setting("sample", default=0.0, zero=True)
    checkpoint_interval: float = setting("s", default=0.0, zero=True)
    checkpoint_blocking: float = setting("1", default=1.0, zero=True)
    storage_bandwidth: float = setting("B/s", default=0.0, zero=True)
    device_mtbf: float = setting("s", default=0.0, zero=True)
    restart_time: float = setting("s", default=0.0, zero=True)
    straggler_variation: float = setting("1", default=0.0, zero=True)
    straggler_slowdown: float = setting("1", default=0.0, zero=True)


@attrs.frozen
class Training:
    """Train: forward, backward and optimizer, step by step.

    Parameters
    ----------
    model : str
        Key of a model.
    precision : str
        Number format of the matrix products.
    batch : int, sample
        Samples per step over all devices.
    sequence : int, token
        Tokens per sample; 0 for image models. Of an encoder-decoder those that the decoder writes.
    input : int, token
        Tokens per sample that the encoder of an encoder-decoder reads; 0 for others, and for one that hears, which
        reads a whole window.
    optimizer : str
        adam, sgd or adam8bit.
    master : str
        Format of the master weights kept beside 16-bit ones; empty for none.
    recompute : str
        none, selective or full.
    recompute_layers : int, count
        With full recomputation, what ``recompute_method`` counts; 0 recomputes every layer, one by one.
    recompute_method : str
        block: so many layers of each pipeline stage are recomputed, the others keep everything. uniform: layers
        are recomputed together in groups of so many, and only the input of a group is kept. Empty is block.
    recompute_modules : str
        With selective recomputation, the parts of a layer that are done again, with commas: attention, latent (what
        unfolds queries, keys and values of latent attention), norm, activation, mlp. Empty follows the stack.
    graphs : str
        Parts of a layer that are replayed from graphs instead of being issued by the host, with commas: attention,
        mlp, router, experts (with the exchange of their tokens), or all for whole steps, or none. Empty follows the
        stack.
    scaling : str
        How operands of 8 bits get their scales: delayed (from earlier steps), tensor (of the tensor at hand), rows
        (one for each row, or column), block (one for each block of elements, as in MXFP8). Empty follows the stack.
    samples : int, sample
        Samples of the whole run; 0 reports the step only.
    tokens : int, token
        Tokens of the whole run; 0 reports the step only.
    adapter : int, count
        Rank of low-rank adapters that are trained instead of the model, which then stays frozen; 0 trains all.
    adapter_modules : str
        Where adapters lie: attention (all projections of it) or all (also those of dense MLPs and shared experts).
        Empty is attention.
    weights : str
        Format of the stored weights of a frozen model; embedding and output projection keep 16 bits. Empty follows
        the stack; nf4 is that of QLoRA.
    offload : bool
        Whether activations wait for the backward pass in host memory.
    offload_layers : int, count
        Layers of each pipeline stage whose activations do; 0 takes all.
    offload_optimizer : float, ratio
        Share of the optimizer states and master weights that stays in host memory and visits the device in each
        step.
    optimizer_in_backward : bool
        Whether the optimizer updates each weight as soon as its gradient is there, so that gradients never exist as a
        whole; gradients of several micro-batches cannot be added up then.
    run : Run
        Evaluation, checkpoints, failures and stragglers of the whole run.
    """

    model: str
    batch: int = setting("sample")
    precision: str = "bf16"
    sequence: int = setting("token", default=0, zero=True)
    input: int = setting("token", default=0, zero=True)
    optimizer: Literal["adam", "sgd", "adam8bit"] = "adam"
    master: str = "fp32"
    recompute: Literal["none", "selective", "full"] = "none"
    recompute_layers: int = setting("1", default=0, zero=True)
    recompute_method: Literal["", "block", "uniform"] = ""
    recompute_modules: str = ""
    graphs: str = ""
    scaling: Literal["", "delayed", "tensor", "rows", "block"] = ""
    samples: float = setting("sample", default=0.0, zero=True)
    tokens: float = setting("token", default=0.0, zero=True)
    adapter: int = setting("1", default=0, zero=True)
    adapter_modules: Literal["", "attention", "all"] = ""
    weights: str = ""
    offload: bool = False
    offload_layers: int = setting("1", default=0, zero=True)
    offload_optimizer: float = setting("1", default=0.0, zero=True)
    optimizer_in_backward: bool = False
    run: Run = attrs.field(factory=Run)


@attrs.frozen
class Inference:
    """One forward pass per sample: classify, detect, embed.

    Parameters
    ----------
    model : str
        Key of a model.
    precision : str
        Number format of weights and arithmetic.
    batch : int, sample
        Samples per pass.
    sequence : int, token
        Tokens per sample of an encoder; 0 for image models.
    rate : float, sample/s
        Samples that arrive per time; 0 runs flat out.
    steps : int, count
        Denoising steps of a diffusion model; 0 for any other.
    guidance : bool
        Classifier-free guidance: every step sees a sample with and without its condition.
    """

    model: str
    precision: str = "int8"
    batch: int = setting("sample", default=1)
    sequence: int = setting("token", default=0, zero=True)
    rate: float = setting("sample/s", default=0.0, zero=True)
    steps: int = setting("1", default=0, zero=True)
    guidance: bool = False


Workload = Serving | Traffic | Training | Inference
WORKLOADS: dict[str, type[Serving | Traffic | Training | Inference]] = {
    "serving": Serving, "traffic": Traffic, "training": Training, "inference": Inference,
}  # fmt: skip
"""Scenario kinds and the workload record of each."""


@attrs.frozen
class System:
    """What runs it.

    Parameters
    ----------
    device : str
        Key of a device.
    stack : str
        Key of a stack; empty means that one is assumed, visibly.
    devices : int, count
        How many.
    node : str
        Key of the node that holds them.
    cluster : str
        Key of the cluster that holds the nodes.
    battery : str
        Key of the battery that feeds it.
    """

    device: str
    stack: str = ""
    devices: int = setting("1", default=1)
    node: str = ""
    cluster: str = ""
    battery: str = ""


@attrs.frozen
class Place:
    """Where it runs and what that costs.

    Parameters
    ----------
    grid, site, price : str
        Keys; an empty one is assumed visibly where a default exists, or leaves its question open.
    """

    grid: str = ""
    site: str = ""
    price: str = ""


@attrs.frozen
class Scenario:
    """One question to evaluate.

    Parameters
    ----------
    name, note : str
        Title and remark.
    kind : str
        serving, traffic, training or inference.
    workload : Serving, Traffic, Training or Inference
        The job.
    system : System
        The machine.
    parallelism : Parallelism
        Division of the job over the devices.
    pools : Pools, optional
        Of traffic: prompts are read and answers written on devices of their own.
    place : Place
        Grid, site and price.
    constraints : dict of str to str
        Limits on outputs, for example ``{"performance.latency": "<= 5 s"}``.
    solvers : dict of str to str
        Solver to use for a question that several could answer.
    settings : dict of str to dict
        Inputs of single solvers, by solver name.
    """

    name: str
    kind: Literal["serving", "traffic", "training", "inference"]
    workload: Workload = attrs.field(metadata={"by": "kind", "choices": WORKLOADS})
    system: System
    parallelism: Parallelism = attrs.field(factory=Parallelism)
    pools: Pools | None = None
    place: Place = attrs.field(factory=Place)
    constraints: dict[str, str] = attrs.field(factory=dict)
    solvers: dict[str, str] = attrs.field(factory=dict)
    settings: dict[str, dict[str, object]] = attrs.field(factory=dict)
    aliases: tuple[str, ...] = ()
    note: str = ""
