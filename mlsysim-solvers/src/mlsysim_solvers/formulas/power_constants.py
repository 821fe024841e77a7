"""Constants of power: what the units of chips draw, and how much of it follows the clock."""

from __future__ import annotations

POWER_DENSITY = {
    ("NVIDIA", "12 nm"): 2.1e-21,
    ("NVIDIA", "8 nm"): 1.9e-21,
    ("NVIDIA", "7 nm"): 0.85e-21,
    ("NVIDIA", "4 nm"): 0.45e-21,
    ("NVIDIA", "Hopper"): 0.45e-21,
    ("AMD", "CDNA 3"): 0.79e-21,
    ("AMD", "CDNA 4"): 0.46e-21,
}
"""Dynamic power of matrix units on 16-bit operands over work per clock and the square of the clock, J s/FLOP, by maker
and process, or architecture where units and process differ from what else the maker has on it, at clocks above
``LOWEST_CLOCK``. Estimates, range a factor of 1.3 either way, from the highest published rates of matrix products on
devices that their power limits: T4 2.0 and V100 2.0 to 2.5 (12 nm), A10 1.9 (8 nm), A100 0.92 at 400 W and 0.79 at 300
W (7 nm), H100 0.46 and L4 0.43 (4 nm), MI300X 0.80 at 750 W and MI325X 0.77 at 1000 W, MI355X 0.46, each in 1e-21."""

LOWEST_CLOCK = {"NVIDIA": 1.2e9}
"""Clock below which the voltage of a chip falls no further, 1/s, by maker, so that an operation takes the same energy.
Estimate, range 1.0e9 to 1.4e9. A GA100 draws 131 W at 1.2 GHz and 175 W at 1.35, and at the lower clock a lower voltage
saves almost nothing (cachenetics/170tune, docs/mechanism.md, table under "The VF offset is an undervolt" and "The two
regimes"). T4 at 0.67 and V100 at 1.3 GHz take 2.4 and 2.6 pJ for an operation; under the square alone they would
differ by half."""

DYNAMIC_SHARE = 0.85
"""Share of the sustained power that follows the clock: all but leakage, memory and fans. Estimate, range 0.75 to
0.92."""

NARROW_ENERGY = 0.65
"""Energy of an operation on eight bits over that on sixteen. Estimate, range 0.5 to 0.75, from the highest rates of an
H100 at 700 W in either format."""

INTEGER_ENERGY = 0.75
"""Energy of an operation of matrix units on integers over that on floats of the same width. Estimate, range 0.5 to 0.9:
units for 8-bit floats are 50 to 180 % less efficient in hardware than those for integers (van Baalen et al. 2023,
arXiv:2303.17951, abstract), and half of the energy is taken to move operands, which either has to. That submissions of
one model in both formats differ so was seen before this was chosen."""

VECTOR_ENERGY = 2.6
"""Energy of an operation of vector units over that of matrix units on operands of the same width. Estimate, range 1.7
to 3.8, from 32-bit products on a T4 (3.5), an A10 (2.4) and an RTX 3090 (at most 2.4)."""

FLOOR_SHARE = 0.3
"""Share of the sustained maximum that a device draws while kernels run, beside what operations and bytes take.
Estimate, range 0.15 to 0.45. This and the four below were chosen with published powers in view (``mlsysim validate
--outside``, metric power_w_per_accelerator), the same for all devices; floor and energy of a bit trade for each other
there."""

BIT_ENERGY = {"HBM": 11e-12, "GDDR": 32e-12}
"""Energy of a bit on its way from memory to the units that calculate, J, by kind of memory: caches, and instructions
that fetch it, among it. Estimates, ranges 6 to 20 pJ and 16 to 45 pJ."""

FULL_LOAD = 0.55
"""Share of the peak at which arithmetic alone draws the sustained maximum. Estimate, range 0.35 to 0.75: products reach
more of the peak only as the clock falls, and a clock that is lower takes less for an operation."""

TRAINING_DRAW = 0.85
"""Share of the sustained maximum that a device draws in training while it computes. Estimate, range 0.7 to 1."""

DRAW_LOG_SD = 0.15
"""Spread of ln(measured / answered power) of a device at work, far from its limit. Estimate, range 0.1 to 0.25: of 74
figures of twelve publications half err by less than 10 %."""
