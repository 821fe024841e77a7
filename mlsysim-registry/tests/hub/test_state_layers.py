"""Configurations whose layers keep a state in place of keys and values."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mlsysim.errors import RegistryError
from mlsysim.shapes import parameters
from mlsysim_registry.hub import resolve_model

LFM2 = {
    "model_type": "lfm2", "block_auto_adjust_ff_dim": True, "block_ff_dim": 12288, "block_ffn_dim_multiplier": 1.0,
    "block_multiple_of": 256, "conv_L_cache": 3, "full_attn_idxs": [2, 5, 8, 10, 12, 14], "hidden_size": 2048,
    "max_position_embeddings": 128000, "num_attention_heads": 32, "num_hidden_layers": 16, "num_key_value_heads": 8,
    "vocab_size": 65536,
}  # fmt: skip
LFM2_MOE = {
    "model_type": "lfm2_moe", "hidden_size": 2048, "intermediate_size": 7168, "moe_intermediate_size": 1792,
    "num_hidden_layers": 24, "num_attention_heads": 32, "num_key_value_heads": 8, "max_position_embeddings": 128000,
    "conv_L_cache": 3, "num_dense_layers": 2, "num_experts_per_tok": 4, "num_experts": 32, "vocab_size": 65536,
    "layer_types": [*["conv", "conv", "full_attention", "conv"] * 6],
}  # fmt: skip
JAMBA = {
    "model_type": "jamba", "attn_layer_offset": 4, "attn_layer_period": 8, "expert_layer_offset": 1,
    "expert_layer_period": 2, "hidden_size": 4096, "intermediate_size": 14336, "mamba_d_conv": 4, "mamba_d_state": 16,
    "mamba_dt_rank": 256, "mamba_expand": 2, "n_ctx": 262144, "num_attention_heads": 32, "num_experts": 16,
    "num_experts_per_tok": 2, "num_hidden_layers": 32, "num_key_value_heads": 8, "vocab_size": 65536,
}  # fmt: skip
KIMI_LINEAR: dict[str, Any] = {
    "model_type": "kimi_linear", "hidden_size": 2304, "intermediate_size": 9216, "moe_intermediate_size": 1024,
    "num_hidden_layers": 27, "num_attention_heads": 32, "num_key_value_heads": 32, "head_dim": 72, "vocab_size": 163840,
    "model_max_length": 1048576, "num_shared_experts": 1, "kv_lora_rank": 512, "q_lora_rank": None,
    "qk_rope_head_dim": 64, "qk_nope_head_dim": 128, "v_head_dim": 128, "num_experts": 256, "num_experts_per_token": 8,
    "first_k_dense_replace": 1, "tie_word_embeddings": False,
    "linear_attn_config": {
        "full_attn_layers": [4, 8, 12, 16, 20, 24, 27], "head_dim": 128, "num_heads": 32, "short_conv_kernel_size": 4,
        "kda_layers": [n for n in range(1, 27) if n % 4],
    },
}  # fmt: skip
MINIMAX = {
    "model_type": "minimax_text_01", "attn_type_list": [*[*[0] * 7, 1] * 10], "head_dim": 128, "hidden_size": 6144,
    "intermediate_size": 9216, "max_position_embeddings": 10240000, "num_attention_heads": 64, "num_experts_per_tok": 2,
    "num_hidden_layers": 80, "num_key_value_heads": 8, "num_local_experts": 32, "shared_intermediate_size": 0,
    "sliding_window": None, "vocab_size": 200064,
}  # fmt: skip


def read(tmp_path, config):
    (tmp_path / "config.json").write_text(json.dumps(config))
    return resolve_model(str(tmp_path / "config.json")).record


@pytest.mark.parametrize(
    ("config", "kind", "counts", "total"),
    [
        (LFM2, "short-convolution", (10, 6, 16), 1_170_340_608),
        (LFM2_MOE, "short-convolution", (18, 6, 24), 8_339_930_560),
        (JAMBA, "mamba", (28, 4, 32), 51_570_323_328),
        (KIMI_LINEAR, "kimi-delta", (20, 7, 27), 49_122_681_728),
        (MINIMAX, "lightning", (70, 10, 80), 456_089_655_296),
    ],
)
def test_configurations_give_the_layers_and_the_parameters_of_the_cards(tmp_path, config, kind, counts, total):
    record = read(tmp_path, config)
    states = record.transformer.states
    assert (states.kind, (states.layers, states.attention, states.mlp)) == (kind, counts)
    assert parameters(record).total == total


def test_gates_and_ranks_of_kimi_k3_are_read(tmp_path):
    own = {**KIMI_LINEAR["linear_attn_config"], "use_full_rank_gate": True}
    more = {"routed_expert_hidden_size": 512, "mla_use_output_gate": True, "q_lora_rank": 1536}
    shape = read(tmp_path, {"text_config": {**KIMI_LINEAR, **more, "linear_attn_config": own}}).transformer
    assert (shape.states.wide_gate, shape.states.rank, shape.output_gate) == (True, 128, True)
    assert (shape.mixture.latent, shape.latent.q_rank, shape.context) == (512, 1536, 1048576)


def test_a_rank_that_is_left_to_the_code_is_a_sixteenth_of_the_width(tmp_path):
    assert read(tmp_path, {**JAMBA, "mamba_dt_rank": "auto"}).transformer.states.rank == 256


@pytest.mark.parametrize(
    ("config", "change"),
    [
        (LFM2, {"full_attn_idxs": []}), (LFM2_MOE, {"layer_types": ["conv"] * 24}), (JAMBA, {"attn_layer_period": 64, "attn_layer_offset": 40}),
        (KIMI_LINEAR, {"linear_attn_config": {"full_attn_layers": [4], "kda_layers": [1, 2, 3]}}),
    ],
)  # fmt: skip
def test_layers_that_are_not_told_apart_are_not_guessed(tmp_path, config, change):
    with pytest.raises(RegistryError, match="which layers attend"):
        read(tmp_path, {**config, **change})
