"""How many nodes a row of a collective spans, as its notes say."""

from __future__ import annotations

from mlsysim_solvers.validation.collectives import predict_collective
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.tables import read_table


def time_of(tmp_path, notes, device="H100 SXM", size="1K"):
    row = {"id": "own-1", "kind": "allreduce", "accelerator": device, "n_accelerators": "16", "dtype": "",
           "shape_or_size": size, "metric": "latency_us", "value": "20", "notes": notes}  # fmt: skip
    table = tmp_path / "own.csv"
    table.write_text(",".join(row) + "\n" + ",".join(f'"{text}"' for text in row.values()) + "\n", encoding="utf-8")
    return predict_collective(read_table(table)[0], names()).time


def test_notes_may_say_that_all_devices_are_in_one_node(tmp_path):
    assert time_of(tmp_path, "out-of-place; one node") < time_of(tmp_path, "out-of-place")


def test_notes_may_print_the_network_of_a_node(tmp_path):
    ndr, hdr, none = (time_of(tmp_path, f"out-of-place{more}", "A100 SXM", "4 GB") for more in (
        "; 2 nodes of 8, 8 x 400 Gb/s InfiniBand", "; 2 nodes of 8, 4 x HDR 200 Gb/s InfiniBand", "; 2 nodes of 8"))  # fmt: skip
    assert ndr <= none < hdr
    # Each of two nodes sends its sums to the other once, and 100 GB/s leave it.
    assert hdr > 4e9 / 100e9
