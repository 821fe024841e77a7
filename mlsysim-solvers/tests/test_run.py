"""A whole run: its parts sum to the wall-clock, limits hold, and published figures come out."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest

from mlsysim.cli import main
from mlsysim.config import SimulationConfig
from mlsysim.config.runs import run_faults
from mlsysim.errors import InfeasibleError, MlsysimError
from mlsysim.evaluation import evaluate
from mlsysim.plotting import plot_scorecard
from mlsysim.records import Cluster, Run
from mlsysim.running import run_solver
from mlsysim.solving import Request
from mlsysim.sweeping import sweep
from mlsysim.testing import BadInput, SolverCase, parametrize_checks
from mlsysim_solvers.declarations.run import PARTS
from mlsysim_solvers.formulas import reliability
from mlsysim_solvers.formulas import run as formulas
from mlsysim_solvers.plugin import WHOLE_RUN
from mlsysim_solvers.run import RunSolver

HOUR, MINUTE, DAY = 3600.0, 60.0, 86400.0
FAILING = {
    "workload.run.device_mtbf": "50000 h", "workload.run.restart_time": "10 min",
    "workload.run.storage_bandwidth": "100 GB/s",
}  # fmt: skip
FULL = {
    **FAILING, "workload.run.evaluation_steps": "1000", "workload.run.evaluation_samples": "4096",
    "workload.run.straggler_variation": "0.01", "workload.tokens": "300e9",
}  # fmt: skip
PLAIN = "gpt-175b-a100-1024"


@pytest.mark.parametrize(("mtbf", "minutes"), [(24 * 60.0, 117.0), (6 * 60.0, 57.0), (15.0, 9.1)])
def test_the_optimum_of_dalys_figures_3_to_5(mtbf, minutes):
    found = reliability.daly_interval(5.0 * MINUTE, mtbf * MINUTE) / MINUTE
    assert found == pytest.approx(minutes, rel=0.01)


def _useful(interval, blocked, mtbf, restart):
    each = reliability.failures_per_interval(interval + blocked, mtbf)
    lost = reliability.rework_per_interval(interval + blocked, mtbf, each, 0.0)
    return interval / (interval + blocked + lost + each * restart)


def test_checkpoints_every_19_minutes_on_a_machine_that_fails_every_3_hours():
    tau = math.sqrt(2 * 60.0 * 3 * HOUR)  # Young's first order
    assert reliability.daly_interval(60.0, 3 * HOUR) == pytest.approx(1099.0, abs=0.5)
    assert _useful(tau, 60.0, 3 * HOUR, 600.0) == pytest.approx(0.851, abs=2e-4)
    # 16,384 devices that fail every 50,700 hours, checkpoints that take half a minute and restarts of ten minutes.
    mtbf = reliability.job_mtbf(50_700 * HOUR, 16_384.0)
    tau = reliability.daly_interval(30.0, mtbf)
    assert _useful(tau, 30.0, mtbf, 600.0) == pytest.approx(0.881, abs=1e-3)


@pytest.mark.parametrize("blocked", [0.5, 10.0, 60.0, 900.0])
def test_dalys_interval_is_the_minimum_of_the_exact_time(blocked):
    tau = reliability.daly_interval(blocked, 3 * HOUR)
    around = tau * np.geomspace(0.2, 5.0, 401)
    best = _useful(around, blocked, 3 * HOUR, 600.0).max()
    assert _useful(tau, blocked, 3 * HOUR, 600.0) == pytest.approx(best, rel=2e-4)
    assert _useful(2.0 * tau, blocked, 3 * HOUR, 600.0) < best
    assert _useful(0.5 * tau, blocked, 3 * HOUR, 600.0) < best


def test_failures_and_rework_equal_a_simulation():
    random, length, mtbf = np.random.default_rng(1), 1200.0, 3000.0
    times = random.exponential(mtbf, size=(40_000, 40))
    tries = np.argmax(times > length, axis=1)
    lost = np.where(np.arange(40) < tries[:, None], times, 0.0).sum(axis=1)
    failures = reliability.failures_per_interval(length, mtbf)
    assert tries.mean() == pytest.approx(failures, rel=0.03)
    assert lost.mean() == pytest.approx(reliability.rework_per_interval(length, mtbf, failures, 0.0), rel=0.03)


def test_rare_failures_lose_half_an_interval_and_the_lag():
    failures = reliability.failures_per_interval(10.0, 1e9)
    assert failures == pytest.approx(1e-8, rel=1e-6)
    assert reliability.rework_per_interval(10.0, 1e9, failures, 3.0) == pytest.approx(1e-8 * (5.0 + 3.0), rel=1e-6)


@pytest.mark.parametrize(("devices", "slack"), [(8, 0.12), (64, 0.07), (1024, 0.04), (8192, 0.04)])
def test_the_slowest_of_many_devices_equals_a_simulation(devices, slack):
    most = np.random.default_rng(2).standard_normal((3000, devices)).max(axis=1).mean()
    assert (formulas.straggler_slowdown(0.02, float(devices)) - 1.0) / 0.02 == pytest.approx(most, abs=slack)


def test_one_device_or_equal_devices_wait_for_nobody():
    assert formulas.straggler_slowdown(0.02, 1.0) == 1.0
    assert formulas.straggler_slowdown(0.0, 4096.0) == 1.0


def test_without_inputs_a_run_is_its_steps_and_says_what_is_left_out():
    found = evaluate(PLAIN, {"workload.tokens": "300e9"})
    assert found["time_to_train"].value == found["run_time"].value
    assert found["iterations"].value == pytest.approx(found["run_time"].value / found["step_time"].value)
    assert not any(f"performance.run_{name}" in found.answers for name in PARTS)
    assert any("without evaluation, stragglers, checkpoints and failures" in text for text in found.assumptions)


def test_the_parts_of_a_run_sum_to_its_time():
    found = evaluate(PLAIN, FULL)
    parts = [found[f"run_{name}"].value for name in PARTS]
    assert all(part > 0.0 for part in parts)
    assert sum(parts, found["run_time"].value) == pytest.approx(found["time_to_train"].value, rel=1e-12)
    assert found["goodput"].value == pytest.approx(found["run_time"].value / found["time_to_train"].value)
    assert found["expected_failures"].value * 600.0 == pytest.approx(found["run_restarts"].value)
    assert found["mtbf"].value == pytest.approx(50000 * HOUR / 1024)
    # A run of so many failures in so much time: the mean time between them is that of the job, restarts excepted.
    running = found["time_to_train"].value - found["run_restarts"].value
    assert running / found["expected_failures"].value == pytest.approx(found["mtbf"].value, rel=1e-9)


def test_cost_and_energy_count_the_whole_run():
    calm, full = evaluate(PLAIN, {"workload.tokens": "300e9"}), evaluate(PLAIN, FULL)
    longer = full["time_to_train"].value / calm["time_to_train"].value
    assert longer > 1.05
    for name in ("run_cost", "run_energy", "run_carbon"):
        assert full[name].value == pytest.approx(longer * calm[name].value)
    for name in ("cost_per_sample", "energy_per_sample", "carbon_per_sample"):
        assert full[name].value == pytest.approx(longer * calm[name].value)
    samples = 300e9 / 2048
    assert full["cost_per_sample"].value * samples == pytest.approx(full["run_cost"].value)


def test_a_checkpoint_holds_weights_master_weights_and_moments():
    # 2 + 4 + 2 x 4 bytes for each of 175 thousand million parameters.
    found = evaluate(PLAIN, FULL)
    assert found["checkpoint_size"].value == pytest.approx(14.0 * 174.6e9, rel=0.01)
    assert found["checkpoint_time"].value == pytest.approx(found["checkpoint_size"].value / 100e9)
    adapter = evaluate("llama-70b-h100-64", {"workload.adapter": "16"})
    assert adapter["checkpoint_size"].value < 0.01 * evaluate("llama-70b-h100-64")["checkpoint_size"].value


def test_writing_beside_training_costs_less_but_loses_more_at_a_failure():
    still = evaluate(PLAIN, {**FULL, "workload.run.checkpoint_interval": "30 min"})
    beside = evaluate(
        PLAIN, {**FULL, "workload.run.checkpoint_interval": "30 min", "workload.run.checkpoint_blocking": "0"}
    )
    assert beside["run_checkpoints"].value == 0.0
    assert still["run_checkpoints"].value > 0.0
    assert beside["run_rework"].value > still["run_rework"].value * 0.99
    assert beside["goodput"].value > still["goodput"].value


def test_without_a_length_only_shares_and_intervals_are_answered():
    found = evaluate(PLAIN, {**FAILING, "workload.tokens": "0"})
    whole = evaluate(PLAIN, {**FAILING, "workload.tokens": "300e9"})
    assert found["goodput"].value == pytest.approx(whole["goodput"].value)
    assert "performance.time_to_train" not in found.answers
    assert "performance.expected_failures" not in found.answers


def test_evaluation_costs_forward_passes():
    found = evaluate(PLAIN, FULL)
    batches = found["iterations"].value / 1000 * 4096 / found.scenario.workload.batch
    assert found["run_evaluation"].value == pytest.approx(batches * found["forward_time"].value)
    step = found["step_time"].value
    assert 0.2 * step < found["forward_time"].value < 0.5 * step
    every = found.scenario.workload.batch * 1000
    by_samples = {k: v for k, v in FULL.items() if "evaluation_steps" not in k}
    by_samples["workload.run.evaluation_interval"] = str(every)
    assert evaluate(PLAIN, by_samples)["run_evaluation"].value == pytest.approx(found["run_evaluation"].value)


def test_one_device_is_answered_too():
    inputs = {
        "workload.run.evaluation_steps": "100", "workload.run.evaluation_samples": "64", "workload.tokens": "1e9",
        "workload.run.checkpoint_interval": "1 h", "workload.run.storage_bandwidth": "2 GB/s",
    }  # fmt: skip
    found = evaluate("llama-3.1-8b-training-h100", inputs)
    assert 0.2 * found["step_time"].value < found["forward_time"].value < 0.45 * found["step_time"].value
    assert found["run_checkpoints"].value > 0.0
    assert "performance.expected_failures" not in found.answers


def test_the_published_run_keeps_more_than_nine_tenths_of_its_time():
    # The Llama 3 Herd of Models, section 3.3.4: effective training time above 90 %, with 419 unexpected
    # interruptions in 54 days on 16,384 devices.
    found = evaluate("llama-3.1-405b-h100-16k")
    assert 0.90 < found["goodput"].value < 0.97
    per_day = found["expected_failures"].value / (found["time_to_train"].value / DAY)
    assert per_day == pytest.approx(419 / 54, rel=0.07)


def _request(run, inputs, cluster=None):
    config = SimulationConfig.load(PLAIN)
    workload = attrs.evolve(config.scenario.workload, run=run)
    known = {"performance.step_time": 10.0, "performance.run_time": 1e6, "performance.checkpoint_size": 1e12}
    records = {"cluster": cluster} if cluster else {}
    return Request(attrs.evolve(config.scenario, workload=workload), records, {}, {}, {**known, **inputs})


def test_inputs_may_come_from_solvers_of_their_own_and_the_scenario_overrides_them():
    answered = {
        "performance.device_mtbf": 4e8, "performance.restart_time": 600.0, "performance.storage_bandwidth": 1e11,
        "performance.straggler_slowdown": 1.1,
    }  # fmt: skip
    found = run_solver(WHOLE_RUN, RunSolver(), _request(Run(), answered)).outputs
    assert found["performance.mtbf"] == pytest.approx(4e8 / 1024)
    assert found["performance.run_stragglers"] == pytest.approx(1e5)
    own = run_solver(WHOLE_RUN, RunSolver(), _request(Run(device_mtbf=8e8, straggler_slowdown=1.2), answered)).outputs
    assert own["performance.mtbf"] == pytest.approx(8e8 / 1024)
    assert own["performance.run_stragglers"] == pytest.approx(2e5)


def test_a_cluster_that_knows_only_its_failures_leaves_them_out_and_says_so():
    cluster = Cluster(name="c", node="n", nodes=128.0, device_mtbf=4e8)
    result = run_solver(WHOLE_RUN, RunSolver(), _request(Run(), {}, cluster))
    assert result.outputs["performance.time_to_train"] == 1e6
    assert any("failures of the cluster are left out" in text for text in result.assumptions)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"device_mtbf": 1e4, "restart_time": 60.0, "storage_bandwidth": 1e9}, "checkpoint comes every"),
        ({"device_mtbf": 1e4, "restart_time": 6e4, "storage_bandwidth": 1e15}, "restart takes"),
        ({"checkpoint_interval": 10.0, "checkpoint_blocking": 0.0, "storage_bandwidth": 1e9}, "to write"),
    ],
)
def test_of_a_run_that_never_ends_nothing_else_is_said(given, said):
    result = run_solver(WHOLE_RUN, RunSolver(), _request(Run(**given), {}))
    assert result.outputs["feasibility.run_ends"] is False
    assert not {"performance.time_to_train", "performance.goodput", "performance.iterations"} & set(result.outputs)
    assert any("never end" in text and said in text for text in result.assumptions)


ENDLESS = {**FULL, "workload.run.device_mtbf": "1 h"}


def test_a_run_that_never_ends_is_infeasible_and_costs_nothing_that_could_be_said(capsys):
    card = evaluate(PLAIN, ENDLESS)
    assert card.fits
    assert (card.exit_code, card.infeasible) == (3, ("feasibility.run_ends",))
    assert not any(name.startswith(("macro.cost", "macro.run", "macro.energy")) for name in card.answers)
    assert {"economics", "sustainability"} <= set(card.unanswered)
    with pytest.raises(InfeasibleError, match="the run comes to an end: no"):
        card.raise_for_status()
    arguments = [part for key, value in ENDLESS.items() for part in ("--set", f"{key}={value}")]
    assert main(["eval", PLAIN, *arguments]) == 3
    text = capsys.readouterr().out
    assert "INFEASIBLE" in text.splitlines()[0]
    assert "cost per" not in text


def test_a_sweep_marks_the_runs_that_never_end_as_unfit():
    found = sweep(PLAIN, {"device_mtbf": ["1 h", "50000 h"]}, overrides=FULL)
    assert found.feasible.tolist() == [False, True]
    assert found.best("run_cost") == 1
    found = sweep(PLAIN, {"restart_time": ["5 min", "1 min"]}, overrides=ENDLESS)
    assert found.feasible.tolist() == [False, True]
    assert found.best("run_cost") == 1


def test_the_search_leaves_out_devices_on_which_the_run_never_ends(capsys):
    arguments = [part for key, value in ENDLESS.items() for part in ("--set", f"{key}={value}")]
    assert main(["optimize", "training", PLAIN, *arguments]) == 3
    assert "never end" in capsys.readouterr().out


UNITS = {
    field.name: "" if field.metadata["unit"] == "1" else field.metadata["unit"] for field in attrs.fields(Run)
}  # fmt: skip


@pytest.mark.parametrize(
    ("given", "names"),
    [
        ({"evaluation_interval": 10.0, "evaluation_steps": 10.0, "evaluation_samples": 1.0}, "evaluation_steps"),
        ({"evaluation_steps": 10.0}, "evaluation_samples"),
        ({"evaluation_samples": 10.0}, "evaluation_interval"),
        ({"straggler_variation": 0.1, "straggler_slowdown": 1.1}, "straggler_slowdown"),
        ({"straggler_slowdown": 0.9}, "straggler_slowdown"),
        ({"device_mtbf": 1e8, "restart_time": 60.0}, "storage_bandwidth"),
        ({"device_mtbf": 1e8, "storage_bandwidth": 1e9}, "restart_time"),
        ({"restart_time": 60.0}, "restart_time"),
        ({"checkpoint_interval": 60.0}, "storage_bandwidth"),
        ({"storage_bandwidth": 1e9}, "storage_bandwidth"),
        ({"checkpoint_blocking": 0.5}, "checkpoint_blocking"),
        ({"checkpoint_blocking": 1.5, "checkpoint_interval": 60.0, "storage_bandwidth": 1e9}, "checkpoint_blocking"),
    ],
)
def test_what_has_no_effect_or_contradicts_itself_is_refused(given, names):
    faults = list(run_faults(Run(**given), None))
    assert any(fault.where == f"workload.run.{names}" for fault in faults)
    with pytest.raises(MlsysimError, match=names):
        evaluate(PLAIN, {f"workload.run.{name}": f"{value} {UNITS[name]}" for name, value in given.items()})


def test_what_is_only_estimated_widens_the_interval():
    found = evaluate("llama-3.1-405b-h100-16k")
    own = evaluate("llama-3.1-405b-h100-16k", {"workload.run.restart_time": "10 min"})
    assert found["goodput"].value == pytest.approx(own["goodput"].value)
    assert found["goodput"].low < found["goodput"].value < found["goodput"].high
    # Ten minutes, three to thirty: restarts are a twentieth of the run.
    share = found["run_restarts"].value / found["time_to_train"].value
    assert found["goodput"].high / found["goodput"].value == pytest.approx((30 / 3) ** (0.5 * share), rel=1e-6)
    assert own["goodput"].low is None
    wide, narrow = (card["time_to_train"].high / card["time_to_train"].low for card in (found, own))
    assert wide > narrow


def test_only_training_has_a_run():
    with pytest.raises(MlsysimError, match="run"):
        evaluate("llama-3.1-8b-h100", {"workload.run.straggler_slowdown": "1.1"})


UP = 1 + 1e-12
CASE = SolverCase(
    WHOLE_RUN,
    scenarios=[
        "llama-3.1-405b-h100-16k",
        SimulationConfig.load(PLAIN, FULL),
        SimulationConfig.load(PLAIN, {**FULL, "workload.run.checkpoint_interval": "1 h"}),
        SimulationConfig.load(PLAIN, {"workload.tokens": "300e9", "workload.run.straggler_slowdown": "1.03"}),
    ],
    never_falls=dict.fromkeys(
        ("run_time", "restart_time", "straggler_variation", "straggler_excess", "forward_time", "evaluation_samples",
         "checkpoint_size", "devices"), ("performance.time_to_train",)),
    never_rises=dict.fromkeys(("storage_bandwidth", "device_mtbf", "evaluation_steps"), ("performance.time_to_train",)),
    limits={
        "goodput is a share": lambda c, a: 0.0 < a["performance.goodput"] <= UP,
        "a run is never shorter than its steps": lambda c, a: a["performance.time_to_train"] * UP >= c["run_time"],
    },
    bad_inputs=(BadInput("restart_time", {"workload.run.restart_time": "-1 min"}),),
)  # fmt: skip


@parametrize_checks(CASE)
def test_run(check):
    check()


def test_the_scorecard_shows_what_is_given_of_the_run_and_nothing_else(capsys):
    from mlsysim.cli import main

    assert main(["eval", PLAIN, "--set", "workload.run.straggler_slowdown=1.03", "--no-evidence"]) == 0
    text = capsys.readouterr().out
    assert "straggler slowdown 1.03" in text
    assert "of which waiting for stragglers" in text
    assert "time to train" in text
    for silent in ("Run(", "checkpoint blocking", "restart time"):
        assert silent not in text


@pytest.mark.parametrize(("name", "few", "step"), [("samples", "1535", "1,536"), ("tokens", "1e6", "3,145,728")])
def test_a_run_shorter_than_one_step_is_refused(name, few, step):
    with pytest.raises(MlsysimError, match=rf"workload\.{name}: .* {name} are less than one step, which takes {step}"):
        evaluate(PLAIN, {name: few})
    whole = {"tokens": "0", name: step.replace(",", "")}
    assert evaluate(PLAIN, whole)["iterations"].value == pytest.approx(1.0)


@pytest.mark.parametrize("key", ["parallelism.tensor", "tensor"])
def test_a_fault_of_an_override_names_it_and_not_the_packaged_file(key, capsys):
    for command in (["eval"], ["step"], ["optimize", "training"]):
        assert main([*command, PLAIN, "--set", f"{key}=5"]) == 2
        said = capsys.readouterr().err
        assert all(line.startswith("error: --set parallelism.tensor") for line in said.splitlines() if "error" in line)


def _words(figure):
    return " ".join(text.get_text() for part in (figure, *figure.axes) for text in part.texts)


def test_the_picture_of_a_training_shows_where_the_time_goes_and_why_a_run_cannot_work():
    pytest.importorskip("matplotlib")
    words = _words(plot_scorecard(evaluate(PLAIN, ENDLESS)))
    assert "tensor-parallel communication:" in words
    assert "no roofline" not in words
    assert "INFEASIBLE" in words
    assert "the run comes to an end: no" in words
