"""Models from a hub and from configurations on disk; the hub is a server on this machine."""

from __future__ import annotations

import http.server
import json
import threading
from typing import ClassVar

import attrs
import pytest

import mlsysim
from mlsysim.errors import RegistryError
from mlsysim.shapes import parameters
from mlsysim_registry.hub import resolve_model
from mlsysim_registry.hub.configs import FAMILIES, UNREAD, shape_table
from mlsysim_registry.hub.head_kinds import TWO_KINDS
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
        ("hf:acme/strange", "is not JSON"),
        ("hf:acme/away", "is not read|redirects to another host"),
        ("hf:acme/oddity", "the architecture 'lama'"),
        ("hf:not a name", "is not a model on the hub"),
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
    assert parameters(resolve_model(f"config:{json.dumps(MIXTRAL)}").record).total == 46_702_792_704
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


KINDS_OF_HEADS = {
    "layer_types": ["sliding_attention"] * 24 + ["full_attention"] * 8, "hybrid_layer_pattern": [1] * 24 + [0] * 8,
    "sliding_window": 512, "global_head_dim": None, "v_head_dim": 64, "swa_num_attention_heads": 32, "swa_num_key_value_heads": 16,
    "swa_head_dim": 128, "swa_v_head_dim": 64,
}  # fmt: skip


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_every_family_gives_a_shape(family):
    config = {**LLAMA, "model_type": family, "type_vocab_size": 2 if family == "bert" else 0}
    if family in TWO_KINDS:
        config |= KINDS_OF_HEADS
    section, table = shape_table(config, where="test")
    assert section == "transformer"
    assert (table["layers"], table["hidden"]) == (32, 4096)


T5 = {"model_type": "t5", "d_model": 1024, "d_kv": 64, "d_ff": 4096, "num_layers": 24, "num_heads": 16,
      "vocab_size": 32128, "n_positions": 512, "relative_attention_num_buckets": 32}  # fmt: skip
OTHER = {
    "t5-large": T5,
    "flan-t5-large": {**T5, "d_ff": 2816, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False,
                      "num_decoder_layers": 24},
    "whisper-large-v3": {
        "model_type": "whisper", "d_model": 1280, "encoder_layers": 32, "encoder_attention_heads": 20,
        "encoder_ffn_dim": 5120, "decoder_layers": 32, "decoder_attention_heads": 20, "decoder_ffn_dim": 5120,
        "vocab_size": 51866, "num_mel_bins": 128, "max_source_positions": 1500, "max_target_positions": 448,
        "num_hidden_layers": 32,
    },
    "mamba-2.8b": {"model_type": "mamba", "hidden_size": 2560, "num_hidden_layers": 64, "state_size": 16, "expand": 2,
                   "conv_kernel": 4, "vocab_size": 50280, "time_step_rank": 160, "intermediate_size": 5120},
    "mamba2-130m": {"model_type": "mamba2", "hidden_size": 768, "num_hidden_layers": 24, "state_size": 128, "expand": 2,
                    "conv_kernel": 4, "vocab_size": 50288, "num_heads": 24, "head_dim": 64, "n_groups": 1,
                    "chunk_size": 256, "time_step_rank": 256, "tie_word_embeddings": True,
                    "time_step_limit": [0.0, float("inf")]},
}  # fmt: skip
"""Models of the registry, as transformers describes them."""


@pytest.mark.parametrize("key", sorted(OTHER))
def test_architectures_beyond_one_stack_have_the_shape_of_the_registry(key, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(OTHER[key]))
    found, packaged = resolve_model(str(path)).record, mlsysim.registry().get("models", key).record
    assert (found.pair, found.state_space) == (packaged.pair, packaged.state_space)
    assert parameters(found).total == parameters(packaged).total


@pytest.mark.parametrize("key", sorted(OTHER))
def test_what_such_a_configuration_leaves_open_is_refused(key, tmp_path):
    path = tmp_path / "config.json"
    for name in ("vocab_size", "d_model" if "d_model" in OTHER[key] else "hidden_size"):
        path.write_text(json.dumps({k: v for k, v in OTHER[key].items() if k != name}))
        with pytest.raises(RegistryError, match=f"does not say {name}"):
            resolve_model(str(path))
        path.write_text(json.dumps({**OTHER[key], name: True}))
        with pytest.raises(RegistryError, match="is not a count"):
            resolve_model(str(path))


def test_the_automatic_rank_is_a_sixteenth_of_the_width(tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps({**OTHER["mamba-2.8b"], "time_step_rank": "auto"}))
    entry = resolve_model(str(path))
    assert entry.record.state_space.rank == 160
    assert entry.claims["state_space.rank"][0].kind == "derived"


