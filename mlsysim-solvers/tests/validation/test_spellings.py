"""Cells and metrics as people write them: each is read one way, or refused with what is wrong."""

from __future__ import annotations

import pytest
from measured_rows import own_row

from mlsysim.errors import UnknownNameError
from mlsysim.plugins import plugins
from mlsysim_solvers.validation.cells import READ, cleaned, count_of, figure_of
from mlsysim_solvers.validation.mapping import question_for
from mlsysim_solvers.validation.metrics import read_metric
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.predicting import predict
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.spellings import implied_format
from mlsysim_solvers.validation.tables import read_table

SERVED = {
    "id": "own-1", "model": "Llama 3.1 8B", "accelerator": "NVIDIA H100 80GB HBM3", "n_accelerators": "1",
    "weight_precision": "fp8", "framework": "vLLM 0.9", "scenario": "static_batch", "batch_or_concurrency": "16",
    "input_len": "512", "output_len": "128", "metric": "tokens_per_s_total", "value": "2000",
}  # fmt: skip


def row_of(tmp_path, **changes):
    return own_row(tmp_path, SERVED | changes)


@pytest.mark.parametrize(
    ("text", "unit", "value"),
    [("1,024", "ms", 1024.0), ("1 024", "ms", 1024.0), ("12,5", "ms", 12.5), ("1e3", "ms", 1000.0),
     ("2.1k", "ms", 2100.0), ("80 GB", "GB", 80.0), ("80000 MB", "GB", 80.0), ("1,234.5 tokens/s", "token/s", 1234.5)],
)  # fmt: skip
def test_a_figure_is_read_with_separators_suffix_and_unit(text, unit, value):
    assert figure_of(text, unit) == (pytest.approx(value), "")


@pytest.mark.parametrize("text", ["", "fast", "-5", "0", "nan", "inf", "~500", "80 GB", "1,5k"])
def test_a_figure_that_is_none_says_so(text):
    assert figure_of(text, "ms")[1]


@pytest.mark.parametrize(
    ("text", "column", "count"),
    [("1,024", "global_batch", "1024"), ("8k", "seq_len", "8192"), ("2x8", "n_accelerators", "16"),
     ("512 tokens", "input_len", "512"), ("8 GPUs", "n_accelerators", "8"), ("1k", "global_batch", "1k"),
     ("128-1024", "input_len", "128-1024")],
)  # fmt: skip
def test_counts_are_read_where_only_one_reading_is_possible(text, column, count):
    assert count_of(text, column) == count


def test_what_was_read_otherwise_is_told():
    row = cleaned({"input_len": "8k", "output_len": "1,024", "tp": "-", "recompute": "none", "kv_precision": "n/a"})
    assert row == {"input_len": "8192", "output_len": "1024", "tp": "", "recompute": "none", "kv_precision": "",
                   READ: "input_len '8k' as 8192"}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "shape", "known", "factor"),
    [("tok/s", "inference", "tokens_per_s_total", 1.0), ("tok/s", "training", "total_tokens_per_s", 1.0),
     ("tok/s/GPU", "training", "tokens_per_s_per_accelerator", 1.0), ("TTFT (ms)", "inference", "ttft_ms", 1.0),
     ("ttft_s", "inference", "ttft_ms", 1000.0), ("ITL (ms)", "inference", "tpot_ms", 1.0),
     ("mean_tpot_ms", "inference", "tpot_ms", 1.0), ("e2e_latency_s", "inference", "latency_ms", 1000.0),
     ("req/s", "inference", "samples_per_s", 1.0), ("images/s", "training", "samples_per_s", 1.0),
     ("total_token_throughput", "inference", "total_tokens_per_s", 1.0), ("MFU (%)", "training", "mfu", 0.01),
     ("step_time_ms", "training", "iteration_time_s", 0.001), ("time_to_train_h", "training", "time_to_train_min", 60.0),
     ("memory_gib", "training", "memory_gb", 1.073741824), ("TFLOPS", "kernels", "TFLOP/s", 1.0),
     ("avg power (W) per GPU", "inference", "power_w_per_accelerator", 1.0),
     ("latency_ms", "kernels", "latency_ms", 1.0), ("algbw (GB/s)", "kernels", "algbw_GB/s", 1.0)],
)  # fmt: skip
def test_a_metric_is_known_however_it_is_spelled(name, shape, known, factor):
    read = read_metric(name, "12", shape)
    assert (read.name, read.fault) == (known, "")
    assert read.value == pytest.approx(12.0 * factor)


