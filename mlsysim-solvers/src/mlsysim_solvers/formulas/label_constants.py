"""Constants of labels of memory."""

from __future__ import annotations

GIGA = 1e9
"""Bytes of a GB."""

BINARY = 2.0**30 / GIGA
"""Bytes of a GiB over those of a GB. Dies of memory hold powers of two, and labels of cards count them: of 29 cards of
the registry with HBM or GDDR whose usable memory was read as well (deviceQuery, nvidia-smi, submissions, makers), 27
report 0.98 GiB and more for each GB of their label (NVIDIA V100 to B300, AMD MI100 to MI325X, Google TPU v2 to v7), and
two, servers' cards that set bits for ECC aside in GDDR, 0.91 (T4, L4)."""

REPORTED = 0.99
"""Share of the label's GiB that software sees. Estimate, range 0.98 to 1: of the same cards 0.98 (RTX 4090), 0.985 to
0.996 (V100, A100, H100, H200, B200), 1 (MI100 to MI325X, TPUs)."""
