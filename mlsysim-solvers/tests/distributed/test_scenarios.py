"""Packaged training scenarios, the choice of the solver, and the commands."""

from __future__ import annotations

import pytest

from mlsysim.cli import main
from mlsysim.config import SimulationConfig
from mlsysim.errors import ConfigError, MlsysimError
from mlsysim.evaluation import ask, evaluate
from mlsysim.explaining import explain
from mlsysim.records import Parallelism, Scenario, System, Training
from mlsysim_solvers.plugin import DISTRIBUTED, SINGLE_NODE
from mlsysim_solvers.step_pictures import TERMS, plot_step

SCENARIOS = ("gpt-175b-a100-1024", "llama-3.1-405b-h100-16k", "llama-70b-h100-64", "mpt-7b-h100-fsdp")


def test_the_number_of_devices_chooses_the_solver():
    assert SINGLE_NODE.answers_for(1)
    assert not SINGLE_NODE.answers_for(2)
    assert DISTRIBUTED.answers_for(2)
    assert not DISTRIBUTED.answers_for(1)
    assert evaluate("gpt-175b-a100-1024").solvers["performance"] == "distributed"
    assert evaluate("llama-3.1-8b-training-h100").solvers["performance"] == "single-node"


@pytest.mark.parametrize("name", SCENARIOS)
def test_packaged_scenarios_fit_and_run_to_the_end(name):
    found = evaluate(name)
    assert found.fits
    assert 0.2 < found["utilisation"].value < 0.65


def test_the_largest_published_run_is_near_its_published_rate():
    # 400 TFLOP/s per device on 16,384 H100 in 16 bits (The Llama 3 Herd of Models, table 4).
    found = evaluate("llama-3.1-405b-h100-16k")
    rate = found["flops"].value / found["step_time"].value / 16384
    assert rate == pytest.approx(400e12, rel=0.15)
    assert found["step_time"].low < found["flops"].value / (400e12 * 16384) < found["step_time"].high * 1.05


def test_an_explanation_reaches_links_and_documents():
    tree = explain(evaluate("llama-70b-h100-64"), "step_time")
    sources = {leaf.source for leaf in tree.inputs()}
    names = {leaf.name for leaf in tree.inputs()}
    assert sources
    assert any(name.startswith("inner") for name in names)


def test_what_one_device_does_not_answer_is_refused():
    for key in ("adapter=16", "offload=true"):
        name, _, value = key.partition("=")
        named = {"solvers.performance": "single-node", f"workload.{name}": value}
        with pytest.raises(MlsysimError, match=name):
            evaluate("llama-3.1-8b-training-h100", named)


def test_copies_to_host_memory_save_memory_and_may_cost_time():
    kept, moved = (evaluate("llama-70b-h100-64", {"workload.offload": v}) for v in ("false", "true"))
    assert moved["activations_memory"].value < 0.2 * kept["activations_memory"].value
    assert moved["step_time"].value >= kept["step_time"].value


def test_optimize_prints_layout_frontier_and_runner_up(capsys):
    assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--devices", "8,16", "--goal", "devices"]) == 0
    text = capsys.readouterr().out
    assert "on 8 devices" in text
    assert "runner-up" in text


def test_optimize_says_by_how_much_a_limit_is_missed(capsys):
    code = main(["optimize", "training", "mpt-7b-h100-fsdp", "--devices", "8", "--goal", "cost", "--within", "1 ms"])
    assert code == 3
    assert "relax --within to" in capsys.readouterr().out


def test_step_draws_bars_and_a_schedule(capsys, tmp_path):
    bar, lanes = tmp_path / "bar.svg", tmp_path / "lanes.png"
    code = main(["step", "gpt-175b-a100-1024", "--plot", str(bar), "--plot-pipeline", str(lanes)])
    assert code == 0
    text = capsys.readouterr().out
    assert "pipeline bubble" in text
    assert "stage   7" in text
    assert bar.stat().st_size > 0
    assert lanes.stat().st_size > 0


