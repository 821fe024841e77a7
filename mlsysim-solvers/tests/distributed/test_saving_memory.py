"""Recomputing some layers or some parts of them, and keeping activations or optimizer states in host memory."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
from solver_cases import DEEPSEEK, GEMMA
from training_cases import A100, GPT_175B, LLAMA_70B, MIXTRAL, OVERLAPPED, PLAIN, columns, gpt

from mlsysim.errors import MlsysimError
from mlsysim.evaluation import evaluate
from mlsysim.records.transformer import Latent
from mlsysim_solvers.distributed import DistributedSolver, setup_of
from mlsysim_solvers.execution.training.layers import _again, work_again
from mlsysim_solvers.lowering.operators import MATRIX_KINDS
from mlsysim_solvers.lowering.parallel import Division, forward, part_of
from mlsysim_solvers.lowering.work import forward_work

LAYERS, HIDDEN, HEADS, SEQUENCE = 48, 6144, 64, 2048
MODEL = gpt(LAYERS, HIDDEN, HEADS)
MLA = attrs.evolve(
    LLAMA_70B,
    transformer=attrs.evolve(
        LLAMA_70B.transformer,
        kv_heads=64,
        latent=Latent(kv_rank=512, rope_dim=64, nope_dim=128, v_dim=128, q_rank=1536),
    ),
)
INPUT = 2.0 * SEQUENCE * HIDDEN
"""Bytes that a layer keeps of one sequence when it is recomputed whole."""


def solved(model=MODEL, job=None, **kwargs):
    c = columns(model, **{"batch": 8, "micro_batch": 1, "tensor": 8, "spread": True, **kwargs}, job=job or {})
    return DistributedSolver().compute(c)


def activations(**kwargs):
    return solved(**kwargs)["feasibility.activations_memory"]


def term(found, name):
    return found[f"performance.breakdown_{name}"]


def test_recomputing_all_layers_one_by_one_is_full_recomputation():
    every, some = solved(recompute="full"), solved(recompute="full", job={"recompute_layers": LAYERS})
    assert every == some


@pytest.mark.parametrize("count", [1, 16, 47])
def test_a_block_of_layers_keeps_inputs_and_the_others_everything(count):
    # Korthikanti et al. 2022, arXiv:2205.05198: s b h (34 + 5 a s/h) / t per layer with sequence parallelism;
    # scores and their dropout are part of it, a recomputed layer keeps 2 s b h / t, and one is done again.
    tensor = 8.0
    whole = SEQUENCE * HIDDEN * (34.0 + 5.0 * HEADS * SEQUENCE / HIDDEN) / tensor
    found = activations(recompute="full", settings={"dropout": 1.0}, job={"recompute_layers": count})
    assert found == pytest.approx((LAYERS - count) * whole + count * INPUT / tensor + whole, rel=1e-12)


@pytest.mark.parametrize("group", [1, 4, 12])
def test_groups_of_layers_keep_one_input_each_and_are_alive_together(group):
    tensor = 8.0
    whole = SEQUENCE * HIDDEN * (34.0 + 5.0 * HEADS * SEQUENCE / HIDDEN) / tensor
    job = {"recompute_layers": group, "recompute_method": "uniform"}
    found = activations(recompute="full", settings={"dropout": 1.0}, job=job)
    assert found == pytest.approx(LAYERS / group * INPUT / tensor + group * whole, rel=1e-12)
    # Each layer is done again once, whatever the groups.
    one, all_ = solved(recompute="full", job=job), solved(recompute="full")
    assert term(one, "recompute") == term(all_, "recompute")


def test_more_recomputed_layers_take_less_memory_and_more_time():
    found = [solved(recompute="full", job={"recompute_layers": n}) for n in (1, 12, 24, 36, 48)]
    memory = [one["feasibility.memory_required"] for one in found]
    time = [one["performance.step_time"] for one in found]
    assert memory == sorted(memory, reverse=True)
    assert time == sorted(time)
    none = solved()["performance.step_time"]
    share = (time[2] - none) / (time[4] - none)
    assert share == pytest.approx(0.5, rel=1e-9)


def test_a_pipeline_recomputes_layers_of_every_stage():
    job = {"recompute_layers": 3}
    some = solved(pipeline=4, recompute="full", job=job, batch=64)
    every = solved(pipeline=4, recompute="full", batch=64)
    assert term(some, "recompute") == pytest.approx(0.25 * term(every, "recompute"))


@pytest.mark.parametrize(("part", "elements"), [("norm", 4.0), ("activation", 8.0), ("mlp", 16.0)])
def test_a_part_that_is_done_again_keeps_nothing_of_what_it_writes(part, elements):
    # Korthikanti et al. 2022, section 4.1: of 34 s b h bytes, inputs of both blocks 4, of the activation function 8,
    # and of the second matrix 8.
    kept, less = (activations(recompute="selective", job=job) for job in ({}, {"recompute_modules": part}))
    once = elements if part == "mlp" else 0.0
    assert kept - less == pytest.approx((LAYERS * elements - once) * SEQUENCE * HIDDEN / 8.0, rel=1e-12)


def test_latent_attention_is_unfolded_once_more_instead_of_kept():
    # Heads, of which queries and keys are 192 wide and values 128: 8 devices keep none of them. Of the compressed
    # keys they keep the part beside, 64 wide, as well.
    shape = MLA.transformer
    heads, latent = shape.heads, shape.latent
    kept, less = (
        solved(MLA, recompute="selective", stack=OVERLAPPED, job=job) for job in ({}, {"recompute_modules": "latent"})
    )
    wide = heads * (2 * (latent.nope_dim + latent.rope_dim) + latent.v_dim) - latent.rope_dim
    memory = [one["feasibility.activations_memory"] for one in (kept, less)]
    assert memory[0] - memory[1] == pytest.approx(shape.layers * SEQUENCE * wide * 2.0 / 8.0, rel=1e-12)
    again = term(less, "recompute")
    assert 0.0 < again < 0.2 * term(less, "compute")
    assert again < term(solved(MLA, recompute="full", stack=OVERLAPPED), "recompute")


def test_parts_take_their_own_time_and_together_less_than_a_whole_layer():
    times = {
        part: term(solved(stack=OVERLAPPED, recompute="selective", job={"recompute_modules": part}), "recompute")
        for part in ("norm", "activation", "mlp", "attention", "attention, norm, activation, mlp")
    }
    full = term(solved(stack=OVERLAPPED, recompute="full"), "recompute")
    assert all(0.0 < time < full for time in times.values())
    assert times["norm"] < times["mlp"]
    assert times["activation"] < times["mlp"]
    together = times["attention"] + times["norm"] + times["mlp"]
    assert times["attention, norm, activation, mlp"] == pytest.approx(together)


def test_activations_of_some_layers_wait_in_host_memory():
    each = activations() / LAYERS
    for count in (2, 10, 48):
        found = activations(job={"offload": True, "offload_layers": count})
        assert found == pytest.approx((LAYERS - count + 2) * each, rel=1e-12)
    assert activations(job={"offload": True}) == pytest.approx(2.0 * each, rel=1e-12)


def test_copies_are_hidden_by_a_fast_link_and_exposed_by_a_slow_one():
    slow, fast, never = (
        solved(job={"offload": True}, settings={"host_rate": rate})["performance.breakdown_offload"]
        for rate in (1e9, 1e11, 1e18)
    )
    assert slow > fast > never
    assert never < 1e-7
    half = solved(job={"offload": True, "offload_layers": LAYERS // 2}, settings={"host_rate": 1e9})
    assert term(half, "offload") == pytest.approx(0.5 * slow)


def test_optimizer_states_in_host_memory_visit_the_device_once_a_step():
    here, away = solved(), solved(job={"offload_optimizer": 1.0}, settings={"host_rate": 2e10})
    assert away["feasibility.optimizer_memory"] == 0.0
    assert term(away, "offload") == pytest.approx(here["feasibility.optimizer_memory"] / 2e10)
    half = solved(job={"offload_optimizer": 0.5}, settings={"host_rate": 2e10})
    assert half["feasibility.optimizer_memory"] == pytest.approx(0.5 * here["feasibility.optimizer_memory"])


def test_a_frozen_model_needs_no_copy_in_32_bits():
    wide = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, wide_weights=True))
    common = {"model": LLAMA_70B, "spread": False, "tensor": 8, "adapter": 16, "precision": "bf16"}
    kept, usual = solved(stack=wide, **common), solved(**common)
    assert kept["feasibility.weights_memory"] == usual["feasibility.weights_memory"]
    trained = solved(stack=wide, **common | {"adapter": 0})
    assert trained["feasibility.weights_memory"] == pytest.approx(2.0 * kept["feasibility.weights_memory"])


@pytest.mark.filterwarnings("error")
def test_a_stage_without_layers_bounds_no_micro_batch():
    planned = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, planned_memory=True))
    # 48 layers over 32 chunks of two leave the last stage without any.
    found = solved(stack=planned, pipeline=16, virtual=2, batch=64)
    c = columns(MODEL, batch=64, micro_batch=1, tensor=8, spread=True, stack=planned, pipeline=16, virtual=2)
    many = DistributedSolver().compute({**c, "virtual": np.array([1.0, 2.0])})
    assert 1.0 <= found["feasibility.max_micro_batch"] == many["feasibility.max_micro_batch"][1] < 1e6


def test_planned_memory_is_never_more_and_holds_the_larger_phase():
    planned = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, planned_memory=True))
    sharded = {"tensor": 1, "spread": False, "data": 64, "batch": 64, "zero": 3}
    for recompute in ("none", "selective", "full"):
        plain = solved(recompute=recompute, **sharded)
        lean = solved(recompute=recompute, stack=planned, **sharded)
        assert lean["feasibility.memory_required"] <= plain["feasibility.memory_required"]
        uses = ("weights", "gradients", "optimizer", "activations", "logits", "gathered", "reserve")
        total = sum(lean[f"feasibility.{name}_memory"] for name in uses)
        assert total == pytest.approx(lean["feasibility.memory_required"])


def test_the_largest_micro_batch_fits_and_one_more_does_not():
    for features in ({}, {"planned_memory": True}):
        stack = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, **features))
        common = {"tensor": 8, "recompute": "full", "stack": stack, "batch": 4096, "data": 8, "zero": 3}
        most = int(solved(**common)["feasibility.max_micro_batch"])
        assert solved(**{**common, "micro_batch": most})["feasibility.fits"]
        assert not solved(**{**common, "micro_batch": most + 1})["feasibility.fits"]


def with_features(**features):
    return attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, **features))


def test_a_loss_of_one_operator_after_another_keeps_seven_copies_of_the_logits_and_a_compiled_one_four():
    # Apple, ml-cross-entropy, README.md at 18e76ada: loss-fw-bw takes 28000.0 MB and compiled 16000.1 MB, where the
    # logits in 16 bits take 4000. The logits themselves go when the loss is there, unless their caller keeps them.
    kind = {"tensor": 1, "spread": False}
    eager = solved(stack=with_features(copied_loss=True), **kind)["feasibility.logits_memory"]
    compiled = solved(stack=PLAIN, **kind)["feasibility.logits_memory"]
    logits = 2.0 * SEQUENCE * MODEL.transformer.vocab
    assert eager == pytest.approx((28000.0 / 4000.0 - 1.0) * logits)
    assert compiled == pytest.approx(16000.0 / 4000.0 * logits)


def test_an_update_of_lists_of_tensors_takes_one_more_number_for_each_parameter():
    # PyTorch, torch/optim/optimizer.py at 002d2f0b, _foreach_doc: "~ sizeof(params) more peak memory".
    few = {"tensor": 1, "spread": False, "recompute": "full", "precision": "bf16"}
    listed, plain = solved(stack=with_features(listed_updates=True), **few), solved(stack=PLAIN, **few)
    states = plain["feasibility.optimizer_memory"]
    # Beside the copy in 32 bits and two states there is one more, and all that the passes needed is gone.
    assert listed["feasibility.optimizer_memory"] == pytest.approx(states * 4.0 / 3.0)
    passing = ("activations", "logits", "gathered")
    assert all(listed[f"feasibility.{name}_memory"] == 0.0 for name in passing)
    assert listed["feasibility.memory_required"] == pytest.approx(
        plain["feasibility.memory_required"] + states / 3.0
        - sum(plain[f"feasibility.{name}_memory"] for name in passing)
    )  # fmt: skip


def test_an_update_that_is_smaller_than_what_passes_need_changes_nothing():
    stack = with_features(listed_updates=True)
    sharded = {"tensor": 1, "spread": False, "data": 64, "batch": 64, "zero": 3}
    assert solved(stack=stack, **sharded) == solved(stack=PLAIN, **sharded)
    # Kernels of 8-bit states, and optimizers in the backward pass, take the parameters one by one.
    alone = {"tensor": 1, "spread": False, "recompute": "full", "batch": 1}
    assert solved(stack=stack, settings={"fused_updates": 1.0}, **alone) == solved(stack=PLAIN, **alone)
    for job in ({"optimizer": "adam8bit"}, {"optimizer_in_backward": True}, {"optimizer": "sgd"}):
        few = {"tensor": 1, "spread": False, "recompute": "full", "batch": 1, "job": job}
        assert solved(stack=stack, **few) == solved(stack=PLAIN, **few), job


def test_both_phases_are_compared_row_by_row():
    stack, common = with_features(listed_updates=True), {"tensor": 8, "recompute": "full", "batch": 64}
    micro = np.array([1.0, 16.0])
    c = columns(MODEL, spread=True, micro_batch=1, **common, stack=stack)
    many = DistributedSolver().compute({**c, "micro_batch": micro})
    for row, count in enumerate(micro):
        one = solved(**common, micro_batch=int(count), stack=stack)
        for name in ("memory_required", "activations_memory", "optimizer_memory", "max_micro_batch"):
            assert many[f"feasibility.{name}"][row] == pytest.approx(one[f"feasibility.{name}"]), (name, count)


def test_devices_that_keep_shards_of_gradients_sum_those_of_every_micro_batch():
    # PyTorch FSDP2 reduces and scatters after each micro-batch without any intervention (pytorch/pytorch#126166), and
    # Megatron-FSDP wherever gradients are sharded (megatron_fsdp.py at d98e8a64, grad_reduce_every_bprop).
    sharded = {"tensor": 1, "spread": False, "data": 64, "zero": 3}
    one, four = (solved(batch=batch, **sharded) for batch in (64, 256))
    assert term(four, "data") == pytest.approx(4.0 * term(one, "data"))
    assert four["feasibility.gradients_memory"] == one["feasibility.gradients_memory"]


def test_attention_that_is_not_fused_keeps_its_scores():
    fused = with_features(fused_attention=True)
    more = activations(stack=fused, settings={"unfused_attention": 1.0}) - activations(stack=fused)
    statistics = 4.0 * HEADS * SEQUENCE / 8.0
    assert more == pytest.approx(LAYERS * (2.0 * HEADS * SEQUENCE**2 / 8.0 - statistics), rel=0.01)


def test_states_that_alone_exceed_the_memory_never_fit():
    # 70 billion parameters with Adam take 18 bytes each, and 8 devices of 80 GB hold 9.
    for job in ({}, {"recompute_layers": 80}):
        found = solved(LLAMA_70B, device=A100, tensor=8, recompute="full", job=job, precision="bf16")
        assert not found["feasibility.fits"]
        assert found["feasibility.max_micro_batch"] == 0.0


@pytest.mark.parametrize(
    ("recompute", "job"),
    [
        ("none", {"recompute_layers": 2}),
        ("full", {"recompute_layers": 49}),
        ("full", {"recompute_method": "uniform"}),
        ("full", {"recompute_modules": "mlp"}),
        ("selective", {"recompute_modules": "mlps"}),
        ("selective", {"recompute_modules": "latent"}),
        ("none", {"offload_layers": 2}),
        ("none", {"offload": True, "offload_layers": 49}),
        ("none", {"offload_optimizer": 1.5}),
        ("full", {"offload": True, "recompute_layers": 2}),
        ("none", {"weights": "int8"}),
    ],
)
def test_contradictions_are_refused(recompute, job):
    with pytest.raises(MlsysimError) as caught:
        solved(recompute=recompute, job=job)
    assert caught.value.where.startswith("workload.")
    assert caught.value.remedy


def test_a_choice_that_is_none_names_the_others_alone():
    with pytest.raises(MlsysimError) as caught:
        evaluate("llama-70b-h100-64", {"workload.recompute_method": "rows"})
    assert caught.value.remedy == "Choose block, uniform"


def test_a_whole_cluster_run_needs_less_with_every_saving():
    common = {"model": GPT_175B, "pipeline": 8, "virtual": 3, "batch": 64}
    plain = solved(**common)["feasibility.memory_required"]
    for recompute, job in (
        ("full", {"recompute_layers": 4}),
        ("selective", {"recompute_modules": "norm, activation"}),
        ("none", {"offload": True, "offload_layers": 6}),
        ("none", {"offload_optimizer": 0.5}),
    ):
        assert solved(recompute=recompute, job=job, **common)["feasibility.memory_required"] < plain


@pytest.mark.parametrize(("recompute", "job"), [("full", {}), ("selective", {"recompute_modules": "mlp"})])
def test_a_compiler_does_not_do_again_what_no_gradient_needs(recompute, job):
    planned = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, planned_memory=True))
    every, some = (solved(stack=s, recompute=recompute, job=job) for s in (PLAIN, planned))
    # The second product of the MLP is a third of a layer's products, and one of four transfers follows it.
    assert 0.5 * term(every, "recompute") < term(some, "recompute") < 0.8 * term(every, "recompute")
    assert term(some, "tensor") < term(every, "tensor")
    assert term(some, "compute") == term(every, "compute")


@pytest.mark.parametrize(
    ("recompute", "modules", "products", "attention"),
    [
        ("none", "", 0.0, 0.0),
        ("full", "", 24.0, 4.0),
        ("selective", "", 0.0, 2.0),
        ("selective", "attention", 0.0, 4.0),
        ("selective", "mlp", 16.0, 0.0),
        ("selective", "norm,activation", 0.0, 0.0),
    ],
)
@pytest.mark.parametrize("adapter", [0, 16])
def test_hardware_utilisation_counts_every_product_that_is_done_again(recompute, modules, products, attention, adapter):
    # A layer of a GPT takes 24 s h^2 + 4 s^2 h forward (Narayanan et al. 2021, arXiv:2104.04473, equation 3), 16 s h^2
    # of it in its MLP. Frozen weights have no gradients of their own.
    found = solved(
        recompute=recompute, adapter=adapter, job={"recompute_modules": modules}, settings={"full_attention": 1.0}
    )
    passes, head = (2.0 if adapter else 3.0), 2.0 * SEQUENCE * HIDDEN * 51200.0
    layer = passes * 24.0 * SEQUENCE * HIDDEN**2 + 12.0 * SEQUENCE**2 * HIDDEN
    again = products * SEQUENCE * HIDDEN**2 + attention * SEQUENCE**2 * HIDDEN
    expected = 1.0 + LAYERS * again / (LAYERS * layer + passes * head)
    ratio = found["performance.hardware_utilisation"] / found["performance.utilisation"]
    assert ratio == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("model", [MIXTRAL, DEEPSEEK, GEMMA], ids=lambda m: m.name)
@pytest.mark.parametrize("pruned", [False, True])
@pytest.mark.parametrize(
    ("recompute", "modules"), [("full", ""), ("selective", ""), ("selective", "mlp"), ("selective", "attention")]
)
def test_work_that_is_done_again_is_that_of_the_operators_done_again(model, pruned, recompute, modules):
    stack = attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, planned_memory=pruned))
    c = columns(
        model, stack=stack, batch=1, recompute=recompute, job={"recompute_modules": modules},
        settings={"full_attention": 1.0},
    )  # fmt: skip
    setup, alone = setup_of(c), Division(1.0, 1.0, 1.0, sequence=False)
    part = part_of(setup.shape, setup.formats, alone, 1.0, c["sequence"])
    table = forward(part, setup.abilities, narrow=setup.narrow, frozen=False, scaling=setup.scaling)
    lowered = sum(row.count * row.work for row in _again(table, setup) if row.kind in MATRIX_KINDS)
    counted = work_again(setup, c["sequence"], forward_work(setup.shape, c["sequence"], 1.0))
    assert counted == pytest.approx(lowered, rel=1e-12)


def test_hardware_utilisation_counts_the_layers_that_are_recomputed():
    whole, some = (
        solved(recompute="full", job={"recompute_layers": count}, settings={"full_attention": 1.0})
        for count in (LAYERS, LAYERS // 4)
    )
    whole, some = (
        found["performance.hardware_utilisation"] / found["performance.utilisation"] - 1.0 for found in (whole, some)
    )
    assert some == pytest.approx(whole / 4.0, rel=1e-12)
