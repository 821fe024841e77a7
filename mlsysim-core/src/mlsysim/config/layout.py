"""What a scenario says of its layout, or of the layouts of its pools, must fit devices and model."""

from __future__ import annotations

from collections.abc import Iterator

from ..errors import Fault
from ..records import Parallelism, Pool, Scenario, Transformer

__all__ = ["layout_faults"]


def layout_faults(scenario: Scenario, shape: Transformer | None, *, pads_heads: bool = False) -> Iterator[Fault]:
    """Find layouts that do not fit.

    Parameters
    ----------
    scenario : Scenario
        The scenario.
    shape : Transformer or None
        Shape of its model, if that is a transformer.
    pads_heads : bool
        Whether the stack pads heads that a tensor-parallel group does not divide.

    Yields
    ------
    Fault
    """
    if scenario.kind != "training" or scenario.parallelism.degrees > 1:  # training settles degrees that nobody gives
        yield from _degrees(scenario.parallelism, int(scenario.system.devices), "parallelism")
    if shape is not None:
        yield from _of_transformer(scenario.parallelism, shape, "parallelism", pads_heads)
    if scenario.pools is None:
        return
    yield from _pools(scenario)
    for name in ("prefill", "decode"):
        pool: Pool = getattr(scenario.pools, name)
        path = f"pools.{name}.parallelism"
        yield from _degrees(pool.parallelism, int(pool.devices), path)
        if pool.parallelism.data > 1:
            yield Fault(
                f"data = {pool.parallelism.data} copies a worker", where=f"{path}.data",
                remedy=f"Set pools.{name}.workers: each of them is a copy of the model",
            )  # fmt: skip
        if shape is not None:
            yield from _of_transformer(pool.parallelism, shape, path, pads_heads)


def _pools(scenario: Scenario) -> Iterator[Fault]:
    pools, devices = scenario.pools, scenario.system.devices
    assert pools is not None
    if scenario.kind != "traffic":
        yield Fault(
            f"pools serve requests that come and go, and the scenario is {scenario.kind}", where="pools",
            remedy='Use kind = "traffic", or leave the pools out',
        )  # fmt: skip
    if scenario.parallelism != Parallelism():
        yield Fault(
            "each pool has a layout of its own", where="parallelism",
            remedy="Move it to pools.prefill.parallelism and pools.decode.parallelism",
        )  # fmt: skip
    held = pools.prefill.workers * pools.prefill.devices + pools.decode.workers * pools.decode.devices
    if held != devices:
        yield Fault(
            f"the pools have {pools.prefill.workers} x {pools.prefill.devices} + {pools.decode.workers} x "
            f"{pools.decode.devices} = {held} devices, but there are {devices}",
            where="system.devices", remedy=f"Set it to {held}",
        )  # fmt: skip


def _degrees(layout: Parallelism, devices: int, path: str) -> Iterator[Fault]:
    degrees = layout.degrees
    if layout == Parallelism() or degrees == devices:
        return
    copies = "data x attention" if layout.attention > 1 else "data"
    there = "there is 1 device" if devices == 1 else f"there are {devices} devices"
    yield Fault(
        f"{copies} x tensor x pipeline x context = {degrees}, but {there}", where=path,
        remedy=f"Nearest: data = {max(1, devices // (degrees // layout.data))} or devices = {degrees}",
    )  # fmt: skip


def _of_transformer(layout: Parallelism, shape: Transformer, path: str, pads_heads: bool) -> Iterator[Fault]:
    def legal(limit: int) -> str:
        return ", ".join(str(d) for d in range(1, limit + 1) if limit % d == 0)

    if shape.heads % layout.tensor and not pads_heads:
        yield Fault(f"tensor = {layout.tensor} does not divide {shape.heads} heads", where=f"{path}.tensor",
                    remedy=f"Legal degrees: {legal(shape.heads)}")  # fmt: skip
    if layout.pipeline > shape.layers:
        yield Fault(f"pipeline = {layout.pipeline} exceeds {shape.layers} layers", where=f"{path}.pipeline",
                    remedy=f"At most {shape.layers}")  # fmt: skip
    if shape.mixture is None:
        if layout.expert > 1:
            yield Fault(f"expert = {layout.expert}, and the model has no experts", where=f"{path}.expert",
                        remedy="Set it to 1")  # fmt: skip
    elif shape.mixture.experts % layout.expert:
        experts = shape.mixture.experts
        yield Fault(f"expert = {layout.expert} does not divide {experts} experts", where=f"{path}.expert",
                    remedy=f"Legal degrees: {legal(experts)}")  # fmt: skip
