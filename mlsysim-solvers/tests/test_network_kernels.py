"""Kernels of layer lists that run operator by operator: one for each norm and activation function, where there is one."""

from __future__ import annotations

import pytest

from mlsysim.plugins import plugins
from mlsysim_solvers.lowering.network import NetworkKernels, lower_network, network_shape
from mlsysim_solvers.lowering.operators import Formats

FORMATS = Formats(2.0, 2.0, 2.0, 2.0, 2.0)


def launched(model: str, *, fused: bool, training: bool = False) -> float:
    shape = network_shape(plugins().registry.get("models", model).record.network)
    table = lower_network(shape, FORMATS, 1.0, NetworkKernels(fused), training=training)
    return sum(row.count * row.kernels for row in table)


@pytest.mark.parametrize(("model", "products", "norms", "activations", "others"), [
    # torchvision's: convolutions and dense layers; batch norms; activation functions; pools, joins and additions.
    ("squeezenet-1.1", 26, 0, 26, 4 + 8), ("vgg-16", 16, 0, 16, 5), ("resnet-50", 54, 53, 53, 2 + 16),
    ("densenet-121", 121, 121, 121, 5 + 58),
])  # fmt: skip
def test_operators_without_a_norm_start_no_kernel_for_one(model, products, norms, activations, others):
    assert launched(model, fused=False) == products + norms + activations + others
    assert launched(model, fused=True) <= products + norms + others


def test_statistics_of_a_batch_are_taken_where_there_are_norms_only():
    assert launched("vgg-16", fused=False, training=True) == launched("vgg-16", fused=False)
    assert launched("resnet-50", fused=False, training=True) == launched("resnet-50", fused=False) + 53


def test_an_activation_function_follows_each_norm_of_a_denoiser():
    shape = network_shape(plugins().registry.get("models", "stable-diffusion-1.5").record.network)
    assert shape.normed == 0.0
    assert shape.activations == 109.0
    assert launched("stable-diffusion-1.5", fused=False) == launched("stable-diffusion-1.5", fused=True) + 109 + 108
