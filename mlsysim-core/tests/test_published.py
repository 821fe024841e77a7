"""What a model that is published in few bits is served in where nobody says otherwise."""

from __future__ import annotations

import pytest

from mlsysim.config.published import published_formats


@pytest.mark.parametrize(
    ("published", "multiplied", "formats"),
    [
        ("", ("bf16", "fp8"), ("bf16", "")),
        ("fp8", ("bf16", "fp8"), ("fp8", "")),
        ("fp8", ("bf16",), ("bf16", "fp8")),  # kept so and widened on the way
        ("mxfp4", ("bf16", "fp8", "mxfp4"), ("bf16", "mxfp4")),  # inputs of layers keep 16 bits
    ],
)
def test_eight_bits_are_multiplied_where_they_can_be_and_fewer_are_unpacked(published, multiplied, formats):
    assert published_formats(published, multiplied, "bf16") == formats
