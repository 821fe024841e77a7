"""Names as people and publications write them, matched to the names that the registry knows.

A name matches when it holds every word of a known one and adds nothing but noise: the maker, the kind of
memory, a form factor that the part has anyway, a count such as ``8x``. The known name with the most words wins;
when several are left the name is ambiguous and matches none of them alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from ..errors import MlsysimError, UnknownNameError
from .words import last_part, squeezed, words_of

if TYPE_CHECKING:
    from ..entities import Registry

__all__ = [
    "another_make",
    "bare",
    "contradicts",
    "count_of",
    "housed",
    "last_part",
    "likely",
    "matches",
    "squeezed",
    "the_one",
    "variants",
]

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
        "gracehopper", "graceblackwell",
        "ai", "nps1", "spx", "dlc", "cts", "virtualized", "vf", "ac", "developer", "kit",
    }),
    "models": frozenset({
        "instruct", "chat", "base", "hf", "it", "pt", "model", "llm", "preview", "parameters", "params", "dense",
    }),
    "nodes": frozenset({"node", "instance", "server", "system", "with", "gpus", "gpu"}),
}  # fmt: skip
_BRANDS: Mapping[str, str] = {
    "nvidia": "NVIDIA", "geforce": "NVIDIA", "tesla": "NVIDIA", "quadro": "NVIDIA", "amd": "AMD", "ati": "AMD",
    "radeon": "AMD", "instinct": "AMD", "apple": "Apple", "intel": "Intel",
}  # fmt: skip
"""Makers of devices that clouds, boards and hosts do not lend their own names."""
_SIZE = re.compile(r"(\d+)gb")
_POWER = re.compile(r"(\d+)w")
_MEASURE = re.compile(r"\d+(?:gb|w)")
_BEFORE = re.compile(r"\s*\(?(?:(\d{1,3})\s*[x×]|(\d{1,2})\s*X)(?:\s*(?=[A-Za-z])|\s+(?=\d))")
_AFTER = re.compile(r"(?:(?<=[\s_(-])[x×]\s?|(?<=\d)[xX×]|(?<=[gG][bB])[xX×])(\d{1,3})\)?\s*$")
_LANES = re.compile(r"(?:pcie|gen)[\s\d.]*[\s_(-]*$", re.IGNORECASE)
_FORMS = frozenset({"nvl", "server"})
_BOARDS = (("pcie", "sxm"), ("sxm", "pcie"), ("pcie", "oam"), ("oam", "pcie"))  # a card is no module
_GRAPHICS = re.compile(r"gddr\d\w?")
_SOCKET = re.compile(r"sxm(\d)")  # generations of the module, which differ in clock, power and memory
_PRINTED = re.compile(
    r"^\d+th gen\s+|\s+cpu(?=\s.*@|\s+e[357]-)|\s+(?:cpu\s*)?@\s*[\d.]+\s*ghz$|\s+with radeon\b.*graphics$",
    re.IGNORECASE,
)
"""What processors say of their generation, clock and graphics beside their name."""
_GIGA = 1e9
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
    name = _PRINTED.sub("", name.strip())
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


def housed(registry: Registry, name: str) -> str:
    """Say what to write where a device is asked for and a node is named.

    Parameters
    ----------
    registry : mlsysim.entities.Registry
        All data packages.
    name : str
        As written.

    Returns
    -------
    str
        A sentence without its final full stop; empty where the name is that of no node.
    """
    keys = likely(registry, "nodes", name)
    try:
        node = registry.get("nodes", keys[0]).record if len(keys) == 1 else None
    except MlsysimError:  # a faulty file hurts no other entity
        node = None
    if node is None:
        return ""
    return (
        f"It is a node of {node.devices:g} x {node.device}: name that device, how many of them, and the node apart "
        f"(system.node, --node {keys[0]})"
    )


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
    if another_make(name, device):
        return True
    known = {word for alias in device.aliases for word in words_of(alias, "devices")}
    words = words_of(name, "devices") - known
    for pattern, own in ((_SIZE, device.memory.capacity / _GIGA), (_POWER, device.power.tdp if device.power else None)):
        printed = [int(found[1]) for word in words if (found := pattern.fullmatch(word))]
        if own and printed and not any(_NEAR[0] <= own / value <= _NEAR[1] for value in printed if value):
            return True
    title, written = f"{key} {device.name}".casefold(), name.casefold()
    sockets, own = (set(_SOCKET.findall(text)) for text in (written, f"{title} {' '.join(device.aliases).casefold()}"))
    if sockets and own and not sockets & own:
        return True
    return any(a in written and b in title and not (a in title or b in written) for a, b in _BOARDS)


def another_make(name: str, device: Any) -> bool:
    """Tell whether a name gives another maker, or another kind of graphics memory, than a device has.

    Parameters
    ----------
    name : str
        As written.
    device : mlsysim.records.device.Device
        The device it may mean.

    Returns
    -------
    bool
    """
    words = words_of(name, "devices")
    makers = {_BRANDS[word] for word in words if word in _BRANDS}
    if makers and device.vendor not in makers:
        return True
    kind = (device.memory.kind or "").casefold()
    return any(_GRAPHICS.fullmatch(word) and word != kind for word in words) and bool(_GRAPHICS.fullmatch(kind))


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
    words = words_of(_uncounted(name), "devices") - _MAKERS - _SERIES - _NOISE["devices"] - _FORMS
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
        listed += [(last_part(text), key) for text, key in listed if last_part(text) != text]
    for spelling in spellings:
        compact = squeezed(spelling)
        same = {key for text, key in listed if squeezed(text) == compact}
        if same:
            return sorted(key for key in same if fits(key))
    by_words: dict[frozenset[str], set[str]] = {}
    for text, key in listed:
        by_words.setdefault(words_of(text, kind) - _MAKERS - _SERIES, set()).add(key)
    wanted = words_of(spellings[-1], kind) - _MAKERS - _SERIES
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
