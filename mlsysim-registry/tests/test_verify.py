"""Reading documents again: against a server on this machine, never the network."""

from __future__ import annotations

import gzip
import hashlib
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

import attrs
import pytest

from mlsysim.cli import main
from mlsysim.errors import RegistryError
from mlsysim.provenance import Level, Source
from mlsysim_registry.refresh import verified as kept
from mlsysim_registry.refresh.reading import appears, text_of
from mlsysim_registry.refresh.verifying import _address, citations, verify
from mlsysim_registry.web import Reply, get

from .conftest import Package

PAGE = (
    b"<html><body><table><tr><td>Bandwidth</td><td>25&nbsp;GB/s</td></tr></table><script>26 GB/s</script></body></html>"
)


ANSWERS: dict[str, tuple[bytes, dict[str, str], int]] = {
    "/page": (PAGE, {"Content-Type": "text/html; charset=utf-8"}, 200),
    "/moved": (b"", {"Location": "/page"}, 302),
    "/away": (b"", {"Location": "http://localhost:1/page"}, 302),
    "/circle": (b"", {"Location": "/circle"}, 302),
    "/bomb": (gzip.compress(b"0" * 5_000_000), {"Content-Encoding": "gzip"}, 200),
    "/garbled": (b"not gzip", {"Content-Encoding": "gzip"}, 200),
    "/pdf": (b"%PDF-1.7 ...", {}, 200),
}


class Handler(BaseHTTPRequestHandler):
    """Good and bad manners."""

    seen: ClassVar[list[dict[str, str]]] = []

    def do_GET(self) -> None:
        self.seen.append(dict(self.headers))
        path = self.path.split("?")[0]
        if path == "/drip":
            self._drip()
        else:
            self._send(*ANSWERS.get(path, (b"", {}, 404)))

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        try:
            for _ in range(100):
                self.wfile.write(b"x")
                self.wfile.flush()
                time.sleep(0.1)
        except OSError:
            return

    def _send(self, body: bytes, headers: dict[str, str], status: int) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    running = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.daemon_threads = True
    thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{running.server_address[1]}"
    running.shutdown()
    running.server_close()
    thread.join()


@pytest.fixture(autouse=True)
def _own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MLSYSIM_DATA_DIR", str(tmp_path / "user"))


def source_at(url: str) -> Source:
    return Source("acme", "T", "Acme", url, "page", "primary", "2026-11-20")


# --- reading --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("printed", "at", "text", "there"),
    [
        ("3.35 TB/s", "table", "memory 3.35TB/s peak", True), ("3.35TB/s", "table", "3.35\u202fTB/s", True),
        ("3.35 TB/s", "table", "13.35 TB/s", False), ("3.35 TB/s", "table", "3.35 GB/s", False),
        ("81,559 MiB", "x", "total: 81,559 MIB", True), ("989.4 TFLOPS", "x", "1,989.4 TFLOPS", False),
        ("4096", "x", "hidden_size: 4096,", True), ("4096", "x", "14096 40960 4096.5", False),
        ("8", "row of heads", "layers 12, heads: 8", True), ("8", "row of heads", "x" * 900 + " 8 " + "y" * 900, False),
        ("", "x", "anything", False), ("826 mm²", "die size", "826 mm2", True), ("[8", "x", "[8", True),
    ],
)  # fmt: skip
def test_a_number_is_found_as_printed_and_whole(printed: str, at: str, text: str, there: bool) -> None:
    assert appears(printed, at, text) is there


def test_text_of_html_leaves_out_scripts_and_entities() -> None:
    text = text_of(PAGE, "text/html")
    assert text is not None
    assert appears("25 GB/s", "Bandwidth", text)
    assert not appears("26 GB/s", "Bandwidth", text)
    assert text_of(b"%PDF-1.7") is None
    assert text_of(b"PK\x03\x04") is None
    assert text_of(b'{"a": "<b>"}') == '{"a": "<b>"}'


def test_a_page_that_shows_a_file_is_read_as_the_file() -> None:
    assert (
        _address("https://github.com/a/b/blob/main/c/d.json") == "https://raw.githubusercontent.com/a/b/main/c/d.json"
    )
    assert _address("https://example.org/blob/x") == "https://example.org/blob/x"


# --- fetching -------------------------------------------------------------------------------------


def test_a_page_is_read_also_behind_a_redirect_of_the_same_host(server: str) -> None:
    assert get(f"{server}/page").body == PAGE
    moved = get(f"{server}/moved")
    assert moved.body == PAGE
    assert moved.kind == "text/html"


@pytest.mark.parametrize(
    ("path", "said"),
    [("/away", "another host, localhost"), ("/circle", "redirects more than 3"), ("/bomb", "more than 100,000 bytes"),
     ("/drip", "longer than 1 s"), ("/garbled", "ContentDecodingError")],
)  # fmt: skip
def test_bad_manners_are_refused(server: str, path: str, said: str) -> None:
    start = time.monotonic()
    with pytest.raises(RegistryError, match=said):
        get(server + path, limit=100_000, deadline=1.0)
    assert time.monotonic() - start < 8  # the drip alone would take ten seconds


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:{port}/page", "http://localhost:{port}/page", "http://[::1]:{port}/page", "https://localhost/",
     "https://169.254.169.254/latest", "https://10.0.0.1/", "file:///etc/passwd", "ftp://example.org/x", "no address", ""],
)  # fmt: skip
def test_addresses_from_data_never_lead_to_this_machine_or_a_private_network(server: str, url: str) -> None:
    before = len(Handler.seen)
    with pytest.raises(RegistryError, match=r"private network|is not read"):
        get(url.format(port=server.rsplit(":", 1)[1]), public=True)
    assert len(Handler.seen) == before


