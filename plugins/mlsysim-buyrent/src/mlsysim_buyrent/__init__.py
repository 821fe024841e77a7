"""An example plugin for mlsysim: the utilisation at which buying a machine beats renting it."""

from __future__ import annotations

__version__ = "0.1.0"
