"""Encoder-decoder, state-space and diffusion models: which workloads suit them, and their columns."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from mlsysim.errors import ConfigError
from mlsysim.records.model import EncoderDecoder, Model
from mlsysim.records.network import Network, Part
from mlsysim.records.scenario import Inference, Serving, Training, Workload
from mlsysim.shapes import state_layers

from ...lowering.encoder_decoder import EncoderDecoderShape, encoder_decoder_shape, trained_pair
from ...lowering.network import NetworkShape, network_shape
from ...lowering.shape import TransformerShape, number
from ...lowering.state_space import state_shape

__all__ = [
    "OncePart", "check_denoising", "denoising_columns", "generator_shape", "once_parts", "serving_columns",
    "shape_notes", "shape_of_layers",
]  # fmt: skip


class OncePart(NamedTuple):
    """A network that runs once for each sample beside a denoiser.

    Parameters
    ----------
    name : str
        What it is.
    shape : NetworkShape
        Its layers.
    guided : bool
        Whether it sees each sample with and without its condition, where the denoiser does.
    """

    name: str
    shape: NetworkShape
    guided: bool


_MOST_NETWORKS = 64
"""Most layer lists whose shapes are kept; it bounds memory and changes no answer."""

_networks: dict[tuple[int, bool], tuple[Network | Part, NetworkShape]] = {}
"""Shapes of layer lists, which take a third of the time of an evaluation to add up."""


def shape_of_layers(network: Network | Part, *, live: bool = False) -> NetworkShape:
    """Return the shape of a layer list, added up once.

    Parameters
    ----------
    network : Network or Part
        The layers.
    live : bool, optional
        Whether channels whose weights are all zero are left out.

    Returns
    -------
    NetworkShape
    """
    key = id(network), live
    found = _networks.get(key)
    if found is None:
        if len(_networks) >= _MOST_NETWORKS:
            _networks.clear()
        # The layer list is kept alive, so that no other one can take its identity.
        found = _networks[key] = network, network_shape(network, live=live)
    return found[1]


def once_parts(model: Model, workload: Workload) -> tuple[OncePart, ...]:
    """Return what runs once for each sample that a diffusion model draws.

    Parameters
    ----------
    model : Model
        The model.
    workload : Serving, Training or Inference
        The job.

    Returns
    -------
    tuple of OncePart
        Nothing for other models, and for other jobs: training reads what encoders left.
    """
    if model.network is None or not model.network.parts or not isinstance(workload, Inference):
        return ()
    return tuple(OncePart(part.name, shape_of_layers(part), part.guided) for part in model.network.parts)


def generator_shape(model: Model, workload: Workload) -> Any:
    """Return the shape of an encoder-decoder or state-space model, or None for any other.

    Parameters
    ----------
    model : Model
        The model.
    workload : Serving, Training or Inference
        The job.

    Returns
    -------
    EncoderDecoderShape, StateShape or None

    Raises
    ------
    ConfigError
        If the workload does not suit the model.
    """
    if isinstance(workload, Serving):
        _check_audio(model, workload)
    if isinstance(workload, Training) and workload.input and (model.pair is None or model.pair.bins):
        raise ConfigError(
            f"{model.name} has no encoder that reads {workload.input:,} tokens", where="workload.input",
            remedy="Leave it out; it is for encoder-decoders of text",
        )  # fmt: skip
    keeps = model.transformer is not None and state_layers(model.transformer) > 0
    if model.pair is None and model.state_space is None and not keeps:
        return None
    if keeps:
        return None
    if isinstance(workload, Training) and model.pair is not None:
        return _trained(model, model.pair, workload)
    if not isinstance(workload, Serving):
        what, kinds = "a state-space", "serving only"
        if model.pair is not None:
            what, kinds = "an encoder-decoder", "serving and training"
        raise ConfigError(
            f"{model.name} is {what} model, which is answered for {kinds}",
            where="workload.model", remedy='Use kind = "serving"',
        )  # fmt: skip
    if model.state_space is not None:
        return state_shape(model, model.state_space)
    assert model.pair is not None
    shape = encoder_decoder_shape(model, model.pair)
    windows = _windows(shape, workload)
    _check_length(model, "input", 0 if shape.bins else workload.input, shape.encoder.context)
    _check_length(model, "output", workload.output / windows, shape.decoder.context)
    return shape


def _trained(model: Model, pair: EncoderDecoder, workload: Training) -> TransformerShape:
    """Return an encoder-decoder as training sees it, or say what its samples lack."""
    hears = pair.bins > 0
    needed = {"sequence": workload.sequence, "input": 1 if hears else workload.input}
    for field, tokens in needed.items():
        if not tokens:
            what = "writes" if field == "sequence" else "reads"
            raise ConfigError(
                f"the workload does not say how many tokens {model.name} {what} in a sample",
                where=f"workload.{field}", remedy="Give sequence (the decoder) and input (the encoder)",
            )  # fmt: skip
    if workload.adapter:
        raise ConfigError(
            f"{model.name} is an encoder-decoder, whose adapters are not answered", where="workload.adapter",
            remedy="Leave it out: all parameters are trained",
        )  # fmt: skip
    if pair.encoder.positions and not hears:
        _check_length(model, "input", workload.input, pair.encoder.context)
    return trained_pair(model, pair, pair.encoder.context if hears else workload.input)


def _check_audio(model: Model, workload: Serving) -> None:
    hears = model.pair is not None and model.pair.bins > 0
    if hears and not workload.audio:
        raise ConfigError(
            f"{model.name} hears speech, and the workload gives no length of audio",
            where="workload.audio", remedy='Give it, for example audio = "30 s"; input is not used',
        )  # fmt: skip
    if workload.audio and not hears:
        raise ConfigError(
            f"{model.name} reads tokens, and the workload gives {workload.audio:g} s of audio",
            where="workload.audio", remedy="Leave it out and give input in tokens",
        )  # fmt: skip


def _check_length(model: Model, field: str, length: float, limit: float) -> None:
    if length > limit:
        reads = "reads" if field == "input" else "writes at once"
        raise ConfigError(
            f"{length:,.0f} tokens are more than {model.name} {reads}",
            where=f"workload.{field}", remedy=f"Its limit is {limit:,.0f} tokens",
        )  # fmt: skip


def _windows(shape: EncoderDecoderShape, workload: Serving) -> float:
    """Return the encoder passes that one request takes."""
    return float(math.ceil(workload.audio / shape.span)) if shape.bins else 1.0


def serving_columns(workload: Serving, shape: Any) -> dict[str, Any]:
    """Return input and output of a request.

    Parameters
    ----------
    workload : Serving
        The job.
    shape : TransformerShape, EncoderDecoderShape or StateShape
        The model.

    Returns
    -------
    dict of str to number
        Speech is padded to whole windows, each of as many positions as the encoder has.
    """
    columns = {"input": number(workload.input), "output": number(workload.output)}
    if isinstance(shape, EncoderDecoderShape) and shape.bins:
        columns |= {"input": shape.encoder.context, "windows": _windows(shape, workload)}
    return columns


def shape_notes(workload: Workload, shape: Any, parts: tuple[OncePart, ...] = ()) -> tuple[str, ...]:
    """Return what is taken for granted about the workload because of the model.

    Parameters
    ----------
    workload : Serving, Training or Inference
        The job.
    shape : object
        The model.
    parts : tuple of OncePart
        What runs once for each sample.

    Returns
    -------
    tuple of str
    """
    if isinstance(shape, EncoderDecoderShape) and shape.bins and isinstance(workload, Serving):
        windows = _windows(shape, workload)
        share = workload.output / windows
        padded = f"{workload.audio:g} s of speech are padded to {windows:g} x {shape.span:g} s, one after another"
        return (f"{padded}, each with {share:g} tokens of the answer; input in tokens is not used",)
    if isinstance(shape, TransformerShape) and shape.source is not None:
        reads = f"{shape.source.tokens:,.0f} {'positions of speech' if shape.source.bins else 'tokens'}"
        return (f"the encoder reads {reads} of each sample; tokens are those that the decoder writes",)
    if parts:
        return (f"run once for each image beside the denoising steps: {', '.join(part.name for part in parts)}",)
    if isinstance(workload, Inference) and workload.steps:
        return ("the denoising network alone: text encoder and image decoder are not part of it",)
    return ()


def check_denoising(model: Model, workload: Workload) -> None:
    """Refuse steps without a diffusion model, and a diffusion model without steps.

    Parameters
    ----------
    model : Model
        The model.
    workload : Serving, Training or Inference
        The job.

    Raises
    ------
    ConfigError
        If they do not suit each other.
    """
    if not isinstance(workload, Inference):
        return
    denoiser = model.network is not None and model.network.denoiser
    if denoiser and not workload.steps:
        raise ConfigError(
            f"{model.name} makes an image in denoising steps, and the workload gives none",
            where="workload.steps", remedy="Give their number, for example steps = 20",
        )  # fmt: skip
    if not denoiser and (workload.steps or workload.guidance):
        where = "steps" if workload.steps else "guidance"
        raise ConfigError(
            f"{model.name} answers in one pass, and the workload gives {where}",
            where=f"workload.{where}", remedy="Leave it out; it is for diffusion models",
        )  # fmt: skip


def denoising_columns(workload: Inference) -> dict[str, Any]:
    """Return how often a sample passes the network.

    Parameters
    ----------
    workload : Inference
        The job.

    Returns
    -------
    dict of str to float
        Steps one after another, and passes of one step, which share a batch; nothing for other models.
    """
    if not workload.steps:
        return {}
    return {"steps": float(workload.steps), "passes": 2.0 if workload.guidance else 1.0}
