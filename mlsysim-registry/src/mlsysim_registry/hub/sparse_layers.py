"""From a transformers ``config.json`` to layers that attend to selected or compressed keys and values.

The names are those of the configurations of DeepSeek-V3.2, GLM-5 and DeepSeek-V4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from mlsysim.errors import RegistryError

from .numbers import whole

__all__ = ["sparse_tables"]

_INDEX = {"top": "index_topk", "index_heads": "index_n_heads", "index_dim": "index_head_dim"}


def sparse_tables(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    """Add the layers that see a part of the context to the table of a transformer.

    Parameters
    ----------
    table : dict
        As read so far.
    config : mapping
        Parsed ``config.json``.
    where : str
        What messages call it.

    Raises
    ------
    RegistryError
        If the layers are of more kinds than a shape expresses, or a number is missing.
    """
    if isinstance(config.get("compress_ratios"), list):
        _compressed(table, config, where)
    elif config.get("index_topk"):
        table["selected"] = {"layers": table["layers"], **_index(config, where)}
        types = config.get("indexer_types")
        if isinstance(types, list):
            table["selected"]["indexed"] = types[: table["layers"]].count("full")


def _index(config: Mapping[str, Any], where: str) -> dict[str, int]:
    return {field: whole(config.get(name), where, name) for field, name in _INDEX.items()}


def _compressed(table: dict[str, Any], config: Mapping[str, Any], where: str) -> None:
    """Read keys that serve all heads as values, too: those of a window, and one for so many tokens."""
    counts = Counter(config["compress_ratios"][: table["layers"]])
    plain = counts.pop(0, 0)
    if len(counts) != 2 or plain + sum(counts.values()) != table["layers"]:
        raise RegistryError(
            f"compress_ratios gives {len(counts)} ratios for {table['layers']} layers", where=where,
            remedy="No shape expresses other than two, one of them selected: they are not guessed",
        )  # fmt: skip
    few, many = sorted(counts)
    rope = whole(config.get("qk_rope_head_dim"), where, "qk_rope_head_dim")
    names = {"q_rank": "q_lora_rank", "o_rank": "o_lora_rank", "o_groups": "o_groups"}
    own = {field: whole(config.get(name), where, name) for field, name in names.items()}
    plain_part = table["head_dim"] - rope
    table["latent"] = {
        "kv_rank": plain_part, "rope_dim": rope, "nope_dim": plain_part, "v_dim": table["head_dim"], **own,
        "direct": True,
    }  # fmt: skip
    table["selected"] = {"layers": counts[few], "ratio": few, "overlap": True, **_index(config, where)}
    table["compressed"] = {"layers": counts[many], "ratio": many}
    table["streams"] = whole(config.get("hc_mult", 1), where, "hc_mult")
