"""The arguments that name a scenario or put one together from a model, a device and options."""

from __future__ import annotations

import argparse
import os
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import attrs

from ..errors import ConfigError, Fault, MlsysimError, UnknownNameError
from ..names import did_you_mean
from ..plugins import plugins

if TYPE_CHECKING:
    from ..config import SimulationConfig
    from ..documents import Document
    from ..entities import Entry

__all__ = ["FLAGS", "Flag", "add_scenario_arguments", "read_config", "with_options"]


class Flag(NamedTuple):
    """One option that sets one key of a scenario.

    Parameters
    ----------
    option, key, metavar, help : str
        What the user types, the dotted key it sets, the name of its value, what it is.
    """

    option: str
    key: str
    metavar: str
    help: str

    @property
    def dest(self) -> str:
        """Name in the parsed arguments."""
        return "set_" + self.key.replace(".", "_")


FLAGS = (
    Flag("--batch", "workload.batch", "N", "batch size: requests or samples at a time"),
    Flag(
        "--input",
        "workload.input",
        "N",
        "prompt length in tokens (serving, traffic), or what an encoder reads (train)",
    ),
    Flag("--output", "workload.output", "N", "answer length in tokens (serving, traffic)"),
    Flag("--audio", "workload.audio", "TIME", 'speech in one request, for example "30 s" (serving)'),
    Flag("--sequence", "workload.sequence", "N", "sequence length in tokens (training, inference)"),
    Flag("--precision", "workload.precision", "P", "number format of the arithmetic, for example fp8"),
    Flag("--weights", "workload.weights", "P", "number format of stored weights (serving, traffic)"),
    Flag("--kv-cache", "workload.kv_cache", "P", "number format of the KV cache (serving, traffic)"),
    Flag("--optimizer", "workload.optimizer", "NAME", "adam, sgd or adam8bit (training)"),
    Flag("--recompute", "workload.recompute", "HOW", "none, selective or full (training)"),
    Flag("--tokens", "workload.tokens", "N", "tokens of the whole run (training)"),
    Flag("--samples", "workload.samples", "N", "samples of the whole run (training)"),
    Flag("--rate", "workload.rate", "R", 'arrival rate, for example "10 requests/s" (traffic, inference)'),
    Flag(
        "--concurrency",
        "workload.concurrency",
        "N",
        "closed-loop clients, one request in flight each; 0 for an offline run (traffic)",
    ),
    Flag("--stack", "system.stack", "KEY", "software stack"),
    Flag("--devices", "system.devices", "N", "number of devices"),
    Flag("--node", "system.node", "KEY", "type of server node"),
    Flag("--battery", "system.battery", "KEY", "battery that powers it"),
    Flag("--price", "place.price", "KEY", "price offer"),
    Flag("--grid", "place.grid", "KEY", "electricity grid"),
    Flag("--site", "place.site", "KEY", "data centre"),
)
"""Options of all commands that take a scenario."""

_PREFERRED = ("bf16", "fp16", "int8", "fp32")
_RELEASED = ("serving", "traffic")
"""Kinds of scenario that run the weights that a lab publishes."""
_KINDS = ("serving", "traffic", "training", "inference")
"""The kinds of scenario, repeated here because importing their records takes longer than all other commands need."""


def add_scenario_arguments(parser: Any, *, without: Sequence[str] = ()) -> None:
    """Add the arguments that name a scenario.

    Parameters
    ----------
    parser : Parser
        Parser of a command.
    without : sequence of str
        Options of :data:`FLAGS` that the command has in another sense.
    """
    parser.add_argument("scenario", metavar="SCENARIO", help="a .toml, .yaml or .json file, a packaged scenario, or "
                        "(with --on) a model")  # fmt: skip
    group = parser.add_argument_group("put together or change a scenario")
    group.add_argument("--on", metavar="DEVICE", help="device that runs the model")
    group.add_argument("--kind", choices=_KINDS, help="with --on: what the model does there")
    for flag in FLAGS:
        if flag.option in without:
            parser.set_defaults(**{flag.dest: None})
        else:
            group.add_argument(flag.option, dest=flag.dest, metavar=flag.metavar, help=flag.help)
    group.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE",
                       help="set any key of the scenario, for example place.grid=france")  # fmt: skip


def read_config(args: argparse.Namespace) -> SimulationConfig:
    """Find or put together the scenario, apply the options and check the whole.

    Parameters
    ----------
    args : argparse.Namespace
        Parsed arguments.

    Returns
    -------
    SimulationConfig

    Raises
    ------
    MlsysimError
        With every fault.
    """
    from ..config import SimulationConfig

    given = _flags_of(args)
    overrides = _overrides(args.overrides, given)
    if args.on is None:
        if args.kind is not None:
            raise ConfigError("--kind goes with --on", where="--kind", remedy="A scenario says its kind itself")
        document = _document(args.scenario)
        said: tuple[str, ...] = ()
    else:
        document, said = _compose(args, given, overrides)
    _refuse_misplaced(given, str(document.data.get("kind")), composed=args.on is not None)
    config = SimulationConfig.from_document(document, overrides)
    return attrs.evolve(config, assumptions=(*said, *config.assumptions))


