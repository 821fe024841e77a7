"""Passes that the host launches, and what of a model stays wide where the rest is in few bits."""

from __future__ import annotations

import pytest

from mlsysim.config import SimulationConfig
from mlsysim.evaluation import build_request
from mlsysim.plugins import plugins
from mlsysim.records.scenario import Serving
from mlsysim_solvers.execution.device.answers import machine_of
from mlsysim_solvers.execution.device.cases import abilities_of, formats_of, weights_of
from mlsysim_solvers.execution.device.narrow import SCALE_SLOTS, unpacked_columns
from mlsysim_solvers.execution.serving.passes import decoding_pass, engine_of, reading_pass
from mlsysim_solvers.formulas.constants import BLOCKED_CASTS, BUSY_SHARE, GROUPED_SHARE, LONE_CASTS, WARP_SHARE
from mlsysim_solvers.in_flight import InFlightSolver
from mlsysim_solvers.lowering.attention import outer_parameters
from mlsysim_solvers.lowering.served import assembled
from mlsysim_solvers.lowering.transformer import PrefillChunk, mixed

SERVING = Serving(model="gpt-oss-120b", precision="fp8", batch=1, input=1024, output=1024, weights="mxfp4")


def columns(model, precision, weights="", settings=(), device="b200-sxm"):
    given = {"model": model, "device": device, "precision": precision, "concurrency": "64", "input": "1024",
             "output": "1024", "stack": "vllm-0.11", "devices": "8", "parallelism.tensor": "8"}  # fmt: skip
    config = SimulationConfig.load(
        "deepseek-v3-b200-attention-dp",
        given
        | {"parallelism.attention": "1", "parallelism.expert": "1"}
        | ({"weights": weights} if weights else {})
        | dict(settings),
    )
    return InFlightSolver().prepare(build_request(config, plugins().solver("in-flight"), {}))


def test_a_pass_over_few_tokens_waits_for_its_host():
    c = columns("llama-3.1-70b", "fp8") | {"long_output": 1024.0, "replayed": 0.0, "step_request": 0.0}
    slow, fast = (engine_of(c | {"launch": launch}) for launch in (60e-6, 0.0))
    # Eleven kernels of each of 80 layers, one of them for whoever decodes beside and one that narrows what attention
    # writes, two sums over devices, and four for the ends of the model, of which one samples.
    assert reading_pass(slow, 0.0, 64.0, 1.0).time == pytest.approx(60e-6 * (13 * 80 + 4))
    assert reading_pass(fast, 0.0, 64.0, 1.0).time < 0.5 * reading_pass(slow, 0.0, 64.0, 1.0).time
    # Many tokens keep the device busy for longer than its host.
    assert reading_pass(slow, 0.0, 65536.0, 1.0).time == reading_pass(fast, 0.0, 65536.0, 1.0).time


def test_the_host_launches_what_runs_beside_and_what_unfolds():
    c = columns("deepseek-v3", "nvfp4") | {"long_output": 1024.0, "replayed": 0.0, "launch": 1e-3}
    plain = c | {"shape": c["shape"]._replace(shared_ffn=0.0)}
    whole, less = (reading_pass(engine_of(each), 0.0, 64.0, 1.0).time for each in (c, plain))
    # Two products, an activation function and a sum of the shared expert in each of 58 layers.
    assert whole - less == pytest.approx(1e-3 * 4 * 58)
    names = {row.name: row for row in mixed(
        c["shape"], formats_of(c), abilities_of(c), 0.0, 1024.0, 1024.0, PrefillChunk(1024.0, 1.0, 1.0, 1024.0)
    )}  # fmt: skip
    unfolded = names["unfolded keys and values"]
    assert unfolded.count == 61
    assert unfolded.activation_bytes == 2 * 2 * 1024 * (128 * (192 + 128) + 512 + 64)
    dense = columns("llama-3.1-70b", "fp8")
    assert assembled(dense["shape"], formats_of(dense), abilities_of(dense), 1024.0) == []


def test_weights_that_units_do_not_read_are_unpacked_by_instructions_of_one_warp():
    wide, narrow, native, near = (
        columns("gpt-oss-120b", precision, weights, device=device)
        for precision, weights, device in (
            ("bf16", "", "h100-sxm"), ("bf16", "mxfp4", "h100-sxm"), ("fp8", "mxfp4", "b200-sxm"),
            ("bf16", "mxfp4", "b200-sxm"),
        )
    )  # fmt: skip
    assert narrow["achieved"] == pytest.approx(BUSY_SHARE * WARP_SHARE["Hopper"])
    assert narrow["achieved"] < wide["achieved"] == narrow["attention_achieved"]
    # What is not stored in 4 bits, around attention, runs as before.
    assert narrow["narrow_products"]
    assert not wide["narrow_products"]
    # Units that multiply other 4-bit formats read these operands, too.
    assert not near["narrow_products"]
    assert unpacked_columns(plugins().registry.get("devices", "b200-sxm").record, "fp8", SERVING, native) == {}


