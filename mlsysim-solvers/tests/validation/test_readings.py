"""What rows of data published elsewhere say in their own words: each is asked one way, or refused."""

from __future__ import annotations

import math

import pytest
from measured_rows import own_row

from mlsysim.plugins import plugins
from mlsysim_solvers.formulas.constants import INTERVAL_QUANTILE
from mlsysim_solvers.validation.collectives import predict_collective
from mlsysim_solvers.validation.kernels import kernel_of
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.mapping.networks import node_rate
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.spellings import counted, device_spellings

TRAINED = {
    "id": "own-1", "model": "Llama 3.1 8B", "seq_len": "4096", "global_batch": "256", "micro_batch": "1",
    "accelerator": "A100 80GB SXM", "n_accelerators": "64", "precision": "bf16", "framework": "Megatron-LM",
    "metric": "iteration_time_s", "value": "10",
}  # fmt: skip
SERVED = {
    "id": "own-2", "model": "Llama 3.1 8B", "accelerator": "NVIDIA H100 80GB HBM3", "n_accelerators": "1",
    "weight_precision": "bf16", "framework": "vLLM 0.9", "scenario": "static_batch", "batch_or_concurrency": "1",
    "input_len": "512", "output_len": "128", "metric": "tokens_per_s_total", "value": "100",
}  # fmt: skip
JOINED = {
    "id": "own-3", "kind": "allreduce", "accelerator": "H100 SXM", "n_accelerators": "2", "shape_or_size": "64M",
    "dtype": "", "metric": "busbw_GB/s", "value": "40", "notes": "",
}  # fmt: skip


@pytest.fixture
def row_of(tmp_path):
    """Return a function that reads a row of a table of its own."""
    return lambda base, **changes: own_row(tmp_path, base | changes)


def asked(row):
    return question_for(row, names())


def assumed(row):
    return " / ".join(one.what for one in asked(row).assumed)


@pytest.mark.parametrize(
    ("text", "zero", "shard"),
    [("ZeRO-1", 1, 0), ("zero stage 2", 2, 0), ("ZeRO-3", 3, 0), ("3", 3, 0), ("FSDP", 3, 0), ("none", 0, 0),
     ("distributed optimizer", 1, 0), ("ZeRO-1 within 8", 1, 8), ("FSDP, shard group 8", 3, 8), ("HSDP", 3, 8),
     ("HYBRID_SHARD, shard group 16", 3, 16)],
)  # fmt: skip
def test_how_far_states_are_divided_is_read(row_of, text, zero, shard):
    layout = asked(row_of(TRAINED, zero_stage_or_fsdp=text)).scenario.parallelism
    assert (layout.zero, layout.shard) == (zero, shard)


def test_lists_of_layers_on_several_devices_are_copies(row_of):
    own = {"model": "ResNet-50", "seq_len": "", "global_batch": "512", "micro_batch": "", "n_accelerators": "8",
           "framework": "PyTorch 2.3", "precision": "fp16", "metric": "samples_per_s"}  # fmt: skip
    question = asked(row_of(TRAINED, **own))
    assert question.scenario.workload.batch == 64
    assert question.scenario.system.devices == 1
    assert question.amount == 512
    assert "gradients are exchanged" in " / ".join(one.what for one in question.assumed)
    with pytest.raises(Refused, match="does not divide"):
        asked(row_of(TRAINED, **own | {"global_batch": "500"}))


@pytest.mark.parametrize(("software", "stack"), [
    ("PyTorch 1.13", "pytorch-1.9"), ("timm, PyTorch 1.12", "pytorch-1.9"), ("PyTorch 2.1", ""),
])  # fmt: skip
def test_pytorch_is_that_of_its_version(row_of, software, stack):
    own = {"model": "ResNet-50", "seq_len": "", "n_accelerators": "1", "framework": software, "metric": "samples_per_s"}
    assert asked(row_of(TRAINED, **own)).scenario.system.stack == stack


