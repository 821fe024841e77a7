"""Memory of devices of which only the label is known: its GB are GiB."""

from __future__ import annotations

import attrs
import pytest

from mlsysim.evaluation import evaluate
from mlsysim.plugins import plugins
from mlsysim_solvers.execution.device.labels import counts_binary, usable_of

REGISTRY = plugins().registry


def device(key):
    return REGISTRY.get("devices", key).record


def labelled(card):
    """Return a card as if only its label were known."""
    return attrs.evolve(card, memory=attrs.evolve(card.memory, usable=None))


def known_cards():
    """Return the cards with dies of their own whose usable memory was read."""
    found = (entry.record for entry in REGISTRY.entries("devices"))
    return [card for card in found if card.memory.usable is not None and counts_binary(labelled(card))]


def test_labels_tell_what_software_sees_where_both_are_known():
    cards = known_cards()
    assert len(cards) >= 20
    off = sorted(abs(usable_of(labelled(card)) / card.memory.usable - 1.0) for card in cards)
    # One label of the registry (270 GB of a B300) is that of a system, not of the chip.
    assert off[-2] < 0.02
    assert off[len(off) // 2] < 0.01


def test_what_was_read_goes_before_the_label():
    card = device("h100-sxm")
    assert usable_of(card) == card.memory.usable
    assert usable_of(labelled(card)) == pytest.approx(card.memory.usable, rel=0.01)


@pytest.mark.parametrize(("key", "binary"), [
    ("rtx-3090", True), ("h800-sxm", True), ("mi355x", True), ("a10", False), ("l40s", False), ("trainium1", False),
    ("raspberry-pi-5", False), ("m4-max", False),
])  # fmt: skip
def test_only_dies_of_their_own_without_bits_set_aside_are_counted_so(key, binary):
    keys = REGISTRY.keys("devices")
    if key not in keys:
        pytest.skip(f"no card of {key}")
    card = device(key)
    assert counts_binary(card) == binary
    assert binary == (usable_of(card) > card.memory.capacity)


def test_a_card_that_prints_gib_is_taken_at_its_word():
    card = labelled(device("rtx-3090"))
    exact = attrs.evolve(card, memory=attrs.evolve(card.memory, capacity=24.0 * 2**30))
    assert usable_of(exact) == 24.0 * 2**30


def server(device, *, share=0.0, devices=1, model="llama-3.1-8b", precision="bf16"):
    settings = {"in-flight": {"memory_share": share}} if share else {}
    return evaluate({
        "name": "left", "kind": "traffic", "system": {"device": device, "devices": devices, "stack": "sglang-0.4"},
        "workload": {"model": model, "precision": precision, "input": 512, "output": 256, "concurrency": 4},
        "parallelism": {"tensor": devices}, "settings": settings,
    })  # fmt: skip


@pytest.mark.parametrize(("key", "left"), [("h100-sxm", 13440), ("h200-sxm", 13440), ("b200-sxm", 26240)])
def test_a_server_leaves_bytes_free_and_not_a_share(key, left):
    # Larger devices read longer pieces of prompts from 160 GiB on, for whose activations more is left.
    usable = server(key)["feasibility.memory_usable"].value
    assert usable == pytest.approx(usable_of(device(key)) - left * 2.0**20)


def test_a_share_that_a_server_was_told_counts():
    usable = server("h200-sxm", share=0.5)["feasibility.memory_usable"].value
    assert usable == pytest.approx(0.5 * usable_of(device("h200-sxm")))


def test_eight_h20_hold_deepseek_v3_in_eight_bits():
    # sgl-project/sglang, pull request 7631, serves it on them.
    assert server("h20", devices=8, model="deepseek-v3", precision="fp8")["feasibility.fits"].value
