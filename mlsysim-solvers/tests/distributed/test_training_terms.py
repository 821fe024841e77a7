"""What training adds to a layer, what the host costs, and what a loss reads."""

from __future__ import annotations

import attrs
import pytest
from measured_rows import of_table
from training_cases import A100, GPT_175B, H100, LLAMA_70B, MIXTRAL, OVERLAPPED, PLAIN, answers, columns

from mlsysim_solvers.formulas import parallel_constants as constants
from mlsysim_solvers.lowering.casts import casts
from mlsysim_solvers.lowering.operators import Formats
from mlsysim_solvers.lowering.parallel import Division, eager_norms, expert_biases, forward, part_of
from mlsysim_solvers.lowering.shape import transformer_shape
from mlsysim_solvers.lowering.training import loss
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names


def changed(stack, ceilings=None, **features):
    return attrs.evolve(
        stack,
        features=attrs.evolve(stack.features, **features),
        ceilings=attrs.evolve(stack.ceilings, **ceilings or {}),
    )


def test_a_wide_loss_reads_ten_times_where_a_fused_one_reads_three():
    assert loss(10.0, 100.0, 4.0).activation_bytes == 10 * 100 * 3 * 4
    assert loss(10.0, 100.0, 4.0, 2.0).activation_bytes == 10 * 100 * (8 * 4 + 2 * 2)


def test_training_keeps_what_enters_the_activation_function():
    from mlsysim.records.model import Transformer
    from mlsysim_solvers.lowering.attention import Abilities
    from mlsysim_solvers.lowering.parallel import Division
    from mlsysim_solvers.lowering.shape import transformer_shape

    model = LLAMA_70B
    assert isinstance(model.transformer, Transformer)
    shape = transformer_shape(model, model.transformer)
    abilities = Abilities(True, True, True, 1.0)
    formats = Formats(2.0, 1.0, 2.0, 2.0, 2.0)
    alone = Division(1.0, 1.0, 1.0, sequence=False)
    table = {r.name: r for r in forward(part_of(shape, formats, alone, 1.0, 4096.0), abilities, narrow=True)}
    up = table["MLP up"]
    # Its input in one byte, and all that it computes in two.
    assert up.activation_bytes == 4096 * (shape.hidden * 1.0 + 2.0 * shape.ffn * 2.0)
    assert table["MLP up: activation"].activation_bytes == 4096 * 3.0 * shape.ffn * 2.0
    one, two = (casts([up], formats, layouts)[0].activation_bytes for layouts in (1.0, 2.0))
    assert two - one == 4096 * shape.hidden * 1.0


def test_a_device_waits_for_the_host_unless_graphs_are_replayed():
    layout = {
        "device": H100,
        "batch": 64,
        "precision": "bf16",
        "data": 8,
        "tensor": 8,
        "spread": True,
        "micro_batch": 1,
    }
    slow = changed(OVERLAPPED, {"host": 0.05})
    times = [
        answers(LLAMA_70B, stack=stack, **layout)["performance.step_time"]
        for stack in (OVERLAPPED, slow, changed(slow, graphs=True))
    ]
    assert times[1] >= 8 * 80 * 3 * 0.05 > times[0]
    assert times[2] == times[0]


@pytest.mark.parametrize(("recompute", "passes"), [("none", 3), ("full", 4)])
def test_passes_that_are_done_again_wait_for_the_host_as_plain_ones_do(recompute, passes):
    layout = {"device": H100, "precision": "bf16", "data": 8, "tensor": 8, "batch": 64, "micro_batch": 1}
    slow = changed(OVERLAPPED, {"host": 0.05})
    found = answers(LLAMA_70B, stack=slow, recompute=recompute, **layout)
    spent = found["performance.breakdown_compute"] + found["performance.breakdown_recompute"]
    assert spent == pytest.approx(8 * 80 * passes * 0.05, rel=0.05)
    # A device that is slower than its host waits for nothing.
    quick, none = (
        answers(LLAMA_70B, stack=changed(OVERLAPPED, {"host": host}), recompute=recompute, **layout)
        for host in (1e-9, None)
    )
    assert quick["performance.step_time"] == none["performance.step_time"]


