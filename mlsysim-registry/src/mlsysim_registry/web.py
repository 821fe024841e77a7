"""Reading from the network, carefully: one door for every command that opens a socket.

The simulation path never comes here. Limits hold on decoded bytes and on total time; only
https is spoken (http on loopback, for tests); a redirect is followed within the same host
alone, because headers with secrets would travel with it; errors never show a query string.
"""

from __future__ import annotations

import ipaddress
import os
import time
from collections.abc import Mapping
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
    """

    status: int
    body: bytes
    url: str


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


def get(url: str, *, headers: Mapping[str, str] | None = None, limit: int = 5_000_000) -> Reply:
    """Read an address.

    Parameters
    ----------
    url : str
        https address.
    headers : mapping of str to str
        Sent to the host of ``url`` and to no other.
    limit : int, B
        Most bytes of decoded body.

    Returns
    -------
    Reply
        With any status; the caller decides what it means.

    Raises
    ------
    RegistryError
        If the address is refused, unreachable, too large, too slow, or ``MLSYSIM_OFFLINE=1`` is set.
    """
    import requests

    if os.environ.get("MLSYSIM_OFFLINE") == "1":
        raise RegistryError(f"{safe_url(url)} is not read: MLSYSIM_OFFLINE=1", remedy="Unset it to allow the network")
    host = _check(url)
    until = time.monotonic() + DEADLINE
    with requests.Session() as session:
        session.trust_env = False
        session.proxies.update(requests.utils.getproxies())
        if os.environ.get("REQUESTS_CA_BUNDLE"):
            session.verify = os.environ["REQUESTS_CA_BUNDLE"]
        session.headers["User-Agent"] = "mlsysim-registry"
        for _ in range(MAX_REDIRECTS + 1):
            try:
                with session.get(
                    url, headers=dict(headers or {}), stream=True, allow_redirects=False,
                    timeout=(CONNECT_TIMEOUT, READ_TIMEOUT),
                ) as answer:  # fmt: skip
                    if answer.is_redirect:
                        url = _redirected(url, answer.headers.get("Location", ""), host)
                        continue
                    return Reply(
                        answer.status_code, _body(answer.iter_content(CHUNK), url, limit, until), safe_url(url)
                    )
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


def _body(chunks: object, url: str, limit: int, until: float) -> bytes:
    parts: list[bytes] = []
    size = 0
    for chunk in chunks:  # type: ignore[attr-defined]
        size += len(chunk)
        if size > limit:
            raise RegistryError(f"{safe_url(url)} holds more than {limit:,} bytes")
        if time.monotonic() > until:
            raise RegistryError(f"{safe_url(url)} took longer than {DEADLINE:g} s")
        parts.append(chunk)
    return b"".join(parts)
