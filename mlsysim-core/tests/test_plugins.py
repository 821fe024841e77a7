"""Each plugin stands alone: a broken one is listed with its reason, the others work."""

from __future__ import annotations

import sys
import types

import attrs
import pytest
from core_toys import ECONOMICS, PERFORMANCE, ToyPlugin, ToySource, scenario

import mlsysim
from mlsysim.entry_points import EntryPoint
from mlsysim.errors import PluginError, UnknownNameError
from mlsysim.executors import ExecutorSpec
from mlsysim.hookspecs import hookimpl
from mlsysim.plugins import load_plugins
from mlsysim.renderers import Renderer
from mlsysim.units import UnitDef


def offering(hook, answer):
    """A plugin class whose one hook answers so."""

    def implementation(self):
        return answer

    implementation.__name__ = hook
    return type("Zeal", (), {hook: hookimpl(implementation)})()  # loaded after the toys


class Silent:
    """Implements nothing."""


BROKEN = {
    "typo": (type("T", (), {"mlsysim_register_solver": lambda self: []})(), "Did you mean 'mlsysim_register_solvers'"),
    "not a list": (offering("mlsysim_register_solvers", 3), "returned int, not a list"),
    "text": (offering("mlsysim_register_solvers", "abc"), "returned str, not a list"),
    "dict of wrong things": (offering("mlsysim_register_solvers", {"a": 1}), "returned a str, not a SolverSpec"),
    "wrong type": (offering("mlsysim_register_solvers", [3]), "returned a int, not a SolverSpec"),
    "class": (offering("mlsysim_register_sources", [ToySource]), "class ToySource. Did you forget the ()"),
    "class of spec": (offering("mlsysim_register_solvers", [mlsysim.SolverSpec]), "Did you forget the ()"),
    "no source": (offering("mlsysim_register_sources", [Silent()]), "without keys(), entry() and aliases()"),
    "no renderer": (offering("mlsysim_register_renderers", ["text"]), "not a Renderer"),
    "no executor": (offering("mlsysim_register_executors", [print]), "not a ExecutorSpec"),
    "no unit": (offering("mlsysim_register_units", [("EUR", 1.1)]), "not a UnitDef"),
    "taken unit": (offering("mlsysim_register_units", [UnitDef("W", 2.0, "s")]), "exists already with another meaning"),
    "unknown unit": (
        offering("mlsysim_register_solvers", [attrs.evolve(ECONOMICS, name="toy-euros", columns={"price": "EUR"})]),
        "the solver toy-euros: unknown unit 'EUR'",
    ),
    "unknown kind": (
        offering("mlsysim_register_solvers", [attrs.evolve(ECONOMICS, name="toy-kind", scenarios=("serveing",))]),
        "the solver toy-kind answers 'serveing', which is no kind of scenario. Did you mean 'serving'?",
    ),
    "same twice": (offering("mlsysim_register_solvers", [PERFORMANCE, PERFORMANCE]), "['toy-performance'] twice"),
    "taken solver": (offering("mlsysim_register_solvers", [ECONOMICS]), "is offered by ToyPlugin already"),
    "taken key": (offering("mlsysim_register_sources", [ToySource(name="copy")]), "exists already in toys"),
    "raises": (
        type("R", (), {"mlsysim_register_solvers": hookimpl(lambda self: 1 / 0)})(), "ZeroDivisionError",
    ),
    "wrong signature": (
        type("S", (), {"mlsysim_register_solvers": hookimpl(lambda self, config: [])})(), "config",
    ),
    "unhashable": (type("U", (), {"__hash__": None, "__eq__": lambda self, other: self is other})(), "unhashable"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_plugin_is_listed_and_breaks_nothing_else(name, isolated_plugins):
    plugin, reason = BROKEN[name]
    loaded = isolated_plugins(ToyPlugin(), plugin, Silent())
    (broken,) = loaded.broken
    assert reason in broken.reason
    assert (broken.hooks, broken.solvers, broken.packages) == ((), (), ())
    assert [info.status for info in loaded.infos].count("ok") == 2
    card = mlsysim.evaluate(scenario())
    assert card.unanswered == {}
    assert card.fits
    with pytest.raises(UnknownNameError) as caught:
        loaded.solver("toy-fancy")
    assert broken.name in caught.value.remedy


@pytest.mark.parametrize("name", BROKEN)
def test_strict_mode_makes_a_broken_plugin_fatal(name, isolated_plugins, monkeypatch):
    plugin, reason = BROKEN[name]
    monkeypatch.setenv("MLSYSIM_STRICT_PLUGINS", "1")
    with pytest.raises(PluginError) as caught:
        isolated_plugins(ToyPlugin(), plugin)
    assert reason in str(caught.value)
    assert caught.value.exit_code == 2


def entry_point(monkeypatch, source, name="fancy"):
    """An entry point to a module whose text is ``source``, run at import."""
    module = f"toy_module_{name}"
    monkeypatch.setitem(sys.modules, module, None)
    finder = types.SimpleNamespace(
        find_spec=lambda full, path=None, target=None: spec if full == module else None,
    )
    loader = types.SimpleNamespace(
        create_module=lambda spec: None, exec_module=lambda made: exec(source, made.__dict__),
    )  # fmt: skip
    import importlib.machinery

    spec = importlib.machinery.ModuleSpec(module, loader)
    monkeypatch.delitem(sys.modules, module)
    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, finder])
    return EntryPoint(name, module)


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_this_name", "ModuleNotFoundError"),
        ("raise SystemExit('not here')", "SystemExit: not here"),
        ("def broken(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("from mlsysim.solving import NothingLikeIt", "ImportError"),
        ("raise RecursionError('deep')", "RecursionError"),
    ],
)
def test_a_plugin_that_cannot_be_imported_is_listed(source, reason, isolated_plugins, monkeypatch):
    point = entry_point(monkeypatch, source)
    loaded = isolated_plugins(ToyPlugin(), entry_points=[point])
    (broken,) = loaded.broken
    assert broken.name == "fancy"
    assert reason in broken.reason
    assert mlsysim.evaluate(scenario()).fits


