"""Every cut-off from both sides: what is just below it counts as rounding, and what is just above it counts.

A cut-off stands in its file, and here with what must fall on either side, in float32 and in float64.  A file that
compares with epsilon and has no entry here is named by the last test.
"""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest

import geomkfac as gk
from geomkfac.arrays import namespace_of
from geomkfac.errors import SingularMatrixError

from .cutoffs_above_matrices import ABOVE_MATRICES
from .cutoffs_of_matrices import OF_MATRICES, damped, solves
from .cutoffs_of_ranks import OF_RANKS
from .places import HOST, namespace

PACKAGE = Path(gk.__file__).parent
SIZES = (2, 3, 6)
"""A cut-off that should grow with the size of a matrix, and does not, is found at the largest."""

CUTOFFS = OF_MATRICES | ABOVE_MATRICES | OF_RANKS
IN_LIBRARIES = {"arrays/floats/solvers/by_torch.py", "arrays/floats/solvers/by_library.py"}
"""Solvers, whose cut-off is the same in every library."""

NONE_THERE = {
    "arrays/random/draws.py": "how precisely numbers are drawn",
    "audit/": "verdicts have tests of their own, tests/audit",
    "maps/activations/self_gated.py": "a grid on which numbers are split exactly",
    "metrics/families/heteroscedastic.py": "how precisely numbers are drawn",
    "networks/moments/totals.py": "whether numbers have few digits",
    "networks/running/summing.py": "how many bytes a number has",
    "theorems/engine/world.py": "a change of the last digit",
    "theorems/instances/symmetry_condition.py": "an error bar: tests/theorems/instances/test_lie_algebra.py",
    "theorems/ledger/": "statements, which have their own mutants",
}
"""Files, and folders, that name epsilon and draw no cut-off which belongs here."""


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CUTOFFS)
def test_what_is_above_a_cutoff_counts_and_what_is_below_does_not(name: str, dtype: str, n: int) -> None:
    cutoff, ns = CUTOFFS[name], namespace_of(np.zeros(1, dtype)).ordered("a cut-off")
    assert not cutoff.counts(ns, n, 1 / cutoff.slack), "just below"
    assert cutoff.counts(ns, n, cutoff.slack), "just above"


@pytest.mark.parametrize(
    "place",
    [
        pytest.param(f"{name}-{dtype}", marks=[pytest.mark.slow] * (name == "jax"))
        for name in HOST
        if name != "numpy"
        for dtype in ("float32", "float64")
    ],
)
def test_equations_are_solved_and_refused_alike_in_every_array_library(place: str) -> None:
    ns = namespace(place)
    for n in SIZES:
        assert not solves(ns, n, 1 / 2), "just below"
        assert solves(ns, n, 2), "just above"


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_damped_solves_are_right_down_to_epsilon_and_refused_below(dtype: str) -> None:
    """Damping over the largest eigenvalue, from 1 down to 1e-15."""
    ns = namespace_of(np.zeros(1, dtype)).ordered("a cut-off")
    X = ns.cast_numpy(np.arange(6.0).reshape(2, 3) + 1)
    for gamma in 10.0 ** -np.arange(16):
        if gamma <= ns.epsilon:
            with pytest.raises(SingularMatrixError):
                damped(ns, 3, gamma).solve(X)
            continue
        eigenvalues = np.full((2, 3), gamma)
        eigenvalues[0, 0] += 1
        # A sum, a quotient and two rotations by the identity.
        expected = np.asarray(X, float) / eigenvalues
        assert np.all(np.abs(damped(ns, 3, gamma).solve(X) - expected) <= 8 * ns.epsilon * expected)


def test_every_file_that_names_epsilon_has_its_cutoffs_here() -> None:
    naming = set()
    for path in PACKAGE.rglob("*.py"):
        nodes = ast.walk(ast.parse(path.read_text("utf-8")))
        if any(isinstance(node, ast.Attribute) and node.attr in ("epsilon", "eps", "finfo") for node in nodes):
            naming.add(path.relative_to(PACKAGE).as_posix())
    covered = {cutoff.place for cutoff in CUTOFFS.values()} | IN_LIBRARIES
    excused = {place for place in naming if any(place.startswith(one) for one in NONE_THERE)}
    assert not naming - covered - excused, "give their cut-offs a place in CUTOFFS, with what falls on either side"
    stale = [one for one in NONE_THERE if not any(place.startswith(one) for place in naming)]
    assert not stale + sorted(covered - naming)
