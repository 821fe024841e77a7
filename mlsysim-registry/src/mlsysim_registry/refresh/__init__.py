"""Reading documents again over the network: only commands that say so do it, never a simulation."""

from __future__ import annotations
