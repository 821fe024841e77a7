"""Rows of models that hear: windows of audio, the encoder alone, a token of the decoder."""

from __future__ import annotations

import pytest
from measured_rows import own_row

from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.questions import Refused

ROW = {
    "id": "own-1", "model": "Whisper small", "accelerator": "NVIDIA H100 80GB HBM3", "n_accelerators": "1",
    "framework": "PyTorch 2.1", "weight_precision": "fp16", "scenario": "latency", "batch_or_concurrency": "1",
    "metric": "latency_ms", "value": "100",
}  # fmt: skip


@pytest.fixture
def asked(tmp_path):
    return lambda **cells: question_for(own_row(tmp_path, {**ROW, **cells}), names())


def test_a_window_and_its_answer(asked):
    found = asked(notes="one window of 30 s", output_len="100")
    assert (found.scenario.workload.audio, found.scenario.workload.output) == (30.0, 100)
    assert found.output == "performance.latency"


def test_minutes_of_audio(asked):
    assert asked(notes="13 minutes of audio", output_len="2000").scenario.workload.audio == 780.0


def test_the_encoder_alone_is_asked_for_up_to_the_first_token(asked):
    found = asked(notes="encoder, one window of 30 s")
    assert (found.output, found.scenario.workload.output) == ("performance.ttft", 1)


def test_a_token_of_the_decoder_follows_one_window(asked):
    found = asked(metric="tpot_ms", value="2", notes="decoder, one token")
    assert (found.output, found.scenario.workload.audio) == ("performance.tpot", 30.0)


@pytest.mark.parametrize(
    ("cells", "why"),
    [({"notes": "150 minutes of audio"}, "output is not published"), ({"output_len": "100"}, "length of the audio"),
     ({"scenario": "server", "notes": "30 s"}, "come and go")],
)  # fmt: skip
def test_what_is_not_published_is_not_assumed(asked, cells, why):
    with pytest.raises(Refused, match=why):
        asked(**cells)


def test_text_has_no_audio(asked):
    found = asked(model="T5-3B", input_len="512", output_len="64")
    assert (found.scenario.workload.audio, found.scenario.workload.input) == (0.0, 512)


def test_software_on_the_same_kernels(asked):
    assert asked(framework="whisper.cpp (CUDA)", metric="tpot_ms", value="2").scenario.system.stack == "llama.cpp-b3000"
