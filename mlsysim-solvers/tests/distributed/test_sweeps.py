"""Sweeps share work between rows and change no answer."""

from __future__ import annotations

import operator

import attrs
import numpy as np
import pytest
from solver_cases import DELTA, NEMOTRON, PAIR
from training_cases import A100, GPT_175B, H100, LLAMA_70B, MIXTRAL, OVERLAPPED, PLAIN, columns, gpt

import mlsysim
from mlsysim.cli import main
from mlsysim.errors import ConfigError
from mlsysim.numeric import ceil, maximum, minimum, where
from mlsysim_solvers.distributed import DistributedSolver
from mlsysim_solvers.execution.device.factored import Factored, factored, rows_of

ROWS = 2048
STEP = "performance.step_time"

MODELS = {
    "dense": (GPT_175B, {"device": A100, "tensor": 8, "pipeline": 8, "micro_batch": 1}),
    "overlapped": (LLAMA_70B, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "recompute": "full",
                               "tensor": 8, "pipeline": 4, "spread": True, "micro_batch": 1, "zero": 2}),
    "experts": (MIXTRAL, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "tensor": 2, "expert": 8,
                          "data": 8, "sequence": 4096}),
    "sharded": (gpt(32, 4096, 32), {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "data": 64, "zero": 3}),
    "adapters": (LLAMA_70B, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "adapter": 16, "tensor": 8}),
    "narrow": (LLAMA_70B, {"device": H100, "stack": OVERLAPPED, "precision": "fp8", "tensor": 8, "pipeline": 4}),
    "delta rule": (DELTA, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "tensor": 2}),
    "states": (NEMOTRON, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "tensor": 2, "recompute": "full"}),
    "encoder and decoder": (PAIR, {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "tensor": 2, "sequence": 512,
                                   "job": {"input": 512}}),
    "scores": (gpt(24, 2048, 16), {"stack": attrs.evolve(PLAIN, features=attrs.evolve(
        PLAIN.features, fused_elementwise=False)), "recompute": "selective", "tensor": 2, "context": 2}),
}  # fmt: skip


def layouts(dice):
    return {
        "tensor": dice.choice([1.0, 2.0, 4.0, 8.0], ROWS),
        "pipeline": dice.choice([1.0, 2.0, 4.0, 8.0], ROWS),
        "data": dice.integers(1, 65, ROWS).astype(np.float64),
        "micro_batch": dice.choice([1.0, 2.0], ROWS),
        "virtual": dice.choice([1.0, 2.0], ROWS),
    }


def few_layouts(dice):
    return {"tensor": dice.choice([2.0, 4.0], ROWS), "pipeline": dice.choice([1.0, 2.0, 4.0, 8.0], ROWS),
            "micro_batch": dice.choice([1.0, 2.0], ROWS)}  # fmt: skip


def rates(dice, prepared):
    return {name: prepared[name] * dice.uniform(0.1, 10.0, ROWS) for name in ("peak", "bandwidth", "inner_rate")}


def shapes(dice, prepared):
    lengths = dice.integers(256, 2049, ROWS).astype(np.float64)
    return {"sequence": lengths, "batch": dice.integers(64, 513, ROWS).astype(np.float64)}


VARIED = {
    "layouts": lambda dice, c: layouts(dice),
    "rates": lambda dice, c: layouts(dice) | rates(dice, c),
    "rates of one layout": rates,
    "shapes": lambda dice, c: layouts(dice) | shapes(dice, c),
    "shapes of one layout": shapes,
    "few lengths": lambda dice, c: few_layouts(dice) | {"sequence": dice.choice([512.0, 1024.0], ROWS)},
    "few lengths, rates": lambda dice, c: (
        few_layouts(dice) | rates(dice, c) | {"sequence": dice.choice([512.0, 1024.0], ROWS)}
    ),
    "few lengths of one layout": lambda dice, c: {"sequence": dice.choice([512.0, 768.0, 1024.0], ROWS)},
    "micro-batches that follow from the batch": lambda dice, c: (
        layouts(dice) | {"micro_batch": np.zeros(ROWS), "batch": dice.choice([64.0, 128.0, 256.0], ROWS)}
    ),
    "processors": lambda dice, c: layouts(dice) | {"processors": dice.integers(80, 140, ROWS).astype(np.float64)},
    "widths": lambda dice, c: layouts(dice) | {"activation_width": dice.choice([2.0, 4.0], ROWS)},
    "overheads": lambda dice, c: layouts(dice) | {"overhead": dice.uniform(0.0, 1e-5, ROWS)},
}


