"""Files as data, and the lines of their keys."""

from __future__ import annotations

import json

import pytest
import yaml

from mlsysim.documents import MAX_BYTES, Document, find_line, load_document, parse_text
from mlsysim.errors import ConfigError, RegistryError

DATA = {"name": "toys", "workload": {"model": "toy-net", "batch": 4}, "ports": [{"link": "a"}, {"link": "b"}]}
TOML = """\
name = "toys"

[workload]  # the job
model = "toy-net"
batch = 4

[[ports]]
link = "a"
[[ports]]
link = "b"
"""


@pytest.mark.parametrize(
    ("suffix", "text"),
    [(".toml", TOML), (".json", json.dumps(DATA)), (".yaml", yaml.safe_dump(DATA)), (".yml", yaml.safe_dump(DATA))],
)
def test_three_formats_say_the_same(suffix, text, tmp_path):
    assert parse_text(text, suffix, "x") == DATA
    path = tmp_path / f"toys{suffix}"
    path.write_text(text, encoding="utf-8")
    for given in (path, str(path)):
        document = load_document(given)
        assert document.data == DATA
        assert document.name == str(path)
    assert load_document(path.rename(tmp_path / f"TOYS{suffix.upper()}")).data == DATA


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("name", 1), ("workload", 3), ("workload.model", 4), ("workload.batch", 5), ("workload.missing", 3),
        ("ports.0", 7), ("ports.0.link", 8), ("ports.1", 9), ("ports.1.link", 10), ("nothing", 0), ("", 0),
        ("workload.batch.deeper", 5),
    ],
)  # fmt: skip
def test_lines_of_toml_keys(path, line):
    assert find_line(TOML, path) == line


@pytest.mark.parametrize(
    "text", [json.dumps(DATA, indent=1), yaml.safe_dump(DATA, sort_keys=False)], ids=["json", "yaml"]
)
def test_lines_of_nested_keys(text):
    lines = text.splitlines()
    assert (
        '"batch"' in lines[find_line(text, "workload.batch") - 1]
        or "batch:" in lines[find_line(text, "workload.batch") - 1]
    )
    assert find_line(text, "workload.missing") == find_line(text, "workload")
    assert find_line(text, "nothing") == 0


def test_dotted_and_inline_keys():
    text = 'name = "x"\npower.tdp = { value = "1 W" }\n"quoted" = 1\n[a."b"]\nc = 1\n'
    assert find_line(text, "power.tdp") == 2
    assert find_line(text, "power.tdp.value") == 2
    assert find_line(text, "quoted") == 3
    assert find_line(text, "a.b.c") == 5


def test_places_name_file_line_and_key():
    document = Document("toys.toml", DATA, TOML)
    assert document.place("workload.batch") == "toys.toml:5: workload.batch"
    assert document.place("") == "toys.toml"
    assert Document("toys", DATA).place("workload.batch") == "toys: workload.batch"
    assert Document("", DATA).place("workload.batch") == "workload.batch"


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("x.toml", b'a = "1"\nb = ', "x.toml:2"),
        ("x.toml", b"a = 1\na = 2", "not valid TOML"),
        ("x.json", b'{"a": 1,\nb}', "x.json:2"),
        ("x.yaml", b"a: 1\nb: [1, 2\nc: 3", "x.yaml:3"),
        ("x.yaml", b"a: !!python/object/apply:os.system [ls]", "not valid YAML"),
        ("x.yaml", b"- 1\n- 2", "no table at its top"),
        ("x.json", b"3", "no table at its top"),
        ("x.json", b"null", "no table at its top"),
        ("x.yaml", b"", "no table at its top"),
        ("x.json", b"", "not valid JSON"),
        ("x.toml", b"\xff\xfe\x00", "not UTF-8 text (byte 0)"),
        ("x.json", b"[" * 100_000, "nested too deeply"),
        ("x.yaml", b"[" * 5_000, "nested too deeply"),
        ("x.toml", b"a = " + b"[" * 5_000, "nested too deeply"),
        ("x.toml", b"#" * (MAX_BYTES + 1), "4,000,001 bytes"),
        ("x.txt", b"a = 1", ".txt is not a format"),
        ("x", b"a = 1", "no suffix is not a format"),
    ],
    ids=range(17),
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_its_place(name, content, words, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        load_document(path)
    assert words in str(caught.value)
    assert "Traceback" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "line", "remedy"),
    [
        ('a = "1\nb = 2', 1, "Close the quote: a text ends on its line"),
        ("a = 1\na = 2", 2, "A key stands once in a table"),
        ("[a]\n[b]\n[a]\n", 3, "A table stands once in a file"),
        ("a = 80 GB", 1, ""),
        ("a = eighty", 1, 'Texts stand in quotes, and so do numbers with units: "80 GB"'),
    ],
)
def test_broken_toml_is_told_how_to_mend_it(content, line, remedy, tmp_path):
    path = tmp_path / "x.toml"
    path.write_text(content)
    with pytest.raises(ConfigError) as caught:
        load_document(path)
    assert (caught.value.where, caught.value.remedy) == (f"{path}:{line}", remedy)


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(ConfigError, match="No such file"):
        load_document(tmp_path / "none.toml")
    (tmp_path / "folder.toml").mkdir()
    with pytest.raises(RegistryError, match="cannot be read"):
        load_document(tmp_path / "folder.toml", error=RegistryError)


def test_the_error_class_is_the_callers_choice(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("a = ")
    with pytest.raises(RegistryError, match="not valid TOML"):
        load_document(path, error=RegistryError)


def test_an_empty_toml_file_is_an_empty_table(tmp_path):
    path = tmp_path / "x.toml"
    path.write_text("")
    assert load_document(path).data == {}


@pytest.mark.parametrize(
    ("suffix", "text"),
    [(".json", '{"name": "x", "kind": "a",\n "kind": "b"}'), (".yaml", "name: x\nkind: a\nkind: b\n"),
     (".yaml", "t: {a: 1, a: 2}\n"), (".toml", 'kind = "a"\nkind = "b"\n'), (".json", '{"t": {"a": 1, "a": 1}}')],
)  # fmt: skip
def test_a_key_that_stands_twice_is_refused_in_every_format(suffix, text):
    with pytest.raises(ConfigError, match=r"twice|overwrite"):
        parse_text(text, suffix, "file")


def test_keys_of_yaml_may_be_merged_and_overwritten():
    text = "base: &base {a: 1, b: 2}\nmore:\n  <<: *base\n  b: 3\n"
    assert parse_text(text, ".yaml", "file")["more"] == {"a": 1, "b": 3}


def test_what_cannot_be_read_says_what_to_do(tmp_path):
    (tmp_path / "folder.toml").mkdir()
    (tmp_path / "half.json").write_text("[1,")
    (tmp_path / "half.yaml").write_text("a: [")
    for name, remedy in (("folder.toml", "Name a file in it"), ("half.json", "Mend it"), ("half.yaml", "Mend it")):
        with pytest.raises(ConfigError) as caught:
            load_document(tmp_path / name)
        assert caught.value.faults[0].remedy.startswith(remedy)
