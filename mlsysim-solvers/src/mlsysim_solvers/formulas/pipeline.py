"""Pipelines: stages, bubbles and what is in flight."""

from __future__ import annotations

from typing import Any

from mlsysim.formula import formula
from mlsysim.numeric import ceil, maximum, minimum

__all__ = [
    "bubble_time",
    "chunk_passes",
    "chunk_slots",
    "fill_share",
    "in_flight_chunks",
    "local_batch",
    "micro_batches",
    "padded_micro_batches",
    "stage_slots",
    "zero_bubble_time",
]  # fmt: skip


@formula("sample", batch="sample", data="1")
def local_batch(batch: Any, data: Any) -> Any:
    """Return the samples of one data-parallel rank.

    Parameters
    ----------
    batch : float or array, sample
        Samples of a step.
    data : float or array, count
        Data-parallel degree.

    Returns
    -------
    float or array, sample

    Notes
    -----
    B / d.
    """
    return batch / data


@formula("1", batch="sample", micro="sample", discrete=("sample",))
def micro_batches(batch: Any, micro: Any) -> Any:
    """Return the micro-batches of a step, the last of which may be short.

    Parameters
    ----------
    batch, micro : float or array, sample
        Samples of a rank and of a micro-batch.

    Returns
    -------
    float or array, count

    Notes
    -----
    m = ceil(b_rank / b).
    """
    return ceil(batch / micro)


@formula("1", count="1", stages="1", virtual="1")
def padded_micro_batches(count: Any, stages: Any, virtual: Any) -> Any:
    """Return the micro-batches that an interleaved schedule runs: whole rounds of the stages.

    Parameters
    ----------
    count : float or array, count
        Micro-batches of a step.
    stages : float or array, count
        Pipeline stages.
    virtual : float or array, count
        Chunks per stage; without interleaving nothing is padded.

    Returns
    -------
    float or array, count

    Notes
    -----
    m' = p ceil(m / p) for v > 1.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2.2.
    """
    interleaved = minimum(virtual - 1.0, 1.0 * (virtual / virtual))
    return count + interleaved * (stages * ceil(count / stages) - count)


@formula("1", layers="1", ends="1", chunks="1")
def chunk_slots(layers: Any, ends: Any, chunks: Any) -> Any:
    """Return the layers of the fullest chunk.

    Parameters
    ----------
    layers : float or array, count
        Layers of the model.
    ends : float or array, count
        Embedding and output projection, where they count as layers: 2, else 0.
    chunks : float or array, count
        Chunks p v of all stages.

    Returns
    -------
    float or array, count

    Notes
    -----
    ceil((L + e) / (p v)).
    """
    return ceil((layers + ends) / chunks)


@formula("1", chunk="1", virtual="1")
def stage_slots(chunk: Any, virtual: Any) -> Any:
    """Return the layers of the fullest stage.

    Parameters
    ----------
    chunk : float or array, count
        Layers of a chunk.
    virtual : float or array, count
        Chunks per stage.

    Returns
    -------
    float or array, count

    Notes
    -----
    n v.
    """
    return chunk * virtual


@formula("s", total="s", slowest="s", virtual="1")
def bubble_time(total: Any, slowest: Any, virtual: Any) -> Any:
    """Return the time in which the slowest stage waits for the others.

    Parameters
    ----------
    total : float or array, s
        Time of one micro-batch through all stages, forward and back.
    slowest : float or array, s
        Time of the slowest stage.
    virtual : float or array, count
        Chunks per stage.

    Returns
    -------
    float or array, s

    Notes
    -----
    (sum of t_i - t_max) / v: (p - 1) t / v for equal stages.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2.
    """
    return maximum(total - slowest, 0.0 * total) / virtual


