"""Tables of measurements: shapes, figures, names."""

from __future__ import annotations

import csv
import io
import json

import pytest

from mlsysim.cli import main
from mlsysim.errors import ConfigError
from mlsysim_solvers.validation.names import names
from mlsysim_solvers.validation.questions import Refused
from mlsysim_solvers.validation.tables import SHAPES, packaged_tables, read_table, shape_of, unread_columns


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


HEAD = (
    "id,model,accelerator,n_accelerators,weight_precision,framework,scenario,batch_or_concurrency,input_len,"
    "output_len,metric,value"
)
GOOD = "own-1,Llama 3.1 8B,NVIDIA H100 80GB HBM3,1,fp8,TensorRT-LLM v0.9.0,latency,1,1024,,ttft_ms,25"


def _validated(tmp_path, capsys, content: bytes) -> list[dict]:
    """Validate a file, which must come out as rows with all the keys that are promised."""
    file = tmp_path / "own.csv"
    file.write_bytes(content)
    assert main(["validate", "--file", str(file), "--format", "json", "--jobs", "1"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    promised = {"id", "kind", "group", "status", "reason", "metric", "measured", "predicted", "low", "high", "error"}
    assert all(promised <= set(row) for row in rows)
    assert all((row["status"] == "refused") == bool(row["reason"]) for row in rows)
    return rows


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("ttft_ms,25", "ttft_ms,fast"), "value = 'fast' is not a positive number"),
        (("ttft_ms,25", "ttft_ms,-5"), "not a positive number"),
        (("ttft_ms,25", "ttft_ms,"), "not a positive number"),
        (("ttft_ms,25", "ttft_ms,inf"), "not a positive number"),
        (("ttft_ms,25", "ttfft_ms,25"), "Did you mean"),
        (("ttft_ms,25", ",25"), "it has no metric"),
        (("HBM3,1,", "HBM3,some,"), "n_accelerators = 'some' is not a count"),
        (("HBM3,1,", "HBM3,,"), "number of accelerators is not published"),
        (("latency,1,", "latency,many,"), "batch_or_concurrency = 'many' is not a count"),
        (("latency,1,", "latency,-4,"), "batch_or_concurrency = '-4' is not a count"),
        (("latency,1,", "latency,1.5,"), "is not a count"),
        (("latency,1,", "latency,0,"), "is not a count"),
        (("1024,,", "1e400,,"), "input_len = '1e400' is not a count"),
        (("Llama 3.1 8B", "Llama 9 3B"), "no model 'Llama 9 3B'"),
        (("NVIDIA H100 80GB HBM3", "NVIDIA H999"), "no device 'NVIDIA H999'"),
        (("fp8", "fp3"), "precision 'fp3'"),
        (("ttft_ms,25", "ttft_ms,25,more"), "more cells than the header"),
        (("Llama 3.1 8B,NVIDIA H100 80GB HBM3,1,fp8", "Llama 3.1 8B"), "it has no metric"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_and_the_others_stand(tmp_path, capsys, change, words):
    assert change[0] in GOOD
    text = "\n".join([HEAD, GOOD.replace(*change), GOOD.replace("own-1", "own-2")])
    bad, good = _validated(tmp_path, capsys, text.encode())
    assert bad["status"] == "refused"
    assert words in bad["reason"]
    assert good["status"] == "predicted"


def _reordered(text: str) -> str:
    return "\n".join(",".join(reversed(line.split(","))) for line in text.split("\n"))


PLAIN = f"{HEAD}\n{GOOD}\n"
WRITTEN = {
    "as it is": PLAIN.encode(),
    "reordered": _reordered(PLAIN.rstrip()).encode(),
    "with a byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
    "with blank lines": ("\n\n" + PLAIN.replace("\n", "\n\n") + ",,,\n").encode(),
    "with the line ends of Windows": PLAIN.replace("\n", "\r\n").encode(),
    "with other columns": f"{HEAD},mine\n{GOOD},x\n".encode(),
    "with commas at the ends": f"{HEAD},,\n{GOOD},,\n".encode(),
    "with a header in capitals": f"{HEAD.upper()}\n{GOOD}\n".encode(),
    "with blanks around cells": PLAIN.replace(",", " , ").encode(),
    "with a line break in a cell": PLAIN.replace("Llama 3.1 8B", '"Llama\n3.1 8B"').encode(),
    "with semicolons": PLAIN.replace(",", ";").encode(),
    "with tabs": PLAIN.replace(",", "\t").encode(),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_a_table_is_read_however_it_was_written(tmp_path, capsys, name):
    (plain,) = _validated(tmp_path, capsys, WRITTEN["as it is"])
    (found,) = _validated(tmp_path, capsys, WRITTEN[name])
    assert plain["status"] == "predicted"
    assert found == plain


def test_the_second_row_of_an_id_is_refused(tmp_path, capsys):
    first, second = _validated(tmp_path, capsys, f"{HEAD}\n{GOOD}\n{GOOD}\n".encode())
    assert first["status"] == "predicted"
    assert "'own-1' stands in line 2 already" in second["reason"]


def test_a_column_that_nothing_reads_is_named_with_the_one_it_may_have_been_meant_for(tmp_path, capsys):
    path = tmp_path / "own.csv"
    path.write_text(f"{HEAD.replace('output_len', 'outputlen')}\n{GOOD}\n")
    (named,) = unread_columns(path)
    assert named.startswith("outputlen (did you mean output_len")
    assert main(["validate", "--file", str(path)]) == 0
    assert "nothing reads the columns outputlen" in capsys.readouterr().err
    assert all(unread_columns(path) == [] for path in map(packaged_tables().__getitem__, SHAPES))


@pytest.mark.parametrize("table", SHAPES)
def test_each_shape_is_found_with_its_columns_in_any_order_and_others_beside(tmp_path, capsys, table):
    with packaged_tables()[table].open(encoding="utf-8", newline="") as file:
        lines = [line for _, line in zip(range(4), csv.reader(file), strict=False)]
    text = io.StringIO()
    csv.writer(text).writerows([*reversed(line), "mine"] for line in lines)
    assert {row["kind"] for row in _validated(tmp_path, capsys, text.getvalue().encode())} == {table}


@pytest.mark.parametrize("table", SHAPES)
def test_a_missing_column_that_the_shape_needs_is_named(tmp_path, table):
    with packaged_tables()[table].open(encoding="utf-8", newline="") as file:
        head = next(csv.reader(file))
    for column in SHAPES[table]:
        file_ = tmp_path / "t.csv"
        file_.write_text(",".join(name for name in head if name != column) + "\n1\n")
        with pytest.raises(ConfigError) as caught:
            read_table(file_)
        assert column in caught.value.what


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the table is empty"),
        (b"\n\n , \n", "the table is empty"),
        (HEAD.encode(), "the table has no rows"),
        (PLAIN.encode("utf-16"), "UTF-8"),
        ("caf\u00e9,b\n".encode("latin-1"), "UTF-8"),
        (bytes(range(256)), "UTF-8"),
        (f"{HEAD},id\n{GOOD},zz\n".encode(), "names id twice"),
        (b"a,b\n1,2\n", "nearest is"),
    ],
)
def test_a_file_that_is_no_such_table_is_refused_without_a_traceback(tmp_path, capsys, content, words):
    file = tmp_path / "own.csv"
    file.write_bytes(content)
    assert main(["validate", "--file", str(file)]) == 2
    assert words in capsys.readouterr().err


def test_a_foreign_header_is_refused_with_what_is_missing():
    with pytest.raises(ConfigError, match="nearest is") as raised:
        shape_of(frozenset({"id", "model", "speed"}), "x.csv")
    assert raised.value.faults[0].remedy == "It has id, model, speed; rename or add columns"


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
        names().device("NVIDIA RTX 4080 32GB")
    assert names().device("NVIDIA RTX 4090 48GB") == "rtx-4090-48gb"
    assert names().device("NVIDIA RTX 4090") == names().device("NVIDIA RTX 4090 24GB") == "rtx-4090"


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
    [
        ("fp8", ("fp8", "")),
        ("Q4_K_M", ("fp16", "4.84bpw")),
        ("q4", ("fp16", "4.5bpw")),
        ("Q6", ("fp16", "6.5bpw")),
        ("q8", ("fp16", "8.5bpw")),
        ("8-bit", ("fp16", "8.5bpw")),
        ("EXL2 3.0 bpw", ("fp16", "3.0bpw")),
        ("int4 (AWQ GEMM)", ("fp16", "4.156bpw")),
        ("int4 (G=32)", ("fp16", "4.625bpw")),
        ("AWQ, group size 64", ("fp16", "4.312bpw")),
    ],
)
def test_formats(text, expected):
    assert names().weights(text) == expected


