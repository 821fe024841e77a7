"""The constants of the physics: each with its reference, or marked as an estimate with its range.

Everything else is a record, a setting or an argument. Small whole numbers that follow from
an equation (two operands, three matrices of a gated MLP) stand in the formulas themselves.
"""

from __future__ import annotations

from mlsysim.intervals import INTERVAL_QUANTILE, INTERVAL_SHARE
from mlsysim.records.precision import bytes_per_element
from mlsysim.units import parse_unit

__all__ = [
    "ADAM_8BIT_STATE",
    "ATTENTION_BLOCK",
    "ATTENTION_CEILING",
    "BETWEEN_STACK_LOG_SD",
    "BLOCKED",
    "BLOCKED_CASTS",
    "BUCKETS",
    "BUSY_SHARE",
    "CACHE_PER_CLOCK",
    "COMMUNICATION_LOG_SD",
    "COMPUTE_LOG_SD",
    "DELTA_CHUNK",
    "DEVICE_LOG_SDS",
    "DEVICE_PRIOR_LOG_SDS",
    "EULER",
    "EXPOSED",
    "FEW_ROWS",
    "FINE_EXPERTS",
    "FIRST_TOKEN_LOG_SD",
    "FLOP_PER_MAC",
    "FORMAT_LOG_SD",
    "FULL_WIDTH",
    "GRAPH_SHARE",
    "GROUPED_SHARE",
    "GROUP_CORRELATION",
    "GROUP_LOG_SDS",
    "HALF_WIDTH",
    "INTERVAL_QUANTILE",
    "INTERVAL_SHARE",
    "ISSUE_LANES",
    "ISSUE_SHARE",
    "KV_REREAD_RATIO",
    "LAYOUT_LOG_SD",
    "LINK_LOG_SD",
    "LOG_4_PI",
    "LONE_CASTS",
    "LONE_LOG_SD",
    "MASK_WIDTH",
    "MATRIX_SHARE",
    "MEMORY_LOG_SD",
    "OPERAND_FLOP",
    "OPTIMIZER_STATES",
    "OVERHEAD_LOG_SD",
    "POPULARITY_SHAPE",
    "POWERED_SHARE_LOG_SD",
    "PREFILL_TOKENS",
    "PUBLICATION_LOG_SDS",
    "QUANTISED",
    "RECURRENT_LOG_SD",
    "RESERVE_LOG_SD",
    "RESULT_MACS",
    "RESULT_MACS_WIDE",
    "ROUNDING",
    "SCALE_BLOCK",
    "SECONDS_PER_DAY",
    "SERIES_BELOW",
    "SHARE_LOG_SD",
    "SOFTMAX_OPERATIONS",
    "SPATIAL_OPERATIONS",
    "SPECIAL_PER_CLOCK",
    "STACK_LOG_SD",
    "STAGE_SHARE",
    "STANDARD_GRAVITY",
    "SYSTOLIC_FLOP",
    "UNKNOWN_SCATTER",
    "UNSHARED_WORK",
    "VECTOR_SHARE",
    "VERSION_LOG_SD",
    "WARP_LOG_SD",
    "WARP_MAKERS",
    "WARP_SHARE",
    "WINOGRAD_TILE",
]

FLOP_PER_MAC = 2.0
"""FLOP of one multiply-accumulate: a multiplication and an addition."""

GROUPED_SHARE = 0.4
"""Rate of products of many experts at once over that of single products, of wanted work, in servers whose card says
nothing else. Estimate, range 0.25 to 0.9, from published times on H100 and H800, which reach some 795 TFLOP/s in 16
bits and 1400 to 1470 in 8: 215 by Triton and 242 by PyTorch with 2048 rows for each of 128 experts in 16 bits
(github.com/ByteDance-Seed/VeOmni, pull request 460), 523 at most by a fused kernel in 16 bits
(github.com/linkedin/Liger-Kernel, pull request 1294), 1381 for four experts with 8192 rows each in 8 bits
(github.com/deepseek-ai/DeepGEMM, pull request 73), 420 by DeepGEMM and 100 by Triton from how much longer 2048 tokens
of DeepSeek-V3 take than 1536 (github.com/vllm-project/vllm, pull request 13932). The middle of these on a scale of
ratios; chosen with residuals in view, which 0.3 would suit better."""

HALF_WIDTH = bytes_per_element("bf16")
"""Bytes of a 16-bit element: what transformers keep between operators, also under 8-bit products."""

