"""What the solver of energy, carbon and water declares."""

from __future__ import annotations

from mlsysim.solving import Setting, SolverSpec

from .common import OF_A_RUN, PERFORMANCE, RUN, SPREADS

__all__ = ["SUSTAINABILITY"]

SUSTAINABILITY = SolverSpec(
    name="sustainability",
    title="What energy, carbon and water does the work take?",
    question="sustainability",
    scenarios=("serving", "traffic", "training", "inference"),
    target="mlsysim_solvers.sustainability:SustainabilitySolver",
    inputs=(
        "device",
        "node?",
        "grid?",
        "site?",
        *PERFORMANCE,
        *RUN,
        *(f"performance.{name}?" for name in ("duty", "active_share", "utilisation", "bandwidth_utilisation")),
    ),
    outputs={
        "macro.device_power": "W",
        "macro.power": "W",
        "macro.energy_per_token": "J/token",
        "macro.energy_per_sample": "J/sample",
        "macro.carbon_per_token": "kgCO2e/Mtoken",
        "macro.carbon_per_sample": "kgCO2e/Msample",
        "macro.water_per_token": "L/Mtoken",
        "macro.water_per_sample": "L/Msample",
        "macro.run_energy": "kWh",
        "macro.run_carbon": "kgCO2e",
    },
    labels={
        "macro.device_power": "power of a device at work",
        "macro.power": "power from the grid",
        "macro.energy_per_token": "energy per output token",
        "macro.energy_per_sample": "energy per sample",
        "macro.carbon_per_token": "carbon per million output tokens",
        "macro.carbon_per_sample": "carbon per million samples",
        "macro.water_per_token": "water per million output tokens",
        "macro.water_per_sample": "water per million samples",
        "macro.run_energy": "energy of the run",
        "macro.run_carbon": "carbon of the run",
    },
    answered_if={
        **dict.fromkeys(
            ("macro.water_per_token", "macro.water_per_sample"),
            "where the water of a site and of a grid is known (set place.site, place.grid)",
        ),
        **dict.fromkeys(("macro.run_energy", "macro.run_carbon"), OF_A_RUN),
        "macro.device_power": "where the energy of a bit of its memory is known, and no power is set",
    },
    settings={
        "power": Setting("W", "sustained power per device; 0 takes the published one", 0.0),
        "idle": Setting("W", "power per device between samples; 0 takes the published one", 0.0),
        "waiting": Setting(
            "W", "power per training device while it waits for others; 0 takes the published idle power", 0.0
        ),
    },
    columns={
        "full_power": "W",
        "rated": "1",
        "drawn": "1",
        "floor": "1",
        "memory": "1",
        "full_load": "1",
        "utilisation": "1",
        "bandwidth_utilisation": "1",
        "idle_power": "W",
        "waiting_power": "W",
        "active_share": "1",
        "busy": "1",
        "devices": "1",
        "pue": "1",
        "wue": "m^3/J",
        "carbon_intensity": "kg/J",
        "grid_water": "m^3/J",
        "throughput": "sample/s",
        "token_throughput": "token/s",
        "run_time": "s",
        **SPREADS,
    },
    references=("ISO/IEC 30134-2:2016, PUE",),
)
