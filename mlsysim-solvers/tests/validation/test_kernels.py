"""Single kernels behave as their physics says."""

from __future__ import annotations

from statistics import median

import attrs
import pytest
from measured_rows import of_table, published

from mlsysim.records.measurement import METRICS
from mlsysim_solvers.validation.ablation import VARIANTS, ablation_errors
from mlsysim_solvers.validation.kernels import predict_kernel
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import read_table


@pytest.fixture(scope="module")
def rows():
    return of_table("kernels")


def _shaped(row, shape):
    return attrs.evolve(row, configuration={**row.configuration, "shape_or_size": shape})


def test_no_kernel_is_above_its_roof(rows):
    from mlsysim.plugins import plugins

    for row in rows.values():
        outcome = predict(row)
        if outcome.predicted is None or row.devices > 1:
            continue
        device = plugins().registry.get("devices", outcome.device).record
        roof = device.memory.bandwidth / 1e9 if row.kind == "membw" else device.peak_of(outcome.precision).dense / 1e12
        assert outcome.predicted <= roof, row.id


def test_attention_gets_faster_with_length_and_head_width(rows):
    base = rows["k-fa3_fig-0019"]
    short, long = (
        predict_kernel(_shaped(base, f"seqlen {s}, head dim 64, no mask"), names()).value for s in ("512", "16k")
    )
    wide = predict_kernel(_shaped(base, "seqlen 16k, head dim 128, no mask"), names()).value
    causal = predict_kernel(_shaped(base, "seqlen 512, head dim 64, causal"), names()).value
    assert causal < short < long < wide


def test_a_kernel_on_a_card_of_another_maker_is_known_less_well(rows):
    base = rows["k-fa3_fig-0006"]
    known, alike, other = (
        predict(attrs.evolve(base, device=name)) for name in ("H100-SXM5", "RTX 4090", "RX 7900 XTX")
    )
    assert known.log_sd < alike.log_sd < other.log_sd
    assert other.log_sd > 0.2
    assert "other makers" in " ".join(other.assumed)
    assert "other makers" not in " ".join(alike.assumed)


def test_a_product_of_few_rows_is_bound_by_memory(rows):
    base = next(row for row in rows.values() if row.id == "k-mamf-0005")
    few = predict_kernel(_shaped(base, "MxNxK=16x4096x4096"), names())
    assert few.value < 0.2 * predict_kernel(base, names()).value


def test_collectives_are_refused(rows):
    row = next(row for row in rows.values() if row.kind == "allreduce")
    with pytest.raises(Refused):
        predict_kernel(row, names())


def test_dropping_the_time_per_kernel_makes_every_prediction_faster():
    rows = (r for r in published().values() if r.set == "trtllm_v0.5.0" and r.name == "ttft_ms")
    found = ablation_errors(list(rows))
    assert set(found) == set(VARIANTS)
    for name, full in found["everything"].items():
        assert all(b < a for a, b in zip(full, found["no time per kernel"][name], strict=True))


def test_without_their_ramp_collectives_are_faster_and_further_off(rows):
    found = ablation_errors([row for row in rows.values() if row.set == "k-stas_nccl"])
    full, without = found["everything"]["k-stas_nccl"], found["no size ramp of collectives"]["k-stas_nccl"]
    assert len(full) == len(without) > 10
    assert all(b >= a for a, b in zip(full, without, strict=True)), "a rate without ramp is higher"
    assert median(map(abs, without)) > 2.0 * median(map(abs, full))
    assert found["no overlap of communication"]["k-stas_nccl"] == full


def test_without_overlap_training_is_slower_and_further_off():
    found = ablation_errors([row for row in published().values() if row.set == "mlperf-iter"])
    full, without = found["everything"]["mlperf-iter"], found["no overlap of communication"]["mlperf-iter"]
    assert all(b >= a for a, b in zip(full, without, strict=True)), "steps take longer"
    assert median(map(abs, without)) > median(map(abs, full))


def test_a_run_beyond_the_context_is_timed_but_does_not_count_as_fitting():
    from mlsysim.config import SimulationConfig
    from mlsysim.evaluation import evaluate
    from mlsysim_solvers.validation.mapping import question_for

    row = published()["trtllm_v0.5.0-0004"]
    question = question_for(row, names())
    found = evaluate(SimulationConfig.from_scenario(question.scenario))
    assert found["latency"].value > 0.0
    assert not found.fits


def test_collectives_run_on_a_part_of_a_node_and_on_several(rows):
    row = next(r for r in rows.values() if r.kind == "allreduce" and "H100" in r.device and r.devices == 8)
    rates = [predict(attrs.evolve(row, devices=n)).predicted for n in (4, 8, 64)]
    assert rates[2] < rates[1]
    assert rates[0] > 0.0
    assert predict(attrs.evolve(row, device="NVIDIA L40")).predicted < 0.2 * rates[1]


@pytest.mark.parametrize(
    ("kernel", "shape"),
    [("k-deepgemm-0018", "0"), ("k-deepgemm-0018", "64x0x64"), ("k-fa3_fig-0019", "seqlen 0, head dim 64"),
     ("k-fa3_fig-0019", "seqlen 512, head dim 0")],
)  # fmt: skip
def test_a_shape_without_extent_is_refused(rows, kernel, shape):
    assert "not understood" in predict(_shaped(rows[kernel], shape)).reason


@pytest.mark.parametrize("text", ["n=8192", "8192", "M=N=K=8192", "m=8192, n=8192, k=8192", "8192x8192"])
def test_a_square_product_may_be_written_in_many_ways(rows, text):
    row = rows["k-mamf-0002"]
    assert predict(_shaped(row, text)).predicted == predict(_shaped(row, "MxNxK=8192x8192x8192")).predicted > 0


def test_the_time_of_a_collective_follows_from_its_bus_bandwidth(rows, tmp_path):
    row = rows["k-stas_nccl-0030"]
    path = tmp_path / "own.csv"
    header = "id,source_title,source_url,source_ref,kind,accelerator,n_accelerators,shape_or_size,dtype,metric,value,"
    size = row.configuration["shape_or_size"]
    path.write_text(
        f"{header}evidence,notes\n"
        f"own-1,a,b,c,allreduce,{row.device},8,{size},fp32,busbw_GB/s,100,source,\n"
        f"own-2,a,b,c,allreduce,{row.device},8,{size},fp32,latency_us,100,source,\n"
    )
    rate, time = (predict(one).predicted for one in read_table(path))
    volume = float(size.removesuffix("MiB")) * 2**20
    assert time * 1e-6 == pytest.approx(2.0 * 7.0 / 8.0 * volume / (rate * 1e9), rel=1e-6)


def test_the_time_of_a_product_follows_from_its_rate(rows):
    time = predict(attrs.evolve(_shaped(rows["k-mamf-0002"], "8192"), name="latency_us", metric=METRICS["latency_us"]))
    same = predict(_shaped(rows["k-mamf-0002"], "8192"))
    work = 2.0 * 8192.0**3
    assert time.predicted * 1e-6 == pytest.approx(work / (same.predicted * 1e12))
    assert time.high * 1e-6 == pytest.approx(work / (same.low * 1e12))
