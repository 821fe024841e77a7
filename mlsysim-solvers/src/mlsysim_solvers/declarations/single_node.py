"""What the single-node solver declares: outputs, columns and settings."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .common import SHARES

__all__ = ["COLUMNS", "OUTPUTS", "SETTINGS", "SINGLE_NODE"]

_FEASIBILITY = {
    "feasibility.fits": "bool",
    "feasibility.memory_required": "B",
    "feasibility.memory_usable": "B",
    "feasibility.headroom": "B",
    "feasibility.max_batch": "sample",
}
_COMMON = {
    "performance.latency": "s",
    "performance.utilisation": "1",
    "performance.bandwidth_utilisation": "1",
    "performance.bound": "choice: compute, memory, overhead",
    "performance.bound_factor": "1",
    "performance.flops": "FLOP",
    "performance.bytes": "B",
}

OUTPUTS: dict[str, dict[str, str]] = {
    "serving": {
        **_FEASIBILITY, **_COMMON, "performance.ttft": "s", "performance.tpot": "s",
        "performance.throughput": "sample/s", "performance.token_throughput": "token/s",
    },
    "training": {
        **_FEASIBILITY, **_COMMON, "performance.throughput": "sample/s", "performance.token_throughput": "token/s",
        "performance.step_time": "s", "performance.run_time": "s", "performance.forward_time": "s",
        "performance.checkpoint_size": "B",
    },
    "inference": {
        **_FEASIBILITY, **_COMMON, "performance.throughput": "sample/s", "performance.duty": "1",
        "feasibility.keeps_up": "bool",
    },
}  # fmt: skip
"""Unit of each output, by scenario kind."""

COLUMNS: dict[str, str] = {
    "batch": "sample", "input": "token", "output": "token", "windows": "1", "steps": "1",
    "passes": "1", "sequence": "token", "rate": "sample/s",
    "tokens": "token", "samples": "sample", "micro_batch": "sample",
    "peak": "FLOP/s", "achieved": "1", "vector_peak": "FLOP/s", "bandwidth": "B/s", "weight_bandwidth": "B/s",
    "issue_rate": "B/s", "lone_rate": "B/s", "cache": "B",
    "attention_peak": "FLOP/s", "attention_achieved": "1", "special_rate": "1/s",
    "result_work": "FLOP", "contexts": "1", "kept_weights": "1",
    "pass_tokens": "token",
    "compute_ceiling": "1", "memory_ceiling": "1", "attention_ceiling": "1", "overhead": "s", "kernel_launch": "s",
    "layer_issue": "s", "step_end": "s", "turn": "s", "bucket": "token",
    "processors": "1", "lone_area": "1", "clock_macs": "1", "head_step": "1",
    "capacity": "B", "utilisation": "1", "reserve": "B", "storage": "B",
    "head_copies": "1",
    "weight_width": "B", "operand_width": "B", "activation_width": "B", "kv_width": "B", "full_width": "B",
    "outer_width": "B", "head_width": "B", "block_casts": "1",
    "grouped_share": "1", "scale_block": "1", "scale_slots": "1",
    "mask_width": "B", "gradient_width": "B", "master_width": "B", "state_width": "B", "weight_passes": "1",
    "states": "1", "flop_per_mac": "FLOP", "reread_ratio": "1", "prefill_tokens": "token", "dropout": "1",
    "stored_width": "B", "ends_width": "B", "sent_width": "B", "gathered_width": "B", "optimizer_width": "B",
    "unpacked": "B",
    **dict.fromkeys((
        "shard", "adapter", "recompute_layers", "offload_layers", "offload_optimizer", "layer_parameters",
        "expert_parameters", "first_parameters", "last_parameters",
    ), "1"),
    "var_compute": "1", "var_memory": "1", "var_overhead": "1", "cov_cm": "1", "cov_co": "1", "cov_mo": "1",
    "scatter": "1", "var_talk": "1", "var_layout": "1", "var_first": "1", "var_lone": "1", "var_link": "1",
    "var_reserve": "1",
}  # fmt: skip
"""Unit of every number that ``prepare`` may return."""

SETTINGS: dict[str, Setting] = {
    "compute_ceiling": Setting("1", "matrix-product rate over the device's achieved rate; 0 keeps the stack's", 0.0),
    "memory_ceiling": Setting("1", "streaming rate over peak memory bandwidth; 0 keeps the stack's", 0.0),
    "kernel_overhead": Setting("s", "time per kernel that nothing hides; 0 keeps the stack's", 0.0),
    "attention_ceiling": Setting("1", "highest share of the peak that fused attention reaches", 0.75),
    "kv_reread_ratio": Setting("1", "bandwidth of the last-level cache over that of memory; 0 takes the device's", 0.0),
    "prefill_tokens": Setting("token", "tokens of one prefill pass, which size the workspace", 8192.0),
    "beyond_context": Setting(
        "1",
        "1 times a sequence that is longer than the model's context; it never counts as fitting",
        0.0,
    ),
    "power_limit": Setting("W", "power limit of the device below its rating; 0 keeps the rating", 0.0),
    "dropout": Setting("1", "1 when training keeps dropout masks, else 0", 0.0),
    "chunked_loss": Setting(
        "1",
        "1 passes few tokens at a time through output projection and loss in training: logits take no room",
        0.0,
    ),
    "fused_updates": Setting("1", "1 updates parameters in one kernel, whatever the optimizer of the stack does", 0.0),
    "eager": Setting("1", "1 where a server is told to replay no graph: the host launches each decode step", 0.0),
    "wide_attention": Setting(
        "1",
        "1 where a checkpoint of few bits leaves the products around attention in 16; 0 takes those that a stack does",
        0.0,
    ),
    "channels_first": Setting("1", "1 where images keep their channels first; 0 does what the stack does", 0.0),
}
"""What a scenario may set."""

SINGLE_NODE = SolverSpec(
    name="single-node",
    title="Does it fit one device, how long does it take, and what binds?",
    question="performance",
    devices="one",
    scenarios=("serving", "training", "inference"),
    target="mlsysim_solvers.single_node:SingleNodeSolver",
    inputs=("model", "device", "stack"),
    outputs={name: unit for outputs in OUTPUTS.values() for name, unit in outputs.items()},
    at_most=SHARES,
    columns=COLUMNS,
    settings=SETTINGS,
    labels={
        "feasibility.fits": "fits",
        "feasibility.memory_required": "memory required",
        "feasibility.memory_usable": "memory usable",
        "feasibility.headroom": "headroom",
        "feasibility.max_batch": "largest batch that fits",
        "feasibility.keeps_up": "keeps up with the samples that arrive",
        "performance.latency": "latency",
        "performance.step_time": "step time",
        "performance.ttft": "time to first token",
        "performance.tpot": "time per output token",
        "performance.throughput": "throughput",
        "performance.token_throughput": "token throughput",
        "performance.run_time": "time of the run's steps, undisturbed",
        "performance.forward_time": "forward pass of a batch, to evaluate",
        "performance.checkpoint_size": "size of a checkpoint",
        "performance.utilisation": "utilisation (MFU)",
        "performance.bandwidth_utilisation": "bandwidth utilisation",
        "performance.bound": "bound by",
        "performance.bound_factor": "bound factor",
        "performance.duty": "busy share",
        "performance.flops": "work",
        "performance.bytes": "memory traffic",
    },
    references=(
        "Williams, Waterman, Patterson 2009, Roofline, CACM 52(4)",
        "Korthikanti et al. 2022, arXiv:2205.05198",
    ),
)
