"""From a measurement to a prediction with its interval, or to the reason why there is none."""

from __future__ import annotations

import math

import attrs

from mlsysim.config import SimulationConfig
from mlsysim.entities import Entry
from mlsysim.errors import MlsysimError
from mlsysim.evaluation import ask
from mlsysim.plugins import plugins
from mlsysim.records import Device
from mlsysim.records.measurement import Measurement
from mlsysim.units import parse_unit

from ..formulas.constants import BETWEEN_STACK_LOG_SD, INTERVAL_QUANTILE
from .between import between_makers, between_stacks, between_versions
from .blanks import blanks
from .cells import READ
from .collectives import predict_collective
from .kernels import predict_kernel
from .mapping import question_for
from .names import names
from .publications import apart, interval
from .questions import Assumed, Question, Refused
from .tables import UNREADABLE
from .variants import alternatives, widest

__all__ = ["Outcome", "check_row", "predict", "rescaled"]

UNMODELLED_LOG_SD = 0.1
"""How much parts of an architecture that its shape leaves out may move a prediction, natural log: an estimate."""

OVERFULL = 1.15
"""By what factor the memory that a prediction needs may exceed what is usable before the row is refused:
it ran, so a smaller excess is the error of the memory formula."""


@attrs.frozen
class Outcome:
    """What came of one row.

    Parameters
    ----------
    row : Measurement
        The row.
    predicted, low, high : float or None
        Prediction and 90 % interval in the unit of the metric; None when refused.
    reason : str
        Why it was refused.
    stack : str
        Key of the stack, assumed or named.
    device, model, precision : str
        Keys; empty when refused before they were known.
    calibrated : bool
        Whether constants fitted on this device and precision took part.
    in_sample : bool
        Whether this very row was among those the constants were fitted on.
    assumed : tuple of str
        What the row leaves open.
    log_sd : float
        Standard deviation of the logarithm of the prediction.
    own_sd : float
        The part of it that follows how far the measurements of a stack stray: all but what the row leaves open, and 0
        where the prediction is no time or rate of a stack.
    beyond : tuple of float, natural-log units
        What it strays besides towards faster and towards slower runs: nobody compared its publication before.
    ideal : float or None
        The same figure at the full peak and bandwidth of the device, for the baseline.
    """

    row: Measurement
    predicted: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    stack: str = ""
    device: str = ""
    model: str = ""
    precision: str = ""
    calibrated: bool = False
    in_sample: bool = False
    assumed: tuple[str, ...] = ()
    log_sd: float = 0.0
    own_sd: float = 0.0
    beyond: tuple[float, float] = (0.0, 0.0)
    ideal: float | None = None

    @property
    def error(self) -> float | None:
        """Relative error: predicted over measured, less one; None when refused."""
        return None if self.predicted is None else self.predicted / self.row.value - 1.0

    @property
    def half_width(self) -> float:
        """Half of the interval over the prediction; 0 when refused."""
        return ((self.high or 0.0) - (self.low or 0.0)) / 2.0 / (self.predicted or 1.0)


def predict(row: Measurement) -> Outcome:
    """Predict one measurement.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    Outcome
        Refused rows carry the reason.
    """
    try:
        check_row(row)
        if row.table == "kernels":
            return _kernel(row)
        return _answer(row, question_for(row, names()))
    except Refused as refusal:
        return Outcome(row, reason=str(refusal))
    except MlsysimError as error:
        return Outcome(row, reason=f"{error.what}")


def check_row(row: Measurement) -> None:
    """Refuse what cannot be read, and what would have to be guessed whatever is asked.

    Parameters
    ----------
    row : Measurement
        The row.

    Raises
    ------
    Refused
        With the reason.
    """
    fault = row.configuration.get(UNREADABLE)
    if fault:
        raise Refused(fault)
    if row.table in ("training", "inference") and row.devices < 1:
        raise Refused("the number of accelerators is not published")


def _kernel(row: Measurement) -> Outcome:
    if row.devices > 1:
        timed = row.metric.quantity == "time"
        if not timed and (row.metric.quantity != "bandwidth" or row.name.startswith("alg")):
            raise Refused(f"{row.name} of a collective is not answered: its time and its bus bandwidth are")
        answer = predict_collective(row, names())
        value, ideal = answer.value, answer.ideal
        if timed:
            value, ideal = answer.time, answer.time * answer.value / answer.ideal
        unit = parse_unit(row.metric.unit).factor
        return _outcome(row, value / unit, answer.log_sd, answer.assumed, device=answer.device, ideal=ideal / unit)
    found = predict_kernel(row, names())
    wanted = "compute" if row.kind in ("gemm", "attention") else "bandwidth"
    unit, kernel, value, ideal = parse_unit(row.metric.unit).factor, found.kernel, found.value, found.ideal
    if row.metric.quantity == "time":
        value, ideal = kernel.work / value, kernel.work / ideal
    elif row.metric.quantity != wanted:
        raise Refused(f"{row.name} of {row.kind} is not answered: its {wanted} and its time are")
    stack, device = (plugins().registry.get(*key) for key in (("stacks", kernel.stack), ("devices", kernel.device)))
    variants = _kernel_variants(row, kernel.device, kernel.precision)
    assumed = (*kernel.assumed, *variants, *_other_makers(stack, device))
    return _outcome(
        row, value / unit, found.log_sd, assumed, own_sd=found.log_sd, stack=kernel.stack, device=kernel.device,
        precision=kernel.precision, calibrated=kernel.calibrated, in_sample=kernel.in_sample, ideal=ideal / unit,
    )  # fmt: skip


