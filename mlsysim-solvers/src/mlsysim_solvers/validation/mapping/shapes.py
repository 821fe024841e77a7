"""Models that a row describes by its own columns: layers, widths and heads."""

from __future__ import annotations

import json

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement

from ..names import Names
from ..questions import Assumed, Refused
from .common import cell, whole

__all__ = ["model_of"]

_HEAD = 128
"""Width of a head that a row does not state; how work is divided over heads changes little of it."""
_VOCABULARY = 50257
"""Words of a model that a row does not state: those of GPT-2, which most models of that shape took over."""
_PLAIN = 4
"""Width of a plain MLP over that of the model (Vaswani et al. 2017, arXiv:1706.03762, section 3.3: 2048 over 512)."""


def model_of(row: Measurement, known: Names, name: str, assumed: list[Assumed]) -> str:
    """Return the model of a row: one of the registry, or the shape that the row prints.

    Parameters
    ----------
    row : Measurement
        The row.
    known : Names
        Names as published.
    name : str
        Published name of the model.
    assumed : list of Assumed
        Gets what is assumed of a printed shape.

    Returns
    -------
    str
        A key. A model of the registry with other layers or another width than the row prints is another model.

    Raises
    ------
    Refused
        If the registry has no such model, and the row prints no shape.
    """
    layers, hidden = whole(row, "layers"), whole(row, "hidden")
    try:
        key = known.model(name, cell(row, "params"))
    except Refused:
        if not layers or not hidden:
            raise
    else:
        shape = plugins().registry.get("models", key).record.transformer
        if not layers or not hidden or shape is None or (shape.layers, shape.hidden) == (layers, hidden):
            return key
        assumed.append(Assumed(f"{key} of the registry is another model: {layers} layers of {hidden} are printed"))
    return f"config:{json.dumps(_config(row, layers, hidden, assumed))}"


def _config(row: Measurement, layers: int, hidden: int, assumed: list[Assumed]) -> dict[str, object]:
    heads = whole(row, "heads")
    if heads is None:
        heads = max(1, round(hidden / _HEAD))
        while hidden % heads:
            heads -= 1
        assumed.append(Assumed(f"{heads} heads, which the row does not state", 0.02))
    inner = whole(row, "ffn_hidden")
    if inner is None:
        inner = _PLAIN * hidden
        assumed.append(Assumed(f"a plain MLP of {inner}, which the row does not state", 0.02))
    vocabulary = whole(row, "vocab")
    if vocabulary is None:
        vocabulary = _VOCABULARY
        assumed.append(Assumed(f"a vocabulary of {vocabulary}, which the row does not state", 0.02))
    groups, experts = whole(row, "kv_heads") or heads, whole(row, "n_experts")
    context = max(whole(row, "seq_len") or 0, 1)
    if experts is None and inner == _PLAIN * hidden and groups == heads:
        return {
            "model_type": "gpt2", "n_layer": layers, "n_embd": hidden, "n_head": heads, "n_inner": inner,
            "n_positions": context, "vocab_size": vocabulary,
        }  # fmt: skip
    found: dict[str, object] = {
        "model_type": "llama" if experts is None else "mixtral", "num_hidden_layers": layers, "hidden_size": hidden,
        "num_attention_heads": heads, "num_key_value_heads": groups, "intermediate_size": inner,
        "max_position_embeddings": context, "vocab_size": vocabulary,
    }  # fmt: skip
    if experts is not None:
        found |= {"num_local_experts": experts, "num_experts_per_tok": whole(row, "experts_per_token") or 1}
    return found