def test_an_interrupt_is_not_swallowed(isolated_plugins, monkeypatch):
    with pytest.raises(KeyboardInterrupt):
        isolated_plugins(entry_points=[entry_point(monkeypatch, "raise KeyboardInterrupt")])


def test_an_entry_point_to_a_module_works(isolated_plugins, monkeypatch):
    text = "from mlsysim import hookimpl\nfrom core_toys import *\nmlsysim_register_solvers = hookimpl(lambda: [PERFORMANCE])\n"
    text = text.replace("mlsysim_register_solvers = hookimpl(lambda: [PERFORMANCE])",
                        "@hookimpl\ndef mlsysim_register_solvers():\n    return [PERFORMANCE]")  # fmt: skip
    loaded = isolated_plugins(entry_points=[entry_point(monkeypatch, text)])
    assert loaded.broken == []
    assert list(loaded.solvers) == ["toy-performance"]


def test_two_plugins_of_one_name(isolated_plugins):
    loaded = isolated_plugins(Silent(), Silent())
    assert [info.status for info in loaded.infos] == ["ok", "broken"]
    assert "another plugin is called 'Silent' already" in loaded.broken[0].reason


def test_what_works_is_listed_with_its_contributions(world):
    (info,) = world.infos
    assert info.status == "ok"
    assert info.reason == ""
    assert set(info.hooks) == {"mlsysim_register_solvers", "mlsysim_register_sources"}
    assert info.packages == ("toys",)
    assert "toy-economics" in info.solvers
    assert world.broken_hint() == ""
    assert world.solver("toy-economics") is ECONOMICS
    with pytest.raises(UnknownNameError, match="Did you mean 'toy-economics'"):
        world.solver("toy-economic")


def test_built_in_plugins_load_first(isolated_plugins):
    class Given:
        def __init__(self, name, value):
            self.name, self.value, self.distribution, self.version = name, value, "", ""

        def load(self):
            return Silent()

    points = [
        Given("a-fancy", "fancy"),
        Given("solvers", "mlsysim_solvers.plugin"),
        Given("data", "mlsysim_registry.plugin"),
    ]
    loaded = load_plugins(points)
    assert [info.name for info in loaded.infos] == ["data", "solvers", "a-fancy"]


def test_the_order_of_plugins_changes_no_answer(isolated_plugins):
    parts = [ToyPlugin(specs=(spec,), sources=()) for spec in ToyPlugin().specs]
    named = [
        type(f"P{i}", (), {"mlsysim_register_solvers": hookimpl(lambda self, p=p: list(p.specs))})()
        for i, p in enumerate(parts)
    ]
    cards = []
    for order in (named, named[::-1]):
        isolated_plugins(*order, ToyPlugin(specs=()))
        cards.append(mlsysim.evaluate(scenario()))
    assert cards[0] == cards[1]


def test_a_name_taken_by_renderer_or_executor(isolated_plugins):
    for hook, item, what in (
        ("mlsysim_register_renderers", Renderer("fancy", str), "renderer 'fancy'"),
        ("mlsysim_register_executors", ExecutorSpec("fancy", map), "executor 'fancy'"),
    ):
        first, second = offering(hook, [item]), offering(hook, [attrs.evolve(item)])
        type(second).__name__ = "Second"
        assert what in isolated_plugins(first, second).broken[0].reason


def test_the_installed_plugins_stay_out(world):
    assert set(world.solvers) == {"toy-performance", "toy-economics", "toy-sustainability", "toy-lifetime"}
