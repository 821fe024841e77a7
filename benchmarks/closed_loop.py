"""Closing the loop: measure this machine, predict small models on it, run them, compare.

``nox -s loop`` or ``python benchmarks/closed_loop.py`` does so in numpy, and in PyTorch where it is installed, on the
processor and on the first CUDA device; it exits with 1 when a prediction is more than a quarter off. What is predicted
goes the way of every user: the measurement becomes a device and a stack of a registry folder, which are read back.

One thread works unless ``OMP_NUM_THREADS`` and ``OPENBLAS_NUM_THREADS`` say otherwise: then what other programs
take of the processor does not count.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

# The libraries of linear algebra read these when they are loaded.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

import attrs  # noqa: E402
import forward_passes as passes  # noqa: E402
import kernel_predictions  # noqa: E402

from mlsysim.records import Inference, Model, Scenario, Serving, System  # noqa: E402
from mlsysim.records.device import Device  # noqa: E402
from mlsysim.records.stack import Stack  # noqa: E402
from mlsysim.solving import Request, solve  # noqa: E402
from mlsysim_registry.catalog import Catalog, packaged  # noqa: E402
from mlsysim_solvers.calibration.machine_card import overlay_files, write_overlay  # noqa: E402
from mlsysim_solvers.calibration.probes.backend import Backend  # noqa: E402
from mlsysim_solvers.calibration.probes.numpy_backend import numpy_backend  # noqa: E402
from mlsysim_solvers.calibration.probes.plan import run_probes  # noqa: E402
from mlsysim_solvers.calibration.probes.readings import Measured  # noqa: E402
from mlsysim_solvers.calibration.probes.timing import summarise, time_action  # noqa: E402
from mlsysim_solvers.calibration.probes.torch_backend import find_torch, torch_backend  # noqa: E402

GOAL = 0.25
SECONDS = 30.0


@attrs.frozen
class Case:
    """One model: how it runs, and how it is asked for."""

    name: str
    model: Model
    action: passes.Action
    workload: Any
    output: str


def cases(actions: dict[str, passes.Action], precision: str) -> list[Case]:
    """Return what is compared."""
    encoder = Model("encoder", "", transformer=passes.ENCODER)
    network = Model("convolutions", "", network=passes.NETWORK)
    decoder = Model("decoder", "", transformer=passes.DECODER)
    pass_of = "performance.latency"
    return [
        Case("encoder", encoder, actions["encoder"],
             Inference(model="m", precision=precision, batch=passes.BATCH, sequence=passes.SEQUENCE), pass_of),
        Case("convolutions", network, actions["convolutions"],
             Inference(model="m", precision=precision, batch=passes.BATCH), pass_of),
        Case("decode step", decoder, actions["decoder"],
             Serving(model="m", precision=precision, batch=1, input=passes.CONTEXT - 1, output=2), "performance.tpot"),
    ]  # fmt: skip


def written(found: Measured, folder: Path) -> tuple[Device, Stack]:
    """Write a measurement as cards, and read device and stack back from them."""
    write_overlay(folder, overlay_files(found, "machine"))
    catalog = Catalog("measured", folder, shared=packaged().sources)
    device, stack = (catalog.entry(kind, *catalog.keys(kind)).record for kind in ("devices", "stacks"))
    return device, stack


def predict(case: Case, device: Device, stack: Stack) -> float:
    """Return the predicted time of a case, in seconds."""
    kind: Any = "serving" if isinstance(case.workload, Serving) else "inference"
    scenario = Scenario(case.name, kind, case.workload, System(device="d", stack="s"))
    request = Request(scenario, {"model": case.model, "device": device, "stack": stack})
    return float(solve("single-node", request).outputs[case.output])


def compare(backend: Backend, actions: dict[str, passes.Action], precision: str) -> float:
    """Measure, predict, run; return the largest error."""
    asked = cases(actions, precision)
    who = f"{backend.name:6s} {backend.device:7s} {precision:5s}"
    # Before and after: what disturbs the machine for a while disturbs one of them.
    timed = [time_action(case.action, 4.0, stopwatch=backend.stopwatch) for case in asked]
    found = run_probes(backend, SECONDS)
    with tempfile.TemporaryDirectory() as folder:
        device, stack = written(found, Path(folder))
    errors = []
    for case, before in zip(asked, timed, strict=True):
        predicted = predict(case, device, stack)
        after = time_action(case.action, 4.0, stopwatch=backend.stopwatch)
        timing = summarise((*before.samples, *after.samples))
        errors.append(predicted / timing.best - 1.0)
        print(f"{who} {case.name:13s} predicted {1e3 * predicted:8.3f} ms  measured {1e3 * timing.best:8.3f} ms "
              f"(median {1e3 * timing.median:8.3f})  {100 * errors[-1]:+.0f} %")  # fmt: skip
    for probe, each in kernel_predictions.kernel_errors(found, device, stack).items():
        errors.append(statistics.median(map(abs, each)))
        shown = " ".join(f"{100 * error:+.0f}" for error in each)
        print(f"{who} {probe:13s} {shown} %, median {100 * errors[-1]:.0f} %")
    return max(map(abs, errors))


def main() -> int:
    """Compare on everything there is."""
    numpy_actions = {
        "encoder": passes.encoder_in_numpy(), "convolutions": passes.convolutions_in_numpy(),
        "decoder": passes.decoder_in_numpy(),
    }  # fmt: skip
    worst = compare(numpy_backend(), numpy_actions, "fp32")
    torch, why = find_torch()
    if torch is None:
        print(f"{why}: nothing is compared in it")
        return int(worst > GOAL)
    torch.set_grad_enabled(False)
    devices = [("cpu", "fp32"), *([("cuda:0", "bf16")] if torch.cuda.is_available() else [])]
    for device, precision in devices:
        actions = {
            "encoder": passes.encoder_in_torch(torch, device, precision),
            "convolutions": passes.convolutions_in_torch(torch, device, precision),
            "decoder": passes.decoder_in_torch(torch, device, precision),
        }
        worst = max(worst, compare(torch_backend(torch, device), actions, precision))
    return int(worst > GOAL)


if __name__ == "__main__":
    sys.exit(main())
