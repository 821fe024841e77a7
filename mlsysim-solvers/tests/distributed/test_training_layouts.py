"""What a layout must obey, whatever the numbers."""

from __future__ import annotations

import math

import attrs
import numpy as np
import pytest
from training_cases import A100, GPT_175B, H100, LLAMA_70B, MIXTRAL, NODE, OVERLAPPED, PLAIN, answers, columns, gpt

from mlsysim.errors import MlsysimError
from mlsysim.records.infrastructure import Link
from mlsysim_solvers.declarations.distributed import TERMS
from mlsysim_solvers.distributed import DistributedSolver

GIB = 2.0**30


def term(found, name):
    return found[f"performance.breakdown_{name}"]


@pytest.mark.parametrize(
    ("model", "layout", "micro", "plain", "lean"),
    [
        (gpt(48, 6144, 64), {"tensor": 8, "pipeline": 1}, 4, 59.25, 9.5625),
        (GPT_175B, {"tensor": 8, "pipeline": 8, "virtual": 3}, 1, 66.84375, 12.3515625),
        (gpt(105, 20480, 128), {"tensor": 8, "pipeline": 35, "virtual": 3}, 1, 114.0234375, 23.076171875),
        (gpt(128, 25600, 160), {"tensor": 8, "pipeline": 64}, 1, 131.25, 26.5625),
    ],
)
def test_published_activation_memory_is_exact(model, layout, micro, plain, lean):
    # Korthikanti et al. 2022, arXiv:2205.05198, figure 1.
    rounds = 64 * layout["pipeline"]
    for sequence, recompute, expected in ((False, "none", plain), (True, "selective", lean)):
        found = answers(model, batch=micro * rounds, micro_batch=micro, recompute=recompute, spread=sequence,
                        settings={"dropout": 1.0}, **layout)  # fmt: skip
        assert found["feasibility.activations_memory"] / GIB == expected


def test_the_terms_sum_to_the_step_exactly():
    for layout in ({"tensor": 8, "pipeline": 8, "virtual": 3, "micro_batch": 1}, {"data": 64, "zero": 3}):
        found = answers(**layout)
        total = 0.0
        for name in TERMS:
            total += term(found, name)
        assert total == found["performance.step_time"]


def test_a_free_network_leaves_computation_and_bubble():
    free = {
        name: 0.0 for way in ("short", "long") for name in (f"{way}_base", f"{way}_inner_step", f"{way}_outer_step")
    }
    c = columns(tensor=8, pipeline=8, micro_batch=1) | free | {"inner_rate": 1e30, "outer_rate": 1e30}
    found = DistributedSolver().compute(c)
    for name in ("tensor", "pipeline", "data", "context", "expert"):
        assert term(found, name) < 1e-12


def test_gradient_accumulation_does_not_divide_the_exchange():
    one, four = (answers(tensor=8, data=16, batch=16 * n, micro_batch=1) for n in (1, 4))
    assert term(four, "data") == pytest.approx(term(one, "data"))
    assert term(four, "compute") == pytest.approx(4.0 * term(one, "compute"))


def test_fully_sharded_data_parallelism_sends_half_as_much_again():
    # Long messages only, so that the bytes count; three passes over the parameters instead of two.
    sent = {}
    for zero in (1, 3):
        c = columns(gpt(24, 8192, 64), data=64, batch=64, zero=zero)
        c |= {name: 0.0 for name in c if name.endswith(("_base", "_step"))} | {
            "inner_occupancy": 0.0,
            "outer_occupancy": 0.0,
        }
        c |= {"short_inner_step": 0.0, "short_outer_step": 0.0, "long_inner_step": 0.0, "long_outer_step": 0.0}
        sent[zero] = term(DistributedSolver().compute(c), "data")
    assert sent[3] / sent[1] == pytest.approx(1.5, rel=0.03)


@pytest.mark.parametrize(
    ("zero", "parts"),
    [(0, ()), (1, ("optimizer",)), (2, ("optimizer", "gradients")), (3, ("optimizer", "gradients", "weights"))],
)
def test_zero_divides_stage_by_stage(zero, parts):
    whole, found = (answers(gpt(24, 2048, 16), data=8, batch=8, zero=z) for z in (0, zero))
    for name in ("weights", "gradients", "optimizer"):
        share = 8.0 if name in parts else 1.0
        assert found[f"feasibility.{name}_memory"] == pytest.approx(whole[f"feasibility.{name}_memory"] / share)