def test_a_name_that_resolves_to_a_private_address_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("socket.getaddrinfo", lambda *a, **k: [(2, 1, 6, "", ("192.168.1.1", 443))])
    with pytest.raises(RegistryError, match="private network"):
        get("https://example.org/", public=True)


def test_secrets_are_neither_sent_nor_printed(server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password hunter2\n", encoding="utf-8")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    get(f"{server}/page")
    assert not {"authorization", "cookie"} & {name.lower() for name in Handler.seen[-1]}
    with pytest.raises(RegistryError) as caught:
        get("http://127.0.0.1:1/x?api_key=hunter2")
    assert "hunter2" not in str(caught.value)


def test_offline_forbids_everything(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLSYSIM_OFFLINE", "1")
    with pytest.raises(RegistryError, match="MLSYSIM_OFFLINE"):
        get(f"{server}/page")


# --- verifying ------------------------------------------------------------------------------------


def test_numbers_are_looked_for_and_the_hash_is_kept(server: str, package: Package) -> None:
    cited = citations(package())
    assert {name for name, _ in cited["acme"]} >= {"links/fastlink-1 bandwidth", "devices/chip-1 memory.bus"}
    assert "links/fastlink-2 bandwidth" not in {name for name, _ in cited["acme"]}  # derived: it is not printed so
    result = verify(source_at(f"{server}/page"), cited["acme"], public=False)
    assert result.sha256 == hashlib.sha256(PAGE).hexdigest()
    assert result.found == ("links/fastlink-1 bandwidth",)
    assert "devices/chip-1 power.tdp" in result.missing
    with pytest.raises(RegistryError, match="no plain text"):
        verify(source_at(f"{server}/pdf"), cited["acme"], public=False)


def _verified(**changes: object) -> kept.Verified:
    base = kept.Verified("https://example.org/acme", "ab" * 32, "2026-11-22", ("links/fastlink-1 bandwidth",))
    return attrs.evolve(base, **changes)


@pytest.mark.parametrize(
    ("verified", "level"),
    [(_verified(), Level.ARCHIVED), (_verified(missing=("x",)), Level.STATED), (_verified(found=()), Level.STATED),
     (_verified(url="https://example.org/changed"), Level.STATED)],
)  # fmt: skip
def test_a_document_counts_as_archived_only_when_all_was_found(
    package: Package, verified: kept.Verified, level: Level
) -> None:
    kept.record("acme", verified)
    standing = package().get("links", "fastlink-1").standing("bandwidth")
    assert standing is not None
    assert standing.level is level


def test_the_overlay_is_replaced_whole_and_keeps_other_entries() -> None:
    for key in ("one", "two"):
        kept.record(key, _verified())
    assert set(kept.load()) == {"one", "two"}
    folder = kept.verified_file().parent
    assert [p.name for p in folder.iterdir()] == ["verified.json"]


def test_two_writers_at_once_lose_nothing() -> None:
    def write(start: int) -> None:
        for i in range(start, start + 10):
            kept.record(f"s{i}", _verified())

    writers = [threading.Thread(target=write, args=(10 * n,)) for n in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(kept.load()) == 30


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff", b'{"acme": 1}', b'{"acme": {"sha256": 3}}', b"[" * 100_000, b"0" * 5_000_000]
)
def test_a_damaged_overlay_counts_as_empty(package: Package, content: bytes) -> None:
    file = kept.verified_file()
    file.parent.mkdir(parents=True)
    file.write_bytes(content)
    assert kept.load() == {}
    assert package().get("links", "fastlink-1").record.bandwidth == 25e9


def test_a_link_in_the_place_of_the_overlay_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious.txt"
    target.write_text("precious", encoding="utf-8")
    kept.verified_file().parent.mkdir(parents=True)
    kept.verified_file().symlink_to(target)
    kept.record("acme", _verified())
    assert target.read_text(encoding="utf-8") == "precious"
    assert json.loads(kept.verified_file().read_text(encoding="utf-8"))["acme"]["date"] == "2026-11-22"


def _get_here(url: str, *, limit: int, public: bool) -> Reply:
    assert public  # the command never allows what the test server needs
    return get(url, limit=limit)


def test_the_command_reports_and_goes_on(
    server: str, package: Package, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = package(
        acme=("https://example.org/acme", f"{server}/page"), other=("https://example.org/other", f"{server}/none")
    )
    monkeypatch.setattr("mlsysim.front.registry", lambda: registry)
    monkeypatch.setattr("mlsysim_registry.refresh.verifying.get", _get_here)
    monkeypatch.setattr("mlsysim_registry.commands.verify_command._PAUSE", 0)
    assert main(["verify", "--all"]) == 4
    out = capsys.readouterr().out
    assert "acme: 1 found again" in out
    assert "not found: devices/chip-1 power.tdp" in out
    assert "status 404" in out
    assert main(["verify", "acme"]) == 1
    for words in (["verify"], ["verify", "acne"]):
        assert main(words) == 2
    assert "'acme'" in capsys.readouterr().err
