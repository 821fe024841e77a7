"""What the tests of the core share: a world of toys, no network, a fixed day."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

sys.path.insert(0, str(Path(__file__).parent))  # child processes inherit it and find the toy solvers

import core_toys

from mlsysim.plugins import Plugins
from mlsysim.testing.fixtures import isolated_plugins, no_network  # noqa: F401

settings.register_profile(
    "core",
    max_examples=int(os.environ.get("HYPOTHESIS_MAX_EXAMPLES", "60")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
settings.load_profile("core")


@pytest.fixture(autouse=True)
def _fixed_day(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSYSIM_TODAY", "2026-06-01")
    monkeypatch.delenv("MLSYSIM_STRICT_PLUGINS", raising=False)


@pytest.fixture
def world(isolated_plugins: Callable[..., Plugins]) -> Plugins:  # noqa: F811
    """The toy plugin alone: one device, one model, three questions."""
    return isolated_plugins(core_toys.ToyPlugin())