DELTA_CHUNK = 64.0
"""Tokens that a pass of the gated delta rule works on at once (fla-org/flash-linear-attention,
fla/ops/gated_delta_rule/chunk_fwd.py, chunk_gated_delta_rule_fwd_intra, chunk_size)."""

FULL_WIDTH = bytes_per_element("fp32")
"""Bytes of a 32-bit element: logits, softmax statistics, optimizer states."""

MASK_WIDTH = bytes_per_element("int8")
"""Bytes of one entry of a dropout mask (Korthikanti et al. 2022, arXiv:2205.05198)."""

ADAM_8BIT_STATE = bytes_per_element("int8")
"""Bytes of one optimizer state in 8 bits."""

OPTIMIZER_STATES = {"adam": 2.0, "adam8bit": 2.0, "sgd": 1.0}
"""States per parameter: both moments of Adam; the momentum of SGD."""

ATTENTION_CEILING = 0.75
"""Highest share of the dense peak that fused attention reaches.

FlashAttention-3 release text: "up to 740 TFLOPS, i.e., 75% utilization of H100 theoretical max
FLOPS" (FP16); FlashAttention-2, arXiv:2307.08691, abstract: "50-73% of the theoretical maximum
FLOPs/s on A100". It only caps the rate of the stack's matrix products.
"""

ATTENTION_BLOCK = 128.0
"""Queries and keys of one block of fused attention. Every row of blocks takes the time of one more to fill
and drain its pipeline, and under a causal mask half a block more on the diagonal. Estimate, range 64 to
192, from forward and backward speed by sequence length on two GPU generations."""

SPECIAL_PER_CLOCK = 16.0
"""Exponentials that a processor starts per clock: special-function units of one streaming multiprocessor.
FlashAttention-3, arXiv:2407.08608, section 3.1 counts 3.9 T/s on the 132 processors of an H100 SXM5."""

SOFTMAX_OPERATIONS = 4.0
"""Operations on vector units that a score takes beside its exponential: a multiply-add with scale and maximum, the
maximum, the sum, and the conversion to the format of the next product. Estimate, range 3 to 6."""

OPERAND_FLOP = 4096.0
"""Work of a processor per clock for which its shared memory delivers operands to matrix instructions of one warp: 128 B
per clock, 32 banks of 4 B, of which each element of 2 B meets the 32 rows that a warp holds in registers: 128 queries
and four warps (Dao-AILab/flash-attention, csrc/flash_attn/src/flash_fwd_launch_template.h, run_mha_fwd_hdim64)."""

EXPOSED = 0.55
"""Share of the time of loads and of the softmax that products do not hide in fused attention whose warps compute and
load by turns. Estimate, range 0.4 to 0.8, from rates on an A100 and an H100: with it one share of the rate of products
holds for both, and for heads of 64 and 128."""

SYSTOLIC_FLOP = 32768.0
"""Operations of 16 bits per clock from which a processor counts as a systolic array, not as a streaming multiprocessor:
those of an array of 128 by 128 multipliers. Estimate, range 10,000 to 60,000: streaming multiprocessors do up to 8,000
(B200), a core of Trainium 68,000, and one of a TPU or a matrix unit of Gaudi 131,000. The line was drawn after rows of
Trainium and Gaudi from outside sources had been seen."""

WARP_SHARE = {"Hopper": 2.0 / 3.0, "Blackwell": 1.0 / 4.0, "Blackwell Ultra": 1.0 / 4.0}
"""Share of the peak that matrix instructions of one warp reach, by architecture whose units need those of several: "the
older mma.sync instruction can only reach about 2/3 the peak throughput of Hopper Tensor Cores" (PyTorch blog,
FlashAttention-3, note 1). Blackwell's of data centres do four times the work of Ampere's per clock; the older ones are
taken to do what they did on Ampere: an estimate, with rates of FlashAttention-2 on a B200 in view."""

WARP_LOG_SD = {"Blackwell": 0.155, "Blackwell Ultra": 0.155}
"""Spread of such an estimate, natural-log units: range 1/5 to 1/3 (what they do on Hopper)."""

WARP_MAKERS = frozenset({"NVIDIA", "AMD"})
"""Makers whose processors hide the latency of memory behind many threads, each of which waits for the registers that
it loads; others copy blocks into memories of their own, ahead of time."""