@pytest.mark.parametrize("varied", VARIED)
@pytest.mark.parametrize("model", MODELS)
def test_a_sweep_answers_and_ranks_as_single_solves_do(model, varied):
    chosen, layout = MODELS[model]
    prepared = columns(chosen, batch=256, **layout)
    dice = np.random.default_rng(7)
    arrays = VARIED[varied](dice, prepared)
    solver = DistributedSolver()
    found = solver.compute({**prepared, **arrays})
    some = dice.choice(ROWS, 40, replace=False)
    single = [
        solver.compute({**prepared, **{name: float(a[i]) for name, a in arrays.items()}, "layer_memo": {}})
        for i in some
    ]
    for name in single[0]:
        wanted = np.array([one[name] for one in single], dtype=np.float64)
        mine = np.broadcast_to(np.asarray(found[name], dtype=np.float64), (ROWS,))[some]
        np.testing.assert_allclose(mine, wanted, rtol=1e-12, atol=0.0, err_msg=name)
    steps = np.array([one[STEP] for one in single])
    np.testing.assert_array_equal(np.argsort(found[STEP][some], kind="stable"), np.argsort(steps, kind="stable"))


def test_chunks_after_the_first_use_its_tables_and_answer_the_same():
    prepared = columns(batch=256, tensor=8, pipeline=8, micro_batch=1)
    solver = DistributedSolver()
    for seed in (1, 2):
        dice = np.random.default_rng(seed)
        arrays = layouts(dice) | rates(dice, prepared)
        again = solver.compute({**prepared, **arrays})
        fresh = solver.compute({**prepared, **arrays, "layer_memo": {}})
        np.testing.assert_array_equal(again[STEP], fresh[STEP])


def table(seed=0):
    dice = np.random.default_rng(seed)
    arrays = {"a": dice.choice([1.0, 2.0, 4.0], ROWS), "b": dice.choice([0.0, 3.0], ROWS)}
    return factored(arrays, ("a", "b")), arrays


@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "lt", "le", "gt", "ge", "eq", "ne"])
@pytest.mark.parametrize("right", ["another", "a number", "its rows"])
def test_factored_numbers_calculate_as_their_rows_do(name, right):
    few, rows = table()
    function = getattr(operator, name)
    own = np.random.default_rng(1).uniform(1.0, 2.0, ROWS)
    other, plain = {"another": (few["a"], rows["a"]), "a number": (2.5, 2.5), "its rows": (own, own)}[right]
    np.testing.assert_array_equal(rows_of(function(few["b"], other)), function(rows["b"], plain))
    np.testing.assert_array_equal(rows_of(function(other, few["a"])), function(plain, rows["a"]))


def test_helpers_keep_numbers_factored_until_a_row_has_its_own():
    few, rows = table()
    kept = where(few["b"] > 1.0, maximum(few["a"], 2.0), ceil(few["a"] / 3.0))
    assert type(kept) is Factored
    plain = np.where(rows["b"] > 1.0, np.maximum(rows["a"], 2.0), np.ceil(rows["a"] / 3.0))
    np.testing.assert_array_equal(kept.rows(), plain)
    own = np.linspace(0.0, 5.0, ROWS)
    np.testing.assert_array_equal(minimum(kept, own), np.minimum(plain, own))


def test_numbers_of_other_combinations_meet_row_by_row():
    (few, rows), (other, others) = table(), table(seed=9)
    np.testing.assert_array_equal(few["a"] * other["a"], rows["a"] * others["a"])
    np.testing.assert_array_equal(maximum(few["a"], other["a"]), np.maximum(rows["a"], others["a"]))


def test_columns_of_many_or_broken_values_stay_as_they_are():
    dice = np.random.default_rng(3)
    arrays = {
        "few": dice.choice([1.0, 8.0], ROWS), "broken": dice.choice([0.5, 1.5], ROWS),
        "many": dice.permutation(ROWS).astype(np.float64), "huge": dice.choice([1.0, 1e9], ROWS),
    }  # fmt: skip
    found = factored(arrays, tuple(arrays))
    assert type(found["few"]) is Factored
    for name in ("broken", "many", "huge"):
        assert found[name] is arrays[name]


def test_a_factored_condition_has_no_truth_of_its_own():
    few, _ = table()
    with pytest.raises(TypeError):
        bool(few["a"] > 1.0)
    assert (few["a"] > 0.0).all()
    assert not (few["a"] > 4.0).any()


def test_the_devices_of_a_sweep_follow_from_its_layout():
    found = mlsysim.sweep("mpt-7b-h100-fsdp", {"data": [32, 64, 128]})
    assert list(found.varied["devices"]) == [32.0, 64.0, 128.0]
    for row, data in enumerate((32, 64, 128)):
        layout = {"system.devices": str(data), "parallelism.data": str(data)}
        alone = mlsysim.evaluate("mpt-7b-h100-fsdp", layout)
        for name in ("performance.step_time", "macro.cost_per_sample", "macro.energy_per_sample"):
            assert found.outputs[name][row] == pytest.approx(alone[name].value, rel=1e-9)


def test_devices_that_contradict_the_layout_are_refused():
    with pytest.raises(ConfigError, match="128 devices are asked for, and the layout has 64"):
        mlsysim.sweep("mpt-7b-h100-fsdp", {"devices": [64, 128]})
    for degree in (0, 1.5):
        with pytest.raises(ConfigError, match=f"tensor = {degree:g} is not a number of devices"):
            mlsysim.sweep("mpt-7b-h100-fsdp", {"tensor": [1, degree]})
    both = mlsysim.sweep("mpt-7b-h100-fsdp", {"devices": [64, 128], "data": [64, 128]}, grid=False)
    assert len(both) == 2


