"""Reading live sources: the only place where they meet the network, their keys and their failures."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast
from urllib.parse import quote, quote_plus, urlsplit

import attrs

from mlsysim.errors import MlsysimError, RegistryError
from mlsysim.refreshing import Datum, Refresher

from ..web import Reply, get

__all__ = ["Outcome", "collect", "installed", "run"]

_OK = 200
_AGAIN = frozenset({429, 500, 502, 503, 504})
_PAUSE = 1.0
_TRIES = 3
_MOST = 50_000
_LONG = 400


@attrs.frozen
class Outcome:
    """What became of one source.

    Parameters
    ----------
    name : str
        The source.
    found : tuple of Datum
        Its numbers.
    problem : str
        Why it failed; empty when it did not.
    skipped : str
        Why it was not asked; empty when it was.
    """

    name: str
    found: tuple[Datum, ...] = ()
    problem: str = ""
    skipped: str = ""


def installed() -> tuple[dict[str, Refresher], dict[str, str]]:
    """Return the live sources of all plugins.

    Returns
    -------
    sources : dict of str to Refresher
        By name.
    broken : dict of str to str
        Plugins that offer something else, and why; they hurt no other.
    """
    from mlsysim.plugins import plugins

    found: dict[str, Refresher] = {}
    broken: dict[str, str] = {}
    for hook in plugins().manager.hook.mlsysim_register_refreshers.get_hookimpls():
        try:
            offered: list[Any] = list(cast("Any", hook.function()))
        except Exception as error:  # noqa: BLE001 - whatever a plugin raises is its own fault
            broken[hook.plugin_name] = f"{type(error).__name__}: {error}"
            continue
        for item in offered:
            if not isinstance(item, Refresher):
                broken[hook.plugin_name] = _odd(item)
            elif item.name in found:
                broken[hook.plugin_name] = f"another source is called {item.name!r} already"
            else:
                found[item.name] = item
    return found, broken


def _odd(item: object) -> str:
    if isinstance(item, type):
        return f"{item.__name__} is a class; offer an instance: {item.__name__}()"
    return f"{type(item).__name__} is not a subclass of Refresher"


def run(
    refresher: Refresher, *, read: Callable[..., Reply] = get, wait: Callable[[float], Any] = time.sleep
) -> Outcome:
    """Read one source; a failure is told, never raised, so that the others go on.

    Parameters
    ----------
    refresher : Refresher
        The source.
    read : callable
        What reads an address.
    wait : callable
        What waits between two requests.

    Returns
    -------
    Outcome
    """
    unset = [name for name in refresher.env if not os.environ.get(name)]
    if unset:
        return Outcome(refresher.name, skipped=f"{', '.join(unset)} not set")
    secrets = {name: os.environ[name] for name in refresher.env}
    try:
        return Outcome(refresher.name, tuple(collect(refresher, secrets, read, wait)))
    except MlsysimError as error:
        return Outcome(refresher.name, problem=_redacted(str(error), secrets))
    except Exception as error:  # noqa: BLE001 - the answer is not what it should be, whatever the parser says
        said = f"the answer is not understood: {type(error).__name__}: {error}"
        return Outcome(refresher.name, problem=_redacted(said, secrets))


def collect(
    refresher: Refresher, secrets: Mapping[str, str], read: Callable[..., Reply], wait: Callable[[float], Any]
) -> list[Datum]:
    """Read all pages of a source.

    Parameters
    ----------
    refresher : Refresher
        The source.
    secrets : mapping of str to str
        Its keys.
    read, wait : callable
        As in :func:`run`.

    Returns
    -------
    list of Datum

    Raises
    ------
    RegistryError
        If an address is refused or does not answer, or the answer is too short or too long.
    """
    found: list[Datum] = []
    for body in _bodies(refresher, secrets, read, wait):
        found.extend(refresher.parse(body))
        if len(found) > _MOST:
            raise RegistryError(f"more than {_MOST:,} numbers were found")
    if len(found) < refresher.fewest:
        raise RegistryError(f"only {len(found)} numbers were found, at least {refresher.fewest} are expected",
                            remedy="The answer may be cut off, or its format has changed")  # fmt: skip
    return found


def _bodies(
    refresher: Refresher, secrets: Mapping[str, str], read: Callable[..., Reply], wait: Callable[[float], Any]
) -> Iterator[bytes]:
    headers = refresher.headers(secrets)
    seen: set[str] = set()
    for first in refresher.requests():
        url, pages = first, 0
        while url:
            pages += 1
            if url in seen or pages > refresher.max_pages:
                raise RegistryError(f"its pages go round in a circle, or are more than {refresher.max_pages}")
            if urlsplit(url).hostname not in refresher.hosts:
                raise RegistryError(f"the host {urlsplit(url).hostname} is not one of the source's own")
            if seen:
                wait(_PAUSE)
            seen.add(url)
            body = _body(refresher, url, headers, read, wait)
            yield body
            url = refresher.following(body)


def _body(
    refresher: Refresher, url: str, headers: Mapping[str, str], read: Callable[..., Reply], wait: Callable[[float], Any]
) -> bytes:
    """Read one page; a busy server is asked again, after a pause that it cannot choose."""
    for attempt in range(1, _TRIES + 1):
        answer = read(url, headers=headers, limit=refresher.max_bytes, public=True)
        if answer.status == _OK:
            return answer.body
        if answer.status not in _AGAIN or attempt == _TRIES:
            break
        wait(_PAUSE * 2**attempt)
    raise RegistryError(f"{answer.url} answers with status {answer.status}")


def _redacted(text: str, secrets: Mapping[str, str]) -> str:
    """Return a message without secrets and without characters that steer a terminal."""
    for secret in secrets.values():
        for form in (secret, quote(secret, safe=""), quote_plus(secret), repr(secret)[1:-1]):
            text = text.replace(form, "***") if form else text
    clean = "".join(letter if letter.isprintable() else " " for letter in text)
    return clean if len(clean) <= _LONG else clean[:_LONG] + " ..."