RESULT_MACS = 24.0
"""Instructions in which a processor without units of its own turns one sum of products into a result of 8 or 16 bits,
each as long as a multiply-accumulate. Estimate, range 15 to 40: CMSIS-NN, arm_nn_requantize takes about 14 (product in
64 bits, shifts, rounding), and its callers load bias, multiplier and shift, clamp, store and loop."""

RESULT_MACS_WIDE = 8.0
"""The same in floating point: bias, activation, store and loop. Estimate, range 4 to 15."""

WINDOW_MACS = 2.0
"""Multiply-accumulates of a processor without units of its own that take as long as copying one element of a window of
a convolution. Estimate, range 1 to 4: CMSIS-NN, arm_convolve_s8.c copies the windows of two pixels pixel by pixel and
widens them to 16 bits before it multiplies; about two instructions an element for loads, widening and stores are
assumed."""

SPATIAL_OPERATIONS = 20.0
"""Operations of a network that one cluster of a spatial processor can control at once. Estimate, range 14 to 28: the
compiler of a Hailo-8 reports the use of the controllers of a cluster in sixteenths, and additions and activations share
one with their convolution. Chosen with the networks that a Hailo-8L runs at one rate at any batch in view: they have up
to 79 operations on four clusters, and others 81 and more."""

STAGE_SHARE = 1.0 / 128.0
"""Share of the memory bandwidth of a spatial processor through which one layer of a pipeline reads and writes its maps.
Estimate, range 1/300 to 1/40: layers lie side by side, each with ports of its own. Chosen with published rates of
networks with few multiply-accumulates in view."""

UNSHARED_WORK = 1.5
"""Time of a multiply-accumulate of a matrix-vector product over that of a matrix product, on a processor without units
of its own. Estimate, range 1.2 to 2: kernels of CMSIS-NN share each operand that they load and widen between two rows
and two columns, and between a row and three columns where there is one row only."""

CACHE_PER_CLOCK = 25.0
"""Bytes that a processor reads from the last-level cache per clock in decode attention which does not share
key-value heads. Estimate, range 16 to 32, from three GPU generations."""

BLOCKED = frozenset({"fp4", "nvfp4", "mxfp4"})
"""Formats of 4 bits, into which only the MLPs and experts of mixtures are brought. OpenAI, gpt-oss, README.md: "MXFP4
quantization of the MoE weights"; NVIDIA, TensorRT-LLM, Pushing Latency Boundaries: Optimizing DeepSeek-R1 Performance
on NVIDIA B200 GPUs, Precision Strategy: attention modules and router in bf16, dense and expert FFN layers in nvfp4."""

QUANTISED = frozenset({"fp8", "mxfp8"})
"""Formats of 8 bits into which mixtures are published in blocks with a scale each."""

SCALE_BLOCK = 128.0
"""Elements of the inner dimension that share a scale in mixtures that are published in blocks of 8 bits (DeepSeek-V3,
README_WEIGHTS.md: "online quantization at a granularity of per-token-per-128-channel")."""

BLOCKED_CASTS = 4.0
"""Kernels of a layer that only bring operands into blocks of few elements with a scale each: one before each of its
four products (vllm-project/vllm, vllm/model_executor/layers/quantization/modelopt.py, ModelOptNvFp4LinearMethod.apply).
Estimate, range 2 to 4, as compilers fuse some with norms. 2 was counted until residuals in both formats of one device
were compared: with 4 the times per kernel that they are fitted with come closer."""

LONE_CASTS = 1.0
"""The same where scales are known beforehand, so that norms and activation functions apply them and what follows
attention is left (docs.vllm.ai, design/fusions: "Attention + Quant ... Off by default"), and where only the experts of
a mixture are in 4 bits. Estimate, range 0 to 2: TensorRT-LLM may let attention write what the product reads."""

GRAPH_SHARE = 0.5
"""Time per kernel of a replayed graph over that of a kernel launched by the host. Estimate, range 0.2 to 0.8: start
and drain on the device, 1 to 3 us, against 4 to 6 us of a driver launch."""

KV_REREAD_RATIO = 1.6
"""Bandwidth of the last-level cache over that of memory when a decode kernel reads a key-value head once per query
head. Estimate, range 1.3 to 2.0, from servers of two GPU generations; it acts for stacks without shared reads."""

PREFILL_TOKENS = 8192.0
"""Tokens of one prefill pass, which size the workspace. Estimate, range 2048 to 16384: 8192 is a
common default of the servers' limit on batched tokens."""