def test_addresses_are_shown_without_secrets_and_only_safe_ones_are_read():
    assert safe_url("https://user:pw@host.example/path?api_key=secret") == "https://host.example/path"
    for url in ("http://host.example/x", "https://10.0.0.1/x", "file:///etc/passwd", "ftp://host.example/x"):
        with pytest.raises(RegistryError, match="is not read"):
            get(url)


def test_a_body_beyond_the_limit_is_refused(hub):
    with pytest.raises(RegistryError, match="more than 10 bytes"):
        get(f"http://127.0.0.1:{hub.server_port}/acme/open", limit=10)


UNREADABLE = ["zamba2", "bailing_hybrid", "gemma3n_text", "minimax_m3"]


@pytest.mark.parametrize("family", UNREADABLE)
def test_an_architecture_that_no_shape_expresses_is_refused_with_the_reason(tmp_path, family):
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "model_type": family}))
    with pytest.raises(RegistryError, match="no shape expresses the architecture") as caught:
        resolve_model(str(tmp_path / "config.json"))
    assert UNREAD[family] in str(caught.value)


@pytest.mark.parametrize(
    ("name", "why"),
    [("meituan-longcat/LongCat-Flash-Chat", "do nothing"), ("Faster R-CNN R50-FPN", "for each region"),
     ("RNN-T", "step through"), ("R-GAT", "neighbours"), ("Wan-AI/Wan2.2-T2V-A14B", "length and size"), ("google/gemma-3n-E4B-it", "share keys"),
     ("google/gemma-4-E4B-it", "share keys"), ("hf:google/gemma-4-E2B-it", "share keys")],
)  # fmt: skip
def test_a_model_that_no_shape_expresses_is_known_by_name(name, why):
    with pytest.raises(RegistryError, match=why):
        resolve_model(name)


HYBRID = {
    "model_type": "qwen3_5_text", "num_hidden_layers": 8, "hidden_size": 512, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 1024, "vocab_size": 1000,
    "max_position_embeddings": 4096, "full_attention_interval": 4, "linear_num_value_heads": 8,
    "linear_num_key_heads": 4, "linear_key_head_dim": 32, "linear_value_head_dim": 64, "linear_conv_kernel_dim": 4,
}  # fmt: skip


def test_layers_that_keep_a_state_are_read():
    _, table = shape_table(HYBRID, where="x")
    numbers = {"heads": 8, "groups": 4, "state": 32, "head_dim": 64, "conv": 4}
    assert table["states"] == {"kind": "gated-delta", "layers": 6, "attention": 2, "mlp": 8, **numbers}
    assert table["output_gate"]
    assert table["qk_norm"]


def test_another_pattern_of_layers_is_counted_and_an_unknown_one_refused():
    kinds = ["full_attention", *["linear_attention"] * 7]
    states = shape_table({**HYBRID, "layer_types": kinds}, where="x")[1]["states"]
    assert (states["layers"], states["attention"]) == (7, 1)
    with pytest.raises(RegistryError, match="which layers attend"):
        shape_table({**HYBRID, "layer_types": [*kinds[:-1], "another"]}, where="x")


MAMBA = {
    "model_type": "nemotron_h", "num_hidden_layers": 6, "hidden_size": 512, "num_attention_heads": 8,
    "num_key_value_heads": 2, "head_dim": 64, "intermediate_size": 1024, "vocab_size": 1000,
    "max_position_embeddings": 4096, "hybrid_override_pattern": "M-M-*-", "mamba_num_heads": 16, "mamba_head_dim": 64,
    "ssm_state_size": 128, "n_groups": 8, "conv_kernel": 4, "chunk_size": 128,
}  # fmt: skip


def test_state_spaces_among_the_layers_are_read():
    _, table = shape_table(MAMBA, where="x")
    kinds = {name: table["states"][name] for name in ("layers", "attention", "mlp")}
    assert kinds == {"layers": 2, "attention": 1, "mlp": 3}
    assert table["layers"] == 3
    named = {**MAMBA, "layers_block_type": ["mamba", "mlp", "mamba", "mlp", "attention", "mlp"]}
    named.pop("hybrid_override_pattern")
    assert shape_table(named, where="x")[1] == table


@pytest.mark.parametrize(
    ("change", "why"),
    [({"hybrid_override_pattern": "M-M"}, "no pairs"), ({"hybrid_override_pattern": "M-X-"}, "other letters"),
     ({"hybrid_override_pattern": ""}, "no pattern"), ({"hybrid_override_pattern": "M-ME"}, "experts and plain")],
)  # fmt: skip
def test_other_patterns_of_state_spaces_are_refused(change, why):
    with pytest.raises(RegistryError, match=why):
        shape_table({**MAMBA, **change}, where="x")


