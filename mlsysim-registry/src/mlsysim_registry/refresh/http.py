"""One careful way to read a public document.

No credentials are sent. Only https to public addresses, redirects only within the host, a cap on
decoded bytes, and a deadline for the whole answer, since a timeout alone never ends a slow drip.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import attrs

from mlsysim.errors import ConfigError, RegistryError

if TYPE_CHECKING:
    import requests

__all__ = ["Fetched", "Policy", "fetch", "shown"]

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200
_CHUNK = 1 << 16


@attrs.frozen
class Policy:
    """What a fetch may do.

    Parameters
    ----------
    max_bytes : int, B
        Largest answer, counted after decompression.
    connect, read, deadline : float, s
        Time to connect, between two bytes, and for everything.
    redirects : int, count
        How many to follow.
    schemes : frozenset of str
        Allowed schemes.
    private : bool
        Whether addresses inside a private network may be read.
    """

    max_bytes: int = 20_000_000
    connect: float = 10.0
    read: float = 20.0
    deadline: float = 60.0
    redirects: int = 3
    schemes: frozenset[str] = frozenset({"https"})
    private: bool = False


@attrs.frozen
class Fetched:
    """An answer.

    Parameters
    ----------
    url : str
        Address that answered, after redirects.
    body : bytes
        Decoded content.
    kind : str
        Media type.
    """

    url: str
    body: bytes
    kind: str


def shown(url: str) -> str:
    """Return an address without user name, password, query and fragment, for messages and records.

    Parameters
    ----------
    url : str
        Any address.

    Returns
    -------
    str
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def fetch(url: str, policy: Policy | None = None) -> Fetched:
    """Read a document.

    Parameters
    ----------
    url : str
        Its address.
    policy : Policy, optional
        Limits.

    Returns
    -------
    Fetched

    Raises
    ------
    ConfigError
        If ``MLSYSIM_OFFLINE=1`` forbids connections.
    RegistryError
        If the address is not allowed or the document cannot be read within the limits.
    """
    import requests

    if os.environ.get("MLSYSIM_OFFLINE") == "1":
        raise ConfigError("connections are forbidden by MLSYSIM_OFFLINE=1", where=shown(url), remedy="Unset it")
    limits = policy or Policy()
    until = time.monotonic() + limits.deadline
    with requests.Session() as session:
        session.trust_env = False  # no .netrc, no proxies of the environment
        session.headers["User-Agent"] = "mlsysim-registry (verifies citations)"
        try:
            return _follow(session, url, limits, until)
        except requests.RequestException as error:  # its text may hold the whole address
            raise RegistryError(f"cannot be read: {type(error).__name__}", where=shown(url)) from None


def _follow(session: requests.Session, url: str, limits: Policy, until: float) -> Fetched:
    """Follow redirects within the host ourselves: each step is checked before it is made."""
    first = _host(url)
    for _ in range(limits.redirects + 1):
        _allowed(url, limits)
        with session.get(url, timeout=(limits.connect, limits.read), allow_redirects=False, stream=True) as answer:
            _public_peer(answer, url, limits)
            if answer.status_code in _REDIRECTS:
                url = urljoin(url, answer.headers.get("Location", ""))
                if _host(url) != first:
                    raise RegistryError(f"leads to another host, {_host(url)}", where=shown(answer.url),
                                        remedy="If that is right, give the new address in the description")  # fmt: skip
                continue
            if answer.status_code != _OK:
                raise RegistryError(f"answers with status {answer.status_code}", where=shown(url))
            kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
            return Fetched(shown(url), b"".join(_body(answer, limits, until)), kind)
    raise RegistryError(f"redirects more than {limits.redirects} times", where=shown(url))


def _body(answer: requests.Response, limits: Policy, until: float) -> Iterator[bytes]:
    """Yield decoded pieces until the cap or the deadline."""
    size = 0
    for piece in answer.iter_content(_CHUNK if answer.headers.get("Content-Length") else 1024):
        size += len(piece)
        if size > limits.max_bytes:
            raise RegistryError(f"has more than {limits.max_bytes:,} bytes", where=shown(answer.url))
        if time.monotonic() > until:
            raise RegistryError(f"takes longer than {limits.deadline:g} s", where=shown(answer.url))
        yield piece


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").lower().removeprefix("www.")


def _allowed(url: str, limits: Policy) -> None:
    """Refuse other schemes, addresses with credentials, and hosts inside a private network."""
    parts = urlsplit(url)
    if parts.scheme not in limits.schemes or not parts.hostname:
        raise RegistryError(f"{parts.scheme or 'no scheme'} is not read", where=shown(url), remedy="Use https")
    if parts.username or parts.password:
        raise RegistryError("the address holds credentials", where=shown(url), remedy="Remove them")
    if limits.private:
        return
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except OSError:
        raise RegistryError("the host is not known", where=shown(url)) from None
    for *_, address in found:
        _refuse_private(str(address[0]), url)


def _public_peer(answer: Any, url: str, limits: Policy) -> None:
    """Look at the address that was really connected: a name can resolve differently the second time."""
    connection = getattr(answer.raw, "_connection", None)
    sock = getattr(connection, "sock", None)
    if not limits.private and sock is not None:
        _refuse_private(str(sock.getpeername()[0]), url)


def _refuse_private(address: str, url: str) -> None:
    if not ipaddress.ip_address(address.split("%", maxsplit=1)[0]).is_global:
        raise RegistryError("the host is inside a private network", where=shown(url))
