"""Constants of tiles: how products and heads of attention are cut, and what a tile waits for."""

from __future__ import annotations

SPLITS = (2.0, 4.0, 8.0)
"""Ways in which the library may divide the inner dimension of a product with few tiles. Estimate."""

JOIN_CLOCKS = 3000.0
"""Clocks in which the kernel that adds the parts of a divided product starts, waits for memory once and ends: 1 to 3 us
of start and drain, of which a load from memory is some 1000 (github.com/sjfeng1999/gpu-arch-microbenchmark, README.md:
global latency 1000 to 1200 cycles, level 2 236, on an RTX 2070). That partial sums of 32 bits go through memory to a
second kernel, as those of cuBLAS do, is told in github.com/Dao-AILab/quack, pull request 157. Estimate, range 1500 to
5000; chosen with rows of single images from outside sources in view."""

TILE_DELIVERY = 32.0
"""Bytes that a processor takes from the last-level cache per clock for tiles of convolutions, whose windows each tile
gathers for itself. Estimate, range 24 to 40: a comparison of three chips (table 3 of
doi:10.1016/j.ultsonch.2023.106546) gives a V100 3133 GB/s for 84 processors at 1530 MHz, an A100 7219 for 128 at 1410,
an H100 8986 for 144 at 1755, which is 24, 40 and 36 bytes. Chosen after the error of convolutions on one of them was
seen. Where products share what they load between neighbours, the rate measured on the device already contains it."""

STEP_CLOCKS = 100.0
"""Clocks that matrix units wait in a step of the inner dimension while their processor has one tile only: operands come
from shared memory in some 30, results follow instructions in as many, warps meet. Estimate, range 50 to 200."""

STEP_BYTES = 64.0
"""Depth of such a step: 32 elements of 16 bits. Estimate, range 32 to 128."""

TENSOR_MEMORY = frozenset({"Blackwell", "Blackwell Ultra"})
"""Architectures whose matrix units keep sums in a memory of their own: one thread starts an instruction, which reads
operands from shared memory and runs beside all warps (NVIDIA CUTLASS documentation, tcgen05 MMA programming guide;
Apache TVM documentation, gemm_async). So a lone tile waits for no warp between steps."""

EMULATED = 2.0
"""Exponentials that kernels for such architectures take per clock over those of the special-function units: polynomials
on the other units "effectively" double them (Blockchain.News of 2026-03-05 on FlashAttention-4 by Together AI). An
estimate from a report at third hand, range 1 to 2, taken with residuals of B200 in view, which 1 fits as well."""

HEAD_STEP = 32.0
"""Widths of heads for which kernels of fused attention exist are its multiples: the files of csrc/flash_attn/src of
Dao-AILab/flash-attention before 36dddb89 are named for 32, 64, 96, 128, 160, 192, 224 and 256 (later ones leave out 160
and 224). That other heads are padded to the next one is an estimate."""
