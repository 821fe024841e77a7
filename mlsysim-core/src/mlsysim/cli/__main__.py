"""``python -m mlsysim.cli``: the command line without its console script."""

from __future__ import annotations

from . import main

if __name__ == "__main__":
    raise SystemExit(main())
