"""One test for each hook of the contract, and a test that there is one."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from core_toys import PERFORMANCE, ToyPlugin, ToySource, scenario

import mlsysim
from mlsysim import hookspecs
from mlsysim.errors import SolverError
from mlsysim.executors import ExecutorSpec
from mlsysim.hookspecs import hookimpl
from mlsysim.refreshing import Datum
from mlsysim.renderers import Renderer, find_renderer
from mlsysim.solving import Result
from mlsysim.units import UnitDef, parse_quantity

HOOKS = [name for name in vars(hookspecs) if name.startswith("mlsysim_")]


def test_every_hook_has_a_test_and_a_docstring():
    tests = "\n".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))
    assert len(HOOKS) >= 10
    for hook in HOOKS:
        assert f"def test_hook_{hook}(" in tests, hook
        assert "Called" in vars(hookspecs)[hook].__doc__, hook


def test_hook_mlsysim_register_solvers(isolated_plugins):
    loaded = isolated_plugins(ToyPlugin(specs=(PERFORMANCE,)))
    assert loaded.solvers == {"toy-performance": PERFORMANCE}
    assert mlsysim.evaluate(scenario()).solvers == {"performance": "toy-performance"}
    assert type(mlsysim.solver("toy-performance")).__name__ == "ToyPerformance"
    assert mlsysim.ToyPerformance is type(mlsysim.solver("toy-performance"))


def test_hook_mlsysim_register_sources(isolated_plugins):
    source = ToySource(name="own")
    loaded = isolated_plugins(ToyPlugin(sources=(source,)))
    assert loaded.sources == [source]
    assert mlsysim.registry().get("devices", "toy-one").package == "own"


def test_hook_mlsysim_register_refreshers(isolated_plugins):
    class Live:
        name, hosts, source = "live", frozenset({"example.org"}), "sheet"

        def requests(self):
            return ["https://example.org"]

        def parse(self, raw):
            return [Datum("devices/toy-one", "power.tdp", raw.decode(), "key tdp")]

    class Plugin:
        @hookimpl
        def mlsysim_register_refreshers(self):
            return [Live()]

    loaded = isolated_plugins(Plugin())
    ((refresher,),) = loaded.manager.hook.mlsysim_register_refreshers()
    (datum,) = refresher.parse(b"300 W")
    assert parse_quantity(datum.as_stated, "W") == 300.0


def test_hook_mlsysim_register_units(isolated_plugins):
    class Plugin:
        @hookimpl
        def mlsysim_register_units(self):
            return [UnitDef("EUR", 1.1, "USD")]

    isolated_plugins(Plugin())
    assert parse_quantity("2 EUR", "USD") == 2.2


def test_hook_mlsysim_register_executors(isolated_plugins):
    calls = []

    def backwards(function, chunks):
        calls.append("used")
        return iter([function(chunk) for chunk in chunks])

    class Plugin:
        @hookimpl
        def mlsysim_register_executors(self):
            return [ExecutorSpec("backwards", backwards)]

    isolated_plugins(ToyPlugin(), Plugin())
    result = mlsysim.sweep(scenario(), {"batch": [1, 2, 3]}, executor="backwards", chunk=2)
    assert calls == ["used"]
    assert len(result) == 3


def test_hook_mlsysim_register_renderers(isolated_plugins):
    class Plugin:
        @hookimpl
        def mlsysim_register_renderers(self):
            return [Renderer("short", lambda card: card.scenario.name)]

    isolated_plugins(ToyPlugin(), Plugin())
    assert find_renderer("short").render(mlsysim.evaluate(scenario())) == "toys"
    with pytest.raises(mlsysim.UnknownNameError, match="short"):
        find_renderer("shrot")


def test_hook_mlsysim_register_commands(isolated_plugins):
    class Plugin:
        @hookimpl
        def mlsysim_register_commands(self, commands):
            commands.add_parser("hello").set_defaults(run=lambda arguments: 7)

    loaded = isolated_plugins(Plugin())
    parser = argparse.ArgumentParser()
    loaded.manager.hook.mlsysim_register_commands(commands=parser.add_subparsers())
    arguments = parser.parse_args(["hello"])
    assert arguments.run(arguments) == 7


class Doubling:
    """Corrects what a solver answered."""

    @hookimpl(wrapper=True)
    def mlsysim_solve(self, spec, request):
        result = yield
        outputs = {**result.outputs, "performance.latency": 2 * result.outputs["performance.latency"]}
        return Result(result.solver, outputs, result.log_sd, result.assumptions) if spec is PERFORMANCE else result


def test_hook_mlsysim_solve(isolated_plugins):
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE,)))
    before = mlsysim.evaluate(scenario())["latency"].value
    isolated_plugins(ToyPlugin(specs=(PERFORMANCE,)), Doubling())
    assert mlsysim.evaluate(scenario())["latency"].value == 2 * before


def test_hook_mlsysim_solve_may_answer_instead_of_the_solver(isolated_plugins):
    class Cache:
        @hookimpl
        def mlsysim_solve(self, spec, request):
            return Result(spec.name, {"performance.latency": 1.0}) if spec is PERFORMANCE else None

    isolated_plugins(ToyPlugin(), Cache())
    card = mlsysim.evaluate(scenario())
    assert card["latency"].value == 1.0
    assert card["energy"].value == 300.0


def test_hook_mlsysim_solve_must_return_a_result(isolated_plugins):
    class Wrong:
        @hookimpl
        def mlsysim_solve(self, spec, request):
            return {"performance.latency": 1.0}

    isolated_plugins(ToyPlugin(), Wrong())
    with pytest.raises(SolverError, match="answered for toy-performance with dict, not a Result"):
        mlsysim.evaluate(scenario())


def test_hook_mlsysim_plugin_registered(isolated_plugins):
    seen = []

    class Listener:
        @hookimpl
        def mlsysim_plugin_registered(self, name, info):
            seen.append((name, info.status))

    class Broken:
        def mlsysim_nothing(self): ...

    isolated_plugins(ToyPlugin(), Broken(), Listener())
    assert ("ToyPlugin", "ok") in seen
    assert ("Listener", "ok") in seen
    assert len(seen) == 2
