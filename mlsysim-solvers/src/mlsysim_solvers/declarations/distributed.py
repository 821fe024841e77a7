"""What the distributed solver declares: outputs, columns and settings."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .common import SHARES
from .single_node import COLUMNS as SINGLE
from .single_node import SETTINGS as SINGLE_SETTINGS

__all__ = ["COLUMNS", "DISTRIBUTED", "LABELS", "OPTIONS", "OUTPUTS", "SETTINGS", "TERMS"]

TERMS = {
    "compute": "computation",
    "recompute": "recomputation",
    "tensor": "tensor-parallel communication",
    "context": "context-parallel communication",
    "expert": "expert-parallel communication",
    "pipeline": "messages between stages",
    "bubble": "pipeline bubble",
    "data": "gradient and parameter exchange",
    "offload": "copies to host memory",
    "optimizer": "optimizer and end of step",
}
"""Terms of a step, in the order in which they add up, and the words for them."""

_USES = {
    "weights": "weights per device", "gradients": "gradients per device", "optimizer": "optimizer states per device",
    "activations": "activations per device", "logits": "logits per device",
    "gathered": "gathered parameters per device", "reserve": "runtime reserve per device",
}  # fmt: skip

OUTPUTS: dict[str, str] = {
    "feasibility.fits": "bool",
    "feasibility.memory_required": "B",
    "feasibility.memory_usable": "B",
    "feasibility.headroom": "B",
    "feasibility.max_micro_batch": "sample",
    **{f"feasibility.{name}_memory": "B" for name in _USES},
    "performance.latency": "s",
    "performance.step_time": "s",
    **{f"performance.breakdown_{name}": "s" for name in TERMS},
    "performance.throughput": "sample/s",
    "performance.token_throughput": "token/s",
    "performance.utilisation": "1",
    "performance.hardware_utilisation": "1",
    "performance.active_share": "1",
    "performance.flops": "FLOP",
    "performance.run_time": "s",
    "performance.forward_time": "s",
    "performance.checkpoint_size": "B",
}
"""Unit of each output."""

LABELS: dict[str, str] = {
    "feasibility.fits": "fits",
    "feasibility.memory_required": "memory required per device",
    "feasibility.memory_usable": "memory usable per device",
    "feasibility.headroom": "headroom per device",
    "feasibility.max_micro_batch": "largest micro-batch that fits",
    **{f"feasibility.{name}_memory": text for name, text in _USES.items()},
    "performance.latency": "latency",
    "performance.step_time": "step time",
    **{f"performance.breakdown_{name}": f"of which {text}" for name, text in TERMS.items()},
    "performance.throughput": "throughput",
    "performance.token_throughput": "token throughput",
    "performance.utilisation": "utilisation (MFU, causal attention halved)",
    "performance.hardware_utilisation": "utilisation with recomputation (HFU)",
    "performance.active_share": "share of a step in which devices compute",
    "performance.flops": "work of a step",
    "performance.run_time": "time of the run's steps, undisturbed",
    "performance.forward_time": "forward pass of a batch, to evaluate",
    "performance.checkpoint_size": "size of a checkpoint",
}
"""Words for the outputs."""

COLUMNS: dict[str, str] = {
    **SINGLE,
    **dict.fromkeys(("data", "tensor", "pipeline", "context", "expert", "virtual"), "1"),
    "micro_batch": "sample", "host_rate": "B/s", "imbalance": "1", "grouped": "1", "step_end": "s",
    "issue": "s", "host": "s", "routing": "s", "hidden_expert": "1",
    "full_attention": "1", "device_spread": "1",
    "domain": "1", "pod": "1", "inner_rate": "B/s", "outer_rate": "B/s", "crossing_rate": "B/s", "far_step": "s",
    "reduced_rate": "B/s", "torus_links": "1", "torus_dimensions": "1", "torus_members": "1",
    "torus_wrap": "1", "inner_occupancy": "1", "outer_occupancy": "1",
    "mixed_occupancy": "1",
    **{f"{way}_{part}": "1" if part == "share" else "s" for way in ("short", "long")
       for part in ("base", "inner_step", "outer_step", "share")},
    "direct_base": "s", "direct_step": "s", "direct_share": "1",
    "plain_peak": "FLOP/s", "achieved_plain": "1",
}  # fmt: skip
"""Unit of every number that ``prepare`` may return."""

_OF_ONE = ("kv_reread_ratio", "prefill_tokens", "channels_first")

SETTINGS: dict[str, Setting] = {
    **{name: given for name, given in SINGLE_SETTINGS.items() if name not in _OF_ONE},
    "host_rate": Setting("B/s", "rate of copies to host memory, one way; 0 takes the link of the node", 0.0),
    "network_rate": Setting("B/s", "rate at which a node sends over its network, as printed; 0 takes the node's", 0.0),
    "link_rate": Setting("B/s", "rate of a device's links in its node, one way, as printed; 0 takes the node's", 0.0),
    "node_devices": Setting("1", "devices of a node; 0 takes the node's", 0.0),
    "imbalance": Setting("1", "tokens of the busiest expert-parallel device over the mean", 1.0),
    "device_spread": Setting("1", "standard deviation of the speed of devices of one kind over its mean", 0.02),
    "eager": Setting("1", "1 runs norms, rotary embedding and activation functions operator by operator", 0.0),
    "unfused_attention": Setting("1", "1 writes the scores of attention to memory, whatever the stack can do", 0.0),
    "overlap_tensor": Setting("1", "1 runs tensor-parallel exchange beside products although the stack does not", 0.0),
    "full_attention": Setting(
        "1",
        "1 counts all query-key pairs of a causal model as its work, 0 the half that is computed",
        0.0,
    ),
}
"""What a scenario may set."""

OPTIONS = (
    "adapter", "adapter_modules", "weights", "offload", "offload_layers", "offload_optimizer", "optimizer_in_backward",
    "recompute_layers", "recompute_method", "recompute_modules", "graphs", "scaling",
)  # fmt: skip
"""Fields of a training job that it answers for one device, too, and the solver of one device does not."""

DISTRIBUTED = SolverSpec(
    name="distributed",
    title="Does a training layout fit its devices, how long is a step, and where does it go?",
    question="performance",
    scenarios=("training",),
    devices="many",
    options=OPTIONS,
    target="mlsysim_solvers.distributed:DistributedSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "far?", "inner?", "outer?", "host?"),
    outputs=OUTPUTS,
    at_most=SHARES,
    columns=COLUMNS,
    settings=SETTINGS,
    labels=LABELS,
    references=(
        "Narayanan et al. 2021, arXiv:2104.04473",
        "Korthikanti et al. 2022, arXiv:2205.05198",
        "Rajbhandari et al. 2019, ZeRO, arXiv:1910.02054",
        "NVIDIA NCCL, src/graph/tuning.cc",
    ),
)