def test_a_missing_format_is_refused():
    with pytest.raises(Refused, match="not published"):
        names().weights("")


def test_processors_that_do_without_an_accelerator_are_counted_in_their_name(tmp_path):
    header = "id,source_title,source_url,source_ref,published,model,params,accelerator,n_accelerators,tp,pp,ep,"
    header += "weight_precision,kv_precision,framework,scenario,batch_or_concurrency,input_len,output_len,qps_or_sla,"
    header += "metric,value,evidence,notes\n"
    cells = ",t,u,r,2024-08,resnet50,,{},{},,,,int8,,PyTorch,offline,,,,,samples_per_s,100,source,\n"
    path = tmp_path / "rows.csv"
    path.write_text(
        header + "a-1" + cells.format("CPU: 2x SOME CHIP", "") + "a-2" + cells.format("CPU: 2x SOME CHIP", 3)
    )
    first, second = read_table(path)
    assert (first.device, first.devices) == ("SOME CHIP", 2)
    assert (second.device, second.devices) == ("CPU: 2x SOME CHIP", 3)


def test_a_mistyped_column_is_named():
    with pytest.raises(ConfigError) as caught:
        shape_of(SHAPES["training"] - {"value"} | {"valeu"}, "x.csv")
    assert caught.value.faults[0].remedy == "Rename 'valeu' to 'value'"


def test_a_report_of_refusals_alone_gives_no_scores_and_names_the_rows(tmp_path, capsys):
    from mlsysim.cli import main

    columns = sorted(SHAPES["inference"])
    cells = {"id": "a-1", "model": "llama-3.1-8b", "accelerator": "Foo-9000", "value": "1", "metric": "tokens_per_s"}
    lines = [",".join(columns), ",".join(cells.get(name, "1") for name in columns)]
    (tmp_path / "mine.csv").write_text("\n".join(lines), encoding="utf-8")
    assert main(["validate", "--file", str(tmp_path / "mine.csv")]) == 0
    out = capsys.readouterr().out
    assert out.startswith("1 rows: 0 predicted, 1 refused\n\nRefused")
    assert "(row a-1)" in out
