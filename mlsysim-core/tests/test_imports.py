"""What importing costs, seen in ``sys.modules`` of a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

import mlsysim


def modules_after(code):
    """Names of all modules that a fresh interpreter holds after running ``code``."""
    script = f"import sys; sys.path[:] = {sys.path!r}\n{code}\nimport json; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-S", "-c", script], capture_output=True, text=True, check=True, timeout=120)
    return set(json.loads(run.stdout.splitlines()[-1]))


def roots(names):
    return {name.partition(".")[0] for name in names}


def test_importing_mlsysim_loads_nothing_else():
    before, after = modules_after(""), modules_after("import mlsysim")
    assert roots(after - before) <= {"mlsysim"} | set(sys.stdlib_module_names)
    assert {name for name in after if name.startswith("mlsysim")} == {"mlsysim"}
    assert not {"importlib.metadata", "asyncio", "multiprocessing", "json", "inspect"} & (after - before - {"json"})


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("from mlsysim import hookimpl", {"numpy", "pint", "requests", "cattrs", "attr", "yaml", "tomli", "rtoml"}),
        ("from mlsysim import MlsysimError, Request, SolverSpec", {"numpy", "pint", "requests", "cattrs"}),
        (
            "from mlsysim.plugins import load_plugins; load_plugins([])",
            {"numpy", "pint", "requests", "yaml", "matplotlib"},
        ),
        ("import mlsysim.formula, mlsysim.numeric, mlsysim.units", {"numpy", "pint", "pluggy", "attr"}),
        (
            "import mlsysim; mlsysim.SimulationConfig, mlsysim.evaluate",
            {"numpy", "pint", "requests", "yaml", "matplotlib"},
        ),
        ("import mlsysim; mlsysim.registry", {"numpy", "pint", "requests", "matplotlib"}),
    ],
)
def test_light_things_stay_light(code, absent):
    assert not absent & roots(modules_after(code))


def test_every_name_of_the_front_door_can_be_imported():
    for name in mlsysim.__all__:
        if name == "plot_scorecard":
            pytest.importorskip("matplotlib")
        assert getattr(mlsysim, name) is not None
    assert set(dir(mlsysim)) == set(mlsysim.__all__) == {*mlsysim._WHERE, "__version__"}
    assert mlsysim.MlsysimError is mlsysim.errors.MlsysimError


def test_other_names_are_refused(world):
    with pytest.raises(AttributeError, match="nothing"):
        _ = mlsysim.nothing
    with pytest.raises(AttributeError, match="no installed plugin offers it"):
        _ = mlsysim.NothingSolver


def test_a_class_of_a_data_package_is_found_through_the_front_door(world):
    assert mlsysim.ToySource is type(world.sources[0])
