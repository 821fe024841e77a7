"""Names as publications write them: what they must and must not lead to."""

from __future__ import annotations

import attrs
import pytest

from mlsysim.errors import UnknownNameError
from mlsysim.names.matching import bare, contradicts, count_of, matches, squeezed, the_one

DEVICES = [
    ("h100-sxm", "h100-sxm"), ("h100", "h100-sxm"), ("h100-sxm5-80gb", "h100-sxm"), ("h100-pcie", "h100-pcie"),
    ("a100-sxm-80gb", "a100-sxm-80gb"), ("a100", "a100-sxm-80gb"), ("a100-40gb", "a100-sxm-40gb"), ("l40s", "l40s"),
    ("rtx-4070", "rtx-4070"), ("rtx-4070-ti-super", "rtx-4070-ti-super"), ("rtx-4090-laptop", "rtx-4090-laptop"),
    ("rtx-4090", "rtx-4090"), ("m2", "m2"), ("m2-ultra", "m2-ultra"),
]  # fmt: skip
MODELS = [
    ("llama-3.1-8b", "llama-3.1-8b"), ("meta-llama/Llama-3.1-8B-Instruct", "llama-3.1-8b"), ("mixtral-8x7b", "mixtral-8x7b"),
    ("qwen2.5-7b", "qwen2.5-7b"), ("qwen2-57b-a14b", "qwen2-57b-a14b"), ("bert-base", "bert-base"), ("bert-large", "bert-large"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("8xH100-SXM5-80GB", "h100-sxm"),
        ("8x NVIDIA H100", "h100-sxm"),
        ("H100 (x8)", "h100-sxm"),
        ("NVIDIA H100 PCIe 80GB", "h100-pcie"),
        ("NVIDIA A100-SXM4-40GB", "a100-sxm-40gb"),
        ("A100 40 GB", "a100-sxm-40gb"),
        ("NVIDIA L40S PCIe", "l40s"),
        ("geforce rtx4070", "rtx-4070"),
        ("RTX 4070Ti Super", "rtx-4070-ti-super"),
        ("NVIDIA GeForce RTX 4090 Laptop GPU", "rtx-4090-laptop"),
        ("Apple M2 Ultra", "m2-ultra"),
    ],
)
def test_spellings_of_devices_are_understood(name, key):
    assert matches("devices", name, DEVICES) == [key]


@pytest.mark.parametrize(
    "name", ["RTX 4070 Super", "RTX 4090 D", "H1000", "M2 Max", "RTX 4070 Laptop", "NVIDIA", "GPU", ""]
)
def test_a_name_with_more_to_say_is_not_taken_for_another_device(name):
    assert matches("devices", name, DEVICES) == []


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("Llama-3.1-8B", "llama-3.1-8b"),
        ("Llama3.1 8B Instruct", "llama-3.1-8b"),
        ("someone/Llama-3.1-8B-Instruct", "llama-3.1-8b"),
        ("Mixtral-8x7B-Instruct", "mixtral-8x7b"),
        ("Qwen 2.5 7B", "qwen2.5-7b"),
    ],
)
def test_spellings_of_models_are_understood(name, key):
    assert matches("models", name, MODELS) == [key]


@pytest.mark.parametrize("name", ["bert", "Llama-3.1-8B-FP8", "qwen2.5-72b", "Qwen25-7B"])
def test_a_size_or_a_format_is_never_dropped_silently(name):
    assert matches("models", name, MODELS) == []


def test_the_last_part_of_a_path_is_a_name_and_a_patch_is_none():
    known = [("ViT-H/14", "vit-h-14"), ("org/Model-7B", "model-7b")]
    assert matches("models", "ViT-L/14", known) == []
    assert matches("models", "another/Model-7B", known) == ["model-7b"]


def test_two_that_fit_alike_are_both_named():
    assert matches("devices", "NVIDIA Ada 1", [("ada-1", "a"), ("ADA 1", "b")]) == ["a", "b"]


def test_punctuation_of_versions_is_kept():
    assert squeezed("Llama-3.1 8B.") == "llama3.18b"


@attrs.frozen
class _Memory:
    capacity: float
    kind: str = ""


@attrs.frozen
class _Power:
    tdp: float