@formula("s", total="s", slowest="s", weight="s", passes="1", stages="1")
def zero_bubble_time(total: Any, slowest: Any, weight: Any, passes: Any, stages: Any) -> Any:
    """Return the bubble when weight gradients fill what they can.

    Parameters
    ----------
    total, slowest : float or array, s
        As for a plain pipeline.
    weight : float or array, s
        Time of the weight gradients of a stage.
    passes : float, count
        How often they fill the gap: 2 for ZB-H1, 3 for ZB-H2.
    stages : float or array, count
        Pipeline stages.

    Returns
    -------
    float or array, s

    Notes
    -----
    (p - 1)(t_F + t_B - t_W) for H1 and (p - 1)(t_F + t_B - 2 t_W) for H2, with t_B the input gradients: of
    (p - 1)(t_F + t_B + t_W), two and three t_W are filled; at least 0.

    References
    ----------
    Qi et al. 2023, Zero Bubble Pipeline Parallelism, arXiv:2401.10241, table 1.
    """
    plain = total - slowest
    return maximum(plain - passes * weight * (stages - 1.0), 0.0 * plain)


@formula("1", stages="1", rank="1", virtual="1", count="1")
def in_flight_chunks(stages: Any, rank: Any, virtual: Any, count: Any) -> Any:
    """Return how many chunks' activations a stage holds at most.

    Parameters
    ----------
    stages : float or array, count
        Pipeline stages p.
    rank : float or array, count
        Place of the stage, from 0.
    virtual : float or array, count
        Chunks per stage v.
    count : float or array, count
        Micro-batches m.

    Returns
    -------
    float or array, count

    Notes
    -----
    min(m v, p - r) for one chunk per stage, and min(m v, (v - 1) p + 2 (p - r - 1) + 1) when interleaved: the
    first stage then holds p v + p - 1 chunks, which is L (1 + (p - 1)/(p v)) layers.

    References
    ----------
    Korthikanti et al. 2022, arXiv:2205.05198, section 4.2.3; Narayanan et al. 2021, arXiv:2104.04473.
    """
    interleaved = minimum(virtual - 1.0, 1.0 * (virtual / virtual))
    plain = stages - rank
    woven = (virtual - 1.0) * stages + 2.0 * (stages - rank - 1.0) + 1.0
    return minimum(count * virtual, plain + interleaved * (woven - plain))


@formula("1", stages="1", virtual="1")
def chunk_passes(stages: Any, virtual: Any) -> Any:
    """Return how many passes of a whole stage go by while the chunks of a stage are met for the last (first) time.

    Parameters
    ----------
    stages, virtual : float or array, count
        Pipeline stages and chunks per stage.

    Returns
    -------
    float or array, count

    Notes
    -----
    (p (v - 1) + 1) / v: an interleaved schedule takes p micro-batches through one chunk before it turns to the next.
    So gradients of one chunk are complete p passes of a chunk before those of the next, and parameters are needed as
    much later; the last chunk has its own pass. One chunk leaves one pass.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2: order of passes.
    """
    return (stages * (virtual - 1.0) + 1.0) / virtual


@formula("1", stages="1", virtual="1", count="1")
def fill_share(stages: Any, virtual: Any, count: Any) -> Any:
    """Return the share of passes in which an interleaved pipeline fills or drains.

    Parameters
    ----------
    stages, virtual, count : float or array, count
        Pipeline stages, chunks per stage and micro-batches.

    Returns
    -------
    float or array, ratio

    Notes
    -----
    min(1, (2 (p - 1) + (v - 1) p) / (m v)): the first stage runs so many forward passes of chunks before it takes
    turns, and as many backward passes after.

    References
    ----------
    Narayanan et al. 2021, arXiv:2104.04473, section 2.2; NVIDIA NeMo, documentation, "Communication Overlap":
    messages hide where forward and backward passes take turns, and not while the pipeline fills and drains.
    """
    passes = 2.0 * (stages - 1.0) + (virtual - 1.0) * stages
    return minimum(passes / (count * virtual), 1.0 * (count / count))