GRANITE_4 = {
    "model_type": "granitemoehybrid", "hidden_size": 4096, "num_hidden_layers": 40, "num_attention_heads": 32,
    "num_key_value_heads": 8, "num_local_experts": 72, "num_experts_per_tok": 10, "shared_intermediate_size": 1536,
    "intermediate_size": 768, "mamba_d_state": 128, "mamba_d_conv": 4, "mamba_expand": 2, "mamba_n_heads": 128,
    "mamba_d_head": 64, "mamba_n_groups": 1, "mamba_chunk_size": 256, "max_position_embeddings": 131072,
    "tie_word_embeddings": True, "vocab_size": 100352, "layer_types": ["mamba"] * 36 + ["attention"] * 4,
}  # fmt: skip
FALCON_H1 = {
    "model_type": "falcon_h1", "hidden_size": 3072, "num_hidden_layers": 44, "num_attention_heads": 12, "head_dim": 128,
    "num_key_value_heads": 2, "intermediate_size": 12288, "mamba_d_ssm": 3072, "mamba_n_heads": 24,
    "mamba_d_head": 128, "mamba_n_groups": 1, "mamba_d_state": 256, "mamba_d_conv": 4, "mamba_chunk_size": 128,
    "max_position_embeddings": 262144, "tie_word_embeddings": False, "vocab_size": 130048,
}  # fmt: skip


