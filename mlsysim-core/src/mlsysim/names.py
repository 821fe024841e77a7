"""When two names are one, and suggestions for mistyped ones."""

from __future__ import annotations

from collections.abc import Iterable

__all__ = ["did_you_mean", "fold", "suggest"]

_FEW = 24
"""So many names are listed whole where none is near."""


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


def suggest(name: str, known: Iterable[str], *, limit: int = 3) -> list[str]:
    """Find the known names nearest to a mistyped one.

    Names equal but for case and punctuation come first, then those that start
    with or contain the text, then those within a small edit distance.

    Parameters
    ----------
    name : str
        What the user typed.
    known : iterable of str
        The names that exist.
    limit : int
        The most names to return.

    Returns
    -------
    list of str
        Best first; empty when nothing is near.
    """
    import difflib

    wanted = _folded(name)
    names = sorted(set(known))
    folded = {candidate: _folded(candidate) for candidate in names}
    same = [n for n in names if folded[n] == wanted]
    inside = [n for n in names if len(wanted) > 1 and wanted in folded[n]]
    inside.sort(key=lambda n: len(folded[n]))
    by_fold = {folded[n]: n for n in reversed(names)}
    near = [by_fold[f] for f in difflib.get_close_matches(wanted, by_fold, n=limit, cutoff=0.6)]
    return list(dict.fromkeys([*same, *inside, *near]))[:limit]


def did_you_mean(name: str, known: Iterable[str], *, listing: str = "") -> str:
    """Phrase the remedy for an unknown name.

    Parameters
    ----------
    name : str
        What the user typed.
    known : iterable of str
        The names that exist.
    listing : str
        How to list them all, for example ``mlsysim list devices``.

    Returns
    -------
    str
        A sentence without its final full stop; empty when there is nothing to say.
    """
    candidates = list(known)
    nearest = suggest(name, candidates)
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
