"""Other spellings of published names, tried where a name as it stands is not known."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlsysim.names.matching import count_of, last_part

__all__ = ["counted", "device_spellings", "folded_software", "implied_format", "model_spellings"]

_SLICE = re.compile(
    r"(?:cloud |google )*(?:tpu[ -]?)?v?(\d+(?:e|p|x|[ -]?lite(?:[ -]?pod(?:[ -]?slice)?)?)?)(?:-\d+|[ -]slice)?",
    re.IGNORECASE,
)
"""Slices of TPUs: a generation, and how many cores or chips."""
_SIZE_OF_A_CLOUD = re.compile(r"^(?:standard_)?n[cgv]+\d+\w*$|^v\d+$", re.IGNORECASE)
"""Names of machines of Azure with cards or parts of them, and the version at their end: neither names a device."""
_INSIDE = re.compile(
    r"\s*\((?!\s*\d*\s*[x×]?\s*\d*\s*\))(?![^()]*\b(?:gcds?|dies?|mig|slices?|instances?|partitions?|"
    r"(?:\d+|single|one|dual)[- ]core|cpu|npu|pcie|sxm\d?|variant)\b)[^()]*\)",
    re.IGNORECASE,
)
"""What a name says of a device in brackets, such as its chip, host or clock; a bare count there is one of devices, and
a part of the device, its form or a number of cores makes it another."""
_COMPUTER = re.compile(r"^(?:imac|mac(?:book|intosh)?|ipad)\b[^()]*\(([^(),]+)", re.IGNORECASE)
"""Computers and tablets that are named with their chip in brackets."""
_SHAPE = re.compile(r"(?:bm|vm)\.gpu\.([a-z]+\d+[a-z]?)(?:-v\d)?\.\d+", re.IGNORECASE)
"""Shapes of Oracle's cloud: the name of the device between points."""
_COUNT = re.compile(r"^\d+\s*[x×]\s*(?=[a-z])|(?<=[a-z0-9])\s*[x×]\s*\d{1,3}$", re.IGNORECASE)
_SYSTEM = re.compile(r"\b(?:dgx|hgx|nvl\d+|vf|ac|oam|sxm6|developer|kit)\b", re.IGNORECASE)
"""What a name says of the box around a device."""

_CLOUD = re.compile(
    r"^(?:lambda|aws|azure|gcp|google|oracle|oci|coreweave|runpod)[ -]?(?:cloud)?[ -]+|^lambdacloud ", re.IGNORECASE
)
_MACHINE = re.compile(
    r"\s*\((?:\d+\s*[x×]\s*)?(?:[\w-]+\.[\w-]*(?:xlarge|metal)|mac\b[^)]*|dgx[^)]*|hgx[^)]*|\d+\s*gb)\)"
    r"|,\s*\d+\s+(?:nodes?|racks?)\b.*|(?<=pcie)\s*gen\s*\d",
    re.IGNORECASE,
)
"""Where a device was rented, and in which machines it stood: an instance, a desktop, nodes or racks, a slot."""

_QUANTISED = (
    ("gptq int8", r"(?:awq|gptq)[-_](?:int8|8bit)"),
    ("nvfp4", r"nvfp4(?:-v2)?|fp4(?:-v2)?"), ("mxfp4", r"mxfp4"), ("fp8", r"fp8"),
    ("int8", r"(?:quantized\.)?w8a8|int8"),
    ("int4", r"awq(?:[-_]int4)?|gptq(?:[-_](?:int4|4bit))?|(?:quantized\.)?w4a16|int4"),
    ("nf4", r"(?:unsloth[-_])?(?:bnb|nf4)[-_]4bit"), ("w8a16", r"(?:quantized\.)?w8a16"),
    *((f"mlx {bits}bit", rf"(?:mlx[-_])?{bits}bit") for bits in (3, 4, 5, 6, 8)),
    ("q4_0", r"q4_0"), ("q8_0", r"q8_0"), ("q4_k_m", r"q4_k(?:_m| - medium)"),
    ("q4_k_s", r"q4_k(?:_s| - small)"), ("q5_k_m", r"q5_k(?:_m| - medium)"), ("q6_k", r"q6_k"),
    *((f"q{bits}_k_xl", rf"q{bits}_k_xl") for bits in (2, 3, 4, 5, 6, 8)),
    *((one, one) for one in ("q2_k", "q3_k_m", "q5_k_s", "iq4_xs", "iq4_nl", "iq3_m", "iq3_xxs", "iq2_m", "iq2_xxs")),
    ("fp16", r"f16"), ("bf16", r"bf16"),
)  # fmt: skip
"""Formats by the endings of names on hubs."""
_ENDING = r"(?<=[-_ .:])(?:ud-)?(?:{})(?=[-_ ]|$)"
_DRESS = re.compile(
    r"(?<=[-_ ])(?:gguf|mlx|imatrix|kv|qat|lora|sft|deduped|marlin|interactive|server|offline|edge|99(?:\.9)?|"
    r"\(mlperf\))(?=[-_ :]|$)|\.[a-z][a-z0-9_]*_in(?:1k|12k|21k|22k)\w*$",
    re.IGNORECASE,
)
"""What names say of a file, an adapter, a scenario or a training, none of which changes the shape."""
_GGUF = re.compile(r"(?<=[a-z0-9])moe(?= )|(?<= )moe$", re.IGNORECASE)
_GGUF_SIZE = re.compile(r"(?<=\d)b\.a(?=\d)", re.IGNORECASE)
"""How tables of llama.cpp write mixtures: ``qwen3moe 30B.A3B``, ``gpt-oss 20B MXFP4 MoE``."""
_TASK = re.compile(
    r"^hugging ?face |\s*\([\w./-]+\)$|(?:(?<=[a-z0-9])[ -](?:ph(?:ase ?)?\d|pre-?training|fine-?tuning|squad))+$|"
    r"(?<=\d)[ _](?:224|256|384)(?:px)?$", re.IGNORECASE,
)  # fmt: skip
"""What they say of a hub, of a checkpoint, of what was done with the model, and of the size of images."""


