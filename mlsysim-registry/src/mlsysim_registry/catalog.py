"""A folder of TOML files as a data package: an entity is read when somebody asks for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlsysim.errors import Fault, MlsysimError, RegistryError
from mlsysim.names import did_you_mean, suggest

from .files import names_in, toml_files
from .refresh.store import any_refreshed

# Listing keys must stay cheap, so what reading needs is imported where a file is read.
if TYPE_CHECKING:
    from mlsysim.documents import Document
    from mlsysim.entities import Entry
    from mlsysim.provenance import Claim, Source

    from .shelf import Shelf

__all__ = ["Catalog", "packaged"]

DATA = Path(__file__).parent / "data"


class Catalog:
    """A data package over a folder ``<kind>/**/<key>.toml`` with its documents in ``sources/``.

    Listing keys reads no file. An entity is parsed when it is asked for, once; a faulty file
    raises then and hurts no other entity. Newer numbers that this user refreshed go over the
    packaged ones (:mod:`~.refresh.layering`).

    Parameters
    ----------
    name : str
        Name of the package, as listed.
    folder : Path
        Folder that holds one folder per kind.
    shared : mapping of str to Source, optional
        Documents of another package that claims here may name too.
    named_by : str, optional
        What the user named the folder with, for example an environment variable; the first question complains of it.

    Raises
    ------
    RegistryError
        If a folder that no user named is missing: its files were not installed with their package.
    """

    def __init__(
        self, name: str, folder: Path | str, *, shared: Mapping[str, Source] | None = None, named_by: str = ""
    ) -> None:
        self.name = name
        self.folder = Path(folder)
        self._shared = shared
        self._named_by = named_by
        if not named_by and not self.folder.is_dir():
            raise RegistryError(f"{name} has no folder {self.folder}", remedy="Install the data files with the package")
        self._files: dict[str, dict[str, list[str]]] = {}
        self._entries: dict[tuple[str, str], Entry] = {}
        self._names: dict[str, tuple[dict[str, set[str]], dict[str, set[str]]]] = {}

    def __repr__(self) -> str:
        return f"Catalog({self.name!r}, {str(self.folder)!r})"

    @cached_property
    def sources(self) -> Shelf:
        """The documents that claims here may name."""
        from .shelf import Shelf

        return Shelf(self.folder / "sources", self._shared)

    def files(self, kind: str) -> Mapping[str, Sequence[str]]:
        """Return the files of a kind, without reading them.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        mapping of str to sequence of str
            Key to paths; more than one path is a fault.

        Raises
        ------
        RegistryError
            If the user named a folder that cannot be listed.
        """
        if kind not in self._files:
            self._check_folder()
            self._files[kind] = toml_files(str(self.folder / kind))
        return self._files[kind]

    def _check_folder(self) -> None:
        """Refuse a user's folder without data: its entities would be missing without a word."""
        if not self._named_by:
            return
        from mlsysim.records import KINDS

        try:
            found = {path.name for path in self.folder.iterdir()}
        except OSError as error:
            raise RegistryError(
                f"the folder {self.folder} cannot be read: {error.strerror}",
                where=self._named_by,
                remedy="Name folders that hold devices/, models/ and the like, or unset it",
            ) from None
        if found and not found & {*KINDS, "sources"}:
            raise RegistryError(f"the folder {self.folder} holds no data", where=self._named_by,
                                remedy=f"Entities stand in folders of their kind: {', '.join(KINDS)}")  # fmt: skip
        for name in sorted(found - {*KINDS, "sources"}):
            near = suggest(name, (*KINDS, "sources"))
            if near and any((self.folder / name).glob("**/*.toml")):
                raise RegistryError(f"the folder {self.folder / name} holds cards, and {name!r} is no kind of them",
                                    where=self._named_by, remedy=f"Call it {near[0]!r}")  # fmt: skip

    def keys(self, kind: str) -> Sequence[str]:
        """Return the keys of a kind, without reading their files.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        sequence of str
            Sorted.
        """
        return sorted(self.files(kind))

    def entry(self, kind: str, key: str) -> Entry:
        """Read one entity.

        Parameters
        ----------
        kind, key : str
            A key that :meth:`keys` lists.

        Returns
        -------
        Entry

        Raises
        ------
        RegistryError
            With every fault of its file, or if the key is missing or stands in two files.
        """
        found = self._entries.get((kind, key))
        if found is None:
            found = self._entries[kind, key] = self._load(kind, key)
        return found

    def mentions(self, kind: str, key: str, text: str) -> bool:
        """Tell whether the file of an entity holds a text, without parsing it.

        Parameters
        ----------
        kind, key : str
            A key that :meth:`keys` lists.
        text : str
            Any text.

        Returns
        -------
        bool
            True also for a file that cannot be read, so that its fault is met.
        """
        from mlsysim.documents import read_file

        try:
            return any(text.encode() in read_file(path) for path in self.files(kind)[key])
        except OSError:
            return True

    def document(self, kind: str, key: str) -> Document:
        """Parse the file of an entity.

        Parameters
        ----------
        kind, key : str
            A key that :meth:`keys` lists.

        Returns
        -------
        Document

        Raises
        ------
        RegistryError
            If the file is missing, unreadable or no TOML.
        """
        paths = self.files(kind).get(key, ())
        if not paths:
            raise RegistryError(f"{self.name} has no {kind}/{key}", remedy=did_you_mean(key, self.files(kind)))
        if len(paths) > 1:
            raise RegistryError(
                f"the key {key!r} stands in two files", where=paths[1], remedy=f"Rename it; the other is {paths[0]}"
            )
        from mlsysim.documents import load_document

        return load_document(paths[0], error=RegistryError)

    def _load(self, kind: str, key: str) -> Entry:
        from mlsysim.entities import Entry
        from mlsysim.records import KINDS, Scenario
        from mlsysim.structure import read_facts, read_settings

        from .crosscheck import Backed

        document = self.document(kind, key)
        if self._refreshed:
            from .refresh.layering import layered

            document = layered(document, kind, key, self.sources)
        cls: type[Any] = KINDS[kind]
        claims: dict[str, tuple[Claim, ...]] = {}
        try:
            if cls is Scenario:
                record: Any = read_settings(cls, document)
            else:
                record, claims = read_facts(cls, document, self.sources)
        except RegistryError:
            raise
        except MlsysimError as error:
            raise RegistryError.from_faults(error.faults) from None
        except Exception as error:  # noqa: BLE001 - a hostile file must stay the fault of that file alone
            raise RegistryError(f"cannot be understood: {error}", where=document.name) from None
        used = self._used(document, record, claims)
        return Entry(
            kind=kind,
            key=key,
            record=record,
            claims=claims,
            sources=used,
            path=document.name,
            package=self.name,
            cross_checked=Backed(kind, record, claims),
        )

    @cached_property
    def _refreshed(self) -> bool:
        """Whether the user refreshed numbers: asked once, so that all entities of a catalog are of one state."""
        return any_refreshed()

    def _used(self, document: Document, record: Any, claims: Mapping[str, tuple[Claim, ...]]) -> dict[str, Source]:
        """Collect the documents that the claims name, and what those copy; refuse unknown ones."""
        from mlsysim.provenance import lineage

        wanted = {claim.source: path for path, group in claims.items() for claim in group if claim.source}
        network = getattr(record, "network", None)
        if network is not None:
            wanted.setdefault(network.source, "network.source")
            for part in network.parts:
                wanted.setdefault(part.source, "network.parts")
        faults: list[Fault] = []
        for key, path in wanted.items():
            try:
                self.sources.read(key)
            except RegistryError as error:
                faults += [fault.at(fault.where or document.place(path)) for fault in error.faults]
        if faults:
            raise RegistryError.from_faults(faults)
        found = {key: self.sources.get(key) for key in lineage(wanted, self.sources)}
        return {key: source for key, source in found.items() if source is not None}

    def aliases(self, kind: str) -> Mapping[str, str]:
        """Return what people type instead of a key: the aliases of an entity and its full name.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        mapping of str to str
            Alias to key, aliases first. What two entities claim leads to neither;
            ``mlsysim registry check`` reports it.
        """
        aliases, titles = self.names(kind)
        listed = (*aliases.items(), *((title, keys) for title, keys in titles.items() if title not in aliases))
        return {name: next(iter(keys)) for name, keys in listed if len(keys) == 1}

    def names(self, kind: str) -> tuple[Mapping[str, set[str]], Mapping[str, set[str]]]:
        """Return every alias and every full name with the keys that claim it.

        Parameters
        ----------
        kind : str
            Plural kind.

        Returns
        -------
        aliases, titles : mapping of str to set of str
            Faulty files are left out.
        """
        if kind not in self._names:
            aliases: dict[str, set[str]] = {}
            titles: dict[str, set[str]] = {}
            for key, paths in self.files(kind).items():
                title, others = self._names_of(kind, key, paths[0])
                if title:
                    titles.setdefault(title, set()).add(key)
                for alias in others:
                    aliases.setdefault(alias, set()).add(key)
            self._names[kind] = (aliases, titles)
        return self._names[kind]

    def _names_of(self, kind: str, key: str, path: str) -> tuple[str, Sequence[str]]:
        entry = self._entries.get((kind, key))
        return names_in(path) if entry is None else (entry.record.name, entry.record.aliases)

    def tables(self, kind: str) -> Mapping[str, Path]:
        """Return the tables of a kind, without reading them: they are read on demand.

        Parameters
        ----------
        kind : str
            Folder of the tables, for example ``"measurements"``.

        Returns
        -------
        mapping of str to Path
            Name to file; empty where the package has none.
        """
        found = sorted((self.folder / kind).glob("*.*"))
        return {path.stem: path for path in found if path.suffix in (".csv", ".toml")}

    def kinds(self) -> tuple[str, ...]:
        """Return the kinds that hold at least one file.

        Returns
        -------
        tuple of str
        """
        from mlsysim.records import KINDS

        return tuple(kind for kind in KINDS if self.files(kind))

    def where(self, path: str | Path) -> tuple[str, str] | None:
        """Tell which entity a file is.

        Parameters
        ----------
        path : str or Path
            A file.

        Returns
        -------
        tuple of str or None
            Kind and key; None when the file does not belong to this package. A document is ``("sources", id)``.
        """
        from mlsysim.records import KINDS

        try:
            parts = Path(path).resolve().relative_to(self.folder.resolve()).parts
        except ValueError:
            return None
        known = len(parts) > 1 and (parts[0] in KINDS or parts[0] == "sources") and parts[-1].endswith(".toml")
        return (parts[0], parts[-1][: -len(".toml")]) if known else None


@lru_cache(maxsize=1)
def packaged() -> Catalog:
    """Return the data that ship with this distribution.

    Returns
    -------
    Catalog
    """
    return Catalog("mlsysim-registry", DATA)