@pytest.mark.parametrize("option", ["--plot", "--plot-pipeline"])
@pytest.mark.parametrize(
    ("file", "said"), [("step.gif", "not a picture format"), ("none/step.png", "there is no folder")]
)
def test_a_picture_that_cannot_be_written_is_refused_at_once(capsys, tmp_path, option, file, said):
    assert main(["step", "gpt-175b-a100-1024", option, str(tmp_path / file)]) == 2
    shown = capsys.readouterr()
    assert said in shown.err
    assert shown.out == ""


def test_optimize_and_validate_refuse_a_picture_before_they_compute(capsys, tmp_path):
    for command in (["optimize", "training", "mpt-7b-h100-fsdp"], ["validate", "--source", "llamacpp"]):
        assert main([*command, "--plot", str(tmp_path / "step.bmp")]) == 2
        shown = capsys.readouterr()
        assert "not a picture format" in shown.err
        assert shown.out == ""


def test_no_time_is_no_limit_of_a_step(capsys):
    assert main(["optimize", "training", "mpt-7b-h100-fsdp", "--within", "0 s"]) == 2
    assert "--within: 0 s is not a time for a step" in capsys.readouterr().err


def test_a_schedule_that_does_not_exist_is_not_promised(capsys, tmp_path):
    assert main(["step", "mpt-7b-h100-fsdp", "--plot-pipeline", str(tmp_path / "lanes.svg")]) == 2
    assert "the layout has one stage" in capsys.readouterr().err


def test_the_legend_of_a_step_lies_inside_the_picture(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    kept = Figure.savefig

    def watched(self, *args, **options):
        kept(self, *args, **options)
        drawn.append(self)

    monkeypatch.setattr(Figure, "savefig", watched)
    plot_step(dict.fromkeys(TERMS, 1.0), str(tmp_path / "step.png"), title="all terms")
    (figure,) = drawn
    box = figure.legends[0].get_window_extent()
    assert box.y0 >= 0.0
    assert box.y1 <= figure.axes[0].get_window_extent().y0
    assert box.x0 >= 0.0
    assert box.x1 <= figure.bbox.width


def alone(solver, stack="", **job):
    work = Training(**{"model": "llama-3.1-8b", "precision": "bf16", "batch": 8, "sequence": 2048, **job})
    made = Scenario(
        name="one", kind="training", workload=work, system=System(device="h100-sxm", stack=stack),
        parallelism=Parallelism(micro_batch=2), solvers={"performance": solver} if solver else {},
    )  # fmt: skip
    return {name: result for name, _, result in ask(SimulationConfig.from_scenario(made))}["performance"].outputs


def test_both_solvers_give_one_device_the_same_step():
    single, distributed = alone("single-node"), alone("distributed")
    for name in ("step_time", "utilisation", "token_throughput"):
        assert distributed[f"performance.{name}"] == pytest.approx(single[f"performance.{name}"], rel=0.02), name
    assert distributed["performance.breakdown_data"] == distributed["performance.breakdown_tensor"] == 0.0
    assert distributed["feasibility.weights_memory"] == pytest.approx(2 * 8.03e9, rel=0.01)


@pytest.mark.parametrize("stack", ["torchtitan-0.1", "megatron-core-0.12", "pytorch-2"])
def test_both_solvers_give_a_mixture_on_one_device_the_same_step(stack):
    job = {"model": "olmoe-1b-7b", "recompute": "full"}
    single, distributed = (alone(solver, stack=stack, **job) for solver in ("single-node", "distributed"))
    assert distributed["performance.step_time"] == pytest.approx(single["performance.step_time"], rel=0.05)


def test_adapters_on_one_device_are_answered_by_the_distributed_solver():
    found = alone("distributed", adapter=16, recompute="full")
    assert found["feasibility.fits"]
    assert found["feasibility.optimizer_memory"] < 0.01 * found["feasibility.weights_memory"]
    assert found["performance.step_time"] < alone("distributed", recompute="full")["performance.step_time"]
    assert alone("", adapter=16, recompute="full") == found
    with pytest.raises(ConfigError, match=r'Set performance = "distributed" under \[solvers\]'):
        alone("single-node", adapter=16)
