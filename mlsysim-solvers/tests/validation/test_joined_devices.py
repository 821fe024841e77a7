"""How many nodes a row of a collective spans, as its notes say."""

from __future__ import annotations

from mlsysim_solvers.validation.collectives import predict_collective
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.tables import read_table


def test_notes_may_say_that_all_devices_are_in_one_node(tmp_path):
    times = {}
    for notes in ("out-of-place; one node", "out-of-place"):
        row = {"id": "own-1", "kind": "allreduce", "accelerator": "H100 SXM", "n_accelerators": "16", "dtype": "",
               "shape_or_size": "1K", "metric": "latency_us", "value": "20", "notes": notes}  # fmt: skip
        table = tmp_path / "own.csv"
        table.write_text(",".join(row) + "\n" + ",".join(row.values()) + "\n", encoding="utf-8")
        times[notes] = predict_collective(read_table(table)[0], names()).time
    assert times["out-of-place; one node"] < times["out-of-place"]