def with_options(error: MlsysimError, args: argparse.Namespace) -> MlsysimError:
    """Return an error that names the option where the fault lies in what an option said, or would say.

    Parameters
    ----------
    error : MlsysimError
        From reading or from answering the scenario.
    args : argparse.Namespace
        Parsed arguments of a command that takes a scenario.

    Returns
    -------
    MlsysimError
    """
    given = _flags_of(args)
    return type(error).from_faults(_named(fault, given, composed=args.on is not None) for fault in error.faults)


def _flags_of(args: argparse.Namespace) -> dict[Flag, str]:
    return {flag: text for flag in FLAGS if (text := getattr(args, flag.dest)) is not None}


def _overrides(texts: list[str], given: Mapping[Flag, str]) -> dict[str, str]:
    found = {flag.key: text for flag, text in given.items()}
    for text in texts:
        key, equals, value = text.partition("=")
        key = key.strip()
        if not (key and equals):
            raise ConfigError(f"{text!r} is not KEY=VALUE", where="--set", remedy="Write for example --set batch=64")
        twice = [other for other in found if key in (other, other.rpartition(".")[2])]
        if twice:
            raise ConfigError(f"{key} is set twice", where="--set", remedy="Say it once")
        found[key] = value.strip()
    return found


def _document(name: str) -> Document:
    """Load a scenario file or a packaged scenario."""
    from ..documents import SUFFIXES, load_document

    if name.lower().endswith(SUFFIXES):
        return load_document(name)
    if os.path.isdir(name):  # noqa: PTH112 - pathlib would be imported for this alone
        raise ConfigError(f"{name} is a folder", where="SCENARIO", remedy="Name a .toml, .yaml or .json file in it")
    registry = plugins().registry
    try:
        entry = registry.get("scenarios", name, where="SCENARIO")
    except UnknownNameError as error:
        if os.path.isfile(name):  # noqa: PTH113 - pathlib would be imported for this alone
            return load_document(name)
        raise _perhaps_else(name, error) from None
    return load_document(entry.path)


def _perhaps_else(name: str, error: UnknownNameError) -> MlsysimError:
    """Say what a name is, when it is no scenario."""
    registry = plugins().registry
    for kind, remedy in (
        ("models", f"Say what runs it: --on DEVICE (`mlsysim list devices`), for example {name} --on h100-sxm"),
        ("devices", f"Say what it runs: MODEL --on {name} (`mlsysim list models`)"),
    ):
        try:
            found = registry.get(kind, name)
        except MlsysimError:
            continue
        return ConfigError(f"{found.name} is a {kind[:-1]}, not a scenario", where="SCENARIO", remedy=remedy)
    known = [*registry.keys("scenarios"), *registry.keys("models")]
    remedy = did_you_mean(name, known, listing="mlsysim list scenarios") or error.remedy
    return UnknownNameError(
        f"there is no scenario and no model {name!r}", where="SCENARIO", remedy=remedy + plugins().broken_hint()
    )


def _compose(
    args: argparse.Namespace, given: Mapping[Flag, str], overrides: Mapping[str, str]
) -> tuple[Document, tuple[str, ...]]:
    """Put a scenario together from a model, a device and what the options say."""
    from ..documents import Document
    from ..names.matching import variants
    from ..records.scenario import WORKLOADS

    model, device = _model_and_device(args.scenario, args.on)
    kind = args.kind or ("serving" if _generates(model.record) else "inference")
    workload: dict[str, Any] = {"model": _key(model, args.scenario)}
    others = variants(plugins().registry, args.on, device.key)
    said = [f"device: {device.key}; {args.on} may also be {', '.join(others)} (set --on)"] if others else []
    if not _is_set("precision", given, overrides):
        formats, why = _default_formats(
            model, device, released=kind in _RELEASED and not _is_set("weights", given, overrides)
        )
        workload |= formats
        said.append(f"precision: {why} (set --precision)")
    usual = {f.name: f.default for f in attrs.fields(WORKLOADS[kind]) if f.metadata.get("unit") and f.default
             and f.default is not attrs.NOTHING}  # fmt: skip
    free = {name for name in (*usual, "audio") if not _is_set(name, given, overrides)}
    readable = {name: value for name, value in _readable(model.record, usual, free).items() if name in free}
    workload |= readable
    heard = {"input"} if "audio" in workload or "audio" not in free else set()
    assumed = {name: value for name, value in {**usual, **readable}.items() if name in free - heard}
    if assumed:
        words = (f"{name} {value if isinstance(value, str) else format(value, 'g')}" for name, value in assumed.items())
        said.append(f"{kind}: {', '.join(words)} (set --{', --'.join(assumed)})")
    name = f"{model.record.name} on {device.record.name}"
    data = {"name": name, "kind": kind, "workload": workload, "system": {"device": _key(device, args.on)}}
    return Document("", data), tuple(said)


_LENGTHS = ("input", "output")


