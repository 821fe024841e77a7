"""From a transformers ``config.json`` to layers whose heads differ with and without a window: Gemma 4, Laguna, MiMo-V2.

The names are those of the configuration classes: Gemma 4 gives the heads of its windows the plain names, MiMo-V2 those
of the layers that see everything, and Laguna lists the heads of each layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.errors import RegistryError

from .numbers import whole

__all__ = ["TWO_KINDS", "listed_layers", "two_kinds"]


_FULL, _WINDOW = _KINDS = ("full_attention", "sliding_attention")


def listed_layers(table: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Count the layers that see everything where the list of layers is not what the architecture usually has.

    Parameters
    ----------
    table : dict
        As read so far: with a window, and one layer in ``window_every`` that sees everything.
    config : mapping
        Parsed ``config.json``.
    """
    kinds = config.get("layer_types")
    if not table.get("window") or not isinstance(kinds, list) or set(map(str, kinds)) - set(_KINDS):
        return
    every, full = table.get("window_every", 0), kinds.count(_FULL)
    if full == (len(kinds) // every if every else 0):
        return
    table.pop("window_every", None)
    if full == len(kinds):
        table["window"] = 0
    elif full:
        same = {name: table[name] for name in ("kv_heads", "head_dim", "sinks") if name in table}
        table["full"] = {"layers": full, **same}


def two_kinds(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    """Add the heads of both kinds of layers to the table of a transformer.

    Parameters
    ----------
    table : dict
        As read so far; its heads become those of the layers with a window.
    config : mapping
        Parsed ``config.json``.
    where : str
        What messages call it.

    Raises
    ------
    RegistryError
        If the configuration has parts that no shape expresses, or a number is missing.
    """
    translate = TWO_KINDS.get(str(config.get("model_type")))
    if translate is not None:
        translate(table, config, where)


def _gemma4(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    for name, what in (
        ("num_kv_shared_layers", "layers that use the keys and values of others"),
        ("hidden_size_per_layer_input", "embeddings of their own in each layer"),
    ):
        if config.get(name):
            raise RegistryError(
                f"the configuration has {what} ({name})", where=where,
                remedy="No shape expresses that: it is not guessed",
            )  # fmt: skip
    kinds = _layer_types(config, where)
    twice = bool(config.get("attention_k_eq_v"))
    # Null stands for heads as wide as the others; a configuration without the name is not one that can be read.
    wide = config.get("global_head_dim") or (table["head_dim"] if "global_head_dim" in config else None)
    key_values = "num_global_key_value_heads" if twice else "num_key_value_heads"
    table["full"] = {
        "layers": kinds.count(_FULL),
        "kv_heads": whole(config.get(key_values), where, key_values),
        "head_dim": whole(wide, where, "global_head_dim"),
        "keys_as_values": twice,
    }


def _layer_types(config: Mapping[str, Any], where: str) -> list[str]:
    kinds = config.get("layer_types")
    if not isinstance(kinds, list) or set(map(str, kinds)) - set(_KINDS):
        raise RegistryError(
            "layer_types is no list of full_attention and sliding_attention", where=where, remedy="Say it of each layer"
        )
    return kinds


def _laguna(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    kinds = _layer_types(config, where)
    listed = config.get("num_attention_heads_per_layer") or [table["heads"]] * len(kinds)
    heads = {kind: {n for n, one in zip(listed, kinds, strict=False) if one == kind} for kind in set(kinds)}
    if len(listed) != len(kinds) or any(len(found) > 1 for found in heads.values()) or len(heads) < 2:
        raise RegistryError(
            "num_attention_heads_per_layer is not one number for the layers with a window and one for the others",
            where=where, remedy="No shape expresses other patterns: they are not guessed",
        )  # fmt: skip
    windowed, full = (whole(next(iter(heads[kind])), where, "heads") for kind in (_WINDOW, _FULL))
    own = {"kv_heads": table["kv_heads"], "head_dim": table["head_dim"]}
    table["heads"] = windowed
    table["full"] = {"layers": kinds.count(_FULL), **({} if full == windowed else {"heads": full}), **own}


def _mimo_v2(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    pattern = config.get("hybrid_layer_pattern")
    if not isinstance(pattern, list) or set(pattern) - {0, 1}:
        raise RegistryError(
            "hybrid_layer_pattern is no list of 0 and 1", where=where, remedy="1 stands for a layer with a window"
        )

    def number(name: str) -> int:
        return whole(config.get(name), where, name)

    windowed = number("swa_num_attention_heads")
    table["full"] = {
        "layers": pattern.count(0),
        **({} if windowed == table["heads"] else {"heads": table["heads"]}),
        **{field: table[field] for field in ("kv_heads", "head_dim")},
        "v_dim": number("v_head_dim"),
        "sinks": bool(config.get("add_full_attention_sink_bias")),
    }
    table |= {
        "heads": windowed,
        "kv_heads": number("swa_num_key_value_heads"),
        "head_dim": number("swa_head_dim"),
        "v_dim": number("swa_v_head_dim"),
        "sinks": bool(config.get("add_swa_attention_sink_bias")),
    }


TWO_KINDS: Mapping[str, Callable[[dict[str, Any], Mapping[str, Any], str], None]] = {
    "gemma4_text": _gemma4,
    "gemma4_unified_text": _gemma4,
    "laguna": _laguna,
    "mimo_v2": _mimo_v2,
    "mimo_v2_flash": _mimo_v2,
}
"""``model_type`` to how its two kinds of heads are read."""
