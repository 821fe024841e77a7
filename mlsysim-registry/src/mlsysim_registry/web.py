"""Reading from the network, carefully: one door for every command that opens a socket.

The simulation path never comes here. Limits hold on decoded bytes and on total time; only
https is spoken (http on loopback, for tests); a redirect is followed within the same host
alone, because headers with secrets would travel with it; errors never show a query string.
"""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit, urlunsplit

import attrs

from mlsysim.errors import RegistryError

__all__ = ["Reply", "get", "safe_url"]

MAX_REDIRECTS = 3
CONNECT_TIMEOUT = 10.0
READ_TIMEOUT = 20.0
DEADLINE = 60.0
CHUNK = 65536


@attrs.frozen
class Reply:
    """An answer.

    Parameters
    ----------
    status : int
        HTTP status.
    body : bytes
        Decoded body.
    url : str
        Final address, without query.
    kind : str
        Media type.
    """

    status: int
    body: bytes
    url: str
    kind: str = ""


def safe_url(url: str) -> str:
    """Return an address without its query and user, for messages and records.

    Parameters
    ----------
    url : str
        Any address.

    Returns
    -------
    str
    """
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.hostname or "", parts.path, "", ""))


def _check(url: str) -> str:
    """Return the host of an address that may be read, or refuse it."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
        literal = host != "localhost"
    except ValueError:
        loopback, literal = False, False
    if parts.scheme == "https" and not literal:
        return parts.netloc
    if parts.scheme == "http" and loopback:
        return parts.netloc
    raise RegistryError(
        f"{safe_url(url)} is not read", remedy="Only https addresses with a host name are (http on this machine only)"
    )


def get(
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    limit: int = 5_000_000,
    deadline: float = DEADLINE,
    public: bool = False,
) -> Reply:
    """Read an address.

    Parameters
    ----------
    url : str
        https address.
    headers : mapping of str to str
        Sent to the host of ``url`` and to no other.
    limit : int, B
        Most bytes of decoded body.
    deadline : float, s
        Time for everything; a timeout alone never ends a slow drip.
    public : bool
        Refuse this machine and private networks, also when a name leads there: for addresses that
        come out of data files.

    Returns
    -------
    Reply
        With any status; the caller decides what it means.

    Raises
    ------
    RegistryError
        If the address is refused, unreachable, too large, too slow, or ``MLSYSIM_OFFLINE=1`` is set.
    """
    from urllib.request import getproxies

    import requests

    if os.environ.get("MLSYSIM_OFFLINE") == "1":
        raise RegistryError(f"{safe_url(url)} is not read: MLSYSIM_OFFLINE=1", remedy="Unset it to allow the network")
    host = _check(url)
    until = time.monotonic() + deadline
    with requests.Session() as session:
        session.trust_env = False
        session.proxies.update(getproxies())
        if os.environ.get("REQUESTS_CA_BUNDLE"):
            session.verify = os.environ["REQUESTS_CA_BUNDLE"]
        session.headers["User-Agent"] = "mlsysim-registry"
        for _ in range(MAX_REDIRECTS + 1):
            if public:
                _check_public(url)
            try:
                with session.get(
                    url, headers=dict(headers or {}), stream=True, allow_redirects=False,
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                ) as answer:  # fmt: skip
                    if public and not session.proxies:
                        _check_peer(answer.raw, url)
                    if answer.is_redirect:
                        url = _redirected(url, answer.headers.get("Location", ""), host)
                        continue
                    body = _body(_pieces(answer.raw), url, limit, until, deadline)
                    kind = answer.headers.get("Content-Type", "").split(";")[0].strip().lower()
                    return Reply(answer.status_code, body, safe_url(url), kind)
            except requests.RequestException as error:
                # The text of the exception may hold the query string: its type says enough.
                raise RegistryError(
                    f"{safe_url(url)} cannot be read: {type(error).__name__}", remedy="Check the network and try again"
                ) from None
    raise RegistryError(f"{safe_url(url)} redirects more than {MAX_REDIRECTS} times")


def _redirected(url: str, location: str, host: str) -> str:
    target = urljoin(url, location)
    if _check(target) != host:
        raise RegistryError(f"{safe_url(url)} redirects to another host, {urlsplit(target).hostname}")
    return target


def _check_public(url: str) -> None:
    """Refuse a host that is, or resolves to, an address of this machine or of a private network."""
    parts = urlsplit(url)
    try:
        found = socket.getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, ValueError):
        raise RegistryError(f"the host of {safe_url(url)} is not known",
                            remedy="Check the network: connections are direct, through no proxy") from None  # fmt: skip
    for *_, address in found:
        _refuse_private(str(address[0]), url)


def _check_peer(raw: object, url: str) -> None:
    """Look at what was really connected: a name can resolve differently the second time."""
    sock = getattr(getattr(raw, "_connection", None), "sock", None)
    if sock is not None:
        _refuse_private(str(sock.getpeername()[0]), url)


def _refuse_private(address: str, url: str) -> None:
    if not ipaddress.ip_address(address.split("%", maxsplit=1)[0]).is_global:
        raise RegistryError(f"{safe_url(url)} leads into a private network")


def _pieces(raw: Any) -> Iterator[bytes]:
    """Yield decoded pieces as they arrive, so that a slow answer cannot hide from the deadline."""
    from requests.exceptions import ContentDecodingError
    from urllib3.exceptions import DecodeError

    read = getattr(raw, "read1", None) or raw.read  # read1 gives what is there; urllib3 1 lacks it
    size = CHUNK if hasattr(raw, "read1") else 1024
    try:
        while piece := read(size, decode_content=True):
            yield piece
    except DecodeError as error:
        raise ContentDecodingError(error) from None


def _body(chunks: Iterable[bytes], url: str, limit: int, until: float, deadline: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:
        size += len(chunk)
        if size > limit:
            raise RegistryError(f"{safe_url(url)} holds more than {limit:,} bytes")
        if time.monotonic() > until:
            raise RegistryError(f"{safe_url(url)} took longer than {deadline:g} s")
        parts.append(chunk)
    return b"".join(parts)
