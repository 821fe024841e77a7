"""Models from a hub or from a ``config.json`` on disk, as registry entries."""

from __future__ import annotations

from .resolving import resolve_model

__all__ = ["resolve_model"]