def test_biases_of_experts_move_every_routed_token():
    biased = attrs.evolve(MIXTRAL, transformer=attrs.evolve(MIXTRAL.transformer, bias=True))
    shape = transformer_shape(biased, biased.transformer)
    assert shape.expert_bias
    assert not transformer_shape(MIXTRAL, MIXTRAL.transformer).expert_bias
    formats = Formats(2.0, 2.0, 2.0, 2.0, 2.0)
    (row,) = expert_biases(part_of(shape, formats, Division(1.0, 1.0, 8.0, False), 2.0, 1024.0), 4.0)
    # Two of eight experts for each of 2048 tokens, 28 bytes for each element of what they return.
    assert row.activation_bytes == 2 * 2048 * shape.hidden * 28
    (half,) = expert_biases(part_of(shape, formats, Division(1.0, 2.0, 8.0, False), 2.0, 1024.0), 4.0)
    assert half.activation_bytes == row.activation_bytes / 2
    layout = {"device": H100, "precision": "bf16", "data": 8, "expert": 8, "batch": 64, "micro_batch": 8}
    plain, added, planned = (
        answers(model, stack=changed(OVERLAPPED, planned_memory=compiled), **layout)["performance.breakdown_compute"]
        for model, compiled in ((MIXTRAL, False), (biased, False), (biased, True))
    )
    assert added > plain == pytest.approx(planned)


def test_small_micro_batches_of_a_mixture_run_at_the_pace_of_the_host():
    stack = changed(OVERLAPPED, {"host": 0.001})
    layout = {"device": H100, "precision": "bf16", "data": 8, "expert": 8, "sequence": 512}

    def lost(micro):
        eager, replayed = (
            answers(MIXTRAL, stack=changed(stack, graphs=graphs), batch=64, micro_batch=micro, **layout)
            for graphs in (False, True)
        )
        return eager["performance.breakdown_compute"] / replayed["performance.breakdown_compute"]

    # One expert on each device: two products in every pass of a layer. Longer work hides what the host does.
    assert lost(1) > 1.0
    assert lost(1) > lost(8)
    few, many = (
        answers(MIXTRAL, stack=stack, batch=64, micro_batch=1, **{**layout, "expert": expert}) for expert in (8, 1)
    )
    passes = 3 * 8 * MIXTRAL.transformer.layers
    for found, local in ((few, 1), (many, 8)):
        assert found["performance.breakdown_compute"] >= passes * (0.001 + 2 * local * constants.EXPERT_ISSUE)


@pytest.mark.parametrize("spread", [False, True])
def test_sums_beside_gradients_of_weights_hide_part_of_the_exchange(spread):
    shown, hidden, all_of_it = (
        answers(stack=stack, data=1, tensor=8, pipeline=8, spread=spread, micro_batch=1)["performance.breakdown_tensor"]
        for stack in (PLAIN, changed(PLAIN, overlap_backward=True), changed(PLAIN, overlap_tensor=True))
    )
    assert all_of_it < hidden < shown


def tensor_time(model=LLAMA_70B, adapter=0, **features):
    return answers(
        model, device=H100, stack=changed(PLAIN, **features), tensor=8, spread=True, batch=64, micro_batch=64,
        precision="fp8", adapter=adapter,
    )["performance.breakdown_tensor"]  # fmt: skip


def test_gradients_that_kernels_of_their_own_add_up_are_moved_in_every_micro_batch_but_the_first():
    adding = changed(PLAIN, adds_gradients=True)

    def more(micro, **given):
        given = {"tensor": 8, "data": 1, "batch": 8, "micro_batch": micro, "settings": {"device_spread": 0.0}, **given}
        with_, without = (answers(stack=stack, **given) for stack in (adding, PLAIN))
        return with_["performance.breakdown_compute"] - without["performance.breakdown_compute"]

    layers = 12 * 12288.0**2 * 96 / 8
    moved = 0.88 * A100.memory.bandwidth
    assert more(8) == 0.0
    assert more(1) == pytest.approx(7 * layers * 6.0 / moved, rel=0.01)
    assert more(4) == pytest.approx(1 * layers * 6.0 / moved, rel=0.01)
    # Sums of bf16 are kept, and exchanged, in 32 bits.
    assert more(1, precision="bf16") == pytest.approx(7 * layers * 10.0 / moved, rel=0.01)
    wide, half = (columns(stack=adding, tensor=8, data=1, precision=p)["sent_width"] for p in ("bf16", "fp16"))
    assert (wide, half) == (4.0, 2.0)


def test_only_an_optimizer_of_the_stack_gathers_parameters_beside_the_next_forward_pass():
    def shown(zero, **features):
        stack = changed(PLAIN, overlap_data=True, fused_attention=True, **features)
        return answers(LLAMA_70B, device=H100, stack=stack, tensor=8, data=8, batch=64, micro_batch=8, zero=zero)[
            "performance.breakdown_data"
        ]

    # Undivided, sums of gradients hide behind the backward pass either way.
    assert shown(0) == pytest.approx(shown(0, wide_gradients=True))
    assert shown(1) > 1.5 * shown(1, sharded_optimizer=True)


