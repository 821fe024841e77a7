"""Finding a model outside the registry: ``hf:org/name[@revision]``, or a ``config.json`` on disk."""

from __future__ import annotations

import hashlib
import json
import os
import re
from pathlib import Path
from typing import Any

from mlsysim.documents import Document, parse_text
from mlsysim.entities import Entry, today
from mlsysim.errors import RegistryError
from mlsysim.provenance import Source
from mlsysim.records import Model
from mlsysim.shapes import parameters
from mlsysim.structure import read_facts

from ..refresh.store import replace
from ..web import Reply, get
from .configs import shape_table, unmodelled
from .unexpressed import unexpressed_families

__all__ = ["resolve_model"]

SCHEME = "hf:"
INLINE = "config:"
_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")


def _address() -> str:
    """Return the address of the hub; another one serves mirrors and tests."""
    return os.environ.get("MLSYSIM_HUB", "https://huggingface.co").rstrip("/")


def resolve_model(key: str) -> Entry | None:
    """Return a model that no data package lists.

    Parameters
    ----------
    key : str
        ``hf:org/name``, ``hf:org/name@revision``, ``config:`` and the text of a ``config.json``, or the path of one.

    Returns
    -------
    Entry or None
        None when the key is neither.

    Raises
    ------
    RegistryError
        If the model is gated, missing, of an unknown architecture, or its parameter count does not
        follow from its shape.
    """
    for family in unexpressed_families():
        if family.covers(key):
            raise RegistryError(
                f"no shape expresses {key}: {family.why}",
                where="workload.model",
                remedy="Ask for another model: a shape that is nearly right would give wrong answers",
            )
    if key.lower().startswith(SCHEME):
        return _from_hub(key[len(SCHEME) :])
    if key.lower().startswith(INLINE):
        return _from_text(key)
    if key.lower().endswith(".json"):
        return _from_file(Path(key))
    return None


def _from_file(path: Path) -> Entry:
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise RegistryError(f"cannot be read: {error.strerror or error}", where=str(path)) from None
    source = Source(
        id=str(path), title=f"{path.name} on disk", publisher="the user", url=path.resolve().as_uri(), kind="code",
        tier="secondary", retrieved=today().isoformat(), sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip
    return _entry(raw, source, name=path.parent.name or path.stem, total=None, path=str(path))


def _from_text(key: str) -> Entry:
    text = key[len(INLINE) :]
    source = Source(
        id=key, title="a shape that was written down", publisher="the user", url="about:blank", kind="code",
        tier="secondary", retrieved=today().isoformat(), sha256=hashlib.sha256(text.encode()).hexdigest(),
    )  # fmt: skip
    return _entry(text.encode(), source, name="a shape that was written down", total=None, path="")


def _from_hub(name: str) -> Entry:
    match = _ID.fullmatch(name)
    if not match:
        raise RegistryError(
            f"{name!r} is not a model on the hub",
            where="workload.model",
            remedy="Write hf:organisation/name[@revision]",
        )
    repository, revision = match["repository"], match["revision"]
    folder = _cache() / repository.replace("/", "--")
    pinned = folder / f"{revision}.json" if revision else None
    if pinned is not None and pinned.exists():
        stored = json.loads(pinned.read_text())
    else:
        stored = _download(repository, revision)
        folder.mkdir(parents=True, exist_ok=True)
        replace(folder / f"{stored['sha']}.json", json.dumps(stored).encode())
    raw = stored["config"].encode()
    source = Source(
        id=f"{SCHEME}{repository}", title=f"{repository}: config.json", publisher=repository.split("/", maxsplit=1)[0],
        url=f"{_address()}/{repository}/blob/{stored['sha']}/config.json", kind="code", tier="primary",
        edition=stored["sha"], retrieved=stored["retrieved"], sha256=hashlib.sha256(raw).hexdigest(),
    )  # fmt: skip
    return _entry(raw, source, name=repository, total=stored.get("total"), path=str(folder / f"{stored['sha']}.json"))


def _download(repository: str, revision: str | None) -> dict[str, Any]:
    about = f"{_address()}/api/models/{repository}" + (f"/revision/{revision}" if revision else "")
    facts = _json(_read(about, repository, revision))
    sha = facts.get("sha")
    if not isinstance(sha, str) or not re.fullmatch(r"[0-9a-f]{7,64}", sha):
        raise RegistryError(f"the hub gives no revision of {repository}", where=about)
    config = _read(f"{_address()}/{repository}/resolve/{sha}/config.json", repository, revision)
    tensors = facts.get("safetensors")
    total = tensors.get("total") if isinstance(tensors, dict) else None
    return {"sha": sha, "config": config.body.decode("utf-8", "replace"), "total": total,
            "retrieved": today().isoformat()}  # fmt: skip


def _read(url: str, repository: str, revision: str | None) -> Reply:
    token = os.environ.get("HF_TOKEN")
    reply = get(url, headers={"Authorization": f"Bearer {token}"} if token else {})
    if reply.status in (401, 403):
        raise RegistryError(
            f"{repository} is gated or private (status {reply.status})",
            where="workload.model",
            remedy="Accept its licence on the hub and set HF_TOKEN, or download config.json and give its path",
        )
    if reply.status == 404:
        what = f"{repository}@{revision}" if revision else repository
        raise RegistryError(f"the hub has no {what}", where="workload.model", remedy="Check organisation and name")
    if reply.status != 200:
        raise RegistryError(f"the hub answered with status {reply.status}", where=reply.url, remedy="Try again later")
    return reply


def _json(reply: Reply) -> dict[str, Any]:
    try:
        data = json.loads(reply.body)
    except (ValueError, RecursionError):
        raise RegistryError("the hub's answer is not JSON", where=reply.url) from None
    if not isinstance(data, dict):
        raise RegistryError("the hub's answer is not a table", where=reply.url)
    return data


def _entry(raw: bytes, source: Source, *, name: str, total: Any, path: str) -> Entry:
    where = source.title
    try:
        config = parse_text(raw.decode("utf-8"), ".json", where)
    except UnicodeDecodeError:
        raise RegistryError("not UTF-8 text", where=where) from None
    # Multimodal configurations keep the language model in a table of its own.
    config = config["text_config"] if isinstance(config.get("text_config"), dict) else config
    section, table = shape_table(config, where=where)
    shape = {"source": source.id, "at": "config.json", **table}
    data: dict[str, Any] = {"name": name, "lab": source.publisher, section: shape, "unmodelled": unmodelled(config)}
    if isinstance(total, int) and not isinstance(total, bool) and total > 0:
        data["parameters"] = {"value": total, "source": source.id, "at": "safetensors index, total"}
    record, claims = read_facts(Model, Document(where, data), {source.id: source})
    agrees = _compare(record, total, where)
    checked = frozenset(claims) if agrees else frozenset[str]()
    return Entry("models", source.id, record, claims, {source.id: source}, path, "hub", checked)


def _compare(record: Model, total: Any, where: str) -> bool:
    """Tell whether the published total follows from the shape; refuse a shape that misses it widely."""
    if record.parameters is None:
        return False
    computed = parameters(record).total
    gap = abs(computed - record.parameters) / record.parameters
    if gap > 0.01:
        raise RegistryError(
            f"the shape gives {computed:,} parameters, the files hold {total:,}",
            where=where,
            remedy="The architecture has parts that are not modelled; add the model as a registry file instead",
        )
    return computed == record.parameters


def _cache() -> Path:
    import platformdirs

    return Path(os.environ.get("MLSYSIM_CACHE") or platformdirs.user_cache_path("mlsysim")) / "hub"