def test_hybrid_sharding_keeps_more_and_sends_across_nodes_less():
    slow = Link(name="slow network", bandwidth=3e9)
    kept = {"device": H100, "model": gpt(32, 4096, 32), "batch": 128, "data": 128, "zero": 3, "outer": slow}
    full, hybrid = answers(**kept), answers(**kept, shard=8)
    assert hybrid["feasibility.memory_required"] > full["feasibility.memory_required"]
    assert term(hybrid, "data") < term(full, "data")


def test_more_stages_cost_more_bubble_and_chunks_less():
    bubbles = [term(answers(tensor=8, pipeline=8, virtual=v, micro_batch=1), "bubble") for v in (1, 2, 3, 6)]
    assert bubbles == sorted(bubbles, reverse=True)
    ratio = bubbles[0] / bubbles[2]
    assert ratio == pytest.approx(3.0, rel=0.01)


def test_zero_bubble_schedules_wait_less():
    waits = [
        term(answers(tensor=8, pipeline=8, micro_batch=1, schedule=s), "bubble")
        for s in ("1f1b", "zero-bubble-h1", "zero-bubble-h2")
    ]
    assert waits[0] > waits[1] > waits[2] >= 0.0


def test_full_recomputation_adds_a_forward_pass_and_saves_memory():
    none, full = (answers(tensor=8, pipeline=8, micro_batch=1, recompute=r) for r in ("none", "full"))
    assert 0.30 < term(full, "recompute") / term(full, "compute") < 0.36
    assert full["feasibility.activations_memory"] < 0.25 * none["feasibility.activations_memory"]
    assert full["performance.hardware_utilisation"] > full["performance.utilisation"]


def test_overlap_hides_and_never_below_computation():
    layout = {"tensor": 8, "data": 8, "batch": 64, "micro_batch": 1}
    plain = answers(stack=attrs.evolve(OVERLAPPED, features=attrs.evolve(OVERLAPPED.features, overlap_tensor=False,
                    overlap_data=False)), **layout)  # fmt: skip
    hidden = answers(stack=OVERLAPPED, **layout)
    for name in ("tensor", "data"):
        assert 0.0 < term(hidden, name) < term(plain, name)
    assert term(hidden, "compute") == term(plain, "compute")


def test_uneven_pipelines_are_legal_and_shown():
    model = gpt(126, 16384, 128)
    c = columns(model, stack=OVERLAPPED, tensor=8, pipeline=8, virtual=8, micro_batch=1, batch=64)
    assert any("at most 16 a stage" in note for note in c["assumptions"])
    even = DistributedSolver().compute(c)
    worse = answers(model, stack=PLAIN, tensor=8, pipeline=8, micro_batch=1, batch=64)
    assert even["performance.step_time"] > 0
    assert worse["performance.step_time"] > 0


def test_a_layout_without_micro_batches_says_what_it_takes():
    def said(**axes):
        return [note for note in columns(batch=64, tensor=8, **axes)["assumptions"] if "micro-batch" in note]

    assert said(pipeline=8) == [
        "all 64 samples of a rank pass as one micro-batch and stages wait for each other (set parallelism.micro_batch)"
    ]
    assert said(data=8) == ["all 8 samples of a rank pass as one micro-batch (set parallelism.micro_batch)"]
    assert said(data=64) == said(pipeline=8, micro_batch=1) == []


def test_batches_that_do_not_divide_are_padded_and_shown():
    c = columns(tensor=8, pipeline=8, virtual=3, micro_batch=1, batch=60)
    assert any("padded to 64" in note for note in c["assumptions"])
    padded, whole = (answers(tensor=8, pipeline=8, virtual=3, micro_batch=1, batch=b) for b in (60, 64))
    assert padded["performance.step_time"] == whole["performance.step_time"]


def test_experts_communicate_and_memory_counts_all_of_them():
    alone = answers(MIXTRAL, device=H100, stack=OVERLAPPED, data=8, batch=8, sequence=4096, precision="bf16")
    spread = answers(MIXTRAL, device=H100, stack=OVERLAPPED, data=8, expert=8, batch=8, sequence=4096, precision="bf16")
    assert term(alone, "expert") == 0.0 < term(spread, "expert")
    assert spread["feasibility.weights_memory"] < alone["feasibility.weights_memory"] / 4.0
    assert alone["feasibility.weights_memory"] == pytest.approx(2.0 * 46.7e9, rel=0.01)


def test_busy_experts_take_longer():
    even, uneven = (
        answers(MIXTRAL, device=H100, data=8, expert=8, batch=8, sequence=4096, precision="bf16",
                settings={"imbalance": x}) for x in (1.0, 1.5)
    )  # fmt: skip
    assert uneven["performance.step_time"] > even["performance.step_time"]


