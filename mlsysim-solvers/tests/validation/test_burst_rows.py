"""Rows that say in words how many requests a run has, that all come at once, and how their lengths scatter."""

from __future__ import annotations

import attrs
import pytest
from measured_rows import published

from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.mapping.bursts import at_once, counted, scatter_of
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict


def row(**cells):
    rows = published().values()
    base = next(r for r in rows if r.kind == "max_throughput" and r.software.startswith("TensorRT-LLM v0.17"))
    given = {"notes": "", "qps_or_sla": "", "batch_or_concurrency": "500", "input_len": "217", "output_len": "202"}
    return attrs.evolve(base, software="vLLM 0.11.0", configuration=base.configuration | given | cells)


@pytest.mark.parametrize(("cells", "requests"), [
    ({"notes": "ShareGPT, 1000 requests at once"}, 1000), ({"notes": "rate=inf; 500 prompts"}, 500),
    ({"qps_or_sla": "infinite request rate"}, 500), ({"notes": "2,000 prompts all at once"}, 2000),
    ({"notes": "100 requests of natural lengths at once"}, 100),
    ({"notes": "benchmark_throughput.py, 64 prompts"}, 64), ({"notes": "vllm bench throughput"}, 500),
    ({"notes": "500 requests"}, 0), ({"notes": "largest of several rates"}, 0),
])  # fmt: skip
def test_a_burst_is_read_from_words(cells, requests):
    assert at_once(row(**cells)) == requests


def test_a_burst_is_asked_of_a_server_and_ends():
    job = question_for(row(notes="ShareGPT, 1000 requests at once"), names()).scenario.workload
    assert (job.concurrency, job.requests, job.max_batch) == (1000, 1000, 0)
    assert job.output_variation > 0.7
    assert question_for(row(notes="largest"), names()).scenario.workload.concurrency == 0


@pytest.mark.parametrize(
    ("said", "most"),
    [("max-num-seqs 32", 32), ("--max-num-seqs=64", 64), ("max_num_seqs 512", 512), ("--max-running-requests 16", 16),
     ("random prompts", 0)],
)  # fmt: skip
def test_a_burst_keeps_no_more_in_flight_than_the_server_was_told(said, most):
    job = question_for(row(notes=f"ShareGPT, 1000 requests at once, {said}"), names()).scenario.workload
    assert (job.concurrency, job.requests, job.max_batch) == (1000, 1000, most)


def test_lengths_scatter_as_those_of_the_data_set_that_is_named_or_as_means_do():
    assumed = []
    assert scatter_of(row(notes="ShareGPT, 100 requests"), assumed).output == 1.0
    assert "ShareGPT" in assumed[0].what
    assert 0.0 < scatter_of(row(notes="output length = generated tokens / 50"), []).output < 1.0
    assert 0.0 < scatter_of(row(notes="100 requests of natural lengths at once"), []).output < 1.0
    assert scatter_of(row(notes="random lengths as printed"), []) is None


def test_requests_of_a_run_are_counted_where_a_row_prints_them():
    assert counted(row(notes="at most 4 of 100 requests at a time")) == 100
    assert counted(row(notes="samples/s=104.369; output tokens only")) == 0


def test_a_burst_of_a_chat_is_slower_than_one_of_equal_lengths():
    chat, alike = (predict(row(notes=f"{what}, 500 requests at once")).predicted for what in ("ShareGPT", "random"))
    assert chat < alike


def loop(software="vLLM 0.11.0", **cells):
    """Return a row of 32 clients, each of which asks again when it is answered."""
    given = {"batch_or_concurrency": "32", "input_len": "1024", "output_len": "1024"}
    found = row(**(given | cells))
    return attrs.evolve(found, software=software, kind="server", name="ttft_ms")


def test_clients_send_what_the_benchmark_of_their_server_sends():
    job = question_for(loop(), names()).scenario.workload
    assert (job.concurrency, job.requests, job.output_variation) == (32, 320, 0.0)
    # SGLang's draws lengths; of other servers no client was read.
    other = question_for(loop("SGLang 0.5"), names()).scenario.workload
    assert (other.requests, other.output_variation > 0.0) == (320, True)
    other = question_for(loop("NIM 1.8 (TensorRT-LLM)"), names()).scenario.workload
    assert (other.requests, other.output_variation > 0.0) == (0, True)


@pytest.mark.parametrize(("clients", "copies"), [(1, 1), (2, 2), (5, 4), (64, 8)])
def test_no_copy_of_a_model_is_without_a_client(clients, copies):
    found = attrs.evolve(loop(batch_or_concurrency=str(clients), tp=""), devices=8)
    layout = question_for(found, names()).scenario.parallelism
    assert (layout.data, layout.data * layout.tensor) == (copies, 8)


def test_what_a_row_says_of_its_requests_goes_before_what_benchmarks_send():
    assert question_for(loop(notes="100 requests"), names()).scenario.workload.requests == 100
    assert question_for(loop(notes="ShareGPT, 100 requests"), names()).scenario.workload.output_variation == 1.0


def test_medians_are_asked_as_medians():
    # Those who begin all at once are few of all: the median is that of the others.
    assert question_for(loop(notes="median"), names()).scenario.workload.requests == 0
    arriving = {"batch_or_concurrency": "", "qps_or_sla": "4 req/s"}
    assert question_for(loop(notes="mean", **arriving), names()).output == "performance.ttft"
    assert question_for(loop(notes="p50", **arriving), names()).output == "performance.ttft_p50"
    token = attrs.evolve(loop(notes="median", **arriving), name="tpot_ms")
    assert question_for(token, names()).output == "performance.tpot"


def test_answers_of_one_length_keep_clients_together():
    # Who ended together comes back together, and waits for the prompts of the others.
    together, apart = (predict(loop(notes=said)).predicted for said in ("100 requests", "100 requests, ShareGPT"))
    assert together > 1.3 * apart
