"""The conformance kit: proofs for formulas and checks for solvers, usable without pytest.

A plugin tests its solver with a few lines::

    from mlsysim.testing import parametrize_checks

    @parametrize_checks("mlsysim_fancy:SPEC", scenarios=["resnet-50-training"])
    def test_conformance(check):
        check()

The pytest fixtures are in :mod:`mlsysim.testing.fixtures`.
"""

from __future__ import annotations

from .case import BadInput, SolverCase, request_for
from .conformance import Outcome, check_solver, parametrize_checks
from .drawing import draw_arguments
from .isolation import given_plugins, no_sockets
from .proofs import ProofError, prove_arrays, prove_pint, prove_rescaling

__all__ = [
    "BadInput",
    "Outcome",
    "ProofError",
    "SolverCase",
    "check_solver",
    "draw_arguments",
    "given_plugins",
    "no_sockets",
    "parametrize_checks",
    "prove_arrays",
    "prove_pint",
    "prove_rescaling",
    "request_for",
]
