"""Whatever a file or an argument holds: an answer without NaN, or an error that says what is wrong."""

from __future__ import annotations

import copy
import json
import math

import pytest
import tomli
from core_toys import CLASSES, DEVICE, MODEL, SOURCES, scenario
from hypothesis import example, given
from hypothesis import strategies as st

from mlsysim.config import SimulationConfig
from mlsysim.documents import Document, load_document, parse_text
from mlsysim.errors import ConfigError, MlsysimError
from mlsysim.evaluation import evaluate
from mlsysim.provenance import Source
from mlsysim.records import KINDS, Scenario
from mlsysim.structure import _Reader, read_facts, read_plain, read_settings
from mlsysim.structure.converting import converter

FULL = scenario(
    parallelism={"data": 1, "tensor": 1},
    place={"grid": "world", "price": "toy-rental"},
    constraints={"latency": "<= 1 s"},
    solvers={"economics": "toy-economics"},
    settings={"toy-lifetime": {"horizon": "1 h", "share": 0.5}},
    aliases=["t"],
    note="n",
)
FULL["system"].update(node="toy-box", stack="toy-stack", devices=1)

plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([0, -1, 2**63, 10**400, math.nan, math.inf, -math.inf, 1e308, 0.5])
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(
        [
            "bf16",
            "toy-one",
            "toy-lm",
            "toy-two",
            "<= 1 s",
            ">= 1 USD",
            "1 GB",
            "-3 s",
            "nan",
            "1e999",
            "\x00",
            "kind",
            "serving",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


def paths(data, path=()):
    """Every place in nested dictionaries and lists."""
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        yield (*path, key)
        yield from paths(value, (*path, key))


def mutated(data, draw):
    changed = copy.deepcopy(data)
    for _ in range(draw(st.integers(1, 3))):
        places = list(paths(changed))
        if not places:
            break
        *parents, last = draw(st.sampled_from(places))
        table = changed
        for key in parents:
            table = table[key]
        how = draw(st.sampled_from(["replace", "delete", "add"]))
        if how == "delete":
            del table[last]
        elif how == "add" and isinstance(table, dict):
            table[draw(st.sampled_from(["batch", "model", "source", "at", "value", "x", "", "a.b"]))] = draw(plain)
        else:
            table[last] = draw(plain)
    return changed


def outcome(attempt, *arguments):
    """What a call returned, or the error that it refused with; any other exception fails the test."""
    try:
        return attempt(*arguments), None
    except MlsysimError as error:
        refusal = error
    assert all(fault.what.strip() for fault in refusal.faults)
    return None, refusal


def finite(data):
    if isinstance(data, dict):
        return all(map(finite, data.values()))
    if isinstance(data, (list, tuple)):
        return all(map(finite, data))
    return not isinstance(data, float) or math.isfinite(data)


@given(st.data())
def test_mutated_scenarios(world, data):
    card, error = outcome(evaluate, mutated(FULL, data.draw))
    if error is not None:
        assert error.exit_code == 2
    else:
        assert finite({name: answer.value for name, answer in card.answers.items()})
        assert card.exit_code in (0, 3, 4)


@given(plain)
def test_anything_for_a_scenario(world, data):
    if isinstance(data, dict):
        with pytest.raises(MlsysimError):
            SimulationConfig.from_dict(data)


@given(st.sampled_from([("devices", DEVICE), ("models", MODEL)]), st.data())
def test_mutated_cards(card, data):
    kind, text = card
    changed = mutated(tomli.loads(text), data.draw)
    result, error = outcome(read_facts, KINDS[kind], Document("card", changed), SOURCES)
    if error is None:
        for field, found in result[1].items():
            assert all(math.isfinite(claim.value) for claim in found), field
            assert all(claim.source or claim.kind == "estimate" for claim in found), field


def converted(cls, data, sources=None):
    """What the converter alone makes of data, and the claims on it; None where it refuses."""
    reader = _Reader(Document("card", data), sourced=sources is not None, sources=sources or {}, direct=False)
    walked = reader.table(cls, data, "", {})
    try:
        return None if reader.faults else (converter.structure(walked, cls), reader.claims)
    except Exception:  # noqa: BLE001 - cattrs raises groups of whatever its hooks raise
        return None


CARDS = [("devices", DEVICE), *((kind, text) for kind, cards in CLASSES.items() for text in cards.values())]


@given(st.sampled_from(CARDS), st.data())
def test_reading_straight_is_converting(card, data):
    """Same verdict, same record, same claims: also for the values that only the converter could refuse."""
    kind, text = card
    changed = mutated(tomli.loads(text), data.draw)
    result, _ = outcome(read_facts, KINDS[kind], Document("card", changed), SOURCES)
    assert result == converted(KINDS[kind], changed, SOURCES)


@given(st.data())
def test_reading_a_scenario_straight_is_converting(data):
    changed = mutated(FULL, data.draw)
    result, _ = outcome(read_settings, Scenario, Document("s", changed))
    made = converted(Scenario, changed)
    assert result == (None if made is None else made[0])


@given(st.data())
def test_reading_a_document_straight_is_converting(data):
    row = {"id": "x", "title": "T", "publisher": "P", "url": "u", "kind": "page", "tier": "primary",
           "retrieved": "2026-11-22", "derived_from": ["a", "b"], "note": "n"}  # fmt: skip
    changed = mutated(row, data.draw)
    try:
        wanted = converter.structure(changed, Source)
    except Exception:  # noqa: BLE001 - cattrs raises groups of whatever its hooks raise
        with pytest.raises(ConfigError):
            read_plain(Source, changed)
    else:
        assert read_plain(Source, changed) == wanted


@given(st.sampled_from([".toml", ".json", ".yaml"]), st.integers(0, 10_000), st.integers(0, 20), st.text(max_size=10))
@example(".json", 0, 0, "[" * 100_000)
@example(".yaml", 0, 0, "&a [*a]\n")
@example(".yaml", 0, 10_000, "a: &a [1]\nb: *a\n")
@example(".yaml", 0, 10_000, "? [a, b]\n: 1\n")
@example(".yaml", 0, 10_000, "1: 2\nnull: 3\n2020-01-01: 4\n")
@example(".yaml", 0, 10_000, "name: 2020-01-01\nkind: inference\n")
@example(".toml", 0, 0, "d = 2020-01-01T00:00:00Z\n")
@example(".toml", 0, 10_000, "name = 07:32:00\nkind = 'inference'\nworkload.batch = 2020-01-01")
def test_damaged_texts(world, tmp_path, suffix, position, cut, inserted):
    text = DEVICE if suffix == ".toml" else json.dumps(FULL, indent=1)
    position %= len(text)
    path = tmp_path / f"damaged{suffix}"
    path.write_text(text[:position] + inserted + text[position + cut :], encoding="utf-8", errors="surrogatepass")
    for read in (evaluate, lambda p: read_facts(KINDS["devices"], load_document(p), SOURCES)):
        outcome(read, path)


@given(st.binary(max_size=200), st.sampled_from([".toml", ".json", ".yaml"]))
def test_bytes(tmp_path, raw, suffix):
    path = tmp_path / f"bytes{suffix}"
    path.write_bytes(raw)
    document, error = outcome(load_document, path)
    assert isinstance(document.data, dict) if error is None else str(path) in str(error)


keys = st.sampled_from(
    [".".join(map(str, p)) for p in paths(FULL)]
    + ["batch", "model", "device", "latency", "kind", "x", "", ".", "a.b.c"]
)


@given(st.dictionaries(keys | st.text(max_size=8), st.text(max_size=8) | plain.map(str), max_size=3))
@example({"batch": "1\ny = 2"})
@example({"system": "3", "system.device": "x"})
@example({"workload.batch": "9" * 5000})
@example({"kind": "serving"})
@example({"name": "[" * 3000})
def test_any_override(world, overrides):
    card, error = outcome(evaluate, FULL, overrides)
    assert error is not None or finite([answer.value for answer in card.answers.values()])


def test_a_yaml_bomb_is_refused():
    """Nine levels of nine aliases each would be 387 million entries when written out."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    with pytest.raises(MlsysimError, match="aliases") as caught:
        parse_text("\n".join(lines), ".yaml", "bomb.yaml")
    assert len(str(caught.value)) < 1000
