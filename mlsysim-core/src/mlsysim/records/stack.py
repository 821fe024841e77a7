"""Layer D: what a software stack can do, and how close to the roofs it comes."""

from __future__ import annotations

from typing import Literal

import attrs

from .calibration import ANY, Calibration
from .fields import fact, setting
from .scheduler import Scheduler
from .stack_parts import AttentionRate, Recipe, Tile, Unstated

__all__ = ["ANY", "AttentionRate", "Calibration", "Ceilings", "Features", "Recipe", "Stack", "Tile", "Unstated"]


@attrs.frozen
class Features:
    """Documented abilities of a stack.

    Parameters
    ----------
    fused_attention : bool
        Attention never writes its scores to memory.
    shared_kv : bool
        The decode kernel reads a key-value head once for all queries that share it.
    fused_elementwise : bool
        Norms, activations and residuals are fused with their neighbours.
    fused_sums : tuple of str
        Models in whose layers the kernel that adds up what the devices of a node have also adds the residual and norms.
    fused_on : tuple of str
        Architectures of devices on which it does so.
    graphs : bool
        Decode steps and training steps are replayed from a captured graph; passes over prompts, whose shapes vary,
        are launched by the host, kernel by kernel.
    in_place_weights : bool
        Weights are read from storage (flash), not copied to memory.
    shared_kv_groups : tuple of int
        Query heads per key-value head for which ``shared_kv`` holds; empty means all.
    asynchronous : bool
        The host issues kernels ahead of the device: its time per kernel overlaps with the device's.
    narrow_sums : bool
        Matrix products keep their sums in the format of the operands.
    wide_vectors : bool
        Vector units multiply operands of 16 bits in 32 bits, at the rate of these.
    serial_epilogue : bool
        A tile's results are written after its product, not while another tile is computed.
    casts_scores : bool
        Without fused attention, products leave scores in their own format where a wider one is kept between operators:
        a kernel widens them for the softmax, and another narrows what it yields.
    warp_products : bool
        Matrix products, those of attention among them, use instructions of one warp: matrix units that need
        instructions of several warps for their full rate reach a part of it.
    expands_weights : bool
        Weights stored in fewer bits than the arithmetic are expanded in memory before products with
        many rows.
    narrows_inputs : bool
        Before products of such weights with few rows a kernel of its own narrows their input.
    decoded_first : bool
        The pass over a prompt leaves out its last token and yields none: the first token of the answer takes a
        decode step of its own.
    layer_split : bool
        Over several devices it divides a model by layers unless a layout says otherwise: each device computes
        after the one before it.
    wide_head : bool
        The embedding and the output projection stay in 16 bits where weights are stored in fewer.
    wide_cache : bool
        The key-value cache stays in 16 bits, also beside narrower arithmetic, unless its format is asked for.
    staged_softmax : bool
        Softmax takes one kernel for each of its steps, which all pass over the scores: greatest score, difference,
        exponential, sum and quotient.
    eager_scores : bool
        Attention scales its scores, adds its mask and normalises in a kernel each, and a softmax of 16-bit scores works
        in 32 bits between two casts.
    one_by_one : bool
        Modules of a model run from Python as their source spells them out: a norm over root mean squares, rotary
        embedding and a gate take several operators each, and each projection of queries, keys and values its own.
    joins_cache : bool
        A decode step joins keys and values of its token to those before in a new tensor, and so copies the cache.
    unpacks_weights : bool
        Weights in fewer bits than products take are written out in the format of the products before each of them,
        however few rows it has.
    tf32 : str
        What is multiplied in TF32 where 32-bit numbers are asked for and the device has matrix units for it: all
        ``products``, or ``convolutions`` only. Software does so unless told otherwise.
    gathers_windows : bool
        Convolutions copy the windows of their input into a matrix before they multiply (im2col).
    winograd : bool
        Convolutions in 32 bits on vector units use Winograd's minimal filtering where the kernel is 3 x 3 and moves by
        one pixel.
    keeps_weights : bool
        Of weights that are read from storage, as many as fit stay in memory between passes.
    spatial : bool
        All layers of a network, or of each context of a larger one, lie on the chip at once and work as a pipeline;
        between contexts the chip is configured anew.
    drops_dead_channels : bool
        Channels whose weights are all zero are left out when a network is compiled.
    channels_first : tuple of str
        Number formats in which images keep their channels first: convolutions on matrix units, which work with channels
        last, transpose what they read and what they write.
    pads_heads : bool
        Attention heads that a tensor-parallel group does not divide are padded to its next multiple, and the padded
        ones computed too.
    bucket : int
        Prompts are padded to a power of two times so many tokens: lengths for which programs were compiled. 0 where
        they are not.
    activations : str
        Number format of what is kept between operators; empty follows the arithmetic.
    overlap_tensor, overlap_data, overlap_pipeline, overlap_context, overlap_expert : bool
        Communication of that kind of parallelism runs beside computation.
    overlap_backward : bool
        Of tensor-parallel communication only what follows gradients of inputs runs beside computation: products
        for gradients of weights.
    sharded_optimizer : bool
        Data parallelism divides the optimizer states unless a layout says otherwise.
    wide_gradients : bool
        Gradients are accumulated in 32 bits.
    adds_gradients : bool
        Products write the gradients of a micro-batch, and a kernel of its own adds them to those of earlier ones, in
        32 bits where they are in bf16.
    wide_weights : bool
        The stored working copy of sharded parameters is the 32-bit one, cast when it is gathered.
    one_copy : bool
        Weights are kept once, in 16 bits, with gradients and optimizer states in the same format: training has no copy
        in 32 bits, whatever ``master`` of a scenario says.
    wide_reduction : bool
        Gradients are exchanged in 32 bits.
    fused_loss : bool
        The loss goes through the vocabulary piece by piece, and logits never exist as a whole in 32 bits.
    copied_loss : bool
        Logits and their loss pass through operators one by one: three copies in 32 bits are alive together.
    listed_updates : bool
        Adam steps on lists of tensors: the denominators of all parameters are alive together.
    planned_memory : bool
        A compiler plans the memory of a whole step: the loss and the layers share what only one of them needs,
        sharded weights are gathered one at a time, just before use, and what no gradient needs is not done again.
    wide_loss : bool
        Logits are copied to 32 bits, and the loss and its gradient pass over the copy kernel by kernel.
    merged_exchange : bool
        A token goes to each node of its experts once, and is copied there.
    planned_exchange : bool
        Kernels that exchange tokens keep processors of their own: where passes are paired, they wait behind no product.
    narrow_storage : bool
        Inputs of matrix products and of the activation function wait for the backward pass in the format of the
        products.
    narrow_gather : bool
        What the products of a tensor-parallel group read is gathered in their format: it is quantised before it is
        sent. Sums are sent in the format of activations.
    selective : str
        What selective recomputation does again: ``scores`` of attention, or every other one of the ``products``
        and all element-wise operators.
    scaling : str
        How operands of 8 bits get their scales in training: delayed (from earlier steps), tensor (of the tensor at
        hand), rows (one for each row, or column) or block (one for each block of elements).
    ends_as_layers : bool
        A pipeline counts embedding and output projection as a layer each when it divides the model.
    """

    fused_attention: bool = False
    shared_kv: bool = False
    fused_elementwise: bool = False
    fused_sums: tuple[str, ...] = ()
    fused_on: tuple[str, ...] = ()
    graphs: bool = False
    in_place_weights: bool = False
    overlap_tensor: bool = False
    overlap_data: bool = False
    overlap_pipeline: bool = False
    overlap_context: bool = False
    overlap_expert: bool = False
    overlap_backward: bool = False
    sharded_optimizer: bool = False
    wide_gradients: bool = False
    adds_gradients: bool = False
    wide_weights: bool = False
    one_copy: bool = False
    wide_reduction: bool = False
    narrow_storage: bool = False
    narrow_gather: bool = False
    planned_memory: bool = False
    merged_exchange: bool = False
    planned_exchange: bool = False
    fused_loss: bool = False
    wide_loss: bool = False
    copied_loss: bool = False
    listed_updates: bool = False
    selective: Literal["scores", "products"] = "scores"
    scaling: Literal["delayed", "tensor", "rows", "block"] = "delayed"
    ends_as_layers: bool = False
    shared_kv_groups: tuple[int, ...] = ()
    asynchronous: bool = False
    narrow_sums: bool = False
    wide_vectors: bool = False
    serial_epilogue: bool = False
    warp_products: bool = False
    casts_scores: bool = False
    expands_weights: bool = False
    narrows_inputs: bool = False
    wide_head: bool = False
    wide_cache: bool = False
    staged_softmax: bool = False
    eager_scores: bool = False
    one_by_one: bool = False
    joins_cache: bool = False
    unpacks_weights: bool = False
    tf32: Literal["", "convolutions", "products"] = ""
    gathers_windows: bool = False
    winograd: bool = False
    drops_dead_channels: bool = False
    spatial: bool = False
    keeps_weights: bool = False
    channels_first: tuple[str, ...] = ()
    decoded_first: bool = False
    layer_split: bool = False
    pads_heads: bool = False
    bucket: int = 0
    activations: str = ""