@pytest.mark.parametrize(
    ("notes", "factor"),
    [("GiB peak reserved, max over GPUs", 1.073741824), ("per GPU; GiB", 1.073741824), ("", 1.0),
     ("printed 18.01 GiB; LoRA", 1.0), ("GB as logged", 1.0)],
)  # fmt: skip
def test_memory_that_notes_say_is_printed_in_gib_is_read_so(notes, factor):
    assert read_metric("memory_gb", "82.4", "training", notes).value == pytest.approx(82.4 * factor)
    # A name that says its unit goes before notes.
    assert read_metric("memory_mib", "1024", "training", notes).value == pytest.approx(1.073741824)


@pytest.mark.parametrize("name", ["ttft", "throughput", "p99_ttft_ms", "busbw_gbps", "", "warmth"])
def test_a_metric_with_several_readings_is_refused(name):
    assert read_metric(name, "12", "kernels" if name.startswith("bus") else "inference").fault


def test_rates_of_a_batch_count_what_they_name(tmp_path):
    found = {metric: predict(row_of(tmp_path, metric=metric)).predicted for metric in (
        "tokens_per_s_total", "total_tokens_per_s", "samples_per_s", "latency_ms", "tpot_ms", "tokens_per_s_per_user",
        "decode_tokens_per_s")}  # fmt: skip
    assert found["samples_per_s"] == pytest.approx(found["tokens_per_s_total"] / 128)
    assert found["total_tokens_per_s"] == pytest.approx(found["tokens_per_s_total"] * 640 / 128)
    assert found["latency_ms"] == pytest.approx(1000 * 16 / found["samples_per_s"])
    assert found["tokens_per_s_per_user"] == pytest.approx(1000 / found["tpot_ms"])
    assert found["decode_tokens_per_s"] == pytest.approx(16 * found["tokens_per_s_per_user"])


@pytest.mark.parametrize(
    ("notes", "metric", "share"),
    [("input and output tokens; 100 requests", "tokens_per_s_total", 5.0),
     ("ShareGPT; counts prompt + generated tokens", "throughput tok/s", 5.0),
     ("81920 input and 163840 generated tokens; output tokens", "tokens_per_s_total", 1.0),
     ("printed 414 tokens/s over prompt and answer", "tokens_per_s_total", 1.0),
     ("input and output tokens", "decode_tokens_per_s", None)],
)  # fmt: skip
def test_a_rate_counts_prompts_where_the_notes_say_so(tmp_path, notes, metric, share):
    alone, noted = (predict(row_of(tmp_path, metric=metric, notes=text)).predicted for text in ("", notes))
    assert noted == pytest.approx(alone * (share or 1.0))


@pytest.mark.parametrize(
    ("name", "key"),
    [("GPT-2 XL 1.5B", "gpt2-xl"), ("Phi3 3.8B", "phi-3-mini-4k"), ("Llama 3.1 9B", ""), ("Qwen 1.5B preview 3B", "")],
)
def test_a_family_and_a_size_are_one_model_or_none(name, key):
    if key:
        assert names().model(name) == key
    else:
        with pytest.raises(Refused):
            names().model(name)


