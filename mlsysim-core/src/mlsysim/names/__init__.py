"""When two names are one, and suggestions for mistyped ones."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

__all__ = ["did_you_mean", "fold", "suggest"]

_FEW = 24
"""So many names are listed whole where none is near."""


_NONE: Mapping[str, str] = {}


def fold(name: str) -> str:
    """Write a name in the form in which keys and aliases are compared.

    Parameters
    ----------
    name : str
        As a user types it.

    Returns
    -------
    str
        Case, spaces and underscores do not count.
    """
    return name.casefold().replace("_", "-").replace(" ", "-")


def _folded(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())


def suggest(name: str, known: Iterable[str], *, limit: int = 3, aliases: Mapping[str, str] = _NONE) -> list[str]:
    """Find the known names nearest to a mistyped one.

    Names equal but for case and punctuation come first, then those that start
    with or contain the text, then those within a small edit distance. Of known names
    that are equal but for these the first is told.

    Parameters
    ----------
    name : str
        What the user typed.
    known : iterable of str
        The names that exist.
    limit : int
        The most names to return.
    aliases : mapping of str to str
        Further names, each with what it stands for: that is told once, by its nearest name.

    Returns
    -------
    list of str
        Best first; empty when nothing is near.
    """
    import difflib

    wanted = _folded(name)
    ordered = sorted(known) if isinstance(known, (set, frozenset)) else known
    by_fold: dict[str, str] = {}
    for candidate in (*ordered, *aliases):
        by_fold.setdefault(_folded(candidate), candidate)
    inside = sorted((f for f in by_fold if len(wanted) > 1 and wanted in f), key=lambda f: (len(f), f))
    near = difflib.get_close_matches(wanted, sorted(by_fold), n=_FEW if aliases else limit, cutoff=0.6)
    found: dict[str, str] = {}
    for folded in ([wanted] if wanted in by_fold else []) + inside + near:
        found.setdefault(aliases.get(by_fold[folded], by_fold[folded]), by_fold[folded])
    return list(found.values())[:limit]


def did_you_mean(name: str, known: Iterable[str], *, listing: str = "", aliases: Mapping[str, str] = _NONE) -> str:
    """Phrase the remedy for an unknown name.

    Parameters
    ----------
    name : str
        What the user typed.
    known : iterable of str
        The names that exist.
    listing : str
        How to list them all, for example ``mlsysim list devices``.
    aliases : mapping of str to str
        Further names, each with what it stands for.

    Returns
    -------
    str
        A sentence without its final full stop; empty when there is nothing to say.
    """
    candidates = list(known)
    nearest = suggest(name, candidates, aliases=aliases)
    if nearest:
        sentence = "Did you mean " + " or ".join(repr(n) for n in nearest) + "?"
    elif 0 < len(candidates) <= _FEW:
        sentence = "Known names: " + ", ".join(sorted(candidates))
    else:
        sentence = ""
    if listing:
        tail = f"`{listing}` shows all of them"
        sentence = f"{sentence} {tail}".strip() if sentence.endswith("?") else f"{sentence}; {tail}".lstrip("; ")
    return sentence
