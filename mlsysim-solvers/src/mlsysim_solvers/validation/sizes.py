"""Names of models that are a family and a size: ``GPT-2 XL 1.5B``, ``Phi3 3.8B``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from mlsysim.errors import MlsysimError
from mlsysim.plugins import plugins
from mlsysim.records import Model

__all__ = ["sized_model"]

_SIZE = re.compile(r"(\d+(?:\.\d+)?)([mbt])")
_SCALE = {"m": 1e6, "b": 1e9, "t": 1e12}
_NEAR = 0.08
"""How far the parameters of a model may be from the size in its name, which is rounded and may count no embedding."""


def sized_model(words: frozenset[str], known: Mapping[frozenset[str], Iterable[str]]) -> str:
    """Return the model of a family that has the size in its name.

    Parameters
    ----------
    words : frozenset of str
        Words of the published name, without spelling.
    known : mapping of frozenset of str to str
        Keys of models by the words of their names.

    Returns
    -------
    str
        A key; empty where none, or models of several shapes, have that size. Of one shape the shortest context stands.
    """
    sizes = [match for word in words if (match := _SIZE.fullmatch(word))]
    family = words - {match[0] for match in sizes}
    if len(sizes) != 1 or not any(re.search("[a-z]{3,}", word) for word in family):
        return ""
    wanted = float(sizes[0][1]) * _SCALE[sizes[0][2]]
    found: dict[str, Model] = {}
    for key in sorted({key for others, keys in known.items() if family <= others for key in keys}):
        try:
            record: Model = plugins().registry.get("models", key).record
        except MlsysimError:  # a faulty file hurts no other entity
            continue
        if record.transformer is not None and record.parameters and abs(record.parameters / wanted - 1.0) <= _NEAR:
            found[key] = record
    shapes = {(r.transformer.layers, r.transformer.hidden, r.transformer.ffn) for r in found.values() if r.transformer}
    if len(shapes) != 1:
        return ""
    return min(found, key=lambda key: (found[key].transformer.context, key))  # type: ignore[union-attr]