def read(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    return resolve_model(str(tmp_path / "config.json")).record


def test_state_spaces_in_place_of_attention_with_an_mlp_in_every_layer(tmp_path):
    record = read(tmp_path, GRANITE_4)
    counts = parameters(record)
    inner, mixed = 128 * 64, 128 * 64 + 2 * 128
    mamba = 4096 * (inner + mixed + 128) + inner * 4096 + mixed * 5 + 3 * 128 + inner
    attention = 2 * 4096 * 4096 + 2 * 4096 * 1024
    experts = 4096 * 72 + (72 + 2) * 3 * 4096 * 768
    assert counts.total == 36 * mamba + 4 * attention + 40 * (experts + 2 * 4096) + 4096 + 100352 * 4096
    assert counts.total == pytest.approx(32e9, rel=0.01)
    assert counts.active == pytest.approx(9e9, rel=0.03)
    assert record.transformer.mixture.shared == 2


def test_without_routed_experts_the_shared_one_is_the_mlp(tmp_path):
    record = read(tmp_path, {**GRANITE_4, "num_local_experts": 0, "shared_intermediate_size": 8192})
    assert (record.transformer.ffn, record.transformer.mixture) == (8192, None)


def test_state_spaces_beside_attention_in_every_layer(tmp_path):
    record = read(tmp_path, FALCON_H1)
    states = record.transformer.states
    assert (states.layers, states.attention, states.mlp, record.transformer.layers) == (44, 44, 44, 44)
    mixed = 3072 + 2 * 256
    mamba = 3072 * (3072 + mixed + 24) + 3072 * 3072 + mixed * 5 + 3 * 24 + 3072
    attention = 2 * 3072 * 12 * 128 + 2 * 3072 * 2 * 128
    counts = parameters(record)
    assert counts.total == 44 * (mamba + attention + 3 * 3072 * 12288 + 2 * 3072) + 3072 + 2 * 130048 * 3072
    assert counts.total == pytest.approx(7.6e9, rel=0.01)


def test_layers_of_either_kind_are_not_guessed(tmp_path):
    for change in ({"layer_types": None}, {"layer_types": ["mamba"] * 20 + ["attention"] * 4}):
        with pytest.raises(RegistryError, match="which layers attend"):
            read(tmp_path, {**GRANITE_4, **change})
    indices = {"layer_types": None, "attn_layer_indices": [9, 18, 27], "model_type": "bamba", "num_local_experts": 0}
    assert read(tmp_path, {**GRANITE_4, **indices}).transformer.states.layers == 37


def test_experts_on_compressed_vectors_are_read():
    mixture = {"n_routed_experts": 16, "num_experts_per_tok": 4, "moe_intermediate_size": 256, "moe_latent_size": 128}
    _, table = shape_table({**MAMBA, **mixture, "hybrid_override_pattern": "MEME*E"}, where="x")
    assert (table["mixture"]["latent"], table["mixture"]["experts"]) == (128, 16)


@pytest.mark.parametrize(
    "name", ["qwen3-32b", "gemma-3-27b", "gemma-4-31b", "granite-3.1-8b", "minimax-m2", "deepseek-v3.2"]
)
def test_names_alike_are_not_refused_with_them(name):
    assert resolve_model(name) is None
    assert mlsysim.plugins.plugins().registry.get("models", name).key == name


def test_what_a_shape_leaves_out_is_said(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({**LLAMA, "attn_res_block_size": 12}))
    entry = resolve_model(str(tmp_path / "config.json"))
    assert "outputs of earlier blocks" in entry.record.unmodelled
    config = {"kind": "serving", "workload": {"model": "minimax-m3", "precision": "fp8"},
              "system": {"device": "h200-sxm", "devices": 8}}  # fmt: skip
    said = mlsysim.evaluate({"name": "x", **config}).assumptions
    assert any("attention counts as full" in one for one in said)


GPT_OSS = {
    "model_type": "gpt_oss", "hidden_size": 2880, "intermediate_size": 2880, "num_attention_heads": 64,
    "num_key_value_heads": 8, "head_dim": 64, "num_hidden_layers": 24, "vocab_size": 201088, "sliding_window": 128,
    "max_position_embeddings": 131072, "num_local_experts": 32, "num_experts_per_tok": 4, "attention_bias": True,
    "tie_word_embeddings": False,
}  # fmt: skip
GRANITE = {
    "model_type": "granite", "hidden_size": 4096, "intermediate_size": 12800, "num_attention_heads": 32,
    "num_key_value_heads": 8, "num_hidden_layers": 40, "vocab_size": 49159, "max_position_embeddings": 131072,
    "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(("config", "total"), [(GPT_OSS, 20_914_757_184), (GRANITE, 8_170_864_640)])
def test_newer_architectures_give_the_published_number_of_elements(tmp_path, config, total):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert parameters(resolve_model(str(tmp_path / "config.json")).record).total == total


GEMMA_4 = {
    "model_type": "gemma4_text", "attention_k_eq_v": True, "enable_moe_block": True, "global_head_dim": 512,
    "head_dim": 256, "hidden_size": 2816, "intermediate_size": 2112, "max_position_embeddings": 262144,
    "layer_types": [*["sliding_attention"] * 5, "full_attention"] * 5, "moe_intermediate_size": 704,
    "num_attention_heads": 16, "num_experts": 128, "num_global_key_value_heads": 2, "num_hidden_layers": 30,
    "num_key_value_heads": 8, "num_kv_shared_layers": 0, "hidden_size_per_layer_input": 0, "sliding_window": 1024,
    "tie_word_embeddings": True, "top_k_experts": 8, "vocab_size": 262144, "attention_bias": False,
}  # fmt: skip
MIMO_V2 = {
    "model_type": "mimo_v2_flash", "num_hidden_layers": 48, "hidden_size": 4096, "num_attention_heads": 64,
    "num_key_value_heads": 4, "head_dim": 192, "v_head_dim": 128, "intermediate_size": 16384, "vocab_size": 152576,
    "max_position_embeddings": 262144, "sliding_window": 128, "swa_num_attention_heads": 64,
    "swa_num_key_value_heads": 8, "swa_head_dim": 192, "swa_v_head_dim": 128, "attention_bias": False,
    "hybrid_layer_pattern": [0, 1, 1, 1, 1, *[0, 1, 1, 1, 1, 1] * 7, 0], "moe_layer_freq": [0, *[1] * 47],
    "moe_intermediate_size": 2048, "n_routed_experts": 256, "n_shared_experts": None, "num_experts_per_tok": 8,
    "add_swa_attention_sink_bias": True, "add_full_attention_sink_bias": False, "tie_word_embeddings": False,
}  # fmt: skip


LAGUNA = {
    "model_type": "laguna", "vocab_size": 100352, "hidden_size": 2048, "intermediate_size": 8192,
    "num_hidden_layers": 40, "num_attention_heads": 48, "num_key_value_heads": 8, "head_dim": 128,
    "max_position_embeddings": 262144, "attention_bias": False, "num_experts": 256, "num_experts_per_tok": 8,
    "moe_intermediate_size": 512, "shared_expert_intermediate_size": 512, "tie_word_embeddings": False,
    "sliding_window": 512, "layer_types": ["full_attention", *["sliding_attention"] * 3] * 10,
    "mlp_layer_types": ["dense", *["sparse"] * 39], "num_attention_heads_per_layer": [48, 64, 64, 64] * 10,
}  # fmt: skip


@pytest.mark.parametrize(
    ("key", "config"),
    [("gemma-4-26b-a4b", {"text_config": GEMMA_4}), ("laguna-xs.2", LAGUNA), ("mimo-v2-flash", MIMO_V2)],
)
def test_heads_of_two_kinds_have_the_shape_of_the_registry(key, config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    assert resolve_model(str(path)).record.transformer == mlsysim.registry().get("models", key).record.transformer


def test_a_dense_model_with_heads_of_two_kinds_is_read():
    dense = {**GEMMA_4, "num_experts": None, "moe_intermediate_size": None, "top_k_experts": None}
    _, table = shape_table(dense, where="x")
    assert "mixture" not in table
    assert table["full"] == {"layers": 5, "kv_heads": 2, "head_dim": 512, "keys_as_values": True}
    _, apart = shape_table({**dense, "attention_k_eq_v": False}, where="x")
    assert apart["full"] == {"layers": 5, "kv_heads": 8, "head_dim": 512, "keys_as_values": False}


@pytest.mark.parametrize(
    ("config", "change", "why"),
    [(GEMMA_4, {"num_kv_shared_layers": 18}, "keys and values of others"),
     (GEMMA_4, {"hidden_size_per_layer_input": 256}, "embeddings of their own"),
     (GEMMA_4, {"layer_types": None}, "no list of full_attention"), (GEMMA_4, {"layer_types": ["linear"]}, "no list"),
     (GEMMA_4, {"num_global_key_value_heads": None}, "num_global_key_value_heads"),
     ({k: v for k, v in GEMMA_4.items() if k != "global_head_dim"}, {}, "global_head_dim"),
     (GEMMA_4, {"moe_intermediate_size": 700}, "no multiple"), (MIMO_V2, {"hybrid_layer_pattern": [2]}, "no list of 0"),
     (MIMO_V2, {"swa_v_head_dim": None}, "swa_v_head_dim"),
     (LAGUNA, {"num_attention_heads_per_layer": [48, 64, 64, 32] * 10}, "not one number"),
     (LAGUNA, {"num_attention_heads_per_layer": [48]}, "not one number")],
)  # fmt: skip
def test_what_heads_of_two_kinds_leave_open_is_refused(config, change, why):
    with pytest.raises(RegistryError, match=why):
        shape_table({**config, **change}, where="x")


EXAONE = {
    "model_type": "exaone", "hidden_size": 5120, "intermediate_size": 27392, "max_position_embeddings": 32768,
    "num_attention_heads": 40, "num_key_value_heads": 8, "num_layers": 64, "head_dim": 128, "vocab_size": 102400,
    "tie_word_embeddings": False,
}  # fmt: skip
GLM_4 = {
    "model_type": "glm", "attention_bias": True, "head_dim": 128, "hidden_size": 4096, "intermediate_size": 13696,
    "max_position_embeddings": 131072, "num_attention_heads": 32, "num_hidden_layers": 40, "num_key_value_heads": 2,
    "tie_word_embeddings": False, "vocab_size": 151552,
}  # fmt: skip
COMMAND_R = {
    "model_type": "cohere", "attention_bias": False, "hidden_size": 8192, "intermediate_size": 22528,
    "max_position_embeddings": 8192, "num_attention_heads": 64, "num_hidden_layers": 40, "num_key_value_heads": 64,
    "vocab_size": 256000, "tie_word_embeddings": True,
}  # fmt: skip


@pytest.mark.parametrize(("key", "config"), [("exaone-3.5-32b", EXAONE), ("glm-4-9b", GLM_4), ("command-r", COMMAND_R)])
def test_architectures_like_llamas_have_the_shape_of_the_registry(key, config, tmp_path):
    path = tmp_path / "config.json"
    path.write_text(json.dumps(config))
    found, packaged = (
        resolve_model(str(path)).record.transformer,
        mlsysim.registry().get("models", key).record.transformer,
    )
    assert attrs.evolve(found, context=packaged.context) == packaged


@pytest.mark.parametrize(
    ("full", "expected"),
    [(8, {"window": 512, "window_every": 4}), (0, {"window": 512}), (32, {"window": 0}),
     (9, {"window": 512, "full": {"layers": 9}})],
)  # fmt: skip
def test_a_list_of_layers_is_counted_where_it_is_not_the_usual_one(full, expected):
    kinds = ["sliding_attention"] * (32 - full) + ["full_attention"] * full
    config = {**LLAMA, "model_type": "olmo3", "sliding_window": 512, "layer_types": kinds}
    _, table = shape_table(config, where="x")
    own = {"kv_heads": table["kv_heads"], "head_dim": table["head_dim"]}
    found = {name: table[name] for name in ("window", "window_every", "full") if name in table}
    assert found == {name: value | own if name == "full" else value for name, value in expected.items()}