def test_both_ways_of_context_parallelism_divide_the_sequence():
    for kind in ("ring", "all-to-all"):
        found = answers(
            LLAMA_70B, device=H100, tensor=4, context=2, batch=4, sequence=8192, precision="bf16", context_kind=kind
        )
        assert term(found, "context") > 0.0


def test_adapters_train_little_and_compute_less():
    whole, adapted = (
        answers(LLAMA_70B, device=H100, stack=OVERLAPPED, tensor=8, data=8, batch=8, sequence=4096, precision="bf16", adapter=rank)
        for rank in (0, 16)
    )  # fmt: skip
    assert adapted["feasibility.optimizer_memory"] < 0.01 * whole["feasibility.optimizer_memory"]
    assert 0.6 < term(adapted, "compute") / term(whole, "compute") < 0.9
    assert term(adapted, "data") < 0.1 * term(whole, "data")
    assert adapted["performance.flops"] / whole["performance.flops"] == pytest.approx(2.0 / 3.0, abs=0.03)


def test_arrays_answer_like_floats_and_rank_alike():
    rng = np.random.default_rng(1)
    tensor = rng.choice([1.0, 2.0, 4.0, 8.0], 60)
    pipeline = rng.choice([1.0, 2.0, 4.0, 8.0, 16.0], 60)
    data, micro = rng.choice([1.0, 2.0, 8.0, 32.0], 60), rng.choice([1.0, 2.0, 4.0], 60)
    base = columns(tensor=8, pipeline=2, batch=256, micro_batch=1, sequence=2048)
    arrays = {"tensor": tensor, "pipeline": pipeline, "data": data, "micro_batch": micro}
    for extra in ({}, {"peak": rng.uniform(1e14, 5e14, 60), "bandwidth": rng.uniform(1e12, 4e12, 60)}):
        together = DistributedSolver().compute({**base, **arrays, **extra, "layer_memo": {}})
        steps = together["performance.step_time"]
        for i in range(60):
            one = {name: float(values[i]) for name, values in {**arrays, **extra}.items()}
            alone = DistributedSolver().compute({**base, **one, "layer_memo": {}})
            for name in ("performance.step_time", "feasibility.memory_required", "performance.utilisation"):
                assert math.isclose(alone[name], float(together[name][i]), rel_tol=1e-12), name
        singles = [
            DistributedSolver().compute({**base, **{n: float(v[i]) for n, v in {**arrays, **extra}.items()}})[
                "performance.step_time"
            ]
            for i in range(60)
        ]
        assert list(np.argsort(steps, kind="stable")) == list(np.argsort(np.array(singles), kind="stable"))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        ({"data": 128, "batch": 64}, "Nearest legal values: 64"),
        ({"tensor": 8, "virtual": 2}, "one stage has nothing to interleave"),
        ({"data": 2, "expert": 4}, "expert"),
        ({"tensor": 8, "micro_batch": 128}, "At most 64"),
        ({"context": 3}, "Nearest legal values: 2 and 4"),
        ({"pipeline": 8, "zero": 3}, "zero = 1"),
        ({"data": 8, "zero": 3, "shard": 3}, "Nearest legal values: 2 and 4"),
        ({"tensor": 8, "pipeline": 2, "virtual": 2, "schedule": "gpipe"}, "does not interleave"),
    ],
)
def test_illegal_layouts_are_refused_with_the_nearest_legal_values(layout, words):
    with pytest.raises(MlsysimError) as caught:
        columns(**layout)
    assert any(words in f"{fault.what} {fault.remedy}" for fault in caught.value.faults)


def test_a_missing_link_is_refused():
    with pytest.raises(MlsysimError, match="no link that leaves"):
        columns(tensor=8, data=2, outer=None)
    with pytest.raises(MlsysimError, match="no node"):
        columns(tensor=8, node=None)


def test_a_faster_link_is_never_slower():
    slow = columns(tensor=8, pipeline=4, data=4, batch=256, micro_batch=1)
    for name in ("inner_rate", "outer_rate"):
        times = [
            DistributedSolver().compute({**slow, name: slow[name] * f})["performance.step_time"] for f in (0.5, 1, 2, 8)
        ]
        assert times == sorted(times, reverse=True)


def test_nodes_of_the_cases_are_those_of_the_device():
    assert NODE.devices == 8.0
    assert A100.memory.capacity == 80e9
