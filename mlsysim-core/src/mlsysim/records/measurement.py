"""A published measured figure: what was measured, on what, how, and where it is printed."""

from __future__ import annotations

from typing import Literal

import attrs

__all__ = ["METRICS", "Measurement", "Metric"]


@attrs.frozen
class Metric:
    """What a figure means.

    Parameters
    ----------
    quantity : str
        time, rate, memory, energy, power, utilisation, compute or bandwidth.
    unit : str
        Unit of the printed figure.
    per : str
        ``total`` of the system, or ``device``.
    counts : str
        What a rate counts: ``output tokens``, ``input tokens``, ``all tokens``, ``samples``; empty otherwise.
    statistic : str
        mean, p90, p99 or best.
    """

    quantity: Literal["time", "rate", "memory", "energy", "power", "utilisation", "compute", "bandwidth"]
    unit: str
    per: Literal["total", "device"] = "total"
    counts: Literal["", "output tokens", "input tokens", "all tokens", "samples"] = ""
    statistic: Literal["mean", "p90", "p99", "best"] = "mean"

    @property
    def larger_is_faster(self) -> bool:
        """Whether a larger figure is a better one."""
        return self.quantity in ("rate", "utilisation", "compute", "bandwidth")


METRICS: dict[str, Metric] = {
    "iteration_time_s": Metric("time", "s"),
    "time_to_train_min": Metric("time", "min"),
    "latency_ms": Metric("time", "ms"),
    "ttft_ms": Metric("time", "ms"),
    "tpot_ms": Metric("time", "ms"),
    "latency_us": Metric("time", "us"),
    "tokens_per_s_per_accelerator": Metric("rate", "token/s", "device", "all tokens"),
    "output_tokens_per_s_per_gpu": Metric("rate", "token/s", "device", "output tokens"),
    "tokens_per_s_total": Metric("rate", "token/s", "total", "output tokens"),
    "total_tokens_per_s": Metric("rate", "token/s", "total", "all tokens"),
    "prefill_tokens_per_s": Metric("rate", "token/s", "total", "input tokens"),
    "decode_tokens_per_s": Metric("rate", "token/s", "total", "output tokens"),
    "tokens_per_s_per_user": Metric("rate", "token/s", "total", "output tokens"),
    "samples_per_s": Metric("rate", "sample/s", "total", "samples"),
    "samples_per_s_per_accelerator": Metric("rate", "sample/s", "device", "samples"),
    "fps": Metric("rate", "sample/s", "total", "samples"),
    "memory_gb": Metric("memory", "GB", "device"),
    "energy_uj_per_inference": Metric("energy", "uJ"),
    "power_w_per_accelerator": Metric("power", "W", "device"),
    "model_tflops_per_accelerator": Metric("compute", "TFLOP/s", "device"),
    "mfu": Metric("utilisation", "1", "device"),
    "hfu": Metric("utilisation", "1", "device"),
    "TFLOP/s": Metric("compute", "TFLOP/s", "device", statistic="best"),
    "GB/s": Metric("bandwidth", "GB/s"),
    "MB/s": Metric("bandwidth", "MB/s"),
    "TB/s": Metric("bandwidth", "TB/s"),
    "busbw_GB/s": Metric("bandwidth", "GB/s"),
    "algbw_GB/s": Metric("bandwidth", "GB/s"),
}
"""Metric by the name that a table gives it."""


@attrs.frozen
class Measurement:
    """One published figure with its configuration.

    Parameters
    ----------
    id : str
        Unique name of the row.
    table : str
        training, inference, serving_silicon or kernels.
    kind : str
        Finer kind within the table, for example ``static_batch``, ``gemm``; what filters select.
    name : str
        Name of the metric as the table prints it.
    metric : Metric
        What the figure means.
    value : float
        The figure, in ``metric.unit``.
    model, device : str
        As printed.
    devices : int, count
        Accelerators; 0 when not published.
    software : str
        Framework and version as printed; empty when not published.
    source : str
        Id of the document.
    at : str
        Place in the document.
    evidence : str
        How the figure was obtained: ``source`` (read there), ``computed from source``, ``figure`` (a label in an
        image) or ``excerpt`` (a quotation elsewhere).
    set : str
        Rows that one source published together.
    publication : str
        Who published it: a repository, a thread in one, or another address; empty where none is cited.
    configuration : dict of str to str
        Everything else that was published, by column; empty cells are left out.
    """

    id: str
    table: Literal["training", "inference", "serving_silicon", "kernels"]
    kind: str
    name: str
    metric: Metric
    value: float
    model: str
    device: str
    devices: int
    software: str
    source: str
    at: str
    evidence: str
    set: str
    publication: str = ""
    configuration: dict[str, str] = attrs.field(factory=dict)

    @property
    def group(self) -> tuple[str, str, str]:
        """Set, model and device: rows that share them are scored by their median."""
        return self.set, self.model, self.device
