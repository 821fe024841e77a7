"""The machine checks of the registry: a flat list of small named functions.

Each takes the registry and yields findings. A fault must be repaired; a dispute is recorded in
the data themselves, as claims that disagree or as a note, and is shown wherever the number is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from .finding import Check, Finding

if TYPE_CHECKING:
    from mlsysim.entities import Registry

__all__ = ["Finding", "all_checks", "run"]


def all_checks() -> Mapping[str, Check]:
    """Return every check by name.

    Returns
    -------
    mapping of str to callable
        In the order in which they run.
    """
    from . import arithmetic, documents, files, generations, ranges, sparsity, systems
    from .arithmetic import relation

    return {
        "schema": files.schema,
        "template": files.template,
        "names": files.names,
        "documents": documents.documents,
        "lineage": documents.lineage,
        "freshness": documents.freshness,
        "disputes": documents.disputes,
        "units-clock-peak": relation("devices", "units-clock-peak", "Which clock does this peak hold at?"),
        "bus-rate-bandwidth": relation("devices", "bus-rate-bandwidth", "One of the three numbers is wrong."),
        "dense-sparse": sparsity.dense_sparse,
        "shape-parameters": arithmetic.shape_parameters,
        "shape-active": relation("models", "shape-active", "Look at shared experts and dense layers."),
        "shape-work": relation("models", "shape-work", "Does the label count MACs or FLOPs?"),
        "kv-cache": arithmetic.kv_cache,
        "references": systems.references,
        "node-devices": systems.node_devices,
        "link-totals": systems.link_totals,
        "prices": systems.prices,
        "ranges": ranges.ranges,
        "generations": generations.generations,
    }


def run(registry: Registry) -> list[Finding]:
    """Run all checks.

    Parameters
    ----------
    registry : Registry
        All data.

    Returns
    -------
    list of Finding
        Faults first, then disputes, then notes.
    """
    rank = {"fault": 0, "dispute": 1, "note": 2}
    found = [finding for check in all_checks().values() for finding in check(registry)]
    return sorted(found, key=lambda finding: rank[finding.severity])