@pytest.mark.parametrize(
    ("notes", "steps"), [("50 inference steps", 50), ("steps: 28", 28), ("30 denoising steps, 512x512", 30)]
)
def test_denoising_steps_are_read_from_what_a_row_says(row_of, notes, steps):
    own = {"model": "stable-diffusion-v1-5", "input_len": "", "output_len": "", "framework": "PyTorch 2.1"}
    own |= {"weight_precision": "fp16", "metric": "latency_ms", "notes": notes}
    job = asked(row_of(SERVED, **own)).scenario.workload
    assert (job.steps, job.guidance) == (steps, True)
    with pytest.raises(Refused, match="denoising steps"):
        asked(row_of(SERVED, **own | {"notes": "512x512"}))


def test_the_time_of_a_batch_of_several_devices_is_that_of_the_part_of_each(row_of):
    own = {"model": "ResNet-50", "input_len": "", "output_len": "", "framework": "TensorRT 10", "n_accelerators": "4"}
    own |= {"batch_or_concurrency": "32", "metric": "latency_ms"}
    assert asked(row_of(SERVED, **own)).scenario.workload.batch == 8
    assert asked(row_of(SERVED, **own | {"metric": "samples_per_s"})).scenario.workload.batch == 32


def test_software_that_divides_layers_does_so_where_a_row_names_no_layout(row_of):
    own = {
        "framework": "llama.cpp (CUDA)",
        "accelerator": "RTX 3090",
        "n_accelerators": "3",
        "weight_precision": "Q4_1",
    }
    layout = asked(row_of(SERVED, **own)).scenario.parallelism
    assert (layout.tensor, layout.pipeline) == (1, 3)
    named = asked(row_of(SERVED, **own | {"n_accelerators": "2", "tp": "2"})).scenario.parallelism
    assert (named.tensor, named.pipeline) == (2, 1)


def test_a_device_without_16_bits_multiplies_in_32(row_of):
    own = {"framework": "llama.cpp (CUDA)", "accelerator": "GTX 1080 Ti", "weight_precision": "Q4_0"}
    job = asked(row_of(SERVED, **own)).scenario.workload
    assert (job.precision, job.weights) == ("fp32", "4.5bpw")
    job = asked(row_of(SERVED, **own | {"weight_precision": "fp16"})).scenario.workload
    assert (job.precision, job.weights) == ("fp32", "fp16")
    with pytest.raises(Refused, match="fp8"):
        asked(row_of(SERVED, **own | {"weight_precision": "fp8"}))


def test_a_model_without_a_format_is_served_in_16_bits(row_of):
    own = {"weight_precision": "", "framework": "vLLM 0.9"}
    assert asked(row_of(SERVED, **own)).scenario.workload.precision == "bf16"
    assert "16 bits" in assumed(row_of(SERVED, **own))
    assert asked(row_of(SERVED, **own, accelerator="Tesla T4")).scenario.workload.precision == "fp16"
    assert "states no format" in assumed(row_of(SERVED, **own | {"framework": "TensorRT-LLM 1.0"}))
    for other in ({"framework": "llama.cpp"}, {"framework": ""}, {"notes": "MLPerf accuracy target 99%"}):
        with pytest.raises(Refused, match="precision is not published"):
            asked(row_of(SERVED, **own | other))


def test_a_server_that_is_not_named_serves_16_bits_and_says_so_more_widely(row_of):
    own = {"weight_precision": "", "scenario": "server", "metric": "tpot_ms"}
    widths = []
    for software in ("TensorRT-LLM 1.0", ""):
        question = asked(row_of(SERVED, **own | {"framework": software}))
        assert question.scenario.workload.precision == "bf16"
        widths += [one.log_sd for one in question.assumed if "states no format" in one.what]
    assert widths[0] < widths[1]


def test_prompts_without_a_length_are_not_answered_as_answers(row_of):
    own = {"framework": "llama.cpp", "weight_precision": "Q4_0", "scenario": "latency", "output_len": "0"}
    read = asked(row_of(SERVED, **own))
    assert (read.output, read.amount) == ("performance.ttft", 512)
    for length in ("", "0"):
        with pytest.raises(Refused, match=r"input is not published|neither prompt nor answer"):
            asked(row_of(SERVED, **own | {"input_len": length}))


