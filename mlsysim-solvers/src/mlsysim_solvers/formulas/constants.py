"""The constants of the physics: each with its reference, or marked as an estimate with its range.

Everything else is a record, a setting or an argument. Small whole numbers that follow from
an equation (two operands, three matrices of a gated MLP) stand in the formulas themselves.
"""

from __future__ import annotations

from mlsysim.records.precision import bytes_per_element
from mlsysim.units import parse_unit

__all__ = [
    "ADAM_8BIT_STATE",
    "ATTENTION_BLOCK",
    "ATTENTION_CEILING",
    "BETWEEN_STACK_LOG_SD",
    "CACHE_PER_CLOCK",
    "COMPUTE_LOG_SD",
    "DEVICE_LOG_SD",
    "EULER",
    "FLOP_PER_MAC",
    "FULL_WIDTH",
    "GRAPH_SHARE",
    "GROUP_LOG_SD",
    "GROUP_WEIGHT",
    "HALF_WIDTH",
    "INTERVAL_QUANTILE",
    "INTERVAL_SHARE",
    "KV_REREAD_RATIO",
    "LAYOUT_LOG_SD",
    "LOG_4_PI",
    "MASK_WIDTH",
    "MATRIX_SHARE",
    "MEMORY_LOG_SD",
    "OPTIMIZER_STATES",
    "OVERHEAD_LOG_SD",
    "PREFILL_TOKENS",
    "RESERVE_LOG_SD",
    "ROW_WEIGHT",
    "SECONDS_PER_DAY",
    "SERIES_BELOW",
    "SHARE_LOG_SD",
    "SPECIAL_PER_CLOCK",
    "SPLITS",
    "SPLIT_DEPTH",
    "SPLIT_PENALTY",
    "STACK_SETS",
    "STANDARD_GRAVITY",
    "VECTOR_SHARE",
    "WAITING_LOG_SD",
    "WITHIN_STACK_LOG_SD",
]

FLOP_PER_MAC = 2.0
"""FLOP of one multiply-accumulate: a multiplication and an addition."""

HALF_WIDTH = bytes_per_element("bf16")
"""Bytes of a 16-bit element: what transformers keep between operators, also under 8-bit products."""

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

CACHE_PER_CLOCK = 25.0
"""Bytes that a processor reads from the last-level cache per clock in decode attention which does not share
key-value heads. Estimate, range 16 to 32, from three GPU generations."""

GRAPH_SHARE = 0.5
"""Time per kernel of a replayed graph over that of a kernel launched by the host. Estimate, range 0.2 to 0.8: start
and drain on the device, 1 to 3 us, against 4 to 6 us of a driver launch."""

KV_REREAD_RATIO = 1.6
"""Bandwidth of the last-level cache over that of memory when a decode kernel reads a key-value head
once per query head. Estimate, range 1.3 to 2.0, from servers of two GPU generations whose kernels
do so; it only acts for stacks without shared key-value reads."""

PREFILL_TOKENS = 8192.0
"""Tokens of one prefill pass, which size the workspace. Estimate, range 2048 to 16384: 8192 is a
common default of the servers' limit on batched tokens."""

SPLITS = (2.0, 4.0, 8.0)
"""Ways in which the library may divide the inner dimension of a product with few tiles. Estimate."""

SPLIT_DEPTH = 256.0
"""Shortest inner dimension of a part when it divides. Estimate."""

SPLIT_PENALTY = 0.03
"""Extra time of a divided product: adding the parts. Estimate, range 0.01 to 0.1."""

MATRIX_SHARE = 0.74
"""Share of the dense peak that the best matrix product reaches on matrix units, where nobody measured the
device. Median of 20 best shapes on 12 accelerators (stas00/ml-engineering, Maximum Achievable Matmul FLOPS),
0.51 to 0.97."""

VECTOR_SHARE = 0.85
"""The same for vector units. Estimate, range 0.6 to 0.97."""

SHARE_LOG_SD = 0.18
"""Spread of those shares between devices, natural-log units. Nine of ten of 29 shares in the registry lie inside."""

COMPUTE_LOG_SD = 0.10
"""Prior spread of a compute ceiling whose claim gives no range, natural-log units. Estimate."""

MEMORY_LOG_SD = 0.06
"""Prior spread of a memory ceiling whose claim gives no range, natural-log units. Estimate."""

OVERHEAD_LOG_SD = 0.47
"""Prior spread of the time per kernel when its claim gives no range: a factor of 1.6. Estimate."""

RESERVE_LOG_SD = 0.2
"""Prior spread of the memory that a runtime keeps when its claim gives no range. Estimate."""

BETWEEN_STACK_LOG_SD = 0.071
"""Spread of ln(measured / predicted) between software stacks on which nothing was fitted, beside the ranges of their
ceilings. Estimate over seven published sets of training and serving measurements (104 rows). Under the general ceilings
of 31 stacks the intervals hold 94 % of the packaged measurements, every stack counting alike; less would do for nine of
ten, but the ceilings were chosen by people who had seen these rows, and stacks of training reach 70 to 100 %."""

STACK_SETS = 7.0
"""Sets behind the spread between stacks."""

WITHIN_STACK_LOG_SD = 0.06
"""Spread of ln(measured / predicted) within one stack. Estimate, range 0.02 to 0.10, from the same sets."""

INTERVAL_QUANTILE = 1.6448536269514722
"""Standard normal quantile of 95 %: a two-sided 90 % interval."""

INTERVAL_SHARE = 0.9
"""Share of measurements that an interval is meant to hold."""

GROUP_LOG_SD = 0.06
"""Spread of ln(measured / predicted) between groups of rows (set, model and device) under constants that were fitted
on other groups of the device. Estimate, range 0.05 to 0.09: with the two constants below nine of ten packaged
measurements lie inside the intervals of fits without their group."""

DEVICE_LOG_SD = 0.15
"""The same between devices, under constants that were fitted on other devices. Estimate from the devices left out of
the packaged calibrations that span several, range 0.07 to 0.3."""

GROUP_WEIGHT = 5.0
"""How many groups left out the two general spreads are worth. Estimate, range 3 to 8."""

ROW_WEIGHT = 3.0
"""How many rows the general scatter within a stack is worth: as many as constants are fitted."""

STANDARD_GRAVITY = 9.80665
"""Standard acceleration of free fall, m/s^2: a conventional value."""

SECONDS_PER_DAY = parse_unit("day").factor
"""Seconds of a day, from the unit table."""

EULER = 0.5772156649015329
"""The Euler-Mascheroni constant: the mean of a standard Gumbel variable."""

LOG_4_PI = 2.5310242469692907
"""The logarithm of 4 pi."""

SERIES_BELOW = 0.1
"""Argument below which ten terms of the exponential series are exact to the last digit."""

WAITING_LOG_SD = 0.4
"""Scatter of the part of a time to first token in which a request waits for others. Estimate, range 0.2 to 0.7: the
wait depends on how far requests that began together have drifted apart, of which only the mean is known."""

LAYOUT_LOG_SD = 0.08
"""Scatter that constants fitted on one device gain when several share a model: narrower products and collectives that
nobody has measured apart. Estimate, range 0.05 to 0.15, set after comparing servers on two to eight devices."""
