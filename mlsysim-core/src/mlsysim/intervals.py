"""What an interval is: an answer spreads as a log-normal number, and nine of ten lie between the ends."""

from __future__ import annotations

__all__ = ["INTERVAL_QUANTILE", "INTERVAL_SHARE"]

INTERVAL_SHARE = 0.9
"""Share of measurements that an interval is meant to hold; ranges of estimates are read alike."""

INTERVAL_QUANTILE = 1.6448536269514722
"""Standard normal quantile of 95 %: half-width of such an interval in standard deviations."""
