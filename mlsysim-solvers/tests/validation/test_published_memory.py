"""What ran is predicted to fit, what cannot fit is not, and published scaling is kept."""

from __future__ import annotations

import attrs
import pytest
from measured_rows import of_table

import mlsysim
from mlsysim.config import SimulationConfig
from mlsysim.errors import MlsysimError
from mlsysim.evaluation import ask
from mlsysim.plugins import plugins
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.mapping.saving import fits
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import packaged_tables, read_table


@pytest.fixture(scope="module")
def rows():
    assert plugins().sources, "install mlsysim-registry: this test stands on its measurements"
    return of_table("training")


@pytest.fixture(scope="module")
def questions(rows):
    found = {}
    for row in rows.values():
        try:
            found[row.id] = question_for(row, names())
        except (Refused, MlsysimError):
            continue
    return found


def outputs(scenario):
    for question, _, result in ask(SimulationConfig.from_scenario(scenario)):
        if question == "performance":
            return {} if isinstance(result, str) else result.outputs
    return {}


def test_every_published_run_fits(questions):
    shares = {}
    for name, question in questions.items():
        found = outputs(question.scenario)
        if "feasibility.memory_required" in found:
            shares[name] = found["feasibility.memory_required"] / found["feasibility.memory_usable"]
    assert len(shares) > 400
    assert not {name: share for name, share in shares.items() if share > 1.0}


def test_nothing_is_assumed_of_a_run_that_fits_as_published(questions):
    saved = {name for name, q in questions.items() if any("would not fit" in one.what for one in q.assumed)}
    assert 0 < len(saved) < 0.1 * len(questions)
    for name in saved:
        scenario = questions[name].scenario
        plain = attrs.evolve(
            scenario.workload, recompute="none", recompute_layers=0, recompute_modules="", offload=False,
            offload_layers=0, master="fp32", weights="",
        )  # fmt: skip
        divided = any("divided, which the row does not state" in one.what for one in questions[name].assumed)
        layout = attrs.evolve(scenario.parallelism, zero=0 if divided else scenario.parallelism.zero)
        assert not fits(attrs.evolve(scenario, workload=plain, parallelism=layout)), name


def test_the_least_recomputation_is_the_least(questions):
    partial = [
        q.scenario for q in questions.values()
        if any(one.what.startswith("recomputation of") and "layers" in one.what for one in q.assumed)
    ]  # fmt: skip
    assert partial
    for scenario in partial:
        job = scenario.workload
        fewer = attrs.evolve(job, recompute_layers=job.recompute_layers - 1)
        if not fewer.recompute_layers:  # 0 stands for all
            fewer = attrs.evolve(fewer, recompute="none")
        assert not fits(attrs.evolve(scenario, workload=fewer))


def test_runs_of_adapters_would_not_fit_if_they_trained_the_model(questions):
    for name in ("mbridge-071", "mbridge-072", "mbridge-073"):
        scenario = questions[name].scenario
        assert scenario.workload.adapter
        whole = attrs.evolve(scenario.workload, adapter=0, recompute="full", recompute_modules="")
        assert not fits(attrs.evolve(scenario, workload=whole))
    assert not questions["mbridge-068"].scenario.workload.adapter


def test_a_policy_that_saves_products_without_batches_does_attention_again(rows):
    found = predict(rows["mtv5p-001"])
    whole = attrs.evolve(rows["mtv5p-001"], configuration={**rows["mtv5p-001"].configuration, "recompute": "none"})
    full = attrs.evolve(whole, configuration={**whole.configuration, "recompute": "full"})
    # Work of the model per time: the less is done again, the more.
    assert predict(whole).predicted > found.predicted > 1.1 * predict(full).predicted


@pytest.mark.parametrize(
    ("name", "change"),
    [
        # Published runs, with more than their devices hold: the same model on fewer devices, or with states in 32 bits.
        ("tpurec-010", {"master": "fp32"}),
        ("mlperf-iter-003", {"recompute": "none", "recompute_modules": ""}),
        ("mbridge-077", {"recompute": "none", "recompute_modules": "", "offload": False, "offload_layers": 0}),
        ("tpurec-008", {"recompute": "none", "offload": False, "offload_layers": 0}),
    ],
)
def test_what_published_runs_had_to_save_is_needed(questions, name, change):
    scenario = questions[name].scenario
    assert fits(scenario)
    assert not fits(attrs.evolve(scenario, workload=attrs.evolve(scenario.workload, **change)))


def test_one_layout_scales_as_published(rows):
    # Llama 3.1 405B on 512 to 8192 H100: each ratio to the smallest run within 8 %.
    found = {name: predict(rows[name]) for name in ("mlperf-iter-029", "mlperf-iter-030", "mlperf-iter-031",
                                                    "mlperf-iter-032", "mlperf-iter-033")}  # fmt: skip
    base = found["mlperf-iter-033"]
    for outcome in found.values():
        ratio = (outcome.predicted / base.predicted) / (outcome.row.value / base.row.value)
        assert ratio == pytest.approx(1.0, abs=0.08)


