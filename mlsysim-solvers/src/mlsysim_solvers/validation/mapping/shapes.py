"""Models that a row describes by its own columns: layers, widths and heads."""

from __future__ import annotations

import json
import re

from mlsysim.plugins import plugins
from mlsysim.records.measurement import Measurement
from mlsysim.shapes import parameters

from ..names import Names
from ..questions import Assumed, Refused
from .common import cell, whole

__all__ = ["model_of", "printed_parameters"]

_SIZE = re.compile(r"(?<![\w.])(\d[\d,]*(?:\.\d+)?)\s*([kmbt])(?![a-z])", re.IGNORECASE)
_SCALE = {"k": 1e3, "m": 1e6, "b": 1e9, "t": 1e12}
_NEAR = 0.06
"""How far the parameters of a shape may be from the printed ones, which are rounded and count biases or not."""

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
    except Refused as unknown:
        if not layers or not hidden or "no shape expresses" in str(unknown):
            raise
        return _nearest(row, _config(row, layers, hidden, assumed), assumed)
    shape = plugins().registry.get("models", key).record.transformer
    if not layers or not hidden or shape is None or (shape.layers, shape.hidden) == (layers, hidden):
        return key
    assumed.append(Assumed(f"{key} of the registry is another model: {layers} layers of {hidden} are printed"))
    return f"config:{json.dumps(_config(row, layers, hidden, assumed))}"


def printed_parameters(row: Measurement) -> float | None:
    """Return the parameters that a row prints, in their own column or in the name of the model.

    Parameters
    ----------
    row : Measurement
        The row.

    Returns
    -------
    float or None, count
    """
    text = cell(row, "params")
    if found := _SIZE.search(text):
        return _counted(found)
    try:
        if number := float(text.replace(",", "")):
            return number
    except ValueError:
        pass
    found = _SIZE.search(row.model)
    return _counted(found) if found else None


def _counted(size: re.Match[str]) -> float:
    return float(size[1].replace(",", "")) * _SCALE[size[2].lower()]


def _rounded(row: Measurement) -> float:
    """Return half a unit of the last printed digit over the printed parameters: ``1B`` is anything from 0.5 to 1.5."""
    found = _SIZE.search(cell(row, "params") or row.model)
    number = found[1].replace(",", "") if found else "0"
    return 0.5 * 10.0 ** -len(number.partition(".")[2]) / float(number) if float(number) else 0.0


def _nearest(row: Measurement, config: dict[str, object], assumed: list[Assumed]) -> str:
    """Return the key of the shape, or of its twin with another MLP or embedding, that gives the printed parameters."""
    printed, key = printed_parameters(row), f"config:{json.dumps(config)}"
    if printed is None:
        return key
    near = max(_NEAR, _rounded(row))
    keys = [key, *(f"config:{json.dumps(other)}" for other in _twins(config))]
    registry = plugins().registry
    gaps = [abs(parameters(registry.get("models", one).record).total / printed - 1.0) for one in keys]
    if gaps[0] <= near:
        return key
    gap, best = min(zip(gaps, keys, strict=True))
    if gap > near and not whole(row, "ffn_hidden") and (wide := _widened(keys[1], printed)):
        assumed.append(Assumed("an MLP as wide as the printed parameters leave, which the row does not state", 0.02))
        return wide
    if gap > near:
        total = parameters(registry.get("models", best).record).total
        raise Refused(f"the printed layers and widths give {total:.4g} parameters, and {printed:.4g} are printed")
    assumed.append(Assumed("the MLP and the embedding that give the printed parameters", 0.02))
    return best


def _widened(key: str, printed: float) -> str:
    """Return the key of a shape with the width of MLPs that gives the printed parameters; empty where none does."""
    config, registry = json.loads(key.removeprefix("config:")), plugins().registry
    width = config["intermediate_size"]
    keys = [f"config:{json.dumps(config | {'intermediate_size': times * width})}" for times in (1, 2)]
    one, two = (parameters(registry.get("models", each).record).total for each in keys)
    inner = round(width * (1.0 + (printed - one) / (two - one)))
    return f"config:{json.dumps(config | {'intermediate_size': inner})}" if inner > 0 else ""


def _twins(config: dict[str, object]) -> list[dict[str, object]]:
    """Return the same layers and widths with a gated MLP, and with the embedding shared or not."""
    if config["model_type"] == "gpt2":
        names = {"n_layer": "num_hidden_layers", "n_embd": "hidden_size", "n_head": "num_attention_heads",
                 "n_inner": "intermediate_size", "n_positions": "max_position_embeddings"}  # fmt: skip
        config = {names.get(name, name): value for name, value in config.items()} | {"model_type": "llama"}
    return [config | {"tie_word_embeddings": tied} for tied in (False, True)]


def _config(row: Measurement, layers: int, hidden: int, assumed: list[Assumed]) -> dict[str, object]:
    heads = whole(row, "heads")
    if heads is None:
        heads = max(1, round(hidden / _HEAD))
        while hidden % heads:
            heads -= 1
        assumed.append(Assumed(f"{heads} heads, which the row does not state", 0.02))
    inner = whole(row, "ffn_hidden")
    if inner is None:
        if whole(row, "n_experts") and not cell(row, "params"):
            raise Refused("neither the width of the experts nor the parameters are published")
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