def test_dense_models_that_are_published_in_blocks_have_their_scales():
    plain, blocks = columns("llama-3.1-70b", "fp8"), columns("qwen3-32b", "fp8")
    assert "scale_block" not in plain
    # Attention writes 16 bits, which the next product does not read; norms and activation functions write 8.
    assert plain["block_casts"] == LONE_CASTS
    assert blocks["scale_block"] == 128.0
    assert blocks["block_casts"] == BLOCKED_CASTS
    assert columns("qwen3-32b", "bf16")["block_casts"] == 0.0
    assert "scale_block" not in columns("qwen3-32b", "bf16")


def test_scales_cost_more_where_results_lie_apart_from_vector_units():
    near, apart = (columns("deepseek-v3", "fp8", device=device) for device in ("h100-sxm", "b200-sxm"))
    assert near["scale_slots"] == 1.0
    assert apart["scale_slots"] == SCALE_SLOTS
    assert "scale_slots" not in columns("deepseek-v3", "nvfp4")
    # Products of 8 bits in blocks are about as fast as those of 16 bits.
    rate = machine_of(apart).matrix_rate / machine_of(columns("deepseek-v3", "bf16", device="b200-sxm")).matrix_rate
    assert 0.58 < rate < 1.2


def test_a_short_pass_over_prompts_replays_a_graph():
    c = columns("llama-3.1-70b", "fp8") | {"long_output": 1024.0}
    assert c["replayed"] == 512.0
    engine, launched = engine_of(c), engine_of(c | {"replayed": 0.0})
    # Who decodes counts, too.
    quick, slow = (reading_pass(one, 64.0, 448.0, 1.0) for one in (engine, launched))
    # What devices say to each other is the same; of what the host starts, less than half is left.
    assert quick.talk == slow.talk
    assert quick.totals.time < 0.4 * slow.totals.time
    assert reading_pass(engine, 64.0, 449.0, 1.0).time == reading_pass(launched, 64.0, 449.0, 1.0).time
    longer = columns("llama-3.1-70b", "fp8", settings={"settings.in-flight.replayed": "2048"})
    assert longer["replayed"] == 2048.0


def test_a_mixture_in_four_bits_has_experts_in_them_alone():
    narrow, dense, eight, wide = (
        columns("deepseek-v3", "nvfp4"), columns("llama-3.1-70b", "nvfp4"), columns("deepseek-v3", "fp8"),
        columns("llama-3.1-70b", "bf16"),
    )  # fmt: skip
    assert narrow["outer_width"] == narrow["head_width"] == 2.0
    assert "outer_width" not in dense
    assert dense["head_width"] == 2.0
    assert "outer_width" not in eight
    assert eight["head_width"] == 2.0
    assert "head_width" not in wide
    # One operand for the experts of four bits; one for each product of a dense layer, and compressed queries.
    assert (narrow["block_casts"], dense["block_casts"]) == (LONE_CASTS, BLOCKED_CASTS)
    assert eight["block_casts"] == BLOCKED_CASTS + 1.0


def test_what_stays_wide_takes_its_bytes_in_memory():
    c = columns("deepseek-v3", "nvfp4") | {"long_output": 1024.0}
    shape, narrow = c["shape"], {name: value for name, value in c.items() if name != "outer_width"}
    wider = c["outer_width"] - c["weight_width"]
    # DeepSeek-V3 has 11.4 thousand million weights around attention, and routers of 58 layers.
    around = 61 * (7168 * 1536 + 1536 * 128 * 192 + 7168 * 576 + 512 * 128 * 256 + 128 * 128 * 7168)
    assert outer_parameters(shape) == pytest.approx(around + 58 * 256 * 7168)
    assert weights_of(c, shape) - weights_of(narrow, shape) == pytest.approx(wider * outer_parameters(shape))
    dense = columns("llama-3.1-70b", "fp8")["shape"]
    assert outer_parameters(dense) == 80 * 8192 * 128 * (64 + 2 * 8 + 64)


def test_products_of_many_experts_are_slower_than_single_ones():
    c = columns("deepseek-v3", "fp8") | {"long_output": 1024.0}
    assert c["grouped_share"] == GROUPED_SHARE
    assert c["scale_block"] == 128.0
    times = [reading_pass(engine_of(c | {"grouped_share": share}), 0.0, 8192.0, 1.0).time for share in (1.0, 0.4, 0.2)]
    assert times == sorted(times)
    assert times[0] < times[1]
    # A few tokens wait for the weights of their experts, however fast these multiply.
    few = [decoding_pass(engine_of(c | {"grouped_share": share}), 4.0, 1.0).time for share in (1.0, 0.4)]
    assert few[1] == pytest.approx(few[0], rel=0.01)
    plain = {name: value for name, value in c.items() if name != "scale_block"}
    assert machine_of(plain).matrix_rate > machine_of(c).matrix_rate
    assert machine_of(plain).attention_rate == machine_of(c).attention_rate
    assert "scale_block" not in columns("deepseek-v3", "nvfp4")
    assert "grouped_share" not in columns("llama-3.1-70b", "fp8")