def test_logged_peaks_of_memory_are_met(rows):
    for name in ("tt8bm", "mlperf-mem"):
        errors = sorted(
            abs(predict(row).error) for row in rows.values() if row.id.startswith(name) and predict(row).error
        )
        assert errors
        assert errors[len(errors) // 2] <= 0.06


def test_residual_networks_keep_no_inputs_of_additions():
    """ResNet-50 was trained in mixed precision on 24 GB with 448 images at once.

    lambdal/deeplearning-benchmark, pytorch/pytorch-train-bs-fp16.csv, row RTX 3090.
    """

    def needed(images: int) -> float:
        asked = {
            "name": "a card", "kind": "training", "system": {"device": "rtx-3090", "stack": "pytorch-2"},
            "workload": {"model": "resnet-50", "batch": images, "precision": "fp16"},
        }  # fmt: skip
        return mlsysim.evaluate(asked)["memory_required"].value

    assert needed(448) < 24.0e9 < needed(600)


CARDS = {
    "all weights, 4090": (18.9, "rtx-4090", "full", {"optimizer": "adam8bit", "offload_optimizer": 1.0, "optimizer_in_backward": True}),
    "all weights, A6000": (37.4, "rtx-a6000", "none", {"optimizer": "adam8bit", "offload_optimizer": 1.0, "optimizer_in_backward": True}),
    "LoRA, 4090": (16.2, "rtx-4090", "full", {"adapter": 8, "adapter_modules": "all"}),
    "LoRA, A6000": (30.3, "rtx-a6000", "none", {"adapter": 8, "adapter_modules": "all"}),
    "QLoRA, 4090": (7.4, "rtx-4090", "full", {"adapter": 8, "adapter_modules": "all", "weights": "nf4"}),
}  # fmt: skip
"""Peaks that PyTorch allocated for Llama 3.1 8B, two sequences of 2048 tokens (pytorch/torchtune, README.md at 0031bfa, Memory
and training speed, GiB), and what its configurations set; whether layers were recomputed follows from the figures."""


def tuned(model, device, recompute, batch=2, sequence=2048, **job):
    return {
        "name": "a card", "kind": "training", "system": {"device": device, "stack": "torchtune"},
        "workload": {"model": model, "batch": batch, "sequence": sequence, "precision": "bf16", "recompute": recompute, **job},
    }  # fmt: skip


@pytest.mark.parametrize("name", CARDS)
def test_peaks_of_fine_tuning_on_one_card_are_met_within_a_tenth(name):
    peak, device, recompute, job = CARDS[name]
    found = mlsysim.evaluate(tuned("llama-3.1-8b", device, recompute, **job))
    assert found["fits"].value
    # What PyTorch allocates is all but the driver's context, which is most of the reserve.
    allocated = found["memory_required"].value - plugins().registry.get("stacks", "torchtune").record.ceilings.reserve
    assert allocated / 2.0**30 == pytest.approx(peak, rel=0.1)


def test_what_does_not_fit_a_desktop_card_is_said_so():
    for recompute, job in (("full", {}), ("full", {"optimizer": "adam8bit"}), ("none", {"adapter": 8})):
        assert not mlsysim.evaluate(tuned("llama-3.1-8b", "rtx-4090", recompute, **job))["fits"].value, job
    # Dettmers et al. 2023, arXiv:2305.14314, abstract: 65B parameters on a single 48 GB card.
    short = {"batch": 1, "sequence": 512, "adapter": 64, "adapter_modules": "all"}
    assert mlsysim.evaluate(tuned("llama-65b", "rtx-a6000", "full", weights="nf4", **short))["fits"].value
    assert not mlsysim.evaluate(tuned("llama-65b", "rtx-a6000", "full", weights="int8", **short))["fits"].value


def test_scripts_that_recompute_whole_layers_are_followed_on_one_device_and_for_adapters():
    table = packaged_tables()["training"].parent / "outside" / "training.csv"
    found = [(row, question_for(row, names())) for row in read_table(table) if row.set == "qwenft"]
    assert {row.devices for row, _ in found} == {1, 2}
    for row, question in found:
        assert question.scenario.workload.recompute == "full", row.id
        assert any("--gradient_checkpointing" in one.what for one in question.assumed), row.id
    stated = attrs.evolve(found[0][0], configuration={**found[0][0].configuration, "recompute": "none"})
    assert question_for(stated, names()).scenario.workload.recompute == "none"


def outside(set_):
    table = packaged_tables()["training"].parent / "outside" / "training.csv"
    return [row for row in read_table(table) if row.set == set_]


def test_scripts_say_how_experts_are_spread_and_where_adapters_lie():
    found = {row.id: question_for(row, names()).scenario for row in outside("automodel") if "Nemotron" not in row.model}
    spread = {one.workload.model: one.parallelism.expert for one in found.values()}
    assert (spread["gpt-oss-120b"], spread["gpt-oss-20b"], spread["qwen3-30b-a3b"]) == (64, 8, 8)
    placed = {bool(one.workload.adapter): one.workload.adapter_modules for one in found.values()}
    assert placed == {True: "all", False: ""}
    for one in found.values():
        assert fits(one), one.name


def test_a_script_that_loads_a_model_in_16_bits_keeps_one_copy():
    rows = {row.id: row for row in outside("fmsacc")}
    for row in rows.values():
        asked = question_for(row, names())
        assert asked.scenario.workload.master == "", row.id
        assert any("torch_dtype" in one.what for one in asked.assumed), row.id
    # Eight bytes for each parameter; with a copy in 32 bits it would be sixteen, and more than the card has.
    whole = next(row for row in rows.values() if row.name == "memory_gb" and row.devices == 1)
    assert predict(whole).predicted == pytest.approx(whole.value, rel=0.15)


def test_weights_of_qlora_rows_are_stored_in_four_bits():
    stored = {row.id: question_for(row, names()).scenario.workload.weights for row in outside("torchtune")}
    assert set(stored.values()) == {"", "nf4"}
    assert sum(name == "nf4" for name in stored.values()) == 1
