"""What users of a training stack switch: exchange of tokens, graphs, scales; and what published scripts set."""

from __future__ import annotations

import attrs
import pytest
from measured_rows import of_table
from solver_cases import H100, MIXTRAL
from training_cases import LLAMA_70B, OVERLAPPED, PLAIN, answers

from mlsysim.errors import ConfigError
from mlsysim_solvers.formulas import parallel_constants as constants
from mlsysim_solvers.lowering.casts import casts
from mlsysim_solvers.lowering.operators import Formats, gemm
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names

HOSTED = attrs.evolve(OVERLAPPED, ceilings=attrs.evolve(OVERLAPPED.ceilings, host=0.2))
"""A host that is far slower than the device."""


def of_mixture(stack=OVERLAPPED, job=None, **layout):
    layout = {"data": 64, "expert": 64, "micro_batch": 1, "batch": 512, **layout}
    wide = attrs.evolve(MIXTRAL.transformer, mixture=attrs.evolve(MIXTRAL.transformer.mixture, experts=64, active=8))
    model = attrs.evolve(MIXTRAL, transformer=wide)
    return answers(model, device=H100, stack=stack, precision="bf16", sequence=4096, job=job, **layout)


def expert(**given):
    return of_mixture(**given)["performance.breakdown_expert"]


def test_one_copy_for_each_node_is_less_than_one_for_each_expert():
    # Eight experts of 64 lie on at most eight nodes; several of one node share a copy.
    assert expert(exchange="merged") < expert(exchange="all-to-all")
    # Within a node there is nothing to merge.
    near = {"data": 8, "expert": 8, "batch": 64}
    assert expert(exchange="merged", **near) == expert(exchange="all-to-all", **near)


def test_passes_in_pairs_hide_the_exchange_and_pay_with_processors():
    shown, eager, replayed = (
        expert(overlap_expert=False), expert(overlap_expert=True), expert(overlap_expert=True, job={"graphs": "all"})
    )  # fmt: skip
    assert replayed < eager < shown
    # Kernels with processors of their own wait for no graph.
    planned = attrs.evolve(HOSTED, features=attrs.evolve(HOSTED.features, planned_exchange=True))
    waits, moves = (
        of_mixture(stack, {"graphs": "none"}, overlap_expert=True)["performance.breakdown_expert"]
        for stack in (HOSTED, planned)
    )
    assert moves < waits
    # What hides still takes its share of the processors.
    assert eager >= shown * (1.0 - constants.HIDDEN_EXPERT_EAGER * (1.0 - constants.EXPERT_OCCUPANCY)) * (1 - 1e-9)
    # While a pipeline fills and drains, passes have no partner.
    full, short = (
        expert(overlap_expert=True, pipeline=4, virtual=4, data=16, expert=16, batch=batch)
        / expert(overlap_expert=False, pipeline=4, virtual=4, data=16, expert=16, batch=batch)
        for batch in (1024, 64)
    )
    assert full < short


def test_graphs_take_work_from_the_host_part_by_part():
    times = [
        of_mixture(HOSTED, {"graphs": parts})["performance.step_time"]
        for parts in ("none", "attention", "attention, router", "attention, router, experts")
    ]
    assert times == sorted(times, reverse=True)
    assert len(set(times)) == 4
    assert of_mixture(HOSTED, {"graphs": "all"})["performance.step_time"] == pytest.approx(times[-1])
    # A stack that replays whole steps does so unless told otherwise.
    replaying = attrs.evolve(HOSTED, features=attrs.evolve(HOSTED.features, graphs=True))
    assert of_mixture(replaying)["performance.step_time"] == pytest.approx(times[-1])
    assert of_mixture(replaying, {"graphs": "none"})["performance.step_time"] == pytest.approx(times[0])


def of_dense(scaling="", precision="fp8", **job):
    return answers(LLAMA_70B, device=H100, stack=PLAIN, precision=precision, tensor=8, batch=8, micro_batch=1,
                   job={"scaling": scaling, **job})["performance.breakdown_compute"]  # fmt: skip


def test_scales_of_the_tensor_at_hand_ask_for_another_pass():
    assert of_dense() == of_dense("delayed") < of_dense("tensor") < of_dense("rows")
    # Scales of blocks are found in one pass, and slow the products down.
    assert of_dense("block") > of_dense("delayed")


def test_casts_read_and_start_as_often_as_their_scales_ask_for():
    formats = Formats(1.0, 1.0, 2.0, 1.0, 2.0)
    one = gemm("up", 2.0, 64.0, 32.0, 16.0, formats)
    many = gemm("experts up", 2.0, 8.0, 32.0, 16.0, formats, 8.0, kind="grouped_gemm")._replace(kernels=8.0)
    moved = {way: [(row.activation_bytes, row.kernels) for row in casts([one, many], formats, 2.0, way)]
             for way in ("delayed", "tensor", "rows", "block", "transformed")}  # fmt: skip
    elements = 64.0 * 16.0
    assert moved["delayed"] == [(elements * 4.0, 1.0)] * 2
    assert moved["tensor"] == [(elements * 6.0, 2.0), (elements * 6.0, 16.0)]
    assert moved["rows"] == [(elements * 8.0, 3.0), (elements * 8.0, 24.0)]
    assert moved["block"] == [(elements * 4.0, 2.0), (elements * 4.0, 16.0)]
    assert moved["transformed"] == [(elements * 8.0, 3.0), (elements * 8.0, 24.0)]


@pytest.mark.parametrize(
    ("what", "where"),
    [
        (lambda: of_dense(graphs="atention"), "workload.graphs"),
        (lambda: of_dense(graphs="all, attention"), "workload.graphs"),
        (lambda: of_dense(graphs="router"), "workload.graphs"),
        (lambda: of_dense("tensor", "bf16"), "workload.scaling"),
        (lambda: of_mixture(expert=1, exchange="merged"), "parallelism.exchange"),
        (lambda: of_mixture(expert=1, overlap_expert=True), "parallelism.overlap_expert"),
    ],
)
def test_what_would_change_nothing_is_refused(what, where):
    with pytest.raises(ConfigError) as caught:
        what()
    assert where in str(caught.value)


@pytest.fixture(scope="module")
def rows():
    return of_table("training")


def test_published_runs_are_set_as_their_scripts_set_them(rows):
    paired = question_for(rows["mbridge-091"], names())
    layout, job = paired.scenario.parallelism, paired.scenario.workload
    assert (layout.exchange, layout.overlap_expert, job.graphs) == ("merged", True, "attention, router")
    assert (job.scaling, job.recompute_modules) == ("block", "latent")
    assert any("v0.4.2" in one.what for one in paired.assumed)
    plain = question_for(rows["mbridge-137"], names()).scenario
    assert (plain.parallelism.overlap_expert, plain.workload.graphs) == (None, "")


def test_a_published_format_tells_how_operands_are_scaled(rows):
    keys = ("mbridge-252", "mbridge-253", "ttasync-009", "ttasync-011")
    found = [question_for(rows[key], names()).scenario.workload.scaling for key in keys]
    assert found == ["tensor", "block", "tensor", "rows"]
    # Without a word of it the stack decides; 4 and 16 bits leave no choice.
    for key in ("mbridge-278", "mbridge-079", "mbridge-139"):
        assert question_for(rows[key], names()).scenario.workload.scaling == ""


def test_a_run_without_experts_spread_over_devices_has_no_exchange(rows):
    scenario = question_for(rows["mbridge-252"], names()).scenario
    assert (scenario.parallelism.exchange, scenario.workload.graphs) == ("", "all")
