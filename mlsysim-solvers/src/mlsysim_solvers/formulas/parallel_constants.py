"""Constants of distributed training: each with its reference, or an estimate with its range."""

from __future__ import annotations

__all__ = [
    "ACTIVATION_LOG_SD",
    "ATTENTION_ISSUE",
    "BEYOND_NODE",
    "BLOCK_SHARE",
    "BUCKET_ELEMENTS",
    "BUCKET_PER_RANK",
    "COMPILED_LOSS_COPIES",
    "DEVICE_SPREAD",
    "DIRECT",
    "DRAGONFLY_SHARE",
    "EXCHANGE_ISSUE",
    "EXPERT_ISSUE",
    "EXPERT_OCCUPANCY",
    "FEWEST_PROCESSORS",
    "HANDED_OVER",
    "HIDDEN_CONTEXT",
    "HIDDEN_DATA",
    "HIDDEN_EXPERT",
    "HIDDEN_EXPERT_EAGER",
    "HIDDEN_OFFLOAD",
    "HIDDEN_PIPELINE",
    "HIDDEN_TENSOR",
    "HOST_RATE",
    "HOST_SHARE",
    "IMBALANCE",
    "INNER_OCCUPANCY",
    "INNER_SHARE",
    "LIVE_LAYERS",
    "LONG_WAY",
    "LOSS_COPIES",
    "MIXED_OCCUPANCY",
    "OUTER_OCCUPANCY",
    "OUTER_SHARE",
    "RANK_IMBALANCE",
    "ROUTER_ISSUE",
    "SHORT_WAY",
    "SWITCH_AHEAD",
    "SWITCH_CHANNELS",
    "SWITCH_CHUNK",
    "SWITCH_PASSES",
    "SWITCH_START",
    "TREE_OVER_RING",
]  # fmt: skip

HIDDEN_TENSOR = 0.7
"""Share of tensor-parallel communication that a stack hides which splits products to overlap it. Estimate,
range 0.5 to 0.9."""

HIDDEN_DATA = 0.9
"""Share of gradient and parameter exchange that a stack hides beside backward and forward passes. Estimate,
range 0.75 to 1: the last bucket and the first gather have nothing to hide behind."""

HIDDEN_PIPELINE = 0.9
"""Share of messages between stages that an interleaved schedule with asynchronous messages hides. Estimate,
range 0.7 to 1."""

HIDDEN_CONTEXT = 0.9
"""Share of the ring exchange of keys and values that hides behind attention blocks. Estimate, range 0.7 to 1."""

HIDDEN_EXPERT = 0.9
"""Share of expert exchange that hides behind the passes of another micro-batch where a stack pairs them. Estimate,
range 0.7 to 1: what fills and drains the pipeline, where passes have no partner, is counted apart from it."""

HIDDEN_EXPERT_EAGER = 0.5
"""The same where the host issues what runs beside it kernel by kernel: a kernel that exchanges tokens waits behind a
product that holds all processors, if it was issued later (NVIDIA Megatron-Bridge, scripts/performance/perf_plugins.py
at 0e7ffb79, CUDA_DEVICE_MAX_CONNECTIONS: it "will be pushed to the end of the GEMM kernel"). Estimate, range 0.2 to
0.9, after a look at residuals: nothing hidden does better for rows of H100, 0.5 for all."""

EXPERT_OCCUPANCY = 0.15
"""Share of the processors that the exchange of tokens takes from the passes beside it: 20 of 132 (NVIDIA Megatron-LM,
megatron/core/transformer/transformer_config.py, moe_deepep_num_sms: historical default 20; H100)."""

IMBALANCE = 1.0
"""Tokens of the busiest expert-parallel device over the mean. 1 for routers that balance by force, as
benchmarks do; trained routers reach 1.1 to 2."""

RANK_IMBALANCE = 1.14
"""Prompt tokens of the busiest copy of attention over the mean of all copies in a pass that has prompts for each.
Tokens of the average rank over those of the busiest: 87.70 % with a scheduler that waits for ranks to read together,
54.11 % without (NVIDIA TensorRT-LLM, docs/source/blogs/tech_blog/blog10_ADP_Balance_Strategy.md, Performance Summary;
eight copies, prompts and answers of widely varying length). What a pass with fewer prompts than copies loses is
counted apart from it. Range 1 to 1.85."""

