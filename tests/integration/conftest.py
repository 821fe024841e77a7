"""Running the command line as a user would, in this process."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable
from typing import NamedTuple

import pytest

from mlsysim.cli import main


class Run(NamedTuple):
    """What a command left behind."""

    code: int
    out: str
    err: str


def run(*words: str) -> Run:
    """Run one command."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    return Run(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def mlsysim() -> Callable[..., Run]:
    return run