def test_a_language_model_without_a_format_is_trained_in_16_bits(row_of):
    own = {"n_accelerators": "1", "global_batch": "2", "precision": "", "framework": "torchtune"}
    assert asked(row_of(TRAINED, **own)).scenario.workload.precision == "bf16"
    picture = {"model": "ResNet-50", "seq_len": "", "metric": "samples_per_s", "framework": "PyTorch 2.1"}
    with pytest.raises(Refused, match="precision is not published"):
        asked(row_of(TRAINED, **own | picture))


def test_automatic_mixed_precision_is_fp16(row_of):
    own = {"model": "ResNet-50", "seq_len": "", "n_accelerators": "1", "framework": "PyTorch 2.1", "precision": "AMP"}
    assert asked(row_of(TRAINED, **own)).scenario.workload.precision == "fp16"


def test_a_model_whose_parameters_nobody_printed_is_divided_as_its_shape_asks(row_of):
    record = plugins().registry.get("models", "llama-3.2-90b-vision").record
    assert record.parameters is None
    own = {"model": "Llama-3.2-90B-Vision", "n_accelerators": "4", "scenario": "server", "metric": "tpot_ms"}
    layout = asked(row_of(SERVED, **own)).scenario.parallelism
    assert layout.tensor == 4


@pytest.mark.parametrize(
    ("shape", "known"), [("seqlen 2k, head dim 128; batch 2", False), ("seqlen 2k, head dim 128, causal", True)]
)
def test_attention_without_mask_or_format_is_read(row_of, shape, known):
    own = {"kind": "attention", "n_accelerators": "1", "shape_or_size": shape, "metric": "TFLOP/s", "value": "300"}
    kernel = kernel_of(row_of(JOINED, **own | {"notes": "implementation FA2"}), names())
    assert kernel.precision in ("fp16", "bf16")
    assert bool(kernel.assumed) != known


def test_models_that_are_published_in_4_bits_are_served_so(row_of):
    own = {"model": "gpt-oss-20b", "weight_precision": "", "scenario": "max_throughput", "batch_or_concurrency": "64"}
    assert asked(row_of(SERVED, **own)).scenario.workload.weights == "mxfp4"


@pytest.mark.parametrize(
    ("text", "rate"), [("target_qps=16", 16.0), ("rate=2.5 req/s", 2.5), ("request rate 4", 4.0)]
)  # fmt: skip
def test_requests_a_second_are_arrivals(row_of, text, rate):
    own = {"scenario": "server", "batch_or_concurrency": "", "qps_or_sla": text, "metric": "tpot_ms"}
    job = asked(row_of(SERVED, **own)).scenario.workload
    assert (job.rate, job.concurrency, job.requests) == (rate, 0, 0)


@pytest.mark.parametrize("text", ["target_qps=16; TTFT p99<=2000ms", "as many as it takes", "rate=inf", "qps=1.2.3"])
def test_other_loads_are_no_arrivals(row_of, text):
    own = {"scenario": "server", "batch_or_concurrency": "", "qps_or_sla": text, "metric": "tpot_ms"}
    with pytest.raises(Refused, match="rate of arrivals"):
        asked(row_of(SERVED, **own))


def test_what_ran_on_the_processor_beside_a_device_is_refused(row_of):
    own = {"framework": "llama.cpp (CPU)", "weight_precision": "Q4_0"}
    for device in ("Jetson AGX Orin 64GB", "Apple M2 Ultra"):
        with pytest.raises(Refused, match="processor beside"):
            asked(row_of(SERVED, **own, accelerator=device))
    assert asked(row_of(SERVED, **own, accelerator="Raspberry Pi 5")).scenario.system.device == "raspberry-pi-5"


