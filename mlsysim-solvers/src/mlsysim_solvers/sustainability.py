"""Energy, carbon and water of the answer."""

from __future__ import annotations

from typing import Any

from mlsysim.errors import SolverError
from mlsysim.numeric import maximum, minimum
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .drawing import drawing_of, drawn_power
from .formulas.carbon import operational_carbon
from .formulas.energy import device_power, energy_per_work, energy_use, facility_energy, water_use
from .formulas.uncertainty import joined_log_sd
from .whole_run import whole_run

__all__ = ["SustainabilitySolver"]


class SustainabilitySolver:
    """Sustained power times time, times the building's overhead, times the grid's intensity.

    What a busy device draws follows from its arithmetic and its traffic (:mod:`.drawing`), or is its sustained
    maximum where that is not known: an upper figure. A training device that waits for others within a step draws its
    idle power meanwhile: a lower figure, since it polls. Overhead of the building enters once; water counts the site
    and the power stations.
    """

    def prepare(self, request: Request) -> Columns:
        """Flatten device, place and performance into columns.

        Parameters
        ----------
        request : Request
            With the role ``device`` and, when known, ``node``, ``grid`` and ``site``.

        Returns
        -------
        dict
            Columns in SI; see the spec in :mod:`mlsysim_solvers.declarations.sustainability`.

        Raises
        ------
        SolverError
            If no power is published and none is set.
        """
        records, settings = request.records, request.settings
        full, note = _full_power(records, settings)
        duty = request.inputs.get("performance.duty", 1.0)
        idle = _idle_power(records["device"], settings, full, duty)
        grid, site = records.get("grid"), records.get("site")
        performance, alone = whole_run(request.inputs)
        performance.pop("duty", None)
        waiting, said = _waiting_power(records["device"], settings, full, performance.pop("active_share", None))
        drawing, drawn = drawing_of(request, full)
        return {
            "kind": request.scenario.kind,
            "assumptions": (note, *drawn, *said, *alone),
            **waiting,
            **drawing,
            "full_power": full,
            "idle_power": idle,
            "busy": duty,
            "devices": request.scenario.system.devices,
            "pue": site.pue if site is not None else 1.0,
            **_intensities(grid, site),
            **performance,
        }

    def compute(self, columns: Columns) -> Columns:
        """Return energy, carbon and water.

        Parameters
        ----------
        columns : dict
            As :meth:`prepare` returned, numbers or arrays.

        Returns
        -------
        dict
            Outputs in SI.
        """
        busy = minimum(1.0, columns["busy"])
        full, drawn = drawn_power(columns, busy)
        unsure = drawn.get("macro.device_power.log_sd", 0.0)
        if "active_share" in columns:
            full = named(device_power(columns["waiting_power"], full, columns["active_share"]), "power while training")
        power = device_power(columns["idle_power"], full, busy)
        machines = named(power * columns["devices"], "power of the machines")
        outputs: Columns = {**drawn, "macro.power": named(machines * columns["pue"], "power from the grid")}
        if drawn:
            outputs["macro.power.log_sd"] = unsure
        unit = "token" if columns["kind"] in ("serving", "traffic") else "sample"
        # At a given rate of arrivals the machine produces no faster than samples come; of traffic that rate is known.
        work = "token_throughput" if unit == "token" else "throughput"
        rate = columns[work] if columns["kind"] == "traffic" else columns[work] * busy
        spread = joined_log_sd(columns.get(f"{work}.log_sd", 0.0), unsure)
        per_work = energy_per_work(machines, rate)
        self._energy(outputs, columns, f"_per_{unit}", per_work, spread)
        if "run_time" in columns:
            run = energy_use(power, columns["run_time"], columns["devices"])
            self._energy(outputs, columns, "", run, joined_log_sd(columns.get("run_time.log_sd", 0.0), unsure))
        if "wue" in columns and "grid_water" in columns:
            water = water_use(per_work, columns["wue"], columns["pue"], columns["grid_water"])
            outputs[f"macro.water_per_{unit}"] = water
        return outputs

    @staticmethod
    def _energy(outputs: Columns, columns: Columns, suffix: str, machines: Any, spread: Any) -> None:
        """Add energy and carbon of a unit of work, or of the run when there is no suffix."""
        total = facility_energy(machines, columns["pue"])
        names = ("macro.energy", "macro.carbon") if suffix else ("macro.run_energy", "macro.run_carbon")
        outputs[names[0] + suffix] = total
        outputs[f"{names[0]}{suffix}.log_sd"] = spread
        if "carbon_intensity" in columns:
            outputs[names[1] + suffix] = operational_carbon(total, columns["carbon_intensity"])
            outputs[f"{names[1]}{suffix}.log_sd"] = spread


def _intensities(grid: Any, site: Any) -> Columns:
    """Return carbon and water per energy, as far as they are known."""
    found = {
        "wue": site.wue if site is not None else None,
        "carbon_intensity": grid.carbon if grid is not None else None,
        "grid_water": grid.water if grid is not None else None,
    }
    return {name: value for name, value in found.items() if value is not None}


def _full_power(records: Any, settings: Any) -> tuple[Any, str]:
    """Return the sustained power per device, and what it includes."""
    device, node = records["device"], records.get("node")
    if settings["power"]:
        return settings["power"], "power: as set"
    if node is not None and node.power is not None:
        return node.power / node.devices, f"power: a device's share of {node.name}, hosts included"
    if device.power is not None:
        return device.power.tdp, "power: the device alone, without host, network and cooling"
    raise SolverError(
        f"no power of {device.name} is published",
        where="settings.sustainability.power",
        remedy='Set it: [settings.sustainability] power = "... W"',
    )


def _waiting_power(device: Any, settings: Any, full: Any, active: Any) -> tuple[Columns, tuple[str, ...]]:
    """Return the power while a device waits for others within a step, and what is assumed.

    A waiting device saves what lies between its own maximum and its idle power; its share of the host stays.
    """
    if active is None:
        return {}, ()
    power = device.power
    if settings["waiting"]:
        waiting = settings["waiting"]
    elif power is not None and power.idle is not None:
        waiting = maximum(power.idle, full - (power.tdp - power.idle))
    else:
        return {}, ("energy: a device that waits for others draws as much: its idle power is not known",)
    said = "energy: a device that waits for others idles (set settings.sustainability.waiting)"
    return {"waiting_power": waiting, "active_share": active}, (said,)


def _idle_power(device: Any, settings: Any, full: Any, duty: Any) -> Any:
    """Return the power between samples; needed only when the device waits."""
    if settings["idle"]:
        return settings["idle"]
    if device.power is not None and device.power.idle is not None:
        return device.power.idle
    if isinstance(duty, (int, float)) and duty >= 1:
        return full
    raise SolverError(
        f"the idle power of {device.name} is not known, and it waits between samples",
        where="settings.sustainability.idle",
        remedy='Set it: [settings.sustainability] idle = "... W"',
    )
