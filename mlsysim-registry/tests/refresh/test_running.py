"""Reading live sources: good and bad manners of servers, keys, pages. Nothing here leaves this machine."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import pytest

from mlsysim.hookspecs import hookimpl
from mlsysim.refreshing import Datum, Refresher
from mlsysim.testing import given_plugins
from mlsysim_registry import plugin as builtin
from mlsysim_registry.refresh import running
from mlsysim_registry.refresh.sources.azure import AzureRetail
from mlsysim_registry.refresh.sources.owid import OwidCarbon
from mlsysim_registry.web import Reply, get

from .conftest import OWID, Server, azure_page, azure_row


class Toy(Refresher):
    """Reads what it is told to."""

    name = "toy"
    hosts = frozenset({"127.0.0.1"})
    source = OwidCarbon.source
    max_bytes = 50_000

    def __init__(self, *urls: str, env: tuple[str, ...] = ()) -> None:
        self.urls = urls
        self.env = env

    def requests(self) -> Iterable[str]:
        return self.urls

    def headers(self, secrets: Mapping[str, str]) -> Mapping[str, str]:
        return {"x-api-key": secrets["TOY_KEY"]} if self.env else {}

    def parse(self, raw: bytes) -> Iterable[Datum]:
        return [Datum("grids/fr", "carbon", raw.decode(), "body", asof="2025")]


def here(url: str, **options: Any) -> Reply:
    """Read as the runner does, but from this machine too."""
    assert options.pop("public")  # the runner always forbids what the test server needs
    return get(url, **{"deadline": 1.0, **options})


waits: list[float] = []
run = partial(running.run, read=here, wait=waits.append)


def test_a_source_is_read_and_parsed(server: Server) -> None:
    outcome = run(Toy(server.put("/a", b"41 gCO2/kWh"), server.put("/b", b"42 gCO2/kWh")))
    assert [datum.as_stated for datum in outcome.found] == ["41 gCO2/kWh", "42 gCO2/kWh"]
    assert outcome.problem == ""
    assert waits[-1] >= 1  # between two requests


@pytest.mark.parametrize(
    ("path", "body", "status", "headers", "said"),
    [("/away", b"", 302, {"Location": "http://localhost:1/x"}, "another host"),
     ("/bomb", gzip.compress(b"0" * 5_000_000, mtime=0), 200, {"Content_Encoding": "gzip"}, "more than 50,000 bytes"),
     ("/large", b"0" * 60_000, 200, {}, "more than 50,000 bytes"),
     ("/drip", b"", 200, {}, "longer than 1 s"),
     ("/gone", b"", 404, {}, "status 404"),
     ("/binary", b"\xff\xfe", 200, {}, "not understood")],
)  # fmt: skip
def test_a_bad_answer_is_a_failure_that_is_told(
    server: Server, path: str, body: bytes, status: int, headers: dict[str, str], said: str
) -> None:
    outcome = run(Toy(server.put(path, body, status, **headers)))
    assert said in outcome.problem
    assert outcome.found == ()


def test_the_runner_itself_reads_no_private_address(server: Server) -> None:
    outcome = running.run(Toy(server.put("/a", b"41 gCO2/kWh")))
    assert "private network" in outcome.problem
    assert server.asked == []


def test_a_busy_server_is_asked_three_times_and_no_more(server: Server) -> None:
    outcome = run(Toy(server.put("/busy", status=503, Retry_After="21600")))
    assert "503" in outcome.problem
    assert len(server.asked) == 3
    assert max(waits) < 10


def test_foreign_hosts_are_refused_also_as_following_pages(server: Server) -> None:
    assert "not one of the source's own" in run(Toy("https://example.org/x")).problem
    assert server.asked == []


class Paged(AzureRetail):
    """The real parser on the test server."""

    hosts = frozenset({"127.0.0.1"})
    first = ""

    def requests(self) -> Iterable[str]:
        return (self.first,)


def test_pages_are_followed_to_the_end(server: Server) -> None:
    paged = Paged()
    spot = azure_row(19.25, meterName="ND96isrH100v5 Spot")
    paged.first = server.put("/1", azure_page(azure_row(97.5), following=server.url + "/2"))
    server.put("/2", azure_page(spot))
    assert [d.as_stated for d in run(paged).found] == ["97.5 USD/h", "19.25 USD/h"]


@pytest.mark.parametrize(
    ("following", "said"), [("{url}/1", "circle"), ("https://example.org/2", "not one of the source's")]
)
def test_pages_lead_neither_in_circles_nor_away(server: Server, following: str, said: str) -> None:
    paged = Paged()
    paged.first = server.put("/1", azure_page(azure_row(97.5), following=following.format(url=server.url)))
    assert said in run(paged).problem
    assert len(server.asked) == 1


def test_a_short_table_counts_as_cut_off(server: Server) -> None:
    class Short(OwidCarbon):
        hosts = frozenset({"127.0.0.1"})

        def requests(self) -> Iterable[str]:
            return (server.put("/owid", OWID),)

    assert "only 2 numbers" in run(Short()).problem


# --- plugins --------------------------------------------------------------------------------------------------------


def _plugin(name: str, *offered: object) -> object:
    class Plugin:
        @hookimpl
        def mlsysim_register_refreshers(self) -> Iterable[Any]:
            if not offered:
                raise RuntimeError("out of order")
            return offered

    Plugin.__name__ = name
    return Plugin()


def test_sources_come_from_plugins_and_a_broken_one_hurts_no_other() -> None:
    with given_plugins(_plugin("a", Toy()), _plugin("b"), _plugin("c", "no source"), _plugin("d", Toy(), OwidCarbon())):
        found, broken = running.installed()
    assert set(found) == {"toy", "owid-carbon"}
    assert len(broken) == 3
    assert {"out of order" in why for why in broken.values()} == {True, False}


def test_the_built_in_sources_are_offered_through_the_hook() -> None:
    with given_plugins(builtin):
        found, broken = running.installed()
    assert {"azure-retail", "lambda", "owid-carbon", "uk-carbon"} == set(found)
    assert broken == {}


# --- keys -------------------------------------------------------------------------------------------------------------


def test_a_source_without_its_key_is_left_out(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TOY_KEY", raising=False)
    outcome = run(Toy(server.put("/a", b"1"), env=("TOY_KEY",)))
    assert outcome.skipped == "TOY_KEY not set"
    assert server.asked == []


def test_a_key_is_sent_to_its_host_and_not_through_a_redirect(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TOY_KEY", "hunter2")
    port = server.url.rsplit(":", 1)[1]
    run(Toy(server.put("/away", status=302, Location=f"http://localhost:{port}/thief"), env=("TOY_KEY",)))
    assert [path for path, _ in server.asked] == ["/away"]
    assert {k.lower(): v for k, v in server.asked[0][1].items()}["x-api-key"] == "hunter2"


@pytest.mark.parametrize("text", ["key hunter/2 refused", "https://x/?key=hunter%2F2", "\x1b[31mhunter/2\n"])
def test_no_message_shows_a_key_or_steers_the_terminal(
    server: Server, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("TOY_KEY", "hunter/2")

    class Leaky(Toy):
        def parse(self, raw: bytes) -> Iterable[Datum]:
            raise RuntimeError(text)

    problem = run(Leaky(server.put("/a", b"1"), env=("TOY_KEY",))).problem
    assert "RuntimeError" in problem
    assert "***" in problem
    assert "hunter" not in problem
    assert problem.isprintable()


def test_offline_nothing_is_asked(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSYSIM_OFFLINE", "1")
    assert "MLSYSIM_OFFLINE" in run(Toy(server.put("/a", b"1"))).problem
    assert server.asked == []


def test_a_class_in_the_place_of_its_instance_is_named_with_the_remedy() -> None:
    with given_plugins(_plugin("a", Toy)):
        found, broken = running.installed()
    assert found == {}
    assert list(broken.values()) == ["Toy is a class; offer an instance: Toy()"]