def _readable(model: Any, usual: Mapping[str, Any], free: Container[str]) -> dict[str, Any]:
    """Return lengths that a model can read where the usual ones are more: of one window of speech, or of tokens."""
    if not set(_LENGTHS) <= set(usual):
        return {}
    if model.pair is not None:
        most = (model.pair.encoder.context, model.pair.decoder.context)
        window = {"audio": f"{model.pair.span:g} s"} if model.pair.bins else {}
        return {
            name: min(usual[name], int(limit)) for name, limit in zip(_LENGTHS, most, strict=True) if limit
        } | window
    context = getattr(model.transformer, "context", None)
    if not all(name in free for name in _LENGTHS) or not context or sum(usual[name] for name in _LENGTHS) <= context:
        return {}
    output = min(usual["output"], max(1, int(context) // 4))  # in about the usual proportion
    return {"input": min(usual["input"], int(context) - output), "output": output}


def _is_set(name: str, given: Mapping[Flag, str], overrides: Mapping[str, str]) -> bool:
    key = f"workload.{name}"
    return key in overrides or name in overrides or any(flag.key == key for flag in given)


def _key(entry: Entry, written: str) -> str:
    """Return what finds the entity again: its key, or what was written for one that no package lists."""
    return entry.key if entry.key in plugins().registry.keys(entry.kind) else written


def _model_and_device(model: str, device: str) -> tuple[Entry, Entry]:
    from ..documents import SUFFIXES

    registry = plugins().registry
    found: list[Entry] = []
    faults: list[Fault] = []
    # A config.json describes a model; other files are scenarios.
    if model.lower().endswith(SUFFIXES) and not model.lower().endswith(".json"):
        faults.append(Fault(f"{model} is a scenario file, and --on takes a model", where="--on",
                            remedy="To change its device write --set system.device=" + device))  # fmt: skip
    for kind, name, where in (("models", model, "MODEL"), ("devices", device, "--on")):
        if faults and kind == "models":
            continue
        try:
            found.append(registry.get(kind, name, where=where))
        except MlsysimError as error:
            hint = plugins().broken_hint() if isinstance(error, UnknownNameError) else ""
            first, comma, _ = name.partition(",")
            if comma and kind == "devices":
                hint = f". Several are compared by `mlsysim sweep {model} --on {first} --vary device={name}`{hint}"
            faults += [Fault(f.what, where=f.where, remedy=(f.remedy + hint).strip()) for f in error.faults]
    if faults:
        raise ConfigError.from_faults(faults)
    return found[0], found[1]


def _generates(model: Any) -> bool:
    if model.pair is not None or model.state_space is not None:
        return True
    return model.transformer is not None and model.transformer.causal


def _default_formats(model: Entry, device: Entry, *, released: bool) -> tuple[dict[str, str], str]:
    """Return the formats that a job takes where nobody names one, and why."""
    from ..config.published import published_formats

    wide = _default_precision(device.record)
    published = model.record.weights if released else ""
    precision, weights = published_formats(published, device.record.compute.peak, wide)
    if not published:
        return {"precision": precision}, f"{precision}, which {device.key} has"
    kept = f"{precision} with weights in {weights}" if weights else precision
    return {"precision": precision, "weights": weights}, f"{kept}, as {model.record.name} is published"


def _default_precision(device: Any) -> str:
    has = [name for name, peak in device.compute.peak.items() if peak.dense is not None]
    wanted = [name for name in _PREFERRED if name in has] or has
    if not wanted:
        raise ConfigError(
            f"{device.name} has no dense rate in any format", where="--on", remedy="Choose another device"
        )
    return wanted[0]


def _refuse_misplaced(given: Mapping[Flag, str], kind: str, *, composed: bool) -> None:
    """Refuse options of another kind of scenario."""
    from ..records.scenario import WORKLOADS

    if kind not in WORKLOADS:
        return  # the file itself is at fault and will be refused with its line
    faults = []
    own = {a.name for a in attrs.fields(WORKLOADS[kind])}
    for flag in given:
        table, _, name = flag.key.partition(".")
        if table != "workload" or name in own:
            continue
        homes = [k for k, cls in WORKLOADS.items() if name in {a.name for a in attrs.fields(cls)}]
        options = ", ".join(f.option for f in FLAGS if f.key.startswith("workload.") and f.key[9:] in own)
        faults.append(
            Fault(
                f"{flag.option} is for {' and '.join(homes)}, and this is {kind}",
                where=flag.option,
                remedy=f"Add --kind {homes[0]}, or leave {flag.option} out; {kind} takes {options}"
                if composed
                else f"Leave it out; {kind} takes {options}",
            )
        )
    if faults:
        raise ConfigError.from_faults(faults)


def _named(fault: Fault, given: Mapping[Flag, str], *, composed: bool) -> Fault:
    """Name the option, where the fault lies in what an option said."""
    for flag in FLAGS:
        at_key = fault.where in (flag.key, f"--set {flag.key}") or fault.where.endswith(f": {flag.key}")
        if at_key and (flag in given or composed):
            return fault.at(flag.option)
    return fault