@pytest.mark.parametrize(("name", "device"), [
    ("MI-250 (1 GCD)", "mi250-gcd"), ("AMD MI250X (one GCD)", "mi250x-gcd"), ("AMD MI250", "mi250"), ("MacBook Pro (M2)", "m2"),
    ("Mac Studio (M1 Ultra, 64-core GPU)", "m1-ultra"), ("NVIDIA RTX3090 (GA102 SM x 82 + Tensor Core 328)", "rtx-3090"),
])  # fmt: skip
def test_what_brackets_say_of_a_device(name, device):
    assert names().device(name) == device


def test_counts_inside_brackets_are_no_devices():
    assert counted("NVIDIA RTX3090 (GA102 SM x 82 + Tensor Core 328)", 1) == (1, "")
    assert counted("H100 (8x)", 8) == (8, "")
    assert not any(text.strip() == "NVIDIA A100" for text in device_spellings("NVIDIA A100 (PCIe; variant not stated)"))


@pytest.mark.parametrize(("size", "bytes_"), [("1K", 2.0**10), ("64M", 2.0**26), ("4G", 2.0**32), ("8192 B", 8192.0)])
@pytest.mark.parametrize(("kind", "twice"), [("allreduce", 2.0), ("allgather", 1.0), ("alltoall", 1.0)])
def test_sizes_and_kinds_of_collectives(row_of, size, bytes_, kind, twice):
    found = predict_collective(row_of(JOINED, kind=kind, shape_or_size=size, n_accelerators="8"), names())
    assert found.value == pytest.approx(7.0 / 8.0 * twice * bytes_ / found.time)


def test_devices_of_several_nodes_are_joined_by_their_network(row_of):
    inside = predict_collective(row_of(JOINED), names())
    apart = predict_collective(row_of(JOINED, notes="2 nodes x 1"), names())
    # One card of a node has one interface of the network, here of 400 Gbit/s.
    assert apart.value < 50e9 < inside.value
    spark = predict_collective(row_of(JOINED, accelerator="NVIDIA GB10", notes="2 nodes x 1 GPU"), names())
    assert spark.value < 25e9
    with pytest.raises(Refused, match="no node"):
        predict_collective(row_of(JOINED, accelerator="NVIDIA GB10"), names())


def test_the_start_of_a_collective_is_open_where_it_is_most_of_the_time(row_of):
    def spread(size, notes):
        found = predict_collective(row_of(JOINED, shape_or_size=size, n_accelerators="8", notes=notes), names())
        return found.time, next(one.log_sd for one in found.assumed if "started from the host" in one.what)

    (short, small), (_, large) = spread("1K", "out-of-place"), spread("1G", "out-of-place")
    assert small == pytest.approx(math.log(short / (short - 25e-6)) / INTERVAL_QUANTILE)
    assert large == 0.05
    assert spread("1K", "")[1] < small


def test_a_die_has_half_of_its_module():
    registry = plugins().registry
    for die, module in (("mi250-gcd", "mi250"), ("mi250x-gcd", "mi250x")):
        one, both = registry.get("devices", die).record, registry.get("devices", module).record
        assert one.compute.processors * 2 == both.compute.processors
        assert one.memory.capacity * 2 == pytest.approx(both.memory.capacity)
        assert one.memory.bandwidth * 2 == pytest.approx(both.memory.bandwidth, rel=0.01)
        assert one.peak_of("fp16").dense * 2 == pytest.approx(both.peak_of("fp16").dense, rel=0.01)


@pytest.mark.parametrize(
    ("text", "rate"),
    [("4 * 100Gb RoCE", 50.0), ("RDMA 400 Gb/s per GPU", 400.0), ("8x ConnectX-7 IB NDR 400Gb/s", 400.0),
     ("RoCE 1600 Gb/s per node", 200.0), ("InfiniBand HDR", 200.0), ("400Gbps", 50.0), ("200 Gb/s InfiniBand", 200.0),
     ("2x100GbE", 25.0), ("25 GB/s per node", 25.0), ("10G Ethernet", 1.25), ("EFA 3.2 Tbps", 400.0),
     ("Storage: 2x NDR 400Gb/s, Compute: 8x NDR 400Gb/s, Management: 100Gb/s Ethernet", 400.0)],
)  # fmt: skip
def test_a_printed_network_is_the_rate_of_a_node(text, rate):
    # A node of eight devices with eight interfaces of 200 Gb/s.
    read = node_rate(text, 8.0, 8.0, 25e9)
    assert read is not None
    assert read[0] == pytest.approx(rate * 1e9)


