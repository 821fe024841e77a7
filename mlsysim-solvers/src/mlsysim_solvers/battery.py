"""How long a battery feeds a device that wakes, captures, infers, sends and sleeps."""

from __future__ import annotations

from mlsysim.errors import ConfigError, SolverError
from mlsysim.numeric import is_array
from mlsysim.solving import Columns, Request
from mlsysim.tracing import named

from .formulas.constants import SECONDS_PER_DAY
from .formulas.edge import battery_energy, battery_life, daily_energy, wake_energy, wake_ups

__all__ = ["BatterySolver"]

TAKEN = ("capture_power", "capture_time", "send_power", "send_time", "send_share", "self_discharge")
"""Settings that are columns as they stand."""


class BatterySolver:
    """Energy of a day against the energy of the battery.

    A single case that wakes more often than it can finish is refused; in a sweep such a row is
    answered as a device that never sleeps.
    """

    def prepare(self, request: Request) -> Columns:
        """Flatten battery, device and duty into columns.

        Parameters
        ----------
        request : Request
            With the roles ``battery`` and ``device`` and the latency of one inference.

        Returns
        -------
        dict
            Columns in SI; see the spec in :mod:`mlsysim_solvers.declarations.battery`.

        Raises
        ------
        ConfigError
            If the workload gives no rate of wake-ups, or wakes more often than it can finish.
        SolverError
            If a power that is needed is neither published nor set.
        """
        workload, settings, device = request.scenario.workload, request.settings, request.records["device"]
        rate = getattr(workload, "rate", 0.0)
        latency = request.inputs["performance.latency"]
        if not rate:
            raise ConfigError("a battery device needs a rate of wake-ups", where="workload.rate",
                              remedy='Set for example rate = "1 sample/min"')  # fmt: skip
        awake = settings["capture_time"] + latency + settings["send_time"] * settings["send_share"]
        if not is_array(awake) and rate * awake > 1:
            raise ConfigError(
                f"it takes {awake:.3g} s to serve one wake-up, but they come every {1 / rate:.3g} s",
                where="workload.rate",
                remedy=f"At most {1 / awake:.3g} samples per second",
            )
        active = settings["inference_power"] or (device.power.tdp if device.power is not None else 0.0)
        sleep = settings["sleep_power"] or (getattr(device.power, "sleep", None) or 0.0)
        for value, what in ((active, "inference_power"), (sleep, "sleep_power")):
            if not value:
                raise SolverError(f"{what} of {device.name} is not known", where=f"settings.battery.{what}",
                                  remedy="Set it")  # fmt: skip
        battery = request.records["battery"]
        return {
            "assumptions": () if battery.usable is not None else ("battery: all of its rated energy reaches the load",),
            "charge": battery.charge,
            "voltage": battery.voltage,
            "usable": battery.usable if battery.usable is not None else 1.0,
            "rate": rate,
            "latency": latency,
            "inference_power": active,
            "sleep_power": sleep,
            "day": SECONDS_PER_DAY,
            **{name: settings[name] for name in TAKEN},
        }

    def compute(self, columns: Columns) -> Columns:
        """Return the energy of a day and the life of the battery.

        Parameters
        ----------
        columns : dict
            As :meth:`prepare` returned, numbers or arrays.

        Returns
        -------
        dict
            Outputs in SI.
        """
        stored = battery_energy(columns["charge"], columns["voltage"], columns["usable"])
        wake = wake_energy(
            columns["capture_power"],
            columns["capture_time"],
            columns["inference_power"],
            columns["latency"],
            columns["send_power"],
            columns["send_time"] * columns["send_share"],
        )
        day = columns["day"]
        awake = columns["capture_time"] + columns["latency"] + columns["send_time"] * columns["send_share"]
        wakes = wake_ups(columns["rate"], day, awake)
        leak = named(stored * columns["self_discharge"] * day, "self-discharge")
        daily = daily_energy(wakes, wake, columns["sleep_power"], day, leak)
        return {
            "macro.wake_energy": wake,
            "macro.daily_energy": daily,
            "feasibility.battery_life": battery_life(stored, daily, day),
        }