def test_numbers_of_devices_vary_where_the_scenario_leaves_its_layout_open():
    counts, batches = (1, 2, 8), (8, 64)
    found = mlsysim.sweep("llama-3.1-8b-h100", {"devices": list(counts), "batch": list(batches)})
    assert list(found.varied["devices"]) == [1.0, 1.0, 2.0, 2.0, 8.0, 8.0]
    assert found.units["devices"] == "1"
    for row in range(len(found)):
        given = {"devices": f"{found.varied['devices'][row]:.0f}", "batch": f"{found.varied['batch'][row]:.0f}"}
        alone = mlsysim.evaluate("llama-3.1-8b-h100", given)
        for name in ("performance.latency", "macro.cost_per_token", "macro.energy_per_token"):
            assert found.outputs[name][row] == pytest.approx(alone[name].value, rel=1e-9)


def test_what_a_constraint_limits_is_among_the_columns(capsys):
    limits = ["--set", "constraints.ttft_p99=<= 1 s", "--set", "constraints.tpot=<= 40 ms"]
    assert main(["sweep", "llama-3.1-8b-h100-rate", *limits, "--vary", "rate=1 sample/s,2 sample/s"]) == 0
    head = next(line for line in capsys.readouterr().out.splitlines() if "memory_required" in line)
    assert {"ttft_p99", "tpot"} <= set(head.split())


def test_what_no_choice_could_answer_is_not_said_to_be_left_out():
    # The idle power of one is not known, so its solver answers nothing: not even what no traffic has.
    ask = {"rate": "0.1 sample/s", "system.device": "h100-sxm"}
    found = mlsysim.sweep("llama-3.1-8b-h100-rate", {"device": ["h100-sxm", "b200-sxm"]}, overrides=ask)
    assert "macro.energy_per_token" in found.left_out
    assert "macro.energy_per_sample" not in found.left_out


def test_the_layout_of_one_device_does_not_vary():
    for degree in ("tensor", "data"):
        with pytest.raises(ConfigError, match=f"{degree} varies, and the scenario runs on one device"):
            mlsysim.sweep("llama-3.1-8b-h100-rate", {degree: [1, 2]})
    with pytest.raises(ConfigError, match=r"has pools\. Vary prefill_tensor or decode_tensor"):
        mlsysim.sweep("deepseek-v3-b200-disaggregated", {"tensor": [1, 2]})


def test_what_a_scenario_has_no_number_for_cannot_vary():
    for scenario, name in (("llama-3.1-70b-h100-8", "pod"), ("gpt-175b-a100-1024", "scale_block")):
        with pytest.raises(ConfigError, match=f"this scenario has no {name} that could vary"):
            mlsysim.sweep(scenario, {name: [1.0, 2.0]})


@pytest.mark.parametrize("share", [1.0, 1.5])
def test_a_share_beyond_what_the_scenario_takes_is_refused(share):
    with pytest.raises(ConfigError, match=f"{share:g} of a prompt is found in the cache") as caught:
        mlsysim.sweep("llama-3.1-8b-h100-traffic", {"cached": [0.5, share]})
    assert caught.value.where == "vary.cached"


@pytest.mark.filterwarnings("error")
def test_a_batch_of_nothing_is_refused_without_a_warning():
    with pytest.raises(ConfigError, match="batch = 0 leaves"):
        mlsysim.sweep("llama-3.1-8b-h100", {"batch": [0, 1]})


@pytest.mark.parametrize(
    ("scenario", "varied", "fits"),
    [
        ("mpt-7b-h100-fsdp", {"data": [7, 64, 1000]}, [True, True, False]),  # a micro-batch above a rank's samples
        ("llama-3.1-405b-h100-16k", {"tensor": [8, 24]}, [True, False]),  # 128 heads
        ("llama-3.1-405b-h100-16k", {"pipeline": [16, 160]}, [True, False]),  # 126 layers
        ("llama-3.1-70b-h100-8", {"tensor": [8, 12]}, [True, False]),  # 64 heads
        ("llama-3.1-405b-h100-16k", {"context": [1, 2, 3, 16, 24]}, [True, True, False, True, False]),  # 8,192 tokens
        ("llama-3.1-405b-h100-16k", {"expert": [1, 2]}, [True, False]),  # no experts
        ("mpt-7b-h100-fsdp", {"pipeline": [1, 2]}, [True, False]),  # fully sharded parameters
        ("mpt-7b-h100-fsdp", {"virtual": [1, 2]}, [True, False]),  # one stage
        ("mpt-7b-h100-fsdp", {"shard": [0, 8, 24]}, [True, True, False]),  # 64 ranks
    ],
)
def test_a_layout_that_a_scenario_is_refused_for_fits_nowhere(scenario, varied, fits):
    found = mlsysim.sweep(scenario, varied)
    assert list(found.outputs["feasibility.fits"].astype(bool)) == fits
