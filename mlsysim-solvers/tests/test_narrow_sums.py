"""Sums in the format of the operands: GeForce cards take them at twice the rate, cards of data centres do not care."""

from __future__ import annotations

import pytest

from mlsysim.plugins import plugins
from mlsysim_solvers.execution.device.ceilings import ceiling_columns


@pytest.mark.parametrize(("key", "gain"), [("rtx-4090", 330.3 / 165.2), ("a100-sxm-80gb", 1.0)])
def test_a_library_with_narrow_sums_has_the_full_rate(key, gain):
    registry = plugins().registry
    device = registry.get("devices", key).record
    wide, narrow = (
        ceiling_columns(device, registry.get("stacks", stack).record, key, "fp16", {})["peak"]
        for stack in ("vllm-0.11", "exllamav2-0.0.1")
    )
    assert narrow / wide == pytest.approx(gain, rel=1e-3)


def test_prompts_are_expanded_and_single_tokens_are_not():
    """Expansion writes 16 bits for each weight; the answer's tokens read 4 bits and pay for no further kernel."""
    features = plugins().registry.get("stacks", "exllamav2-0.0.1").record.features
    assert features.expands_weights
    assert features.narrow_sums
    assert not features.narrows_inputs
    assert plugins().registry.get("stacks", "llama.cpp-b3000").record.features.narrows_inputs