@pytest.mark.parametrize(
    ("printed", "key"),
    [
        ("13th Gen Intel(R) Core(TM) i9-13900K", "core-i9-13900k"),
        ("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", "xeon-e5-2690-v4"),
        ("Intel(R) Xeon(R) Gold 6430", "xeon-gold-6430"),
        ("AMD EPYC 7713 64-Core Processor", "epyc-7713"),
        ("AMD Ryzen 9 7945HX with Radeon Graphics", "ryzen-9-7945hx"),
    ],
)
def test_processors_are_known_as_the_system_prints_them(printed, key):
    assert names().device(printed) == key


def test_memory_of_computers_that_are_sold_with_several_is_no_other_device():
    assert names().device("Apple M2 Ultra 192GB") == names().device("Apple M2 Ultra 64GB") == "m2-ultra"


@pytest.mark.parametrize("printed", ["fp8", "mxfp4"])
def test_weights_narrower_than_a_device_multiplies_are_kept_so(tmp_path, printed):
    row = row_of(tmp_path, accelerator="NVIDIA A100-SXM4-80GB", weight_precision=printed)
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.weights) == ("bf16", printed)
    assert any("multiplies no" in one for one in predict(row).assumed)


@pytest.mark.parametrize("device", ["Apple M4 Max", "V100-SXM2-32GB"])  # no rate, and half of that in 16 bits
def test_integers_that_a_device_does_not_multiply_faster_are_widened_to_16_bits(tmp_path, device):
    row = row_of(tmp_path, accelerator=device, weight_precision="int8", framework="tinygrad")
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.weights) == ("fp16", "int8")


@pytest.mark.parametrize("printed", ["bf16", "fp16"])
def test_a_cache_stays_in_the_16_bits_of_weights_whose_products_are_made_in_32(tmp_path, printed):
    row = row_of(tmp_path, accelerator="Tesla P40", weight_precision=printed, framework="llama.cpp")
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.weights, job.kv_cache) == ("fp32", printed, printed)


def test_what_follows_a_slash_is_no_name_if_it_is_a_number_alone():
    with pytest.raises(Refused):
        names().model("ViT-S/14")


def test_libraries_that_run_modules_from_python_have_stacks_of_their_own(tmp_path):
    for software in ("Hugging Face Transformers", "HF transformers 4.40", "Hugging Face Accelerate"):
        assert predict(row_of(tmp_path, framework=software)).stack == "transformers-4", software
    assert predict(row_of(tmp_path, framework="LitGPT (PyTorch 2.1)")).stack == "litgpt-0"
    assert predict(row_of(tmp_path, framework="SwissArmyTransformer")).stack == "swissarmytransformer-0"


@pytest.mark.parametrize("text", ["5 requests/s", "5 rps", "qps=5", "request rate 5"])
def test_a_rate_of_requests_is_read_in_its_unit(tmp_path, text):
    row = row_of(tmp_path, scenario="server", batch_or_concurrency="", metric="ttft_ms", qps_or_sla=text)
    question = question_for(row, names())
    assert question.scenario.workload.rate == 5.0


def test_software_that_is_not_known_is_answered_by_the_usual_stack(tmp_path):
    outcome = predict(row_of(tmp_path, framework="an engine of my own"))
    assert outcome.predicted
    assert any("names none that is known" in one for one in outcome.assumed)


def test_a_server_needs_prompts_and_answers(tmp_path):
    outcome = predict(row_of(tmp_path, scenario="max_throughput", output_len="0"))
    assert "needs whole ones of both" in outcome.reason


def test_lengths_with_separators_reach_the_question(tmp_path):
    row = row_of(tmp_path, scenario="max_throughput", input_len="1,024", output_len="1k")
    job = question_for(row, names()).scenario.workload
    assert (job.input, job.output) == (1024.0, 1024.0)
    assert any("output_len '1k' as 1024" in one for one in predict(row).assumed)


