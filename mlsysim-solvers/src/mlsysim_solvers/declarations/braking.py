"""What the solver of stopping distances declares."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

__all__ = ["BRAKING"]

BRAKING = SolverSpec(
    name="braking",
    title="Can the vehicle stop within the reach of its sensors?",
    question="stopping-distance",
    scenarios=("inference",),
    target="mlsysim_solvers.braking:BrakingSolver",
    inputs=("device", "performance.latency"),
    outputs={
        "performance.stopping_distance": "m",
        "performance.latency_budget": "s",
        "performance.latency_margin": "s",
    },
    labels={
        "performance.stopping_distance": "stopping distance",
        "performance.latency_budget": "latency budget",
        "performance.latency_margin": "latency margin",
    },
    settings={
        "speed": Setting("m/s", "speed of the vehicle"),
        "friction": Setting("1", "friction between tyre and road"),
        "reach": Setting("m", "distance at which an obstacle is seen"),
        "sensing": Setting("s", "time from light to a frame in memory", 0.0),
        "actuation": Setting("s", "time from a decision to the first touch of the brake", 0.0),
    },
    columns=dict.fromkeys(("sensing", "actuation", "latency"), "s")
    | {"speed": "m/s", "friction": "1", "reach": "m", "gravity": "m/s^2"},
    references=("Uniformly decelerated motion",),
)