@pytest.mark.parametrize("text", ["", "ICI within the slice; DCN between slices", "PCIe-NIC: 500 GB/s", "unknown"])
def test_what_prints_no_rate_of_a_network_says_nothing(text):
    assert node_rate(text, 8.0, 8.0, 25e9) is None


def test_the_network_of_a_row_goes_before_that_of_the_registry(row_of):
    slow = row_of(TRAINED, inter_node_link="1x 100 Gb/s Ethernet", micro_batch="1", global_batch="64")
    said = asked(slow).scenario.settings["distributed"]
    assert said["network_rate"] == "1.25e+10 B/s"
    assert "12.5 GB/s for each node, as the row prints" in assumed(slow)
    silent = row_of(TRAINED, micro_batch="1", global_batch="64")
    assert predict(slow).predicted > 1.5 * predict(silent).predicted
    # What the registry's node has anyway, and a network that a job of one node does not use, say nothing.
    for cells in ({"inter_node_link": "8x HDR"}, {"inter_node_link": "1x 100 Gb/s", "n_accelerators": "8"}):
        assert asked(row_of(TRAINED, **cells)).scenario.settings == {}
    four = asked(row_of(TRAINED, accel_per_node="4")).scenario.settings["distributed"]
    assert four == {"node_devices": "4"}


def test_chunks_of_a_stage_that_no_row_states_widen_by_what_the_pipeline_waits(row_of):
    own = {"model": "Llama 3.1 70B", "n_accelerators": "512", "tp": "8", "pp": "8"}

    def schedule(**cells):
        question = asked(row_of(TRAINED, **own | cells))
        spread = [one.log_sd for one in question.assumed if "interleave_vp is empty" in one.what]
        return question.scenario.parallelism.virtual, spread

    # 80 layers: 10 in a stage. Few micro-batches wait 7/16 of their time; many hardly ever.
    few, many = {"global_batch": "128"}, {"global_batch": "4096"}
    assert schedule(**few, interleave_vp="5") == (5, [])
    plain, (spread,) = schedule(**few)
    assert plain == 1
    assert spread > 0.08
    assert schedule(**many) == (1, [0.03])
    unnamed, (wide,) = schedule(**few, framework="")
    assert unnamed == 2
    assert wide > spread
    # A count of micro-batches that the stages do not divide cannot be interleaved.
    assert schedule(global_batch="72", framework="") == (1, [0.03])


def test_heads_that_software_pads_are_asked(row_of):
    own = {"accelerator": "AWS Inferentia2", "n_accelerators": "12", "framework": "Transformers NeuronX", "tp": "12"}
    row = row_of(SERVED, **own)
    assert asked(row).scenario.system.stack == "transformers-neuronx-0.10"
    assert predict(row).predicted
    assert any("nobody compared transformers-neuronx" in one for one in predict(row).assumed)
    # There vLLM is the front end of a library that pads them, too.
    assert predict(row_of(SERVED, **own | {"framework": "vLLM 0.9"})).predicted
    other = row_of(SERVED, **own | {"framework": "SGLang 0.4"})
    assert "does not divide 32 heads" in predict(other).reason


