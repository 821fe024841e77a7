"""Every check of the project, each in an environment of its own: ``nox --list`` names them."""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
CORE, REGISTRY, SOLVERS = "mlsysim-core", "mlsysim-registry", "mlsysim-solvers"
DISTRIBUTIONS = (CORE, REGISTRY, SOLVERS)
PLUGINS = tuple(sorted(f"plugins/{path.parent.name}" for path in ROOT.glob("plugins/*/pyproject.toml")))
CHECKOUT = (f"./{CORE}[plot]", f"./{REGISTRY}", f"./{SOLVERS}", *(f"./{plugin}" for plugin in PLUGINS))
TEST_TOOLS = ("hypothesis>=6.100", "pytest>=8", "pytest-xdist>=3.5", "sybil>=8")
DOCS_TOOLS = ("furo", "myst-parser>=3", "pytest>=8", "sphinx>=7.4", "sphinx-copybutton", "sphinx-design")
SOURCES = (*(f"{name}/src" for name in (*DISTRIBUTIONS, *PLUGINS)),)
# Unit tests hand over wrong things on purpose, know what is not None, and need no annotations of their own.
TEST_TYPES = (
    "--allow-untyped-defs", "--allow-incomplete-defs", "--allow-untyped-calls", "--allow-untyped-decorators",
    "--allow-any-generics", "--no-warn-return-any", "--no-warn-unused-ignores",
    *(f"--disable-error-code={code}" for code in (
        "arg-type", "attr-defined", "call-overload", "comparison-overlap", "has-type", "import-not-found", "index",
        "misc", "operator", "union-attr", "var-annotated",
    )),
)  # fmt: skip

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = False  # an absent interpreter is reported as skipped
nox.options.reuse_venv = "no"
nox.options.sessions = ["tests"]


def project_table(folder: str) -> dict[str, object]:
    """Read the project table of a distribution.

    Parameters
    ----------
    folder : str
        Folder of the distribution.

    Returns
    -------
    dict
    """
    table: dict[str, object] = nox.project.load_toml(ROOT / folder / "pyproject.toml")["project"]
    return table


def supported_pythons() -> list[str]:
    """Read the supported versions of Python from the classifiers of the core.

    Returns
    -------
    list of str
        For example ``["3.10", "3.11"]``.
    """
    classifiers = project_table(CORE)["classifiers"]
    return re.findall(r"Python :: (3\.\d+)", "\n".join(classifiers if isinstance(classifiers, list) else []))


def lowest_versions() -> list[str]:
    """Pin every declared third-party requirement to its lower bound.

    Returns
    -------
    list of str
        For example ``["attrs==23.2"]``.

    Raises
    ------
    ValueError
        If a requirement has no lower bound.
    """
    pins: set[str] = set()
    for folder in (*DISTRIBUTIONS, *PLUGINS):
        table = project_table(folder)
        declared = list(table.get("dependencies", []))  # type: ignore[call-overload]
        for name, extra in table.get("optional-dependencies", {}).items():  # type: ignore[attr-defined]
            # Gigabytes that no check needs: the tests put something small in place of PyTorch.
            declared += extra if name != "torch" else []
        for requirement in declared:
            match = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*>=\s*([0-9.]+)", requirement)
            if match is None:
                raise ValueError(f"{folder}: {requirement!r} has no lower bound")
            if not match[1].startswith("mlsysim"):
                pins.add(f"{match[1]}=={match[2]}")
    return sorted(pins)


def readme_command(position: int) -> str:
    """Return a command line of the README.

    Parameters
    ----------
    position : int
        0 installs and evaluates, 1 tests.

    Returns
    -------
    str
    """
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return " ".join(blocks[position].replace("\\\n", " ").split())


def run_tests(session: nox.Session, *options: str) -> None:
    """Run the tests of all distributions, on all cores unless arguments say otherwise.

    Parameters
    ----------
    session : nox.Session
        Where to run.
    *options : str
        Further options of pytest.
    """
    session.run("pytest", *(session.posargs or ("-n", "auto")), *options)


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests on the Python that runs nox."""
    session.install(*CHECKOUT, *TEST_TOOLS)
    run_tests(session)


def _tests_on(session: nox.Session) -> None:
    """Run all tests on one version of Python; skipped where it is not installed."""
    session.install(*CHECKOUT, *TEST_TOOLS)
    run_tests(session)


for _version in supported_pythons():
    nox.session(name=f"tests-{_version}", python=_version)(_tests_on)


@nox.session
def minimums(session: nox.Session) -> None:
    """Run all tests with the lowest versions that the distributions declare."""
    if sys.version_info >= (3, 13):
        session.skip("numpy 1.26, the lowest version declared, has no wheel for this Python")
    pins = Path(session.create_tmp()) / "lowest.txt"
    pins.write_text("\n".join(lowest_versions()) + "\n", encoding="utf-8")
    session.install(*CHECKOUT, *TEST_TOOLS, "-c", str(pins))
    session.run("python", "-m", "pip" if session.venv_backend != "uv" else "uv", "list", success_codes=[0, 1])
    # Old versions of others warn of their own future; that is not this project's fault.
    run_tests(session, "-W", "ignore::DeprecationWarning", "-W", "ignore::PendingDeprecationWarning")


@nox.session
def lint(session: nox.Session) -> None:
    """Check style and format with ruff; the reason for each ignored rule stands in pyproject.toml."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types strictly: the sources, this file, and the tests."""
    session.install(*CHECKOUT, "mypy>=1.11", "nox", "types-PyYAML", "types-requests", "sphinx",
                    "pytest-benchmark", *TEST_TOOLS)  # fmt: skip
    session.run("mypy", *SOURCES, "noxfile.py")
    crossing = [f"tests/{name}" for name in ("architecture", "docs", "integration")]
    session.run("mypy", *crossing, *(f"{plugin}/tests" for plugin in PLUGINS), "benchmarks", "--scripts-are-modules",
                env={"MYPYPATH": "benchmarks"})  # fmt: skip
    session.run("mypy", *TEST_TYPES, "tests/validation", env={"MYPYPATH": "tests/validation"})
    session.run("mypy", *sorted(map(str, Path("docs").glob("*.py"))), env={"MYPYPATH": "docs"})
    for name in DISTRIBUTIONS:
        with session.chdir(name):
            session.run("mypy", "--config-file", "../pyproject.toml", *TEST_TYPES, "tests", env={"MYPYPATH": "tests"})


