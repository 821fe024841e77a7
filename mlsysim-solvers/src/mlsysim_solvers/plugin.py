"""The solvers of this distribution, as strings: listing them imports none."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from mlsysim.hookspecs import hookimpl
from mlsysim.solving import Setting, SolverSpec

from . import in_flight_declarations as in_flight
from . import run_declarations as run
from . import serving_declarations as serving
from . import training_declarations as training
from .declarations import COLUMNS, OUTPUTS, SETTINGS

__all__ = ["mlsysim_register_commands", "mlsysim_register_solvers"]

PERFORMANCE = (
    "performance.throughput",
    "performance.throughput.log_sd?",
    "performance.token_throughput?",
    "performance.token_throughput.log_sd?",
)
RUN = (
    f"{run.ENDS}?",
    "performance.run_time?",
    "performance.run_time.log_sd?",
    "performance.time_to_train?",
    "performance.time_to_train.log_sd?",
    "performance.goodput?",
)
SHARES = dict.fromkeys(
    [f"performance.{name}" for name in (
        "utilisation", "hardware_utilisation", "bandwidth_utilisation", "active_share", "duty", "goodput",
        "checkpoint_overhead",
    )], 1.0,
)  # fmt: skip
"""Outputs that are shares of a whole."""
SPREADS = dict.fromkeys(("throughput.log_sd", "token_throughput.log_sd", "run_time.log_sd"), "1")

SINGLE_NODE = SolverSpec(
    name="single-node",
    title="Does it fit one device, how long does it take, and what binds?",
    question="performance",
    devices="one",
    scenarios=("serving", "training", "inference"),
    target="mlsysim_solvers.single_node:SingleNodeSolver",
    inputs=("model", "device", "stack"),
    outputs={name: unit for outputs in OUTPUTS.values() for name, unit in outputs.items()},
    at_most=SHARES,
    columns=COLUMNS,
    settings={name: Setting(*setting) for name, setting in SETTINGS.items()},
    labels={
        "feasibility.fits": "fits",
        "feasibility.memory_required": "memory required",
        "feasibility.memory_usable": "memory usable",
        "feasibility.headroom": "headroom",
        "feasibility.max_batch": "largest batch that fits",
        "feasibility.keeps_up": "keeps up with the samples that arrive",
        "performance.latency": "latency",
        "performance.step_time": "step time",
        "performance.ttft": "time to first token",
        "performance.tpot": "time per output token",
        "performance.throughput": "throughput",
        "performance.token_throughput": "token throughput",
        "performance.run_time": "time of the run's steps, undisturbed",
        "performance.forward_time": "forward pass of a batch, to evaluate",
        "performance.checkpoint_size": "size of a checkpoint",
        "performance.utilisation": "utilisation (MFU)",
        "performance.bandwidth_utilisation": "bandwidth utilisation",
        "performance.bound": "bound by",
        "performance.bound_factor": "bound factor",
        "performance.duty": "busy share",
        "performance.flops": "work",
        "performance.bytes": "memory traffic",
    },
    references=(
        "Williams, Waterman, Patterson 2009, Roofline, CACM 52(4)",
        "Korthikanti et al. 2022, arXiv:2205.05198",
    ),
)

DISTRIBUTED = SolverSpec(
    name="distributed",
    title="Does a training layout fit its devices, how long is a step, and where does it go?",
    question="performance",
    scenarios=("training",),
    devices="many",
    target="mlsysim_solvers.distributed:DistributedSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "far?", "inner?", "outer?", "host?"),
    outputs=training.OUTPUTS,
    at_most=SHARES,
    columns=training.COLUMNS,
    settings={name: Setting(*setting) for name, setting in training.SETTINGS.items()},
    labels=training.LABELS,
    references=(
        "Narayanan et al. 2021, arXiv:2104.04473",
        "Korthikanti et al. 2022, arXiv:2205.05198",
        "Rajbhandari et al. 2019, ZeRO, arXiv:1910.02054",
        "NVIDIA NCCL, src/graph/tuning.cc",
    ),
)

PARALLEL_SERVING = SolverSpec(
    name="parallel-serving",
    title="Does a model fit several devices, how fast does it answer there, and what binds?",
    question="performance",
    scenarios=("serving", "inference"),
    devices="many",
    target="mlsysim_solvers.parallel_serving:ParallelServingSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "inner?", "outer?"),
    outputs=serving.OUTPUTS,
    at_most=SHARES,
    columns=serving.COLUMNS,
    settings={name: Setting(*setting) for name, setting in serving.SETTINGS.items()},
    labels={name: text for name, text in SINGLE_NODE.labels.items() if name in serving.OUTPUTS} | serving.LABELS,
    references=(
        "Shoeybi et al. 2019, Megatron-LM, arXiv:1909.08053",
        "Huang et al. 2019, GPipe, arXiv:1811.06965",
        "NVIDIA NCCL, src/graph/tuning.cc",
    ),
)

IN_FLIGHT = SolverSpec(
    name="in-flight",
    title="How many requests are answered, and how fast, when they come and go and are batched in flight?",
    question="performance",
    scenarios=("traffic",),
    target="mlsysim_solvers.in_flight:InFlightSolver",
    inputs=("model", "device", "stack", "node?", "cluster?", "fabric?", "inner?", "outer?", "between?"),
    outputs=in_flight.OUTPUTS,
    columns=in_flight.COLUMNS,
    settings={name: Setting(*setting) for name, setting in in_flight.SETTINGS.items()},
    labels={name: text for name, text in SINGLE_NODE.labels.items() if name in in_flight.OUTPUTS} | in_flight.LABELS,
    references=(
        "Yu et al. 2022, Orca, OSDI",
        "Kwon et al. 2023, PagedAttention, arXiv:2309.06180",
        "Agrawal et al. 2024, Sarathi-Serve, arXiv:2403.02310",
        "Little 1961, Operations Research 9(3)",
    ),
)

WHOLE_RUN = SolverSpec(
    name="run",
    title="How long does a whole training run take, with evaluation, checkpoints, stragglers and failures?",
    question="run",
    scenarios=("training",),
    target="mlsysim_solvers.run:RunSolver",
    inputs=run.INPUTS,
    outputs=run.OUTPUTS,
    at_most=SHARES,
    columns=run.COLUMNS,
    labels=run.LABELS,
    references=(
        "Young 1974, CACM 17(9)",
        "Daly 2006, FGCS 22(3), doi:10.1016/j.future.2004.11.016",
    ),
)

ECONOMICS = SolverSpec(
    name="economics",
    title="What does the work cost?",
    question="economics",
    scenarios=("serving", "traffic", "training", "inference"),
    target="mlsysim_solvers.economics:EconomicsSolver",
    inputs=("price", *PERFORMANCE, *RUN),
    outputs={
        "macro.hourly_cost": "USD/h",
        "macro.cost_per_token": "USD/Mtoken",
        "macro.cost_per_sample": "USD/Msample",
        "macro.run_cost": "USD",
        "macro.capital": "USD",
    },
    labels={
        "macro.hourly_cost": "cost per hour",
        "macro.cost_per_token": "cost per million tokens",
        "macro.cost_per_sample": "cost per million samples",
        "macro.run_cost": "cost of the run",
        "macro.capital": "purchase price",
    },
    settings={"lifetime": Setting("year", "service life over which a purchase is written off; 0 leaves it out", 0.0)},
    columns={
        "rent": "USD/s",
        "amount": "USD",
        "price_devices": "1",
        "devices": "1",
        "lifetime": "s",
        "throughput": "sample/s",
        "token_throughput": "token/s",
        "run_time": "s",
        **SPREADS,
    },
    references=("Levelised cost: straight-line depreciation",),
)

SUSTAINABILITY = SolverSpec(
    name="sustainability",
    title="What energy, carbon and water does the work take?",
    question="sustainability",
    scenarios=("serving", "traffic", "training", "inference"),
    target="mlsysim_solvers.sustainability:SustainabilitySolver",
    inputs=("device", "node?", "grid?", "site?", *PERFORMANCE, *RUN, "performance.duty?", "performance.active_share?"),
    outputs={
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
        "macro.power": "power from the grid",
        "macro.energy_per_token": "energy per token",
        "macro.energy_per_sample": "energy per sample",
        "macro.carbon_per_token": "carbon per million tokens",
        "macro.carbon_per_sample": "carbon per million samples",
        "macro.water_per_token": "water per million tokens",
        "macro.water_per_sample": "water per million samples",
        "macro.run_energy": "energy of the run",
        "macro.run_carbon": "carbon of the run",
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

DYNAMIC_BATCHING = SolverSpec(
    name="dynamic-batching",
    title="What latency do requests of one pass each see when they arrive at random and are batched?",
    question="dynamic-batching",
    scenarios=("inference",),
    target="mlsysim_solvers.dynamic_batching:DynamicBatchingSolver",
    inputs=("model", "device", "stack", "macro.hourly_cost?"),
    outputs={
        "feasibility.within_limit": "bool",
        "performance.request_latency": "s",
        "performance.request_latency_p50": "s",
        "performance.request_latency_p99": "s",
        "performance.mean_batch": "sample",
        "performance.occupation": "1",
        "performance.full_throughput": "sample/s",
        "performance.limited_throughput": "sample/s",
        "macro.cost_within_limit": "USD/Msample",
    },
    at_most={"performance.occupation": 1.0},
    labels={
        "feasibility.within_limit": "99 % of requests within the limit",
        "performance.request_latency": "mean latency of a request",
        "performance.request_latency_p50": "latency of a request, p50",
        "performance.request_latency_p99": "latency of a request, p99",
        "performance.mean_batch": "mean batch",
        "performance.occupation": "occupation of the server",
        "performance.full_throughput": "rate of full batches",
        "performance.limited_throughput": "largest rate within the limit",
        "macro.cost_within_limit": "cost per million answers at that rate",
    },
    settings={"limit": Setting("s", "latency that 99 % of requests must keep")},
    columns={**COLUMNS, "limit": "s", "devices": "1", "cost": "USD/s"},
    references=("Little 1961, Operations Research 9(3)",),
)

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


@hookimpl
def mlsysim_register_solvers() -> Iterable[SolverSpec]:
    """Offer the solvers of this distribution.

    Returns
    -------
    iterable of SolverSpec
    """
    return [
        SINGLE_NODE, DISTRIBUTED, PARALLEL_SERVING, IN_FLIGHT, DYNAMIC_BATCHING, WHOLE_RUN, ECONOMICS,
        SUSTAINABILITY, BATTERY, BRAKING,
    ]  # fmt: skip


@hookimpl
def mlsysim_register_commands(commands: Any) -> None:
    """Add ``mlsysim validate``, ``mlsysim calibrate``, ``mlsysim optimize`` and ``mlsysim step``.

    Parameters
    ----------
    commands : argparse subparsers action
        Where to add them.
    """
    from .calibration.command import add_calibrate_command
    from .optimize.command import add_optimize_command
    from .step_command import add_step_command
    from .validation.command import add_validate_command

    add_validate_command(commands)
    add_calibrate_command(commands)
    add_optimize_command(commands)
    add_step_command(commands)
