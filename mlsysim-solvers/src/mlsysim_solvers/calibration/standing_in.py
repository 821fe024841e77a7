"""Answers under another version of an entity, without writing a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import cast

import attrs

from mlsysim.entities import Entry, RegistrySource
from mlsysim.plugins import plugins

__all__ = ["standing_in"]


@attrs.define
class _One:
    """A data package of one entity."""

    held: Entry
    name: str = "standing in"

    def keys(self, kind: str) -> Sequence[str]:
        return (self.held.key,) if kind == self.held.kind else ()

    def entry(self, kind: str, key: str) -> Entry:  # noqa: ARG002 - the protocol of data packages
        return self.held

    def aliases(self, kind: str) -> Mapping[str, str]:  # noqa: ARG002 - the protocol of data packages
        return {}


@contextmanager
def standing_in(entry: Entry) -> Iterator[None]:
    """Let an entity stand in for the one of its kind and key.

    Parameters
    ----------
    entry : Entry
        What the registry answers with inside the block; everything else stays.

    Yields
    ------
    None
    """
    owners = cast("dict[str, RegistrySource]", plugins().registry.owners(entry.kind))
    before = owners[entry.key]
    owners[entry.key] = _One(entry)
    try:
        yield
    finally:
        owners[entry.key] = before