def test_a_run_of_one_device_that_would_not_fit_saved_memory(row_of):
    own = {"n_accelerators": "1", "framework": "", "recompute": "none", "model": "Llama 3.2 1B", "seq_len": "1024",
           "accelerator": "RTX 4090"}  # fmt: skip
    question = asked(row_of(TRAINED, **own | {"global_batch": "64", "micro_batch": "4"}))
    assert question.scenario.parallelism.micro_batch == 4
    assert question.scenario.workload.batch == 64
    assert question.scenario.settings["single-node"]["chunked_loss"] == "1"
    assert any("would not fit" in one.what for one in question.assumed)
    small = asked(row_of(TRAINED, **own | {"global_batch": "64", "micro_batch": "1", "seq_len": "256"}))
    assert small.scenario.workload.optimizer == "adam"
    # 16 bytes for each of 1.2 billion parameters fit 24 GB, and 4 more for updates of lists of tensors do not.
    assert small.scenario.settings == {"single-node": {"fused_updates": "1"}}
    assert any("updates of parameters in one kernel" in one.what for one in small.assumed)
    smaller = asked(row_of(TRAINED, **own | {"model": "SmolLM2 360M", "global_batch": "64", "micro_batch": "1",
                                             "seq_len": "256"}))  # fmt: skip
    assert smaller.scenario.settings == {}
    open_ = asked(row_of(TRAINED, **own | {"recompute": "", "seq_len": "4096", "accelerator": "A100 80GB SXM",
                                           "micro_batch": "16"}))  # fmt: skip
    assert open_.scenario.workload.recompute == "full"


@pytest.mark.parametrize(("software", "device", "stack"), [
    ("Megatron-LM", "A100 80GB SXM", "megatron-lm-2024"), ("Megatron-LM", "H100 SXM", "megatron-lm-2024"),
    ("NeMo 24.05", "H100 SXM", "nemo-24.07"), ("Megatron-Core 0.9", "H100 SXM", "megatron-core-0.12"),
    ("PyTorch FSDP, torch.compile", "H100 SXM", "torchtitan-0.1"), ("NeuronX Distributed", "AWS Trainium", "neuronx-2"),
])  # fmt: skip
def test_software_that_trains_is_that_of_its_name(row_of, software, device, stack):
    assert asked(row_of(TRAINED, framework=software, accelerator=device)).scenario.system.stack == stack


@pytest.mark.parametrize(("published", "stack"), [
    ("2021-04", "megatron-lm-2021"), ("2022-05", "megatron-lm-2022"), ("2024-06", "megatron-lm-2024"),
])  # fmt: skip
def test_software_without_a_version_is_that_of_its_time(row_of, published, stack):
    own = {"framework": "Megatron-LM", "accelerator": "A100 80GB SXM", "published": published}
    assert asked(row_of(TRAINED, **own)).scenario.system.stack == stack


def test_adapters_on_one_device_are_no_training_of_the_whole_model(row_of):
    own = {
        "model": "Llama 3.1 8B LoRA",
        "n_accelerators": "1",
        "framework": "",
        "global_batch": "8",
        "micro_batch": "1",
    }
    question = asked(row_of(TRAINED, **own))
    assert question.scenario.workload.adapter > 0
    assert question.scenario.system.devices == 1
    assert predict(row_of(TRAINED, **own)).predicted


ALONE = TRAINED | {"n_accelerators": "1", "global_batch": "8", "micro_batch": "8", "seq_len": "1024",
                   "framework": "PyTorch 2.3", "model": "GPT-2 XL 1.5B"}  # fmt: skip


def test_adapters_are_trained_wherever_they_are_named(row_of):
    for own in ({"notes": "LoRA, rank 16"}, {"framework": "PyTorch 2.3, QLoRA"}, {"model": "GPT-2 XL 1.5B (LoRA)"}):
        assert asked(row_of(ALONE | {"notes": ""}, **own)).scenario.workload.adapter > 0


def test_utilisation_of_one_device_is_that_of_its_step(row_of):
    step = predict(row_of(ALONE)).predicted
    rate = predict(row_of(ALONE, metric="model_tflops_per_accelerator")).predicted
    peak = plugins().registry.get("devices", "a100-sxm-80gb").record.compute.peak["bf16"].dense / 1e12
    assert predict(row_of(ALONE, metric="mfu", value="0.4")).predicted == pytest.approx(rate / peak, rel=1e-6)
    assert rate * step == pytest.approx(6e-12 * 1.56e9 * 8 * 1024, rel=0.2)
