"""From a transformers ``config.json`` to layers that keep a state in place of keys and values.

The names are those of the configuration classes. What a configuration does not say of its layers is not guessed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlsysim.errors import RegistryError

from .numbers import whole

__all__ = ["state_table"]

_LETTERS = {"mamba": "M", "attention": "*", "moe": "E", "mlp": "-"}

_DELTA = {
    "heads": "linear_num_value_heads", "groups": "linear_num_key_heads", "state": "linear_key_head_dim",
    "head_dim": "linear_value_head_dim", "conv": "linear_conv_kernel_dim",
}  # fmt: skip
_NEMOTRON = {
    "heads": "mamba_num_heads", "head_dim": "mamba_head_dim", "state": "ssm_state_size", "groups": "n_groups",
    "conv": "conv_kernel", "chunk": "chunk_size",
}  # fmt: skip
_MAMBA_2 = {
    "heads": "mamba_n_heads", "head_dim": "mamba_d_head", "state": "mamba_d_state", "groups": "mamba_n_groups",
    "conv": "mamba_d_conv", "chunk": "mamba_chunk_size",
}  # fmt: skip


def state_table(table: dict[str, Any], config: Mapping[str, Any], where: str, *, side_by_side: bool = False) -> None:
    """Add the layers that keep a state to the table of a transformer.

    Parameters
    ----------
    table : dict
        As read so far.
    config : mapping
        Parsed ``config.json``.
    where : str
        What messages call it.
    side_by_side : bool
        Whether states stand beside attention in each layer where nothing else is said.

    Raises
    ------
    RegistryError
        If the configuration leaves open which layers keep a state, or a number is missing.
    """
    if config.get("linear_num_value_heads"):
        _gated_delta(table, config, where)
    elif isinstance(config.get("linear_attn_config"), Mapping):
        _kimi_delta(table, config, where)
    elif "mamba_num_heads" in config:
        _pairs(table, config, where)
    elif "mamba_n_heads" in config:
        _mixers(table, config, where, side_by_side=side_by_side)
    elif "mamba_dt_rank" in config:
        _jamba(table, config, where)
    elif "conv_L_cache" in config:
        _short_convolution(table, config, where)
    elif "attn_type_list" in config and 0 in config["attn_type_list"]:
        _lightning(table, config, where)


def _read(config: Mapping[str, Any], names: Mapping[str, str], where: str) -> dict[str, int]:
    return {field: whole(config.get(name), where, name) for field, name in names.items()}


def _split(
    table: dict[str, Any], kinds: Any, attends: set[Any], keeps: set[Any], name: str, where: str
) -> dict[str, int]:
    """Count the layers of a list by what they do."""
    listed = list(kinds) if isinstance(kinds, (list, tuple)) else []
    attending, kept = sum(one in attends for one in listed), sum(one in keeps for one in listed)
    if not attending or not kept or attending + kept != table["layers"]:
        raise RegistryError(
            "the configuration does not say which layers attend and which keep a state", where=where,
            remedy=f"It would be {name}: it is not guessed",
        )  # fmt: skip
    return {"layers": kept, "attention": attending, "mlp": table["layers"]}


def _gated_delta(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    kinds = config.get("layer_types")
    if not kinds:
        every = whole(config.get("full_attention_interval", 4), where, "full_attention_interval")
        kinds = ["linear_attention" if n % every else "full_attention" for n in range(1, table["layers"] + 1)]
    counts = _split(table, kinds, {"full_attention"}, {"linear_attention"}, "layer_types", where)
    table["states"] = {"kind": "gated-delta", **counts, **_read(config, _DELTA, where)}


def _kimi_delta(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    own = config["linear_attn_config"]
    listed = [(n, "full") for n in own.get("full_attn_layers") or ()] + [
        (n, "kda") for n in own.get("kda_layers") or ()
    ]
    counts = _split(table, [kind for _, kind in listed], {"full"}, {"kda"}, "full_attn_layers and kda_layers", where)
    heads, width, conv = (whole(own.get(n), where, n) for n in ("num_heads", "head_dim", "short_conv_kernel_size"))
    table["states"] = {
        "kind": "kimi-delta", **counts, "heads": heads, "groups": heads, "head_dim": width, "state": width,
        "conv": conv, "rank": width, "wide_gate": bool(own.get("use_full_rank_gate")),
    }  # fmt: skip


def _pairs(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    """Read a letter for each layer: M, * for attention, E or - for MLPs."""
    pattern = config.get("hybrid_override_pattern") or "".join(
        _LETTERS.get(str(one), "?") for one in config.get("layers_block_type") or ()
    )
    kinds = {letter: pattern.count(letter) for letter in "M*E-"}
    faults = {
        "no pattern of layers": not pattern,
        "other letters than M, *, E and -": sum(kinds.values()) < len(pattern),
        "no pairs of layers": len(pattern) % 2 == 1,
        "experts and plain MLPs": kinds["E"] > 0 and kinds["-"] > 0,
    }
    for what, present in faults.items():
        if present:
            raise RegistryError(
                f"the configuration has {what}", where=where, remedy="No shape expresses that: it is not guessed"
            )
    counts = {"layers": kinds["M"], "attention": kinds["*"], "mlp": kinds["E"] + kinds["-"]}
    table["states"] = {**counts, **_read(config, _NEMOTRON, where)}
    table["layers"] = len(pattern) // 2


def _mixers(table: dict[str, Any], config: Mapping[str, Any], where: str, *, side_by_side: bool) -> None:
    """Read state spaces that stand in place of attention, or beside it, in layers each of which has an MLP, too."""
    layers, attends = table["layers"], config.get("attn_layer_indices")
    if side_by_side and not attends:
        counts = {"layers": layers, "attention": layers, "mlp": layers}
    else:
        kinds = config.get("layer_types") or config.get("layers_block_type")
        if attends:
            kinds = ["attention" if n in attends else "mamba" for n in range(layers)]
        names = "layer_types, or attn_layer_indices"
        counts = _split(table, kinds, {"attention"}, {"mamba"}, names, where)
    table["states"] = {**counts, **_read(config, _MAMBA_2, where)}
    if config.get("shared_intermediate_size") and not config.get("num_local_experts"):
        # Without routed experts the shared one is the MLP.
        table["ffn"] = whole(config["shared_intermediate_size"], where, "shared_intermediate_size")


def _jamba(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    period, offset = (whole(config.get(name), where, name) for name in ("attn_layer_period", "attn_layer_offset"))
    kinds = [period and n % period == offset for n in range(table["layers"])]
    counts = _split(table, kinds, {True}, {False}, "attn_layer_period and attn_layer_offset", where)
    automatic = -(-table["hidden"] // 16)
    rank = automatic if config["mamba_dt_rank"] in (None, "auto") else config["mamba_dt_rank"]
    numbers = _read(config, {"state": "mamba_d_state", "conv": "mamba_d_conv"}, where)
    inner = whole(config.get("mamba_expand"), where, "mamba_expand") * table["hidden"]
    table["states"] = {
        "kind": "mamba", **counts, "heads": inner, "head_dim": 1, "groups": 1, **numbers,
        "rank": whole(rank, where, "mamba_dt_rank"),
    }  # fmt: skip


def _short_convolution(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    kinds = config.get("layer_types")
    if not kinds and config.get("full_attn_idxs"):
        kinds = ["full_attention" if n in config["full_attn_idxs"] else "conv" for n in range(table["layers"])]
    counts = _split(table, kinds, {"full_attention"}, {"conv"}, "layer_types, or full_attn_idxs", where)
    taps = whole(config["conv_L_cache"], where, "conv_L_cache")
    table["states"] = {"kind": "short-convolution", **counts, "heads": table["hidden"], "head_dim": 1, "conv": taps}
    if config.get("block_ff_dim"):
        table["ffn"] = _adjusted(whole(config["block_ff_dim"], where, "block_ff_dim"), config, where)


def _adjusted(width: int, config: Mapping[str, Any], where: str) -> int:
    """Return the width of a gated MLP that has as many weights as a plain one of the width given, rounded up."""
    if not config.get("block_auto_adjust_ff_dim", True):
        return width
    multiple = whole(config.get("block_multiple_of", 256), where, "block_multiple_of")
    factor = config.get("block_ffn_dim_multiplier")
    wanted = int((1.0 if factor is None else float(factor)) * int(2 * width / 3))
    return multiple * -(-wanted // multiple)


def _lightning(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    counts = _split(table, config["attn_type_list"], {1}, {0}, "attn_type_list", where)
    heads, width = table["heads"], table["head_dim"]
    table["states"] = {
        "kind": "lightning", **counts, "heads": heads, "groups": heads, "head_dim": width, "state": width,
    }  # fmt: skip
