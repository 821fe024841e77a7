"""JSON: plain data for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ..evaluation import SystemEvaluation
    from ..provenance import Standing

__all__ = ["render_json", "standing_data", "to_json"]


def to_json(data: Any) -> str:
    """Write plain data as JSON.

    Parameters
    ----------
    data : dict or list
        Without NaN or infinities: they are no JSON.

    Returns
    -------
    str
    """
    import json

    return json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)


def render_json(evaluation: SystemEvaluation, *, evidence: bool = True) -> str:
    """Write an evaluation as JSON.

    Parameters
    ----------
    evaluation : SystemEvaluation
        What to write; all numbers are SI.
    evidence : bool
        Whether to add the standing of the numbers under ``evidence``.

    Returns
    -------
    str
        :meth:`SystemEvaluation.from_dict` reads it back.
    """
    data = evaluation.to_dict()
    if evidence:
        data["evidence"] = {name: standing_data(standing) for name, standing in evaluation.evidence().items()}
    return to_json(data)


def standing_data(standing: Standing) -> dict[str, Any]:
    """Return a standing as plain data.

    Parameters
    ----------
    standing : Standing
        The verdict on one field.

    Returns
    -------
    dict
    """
    claim = standing.chosen
    return {
        "level": standing.level.label, "stale": standing.stale, "disputed": standing.disputed, "why": standing.why,
        "as_stated": claim.as_stated, "value": claim.value, "unit": claim.unit, "kind": claim.kind,
        "source": claim.source, "at": claim.at, "reason": claim.reason,
    }  # fmt: skip