FEW_ROWS = 16.0
"""Most rows of a product that libraries run as one matrix-vector product after another, on the units beside the matrix
units. Estimate, range 8 to 64."""

MATRIX_SHARE = 0.77
"""Share of the dense peak that the best matrix product reaches on matrix units, where nobody measured the
device. Median of 20 best shapes on 13 accelerators (stas00/ml-engineering, Maximum Achievable Matmul FLOPS, column
Efficiency of the tables BF16 and FP8), 0.51 to 0.97."""

BUSY_SHARE = 0.90
"""The same at the clock of the peak, for chips whose power density is known: what a power limit takes counts apart.
Estimate, range 0.85 to 0.97: 0.87 on an A100 at 400 W, 0.91 on an RTX 4090, 0.97 on a Gaudi 2."""

VECTOR_SHARE = 0.92
"""The same for vector units whose instructions occupy their scheduler every other clock, so that loads are issued in
between. Estimate, range 0.83 to 0.97, from published square products in 32 bits on two chips at full clock."""

ISSUE_LANES = 96.0
"""32-bit multiply-accumulates per processor and clock from which on every clock of its four schedulers issues one."""

ISSUE_SHARE = 0.70
"""The same for vector units that need every issue slot: loads, addresses and barriers take slots from arithmetic.
Of the 128 per clock of such a processor half run on a path that it shares with integers (NVIDIA, GA102 whitepaper,
quoted in github.com/azhirnov/cpu-gpu-arch, gpu/NVidia-Ampere.md).
Estimate, range 0.55 to 0.84, from published square products in 32 bits on five chips."""

POPULARITY_SHAPE = 1.0
"""Shape of the gamma distribution of how often experts of a layer are chosen: the inverse square of their standard
deviation over their mean, here 1. Estimate, range 0.5 to 8: routers are balanced over all their training, not over the
tokens of a few requests. Chosen after residuals of three mixtures under three stacks were seen: with 1 the traffic of
experts that times per token ask for is, in the middle of ten pairs of model, device and stack, what is counted; with 2
it is 8 % and with 4 it is 14 % less."""

FINE_EXPERTS = 128.0
"""Experts of a layer from which on their popularity scatters as the shape above says: the mixtures that it was chosen
for have 128 and 256. Fewer and larger experts are taken as groups of such, whose popularity scatters less. Estimate,
range 32 to 256; no measurement of a mixture of few experts was read."""

WINOGRAD_TILE = 2.0
"""Side of the output tile of Winograd convolutions with 3 x 3 kernels: 2 takes 2.25 times fewer multiplications, 4
takes four times fewer (Lavin and Gray 2015, arXiv:1509.09308, section 1: "by up to a factor of 4"). Estimate: the
smaller one, whose transforms cost least; range 2 to 4."""

SHARE_LOG_SD = 0.18
"""Spread of those shares between devices, natural-log units. Nine of ten of 29 shares in the registry lie inside."""

POWERED_SHARE_LOG_SD = 0.10
"""The same for matrix units whose power density is known, so that the clock follows from the power limit. Estimate,
range 0.06 to 0.13: without its own measurement the share of 17 devices and formats is met within 0.05, root mean
square, but the densities were taken from devices like these and may be off by a factor of 1.3 on the next, which moves
the clock by a tenth."""

FORMAT_LOG_SD = 0.05
"""Spread of the share of one format about what its power and the share measured in another format of the same units
say, natural-log units. Estimate, range 0.03 to 0.08: 0.03 is the root mean square over the nine devices of the
registry with two measured formats, most of them by one hand."""

COMPUTE_LOG_SD = 0.10
"""Prior spread of a compute ceiling whose claim gives no range, natural-log units. Estimate."""

MEMORY_LOG_SD = 0.06
"""Prior spread of a memory ceiling whose claim gives no range, natural-log units. Estimate."""

OVERHEAD_LOG_SD = 0.47
"""Prior spread of the time per kernel when its claim gives no range: a factor of 1.6. Estimate."""

LONE_LOG_SD = 0.25
"""Prior spread of the bytes per clock that kernels for one row take in when its claim gives no range. Estimate."""

RESERVE_LOG_SD = 0.2
"""Prior spread of the memory that a runtime keeps when its claim gives no range. Estimate."""