def _answer(row: Measurement, question: Question) -> Outcome:
    config, performance, spreads = _asked(question)
    if question.output not in performance:
        raise Refused(f"no installed solver answers {question.output}")
    _check_memory(performance)
    value = float(performance[question.output])
    unit = parse_unit(row.metric.unit).factor
    ideal = _ideal(config, performance, value, question.output)
    workload = config.scenario.workload
    stack = config.entries["stack"]
    device = config.entries["device"].key
    made: Device = config.entries["device"].record
    fitted = stack.record.calibration_for(device, workload.precision, made.vendor, made.alike(workload.precision))
    assumed = (*question.assumed, *blanks(row, question, stack.record), *_variants(row, question, config, performance))
    if config.entries["model"].record.unmodelled:
        assumed = (*assumed, Assumed(config.entries["model"].record.unmodelled, UNMODELLED_LOG_SD))
    assumed = (*assumed, *_standing_in(row, question, config, value, fitted=fitted is not None))
    spread = spreads.get(question.output, 0.0)
    return _outcome(
        row, question.figure(value, unit), spread, assumed,
        own_sd=0.0 if question.output.startswith("feasibility") else spread,
        stack=stack.key, device=device, model=config.entries["model"].key, precision=workload.precision,
        calibrated=fitted is not None, in_sample=fitted is not None and row.id in fitted.rows,
        ideal=None if ideal is None else question.figure(ideal, unit),
    )  # fmt: skip


def _asked(question: Question) -> tuple[SimulationConfig, dict[str, float], dict[str, float]]:
    """Return the configuration of a question, its answers so far as needed, and their spreads."""
    config = SimulationConfig.from_scenario(question.scenario)
    performance: dict[str, float] = {}
    spreads: dict[str, float] = {}
    for asked, _, result in ask(config):
        if isinstance(result, str):
            if asked == "performance":
                raise Refused(result)
            continue
        performance.update(result.outputs)
        spreads.update(result.log_sd)
        if question.output in performance:
            break
    return config, performance, spreads


def _standing_in(
    row: Measurement, question: Question, config: SimulationConfig, value: float, *, fitted: bool
) -> tuple[Assumed, ...]:  # fmt: skip
    """List in which respects the constants of a stack stand in for those of the software that ran."""
    found = []
    stack, device = config.entries["stack"], config.entries["device"]
    near = names().stands_in(row.software)
    if near or not config.scenario.system.stack:
        why = f"the nearest relative of {row.software}" if near else "as the row names none that is known"
        between = between_stacks(question.scenario, question.output, stack.key, device.key, value)
        found.append(Assumed(f"stack {stack.key}, {why}", between))
    if question.output.startswith("feasibility"):
        return tuple(found)
    apart = between_versions(row.software)
    if not found and fitted and apart:
        why = f"{row.software} does as well as the versions that gave the constants of {stack.key}"
        found.append(Assumed(why, apart))
    if not found and not stack.record.calibrations and stack.record.scatter is None:
        # Ranges of its ceilings say how far stacks differ in general; nobody saw what this one does beside them.
        found.append(Assumed(f"nobody compared {stack.key} with measurements", BETWEEN_STACK_LOG_SD))
    # Where nothing fitted holds, the interval knows already how much constants differ between devices.
    return (*found, *(_other_makers(stack, device) if fitted else ()))


def _other_makers(stack: Entry, device: Entry) -> tuple[Assumed, ...]:
    makers = between_makers(stack.record, device.record)
    if not makers:
        return ()
    return (Assumed(f"{stack.key} does as well as on devices of other makers", makers),)


def _ideal(config: SimulationConfig, found: dict[str, float], value: float, output: str) -> float | None:
    """Return the time, or rate, at the full peak and bandwidth, for the part of the answer that is asked for.

    Of a power it is the sustained maximum.
    """
    device: Device = config.entries["device"].record
    if output == "macro.device_power":
        return None if device.power is None else device.power.tdp
    share = _share(config, found, device)
    if not share:
        return None
    return value / share if output.endswith("throughput") else value * share


