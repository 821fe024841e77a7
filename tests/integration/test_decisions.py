"""What somebody asks who has to decide: which devices at what price, how sure, and what to change where it fails."""

from __future__ import annotations

import re
import shlex

import pytest

import mlsysim
from mlsysim.cli import main
from mlsysim.sweeping.assumed import chosen_by

SERVED = (
    "llama-3.3-70b", "--on", "h100-sxm", "--kind", "traffic", "--precision", "fp8", "--rate", "40 requests/s",
    "--input", "1500", "--output", "300", "--devices", "8", "--set", "constraints.tpot=<= 40 ms",
)  # fmt: skip


def told(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    """Run a command."""
    code = main(words)
    said = capsys.readouterr()
    return code, said.out, said.err


def test_a_comparison_of_devices_says_what_was_assumed_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "sweep", "llama-3.1-8b", "--on", "h100-sxm", "--vary", "device=h100-sxm,h200-sxm,mi300x",
                        "--minimise", "cost_per_token")  # fmt: skip
    assert code == 0
    assert "assumed: stack vllm-0.11, grid world\n" in out
    (prices,) = re.findall("assumed: price (.*)\n", out)
    for device in ("h100-sxm", "h200-sxm", "mi300x"):
        card = mlsysim.evaluate({"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": 1},
                                 "system": {"device": device}})  # fmt: skip
        assert f"{card.entities['price'].rpartition('/')[2]} for {device}" in prices


def test_what_the_scenario_names_is_not_assumed(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "sweep", "llama-8b-on-h100", "--price", "lambda-8x-h100", "--vary", "batch=1,8")
    assert code == 0
    assert "assumed" not in out
    named = {"place.price": "lambda-8x-h100"}
    found = mlsysim.sweep("llama-8b-on-h100", {"batch": [1, 8]}, overrides=named)
    assert found.assumed == {}


def test_assumptions_are_grouped_by_the_choice_that_decides_them() -> None:
    scenario = {"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": 1},
                "system": {"device": "h100-sxm"}}  # fmt: skip
    found = mlsysim.sweep(scenario, {"precision": ["bf16", "fp8"], "device": ["h100-sxm", "h200-sxm"]})
    assert found.assumed["stack"] == {"vllm-0.11": ()}
    assert set(found.assumed["price"].values()) == {("h100-sxm",), ("h200-sxm",)}


def test_choices_are_named_by_the_key_that_tells_them_apart() -> None:
    choices = [{"device": device, "precision": precision} for device in ("a", "b", "c") for precision in ("x", "y")]
    assert chosen_by(choices, [c["device"] != "b" for c in choices]) == ("a", "c")
    assert chosen_by(choices, [c["precision"] == "y" for c in choices]) == ("y",)
    assert chosen_by(choices, [c == {"device": "b", "precision": "x"} for c in choices]) == ("b, x",)


