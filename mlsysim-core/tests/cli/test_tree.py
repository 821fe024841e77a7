"""``mlsysim explain`` and the drawing of trees."""

from __future__ import annotations

import json

from mlsysim.explaining.tree import Explanation
from mlsysim.renderers.style import Style
from mlsysim.renderers.tree import tree_lines


def test_explain_reaches_formulas_and_documents(run, toy_file):
    code, out, _ = run("explain", toy_file(), "latency")
    assert code == 0
    assert out.startswith("performance.latency = 2 ms")
    assert "t = max(W / P, Q / B)" in out
    assert "ref: Williams, Waterman, Patterson 2009, Roofline." in out
    assert "device.memory.bandwidth of devices/toy-one = 1 TB/s" in out
    assert '[measured] "1 TB/s" Data sheet of toys, table 2, read 2026-01-01' in " ".join(out.split())


def test_explain_follows_outputs_through_solvers(run, toy_file):
    out = run("explain", toy_file(), "macro.carbon", "--depth", "0").out
    for name in ("device.power.tdp", "grid.carbon", "device.memory.bandwidth"):
        assert name in out
    assert "[estimate] typical of the class" in out


def test_depth_cuts_and_says_so(run, toy_file):
    shallow = run("explain", toy_file(), "latency", "--depth", "1").out
    assert "more below (--depth)" in shallow
    assert "device.memory.bandwidth" not in shallow
    assert "more below" not in run("explain", toy_file(), "latency", "--depth", "0").out


def test_json_is_whole_whatever_the_depth(run, toy_file):
    tree = json.loads(run("explain", toy_file(), "latency", "--format", "json", "--depth", "1").out)
    assert tree["name"] == "performance.latency"
    inputs, pending = [], [tree]
    while pending:
        node = pending.pop()
        pending += node.get("children", [])
        inputs += [node] if "source" in node else []
    assert {node["source"] for node in inputs} == {"Data sheet of toys"}


def test_unknown_output_is_refused_with_a_suggestion(run, toy_file):
    code, _, err = run("explain", toy_file(), "latancy")
    assert code == 2
    assert "'latency'" in err
    assert run("explain", toy_file(), "latency", "--depth", "-1").code == 2
    assert "OUTPUT is missing" in run("explain", toy_file()).err.replace("output", "OUTPUT")


def _sum(count: int) -> Explanation:
    total = count * (count + 1) / 2
    terms = tuple(
        Explanation(f"layer {n}", f"{n} s", "input", share=n / total) for n in range(count, 0, -1)
    )  # fmt: skip
    return Explanation("time", f"{total:g} s", "sum", children=terms)


def test_long_sums_show_the_largest_terms_with_shares():
    lines = list(tree_lines(_sum(20), Style(boxes=True)))
    assert lines[0] == "time = 210 s"
    assert lines[1] == "├─ layer 20 = 20 s  (9.52 %)"
    assert len(lines) == 8
    assert lines[-1] == "└─ ... 14 smaller terms, together 50 %"


def test_short_sums_are_drawn_whole_and_plainly_in_ascii():
    lines = list(tree_lines(_sum(3)))
    assert [line[:3] for line in lines[1:]] == ["|- ", "|- ", "`- "]


def test_a_reference_is_cited_once():
    leaf = Explanation("f", "1 s", "formula", "t = x", "Somebody 1999.")
    text = "\n".join(tree_lines(Explanation("sum", "2 s", "sum", children=(leaf, leaf))))
    assert text.count("Somebody 1999") == 1
    assert text.count("t = x") == 2


def test_deep_remarks_keep_room():
    node = Explanation("leaf", "1", "input", badge="stated", as_stated="1", source="word " * 30, at="p", retrieved="d")
    for _ in range(40):
        node = Explanation("n", "1", "product", children=(node,))
    assert max(map(len, tree_lines(node, Style(width=60)))) <= 41 * 3 + 50
