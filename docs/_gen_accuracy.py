"""Writes docs/reference/accuracy.md from the packaged measurements: python docs/_gen_accuracy.py.

With ``--check`` it writes nothing, and says whether the page is as it would be written.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from mlsysim.records.measurement import Measurement
from mlsysim.renderers.markdown import markdown_table
from mlsysim_solvers.calibration.left_out import left_out
from mlsysim_solvers.validation.ablation import ablation_table
from mlsysim_solvers.validation.reports import Report, summarise
from mlsysim_solvers.validation.reports.figure import save_figure
from mlsysim_solvers.validation.reports.shares import percent
from mlsysim_solvers.validation.reports.unseen import LEAST, outside_target
from mlsysim_solvers.validation.running import run_rows
from mlsysim_solvers.validation.scoring import Score
from mlsysim_solvers.validation.tables import outside_rows, packaged_rows

__all__ = ["check", "page", "write"]

FIGURE = "accuracy.svg"
LOW = 0.85
"""Share of the measurements that intervals of 90 % are meant to hold at least."""

HEAD = """# Accuracy

How far off the predictions are, on every published measurement that ships with the program. This page is
written by `python docs/_gen_accuracy.py`; each line can be reproduced with the command beside it.

An error is |predicted / measured - 1|. *Group median* is the median over groups of source, model and device of
their median errors, so that a source with many rows counts no more than one with few. *Constant* is the error
of the best constant: one ratio of the time at full peak and bandwidth for all rows of a set. *In sample* is the
share of the predicted rows on which constants of the software stack were fitted.

*Left out* stands beside each score of the fits: every row is predicted again with constants that were fitted without
its group (source, model and device), under the interval which that fit gives; where nothing else is left to fit on,
with the general ceilings of the stack. Rows in which no fitted constant took part are left out already and stand as
they are. `mlsysim validate --left-out` prints these columns; with `--source` for one set.
"""

OUTSIDE = """## Outside sources