@pytest.mark.parametrize("spread", [False, True])
def test_parallel_attention_and_mlp_are_summed_up_together(spread):
    def talk(model, **stack):
        return answers(model, tensor=8, data=1, spread=spread, **stack)["performance.breakdown_tensor"]

    wide = attrs.evolve(GPT_175B, transformer=attrs.evolve(GPT_175B.transformer, parallel=True))
    assert talk(wide) == pytest.approx(0.5 * talk(GPT_175B), rel=1e-12)
    again = {"recompute": "full"}
    assert talk(wide, **again) == pytest.approx(0.5 * talk(GPT_175B, **again), rel=1e-12)


def test_what_is_quantised_before_it_is_gathered_is_half_as_much():
    wide, narrow = tensor_time(), tensor_time(narrow_gather=True)
    # Of four transfers forward and four back two each are gathered, and two more once again for gradients of weights,
    # of which the products beside them hide seven tenths.
    assert narrow / wide == pytest.approx((4 + 4 / 2 + 0.3 * 2 / 2) / (8 + 0.3 * 2), rel=0.02)
    plain = {"device": H100, "tensor": 8, "spread": True, "batch": 1, "micro_batch": 1, "precision": "bf16"}
    one, other = (answers(LLAMA_70B, stack=stack, **plain) for stack in (PLAIN, changed(PLAIN, narrow_gather=True)))
    assert one == other


def test_adapters_gather_what_they_read_in_the_wide_format():
    # Nothing is gathered again for frozen weights; one gather and one sum more for adapters, never in fewer bits.
    wide, narrow = (tensor_time(adapter=16, narrow_gather=narrow) for narrow in (False, True))
    assert wide / tensor_time() == pytest.approx(10 / (8 + 0.3 * 2), rel=0.02)
    assert narrow / wide == pytest.approx((6 + 4 / 2) / 10, rel=0.02)


def test_operators_one_by_one_move_what_compiled_ones_keep():
    layout = {"device": H100, "batch": 8, "precision": "bf16", "data": 8, "micro_batch": 1}
    compiled, eager = (
        answers(LLAMA_70B, stack=OVERLAPPED, settings=settings, **layout)["performance.breakdown_compute"]
        for settings in ({}, {"eager": 1.0})
    )
    assert 1.02 * compiled < eager < 1.5 * compiled


def test_norms_one_by_one_pass_seven_times_over_the_wide_tensor():
    shape, alone = transformer_shape(LLAMA_70B, LLAMA_70B.transformer), Division(1.0, 1.0, 1.0, sequence=False)
    formats = Formats(2.0, 2.0, 2.0, 2.0, 2.0)
    norms, turned = eager_norms(part_of(shape, formats, alone, 2.0, 100.0), 4.0)
    # Two norms of a layer, each beyond the four bytes that are counted with the others.
    assert norms.activation_bytes == 200 * 2 * shape.hidden * (36 - 4)
    assert turned.activation_bytes == 200 * (64 + 8) * 128 * 16


def test_a_user_may_let_the_exchange_run_beside_products():
    layout = {"data": 1, "tensor": 8, "micro_batch": 1}
    plain, switched, able = (
        answers(stack=stack, settings=settings, **layout)["performance.breakdown_tensor"]
        for stack, settings in (
            (PLAIN, {}),
            (PLAIN, {"overlap_tensor": 1.0}),
            (changed(PLAIN, overlap_tensor=True), {}),
        )
    )
    assert switched == able < plain


@pytest.fixture(scope="module")
def rows():
    return of_table("training")


def test_software_that_skips_padding_computes_the_mean_length(rows):
    phases = [question_for(rows[name], names()) for name in ("dle-bert-002", "dle-bert-006")]
    assert [q.scenario.workload.sequence for q in phases] == [128, 288]
    assert any("tokens per sample" in one.what for one in phases[1].assumed)


def test_packed_samples_do_not_attend_to_each_other(rows):
    packed = question_for(rows["nemo2407ft-001"], names())
    job = packed.scenario.workload
    assert job.sequence < 250
    assert job.batch * job.sequence == pytest.approx(32 * 4096, rel=0.01)
    assert packed.scenario.parallelism.micro_batch * job.sequence == pytest.approx(4096, rel=0.01)


def test_what_software_says_of_itself_is_switched(rows):
    found = {
        name: question_for(rows[name], names()).scenario.settings for name in ("tt8b-001", "tt8b-002", "ttasync-010")
    }
    assert found == {"tt8b-001": {"distributed": {"eager": "1"}}, "tt8b-002": {},
                     "ttasync-010": {"distributed": {"overlap_tensor": "1"}}}  # fmt: skip


def test_what_a_row_leaves_open_is_said(rows):
    asked = question_for(rows["nemo2407ft-002"], names())
    assert asked.scenario.parallelism.virtual == 10
    assert any("10 chunks of layers for each pipeline stage" in one.what for one in asked.assumed)
    assert question_for(rows["nemolong-009"], names()).scenario.parallelism.micro_batch == 1
