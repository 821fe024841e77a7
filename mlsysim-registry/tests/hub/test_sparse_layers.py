"""Configurations whose layers attend to selected or compressed keys and values."""

from __future__ import annotations

import json

import pytest

from mlsysim.errors import RegistryError
from mlsysim.plugins import plugins
from mlsysim.shapes import parameters
from mlsysim_registry.hub import resolve_model

V4_FLASH = {
    "model_type": "deepseek_v4", "head_dim": 512, "hidden_size": 4096, "index_head_dim": 128, "index_n_heads": 64,
    "index_topk": 512, "max_position_embeddings": 1048576, "moe_intermediate_size": 2048, "n_routed_experts": 256,
    "n_shared_experts": 1, "num_attention_heads": 64, "num_experts_per_tok": 6, "num_hidden_layers": 43,
    "num_key_value_heads": 1, "o_groups": 8, "o_lora_rank": 1024, "q_lora_rank": 1024, "qk_rope_head_dim": 64,
    "sliding_window": 128, "tie_word_embeddings": False, "vocab_size": 129280, "hc_mult": 4,
    "compress_ratios": [0, 0, *[4, 128] * 20, 4, 0],
}  # fmt: skip
V32 = {
    "model_type": "deepseek_v32", "hidden_size": 7168, "index_head_dim": 128, "index_n_heads": 64, "index_topk": 2048,
    "intermediate_size": 18432, "kv_lora_rank": 512, "max_position_embeddings": 163840, "moe_intermediate_size": 2048,
    "n_routed_experts": 256, "n_shared_experts": 1, "num_attention_heads": 128, "num_experts_per_tok": 8,
    "num_hidden_layers": 61, "num_key_value_heads": 128, "q_lora_rank": 1536, "qk_nope_head_dim": 128,
    "qk_rope_head_dim": 64, "v_head_dim": 128, "vocab_size": 129280, "first_k_dense_replace": 3,
}  # fmt: skip


def read(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    return resolve_model(str(tmp_path / "config.json")).record


@pytest.mark.parametrize(("config", "key"), [(V4_FLASH, "deepseek-v4-flash"), (V32, "deepseek-v3.2")])
def test_configurations_give_the_shapes_of_the_registry(tmp_path, config, key):
    own = plugins().registry.get("models", key).record
    found = read(tmp_path, config)
    assert found.transformer == own.transformer
    assert parameters(found).total == parameters(own).total


@pytest.mark.parametrize(
    ("key", "total", "active"), [("deepseek-v4-flash", 284e9, 13e9), ("deepseek-v4-pro", 1.6e12, 49e9)]
)
def test_models_have_their_printed_sizes(key, total, active):
    counts = parameters(plugins().registry.get("models", key).record)
    assert counts.total == pytest.approx(total, rel=0.02)
    assert counts.active == pytest.approx(active, rel=0.03)


def test_layers_that_take_over_what_others_selected_do_not_select(tmp_path):
    shared = {**V32, "indexer_types": ["full", *["shared"] * 3] * 16}
    assert read(tmp_path, shared).transformer.selected.indexed == 16
    fewer = parameters(read(tmp_path, V32)).total - parameters(read(tmp_path, shared)).total
    assert fewer == 45 * (1536 * 64 * 128 + 7168 * (128 + 64) + 2 * 128)


def test_other_ratios_are_not_guessed(tmp_path):
    with pytest.raises(RegistryError, match="3 ratios"):
        read(tmp_path, {**V4_FLASH, "compress_ratios": [0, 0, 2, *[4, 128] * 20]})
