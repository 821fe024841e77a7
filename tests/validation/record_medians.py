"""Write the recorded medians anew: python tests/validation/record_medians.py "why they changed"."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from mlsysim_solvers.validation.reports import summarise
from mlsysim_solvers.validation.running import run_rows
from mlsysim_solvers.validation.tables import SHAPES, packaged_tables, read_table

FILE = Path(__file__).with_name("medians.json")


def main() -> int:
    if len(sys.argv) != 2 or len(sys.argv[1]) < 10:
        print(__doc__)
        return 2
    tables = packaged_tables()
    found = summarise(run_rows([row for name in SHAPES for row in read_table(tables[name])]))
    medians = {
        "/".join(s.name): {"rows": s.predicted, "group_median_ape": round(s.group_median_ape, 4)}
        for s in found.sets
        if s.group_median_ape is not None
    }
    FILE.write_text(json.dumps({"reason": sys.argv[1], "sets": medians}, indent=1, sort_keys=True) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
