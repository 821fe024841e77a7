"""Tables of measurements: shapes, figures, names."""

from __future__ import annotations

import pytest

from mlsysim.errors import ConfigError
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import SHAPES, packaged_tables, read_table, shape_of


def test_each_packaged_table_is_found_by_its_header():
    tables = packaged_tables()
    for shape in SHAPES:
        rows = read_table(tables[shape])
        assert {row.table for row in rows} == {shape}
        assert len({row.id for row in rows}) == len(rows)


def test_every_row_names_a_document_that_exists():
    from mlsysim.plugins import plugins

    tables = packaged_tables()
    known = {key for source in plugins().sources for key in getattr(source, "sources", {})}
    for shape in SHAPES:
        for row in read_table(tables[shape]):
            assert row.source in known, row.id
            assert row.at, row.id


def test_unchecked_rows_are_left_out(tmp_path):
    file = tmp_path / "t.csv"
    head = "id,model,accelerator,n_accelerators,scenario,metric,value,evidence\n"
    file.write_text(head + "a-1,m,d,1,latency,ttft_ms,5,memory\na-2,m,d,1,latency,ttft_ms,5,source\n")
    assert [row.id for row in read_table(file)] == ["a-2"]


@pytest.mark.parametrize(
    ("row", "where"),
    [("a-1,m,d,1,latency,ttft_ms,fast,source", "value"), ("a-1,m,d,1,latency,ttft_hours,5,source", "ttft_ms")],
)
def test_a_bad_cell_is_named_with_its_line(tmp_path, row, where):
    file = tmp_path / "t.csv"
    file.write_text("id,model,accelerator,n_accelerators,scenario,metric,value,evidence\n" + row + "\n")
    with pytest.raises(ConfigError, match=where) as caught:
        read_table(file)
    assert caught.value.where.endswith(":2")


def test_a_foreign_header_is_refused_with_what_is_missing():
    with pytest.raises(ConfigError, match="nearest is"):
        shape_of(frozenset({"id", "model", "speed"}), "x.csv")


def test_a_server_row_gives_two_figures():
    rows = read_table(packaged_tables()["serving_silicon"])
    first = [row for row in rows if row.at == rows[0].at]
    assert {row.name for row in first} == {"ttft_ms", "tpot_ms"}


@pytest.mark.parametrize(
    ("published", "key"),
    [
        ("NVIDIA H100 80GB HBM3", "h100-sxm"),
        ("NVIDIA H200 141GB HBM3", "h200-sxm"),
        ("h100_sxm", "h100-sxm"),
        ("NVIDIA A100-SXM4-80GB", "a100-sxm-80gb"),
        ("A100-40GB", "a100-sxm-40gb"),
        ("NVIDIA RTX A6000 48GB", "rtx-a6000"),
        ("AMD Instinct MI300X 192GB HBM3", "mi300x"),
        ("NVIDIA 4090 24GB", "rtx-4090"),
    ],
)
def test_devices_are_found_by_their_published_names(published, key):
    assert names().device(published) == key


def test_a_device_with_other_memory_is_not_confused():
    with pytest.raises(Refused):
        names().device("NVIDIA RTX 4090 48GB")


@pytest.mark.parametrize(
    ("published", "size", "key"),
    [
        ("meta-llama/Llama-3.1-8B-Instruct", "", "llama-3.1-8b"),
        ("LLaMA v3.1 70B", "", "llama-3.1-70b"),
        ("Llama2", "7B", "llama-2-7b"),
        ("Qwen/Qwen2.5-7B", "", "qwen2.5-7b"),
        ("GPT-J 6B", "", "gpt-j-6b"),
    ],
)
def test_models_are_found_by_their_published_names(published, size, key):
    assert names().model(published, size) == key


def test_an_unknown_model_is_refused_not_guessed():
    with pytest.raises(Refused, match="no model"):
        names().model("Llama 9 3B")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("fp8", ("fp8", "")), ("Q4_K_M", ("fp16", "4.84bpw")), ("EXL2 3.0 bpw", ("fp16", "3.0bpw"))],
)
def test_formats(text, expected):
    assert names().weights(text) == expected


def test_a_missing_format_is_refused():
    with pytest.raises(Refused, match="not published"):
        names().weights("")
