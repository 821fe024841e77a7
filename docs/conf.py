"""Sphinx configuration. The reference pages and the catalog are generated from the installed distributions."""

from __future__ import annotations

import os
import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))
# Ages of documents in the catalog are those of a fixed day, so that two builds are equal.
os.environ.setdefault("MLSYSIM_TODAY", "2026-12-01")

import _gen  # noqa: E402 - needs the path above

_gen.write(HERE / "catalog")

project = "mlsysim"
author = "the authors of mlsysim"
copyright = "the authors of mlsysim, Apache-2.0"  # noqa: A001 - the name that Sphinx reads
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_design",
]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
html_theme = "furo"
html_title = "mlsysim"
html_static_path: list[str] = []
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
# Types in docstrings are words with units ("float, B/s"), not names of classes to link.
napoleon_use_param = False
napoleon_use_rtype = False
napoleon_use_ivar = False
# Names of the standard library and of other projects are not linked: a build needs no network.
nitpick_ignore_regex = [
    ("py:.*", r"(?!mlsysim).*"),
    ("py:.*", r".*\._\w+"),  # type variables
    ("py:.*", r"mlsysim\.\w+"),  # names of the front door stand in a table; their own modules document them
]
