"""What a plain import loads, shown by a process of its own and ``sys.modules``."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("numpy", "pint", "requests", "pluggy", "attrs", "cattrs", "yaml", "matplotlib", "tomli", "rtoml", "argparse")


def loaded_after(code: str, names: tuple[str, ...] = HEAVY) -> list[str]:
    """Run code in a fresh interpreter and return which of the names it loaded."""
    program = f"import sys\n{code}\nprint('LOADED', *sorted(m for m in {names!r} if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.split("LOADED", 1)[1].split()


def test_the_front_door_loads_nothing_heavy() -> None:
    assert loaded_after("import mlsysim") == []


def test_listing_plugins_loads_no_numbers() -> None:
    code = "from mlsysim.plugins import plugins; assert plugins().solvers"
    assert loaded_after(code, ("numpy", "pint", "requests", "matplotlib", "mlsysim_solvers.single_node")) == []


@pytest.mark.parametrize(
    "scenario",
    ["llama-3.1-8b-h100", "llama-3.1-70b-h100-8", "llama-3.1-8b-h100-rate", "deepseek-v3-b200-disaggregated",
     "gpt-175b-a100-1024", "resnet-50-server-t4"],
)  # fmt: skip
def test_a_scalar_answer_loads_no_numbers(scenario: str) -> None:
    code = f"import mlsysim; assert mlsysim.evaluate({scenario!r}).answers"
    assert loaded_after(code, ("numpy", "pint", "requests", "matplotlib", "cattrs")) == []


def test_reading_the_whole_registry_needs_no_converter() -> None:
    code = (
        "from mlsysim_registry.catalog import packaged\n"
        "data = packaged()\n"
        "assert [data.entry(kind, key) for kind in data.kinds() for key in data.keys(kind)]"
    )
    assert loaded_after(code, ("numpy", "pint", "requests", "matplotlib", "cattrs", "yaml")) == []


@pytest.mark.parametrize("code", ["import mlsysim.cli", "import mlsysim_registry", "import mlsysim_solvers"])
def test_packages_are_cheap_to_import(code: str) -> None:
    assert loaded_after(code, ("numpy", "pint", "requests", "matplotlib", "yaml")) == []


def test_public_names_stay_what_they_are() -> None:
    """A submodule of the same name must not take the place of a function once it is imported."""
    code = (
        "import importlib, pkgutil, mlsysim\n"
        "wanted = {n: getattr(mlsysim, n) for n in mlsysim.__all__}\n"
        "for m in pkgutil.iter_modules(mlsysim.__path__):\n"
        "    if m.name not in ('cli', 'plotting', 'testing', '__main__'):\n"
        "        importlib.import_module('mlsysim.' + m.name)\n"
        "import types\n"
        "shadowed = [n for n in wanted if isinstance(getattr(mlsysim, n), types.ModuleType)]\n"
        "assert not shadowed, shadowed"
    )
    loaded_after(code)


def test_every_public_name_resolves() -> None:
    import mlsysim

    for name in mlsysim.__all__:
        assert getattr(mlsysim, name) is not None
    assert set(dir(mlsysim)) == set(mlsysim.__all__)


@pytest.mark.parametrize(
    "name", ["SingleNodeSolver", "EconomicsSolver", "SustainabilitySolver", "ProvenanceMap", "SimulationConfig",
             "Quantity", "Scenario", "SystemEvaluation", "OOMError", "SLAViolation", "plot_scorecard"]
)  # fmt: skip
def test_published_names_are_found_through_the_front_door(name: str) -> None:
    import mlsysim

    assert getattr(mlsysim, name).__name__ == name


def test_an_unknown_name_is_an_attribute_error() -> None:
    import mlsysim

    with pytest.raises(AttributeError, match="nonsense"):
        _ = mlsysim.nonsense
    with pytest.raises(AttributeError, match="NoSuchSolver"):
        _ = mlsysim.NoSuchSolver
