"""``python -m mlsysim_registry.doctor``: whether the mlsysim that Python finds is this one.

The name ``mlsysim`` belongs to another project on the package index, whose import package is
called the same. Nothing here imports ``mlsysim``, so the answer does not depend on which wins.
"""

from __future__ import annotations

import re
from importlib import metadata
from importlib.machinery import PathFinder
from pathlib import Path

__all__ = ["findings", "main"]

OURS = "mlsysim-core"
THEIRS = "mlsysim"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def _distribution(name: str) -> metadata.Distribution | None:
    """Find an installed distribution by its exact normalised name."""
    for found in metadata.distributions():
        if _normal(str(found.metadata["Name"] or "")) == name:
            return found
    return None


def _package_file() -> Path | None:
    """Locate ``mlsysim/__init__.py`` as the import system would, without running it."""
    spec = PathFinder.find_spec("mlsysim")
    return Path(spec.origin).resolve() if spec and spec.origin else None


def _owns(distribution: metadata.Distribution, file: Path) -> bool:
    """Tell whether a file was installed by a distribution, also when that is installed in place."""
    listed = distribution.files or []
    if any(Path(str(entry.locate())).resolve() == file for entry in listed):
        return True
    for entry in listed:
        if entry.name.endswith(".pth"):
            lines = Path(str(entry.locate())).read_text(encoding="utf-8").splitlines()
            if any(line.strip() and file.is_relative_to(Path(line.strip()).resolve()) for line in lines):
                return True
    return False


def findings() -> list[str]:
    """Report what stands in the way of importing the right package.

    Returns
    -------
    list of str
        One sentence for each problem; empty when all is well.
    """
    found = []
    ours, theirs, file = _distribution(OURS), _distribution(THEIRS), _package_file()
    if theirs is not None:
        found.append(
            f"A distribution called {THEIRS!r} (version {theirs.version}) is installed. It is another project, and its "
            f"files share the import package 'mlsysim' with {OURS}. Remedy: pip uninstall {THEIRS}, then "
            f"pip install --force-reinstall {OURS}"
        )
    if ours is None:
        found.append(f"{OURS} is not installed. Remedy: pip install {OURS}")
    if file is None:
        found.append("Python finds no package called 'mlsysim'")
    elif ours is not None and not _owns(ours, file):
        found.append(
            f"'import mlsysim' finds {file}, which is not a file of {OURS} {ours.version}. Remedy: remove that folder "
            "from the working directory or from PYTHONPATH"
        )
    return found


def main() -> int:
    """Print the findings.

    Returns
    -------
    int
        0 when all is well, else 1.
    """
    found = findings()
    for sentence in found:
        print(sentence)
    if not found:
        print(f"'import mlsysim' finds {OURS}: all is well")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main())
