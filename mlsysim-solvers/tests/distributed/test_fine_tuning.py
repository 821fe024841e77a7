"""Fine-tuning on one card and with experts that lie where they are used: what has to be kept, and what does not."""

from __future__ import annotations

import attrs
import pytest
from training_cases import LLAMA_70B, MIXTRAL, PLAIN, columns

from mlsysim.errors import MlsysimError
from mlsysim.records.precision import bytes_per_element
from mlsysim_solvers.distributed import DistributedSolver

GB = 1e9


def solved(model=LLAMA_70B, job=None, stack=PLAIN, **kwargs):
    case = {"batch": 8, "precision": "bf16", "stack": stack, **kwargs}
    return DistributedSolver().compute(columns(model, **case, job=job or {}))


def memory(found, use):
    return found[f"feasibility.{use}_memory"]


def with_features(**given):
    return attrs.evolve(PLAIN, features=attrs.evolve(PLAIN.features, **given))


def ends(model):
    return 2.0 * model.transformer.vocab * model.transformer.hidden


def test_four_bits_of_qlora_have_scales_of_their_own():
    # pytorch/ao, nf4tensor.py, to_nf4: 8 bits for each 64 weights, and 32 for each 256 of those.
    assert bytes_per_element("nf4") * 8.0 == pytest.approx(4.0 + 8.0 / 64.0 + 32.0 / (64.0 * 256.0), abs=1e-3)


@pytest.mark.parametrize("weights", ["int8", "nf4"])
@pytest.mark.parametrize("layout", [{"tensor": 8}, {"data": 8, "zero": 3}, {}])
def test_embedding_and_output_projection_of_a_frozen_model_keep_16_bits(weights, layout):
    wide, narrow = (solved(adapter=16, job=job, **layout) for job in ({}, {"weights": weights}))
    whole, share = memory(wide, "weights") * (8.0 if layout else 1.0), bytes_per_element(weights) / 2.0
    of_ends = 2.0 * ends(LLAMA_70B)
    expected = of_ends + (whole - of_ends) * share
    assert memory(narrow, "weights") * (8.0 if layout else 1.0) == pytest.approx(expected, rel=1e-12)


def test_one_copy_takes_eight_bytes_per_parameter_with_adam():
    one, two = solved(stack=with_features(one_copy=True)), solved()
    kept = [sum(memory(found, use) for use in ("weights", "gradients", "optimizer")) for found in (one, two)]
    # 2 + 2 + 2 x 2 bytes, against 2 + 2 + 4 + 2 x 4 (Rajbhandari et al. 2019).
    assert kept[1] == pytest.approx(2.0 * kept[0], rel=1e-12)
    assert kept[0] == pytest.approx(8.0 * memory(one, "weights") / 2.0, rel=1e-12)


def test_one_copy_is_that_of_a_master_that_is_left_out():
    one, none = solved(stack=with_features(one_copy=True)), solved(job={"master": ""})
    assert one == none


@pytest.mark.parametrize("layout", [{}, {"tensor": 4}, {"data": 4, "zero": 1}])
def test_an_optimizer_in_the_backward_pass_keeps_the_largest_gradient_alone(layout):
    shape = LLAMA_70B.transformer
    late, early = (solved(job={"optimizer_in_backward": one}, **layout) for one in (False, True))
    largest = max(ends(LLAMA_70B) / 2.0, shape.hidden * shape.ffn) / layout.get("tensor", 1)
    assert memory(early, "gradients") == pytest.approx(2.0 * largest, rel=1e-12)
    assert memory(late, "gradients") > 50.0 * memory(early, "gradients")
    for use in ("weights", "optimizer", "activations", "logits"):
        assert memory(early, use) == memory(late, use), use


@pytest.mark.parametrize("layout", [{"micro_batch": 2}, {"pipeline": 4, "micro_batch": 1}])
def test_gradients_of_several_micro_batches_outlive_the_backward_pass(layout):
    with pytest.raises(MlsysimError) as caught:
        solved(job={"optimizer_in_backward": True}, **layout)
    assert caught.value.where == "workload.optimizer_in_backward"
    assert caught.value.remedy


def test_adapters_need_a_model_that_is_frozen():
    with pytest.raises(MlsysimError) as caught:
        solved(job={"adapter_modules": "all"})
    assert caught.value.where == "workload.adapter_modules"


def test_adapters_beside_mlps_have_parameters_time_and_inputs_of_their_own():
    shape = LLAMA_70B.transformer
    few, all_ = (solved(adapter=16, job={"adapter_modules": name}) for name in ("attention", "all"))
    # Hu et al. 2021: r (in + out) for each of the three matrices of an MLP; bf16 gradients.
    more = memory(all_, "gradients") - memory(few, "gradients")
    assert more == pytest.approx(2.0 * 16.0 * 3.0 * shape.layers * (shape.hidden + shape.ffn), rel=1e-9)
    assert all_["performance.step_time"] > 1.02 * few["performance.step_time"]
    assert memory(all_, "activations") > memory(few, "activations")
    assert solved(adapter=16)["performance.step_time"] == few["performance.step_time"]


def test_unpacking_weights_costs_small_batches_most():
    def slower(batch):
        plain, packed = (
            solved(adapter=16, batch=batch, sequence=512, recompute="full", job={"weights": name})
            for name in ("", "nf4")
        )
        return packed["performance.step_time"] / plain["performance.step_time"]

    assert 1.0 < slower(16) < slower(1) < 4.0


def test_experts_that_lie_on_one_device_each_are_not_gathered():
    stack = with_features(one_copy=True)
    common = {"model": MIXTRAL, "data": 8, "zero": 3, "stack": stack}
    apart, shared, whole = (memory(solved(**common, expert=e), "gathered") for e in (8, 4, 1))
    assert apart < shared < whole
    # Nothing of the experts is left in it.
    none = attrs.evolve(MIXTRAL, transformer=attrs.evolve(MIXTRAL.transformer, mixture=None, ffn=1.0))
    assert apart == pytest.approx(memory(solved(**common | {"model": none}), "gathered"), rel=0.02)


def test_experts_that_are_stored_wide_are_cast_before_they_are_used():
    wide = with_features(wide_weights=True)
    common = {"model": MIXTRAL, "data": 8, "zero": 3, "expert": 8}
    kept, cast = (memory(solved(**common, stack=s), "gathered") for s in (with_features(one_copy=True), wide))
    assert cast > 1.5 * kept