@pytest.mark.parametrize(
    ("name", "key"),
    [("H100x8", "h100-sxm"), ("DGX H100", "h100-sxm"), ("GB200 NVL72", "gb200"), ("TPU v5p-128", "tpu-v5p"),
     ("v5litepod-256", "tpu-v5e"), ("NVIDIA B300 SXM6 AC", "b300-sxm"), ("H200-SXM-141GBx8_TRT", "h200-sxm"),
     ("GB200-NVL72_GB200-186GB_aarch64x4", "gb200"), ("p4d.24xlarge", "a100-sxm-40gb"), ("HL-325L", "gaudi3"),
     ("AMD Instinct MI300X VF", "mi300x"), ("Standard_ND96isr_H100_v5", "h100-sxm"),
     ("AWS Inferentia2 (Inf2.48xlarge)", "inferentia2"), ("Apple M4 (Mac Mini, 16GB)", "m4"),
     ("LambdaCloud A100 40GB PCIe", "a100-pcie-40gb"), ("H100 80GB PCIe Gen5", "h100-pcie"),
     ("H100 SXM, 8 nodes with SHARP", "h100-sxm"), ("GB200 NVL72, 2 racks", "gb200"), ("TPU v5 lite pod", "tpu-v5e"),
     ("tpu-v6e-slice", "tpu-v6e"), ("BM.GPU.MI300X.8", "mi300x"), ("BM.GPU.A100-v2.8", "a100-sxm-80gb"),
     ("AMD EPYC 7742 64-Core Processor", "epyc-7742"), ("NVIDIA GB200-GraceBlackwell-186GB", "gb200"),
     ("Intel(R) Xeon(R) Platinum 8380 CPU @ 2.30GHz", "xeon-platinum-8380"), ("AWS Trainium 3", "trainium3"),
     ("AMD Instinct MI355", "mi355x"), ("MI325", "mi325x")],
)  # fmt: skip
def test_a_device_is_known_through_its_box_its_count_and_its_slice(name, key):
    assert names().device(name) == key


@pytest.mark.parametrize("name", ["DGX-2", "NVIDIA H100 64GB", "RK3588 (dual core)", "NVIDIA H100 MIG 3g.40gb", "NVIDIA Graphics Device",
                                  "AMD MI300X (one XCD of 8, CPX partition)", "Intel 4th Gen Xeon, 48 cores",
                                  "H100-SXM4-80GB", "Tesla M4", "GeForce RTX 3060 Ti GDDR6X", "Standard_NV6ads_A10_v5", "Standard_NC6_v2", "g6f.xlarge"])  # fmt: skip
def test_a_device_that_is_another_is_not_known(name):
    with pytest.raises(Refused):
        names().device(name)


@pytest.mark.parametrize(
    ("name", "key"),
    [("g5.2xlarge", "a10g"), ("p3.2xlarge", "v100-sxm2-16gb"), ("Standard_NC24ads_A100_v4", "a100-pcie-80gb"),
     ("NC40ads_H100_v5", "h100-nvl"), ("Standard_NC4as_T4_v3", "t4"), ("a2-ultragpu-1g", "a100-sxm-80gb"),
     ("inf2.xlarge", "inferentia2"), ("trn1n.32xlarge", "trainium1"), ("p6-b300.48xlarge", "b300-sxm")],
)  # fmt: skip
def test_a_rented_machine_is_the_device_in_it_and_not_a_part_of_its_name(name, key):
    assert names().device(name) == key


@pytest.mark.parametrize("name", ["p5.48xlarge", "DGX H100", "Standard_ND96isr_H100_v5"])
def test_a_node_that_stands_for_a_device_is_taken_for_none_and_told(name):
    with pytest.raises(UnknownNameError) as raised:
        plugins().registry.get("devices", name)
    assert "a node of 8 x h100-sxm" in raised.value.remedy


