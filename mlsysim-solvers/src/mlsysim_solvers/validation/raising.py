"""Servers that ran although their stack's share of the memory leaves no room: they were told to take more of it."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

from mlsysim.records import Traffic

from .questions import Assumed, Question

__all__ = ["raised"]

RAISED = 0.95
"""Share of a device's memory that servers are told to take where the usual one does not do: --mem-frac 0.95 for a model
of 236 billion parameters on eight H20 (sgl-project/sglang, issue 1329), --gpu_memory_utilization 0.95
(vllm-project/vllm, pull request 17530). Estimate, range 0.9 to 0.98."""

RAISED_LOG_SD = 0.05
"""How much it may move a rate that the share was another, natural log: an estimate."""


def raised(question: Question, found: Mapping[str, float]) -> Question | None:
    """Return the question with a larger share of the memory, where the stack's own has no room for one request.

    Parameters
    ----------
    question : Question
        What was asked.
    found : mapping of str to float
        What was answered, with the memory that is required and usable (B).

    Returns
    -------
    Question or None
        None where there is room, where nobody comes and goes, or where the row says which share was taken.
    """
    asked, name = question.scenario, "memory_share"
    required, usable = (found.get(f"feasibility.memory_{part}") for part in ("required", "usable"))
    told = asked.settings.get("in-flight", {})
    if not isinstance(asked.workload, Traffic) or required is None or usable is None or name in told:
        return None
    if required <= usable:
        return None
    settings = {**asked.settings, "in-flight": {**told, name: RAISED}}
    what = f"{RAISED:g} of the memory for weights and cache: the stack's own share has no room for one request"
    assumed = (*question.assumed, Assumed(what, RAISED_LOG_SD))
    return attrs.evolve(question, scenario=attrs.evolve(asked, settings=settings), assumed=assumed)
