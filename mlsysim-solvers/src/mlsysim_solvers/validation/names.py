"""From names as published to keys of the registry. The exceptions are data, not code."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import attrs

from mlsysim.documents import load_document
from mlsysim.errors import MlsysimError, UnknownNameError
from mlsysim.names.matching import another_make, bare, contradicts, last_part, likely
from mlsysim.plugins import plugins
from mlsysim.units import parse_quantity

from .formats import plain_format, stored_format, unknown_format
from .questions import Refused
from .runs import Runs
from .sizes import sized_model
from .spellings import device_spellings, folded_software, model_spellings
from .tables import packaged_tables

__all__ = ["Names", "StackRule", "names"]

_SPLIT = re.compile(r"[^a-z0-9.+]+")
_SIZE = re.compile(r"(\d+)(gb|gib)")
_SPACED_SIZE = re.compile(r"(\d+)\s*g(?:i?b)?\b")
_VERSION = re.compile(r"^v(\d)")
_FAMILY = re.compile(r"([a-z]{3,})-?v?(\d.*)")


@attrs.frozen
class StackRule:
    """Which stack some published software is.

    Parameters
    ----------
    software : str
        Beginning of the published name, lower case; empty for rows that name none.
    stack : str
        Key of the stack.
    kinds : tuple of str
        Sets (beginning of the row id) or kinds of rows it holds for; empty means all.
    devices : tuple of str
        Beginnings of the keys of devices it holds for; empty means all.
    anywhere : bool
        Whether the name counts inside a longer one too, where no other rule holds.
    near : bool
        Whether the stack is only the nearest relative of the software.
    before : str
        Year and month before which a row was published that names no version; empty means any.
    """

    software: str = attrs.field(converter=folded_software)
    stack: str
    kinds: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])
    devices: tuple[str, ...] = attrs.field(default=(), converter=tuple[str, ...])
    anywhere: bool = False
    near: bool = False
    before: str = ""

    def holds(self, software: str, set_: str, kind: str, device: str, published: str) -> bool:
        """Tell whether the rule holds for a row.

        Parameters
        ----------
        software, set_, kind, device, published : str
            As for :meth:`Names.stack`, the software in lower case.

        Returns
        -------
        bool
        """
        return (
            (software.startswith(self.software) if self.software else not software)
            and (not self.kinds or any(set_.startswith(k) or kind == k for k in self.kinds))
            and (not self.devices or device.startswith(self.devices))
            and (not self.before or "" < published < self.before)
        )


def _tokens(text: str, *, families: bool = False) -> frozenset[str]:
    """Split a name into words that do not depend on spelling; families of models from their versions."""
    folded = text.casefold()
    for mark in ("(r)", "(tm)", "®", "™"):
        folded = folded.replace(mark, " ")
    folded = _SPACED_SIZE.sub(r"\1gb", folded)
    words: set[str] = set()
    for word in _SPLIT.split(folded.replace("‑", "-")):
        word = _VERSION.sub(r"\1", word)  # noqa: PLW2901
        family = _FAMILY.fullmatch(word) if families else None
        words.update(part for part in (family.groups() if family else (word,)) if part)
    return frozenset(word.strip(".") for word in words if word.strip("."))


class Names:
    """Looks up devices, models, stacks and formats by the names that publications give them.

    Parameters
    ----------
    data : mapping
        The table of names: ``devices``, ``models``, ``noise``, ``weights``, ``stacks``, and what :class:`~.runs.Runs`
        reads of it.

    Attributes
    ----------
    runs : Runs
        What documentation says of the runs behind rows.
    rare : frozenset of str
        Devices made for few customers: a name that says no more never means them.
    """

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._exact = {kind: {_spaced(k): v for k, v in data.get(kind, {}).items()} for kind in ("devices", "models")}
        self._noise = {kind: frozenset(words) for kind, words in data.get("noise", {}).items()}
        self._weights = {_spaced(k): v for k, v in data.get("weights", {}).items()}
        self._rules = tuple(StackRule(**rule) for rule in data.get("stacks", ()))
        self.runs = Runs(data)
        self._systems = tuple(
            (tuple(rule["sets"]), _spaced(rule["name"]), str(rule["device"])) for rule in data.get("systems", ())
        )
        self._instances = tuple(
            (re.compile(one["name"], re.IGNORECASE), str(one["device"])) for one in data.get("instances", ())
        )
        self.rare = frozenset(data.get("rare", {}).get("devices", ()))
        self._variants: dict[frozenset[str], set[str]] = {}
        self._index: dict[str, dict[frozenset[str], set[str]]] = {}

    def device(self, name: str) -> str:
        """Return the key of a device.

        Parameters
        ----------
        name : str
            As published.

        Returns
        -------
        str

        Raises
        ------
        Refused
            If no device of the registry is called so.
        """
        rented = (device for pattern, device in self._instances if pattern.fullmatch(name.strip()))
        key = next(rented, None) or self._find("devices", name) or self._of_node(name)
        if key is None:
            key = next(filter(None, (self._find("devices", spelling) for spelling in device_spellings(name))), None)
        if key is None:
            raise Refused(f"the registry has no device {name!r}")
        return key

    def told(self, set_: str, name: str) -> str:
        """Return the device that the document behind a set says it means by a name.

        Parameters
        ----------
        set_ : str
            Set of the row.
        name : str
            As published.

        Returns
        -------
        str
            A key; empty where the document says no more than the name.
        """
        return next((key for sets, named, key in self._systems if set_ in sets and named == _spaced(name)), "")

    def family(self, name: str, key: str) -> frozenset[str]:
        """Return the variants of one product that a name may mean, apart from what it says of form and memory.

        Parameters
        ----------
        name : str
            As published.
        key : str
            The device that is taken for it.

        Returns
        -------
        frozenset of str
            Keys; empty where the name is none of the words of that device.
        """
        registry = plugins().registry
        if not self._variants:
            for entry in registry.readable("devices"):
                for one in (entry.key, entry.record.name, *entry.record.aliases):
                    self._variants.setdefault(bare(one), set()).add(entry.key)
        found = self._variants.get(bare(name), set())
        if key not in found:
            return frozenset()
        vendor = registry.get("devices", key).record.vendor
        return frozenset(other for other in found if registry.get("devices", other).record.vendor == vendor)

    def model(self, name: str, size: str = "") -> str:
        """Return the key of a model.

        Parameters
        ----------
        name : str
            As published, or a path on a hub.
        size : str
            Parameters as published, for names that do not tell them.

        Returns
        -------
        str

        Raises
        ------
        Refused
            If no model of the registry is called so.
        """
        short = last_part(name)
        for candidate in (name, short, f"{short} {size}" if size else ""):
            key = self._find("models", candidate) if candidate else None
            if key is not None:
                return key
        spellings = list(model_spellings(name))
        found = [key for spelling in spellings if (key := self._find("models", spelling))] or [
            key for spelling in (short, *spellings)
            if (key := sized_model(_tokens(spelling, families=True), self._words("models")))
        ]  # fmt: skip
        if found:
            return found[0]
        why = f"the registry has no model {f'{name} {size}'.strip()!r}"
        try:  # some names are known, and why nothing answers them
            plugins().registry.get("models", name)
        except MlsysimError as error:
            why = why if isinstance(error, UnknownNameError) else error.what
        raise Refused(why)

    def weights(self, text: str) -> tuple[str, str]:
        """Return the format of the arithmetic and that of stored weights.

        Parameters
        ----------
        text : str
            Precision as published.

        Returns
        -------
        precision, weights : str
            ``weights`` is empty where it follows the arithmetic.

        Raises
        ------
        Refused
            If the text names no known format, or is empty.
        """
        spaced = _spaced(text)
        found = self._weights.get(spaced) or self._weights.get(plain_format(spaced)) or stored_format(spaced)
        if not found:
            raise Refused(unknown_format(text, spaced, self._weights) if text else "the precision is not published")
        precision, _, weights = found.partition("/")
        return precision, weights

    def stack(self, software: str, set_: str, kind: str, device: str = "", published: str = "") -> str | None:
        """Return the key of the stack that some software is.

        Parameters
        ----------
        software : str
            As published.
        set_, kind : str
            Set and kind of the row.
        device : str
            Key of the device.
        published : str
            Year and month of publication; empty where nobody knows.

        Returns
        -------
        str or None
            None leaves the choice to the assumption that every scenario makes.
        """
        folded = folded_software(software)
        for rule in self._rules:
            if rule.holds(folded, set_, kind, device, published):
                return rule.stack
        for inside in re.finditer(r"(?<![a-z0-9.])[a-z]", folded):
            rest = folded[inside.start() :]
            for rule in self._rules:
                if rule.anywhere and rule.holds(rest, set_, kind, device, published):
                    return rule.stack
        return None

    def stands_in(self, software: str) -> bool:
        """Tell whether some software is answered by the stack that is its nearest relative.

        Parameters
        ----------
        software : str
            As published.

        Returns
        -------
        bool
        """
        folded = folded_software(software)
        rules = [rule for rule in self._rules if folded.startswith(rule.software)]
        closest = max((len(rule.software) for rule in rules), default=0)
        return any(rule.near for rule in rules if len(rule.software) == closest)

    @staticmethod
    def _of_node(name: str) -> str | None:
        """Return the device of a node or an instance of a cloud that is called so."""
        registry = plugins().registry
        held = {registry.get("nodes", key).record.device for key in likely(registry, "nodes", name)}
        return held.pop() if len(held) == 1 else None

    def _find(self, kind: str, name: str) -> str | None:
        exact = self._exact[kind].get(_spaced(name))
        if exact is not None:
            return exact if exact in plugins().registry.keys(kind) else None
        wanted = _tokens(name, families=kind == "models")
        noise = self._noise.get(kind, frozenset())
        best: set[str] = set()
        most = 0
        for words, keys in self._words(kind).items():
            extra = wanted - words
            if words <= wanted and len(words - noise) >= most and all(w in noise or _SIZE.fullmatch(w) for w in extra):
                longer = len(words - noise) > most
                best, most = (set(keys) if longer else best | keys), len(words - noise)
        best = {key for key in best if kind != "devices" or self._fits(key, name, wanted)}
        if len(best) == 1:
            return best.pop()
        others = likely(plugins().registry, kind, name)
        return others[0] if len(others) == 1 else None

    def _words(self, kind: str) -> dict[frozenset[str], set[str]]:
        if kind not in self._index:
            found: dict[frozenset[str], set[str]] = {}
            noise = self._noise.get(kind, frozenset())
            for entry in plugins().registry.readable(kind):
                for name in (entry.key, entry.record.name, *entry.record.aliases):
                    words = _tokens(name, families=kind == "models")
                    found.setdefault(words, set()).add(entry.key)
                    found.setdefault(words - noise or words, set()).add(entry.key)
            self._index[kind] = found
        return self._index[kind]

    @staticmethod
    def _fits(key: str, name: str, wanted: frozenset[str]) -> bool:
        """Refuse a device whose memory or form is not the published one, unless its maker sells it with several."""
        record = plugins().registry.get("devices", key).record
        if another_make(name, record):
            return False
        if record.vendor == "Apple":
            return True
        printed = [parse_quantity(f"{match[1]} GB", "B") for word in wanted if (match := _SIZE.fullmatch(word))]
        capacity: float = record.memory.capacity
        return all(0.9 <= capacity / size <= 1.1 for size in printed[:1]) and not contradicts(name, record, key)


def _spaced(text: str) -> str:
    return " ".join(re.sub(r"[^a-z0-9.+]+", " ", text.casefold()).split())


@lru_cache(maxsize=1)
def names() -> Names:
    """Return the packaged table of names.

    Returns
    -------
    Names
        Empty where no data package offers one.
    """
    path: Path | None = packaged_tables().get("names")
    return Names(load_document(path).data if path is not None else {})
