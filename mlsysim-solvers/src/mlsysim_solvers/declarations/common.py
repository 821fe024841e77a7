"""What several solvers declare alike."""

from __future__ import annotations

__all__ = ["ENDS", "OF_A_RUN", "PERFORMANCE", "RUN", "SHARES", "SPREADS"]

ENDS = "feasibility.run_ends"
"""Whether the run gets through its checkpoints and failures; where it does not, nobody says what it costs."""

OF_A_RUN = "for a whole run (set workload.tokens or workload.samples)"
"""When what a run takes is answered."""

PERFORMANCE = (
    "performance.throughput",
    "performance.throughput.log_sd?",
    "performance.token_throughput?",
    "performance.token_throughput.log_sd?",
)
"""Rates that money and energy are reckoned from."""

RUN = (
    f"{ENDS}?",
    "performance.run_time?",
    "performance.run_time.log_sd?",
    "performance.time_to_train?",
    "performance.time_to_train.log_sd?",
    "performance.goodput?",
)
"""What money and energy take of a whole training run, where there is one."""

SHARES = dict.fromkeys(
    [f"performance.{name}" for name in (
        "utilisation", "hardware_utilisation", "bandwidth_utilisation", "active_share", "duty", "goodput",
        "checkpoint_overhead",
    )], 1.0,
)  # fmt: skip
"""Outputs that are shares of a whole."""

SPREADS = dict.fromkeys(("throughput.log_sd", "token_throughput.log_sd", "run_time.log_sd"), "1")
"""Columns for the uncertainty of what performance answers."""