_CHIPS = re.compile(r"v(\d+(?:e|p|x)?)(?:[ -]?lite)?(?:-?pod(?:slice)?)?-(\d+)$", re.IGNORECASE)
_BY_CHIP = ("5e", "5", "6e", "7", "7x")
"""Generations of TPUs whose slices are named after chips; the others are named after cores, two to a chip."""


def counted(name: str, devices: int) -> tuple[int, str]:
    """Read the number of devices in a name, such as ``8x H100`` or ``v5p-128``, against the number of a row.

    Parameters
    ----------
    name : str
        As published.
    devices : int, count
        What the row says; 0 where it says nothing.

    Returns
    -------
    devices : int, count
        That of the name where the row has none.
    fault : str
        What is wrong where the two differ; empty otherwise.
    """
    slice_ = _CHIPS.search(name.strip()) if re.search(r"tpu|^v\d", name, re.IGNORECASE) else None
    if slice_ is None:
        count = count_of(_INSIDE.sub("", name))
    else:
        count = int(slice_[2]) if slice_[1].lower() in _BY_CHIP else max(int(slice_[2]) // 2, 1)
    if count is None or devices in (0, count):
        return count or devices, ""
    return devices, f"the name {name!r} counts {count} devices, n_accelerators {devices}"


def device_spellings(name: str) -> Iterator[str]:
    """Yield what is left of the name of a device without counts, systems and slices.

    Parameters
    ----------
    name : str
        As published.

    Yields
    ------
    str
    """
    text = name.strip()
    slice_ = _SLICE.fullmatch(text)
    if slice_ is not None and re.search(r"tpu|^v", text, re.IGNORECASE):
        yield "TPU v" + re.sub(r"[ -]?lite.*", "e", slice_[1].lower())
    shape = _SHAPE.fullmatch(text)
    if shape is not None:
        yield shape[1]
    housed = _CLOUD.sub("", _MACHINE.sub("", text)).strip()
    if housed != text:
        yield housed
    computer = _COMPUTER.match(text)
    if computer is not None:
        yield computer[1].strip()
    bare = _INSIDE.sub("", text).strip()
    if bare not in (text, housed):
        yield from (part for part in (bare, bare.split(",")[0]) if part != text)
    parts = () if _SIZE_OF_A_CLOUD.match(text) else reversed(text.split("_"))
    for part in (text, housed, *(part for part in parts if not _SIZE_OF_A_CLOUD.match(part))):
        plain = _COUNT.sub("", _SYSTEM.sub(" ", _COUNT.sub("", part.strip()))).strip(" -_")
        if plain != text and re.search(r"[a-z]\w*\d|\d\w*[a-z]", plain, re.IGNORECASE):
            yield " ".join(plain.split())


def model_spellings(name: str) -> Iterator[str]:
    """Yield the name of a model without its format, its file and its scenario.

    Parameters
    ----------
    name : str
        As published, or a path on a hub.

    Yields
    ------
    str
    """
    short = last_part(name)
    plain = _GGUF_SIZE.sub("B-A", _GGUF.sub("", _file(short)).strip())
    for _, ending in _QUANTISED:
        plain = re.sub(_ENDING.format(ending), "", plain, flags=re.IGNORECASE)
    plain = re.sub(r"[-_ ]{2,}", "-", _DRESS.sub("", plain)).strip("-_ .:")
    bare = _TASK.sub("", plain).strip("-_ ")
    pointed = re.sub(r"(?i)(llama)[-_ ]?3_?(\d)(?=_|-)", r"\1-3.\2", bare)
    first = re.sub(r"(?<=[a-z ]\d)\.0(?=[-_ ])", "", bare, flags=re.IGNORECASE)  # version 3.0 is version 3
    yield from (text for text in dict.fromkeys((plain, bare, pointed, first)) if text != short)


def _file(name: str) -> str:
    """Drop what makes the name of a model that of a file."""
    return re.sub(r"\.gguf$", "", name, flags=re.IGNORECASE)


def implied_format(name: str) -> str:
    """Return the format of weights that the name of a model ends with.

    Parameters
    ----------
    name : str
        As published, or a path on a hub.

    Returns
    -------
    str
        Empty where it names none.
    """
    file = _file(name)
    found = (one for one, ending in _QUANTISED if re.search(_ENDING.format(ending), file, flags=re.IGNORECASE))
    return next(found, "")


def folded_software(text: str) -> str:
    """Return the name of software in lower case, one spelling of its parts, and versions without a letter.

    Parameters
    ----------
    text : str
        As published.

    Returns
    -------
    str
    """
    folded = re.sub(r"\b(?:tensorrt[ _]llm|trt[-_ ]?llm)\b", "tensorrt-llm", text.casefold())
    return re.sub(r"(?<=[ -])v(?=\d)", "", folded)