def test_every_device_that_was_asked_for_is_answered_by_its_best(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("sweep", *SERVED, "--vary", "device=h100-sxm,h200-sxm,mi300x,l40s", "--vary", "tensor=2,4",
             "--vary", "data=1:16:16", "--minimise", "cost_per_token", "--top", "2")  # fmt: skip
    code, out, _ = told(capsys, *words)
    assert code == 0
    rest = out.partition("best of each other device")[2]
    assert re.search(r"\bh100-sxm +2 +\d+\b", rest)
    assert re.search(r"\bh200-sxm\b", rest)
    assert "l40s: none of 32 keeps the constraints" in rest or "l40s: none of 32 can work" in rest


def test_the_best_that_holds_at_the_end_of_its_interval_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = told(capsys, "sweep", *SERVED, "--vary", "tensor=2,4", "--vary", "data=1:40:40",
                        "--minimise", "cost_per_token", "--top", "1")  # fmt: skip
    assert code == 0
    sure = out.partition("keep the constraints with their whole 90 % intervals")[2]
    tensor, data = re.findall(r"^ +(\d+) +(\d+) ", sure, re.MULTILINE)[0]
    card = mlsysim.evaluate({
        "name": "a", "kind": "traffic",
        "workload": {"model": "llama-3.3-70b", "precision": "fp8", "rate": "40 sample/s", "input": 1500, "output": 300},
        "system": {"device": "h100-sxm", "devices": int(tensor) * int(data)},
        "parallelism": {"tensor": int(tensor), "data": int(data)},
    })  # fmt: skip
    high = card["tpot"].high
    assert high is not None
    assert high <= 0.04


@pytest.mark.parametrize("kind", ["serving", "traffic"])
def test_what_a_token_costs_is_said_of_which_tokens(kind: str) -> None:
    """Rent and energy are divided by what is written; prompts are paid with it."""
    workload = {"model": "llama-3.1-8b", "input": 1000, "output": 100}
    workload |= {"concurrency": 8} if kind == "traffic" else {"batch": 8}
    card = mlsysim.evaluate({"name": "a", "kind": kind, "workload": workload, "system": {"device": "h100-sxm"}})
    cost, rate = card["cost_per_token"], card["performance.throughput"].value * 100
    assert cost.value * rate == pytest.approx(card["hourly_cost"].value)
    for name in ("cost_per_token", "energy_per_token", "carbon_per_token"):
        assert "output token" in card[name].label


def test_a_device_without_an_offer_says_how_to_give_one(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(capsys, "eval", "llama-3.1-8b", "--on", "gb200")
    assert "`mlsysim registry new price`" in " ".join(out.split())


def test_a_stack_that_is_nobodys_is_not_called_the_usual_one() -> None:
    card = mlsysim.evaluate({"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": 1},
                             "system": {"device": "maia-100"}})  # fmt: skip
    assert "stack: generic, as none is known to be usual on maia-100 (set system.stack)" in card.assumptions
    assert not any("usual one" in line for line in card.assumptions)


TOO_LARGE = ("llama-3.3-70b", "--on", "h100-sxm")
TRAINED = (
    "qwen3-32b",
    "--on",
    "h100-sxm",
    "--kind",
    "training",
    "--devices",
    "8",
    "--batch",
    "64",
    "--sequence",
    "4096",
)
CROWDED = ("llama-3.1-8b", "--on", "l4", "--kind", "traffic", "--rate", "10 requests/s")
LATE = ("llama-3.1-8b", "--on", "h100-sxm", "--batch", "256", "--set", "constraints.tpot=<= 15 ms")


@pytest.mark.parametrize("asked", [TOO_LARGE, TRAINED, CROWDED, LATE])
def test_what_fails_says_what_would_do_and_that_does(
    capsys: pytest.CaptureFixture[str], asked: tuple[str, ...]
) -> None:  # fmt: skip
    code, out, _ = told(capsys, "eval", *asked)
    assert code in (3, 4)
    ways = re.findall(r"^  (--.*?)(?:   .*)?$", out.partition("What would work")[2], re.MULTILINE)
    assert ways
    for way in ways:
        assert told(capsys, "eval", *asked, *shlex.split(way))[0] == 0


def test_what_works_needs_no_advice_and_data_holds_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert "What would work" not in told(capsys, "eval", "llama-8b-on-h100")[1]
    assert "What would work" not in told(capsys, "eval", *TOO_LARGE, "--json")[1]


def test_training_that_does_not_fit_names_the_search(capsys: pytest.CaptureFixture[str]) -> None:
    assert "mlsysim optimize training" in told(capsys, "eval", *TRAINED)[1]


def test_a_smaller_batch_is_proposed_that_keeps_the_limits_too(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(capsys, "eval", "llama-8b-on-h100", "--batch", "1000")
    (size,) = re.findall(r"^  --batch (\d+) ", out.partition("What would work")[2], re.MULTILINE)
    card = mlsysim.evaluate("llama-8b-on-h100", {"batch": size})
    assert card.exit_code == 0
    assert mlsysim.evaluate("llama-8b-on-h100", {"batch": str(3 * int(size))}).exit_code != 0


def test_the_best_layout_is_answered_as_a_scorecard_answers_it(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("qwen3-32b", "--on", "h100-sxm", "--batch", "64", "--sequence", "4096", "--tokens", "100000000")
    code, out, _ = told(capsys, "optimize", "training", *asked, "--devices", "8")
    assert code == 0
    layout = dict(re.findall(r"^    (\w+) = (\w+)$", out, re.MULTILINE))
    words = [word for key, value in layout.items() for word in ("--set", f"parallelism.{key}={value}")]
    _, card, _ = told(capsys, "eval", *asked, "--kind", "training", "--devices", "8", *words)
    for label in ("step time", "utilisation (MFU, causal attention halved)", "time to train", "cost of the run",
                  "energy of the run", "carbon of the run"):  # fmt: skip
        (line,) = re.findall(rf"^  {re.escape(label)} +(.*)$", card, re.MULTILINE)
        (same,) = re.findall(rf"^    {re.escape(label)} +(.*)$", out, re.MULTILINE)
        assert same.split() == line.split()


def test_a_layout_of_the_scenario_does_not_colour_the_best_one(capsys: pytest.CaptureFixture[str]) -> None:
    """The scenario's own [parallelism] is replaced as a whole."""
    code, out, _ = told(capsys, "optimize", "training", "gpt-175b-a100-1024")
    assert code == 0
    (step,) = re.findall(r"^  step (\S+ \S+),", out, re.MULTILINE)
    assert re.search(rf"^    step time +{re.escape(step)} ", out, re.MULTILINE)


def test_where_one_request_cannot_use_the_bandwidth_the_answer_says_so() -> None:
    def said(batch: int) -> bool:
        card = mlsysim.evaluate({"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": batch},
                                 "system": {"device": "h200-sxm"}})  # fmt: skip
        return any("more bandwidth would not shorten a step" in line for line in card.assumptions)

    def token(batch: int, bandwidth: float) -> float:
        scenario = {"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": batch},
                    "system": {"device": "h200-sxm"}}  # fmt: skip
        return float(mlsysim.sweep(scenario, {"bandwidth": [bandwidth]}).outputs["performance.tpot"][0])

    assert said(1)
    assert token(1, 9.6e12) > 0.99 * token(1, 4.8e12)
    assert not said(8)
    assert token(8, 9.6e12) < 0.7 * token(8, 4.8e12)


def test_a_bound_on_the_other_side_of_the_ridge_is_explained_in_the_picture() -> None:
    pytest.importorskip("matplotlib")
    from mlsysim.plotting import plot_scorecard

    def words(**workload: object) -> str:
        card = mlsysim.evaluate({"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", **workload},
                                 "system": {"device": "h200-sxm"}})  # fmt: skip
        figure = plot_scorecard(card)
        return " ".join(text.get_text() for axes in figure.axes for text in axes.texts) + str(card["bound"].value)

    assert "the roofs are peaks" in words(batch=32)
    assert "the roofs are peaks" not in words(batch=1)


