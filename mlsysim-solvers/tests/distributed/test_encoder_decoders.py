"""Training of encoder-decoders: two stacks of layers that read different lengths, and cross-attention between them."""

from __future__ import annotations

import pytest
from solver_cases import H100, LLAMA_70B, PAIR, STACK, request_of
from training_cases import OVERLAPPED, answers, columns

from mlsysim.errors import ConfigError
from mlsysim.plugins import plugins
from mlsysim.records.scenario import Inference, Training
from mlsysim.shapes import matmul_parameters, parameters
from mlsysim_solvers import SingleNodeSolver

READ, WRITTEN = 512, 128
CASE = {"device": H100, "stack": OVERLAPPED, "precision": "bf16", "sequence": WRITTEN}
SOLVER = SingleNodeSolver()


def found(batch=4, read=READ, **fields):
    return answers(PAIR, batch=batch, **{**CASE, **fields}, job={"input": read})


def alone(model=PAIR, **fields):
    job = Training(**{"model": "m", "precision": "bf16", "batch": 4, "sequence": WRITTEN, "input": READ, **fields})
    return SOLVER.compute(SOLVER.prepare(request_of(model, H100, job, OVERLAPPED)))


def forward_work():
    e, d = PAIR.pair.encoder, PAIR.pair.decoder
    inner = d.heads * d.head_dim
    of_encoder, of_decoder = matmul_parameters(e), matmul_parameters(d)
    cross = 2 * d.hidden * inner * WRITTEN + 2 * e.hidden * inner * READ
    pairs = e.layers * READ**2 + d.layers * (WRITTEN**2 / 2 + WRITTEN * READ)
    products = READ * (of_encoder.attention + of_encoder.mlp) + d.layers * cross
    products += WRITTEN * (of_decoder.attention + of_decoder.mlp + of_decoder.head)
    return 2 * products + 2 * pairs * 2 * inner


def test_a_step_does_three_times_the_work_of_the_forward_pass():
    for one in (found(), alone()):
        assert one["performance.flops"] == pytest.approx(12 * forward_work(), rel=1e-9)


def test_one_device_answers_alike_by_either_solver():
    for kind in ("none", "full"):
        many, one = found(recompute=kind), alone(recompute=kind)
        for name in ("feasibility.memory_required", "performance.step_time"):
            assert many[name] == pytest.approx(one[name], rel=5e-3)


def test_every_parameter_of_both_stacks_has_its_state():
    assert found()["feasibility.weights_memory"] == pytest.approx(2 * parameters(PAIR).total, rel=1e-12)


def kept_by_both():
    """Bytes of what the kernels of a sample save: two for each element, four for a statistic of attention."""
    e, d, inner = PAIR.pair.encoder, PAIR.pair.decoder, 32 * 128
    of_encoder = READ * (4 * e.hidden + 4 * inner + 2 * e.ffn)
    of_decoder = WRITTEN * (4 * d.hidden + 4 * inner + 2 * d.ffn)
    cross = WRITTEN * (2 * d.hidden + 2 * inner) + READ * 2 * inner
    elements = e.layers * of_encoder + d.layers * (of_decoder + cross)
    return 2 * elements + 4 * 32 * (e.layers * READ + 2 * d.layers * WRITTEN)


def activations_of_a_sample(**fields):
    one, two = (found(batch=n, micro_batch=n, **fields)["feasibility.activations_memory"] for n in (1, 2))
    return two - one


def test_what_both_stacks_keep_for_their_gradients():
    assert activations_of_a_sample() == pytest.approx(kept_by_both(), rel=1e-12)


def test_recomputed_layers_keep_what_they_read():
    """And all that one layer keeps, of the 48 of both stacks on average."""
    inputs = 2 * 24 * 1024 * (READ + WRITTEN)
    assert activations_of_a_sample(recompute="full") == pytest.approx(inputs + kept_by_both() / 48, rel=1e-12)


def test_devices_divide_both_stacks():
    one, two = found(), found(tensor=2)
    assert 2 * two["feasibility.weights_memory"] == pytest.approx(one["feasibility.weights_memory"], rel=1e-12)
    assert one["performance.step_time"] / 2 < two["performance.step_time"] < one["performance.step_time"]
    assert two["performance.breakdown_tensor"] > 0.0
    assert found(64, data=4)["performance.step_time"] < found(64)["performance.step_time"] / 2
    assert found(data=4, zero=3)["feasibility.weights_memory"] < one["feasibility.weights_memory"] / 3


def test_what_the_encoder_reads_costs_work_and_memory():
    few, many = found(read=128), found(read=512)
    assert many["performance.step_time"] > few["performance.step_time"]
    assert many["feasibility.activations_memory"] > 2 * few["feasibility.activations_memory"]
    assert many["feasibility.logits_memory"] == few["feasibility.logits_memory"]


def test_speech_is_read_by_the_window():
    whisper = plugins().registry.get("models", "whisper-small").record
    short, long = (alone(whisper, sequence=n, input=0) for n in (100, 200))
    encoder = parameters(whisper).total / 2 * 6 * 1500 * 4
    assert encoder < short["performance.flops"] < long["performance.flops"] < 1.3 * short["performance.flops"]


@pytest.mark.parametrize(
    ("layout", "why"), [({"pipeline": 2}, "stages of an encoder"), ({"context": 2}, "not divided over devices")]
)
def test_layouts_that_nobody_describes_are_refused(layout, why):
    with pytest.raises(ConfigError, match=why):
        columns(PAIR, batch=4, job={"input": READ}, **CASE, **layout)


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"input": 0}, "how many tokens .* reads"), ({"sequence": 0}, "how many tokens .* writes")],
)
def test_samples_say_what_is_read_and_written(fields, why):
    with pytest.raises(ConfigError, match=why):
        alone(**fields)


def test_adapters_are_refused():
    with pytest.raises(ConfigError, match="adapters are not answered"):
        columns(PAIR, batch=4, adapter=8, job={"input": READ}, **CASE)


def test_a_decoder_alone_reads_nothing_beside():
    with pytest.raises(ConfigError, match="has no encoder that reads 512 tokens"):
        alone(LLAMA_70B)


def test_one_pass_of_both_is_serving():
    with pytest.raises(ConfigError, match="answered for serving and training"):
        SOLVER.prepare(request_of(PAIR, H100, Inference(model="m", precision="bf16", batch=1), STACK))