@attrs.frozen
class _Device:
    name: str
    memory: _Memory
    aliases: tuple[str, ...] = ()
    power: _Power | None = None
    vendor: str = "NVIDIA"


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("V100 16GB", False), ("V100 32GB", True), ("V100-PCIE-16GB", True), ("V100-SXM2-16GB", False), ("V100", False),
     ("V100-SXM3-16GB", True), ("V100 SXM", False)],
)  # fmt: skip
def test_memory_and_form_factor_must_fit(name, wrong):
    assert contradicts(name, _Device("Tesla V100 SXM2 16 GB", _Memory(16e9)), "v100-sxm2-16gb") is wrong


@pytest.mark.parametrize(
    ("name", "wrong"),
    [("Gaudi 3", False), ("Gaudi 3 OAM", False), ("Gaudi 3 OAM, PCIe host", False), ("Gaudi 3 PCIe", True)],
)
def test_a_card_is_no_module(name, wrong):
    assert contradicts(name, _Device("Intel Gaudi 3 (OAM)", _Memory(128e9), vendor="Intel"), "gaudi3") is wrong


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("M4", False),
        ("Apple M4", False),
        ("Tesla M4", True),
        ("NVIDIA M4", True),
        ("Apple M4, beside an Intel Mac", False),
    ],
)
def test_the_maker_must_fit(name, wrong):
    assert contradicts(name, _Device("Apple M4", _Memory(32e9), vendor="Apple"), "m4") is wrong


@pytest.mark.parametrize(
    ("name", "wrong"), [("RTX 3060 Ti", False), ("RTX 3060 Ti GDDR6", False), ("RTX 3060 Ti GDDR6X", True)]
)
def test_the_kind_of_graphics_memory_must_fit(name, wrong):
    assert contradicts(name, _Device("RTX 3060 Ti", _Memory(8e9, "GDDR6")), "rtx-3060-ti") is wrong


def test_power_must_fit():
    device = _Device("MI300X", _Memory(192e9), power=_Power(750.0), vendor="AMD")
    assert not contradicts("MI300X-NPS1-SPX-192GB-750W", device, "mi300x")
    assert contradicts("MI300X 500W", device, "mi300x")


def test_what_is_contradicted_makes_room_for_the_next():
    known = [("gh200-grace-hopper", "gh200-96gb"), ("gh200-144gb", "gh200-144gb"), ("gh200", "gh200-96gb")]
    name = "NVIDIA GH200 Grace Hopper Superchip 144GB"
    assert matches("devices", name, known, lambda key: key == "gh200-144gb") == ["gh200-144gb"]


def test_a_size_that_an_alias_carries_is_no_contradiction():
    device = _Device("GH200, 96 GB HBM3", _Memory(96e9), ("gh200-480gb",))
    assert not contradicts("NVIDIA GH200 480GB", device, "gh200-96gb")
    assert contradicts("NVIDIA GH200 144GB", device, "gh200-96gb")


@pytest.mark.parametrize(
    ("name", "count"),
    [("8x H100", 8), ("8xH100", 8), ("2x RTX 4090", 2), ("2× A100", 2), ("4x 4090", 4), ("H100 x8", 8),
     ("H100 (x8)", 8), ("H100-SXM5-80GBx8", 8), ("RTX 4090 x 4", 4), ("4090x2", 2),
     ("MI300X", None), ("Ryzen 9 5900X", None), ("Radeon RX 560X", None), ("A2 PCIe x8", None),
     ("PCIe 4.0 x16", None), ("Cortex-X4", None), ("Ryzen AI 9 HX 370", None), ("A100-SXM4-80GB", None)],
)  # fmt: skip
def test_a_count_is_told_from_a_part_number(name, count):
    assert count_of(name) == count


def test_a_part_number_that_ends_in_x_is_a_word():
    known = [("ryzen-9-7950x", "ryzen-9-7950x")]
    assert matches("devices", "AMD Ryzen 9 7950X", known) == ["ryzen-9-7950x"]
    assert matches("devices", "AMD Ryzen 9 5900X", known) == []


def test_a_count_is_never_dropped():
    assert the_one("devices", "1x H100", ["h100-sxm"], where="") == "h100-sxm"
    with pytest.raises(UnknownNameError, match="counts 8 devices") as caught:
        the_one("devices", "8xH100", ["h100-sxm"], where="system.device")
    assert "system.devices" in str(caught.value)


def test_variants_of_a_product_share_their_bare_words():
    assert bare("NVIDIA A100-SXM4-80GB") == bare("a100-pcie-40gb") == bare("8x A100") == {"a100"}
    assert bare("RTX 4070 Ti") != bare("RTX 4070")