BETWEEN_STACK_LOG_SD = 0.2
"""Spread of ln(measured / predicted) between software stacks where a measurement does not name its own and fewer than
three others were measured on devices of its maker and tier. Estimate, range 0.1 to 0.35: where more were, their answers
to the packaged rows of serving and training differ by a median of 0.3, and part of it is in the ranges of a stack that
was measured nowhere."""

RECURRENT_LOG_SD = 0.15
"""Spread of ln(measured / predicted) of models most of whose layers keep a state, beyond that of a stack whose
constants were fitted on others. Estimate, range 0.08 to 0.25: five published rates of Qwen3-Next lie 9 to 20 % below
the answers."""

VERSION_LOG_SD = 0.15
"""Spread of ln(measured / predicted) between versions of one software whose constants another version gave. Estimate,
range 0.05 to 0.3: where packaged rows have one configuration under two versions, logarithms differ by a median of 0.12
(TensorRT-LLM, 54 pairs of rates), 0.12 (vLLM, 36 times per token), 0.03 (Megatron-Bridge, 155), 0.28 (X-CUBE-AI, 8)."""

PUBLICATION_LOG_SDS = {
    "training": (0.06, 0.32),
    "inference": (0.05, 0.4),
    "first token": (0.54, 1.09),
    "kernels": (0.21, 0.08),
    "collectives": (0.78, 0.71),
    "memory": (0.2, 0.25),
    "power": (0.13, 0.28),
}
"""Spread of ln(measured time / predicted time) of publications whose figures nobody compared before, beyond that of the
ones in the fits: towards faster runs, and towards slower ones (for memory: less of it, and more). It is what
``mlsysim calibrate publications`` finds from the figures of outside sources."""

GROUP_LOG_SDS = (0.053, 0.01, 0.11, 0.053)
"""Scales of ln(measured / predicted) of a group of rows (set, model and device) under constants that were fitted on
other groups of the device: of the compute ceiling, the memory ceiling and the time per kernel as the group sees them,
and of the whole. This and the seven below are what ``mlsysim calibrate spreads`` finds from all packaged measurements,
each predicted without its group; none is below 0.01."""

DEVICE_LOG_SDS = (0.041, 0.01, 0.089, 0.059)
"""The same of a device, under constants that were fitted on other devices."""

COMMUNICATION_LOG_SD = 0.038
"""Scale of the time of collectives and of hand-overs between devices."""

DEVICE_PRIOR_LOG_SDS = (0.2, 0.05, 0.3)
"""How much the compute ceiling, the memory ceiling and the time per kernel of one stack differ between devices. By
moments from the fits whose rows tell more of a constant than the card does (50, 17 and 34 of them): 0.22, less than
what the fits leave uncertain, and 0.32."""

LAYOUT_LOG_SD = 0.1
"""Scale that requests in flight add for each doubling of the devices of a copy: narrower products and collectives that
nobody has measured apart."""

LINK_LOG_SD = 0.4
"""Spread of the time of collectives over a link on which nobody measured any, natural-log units, unless constants were
fitted on the device. Estimate, range 0.25 to 0.6: a factor of two either way; the hops of NVIDIA's library, which are
taken where a link states none, take 0.5 to 3.4 us, and those of others 1 to 15 us (AWS Neuron documentation, intra-node
and inter-node collective communication)."""

FIRST_TOKEN_LOG_SD = 0.01
"""Scale that a time to first token adds where requests share the engine: in which pass a prompt is taken, and how far
requests that began together have drifted apart."""

STACK_LOG_SD = 0.44
"""Spread of the logarithm of the factor by which the measurements of a stack stray more, or less, than is usual."""

UNKNOWN_SCATTER = 1.16
"""That factor for a stack that nobody compared with measurements: its intervals contain the doubt about it."""

GROUP_CORRELATION = 0.33
"""Correlation of two rows of one group that was left out."""

BUCKETS = 24
"""Lengths, each twice the one before, for which a program may be compiled: from 128 tokens to 2 billion."""

STANDARD_GRAVITY = 9.80665
"""Standard acceleration of free fall, m/s^2: a conventional value."""

SECONDS_PER_DAY = parse_unit("day").factor
"""Seconds of a day, from the unit table."""

ROUNDING = 1e-9
"""Part of a doubling that a logarithm may be short of a whole number: far above what floats lose."""

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant: the mean of a standard Gumbel variable."""

LOG_4_PI = 2.5310242469692907
"""The logarithm of 4 pi."""

SERIES_BELOW = 0.1
"""Argument below which ten terms of the exponential series are exact to the last digit."""