@attrs.frozen
class Ceilings:
    """How much of each roof the stack reaches: the prior for every device and precision.

    Parameters
    ----------
    compute : float, ratio
        Matrix-product rate over the device's achieved rate, or over its peak when no achieved
        rate is known.
    memory : float, ratio
        Streaming rate over peak memory bandwidth.
    overhead : float, s
        Time per kernel that nothing hides.
    reserve : float, B
        Device memory that the runtime keeps for itself.
    issue : float, B
        Bytes of weights, and of keys and values read again, that a processor takes in per clock, where the
        kernels limit it.
    lone_issue : float, B
        Bytes that a processor takes in per clock in a pass of one row, where matrix-vector kernels that load
        through registers limit it; kernels for several rows copy asynchronously.
    grouped : float, ratio
        Rate of experts' products over that of single ones, where it is lower.
    stored_work : float, FLOP
        Most work per processor and clock of kernels that multiply weights as they are stored, in fewer bits than the
        arithmetic, and apply their scales on the way.
    handover : float, s
        Time per hand-over from one stage of a pipeline to the next that nothing hides: the host waits for one
        device before it starts the next.
    step : float, s
        Time per training step that nothing hides: norms of gradients, checks for overflow, data, logs.
    host : float, s
        Time in which the host issues one pass of one layer in training; the device waits for it where it is faster,
        unless graphs are replayed. A layer has three passes: forward, gradients of inputs and of weights.
    launch : float, s
        Time in which the host of a server issues one kernel of a pass over prompts, ahead of the device, which waits
        for it where it is faster. Without it the time per kernel counts in full.
    turn : float, s
        Time per pass in which the device waits for the host of a compiled program: it takes the result and starts the
        next pass.
    """

    compute: float = fact("1", tolerance=0.2)
    memory: float = fact("1", tolerance=0.2)
    overhead: float = fact("s", tolerance=0.5, zero=True)
    reserve: float = fact("B", tolerance=0.5, zero=True)
    issue: float | None = fact("B", default=None, tolerance=0.5)
    lone_issue: float | None = fact("B", default=None, tolerance=0.5)
    grouped: float | None = fact("1", default=None, tolerance=0.5)
    stored_work: float | None = fact("FLOP", default=None, tolerance=0.5)
    handover: float | None = fact("s", default=None, tolerance=0.5, zero=True)
    step: float | None = fact("s", default=None, tolerance=0.5, zero=True)
    host: float | None = fact("s", default=None, tolerance=0.5, zero=True)
    launch: float | None = fact("s", default=None, tolerance=0.5, zero=True)
    turn: float | None = fact("s", default=None, tolerance=0.5, zero=True)