Measurements from sources that none of the rows above cites. No constant, no scatter of a stack and no general scale of
intervals is fitted on them, and no figure above counts them. [Outside sources](../explanation/accuracy.md#outside-sources)
says how they came and what they have guided since. `mlsysim validate --outside` prints them; with `--source` one set.
"""

NOT_MODELLED = """## What is not modelled

These rows are refused, with this reason, and count as refused wherever an error is quoted.
"""


def _sets(report: Report) -> list[str]:
    head = ["set", "metric", "predicted", "refused", "in sample", "group median", "left out", "90 % below", "bias",
            "rank", "coverage", "left out", "half-width", "left out", "constant", "reproduce with"]  # fmt: skip
    both = zip(report.sets, report.left_out, strict=True)
    rows = [_cells(found, unseen) for found, unseen in both if found.predicted]
    return list(markdown_table(head, rows, right=range(2, len(head) - 1)))


def _cells(found: Score, unseen: Score) -> list[str]:
    return [
        *found.name, str(found.predicted), str(found.refused), percent(found.in_sample),
        percent(found.group_median_ape), percent(unseen.group_median_ape), percent(found.p90_ape),
        percent(found.bias, signed=True), "-" if found.spearman is None else f"{found.spearman:.2f}",
        percent(found.coverage90), percent(unseen.coverage90), percent(found.half_width), percent(unseen.half_width),
        percent(found.baseline_median_ape), f"`mlsysim validate --source {found.name[0]} --left-out`",
    ]  # fmt: skip


def _target(report: Report) -> list[str]:
    """Say which sets miss the target for intervals."""
    large = [found for found in report.left_out if found.predicted >= LEAST]
    outside = outside_target(report)
    return [
        f"Intervals of 90 % are meant to hold 85 to 95 % of the measurements of groups left out, in every set of {LEAST} "
        f"rows or more. {len(large) - len(outside)} of {len(large)} sets lie within."
        + (f" Outside: {'; '.join(outside)}." if outside else "")
    ]


def _outside(outside: Report) -> list[str]:
    """Write the section on rows that no fit has seen."""
    all_ = outside.overall
    head = ["set", "metric", "predicted", "refused", "group median", "90 % below", "bias", "coverage", "half-width",
            "constant"]  # fmt: skip
    rows = [
        [*found.name, str(found.predicted), str(found.refused), percent(found.group_median_ape), percent(found.p90_ape),
         percent(found.bias, signed=True), percent(found.coverage90), percent(found.half_width),
         percent(found.baseline_median_ape)]
        for found in outside.sets
    ]  # fmt: skip
    few = [
        f"{'/'.join(found.name)} {percent(found.coverage90)} of {found.predicted}"
        for found in outside.sets
        if found.predicted >= LEAST and (found.coverage90 or 0.0) < LOW
    ]
    summary = (
        f"Of {all_.n} figures {all_.predicted} are predicted and {all_.refused} refused. The median error is "
        f"{percent(all_.median_ape)}, {percent(all_.group_median_ape)} over groups; 90 % intervals hold "
        f"{percent(all_.coverage90)} of the measurements, and their median half-width is {percent(all_.half_width)}."
    )
    return [
        OUTSIDE,
        summary,
        "",
        *markdown_table(head, rows, right=range(2, len(head))),
        "",
        f"Of the sets with {LEAST} predicted rows or more these hold fewer than 85 %: {'; '.join(few) or 'none'}.",
        "",
        *markdown_table(("rows", "refused because"), [[str(n), reason] for reason, n in outside.reasons], right=(0,)),
        "",
    ]


def page(report: Report, rows: list[Measurement], figure: str, outside: Report) -> str:
    """Return the page.

    Parameters
    ----------
    report : Report
        The validation.
    rows : list of Measurement
        What was validated.
    figure : str
        File name of the figure; empty for none.
    outside : Report
        The validation over the rows on which no constant is fitted.

    Returns
    -------
    str
    """
    all_ = report.overall
    summary = (
        f"Of {all_.n} published figures {all_.predicted} are predicted and {all_.refused} refused. The median error is "
        f"{percent(all_.median_ape)}, {percent(all_.group_median_ape)} over groups; 90 % intervals hold "
        f"{percent(all_.coverage90)} of the measurements, and their median half-width is {percent(all_.half_width)}."
    )
    unseen = report.left_out_overall
    if unseen is not None:
        summary += (
            f" With the group of each row left out the median error is {percent(unseen.median_ape)}; the intervals hold "
            f"{percent(unseen.coverage90)}, and their median half-width is {percent(unseen.half_width)}."
        )
    lines = [
        HEAD,
        summary,
        "",
        *_sets(report),
        "",
        *_target(report),
        "",
    ]
    if figure:
        lines += [f"![Predicted against measured]({figure})", ""]
    lines += _outside(outside)
    lines += [
        "## What each term buys",
        "",
        "```text",
        ablation_table(rows),
        "```",
        "",
        "`mlsysim validate --ablation`",
        "",
    ]
    reasons = [[str(count), reason] for reason, count in report.reasons if count > 4]
    rest = sum(count for _, count in report.reasons if count <= 4)
    if rest:
        reasons.append([str(rest), "other reasons; `mlsysim validate --format json` lists them"])
    lines += [NOT_MODELLED, *markdown_table(("rows", "reason"), reasons, right=(0,))]
    return "\n".join(lines) + "\n"


def check(folder: Path) -> int:
    """Compare the page with what would be written now.

    Parameters
    ----------
    folder : Path
        The folder of the reference pages.

    Returns
    -------
    int
        0 when they agree, else 1; the lines that differ are printed.
    """
    path = folder / "accuracy.md"
    rows, report, outside = _validated()
    old = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    new = page(report, rows, FIGURE, outside).splitlines()
    lines = list(difflib.unified_diff(old, new, str(path), "as it would be written", lineterm="", n=0))
    print("\n".join(lines) or f"{path} is current")
    if lines:
        print("write it again: python docs/_gen_accuracy.py", file=sys.stderr)
    return 1 if lines else 0


def _validated() -> tuple[list[Measurement], Report, Report]:
    rows = packaged_rows()
    outcomes = run_rows(rows)
    return rows, summarise(outcomes, left_out(outcomes)), summarise(run_rows(outside_rows()))


def write(folder: Path) -> None:
    """Write the page and its figure.

    Parameters
    ----------
    folder : Path
        The folder of the reference pages.
    """
    rows, report, outside = _validated()
    figure = FIGURE
    try:
        save_figure(report, str(folder / figure))
    except Exception:  # noqa: BLE001 - the page stands without its figure where matplotlib is missing
        figure = ""
    (folder / "accuracy.md").write_text(page(report, rows, figure, outside), encoding="utf-8")


if __name__ == "__main__":
    reference = Path(__file__).parent / "reference"
    if sys.argv[1:] == ["--check"]:
        sys.exit(check(reference))
    write(reference)
