"""The simulation path never opens a socket."""

from __future__ import annotations

import ast
import socket
from typing import Any, NoReturn

import pytest

from mlsysim import registry
from mlsysim.evaluation import evaluate
from mlsysim.explaining import explain

NETWORK = {"socket", "ssl", "http", "urllib.request", "requests", "ftplib", "smtplib", "asyncio", "aiohttp", "httpx"}


@pytest.fixture
def _no_sockets(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> NoReturn:
        raise AssertionError("a socket was opened")

    for name in ("socket", "create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.mark.usefixtures("_no_sockets")
def test_evaluating_and_explaining_open_no_socket() -> None:
    for name in registry().keys("scenarios"):
        card = evaluate(name)
        explain(card, next(iter(card.answers)))


def test_only_live_sources_can_open_one(modules: list[Any]) -> None:
    """The network is imported only by what the registry's live commands use, and by the test kit's guard."""
    allowed = ("/refresh/", "/web.py", "/verify", "/testing/", "/hub", "/archive")
    found = [
        f"{module.path}:{node.lineno}"
        for module in modules
        if not any(place in module.path for place in allowed)
        for node in ast.walk(module.tree)
        if (isinstance(node, ast.Import) and any(a.name in NETWORK for a in node.names))
        or (isinstance(node, ast.ImportFrom) and node.level == 0 and node.module in NETWORK)
    ]
    assert found == []