@attrs.frozen
class Stack:
    """One version of one software stack.

    Parameters
    ----------
    name, version, vendor, note : str
        What it is called.
    serves : tuple of str
        Scenario kinds that it runs: serving, training, inference.
    features : Features
        Documented abilities.
    ceilings : Ceilings
        Prior for any device.
    utilisation : float, ratio
        Documented setting: share of device memory that it may use.
    pass_tokens : float, token
        Documented setting: most tokens of one pass over prompts; longer ones take several passes.
    batch_tokens : float, token
        Documented setting: most tokens of the passes that a pipeline of devices works on at once; None for all.
    schedulers : tuple of Scheduler
        How it batches requests in flight; the first that holds for a device counts. Empty where it batches none.
    tiles : tuple of Tile
        Menu of output tiles; empty means that no tile quantisation is modelled.
    attention : tuple of AttentionRate
        Measured rates of its attention kernels; a device that is not among them takes the general ceiling.
    calibrations : tuple of Calibration
        Fitted constants, each for one device and precision.
    scatter : float or None, ratio
        How far measurements stray from its predictions, over what is usual for all stacks: by this the spread of
        every time and rate is multiplied. None where nobody compared it with measurements.
    assumed_for : tuple of str
        ``kind/device``, ``kind/vendor`` or ``kind/tier`` for which this stack is assumed, visibly, when a scenario
        names none; for example ``serving/NVIDIA``.
    unstated : tuple of Unstated
        What published measurements of it tend to leave out.
    recipes : tuple of Recipe
        What the scripts behind published measurements set for single models and devices; later ones go before earlier.
    aliases : tuple of str
        What people type.
    """

    name: str
    version: str
    serves: tuple[Literal["serving", "training", "inference"], ...]
    features: Features
    ceilings: Ceilings
    utilisation: float = fact("1", default=1.0, tolerance=0.0)
    pass_tokens: float | None = fact("token", default=None, tolerance=0.0)
    batch_tokens: float | None = fact("token", default=None, tolerance=0.0)
    vendor: str = ""
    schedulers: tuple[Scheduler, ...] = ()
    tiles: tuple[Tile, ...] = ()
    attention: tuple[AttentionRate, ...] = ()
    calibrations: tuple[Calibration, ...] = ()
    assumed_for: tuple[str, ...] = ()
    unstated: tuple[Unstated, ...] = ()
    recipes: tuple[Recipe, ...] = ()
    aliases: tuple[str, ...] = ()
    note: str = ""
    scatter: float | None = setting("1", default=None)

    def runs(self, kind: str) -> bool:
        """Tell whether it runs a kind of scenario; traffic needs a stack that batches requests in flight.

        Parameters
        ----------
        kind : str
            A kind of scenario.

        Returns
        -------
        bool
        """
        return bool(self.schedulers) if kind == "traffic" else kind in self.serves

    def scheduler_for(self, device: str, capacity: float, name: str = "") -> Scheduler | None:
        """Return how it batches requests on a device.

        Parameters
        ----------
        device : str
            Key.
        capacity : float, B
            Its memory.
        name : str
            Which engine of the stack; empty for the usual one.

        Returns
        -------
        Scheduler or None
        """
        named = (s for s in self.schedulers if s.name == name)
        return next((s for s in named if capacity >= s.memory and device not in s.except_for), None)

    def calibration_for(
        self, device: str, precision: str, vendor: str = "", alike: tuple[str, ...] = ()
    ) -> Calibration | None:  # fmt: skip
        """Return the fitted constants for a device and precision, else those of more: its formats, several devices.

        Parameters
        ----------
        device, precision : str
            Keys.
        vendor : str
            Maker of the device: what was fitted on its devices goes before what was fitted on all.
        alike : tuple of str
            Formats whose constants hold for this one, where nothing was fitted in it.

        Returns
        -------
        Calibration or None
        """
        by_key = {(found.device, found.precision): found for found in self.calibrations}
        for one in (device, f"{vendor}/{ANY}", ANY):
            for format_ in (precision, ANY, *alike):
                found = by_key.get((one, format_))
                if found is not None:
                    return found
        return None
