"""What has to fit: weights, caches, activations, model state."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import floor, maximum, minimum

from .label_constants import BINARY

__all__ = [
    "fitting_batch",
    "gradient_state_bytes",
    "headroom",
    "kept_share",
    "kept_tokens",
    "kv_cache_bytes",
    "labelled_memory",
    "layer_activation_bytes",
    "logits_bytes",
    "place_bytes",
    "usable_memory",
    "weight_bytes",
    "workspace_bytes",
]


@formula("B", label="B", share="1")
def labelled_memory(label: Any, share: Any) -> Any:
    """Return the memory that software sees of a device with so many GB on its label.

    Parameters
    ----------
    label : float or array, B
        The label, a GB as 10^9 bytes.
    share : float or array, ratio
        What is not kept for the driver.

    Returns
    -------
    float or array, B

    Notes
    -----
    (2^30 / 10^9) u C: a GB of the label is a GiB.
    """
    return BINARY * share * label


@formula("1", room="B", weights="B")
def kept_share(room: Any, weights: Any) -> Any:
    """Return the share of weights that stay in memory between passes.

    Parameters
    ----------
    room : float or array, B
        Memory that is left for weights.
    weights : float or array, B
        All of them.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    s = min(1, M / W); the rest is read from storage at each pass.
    """
    return minimum(1.0, room / weights)


@formula("B", parameters="1", width="B")
def weight_bytes(parameters: Any, width: Any) -> Any:
    """Return the memory of stored weights.

    Parameters
    ----------
    parameters : float, count
        All parameters, active or not.
    width : float, B
        Bytes per element.

    Returns
    -------
    float, B

    Notes
    -----
    N w.
    """
    return parameters * width


@formula("1", context="1", window="1", full_layers="1", window_layers="1")
def kept_tokens(context: Any, window: Any, full_layers: Any, window_layers: Any) -> Any:
    """Return the tokens that all layers together keep of one sequence.

    Parameters
    ----------
    context : float or array, count
        Tokens of the sequence.
    window : float, count
        Tokens that a windowed layer keeps at most.
    full_layers, window_layers : float, count
        Layers without and with a window.

    Returns
    -------
    float or array, count

    Notes
    -----
    L_full s + L_window min(s, W).
    """
    return full_layers * context + window_layers * minimum(context, window)


@formula("B", tokens="1", elements="1", width="B")
def kv_cache_bytes(tokens: Any, elements: Any, width: Any) -> Any:
    """Return the key-value cache of one sequence.

    Parameters
    ----------
    tokens : float or array, count
        Tokens kept by all layers together.
    elements : float, count
        Elements that one layer keeps of one token.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    Sum over layers of s n w, with n = 2 n_kv d, or r_kv + d_rope for latent attention.
    """
    return elements * width * tokens


@formula("B", rows="1", elements="1", width="B")
def workspace_bytes(rows: Any, elements: Any, width: Any) -> Any:
    """Return the activations that are alive at once in a forward pass.

    Parameters
    ----------
    rows : float or array, count
        Tokens or samples that pass together.
    elements : float or array, count
        Elements alive per row at the widest point.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    n e w, with e the maximum over all cuts of the live tensors.
    """
    return width * elements * rows


@formula("B", rows="1", vocab="1", width="B")
def logits_bytes(rows: Any, vocab: Any, width: Any) -> Any:
    """Return the memory of output logits.

    Parameters
    ----------
    rows : float or array, count
        Positions whose successor is wanted.
    vocab : float, count
        Entries of the vocabulary.
    width : float, B
        Bytes per element.

    Returns
    -------
    float or array, B

    Notes
    -----
    n V w.
    """
    return width * vocab * rows


@formula("B", places="1", vocab="1", entry="B", tokens="1", each="B")
def place_bytes(places: Any, vocab: Any, entry: Any, tokens: Any, each: Any) -> Any:
    """Return the memory that an engine sets aside for requests before any comes.

    Parameters
    ----------
    places : float or array, count
        Most requests in flight.
    vocab : float, count
        Entries of the vocabulary; every device samples from all of them.
    entry : float, B
        Memory of a place per entry of the vocabulary.
    tokens : float or array, count
        Tokens that a request may have.
    each : float, B
        Memory of a place per token.

    Returns
    -------
    float or array, B

    Notes
    -----
    b (V v + T t).

    References
    ----------
    NVIDIA, TensorRT-LLM, docs/source/reference/memory.md: runtime and decoder buffers except KV cache tensor, allocated
    by the largest batch and sequence before the cache is.
    """
    return places * (vocab * entry + tokens * each)


@formula("B", capacity="B", utilisation="1")
def usable_memory(capacity: Any, utilisation: Any) -> Any:
    """Return the memory that a stack may fill.

    Parameters
    ----------
    capacity : float or array, B
        What software can allocate on the device.
    utilisation : float, ratio
        Share that the stack uses at most.

    Returns
    -------
    float or array, B

    Notes
    -----
    C u.
    """
    return capacity * utilisation


@formula("B", usable="B", required="B")
def headroom(usable: Any, required: Any) -> Any:
    """Return the memory that stays free; negative when it does not fit.

    Parameters
    ----------
    usable, required : float or array, B
        What may be filled, and what is needed.

    Returns
    -------
    float or array, B

    Notes
    -----
    C u - M.
    """
    return usable - required


@formula("sample", free="B", per_sample="B/sample", discrete=("sample",))
def fitting_batch(free: Any, per_sample: Any) -> Any:
    """Return the largest whole batch that fits.

    Parameters
    ----------
    free : float or array, B
        Memory that is left for samples.
    per_sample : float or array, B/sample
        Memory that each sample takes.

    Returns
    -------
    float or array, sample
        0 when not even one fits.

    Notes
    -----
    floor(M_free / m).
    """
    return floor(maximum(free, 0.0 * free) / per_sample)


@formula("B", parameters="1", weight="B", gradient="B", master="B", states="1", state="B")
def gradient_state_bytes(parameters: Any, weight: Any, gradient: Any, master: Any, states: Any, state: Any) -> Any:
    """Return what training keeps of every parameter.

    Parameters
    ----------
    parameters : float, count
        All parameters.
    weight, gradient, master, state : float, B
        Bytes per element of the working copy, the gradient, the master copy (0 without one) and an
        optimizer state.
    states : float, count
        Optimizer states per parameter.

    Returns
    -------
    float, B

    Notes
    -----
    N (w + g + w_master + n_s w_s): 16 bytes per parameter for 16-bit training with Adam.

    References
    ----------
    Rajbhandari et al. 2019, ZeRO, arXiv:1910.02054: 2 + 2 + 12 bytes for 16-bit weights and gradients with Adam.
    """
    return parameters * (weight + gradient + master + states * state)


@formula(
    "B", tokens="1", replicated="1", sharded="1", replicated_masks="1", pairs="1", pair_elements="1", pair_masks="1",
    statistics="1", width="B", mask_width="B", statistic_width="B", tensor="1", sequence_shards="1",
)  # fmt: skip
def layer_activation_bytes(
    tokens: Any, replicated: Any, sharded: Any, replicated_masks: Any, pairs: Any, pair_elements: Any, pair_masks: Any,
    statistics: Any, width: Any, mask_width: Any, statistic_width: Any, tensor: Any, sequence_shards: Any,
) -> Any:  # fmt: skip
    """Return the activations of one transformer layer that the backward pass needs.

    Parameters
    ----------
    tokens : float or array, count
        Tokens of a micro-batch.
    replicated, sharded : float, count
        Elements per token that every device of a tensor-parallel group keeps, and that the group divides.
    replicated_masks : float, count
        Entries of dropout masks per token that every device keeps.
    pairs : float or array, count
        Query-key pairs times heads; 0 when scores are not kept.
    pair_elements, pair_masks : float, count
        Elements and mask entries per pair.
    statistics : float, count
        Softmax statistics per token that fused attention keeps.
    width, mask_width, statistic_width : float, B
        Bytes per element of each kind.
    tensor : float, count
        Tensor-parallel degree t.
    sequence_shards : float, count
        t with sequence parallelism, 1 without.

    Returns
    -------
    float or array, B

    Notes
    -----
    n [(e_r w + m_r w_m)/t_s + (e_s w + s w_s)/t] + pairs (e_p w + m_p w_m)/t

    With the tensors of a GPT layer of width h, an MLP of 4 h and 16-bit elements this is
    s b h (10 + 24/t + 5 a s/(h t)), and (s b h/t)(34 + 5 a s/h) with sequence parallelism.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198.
    """
    whole = tokens * ((replicated * width + replicated_masks * mask_width) / sequence_shards)
    divided = tokens * ((sharded * width + statistics * statistic_width) / tensor)
    return whole + divided + pairs * ((pair_elements * width + pair_masks * mask_width) / tensor)