INNER_SHARE = 0.8
"""Rate of a ring over the line rate of the inner link where no collective was measured. Estimate, range 0.7 to
0.9: 0.78 and 0.82 were measured on two generations of one maker."""

OUTER_SHARE = 0.9
"""Rate of a ring over the line rate of a network interface. Estimate, range 0.75 to 0.96."""

SHORT_WAY = (3.6e-6, 0.47e-6, 2.7e-6, 0.25)
"""Base, hop inside, hop between domains (s) and payload share of the protocol for short messages where a link
states none: NVIDIA NCCL, src/graph/tuning.cc at 01afd20a, ring, LL."""

LONG_WAY = (8.4e-6, 3.4e-6, 9.6e-6, 1.0)
"""The same for long messages: ring, Simple."""

BEYOND_NODE = (1.8, 1.0)
"""Hops inside a node of a group that leaves it over those of one that stays, for short and for long messages: NVIDIA
NCCL, src/graph/tuning.cc at 01afd20a, ncclTopoTuneModel: nNodes > 1, LL: intraLat *= 1.8."""

TREE_OVER_RING = ((4.4 / 3.6, 0.52 / 0.47, 5.0 / 2.7), (1.0, 1.0, 1.0))
"""Base, hop inside and hop between domains of a tree over those of a ring, for short and for long messages. NVIDIA
NCCL, src/graph/tuning.cc at 01afd20a, LL: baseLat 4.4 and 3.6 us, hwLat .52 and .47 over NVLink, 5.0 and 2.7 over the
network. For long ones it prints the time of a chunk of 256 kB over 12 GB/s, far slower than links of today: a tree then
takes the hops of a ring."""

SWITCH_START = 25e-6
"""Latency of an all-reduce that the switches add up, s: NVIDIA NCCL, src/graph/tuning.cc at 5067397c, hwLatencies,
NVLINK, NVLS, Simple: 25 us."""

SWITCH_CHANNELS = 16.0
"""Channels of such an all-reduce: NVIDIA NCCL, src/transport/nvls.cc at 5067397c, NVLS_NCHANNELS_SM90: 16. Blackwell
has 24 within a node."""

SWITCH_CHUNK = 128.0 * 1024.0
"""What one channel sends for one member at once, B: NVIDIA NCCL, src/transport/nvls.cc at 5067397c, NVLS_CHUNKSIZE."""

SWITCH_PASSES = (64.0, 8.0, 2.0)
"""Fewest passes of a vector before what passes at once is halved, once more each: NVIDIA NCCL, src/enqueue.cc at
5067397c, calcCollChunking, from chunks of 128 KiB to 16."""

SWITCH_AHEAD = 2.0
"""Stages before the last one of such an all-reduce: scatter and reduce, before gather (NVIDIA NCCL,
src/device/all_reduce.h at 5067397c, NCCL_ALGO_NVLS, one node)."""

DIRECT = "direct"
"""Name of the protocol of a link by which every device reads the memory of all others in a kernel of its own."""

BUCKET_ELEMENTS = 40e6
"""Elements of a gradient bucket. Estimate, range 10e6 to 100e6."""

BUCKET_PER_RANK = 1e6
"""Elements by which a bucket grows with each data-parallel rank, so that hops stay a small part. Estimate."""

INNER_OCCUPANCY = 0.15
"""Share of the processors that a collective over the inner link takes where the link states none (Isaev et al.
2023, Calculon, SC 23, systems/a100_80g.json: processor_usage of the first network)."""

OUTER_OCCUPANCY = 0.02
"""The same through network interfaces: one member of the group in each domain."""

MIXED_OCCUPANCY = 0.12
"""The same of a group with several members in each of several domains, whose rings copy between both kinds of links:
16 of 132 processors (NVIDIA Megatron-LM, megatron/core/distributed/distributed_data_parallel_config.py, nccl_ub:
all-gather and reduce-scatter over NVLink and InfiniBand without in-network reduction; 1 and 4 over InfiniBand
alone)."""

