"""What the solver of battery life declares."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

__all__ = ["BATTERY"]

BATTERY = SolverSpec(
    name="battery",
    title="How long does the battery last?",
    question="battery-life",
    scenarios=("inference",),
    target="mlsysim_solvers.battery:BatterySolver",
    inputs=("device", "battery", "performance.latency"),
    outputs={
        "feasibility.battery_life": "s",
        "macro.wake_energy": "J",
        "macro.daily_energy": "J",
    },
    labels={
        "feasibility.battery_life": "battery life",
        "macro.wake_energy": "energy per wake-up",
        "macro.daily_energy": "energy per day",
    },
    settings={
        "capture_power": Setting("W", "draw while the sensor captures", 0.0),
        "capture_time": Setting("s", "length of a capture", 0.0),
        "send_power": Setting("W", "draw while the radio sends", 0.0),
        "send_time": Setting("s", "length of a transmission", 0.0),
        "send_share": Setting("1", "share of wake-ups that send", 1.0),
        "inference_power": Setting("W", "draw while computing; 0 takes the device's maximum", 0.0),
        "sleep_power": Setting("W", "draw while asleep; 0 takes the device's published one", 0.0),
        "self_discharge": Setting("1/s", "share of the stored energy lost per time", 0.0),
    },
    columns={
        "charge": "A s",
        "voltage": "V",
        "usable": "1",
        "rate": "1/s",
        "latency": "s",
        "inference_power": "W",
        "sleep_power": "W",
        "day": "s",
        "capture_power": "W",
        "capture_time": "s",
        "send_power": "W",
        "send_time": "s",
        "send_share": "1",
        "self_discharge": "1/s",
    },
    references=("Energy balance of a duty cycle",),
)
