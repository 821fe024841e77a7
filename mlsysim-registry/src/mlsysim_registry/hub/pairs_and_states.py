"""From a transformers ``config.json`` to shapes that are not one stack of attention blocks: T5, Whisper, Mamba.

The names are those of the configuration classes of transformers. What a configuration leaves to the code of its
architecture (tied embeddings of T5 and Whisper, the automatic rank of Mamba) is stated here and shown as derived.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from mlsysim.errors import RegistryError

from .numbers import whole

__all__ = ["OTHERS", "other_table"]

_FRAME = 0.01
"""Seconds between frames of Whisper's spectrogram: 160 samples at 16 kHz."""


def other_table(config: Mapping[str, Any], *, where: str) -> tuple[str, dict[str, Any]]:
    """Translate a configuration into the table of a model file that holds its shape.

    Parameters
    ----------
    config : mapping
        Parsed ``config.json`` whose ``model_type`` is one of :data:`OTHERS`.
    where : str
        What messages call it.

    Returns
    -------
    section : str
        ``pair`` or ``state_space``.
    table : dict
        Plain numbers and flags, as in a registry file.

    Raises
    ------
    RegistryError
        If a number is missing, or no whole number.
    """
    section, translate = OTHERS[config["model_type"]]

    def number(name: str, instead: int | None = None) -> int:
        value = config.get(name)
        if value is None and instead is not None:
            return instead
        if value is None:
            raise RegistryError(f"the configuration does not say {name}", where=where)
        return whole(value, where, name)

    return section, translate(config, number)


def _flag(config: Mapping[str, Any], name: str, instead: bool) -> bool:
    value = config.get(name)
    return value if isinstance(value, bool) else instead


def _t5(config: Mapping[str, Any], number: Callable[..., int]) -> dict[str, Any]:
    heads = number("num_heads")
    stack = {
        "hidden": number("d_model"),
        "heads": heads,
        "kv_heads": heads,
        "head_dim": number("d_kv"),
        "ffn": number("d_ff"),
        "vocab": number("vocab_size"),
        "context": number("n_positions"),
        "relative": number("relative_attention_num_buckets"),
        "gated": str(config.get("feed_forward_proj", "")).startswith("gated"),
    }
    layers = number("num_layers")
    tied = _flag(config, "tie_word_embeddings", instead=True)
    return {
        "shared": True,
        "encoder": {**stack, "layers": layers, "causal": False, "head": False},
        "decoder": {**stack, "layers": number("num_decoder_layers", layers), "causal": True, "tied": tied},
    }


def _whisper(_: Mapping[str, Any], number: Callable[..., int]) -> dict[str, Any]:
    width = number("d_model")
    common = {"hidden": width, "gated": False, "norm": "layer", "bias": True, "key_bias": False}

    def stack(side: str, context: str) -> dict[str, Any]:
        heads = number(f"{side}_attention_heads")
        return {
            **common,
            "layers": number(f"{side}_layers"),
            "heads": heads,
            "kv_heads": heads,
            "head_dim": width // heads if heads else 0,
            "ffn": number(f"{side}_ffn_dim"),
            "context": number(context),
            "positions": number(context),
        }

    encoder = stack("encoder", "max_source_positions")
    span = f"{2 * _FRAME * encoder['context']:g} s"
    return {
        "bins": number("num_mel_bins"),
        "span": {"value": span, "derived": "each position of the encoder is two frames of 10 ms"},
        "encoder": {**encoder, "causal": False, "head": False},
        "decoder": {**stack("decoder", "max_target_positions"), "vocab": number("vocab_size"), "tied": True},
    }


def _mamba(config: Mapping[str, Any], number: Callable[..., int]) -> dict[str, Any]:
    table = _states(config, number)
    rank = config.get("time_step_rank")
    automatic = {"value": -(-number("hidden_size") // 16), "derived": "automatic: a sixteenth of the width, rounded up"}
    return {**table, "rank": automatic if rank in (None, "auto") else number("time_step_rank")}


def _mamba2(config: Mapping[str, Any], number: Callable[..., int]) -> dict[str, Any]:
    heads = {"heads": number("num_heads"), "groups": number("n_groups"), "chunk": number("chunk_size")}
    table = _states(config, number)
    inner = {"value": heads["heads"] * number("head_dim"), "derived": "num_heads x head_dim"}
    return {**table, **heads, "inner": inner}


def _states(config: Mapping[str, Any], number: Callable[..., int]) -> dict[str, Any]:
    width, expand = number("hidden_size"), config.get("expand")
    inner: Any = config.get("intermediate_size")
    if inner is None:
        if isinstance(expand, bool) or not isinstance(expand, (int, float)):
            raise RegistryError(f"expand = {expand!r} is not a number", where="config.json")
        inner = {"value": int(expand * width), "derived": "expand x hidden_size"}
    return {
        "layers": number("num_hidden_layers"),
        "hidden": width,
        "inner": inner,
        "state": number("state_size"),
        "vocab": number("vocab_size"),
        "conv": number("conv_kernel"),
        "tied": _flag(config, "tie_word_embeddings", instead=True),
    }


OTHERS: Mapping[str, tuple[str, Callable[..., dict[str, Any]]]] = {
    "t5": ("pair", _t5),
    "whisper": ("pair", _whisper),
    "mamba": ("state_space", _mamba),
    "mamba2": ("state_space", _mamba2),
}
"""``model_type`` to the table of a model file that holds its shape, and how it is filled."""