@pytest.mark.parametrize(
    ("text", "format_"),
    [("FP8 (E4M3)", ("fp8", "")), ("fp8-e4m3fn", ("fp8", "")), ("FP8-Dynamic", ("fp8", "")), ("MXFP8", ("fp8", "")),
     ("torch.bfloat16", ("bf16", "")), ("bf16-true", ("bf16", "")), ("16-mixed", ("fp16", "")),
     ("fp16 (tensor cores)", ("fp16", "")), ("NVFP4 (W4A4)", ("nvfp4", "")), ("FP4 (NVFP4)", ("nvfp4", "")),
     ("W4A8-FP8", ("fp8", "4.156bpw")), ("4.25bpw", ("fp16", "4.25bpw")), ("IQ4_XS", ("fp16", "4.4597bpw")),
     ("GPTQ 4bit group_size=32", ("fp16", "4.625bpw")), ("GPTQ-Int8", ("fp16", "8.188bpw")),
     ("bitsandbytes 4-bit", ("fp16", "4.5bpw"))],
)  # fmt: skip
def test_a_format_is_known_beside_how_it_was_reached(text, format_):
    assert names().weights(text) == format_


@pytest.mark.parametrize(
    ("text", "advice"),
    [("W8A8", "write one, or w8a16"), ("mixed", "write fp16 or bf16"), ("16.16", "fp16 or bf16"),
     ("W2", "bits per weight"), ("ternary", "bits per weight"), ("w4a8", "w4a8 fp8"), ("auto", "that the run used"),
     ("FP88", "Did you mean 'fp8'")],
)  # fmt: skip
def test_a_format_that_several_may_be_is_refused_with_what_to_write(text, advice):
    with pytest.raises(Refused, match=advice):
        names().weights(text)


@pytest.mark.parametrize(
    ("name", "key", "format_"),
    [("TheBloke/Llama-2-7B-AWQ", "llama-2-7b", "int4"), ("nvidia/DeepSeek-R1-FP4", "deepseek-r1", "nvfp4"),
     ("Qwen/Qwen2.5-32B-Instruct-GPTQ-Int4", "qwen2.5-32b", "int4"), ("llama2-70b-99.9", "llama-2-70b", ""),
     ("RedHatAI/Meta-Llama-3.1-70B-Instruct-quantized.w8a8", "llama-3.1-70b", "int8"),
     ("TheBloke/Llama-2-13B-chat-GGUF", "llama-2-13b", ""), ("llama31_8b", "llama-3.1-8b", ""),
     ("BERT base (bert-base-cased)", "bert-base", ""), ("HuggingFace BERT-Large Ph1 pre-training", "bert-large", ""),
     ("Qwen/Qwen2.5-72B-Instruct-GPTQ-Int8", "qwen2.5-72b", "gptq int8"), ("llama-2-7b.Q4_0.gguf", "llama-2-7b", "q4_0"),
     ("qwen3moe 30B.A3B Q4_K - Medium", "qwen3-30b-a3b", "q4_k_m"), ("gpt-oss 20B MXFP4 MoE", "gpt-oss-20b", "mxfp4"),
     ("llama 8B Q4_K - Medium", "llama-3-8b", "q4_k_m"), ("Qwen3.5-27B-UD-Q3_K_XL.gguf", "qwen3.5-27b", "q3_k_xl"),
     ("resnet50.a1_in1k", "resnet-50", ""),
     ("mlx-community/Llama-3.2-3B-Instruct-4bit", "llama-3.2-3b", "mlx 4bit"), ("llama3.1:8b", "llama-3.1-8b", ""),
     ("lmstudio-community/Qwen3-1.7B-MLX-6bit", "qwen3-1.7b", "mlx 6bit"),
     ("lmstudio-community/Qwen3-1.7B-MLX-bf16", "qwen3-1.7b", "bf16"),
     ("nvidia/DeepSeek-R1-0528-FP4-v2", "deepseek-r1", "nvfp4"), ("whisper", "whisper-large-v3", ""),
     ("ViT-B_16 224", "vit-b-16", ""), ("Llama 3.0 70B", "llama-3.1-70b", ""), ("Qwen3 MoE 30B", "qwen3-30b-a3b", ""),
     ("ViT-L/16", "vit-l-16", ""), ("unsloth/Qwen3-8B-bnb-4bit", "qwen3-8b", "nf4")],
)  # fmt: skip
def test_a_model_is_known_beside_its_format(name, key, format_):
    assert names().model(name) == key
    assert implied_format(name) == format_
    assert not format_ or names().weights(format_)