def build_wheels(session: nox.Session) -> list[str]:
    """Build a source archive and a wheel of every distribution.

    Parameters
    ----------
    session : nox.Session
        Where to build.

    Returns
    -------
    list of str
        Paths of the wheels.
    """
    session.install("build>=1.2", "hatchling>=1.24")
    target = Path(session.create_tmp()).resolve() / "dist"
    shutil.rmtree(target, ignore_errors=True)
    for folder in (*DISTRIBUTIONS, *PLUGINS):
        session.run("python", "-m", "build", "--no-isolation", "--outdir", str(target), folder, silent=True)
    return sorted(str(path) for path in target.glob("*.whl"))


def clean_environment(session: nox.Session, name: str) -> Path:
    """Make a virtual environment with nothing but pip.

    Parameters
    ----------
    session : nox.Session
        Where to make it.
    name : str
        Name of its folder.

    Returns
    -------
    Path
        Folder of its programs.
    """
    folder = Path(session.create_tmp()).resolve() / name
    shutil.rmtree(folder, ignore_errors=True)
    session.run("python", "-m", "venv", str(folder))
    return folder / ("Scripts" if os.name == "nt" else "bin")


@nox.session
def wheels(session: nox.Session) -> None:
    """Build all wheels, install them into a clean environment, and run the README's commands there."""
    built = build_wheels(session)
    programs = clean_environment(session, "clean")
    away = session.create_tmp()
    python, mlsysim = str(programs / "python"), str(programs / "mlsysim")
    session.run(python, "-m", "pip", "install", "--quiet", *built, external=True)
    session.run(python, "-m", "pip", "check", external=True)
    with session.chdir(away):
        session.run(mlsysim, "plugins", external=True)
        session.run(mlsysim, "doctor", external=True)
        for command in readme_command(0).split("&&")[1:]:
            session.run(mlsysim, *command.split()[1:], external=True)
    # The README's first command itself, as on a fresh machine: from the checkout, in another environment.
    fresh = clean_environment(session, "fresh")
    path = f"{fresh}{os.pathsep}{os.environ['PATH']}"
    session.run("bash", "-euc", readme_command(0), external=True, env={"PATH": path})


@nox.session
def plugin(session: nox.Session) -> None:
    """Run the tests of each example plugin against the built wheels, as a stranger would."""
    built = build_wheels(session)
    session.install(*built, *TEST_TOOLS)
    for folder in PLUGINS:
        session.run("pytest", "-c", str(ROOT / "pyproject.toml"), "--rootdir", folder, f"{folder}/tests")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure speed as ratios within one run; nothing is asserted."""
    session.install(*CHECKOUT, "pytest>=8", "pytest-benchmark>=4")
    session.run("pytest", "benchmarks", "-p", "no:cacheprovider", "--benchmark-columns=min,median,ops",
                "--benchmark-disable-gc", *session.posargs)  # fmt: skip


@nox.session
def loop(session: nox.Session) -> None:
    """Measure this machine, predict small models on it, run them: fails where a prediction is a quarter off.

    ``nox -s loop -- torch`` compares in PyTorch, too.
    """
    session.install(*CHECKOUT, *session.posargs)
    session.run("python", "benchmarks/closed_loop.py")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; every warning is an error."""
    session.install(*CHECKOUT, *DOCS_TOOLS)
    shutil.rmtree(ROOT / "docs" / "_build", ignore_errors=True)
    session.run("sphinx-build", "-W", "-n", "--keep-going", "-q", "-j", "auto", "-b", "html", "docs",
                "docs/_build/html")  # fmt: skip


@nox.session
def accuracy(session: nox.Session) -> None:
    """Say whether the page of accuracy is as it would be written now; ``-- --write`` writes it.

    Not a part of what every change must pass: its last digits may differ between builds of numpy.
    """
    session.install(*CHECKOUT)
    session.run("python", "docs/_gen_accuracy.py", *([] if "--write" in session.posargs else ["--check"]))
