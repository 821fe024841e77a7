"""What a script reads: standard output is JSON whenever it was asked for, whatever happens."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("words", [
    ("eval", "nothing", "--json"), ("eval", "toy-net", "--on", "toy-one", "--batch", "0", "--format", "json"),
    ("eval", "--json"), ("explain", "toy-net", "--on", "toy-one", "nonsense", "--format=json"),
    ("sweep", "toy-net", "--on", "toy-one", "--json"), ("list", "nothings", "--json"), ("show", "nothing", "--json"),
    ("solvers", "nobody", "--json"), ("nothing", "--json"), ("eval", "toy-net", "--jsn", "--json"),
])  # fmt: skip
def test_a_mistake_is_json_too_and_words_for_people_stay_on_standard_error(run, words):
    code, out, err = run(*words)
    said = json.loads(out)
    assert code == said["exit_code"] == 2
    assert [set(one) for one in said["errors"]] == [{"where", "what", "remedy"}]
    assert err.startswith("error: ")
    assert said["errors"][0]["what"] in err


def test_all_faults_of_a_file_are_in_the_json(run, toy_file):
    """Names that nothing has among them, although a number is wrong too."""
    file = toy_file(workload={"batch": -1, "model": "nobody"}, system={"device": "nothing"})
    errors = json.loads(run("eval", file, "--json").out)["errors"]
    assert [error["where"].rpartition(" ")[2] for error in errors] == [
        "workload.model",
        "system.device",
        "workload.batch",
    ]


def test_without_json_a_mistake_prints_nothing_on_standard_output(run):
    assert run("eval", "nothing").out == ""


def test_explain_gives_its_number_as_eval_does(run, toy_file):
    explained = json.loads(run("explain", toy_file(), "latency", "--json").out)
    answers = json.loads(run("eval", toy_file(), "--json").out)["answers"]
    assert explained["answer"] == answers["performance.latency"]
    assert explained["children"]


def test_a_table_is_not_mixed_with_json(run, toy_file):
    code, out, _ = run("sweep", toy_file(), "--vary", "batch=1,2", "--csv", "-", "--json")
    assert code == 2
    assert json.loads(out)["exit_code"] == 2


def test_a_value_that_begins_with_a_dash_is_explained(run):
    err = run("eval", "toy-net", "--on", "toy-one", "--rate", "-r").err
    assert "--rate needs a value" in err
    assert "--rate=VALUE" in err
