"""Names as people and publications write them, matched to the names that the registry knows.

A name matches when it holds every word of a known one and adds nothing but noise: the maker, the kind of
memory, a form factor that the part has anyway, a count such as ``8x``. The known name with the most words wins;
when several are left the name is ambiguous and matches none of them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from .errors import UnknownNameError

if TYPE_CHECKING:
    from .entities import Registry

__all__ = ["bare", "contradicts", "count_of", "last_part", "likely", "matches", "squeezed", "the_one", "variants"]

_MAKERS = frozenset({
    "nvidia", "amd", "ati", "intel", "apple", "google", "qualcomm", "aws", "amazon", "habana", "huawei", "st",
    "stmicroelectronics", "espressif", "nordic", "arm", "tenstorrent", "meta", "microsoft", "mistralai", "alibaba",
    "sambanova", "cerebras", "graphcore", "groq", "hailo", "ampere", "infineon", "nuvoton", "nxp", "ambiq", "valve",
})  # fmt: skip
_SERIES = frozenset({"geforce", "tesla", "instinct", "radeon", "quadro", "chip", "soc", "series"})
_NOISE: Mapping[str, frozenset[str]] = {
    "devices": frozenset({
        "gpu", "gpus", "accelerator", "accelerators", "card", "processor", "cloud", "board", "module",
        "graphics",
        "hbm", "hbm2", "hbm2e", "hbm3", "hbm3e", "gddr5", "gddr6", "gddr6x", "gddr7", "lpddr4", "lpddr5", "lpddr5x",
        "vram", "memory", "sxm", "sxm2", "sxm3", "sxm4", "sxm5", "sxm6", "oam", "pcie", "nvlink", "hgx", "tensor",
        "core", "generation", "edition", "workstation", "founders", "oc", "superchip", "grace", "hopper", "blackwell",
        "ai", "nps1", "spx", "dlc", "cts", "virtualized",
    }),
    "models": frozenset({
        "instruct", "chat", "base", "hf", "it", "pt", "model", "llm", "preview", "parameters", "params", "dense",
    }),
    "nodes": frozenset({"node", "instance", "server", "system", "with", "gpus", "gpu"}),
}  # fmt: skip
_SPLIT = re.compile(r"[^a-z0-9.+]+")
_SIZE = re.compile(r"(\d+)gb")
_POWER = re.compile(r"(\d+)w")
_MEASURE = re.compile(r"\d+(?:gb|w)")
_SPACED_SIZE = re.compile(r"(\d+)\s*g(?:i?b)?\b")
_COUNT = re.compile(r"x\d{1,3}|\d{1,3}x")
_GLUED_COUNT = re.compile(r"^\d{1,3}x(?=[a-z])")
_BEFORE = re.compile(r"\s*\(?(?:(\d{1,3})\s*[x×]|(\d{1,2})\s*X)(?:\s*(?=[A-Za-z])|\s+(?=\d))")
_AFTER = re.compile(r"(?:(?<=[\s_(-])[x×]\s?|(?<=\d)[xX×]|(?<=[gG][bB])[xX×])(\d{1,3})\)?\s*$")
_LANES = re.compile(r"(?:pcie|gen)[\s\d.]*[\s_(-]*$", re.IGNORECASE)
_FORMS = frozenset({"nvl", "server"})
_BOARDS = (("pcie", "sxm"), ("sxm", "pcie"), ("pcie", "oam"), ("oam", "pcie"))  # a card is no module
_FAMILY = re.compile(r"([a-z]{3,})v?(\d.*)")
_VERSION = re.compile(r"v(\d.*)")
_SUFFIX = re.compile(r"(\d{4})(ti|super|s|m|d)")
_GIGA = 1e9
_MANY = 16384  # names of all entities are split again for every name that is looked up
_NEAR = (0.9, 1.1)  # a label of 80 GB may be 80 GiB, or 79.6 usable


def likely(registry: Registry, kind: str, name: str) -> list[str]:
    """Find what a freely written name may mean, such as a row of a published table.

    Parameters
    ----------
    registry : mlsysim.entities.Registry
        All data packages.
    kind : str
        Plural kind, or its singular.
    name : str
        Not a key and no alias.

    Returns
    -------
    list of str
        Keys; more than one when the name is ambiguous.
    """
    plural = registry.kind(kind)
    owned = registry.owners(plural)
    listed = [(key, key) for key in owned]
    for package in registry.packages:
        listed += package.aliases(plural).items()
    listed = [(text, key) for text, key in listed if key in owned]
    if plural != "devices":
        return matches(plural, name, listed)
    return matches(plural, name, listed, lambda key: not contradicts(name, registry.get(plural, key).record, key))


def the_one(kind: str, name: str, fitting: list[str], *, where: str) -> str | None:
    """Return the only entity that a name means.

    Parameters
    ----------
    kind : str
        Plural kind.
    name : str
        As written.
    fitting : list of str
        Keys that it may mean.
    where : str
        The argument that holds it, for the message.

    Returns
    -------
    str or None
        None when nothing fits.

    Raises
    ------
    UnknownNameError
        When several fit, or the name counts devices: the count belongs to the system, and is never dropped.
    """
    if len(fitting) > 1:
        raise UnknownNameError(
            f"the name {name!r} fits several {kind}", where=where, remedy="Say which: " + ", ".join(fitting)
        )
    counted = (count_of(name) or 1) if kind == "devices" and fitting else 1
    if counted > 1:
        raise UnknownNameError(
            f"the name {name!r} counts {counted} devices",
            where=where,
            remedy=f"Name the device, {fitting[0]}, and say apart how many there are (system.devices, --devices)",
        )
    return fitting[0] if fitting else None


def contradicts(name: str, device: Any, key: str) -> bool:
    """Tell whether a name asks for another memory size, power or form factor than a device has.

    Parameters
    ----------
    name : str
        As written.
    device : mlsysim.records.device.Device
        The device it may mean.
    key : str
        Key of the device.

    Returns
    -------
    bool
    """
    known = {word for alias in device.aliases for word in _words(alias, "devices")}
    words = _words(name, "devices") - known
    for pattern, own in ((_SIZE, device.memory.capacity / _GIGA), (_POWER, device.power.tdp if device.power else None)):
        printed = [int(found[1]) for word in words if (found := pattern.fullmatch(word))]
        if own and printed and not any(_NEAR[0] <= own / value <= _NEAR[1] for value in printed if value):
            return True
    title, written = f"{key} {device.name}".casefold(), name.casefold()
    return any(a in written and b in title and not (a in title or b in written) for a, b in _BOARDS)


def count_of(name: str) -> int | None:
    """Read how many devices a name counts: ``8x H100``, ``RTX 4090 x2``, ``H100-SXM5-80GBx8``.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    int or None
        None where it counts none.
    """
    before = _BEFORE.match(name)
    if before is not None:
        return int(before[1] or before[2]) or None
    after = _after(name)
    return (int(after[1]) or None) if after is not None else None


def bare(name: str) -> frozenset[str]:
    """Return the words of a device's name without maker, form factor, kind and size of the memory, and counts.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    frozenset of str
        The same for the variants of one product.
    """
    words = _words(_uncounted(name), "devices") - _MAKERS - _SERIES - _NOISE["devices"] - _FORMS
    return frozenset(word for word in words if not _MEASURE.fullmatch(word))


def variants(registry: Registry, name: str, key: str) -> list[str]:
    """Find the other variants of a product, by form factor or memory, that a written name means as well.

    Parameters
    ----------
    registry : mlsysim.entities.Registry
        All data packages.
    name : str
        As written.
    key : str
        Key of the device that is taken for it.

    Returns
    -------
    list of str
        Keys, sorted; none where the name is a key.
    """
    keys = registry.keys("devices")
    wanted = bare(name)
    if name in keys or wanted != bare(key):
        return []
    near = (other for other in keys if other != key and all(word in other for word in wanted))
    taken = registry.get("devices", key).record
    return sorted(
        other
        for other in near
        if bare(other) == wanted
        and registry.get("devices", other).record.vendor == taken.vendor
        and not contradicts(name, registry.get("devices", other).record, other)
    )


def _after(name: str) -> re.Match[str] | None:
    """Find a count at the end of a name; the lanes of a slot are none."""
    after = _AFTER.search(name)
    return None if after is None or _LANES.search(name[: after.start()]) else after


def _uncounted(name: str) -> str:
    """Drop how many devices a name counts."""
    before, after = _BEFORE.match(name), _after(name)
    if before is not None:
        return name[before.end() :]
    return name[: after.start()].rstrip(" -_(") if after is not None else name


@lru_cache(maxsize=_MANY)
def squeezed(name: str) -> str:
    """Drop case, spaces and punctuation, but not the points of version numbers.

    Parameters
    ----------
    name : str
        As written.

    Returns
    -------
    str
    """
    return "".join(c for c in name.casefold() if c.isalnum() or c in ".+").strip(".")


def last_part(name: str) -> str:
    """Return the last part of a path on a hub, and any other name whole.

    Parameters
    ----------
    name : str
        As written; what follows the slash of ViT-L/16 is the size of a patch and names nothing alone.

    Returns
    -------
    str
    """
    part = name.rsplit("/", 1)[-1]
    return name if part.strip().isdigit() else part


def matches(
    kind: str, name: str, known: Iterable[tuple[str, str]], fits: Callable[[str], bool] = lambda _: True
) -> list[str]:
    """Find the keys that a freely written name may mean.

    Parameters
    ----------
    kind : str
        Plural kind; the words that count as noise depend on it.
    name : str
        As written: a row of a table, a path on a hub, the answer of a driver.
    known : iterable of (str, str)
        Each known name with the key that it leads to.
    fits : callable
        Tells whether nothing that the name says speaks against the entity of a key.

    Returns
    -------
    list of str
        Keys, sorted: one when the name is clear, several when it is ambiguous, none when nothing fits.
    """
    noise = _NOISE.get(kind, frozenset())
    spellings = [name, last_part(name)] if kind == "models" else [name]
    if kind == "devices" and count_of(name):
        spellings.append(_uncounted(name))
    listed = [(text, key) for text, key in known if text]
    if kind == "models":  # a path on a hub is also known by its last part
        listed += [(last_part(text), key) for text, key in listed if "/" in text]
    for spelling in spellings:
        compact = squeezed(spelling)
        same = {key for text, key in listed if squeezed(text) == compact}
        if same:
            return sorted(key for key in same if fits(key))
    by_words: dict[frozenset[str], set[str]] = {}
    for text, key in listed:
        by_words.setdefault(_words(text, kind) - _MAKERS - _SERIES, set()).add(key)
    wanted = _words(spellings[-1], kind) - _MAKERS - _SERIES
    return sorted(_longest(wanted, by_words, noise, fits))


def _longest(
    wanted: frozenset[str],
    by_words: Mapping[frozenset[str], set[str]],
    noise: frozenset[str],
    fits: Callable[[str], bool],
) -> frozenset[str]:
    """Of the known names inside the wanted one, with nothing but noise beside, keep those of the most words."""
    best: set[str] = set()
    most = 0
    for words, keys in by_words.items():
        if len(words) < most or not words - noise or not words <= wanted:
            continue
        if not all(word in noise or _MEASURE.fullmatch(word) for word in wanted - words):
            continue
        fitting = {key for key in keys if fits(key)}
        if fitting:
            best = best | fitting if len(words) == most else fitting
            most = len(words)
    return frozenset(best)


@lru_cache(maxsize=_MANY)
def _words(text: str, kind: str) -> frozenset[str]:
    """Split a name into words that do not depend on spelling."""
    folded = text.casefold()
    for mark in ("(r)", "(tm)", "®", "™"):
        folded = folded.replace(mark, " ")
    devices = kind == "devices"
    if devices:
        folded = _SPACED_SIZE.sub(r"\1gb", folded)
    words: set[str] = set()
    for raw in _SPLIT.split(folded.replace("‑", "-")):
        word = raw.strip(".")
        if devices:
            word = "" if _COUNT.fullmatch(word) else _GLUED_COUNT.sub("", word)
        if not word:
            continue
        words.update(_parts(word, devices=devices))
    return frozenset(words)


def _parts(word: str, *, devices: bool) -> tuple[str, ...]:
    """Split a family from its version (``llama3``) and a number from its suffix (``4070ti``)."""
    version = _VERSION.fullmatch(word)
    if version:
        return (version[1],)
    family = _FAMILY.fullmatch(word)
    if family and (not devices or family[1] in ("rtx", "gtx", "radeon", "arc", "tpu", "gaudi")):
        return (family[1], *_parts(family[2], devices=devices))
    suffix = _SUFFIX.fullmatch(word) if devices else None
    if suffix:
        return (suffix[1], {"s": "super", "m": "mobile"}.get(suffix[2], suffix[2]))
    return (word,)
