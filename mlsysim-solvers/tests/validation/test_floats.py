"""Rows that print 32-bit numbers, which software multiplies in fewer bits unless told otherwise."""

from __future__ import annotations

import pytest

import mlsysim
from mlsysim.plugins import plugins
from mlsysim_solvers.validation.mapping.common import Subject
from mlsysim_solvers.validation.mapping.floats import multiplied


def subject(device: str, stack: str) -> Subject:
    return Subject(device, stack, plugins().registry.get("stacks", stack).record)


@pytest.mark.parametrize(
    ("device", "stack", "model", "expected"),
    [
        ("a100-sxm-80gb", "pytorch-1.9", "bert-large", "tf32"),
        ("a100-sxm-80gb", "pytorch-2", "resnet-50", "tf32"),
        ("a100-sxm-80gb", "pytorch-2", "bert-large", "fp32"),
        ("a100-sxm-80gb", "pytorch-2", "vit-b-16", "fp32"),
        ("a100-sxm-80gb", "megatron-lm-2021", "bert-large", "fp32"),
        ("v100-sxm2-32gb", "pytorch-1.9", "resnet-50", "fp32"),
        ("a100-sxm-80gb", "maxtext-training-0.1", "bert-large", "tf32"),
        ("tpu-v5e", "maxtext-training-0.1", "bert-large", "fp32"),
    ],
)
def test_device_stack_and_model_say_what_32_bits_are_multiplied_in(device, stack, model, expected):
    assumed = []
    assert multiplied(subject(device, stack), model, "fp32", assumed) == expected
    assert len(assumed) == (expected == "tf32")


def test_other_formats_stay_as_they_are():
    assert multiplied(subject("a100-sxm-80gb", "pytorch-1.9"), "resnet-50", "fp16", []) == "fp16"


def test_a_question_in_32_bits_hears_what_the_software_would_do():
    card = mlsysim.evaluate("bert-large-a100", {"stack": "pytorch-1.9", "precision": "fp32"})
    assert any('precision = "tf32"' in note for note in card.assumptions)
