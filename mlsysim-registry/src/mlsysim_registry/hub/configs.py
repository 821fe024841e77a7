"""From a transformers ``config.json`` to the shape of a model.

Only what changes parameters, work or memory is read. An architecture that is not in
:data:`FAMILIES` is refused by name: a shape is never guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import RegistryError
from mlsysim.names import did_you_mean

from .head_kinds import listed_layers, two_kinds
from .numbers import whole
from .pairs_and_states import OTHERS, other_table
from .sparse_layers import sparse_tables
from .state_layers import state_table

__all__ = ["FAMILIES", "UNREAD", "shape_table", "unmodelled"]

_NUMBERS: Mapping[str, tuple[str, ...]] = {
    "layers": ("num_hidden_layers", "n_layer", "num_layers"),
    "hidden": ("hidden_size", "n_embd"),
    "heads": ("num_attention_heads", "n_head"),
    "kv_heads": ("num_key_value_heads", "num_kv_heads"),
    "head_dim": ("head_dim", "attention_head_dim"),
    "ffn": ("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size", "block_ff_dim"),
    "vocab": ("vocab_size",),
    "context": (
        "max_position_embeddings",
        "model_max_length",
        "n_positions",
        "seq_length",
        "max_sequence_length",
        "n_ctx",
    ),
}
"""Field of the record to the names that configurations use for it."""

_GATED: Mapping[str, Any] = {"gated": True, "norm": "rms"}
_PLAIN: Mapping[str, Any] = {"gated": False, "norm": "layer", "bias": True, "qkv_bias": True}
_GEMMA_4: Mapping[str, Any] = {
    **_GATED, "tied": True, "sandwich_norm": True, "qk_norm": True, "dense_beside": True,
}  # fmt: skip
_DELTA: Mapping[str, Any] = {**_GATED, "qk_norm": True, "output_gate": True}

BLOCKS = "attention over the outputs of earlier blocks of layers, in place of plain residuals"
LINEAR = "most of its layers keep a state of linear attention in place of keys and values"

FAMILIES: Mapping[str, Mapping[str, Any]] = {
    "llama": _GATED,
    "mistral": _GATED,
    "mixtral": _GATED,
    "qwen2": {**_GATED, "qkv_bias": True},
    "qwen2_moe": {**_GATED, "qkv_bias": True},
    "qwen3": {**_GATED, "qk_norm": True},
    "qwen3_moe": {**_GATED, "qk_norm": True},
    "gemma": {**_GATED, "tied": True},
    "gemma2": {**_GATED, "tied": True, "sandwich_norm": True, "window_every": 2},
    "qwen3_next": _DELTA,
    "qwen3_5_text": _DELTA,
    "qwen3_5_moe_text": _DELTA,
    "nemotron_h": {"gated": False, "norm": "rms"},
    "granitemoehybrid": _GATED,
    "bamba": _GATED,
    "falcon_h1": {**_GATED, "side_by_side": True},
    "jamba": _GATED,
    "lfm2": {**_GATED, "qk_norm": True, "tied": True},
    "lfm2_moe": {**_GATED, "qk_norm": True, "tied": True, "router_bias": True},
    "kimi_linear": {**_GATED, "router_bias": True},
    "minimax": _GATED,
    "minimax_text_01": _GATED,
    "minimax_m1": _GATED,
    "qwen3_vl_text": {**_GATED, "qk_norm": True},
    "qwen3_vl_moe_text": {**_GATED, "qk_norm": True},
    "gemma3_text": {**_GATED, "tied": True, "sandwich_norm": True, "qk_norm": True, "window_every": 6},
    "gemma4_text": _GEMMA_4,
    "gemma4_unified_text": _GEMMA_4,
    "laguna": {**_GATED, "qk_norm": True, "router_bias": True, "ungated_experts": True},
    "mimo_v2": {**_GATED, "router_bias": True},
    "mimo_v2_flash": {**_GATED, "router_bias": True},
    "phi3": _GATED,
    "granite": _GATED,
    "smollm3": {**_GATED, "tied": True},
    "exaone": _GATED,
    "exaone4": {**_GATED, "qk_norm": True, "window_every": 4},
    "glm": _GATED,
    "glm4": {**_GATED, "sandwich_norm": True},
    "cohere": {**_GATED, "tied": True, "parallel": True, "shared_norm": True},
    "cohere2": {**_GATED, "tied": True, "parallel": True, "shared_norm": True, "window_every": 4},
    "hunyuan_v1_dense": {**_GATED, "qk_norm": True},
    "apertus": {"gated": False, "norm": "rms", "qk_norm": True},
    "arcee": {"gated": False, "norm": "rms"},
    "seed_oss": {**_GATED, "qkv_bias": True},
    "ministral3": _GATED,
    "mimo": _GATED,
    "ernie4_5": {**_GATED, "tied": True},
    "olmo2": {**_GATED, "qk_norm": True},
    "olmo3": {**_GATED, "qk_norm": True, "window_every": 4},
    "minimax_m2": {**_GATED, "qk_norm": True, "router_bias": True},
    "glm4_moe": {**_GATED, "router_bias": True},
    "glm4_moe_lite": {**_GATED, "router_bias": True, "dense_layers": 1},
    "deepseek_v2": _GATED,
    "deepseek_v3": {**_GATED, "router_bias": True},
    "kimi_k2": {**_GATED, "router_bias": True},
    "deepseek_v32": {**_GATED, "router_bias": True},
    "deepseek_v4": {**_GATED, "router_bias": True},
    "glm_moe_dsa": {**_GATED, "router_bias": True},
    "gpt_oss": {**_GATED, "bias": True, "sinks": True, "router_bias": True, "window_every": 2},
    "starcoder2": {**_PLAIN, "tied": True},
    "gpt2": {**_PLAIN, "tied": True, "learned": True},
    "opt": {**_PLAIN, "tied": True, "learned": True, "offset": 2},
    "gpt_neox": _PLAIN,
    "bloom": {**_PLAIN, "tied": True, "embedding_norm": True},
    "bert": {
        **_PLAIN,
        "causal": False,
        "head": False,
        "learned": True,
        "pooler": True,
        "embedding_norm": True,
        "final_norm": False,
    },
}
"""``model_type`` to what the architecture fixes and the configuration does not say."""

_IMPLIED = (
    "learned", "offset", "router_bias", "dense_layers", "dense_beside", "ungated_experts", "side_by_side",
)  # fmt: skip

UNREAD: Mapping[str, str] = {
    "bailing_hybrid": LINEAR, "zamba2": "its layers of attention share their weights",
    "gemma3n_text": "its layers share keys and values and add embeddings of their own",
    "minimax_m3": "most of its layers attend to selected blocks only",
    "nemotron-nas": "its layers differ from each other",
}  # fmt: skip
"""``model_type`` of architectures that no shape expresses, and why."""


def shape_table(config: Mapping[str, Any], *, where: str) -> tuple[str, dict[str, Any]]:
    """Translate a configuration into the table of a model file that holds its shape.

    Parameters
    ----------
    config : mapping
        Parsed ``config.json``.
    where : str
        What messages call it.

    Returns
    -------
    section : str
        ``transformer``, ``pair`` or ``state_space``.
    table : dict
        Plain numbers and flags, as in a registry file.

    Raises
    ------
    RegistryError
        If the architecture is unknown, or a number is missing or no whole number.
    """
    family = config.get("model_type")
    if isinstance(family, str) and family in OTHERS:
        return other_table(config, where=where)
    if isinstance(family, str) and family in UNREAD:
        raise RegistryError(
            f"no shape expresses the architecture {family!r}: {UNREAD[family]}",
            where=where,
            remedy="Ask for a model of another architecture: a shape that is nearly right would give wrong answers",
        )
    if not isinstance(family, str) or family not in FAMILIES:
        names = config.get("architectures")
        all_known = [*FAMILIES, *OTHERS]
        known = did_you_mean(str(family), all_known) or "Known: " + ", ".join(sorted(all_known))
        raise RegistryError(
            f"the architecture {family!r} ({names}) is not one that can be read", where=where, remedy=known
        )
    return "transformer", _transformer(config, family, where)


def unmodelled(config: Mapping[str, Any]) -> str:
    """Say what of an architecture its shape leaves out.

    Parameters
    ----------
    config : mapping
        Parsed ``config.json`` that :func:`shape_table` translates.

    Returns
    -------
    str
        Empty where the shape says all.
    """
    return BLOCKS if config.get("attn_res_block_size") else ""


def _transformer(config: Mapping[str, Any], family: str, where: str) -> dict[str, Any]:
    traits = FAMILIES[family]
    table: dict[str, Any] = {key: value for key, value in traits.items() if key not in _IMPLIED}
    numbers = {field: _number(config, names, where) for field, names in _NUMBERS.items()}
    _fill_in(numbers, family, _number(config, ("moe_intermediate_size",), where), where)
    table.update(numbers)
    if "tie_word_embeddings" in config and table.get("head", True):
        table["tied"] = bool(config["tie_word_embeddings"])
    if isinstance(config.get("attention_bias"), bool):
        table["qkv_bias"] = config["attention_bias"] or traits.get("qkv_bias", False)
    for name in ("use_qk_norm", "use_bias"):
        if isinstance(config.get(name), bool):
            field = "qk_norm" if name == "use_qk_norm" else "bias"
            table[field] = config[name] or bool(traits.get(field, False))
    if traits.get("learned"):
        table["positions"] = numbers["context"] + traits.get("offset", 0)
    if config.get("type_vocab_size"):
        table["token_types"] = whole(config["type_vocab_size"], where, "type_vocab_size")
    _window(table, config, where)
    listed_layers(table, config)
    two_kinds(table, config, where)
    _latent(table, config, where)
    sparse_tables(table, config, where)
    state_table(table, config, where, side_by_side=bool(traits.get("side_by_side")))
    _mixture(table, config, traits, where)
    return table


def _number(config: Mapping[str, Any], names: tuple[str, ...], where: str) -> int | None:
    for name in names:
        if config.get(name) is not None:
            return whole(config[name], where, name)
    return None


def _fill_in(numbers: dict[str, int | None], family: str, experts: int | None, where: str) -> None:
    """Add what the architecture derives from other numbers; refuse what stays open.

    Where all MLPs are experts, some configurations give their width alone.
    """
    heads, hidden = numbers["heads"], numbers["hidden"]
    if numbers["kv_heads"] is None:
        numbers["kv_heads"] = heads
    if numbers["head_dim"] is None and heads and hidden:
        numbers["head_dim"] = hidden // heads
    if numbers["ffn"] is None and family in ("gpt2", "bloom", "gpt_neox") and hidden:
        numbers["ffn"] = 4 * hidden
    if numbers["ffn"] is None and experts:
        numbers["ffn"] = experts
    for field, value in numbers.items():
        if not value:
            raise RegistryError(
                f"the configuration does not say {field}", where=where, remedy="It would be " + _NUMBERS[field][0]
            )


def _window(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    window = config.get("sliding_window")
    used = config.get("use_sliding_window", True)
    if window and used:
        table["window"] = whole(window, where, "sliding_window")
    else:
        table.pop("window_every", None)


def _latent(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    if not config.get("kv_lora_rank"):
        return
    names = {"kv_rank": "kv_lora_rank", "rope_dim": "qk_rope_head_dim", "nope_dim": "qk_nope_head_dim",
             "v_dim": "v_head_dim"}  # fmt: skip
    latent = {field: whole(config.get(name), where, name) for field, name in names.items()}
    latent["q_rank"] = whole(config.get("q_lora_rank") or 0, where, "q_lora_rank")
    table["latent"] = latent
    if config.get("mla_use_output_gate"):
        table["output_gate"] = True
    table["head_dim"] = latent["nope_dim"] + latent["rope_dim"]


def _mixture(table: dict[str, Any], config: Mapping[str, Any], traits: Mapping[str, Any], where: str) -> None:
    experts = config.get("num_local_experts") or config.get("n_routed_experts") or config.get("num_experts")
    if not experts:
        return
    width = config.get("moe_intermediate_size") or table["ffn"]
    shared = config.get("n_shared_experts") or config.get("num_shared_experts") or 0
    if traits.get("dense_beside"):
        shared = _dense_beside(whole(width, where, "moe_intermediate_size"), table["ffn"], where)
    gated = config.get("shared_expert_intermediate_size")
    together = gated or config.get("moe_shared_expert_intermediate_size") or config.get("shared_intermediate_size")
    if together:
        shared = together // width
    dense = config.get("first_k_dense_replace") or config.get("num_dense_layers") or traits.get("dense_layers", 0)
    if isinstance(config.get("moe_layer_freq"), list):
        dense = config["moe_layer_freq"].count(0)
    elif isinstance(config.get("mlp_layer_types"), list):
        dense = config["mlp_layer_types"].count("dense")
    elif "expert_layer_period" in config:
        period, offset = config["expert_layer_period"], config.get("expert_layer_offset", 0)
        dense = sum(n % period != offset for n in range(table["layers"]))
    active = config.get("num_experts_per_tok") or config.get("top_k_experts") or config.get("num_experts_per_token")
    table["mixture"] = {
        "experts": whole(experts, where, "experts"),
        "active": whole(active, where, "num_experts_per_tok"),
        "ffn": whole(width, where, "moe_intermediate_size"),
        "shared": whole(shared, where, "n_shared_experts"),
        "dense_layers": whole(dense, where, "first_k_dense_replace"),
        "latent": whole(
            config.get("moe_latent_size") or config.get("routed_expert_hidden_size") or 0, where, "moe_latent_size"
        ),
        "router_bias": bool(traits.get("router_bias", False)),
        "shared_gate": bool(gated) and not traits.get("ungated_experts"),
    }


def _dense_beside(width: int, ffn: int, where: str) -> int:
    """Return the shared experts that an MLP beside the routed experts amounts to."""
    if ffn % width:
        raise RegistryError(
            f"the MLP beside the experts, {ffn} wide, is no multiple of their width of {width}", where=where,
            remedy="No shape expresses that: it is not guessed",
        )  # fmt: skip
    return ffn // width