def test_the_patch_of_a_vision_transformer_is_not_the_name_of_another():
    with pytest.raises(Refused):
        names().model("CLIP ViT-L/14")


@pytest.mark.parametrize(
    ("software", "stack"),
    [("TensorRT-LLM 0.5.0", "tensorrt-llm-0.5"), ("TRT-LLM 0.9", "tensorrt-llm-0.9"),
     ("TensorRT LLM 1.0", "tensorrt-llm-1.0"), ("TensorRT-LLM 0.20", "tensorrt-llm-1.0"),
     ("NVIDIA Dynamo (vLLM)", "vllm-0.11"), ("Triton Inference Server 24.05 + TensorRT-LLM", "tensorrt-llm-1.0"),
     ("llama-bench (llama.cpp build 5092)", "llama.cpp-b3000"), ("TensorRT 10.2", "tensorrt-10"), ("TGI 2.3", None),
     ("Megatron-LM (Megatron-Core, Transformer Engine)", "megatron-lm-2024"), ("Paddle Inference 2.3, TensorRT 8.0.3.4", "tensorrt-10"), ("transformers (PyTorch)", "pytorch-2"),
     ("vLLM 0.7.3", "vllm-0.7"), ("vLLM v0.2.7", "vllm-0.7"), ("vLLM 0.10.0", "vllm-0.11"), ("vLLM 0.22.1", "vllm-0.11"),
     ("Keras 3 (JAX)", "tensorflow-2.4"), ("Keras 3 (PyTorch)", "pytorch-2"),
     ("gpt-fast (PyTorch), eager", "pytorch-2"), ("gpt-fast (PyTorch), torch.compile", None)],
)  # fmt: skip
def test_software_is_known_by_version_and_inside_other_names(software, stack):
    assert names().stack(software, "own", "static_batch") == stack


@pytest.mark.parametrize(
    ("software", "published", "stack"),
    [("PyTorch", "2020-05", "pytorch-1.9"), ("PyTorch", "2023-03", None), ("PyTorch", "", None),
     ("vLLM", "2024-01", "vllm-0.7"), ("vLLM", "2025-03", "vllm-0.11"), ("vLLM", "", "vllm-0.11"),
     ("timm PyTorch 1.12", "2023-09", "pytorch-1.9"), ("timm PyTorch 2.1", "2023-12", None)],
)  # fmt: skip
def test_software_without_a_version_is_one_that_was_out_when_the_row_was_published(software, published, stack):
    assert names().stack(software, "own", "training", published=published) == stack


@pytest.mark.parametrize(
    ("device", "published", "stack"),
    [("rtx-4090", "2025-08", "llama.cpp-b3000"), ("rtx-4090", "2025-09", "llama.cpp-b6400"),
     ("rtx-4090", "", "llama.cpp-b6400"), ("m4-max", "2025-09", "llama.cpp-b3000"),
     ("rx-7900-xtx", "2026", "llama.cpp-b3000"), ("p40", "2026-05", "llama.cpp-b3000")],
)  # fmt: skip
def test_kernels_that_multiply_stored_weights_are_those_of_later_builds_on_tensor_cores(device, published, stack):
    assert names().stack("llama.cpp (b6767)", "own", "latency", device, published) == stack


def test_the_name_of_a_model_tells_its_weights_where_the_row_does_not(tmp_path):
    row = row_of(tmp_path, model="TheBloke/Llama-2-7B-AWQ", weight_precision="")
    job = question_for(row, names()).scenario.workload
    assert (job.precision, job.weights) == ("fp16", "4.5bpw")