def _share(config: SimulationConfig, found: dict[str, float], device: Device) -> float | None:
    """Return which part of the time of an answer a device would need at its full peak and bandwidth."""
    flops, traffic, latency = (found.get(f"performance.{name}") for name in ("flops", "bytes", "latency"))
    precision, taken = config.scenario.workload.precision, config.entries["device"].record
    peak, bandwidth = _dense(device, precision), device.memory.bandwidth
    if peak is None or bandwidth is None or taken.memory.bandwidth is None:
        return None
    if flops is None:
        # Requests come and go: no latency is that of all work, but each pass has its share of either roof.
        roofs = (taken.peak_of(precision).dense / peak, taken.memory.bandwidth / bandwidth)
        names = ("utilisation", "bandwidth_utilisation")
        return float(max(found.get(f"performance.{n}", 0.0) * roof for n, roof in zip(names, roofs, strict=True)))
    if not latency:
        return None
    return float(max(flops / peak, (traffic or 0.0) / bandwidth) / config.scenario.system.devices / latency)


def _dense(device: Device, precision: str) -> float | None:
    peak = device.compute.peak.get(precision)
    return None if peak is None else peak.dense


def _variants(
    row: Measurement, question: Question, config: SimulationConfig, found: dict[str, float]
) -> tuple[Assumed, ...]:
    """List the devices that the published name means as well; the figure of any of them lies in the interval."""
    key = config.entries["device"].key
    needed = found.get("feasibility.memory_required", 0.0)
    others = tuple(
        other for other in alternatives(row, key, names())
        if plugins().registry.get("devices", other).record.memory.capacity * OVERFULL >= needed
    )  # fmt: skip
    if not others:
        return ()
    own = _share(config, found, config.entries["device"].record)
    records = [plugins().registry.get("devices", other).record for other in others]
    shares = [_share(config, found, record) for record in records]
    gap = widest(share / own for share in shares if share and own)
    return (_left_open(row, key, others, 0.0 if question.output.startswith("feasibility") else gap),)


def _kernel_variants(row: Measurement, key: str, precision: str) -> tuple[Assumed, ...]:
    others = alternatives(row, key, names())
    if not others:
        return ()
    taken, *records = (plugins().registry.get("devices", one).record for one in (key, *others))
    if row.kind in ("gemm", "attention"):
        own, rates = _dense(taken, precision), [_dense(record, precision) for record in records]
    else:
        own, rates = taken.memory.bandwidth, [record.memory.bandwidth for record in records]
    gap = widest(rate / own for rate in rates if rate and own)
    return (_left_open(row, key, others, gap),)


def _left_open(row: Measurement, key: str, others: tuple[str, ...], gap: float) -> Assumed:
    return Assumed(f"{row.device} is {key}; the name also fits {', '.join(others)}", gap / INTERVAL_QUANTILE)


def _check_memory(found: dict[str, float]) -> None:
    required, usable = found.get("feasibility.memory_required"), found.get("feasibility.memory_usable")
    if required is not None and usable is not None and required > OVERFULL * usable:
        raise Refused(f"it needs {required / 1e9:.4g} GB of {usable / 1e9:.4g} GB that are usable, and yet it ran")


def _outcome(row: Measurement, value: float, log_sd: float, assumed: tuple[Assumed, ...], **known: object) -> Outcome:
    if READ in row.configuration:
        assumed = (*assumed, Assumed(f"read {row.configuration[READ]}"))
    spread = math.sqrt(log_sd**2 + sum(one.log_sd**2 for one in assumed))
    beyond = apart(row)
    said = [one.what for one in assumed]
    if any(beyond):
        said.append("nobody compared figures of this publication before")
    low, high = interval(value, spread, beyond, larger_is_faster=row.metric.larger_is_faster)
    return Outcome(row, value, low, high, assumed=tuple(said), log_sd=spread, beyond=beyond, **known)  # type: ignore[arg-type]


def rescaled(outcome: Outcome, factor: float) -> Outcome:
    """Return a prediction under another factor of its stack.

    Parameters
    ----------
    outcome : Outcome
        The prediction; refused ones stand.
    factor : float, ratio
        By what its own spread is multiplied.

    Returns
    -------
    Outcome
    """
    if outcome.predicted is None or not outcome.own_sd:
        return outcome
    own = factor * outcome.own_sd
    spread = math.sqrt(max(0.0, outcome.log_sd**2 - outcome.own_sd**2) + own**2)
    faster = outcome.row.metric.larger_is_faster
    low, high = interval(outcome.predicted, spread, outcome.beyond, larger_is_faster=faster)
    return attrs.evolve(outcome, low=low, high=high, log_sd=spread, own_sd=own)


def warm_up() -> None:
    """Load plugins and names once, before rows are timed or processes forked."""
    plugins()
    names()