HOST_RATE = 25e9
"""Rate at which a device copies to and from host memory where the node names no link, B/s. Estimate, range 15e9 to
50e9: a 16-lane PCIe 4 link copies at about 26 GB/s one way."""

HOST_SHARE = 0.8
"""Rate of such copies over the line rate of the link, one way. Estimate, range 0.6 to 0.9."""

HIDDEN_OFFLOAD = 0.9
"""Share of those copies that hides behind computation. Estimate, range 0.7 to 1."""

ACTIVATION_LOG_SD = 0.08
"""Spread of the memory for activations, natural-log units: what a framework keeps beside the tensors of the formulas,
and what its allocator wastes. Estimate, range 0.05 to 0.2, after a look at residuals: of twenty published peaks of five
configurations, nine of ten lie within 1.5 standard deviations of it."""

LOSS_COPIES = 3.0
"""Copies of the logits in 32 bits that are alive together while a loss is differentiated operator by operator: what
log-softmax wrote, the gradient that reaches it and the one that leaves it. Apple, ml-cross-entropy, README.md at
18e76ada, expected output of its benchmark: baseline, loss-fw-bw, 28000.0 MB, where the logits in 16 bits, which it
keeps besides, take 4000 (torch_compile, loss-fw, 4000.1)."""

COMPILED_LOSS_COPIES = 2.0
"""The same where the loss is compiled, or written for the purpose: ibid., torch_compile, loss-fw-bw, 16000.1 MB, the
logits in 16 bits included. Code that works in place takes about as much: NVIDIA Megatron-LM,
megatron/core/tensor_parallel/cross_entropy.py at d98e8a64, calculate_predicted_logits and
prepare_gradient_calculation_operands: exponentials and gradients overwrite one copy in 32 bits."""

FEWEST_PROCESSORS = 16.0
"""Fewest processors of a device whose processors each have special-function units; below are systolic arrays. Rule
of thumb: processors of graphics chips number tens to hundreds, systolic arrays one to eight."""

LIVE_LAYERS = 2.0
"""Layers whose gathered parameters are alive at once in fully sharded training: the one that computes and the
one that is fetched. Estimate, range 1 to 3."""

EXPERT_ISSUE = 40e-6
"""Time in which the host issues one product of one expert where no graph is replayed, s: eight kernels of quantisation,
transposition and product, 5 us each. Estimate, range 20e-6 to 60e-6, chosen with the residuals of mixtures on three
devices in view; they distinguish little within that range."""

ATTENTION_ISSUE = 0.6
"""Share of a dense layer's kernels that attention issues: norm, projections, rotary embedding, scores, residual.
Estimate, range 0.5 to 0.7."""

ROUTER_ISSUE = 0.4
"""Time in which the host issues router and permutation of a layer with experts, over that of a dense layer: scores,
choice, counts, sorting. Estimate, range 0.2 to 1, after a look at residuals; left-out errors tell little within it."""

EXCHANGE_ISSUE = 0.2
"""The same of sending tokens to their experts and back. Estimate, range 0.1 to 0.6, as above."""

BLOCK_SHARE = 0.95
"""Rate of products in 8 bits with a scale for each block over that with one for the tensor. Estimate, range 0.92 to 1,
after a look at residuals: seven published pairs of dense models that differ in nothing else are 2 to 6 % apart."""

DEVICE_SPREAD = 0.02
"""Standard deviation of the speed of devices of one kind over its mean. Estimate, range 0.01 to 0.03: differences of
5 % and higher were seen among the eight devices of a node (Bekman, Machine Learning Engineering, compute/accelerator),
and eight normal variables spread over 2.85 standard deviations."""

DRAGONFLY_SHARE = 0.7
"""Share of the interface rate that traffic across groups of a dragonfly keeps. Estimate, range 0.5 to 1."""

HANDED_OVER = 0.3
"""How far the way of a request through router, worker, router and worker may move its time to first token (natural-log
units). Estimate, range 0.15 to 0.6, chosen after a look at residuals: beyond what the passes say, times of pools that
TensorRT-LLM runs scatter by about as much, and those of SGLang, where a prompt is not read before it has its place in
the pool that decodes, by more."""