def test_what_a_run_meets_is_set_by_its_short_name_too(capsys: pytest.CaptureFixture[str]) -> None:
    short = mlsysim.evaluate("llama-3.1-405b-h100-16k", {"device_mtbf": "100000 h"})
    long = mlsysim.evaluate("llama-3.1-405b-h100-16k", {"workload.run.device_mtbf": "100000 h"})
    assert short == long
    assert short["mtbf"].value == pytest.approx(1e5 * 3600 / 16384)
    assert told(capsys, "eval", "llama-8b-on-h100", "--set", "device_mtbf=1 h")[0] == 2


def test_what_a_picture_says_of_memory_keeps_to_its_panel() -> None:
    """A training that just fits says so: within the uncertainty."""
    pytest.importorskip("matplotlib")
    from mlsysim.plotting import plot_scorecard

    figure = plot_scorecard(mlsysim.evaluate("llama-3.1-405b-h100-16k"))
    figure.canvas.draw()
    (panel,) = (axes for axes in figure.axes if axes.get_title(loc="left").startswith("Memory"))
    assert panel.get_title(loc="left") == "Memory, within the uncertainty"
    right = max(axes.get_window_extent().x0 for axes in figure.axes)
    assert all(text.get_window_extent().x1 < right for text in panel.texts)


def test_several_devices_of_a_node_cost_what_such_a_node_costs() -> None:
    """An offer of one device says nothing of eight that are joined; where it is the only one, the answer says so."""

    def price(device: str, devices: int) -> tuple[str, str]:
        card = mlsysim.evaluate({"name": "a", "kind": "serving", "workload": {"model": "llama-3.1-8b", "batch": 1},
                                 "system": {"device": device, "devices": devices}})  # fmt: skip
        (said,) = (line for line in card.assumptions if line.startswith("price:"))
        return card.entities["price"].rpartition("/")[2], said

    single, eight = price("l40s", 1), price("l40s", 8)
    assert (single[0], eight[0]) == ("aws-g6e-xlarge", "aws-g6e-48xlarge")
    assert "sold singly" not in single[1] + eight[1]
    assert price("h100-sxm", 8)[0] == price("h100-sxm", 1)[0]
    assert "no offer of 8 joined in a node is known" in price("mi300x", 8)[1]
    assert "joined" not in price("mi300x", 1)[1]


def test_what_is_missing_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(capsys, "explain", "llama-8b-on-h100")
    assert code == 2
    assert "OUTPUT is a line of the scorecard, such as latency" in err
    assert told(capsys, "explain", "llama-3.1-8b", "--on", "h100-sxm", "tpot", "--depth", "1")[0] == 0


def test_a_list_of_devices_is_sent_to_the_command_that_compares_them(capsys: pytest.CaptureFixture[str]) -> None:
    code, _, err = told(capsys, "eval", "llama-3.1-8b", "--on", "h100-sxm,h200-sxm")
    assert code == 2
    assert "mlsysim sweep llama-3.1-8b --on h100-sxm --vary device=h100-sxm,h200-sxm" in err


def test_an_answer_of_another_kind_of_scenario_names_that_kind(capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = told(capsys, "eval", "llama-3.1-8b", "--on", "h100-sxm", "--set", "constraints.ttft_p99=<= 1 s")
    assert 'in-flight answers it in traffic scenarios (kind = "traffic", or --kind with --on)' in " ".join(out.split())
