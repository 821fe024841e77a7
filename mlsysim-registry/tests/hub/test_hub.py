"""Models from a hub and from configurations on disk; the hub is a server on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from typing import ClassVar

import pytest

import mlsysim
from mlsysim.errors import RegistryError
from mlsysim.shapes import parameters
from mlsysim_registry.hub import resolve_model
from mlsysim_registry.hub.configs import FAMILIES, transformer_table
from mlsysim_registry.web import get, safe_url

SHA = "0123456789abcdef0123456789abcdef01234567"
LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 4096, "intermediate_size": 14336,
    "max_position_embeddings": 8192, "num_attention_heads": 32, "num_hidden_layers": 32, "num_key_value_heads": 8,
    "tie_word_embeddings": False, "vocab_size": 128256,
}  # fmt: skip
MIXTRAL = {**LLAMA, "model_type": "mixtral", "num_local_experts": 8, "num_experts_per_tok": 2, "vocab_size": 32000}


class Hub(http.server.BaseHTTPRequestHandler):
    """A hub with one open, one gated, one lying, one redirecting and one endless model."""

    seen: ClassVar[list[tuple[str, str | None]]] = []

    def do_GET(self) -> None:
        Hub.seen.append((self.path, self.headers.get("Authorization")))
        status, body, headers = self.answer()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def answer(self) -> tuple[int, bytes, dict[str, str]]:
        path = self.path
        about = {"sha": SHA, "safetensors": {"total": 8030261248}}
        if path.startswith("/api/models/acme/away"):
            return 302, b"", {"Location": "https://elsewhere.example/secret"}
        if path.startswith("/api/models/acme/lying"):
            return 200, json.dumps({"sha": SHA, "safetensors": {"total": 9_000_000_000}}).encode(), {}
        if path.startswith("/api/models/acme/strange"):
            return 200, b"<html>maintenance</html>", {}
        if path.startswith("/api/models/acme/none"):
            return 404, b"", {}
        if path.startswith("/api/models/"):
            return 200, json.dumps(about).encode(), {}
        if "gated" in path:
            return 401, b"restricted", {}
        if "oddity" in path:
            return 200, json.dumps({**LLAMA, "model_type": "lama"}).encode(), {}
        return 200, json.dumps(LLAMA).encode(), {}

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def hub(monkeypatch, tmp_path):
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    Hub.seen = []
    monkeypatch.setenv("MLSYSIM_HUB", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setenv("MLSYSIM_CACHE", str(tmp_path))
    monkeypatch.delenv("MLSYSIM_OFFLINE", raising=False)
    monkeypatch.delenv("HF_TOKEN", raising=False)
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_model_of_the_hub_is_pinned_sourced_and_cross_checked(hub):
    entry = resolve_model("hf:acme/open")
    assert parameters(entry.record).total == 8_030_261_248
    source = entry.sources["hf:acme/open"]
    assert source.edition == SHA
    assert len(source.sha256) == 64
    assert entry.standing("transformer.hidden").level.label == "corroborated"
    assert entry.standing("transformer.hidden").chosen.at == "config.json: hidden"


def test_a_pinned_revision_is_read_from_the_cache(hub):
    resolve_model("hf:acme/open")
    before = len(Hub.seen)
    assert resolve_model(f"hf:acme/open@{SHA}").record.transformer.layers == 32
    assert len(Hub.seen) == before


def test_a_token_goes_to_the_hub(hub, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    resolve_model("hf:acme/open")
    assert {token for _, token in Hub.seen} == {"Bearer secret"}


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("hf:acme/gated", "gated or private"),
        ("hf:acme/none", "the hub has no acme/none"),
        ("hf:acme/lying", "the shape gives 8,030,261,248 parameters, the files hold 9,000,000,000"),
        ("hf:acme/strange", "is no JSON"),
        ("hf:acme/away", "is not read|redirects to another host"),
        ("hf:acme/oddity", "the architecture 'lama'"),
        ("hf:not a name", "is no model on the hub"),
    ],
)
def test_what_cannot_be_resolved_says_why(hub, name, says):
    with pytest.raises(RegistryError, match=says):
        resolve_model(name)


def test_offline_means_offline(hub, monkeypatch):
    monkeypatch.setenv("MLSYSIM_OFFLINE", "1")
    with pytest.raises(RegistryError, match="MLSYSIM_OFFLINE=1"):
        resolve_model("hf:acme/open")
    assert not Hub.seen


def test_a_configuration_on_disk_answers_like_any_model(tmp_path, monkeypatch):
    monkeypatch.setenv("MLSYSIM_OFFLINE", "1")
    path = tmp_path / "config.json"
    path.write_text(json.dumps(MIXTRAL))
    assert parameters(resolve_model(str(path)).record).total == 46_702_792_704
    scenario = {
        "name": "from disk", "kind": "serving", "workload": {"model": str(path), "batch": 1},
        "system": {"device": "h200-sxm"},
    }  # fmt: skip
    assert mlsysim.evaluate(scenario)["latency"].value > 0


@pytest.mark.parametrize("damage", ["layers", "heads", "text", "negative", "empty", "missing file"])
def test_a_faulty_configuration_is_refused(tmp_path, damage):
    data: dict[str, object] = dict(LLAMA)
    if damage == "layers":
        del data["num_hidden_layers"]
    elif damage == "heads":
        data["num_attention_heads"] = "32"
    elif damage == "negative":
        data["vocab_size"] = -1
    path = tmp_path / "config.json"
    if damage != "missing file":
        path.write_text({"text": "not json", "empty": ""}.get(damage, json.dumps(data)))
    with pytest.raises(mlsysim.MlsysimError):
        resolve_model(str(path))


def test_other_names_are_not_the_hubs_business():
    assert resolve_model("llama-3.1-8b") is None


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_gives_a_shape(family):
    config = {**LLAMA, "model_type": family, "type_vocab_size": 2 if family == "bert" else 0}
    table = transformer_table(config, where="test")
    assert (table["layers"], table["hidden"]) == (32, 4096)


def test_addresses_are_shown_without_secrets_and_only_safe_ones_are_read():
    assert safe_url("https://user:pw@host.example/path?api_key=secret") == "https://host.example/path"
    for url in ("http://host.example/x", "https://10.0.0.1/x", "file:///etc/passwd", "ftp://host.example/x"):
        with pytest.raises(RegistryError, match="is not read"):
            get(url)


def test_a_body_beyond_the_limit_is_refused(hub):
    with pytest.raises(RegistryError, match="more than 10 bytes"):
        get(f"http://127.0.0.1:{hub.server_port}/acme/open", limit=10)