@pytest.mark.parametrize(
    ("kind", "devices", "shape", "metric"),
    [("gemm", 1, "MxNxK=4096x4096x4096", "GB/s"), ("allreduce", 8, "1 GiB", "algbw_GB/s")],
)  # fmt: skip
def test_a_kernel_is_not_answered_by_a_figure_of_another_kind(tmp_path, kind, devices, shape, metric):
    file = tmp_path / "own.csv"
    head = "id,kind,accelerator,n_accelerators,shape_or_size,dtype,metric,value"
    line = f"own-1,{kind},NVIDIA H100 80GB HBM3,{devices},{shape},bf16"
    right = "TFLOP/s" if kind == "gemm" else "busbw_GB/s"
    file.write_text(f"{head}\n{line},{metric},90\n{line.replace('own-1', 'own-2')},{right},90\n")
    wrong, good = (predict(row) for row in read_table(file))
    assert "is not answered" in wrong.reason
    assert good.predicted


def assumed_of(tmp_path, **changes):
    outcome = predict(row_of(tmp_path, **changes))
    assert outcome.predicted is not None, outcome.reason
    return outcome, [one for one in outcome.assumed if "the name also fits" in one]


@pytest.mark.parametrize(
    ("name", "others"),
    [("H100", "h100-nvl, h100-pcie"), ("NVIDIA H100 80GB HBM3", ""), ("H100 PCIe", ""), ("DGX H100", ""),
     ("NVIDIA H100 80GB", "h100-pcie"), ("h100_sxm", "")],
)  # fmt: skip
def test_a_name_that_fits_several_variants_lists_them(tmp_path, name, others):
    _, said = assumed_of(tmp_path, accelerator=name)
    assert (said[0].split("fits ")[1] if said else "") == others


def test_the_figure_of_another_variant_lies_in_the_interval(tmp_path):
    open_, said = assumed_of(tmp_path, accelerator="H100")
    told, _ = assumed_of(tmp_path, accelerator="H100 SXM")
    card, _ = assumed_of(tmp_path, accelerator="H100 PCIe")
    assert said
    assert open_.predicted == told.predicted
    assert open_.high / open_.low > told.high / told.low
    assert open_.low < card.predicted < open_.high


@pytest.mark.parametrize(("name", "devices"), [("8x H100", "8"), ("H100 x8", "8"), ("v5p-16", "8"), ("TPU v5e-8", "8")])
def test_a_count_in_a_name_stands_for_the_empty_cell(tmp_path, name, devices):
    assert row_of(tmp_path, accelerator=name, n_accelerators="").devices == int(devices)
    assert "counts" not in predict(row_of(tmp_path, accelerator=name, n_accelerators=devices)).reason


@pytest.mark.parametrize(("name", "devices"), [("2x RTX 4090", "1"), ("8xH100", "16"), ("v5e-16", "8")])
def test_a_count_in_a_name_that_differs_from_the_row_is_refused(tmp_path, name, devices):
    outcome = predict(row_of(tmp_path, accelerator=name, n_accelerators=devices))
    assert outcome.predicted is None
    assert f"{name!r} counts" in outcome.reason


def test_an_id_like_those_of_a_packaged_set_brings_none_of_its_rules(tmp_path):
    stranger = row_of(tmp_path, id="mlperf_v41-9001")
    assert stranger.set == "own mlperf_v41"
    assert row_of(tmp_path, id="bench-1").set == "bench"


def test_rows_of_a_packaged_document_keep_its_rules_wherever_they_stand(tmp_path):
    from mlsysim_solvers.validation.tables import packaged_tables

    copy = tmp_path / "copy.csv"
    copy.write_text(packaged_tables()["inference"].read_text(encoding="utf-8"), encoding="utf-8")
    packaged = {row.id: row.set for row in read_table(packaged_tables()["inference"])}
    assert {row.id: row.set for row in read_table(copy)} == packaged


def test_a_successor_of_what_a_relative_answers_is_no_relative():
    assert names().stands_in("ExLlama")
    assert not names().stands_in("ExLlamaV2 0.1")
