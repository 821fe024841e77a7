"""A user's mistake is answered with what was wrong and what to do, never with a traceback."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlsysim import registry

CODES = {0, 2, 3, 4}
WORKABLE = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
SCENARIOS = registry().keys("scenarios")
DATA = {
    name: tomli.loads(Path(registry().get("scenarios", name).path).read_text(encoding="utf-8")) for name in SCENARIOS
}

odd_numbers = st.sampled_from(
    [0, -1, 1, 7, 2**31, 2**63, 10**40, -(10**40), 0.5, 1e308, -1e308, 1e-320, float("nan"), float("inf")]
)
odd_texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(["", " ", "1 GB", "-3 s", "nan", "inf GB", "1e999 s", "80 GiB", "12 W", "bf16", "fp4", "h100-sxm",
                     "esp32-s3", "llama-3.1-405b", "resnet-50", "devices/h100", "../../etc", "\x00", "☃ s", "1 s/s^9"]),
)  # fmt: skip
odd_values = st.one_of(odd_numbers, odd_texts, st.booleans(), st.none(), st.lists(odd_numbers, max_size=2),
                       st.dictionaries(st.text(max_size=4), odd_numbers, max_size=2))  # fmt: skip
KEYS = sorted(
    {key for data in DATA.values() for key in data}
    | {f"{table}.{key}" for data in DATA.values() for table, inner in data.items() if isinstance(inner, dict) for key in inner}
    | {"parallelism.tensor", "parallelism.data", "parallelism.expert", "system.devices", "system.node", "place.site",
       "workload.weights", "workload.kv_cache", "solvers.performance", "settings.economics.lifetime", "nonsense", "a.b.c"}
)  # fmt: skip


def changed(data: dict[str, Any], changes: list[tuple[str, Any, bool]]) -> dict[str, Any]:
    """Return a scenario with some keys set or removed."""
    result: dict[str, Any] = json.loads(json.dumps(data))
    for path, value, remove in changes:
        *parents, last = path.split(".")
        table = result
        for part in parents:
            inner = table.get(part)
            if not isinstance(inner, dict):
                inner = table[part] = {}
            table = inner
        if remove:
            table.pop(last, None)
        else:
            table[last] = value
    return result


def behaves(done: Any) -> None:
    """Check what holds for every input whatsoever."""
    assert done.code in CODES, (done.code, done.err)
    assert "Traceback" not in done.err
    if done.code == 2:
        assert done.err.strip()
    else:
        assert not re.search(r"\bnan\b|\binf\b", done.out.lower()), done.out


@WORKABLE
@given(
    name=st.sampled_from(SCENARIOS),
    changes=st.lists(st.tuples(st.sampled_from(KEYS), odd_values, st.booleans()), min_size=1, max_size=3),
)
def test_any_scenario_file_is_answered_or_refused(
    name: str, changes: list[tuple[str, Any, bool]], mlsysim: Callable[..., Any]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.json"
        file.write_text(json.dumps(changed(DATA[name], changes)), encoding="utf-8")
        behaves(mlsysim("eval", str(file), "--format", "json"))


@WORKABLE
@given(text=st.text(max_size=80), suffix=st.sampled_from([".toml", ".json", ".yaml", ".txt", ""]))
def test_any_text_is_a_scenario_or_refused(text: str, suffix: str, mlsysim: Callable[..., Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"case{suffix}"
        file.write_text(text, encoding="utf-8", errors="replace")
        behaves(mlsysim("eval", str(file)))


@WORKABLE
@given(raw=st.binary(max_size=60))
def test_any_bytes_are_refused(raw: bytes, mlsysim: Callable[..., Any]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "case.toml"
        file.write_bytes(raw)
        assert mlsysim("eval", str(file)).code == 2


words = st.one_of(
    st.sampled_from(
        ["eval", "explain", "show", "list", "solvers", "plugins", "sweep", "--on", "--batch", "--input", "--output", "--set",
         "--format", "--json", "--precision", "--devices", "--kind", "--grid", "--vary", "--minimise", "--depth", "--field",
         "--match", "h100-sxm", "llama-3.1-8b", "resnet-50", "serving", "training", "smart-doorbell", "batch=1,2",
         "batch=64", "bandwidth=1:2:3", "place.grid=world", "workload.batch=", "=", "json", "text", "fp8", "32", "0", "-1",
         "1e9", "latency", "performance.latency", "cost_per_token", "devices", "devices/h100-sxm", "--", "-x"]
    ),
    odd_texts,
)  # fmt: skip


GOOD = (
    ("eval", "llama-3.1-8b-h100"),
    ("eval", "llama-3.1-8b", "--on", "h100-sxm", "--batch", "8"),
    ("eval", "smart-doorbell", "--format", "json"),
    ("explain", "resnet-50-training", "step_time"),
    ("sweep", "llama-3.1-8b-h100", "--vary", "batch=1,2,4"),
    ("show", "devices/h100-sxm", "--field", "memory"),
    ("list", "models"),
    ("solvers", "economics"),
)


@WORKABLE
@given(argv=st.lists(words, max_size=7))
def test_any_arguments_are_answered_or_refused(argv: list[str], mlsysim: Callable[..., Any]) -> None:
    behaves(mlsysim(*argv))


@WORKABLE
@given(good=st.sampled_from(GOOD), extra=st.lists(words, max_size=2), at=st.integers(1, 6), drop=st.booleans())
def test_good_arguments_with_odd_ones_are_answered_or_refused(
    good: tuple[str, ...], extra: list[str], at: int, drop: bool, mlsysim: Callable[..., Any]
) -> None:
    behaves(mlsysim(*good[:at], *extra, *good[at + drop :]))


@WORKABLE
@given(key=st.sampled_from(KEYS), value=odd_texts, name=st.sampled_from(SCENARIOS))
def test_any_override_is_answered_or_refused(key: str, value: str, name: str, mlsysim: Callable[..., Any]) -> None:
    behaves(mlsysim("eval", name, "--set", f"{key}={value}"))


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("eval", "lama-3.1-8b"), "llama-3.1-8b"),
        (("eval", "llama-3.1-8b"), "--on"),
        (("eval", "llama-3.1-8b", "--on", "h10o-sxm"), "h100-sxm"),
        (("eval", "llama-3.1-8b", "--on", "a100-sxm-80gb", "--precision", "fp8"), "bf16"),
        (("eval", "llama-3.1-8b-h100", "--set", "parallelism.tensor=3"), "heads"),
        (("eval", "llama-3.1-8b-h100", "--set", "parallelism.pipeline=64"), "layers"),
        (("eval", "llama-3.1-8b-h100", "--set", "workload.batch=0"), "batch"),
        (("eval", "llama-3.1-8b-h100", "--set", "workload.batch=1 GB"), "batch"),
        (("eval", "llama-3.1-8b-h100", "--set", "constraints.latency=fast"), "latency"),
        (("eval", "llama-3.1-8b-h100", "--set", "solvers.performance=economics"), "economics"),
        (("eval", "no-such-file.toml"), "no-such-file.toml"),
        (("explain", "llama-3.1-8b-h100", "latensy"), "latency"),
        (("show", "devices/h101"), "h100"),
        (("list", "device"), ""),
        (("evl", "llama-3.1-8b-h100"), "eval"),
        (("eval", "llama-3.1-8b-h100", "--batsh", "4"), "--batch"),
    ],
)
def test_the_message_helps(words: tuple[str, ...], says: str, mlsysim: Callable[..., Any]) -> None:
    done = mlsysim(*words)
    assert done.code == (2 if says else 0)
    assert says in done.err + done.out
    assert "Traceback" not in done.err


def test_all_faults_of_a_file_come_at_once_with_their_lines(tmp_path: Path, mlsysim: Callable[..., Any]) -> None:
    file = tmp_path / "wrong.toml"
    file.write_text(
        'name = "x"\nkind = "serving"\n[workload]\nmodel = "llama-3.1-8b"\nbatch = -1\ninput = "1 GB"\n'
        '[system]\ndevice = "h100-sxm"\nmemory = "80 GB"\n',
        encoding="utf-8",
    )
    done = mlsysim("eval", str(file))
    assert done.code == 2
    for line, key in ((5, "batch"), (6, "input"), (9, "memory")):
        assert f"wrong.toml:{line}: " in done.err
        assert key in done.err


def test_exit_codes(mlsysim: Callable[..., Any]) -> None:
    assert mlsysim("eval", "llama-3.1-8b-h100").code == 0
    assert mlsysim("eval", "llama-3.1-8b-h100", "--precision", "int3").code == 2
    assert mlsysim("eval", "llama-3.1-70b", "--on", "h100-sxm").code == 3
    assert mlsysim("eval", "llama-3.1-8b-h100", "--set", "constraints.latency=<= 1 us").code == 4
