"""Devices without a solver: the host's is used, with a warning that says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import namespace_of
from geomkfac.arrays.floats.solvers.by_standard import StandardLinearAlgebra
from geomkfac.errors import HostFallbackWarning, NotPositiveError

from ....places import namespace

OPERATIONS = {
    "solve": lambda ns, a: ns.solve(a, ns.eye(3)),
    "inverse": lambda ns, a: ns.inverse(a),
    "cholesky": lambda ns, a: ns.cholesky(a),
    "cholesky_solve": lambda ns, a: ns.cholesky_solve(a, ns.eye(3)),
    "triangular_solve": lambda ns, a: ns.triangular_solve(a, ns.eye(3), transpose=True),
    "eigh": lambda ns, a: ns.eigh(a)[0],
    "qr": lambda ns, a: ns.qr(a)[1],
    "singular_values": lambda ns, a: ns.singular_values(a),
    "right_singular_vectors": lambda ns, a: ns.nullspace(a[:1, :]),
}
REASONS = {
    "PyTorch on a device without the operator": NotImplementedError("The operator 'aten::linalg_eigh' is not there"),
    "PyTorch without MAGMA": RuntimeError("eigh on a CUDA tensor requires compiling PyTorch with MAGMA"),
    "CuPy without cuSOLVER": ImportError("libcusolver.so.11: cannot open shared object file"),
}


def without(monkeypatch: pytest.MonkeyPatch, operation: str, error: Exception) -> None:
    def missing(*_: object) -> Any:
        raise error

    monkeypatch.setattr(StandardLinearAlgebra, operation, missing)


@pytest.mark.parametrize("reason", REASONS)
@pytest.mark.parametrize("operation", OPERATIONS)
def test_the_host_solves_and_a_warning_says_so(operation: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ns = namespace("strict-device-float64")
    a = ns.cast_numpy(np.asarray([[4.0, 0.0, 0.0], [1.0, 3.0, 0.0], [0.5, 1.0, 2.0]]))
    a = a @ a.mT if operation in ("cholesky", "eigh") else a
    wanted = OPERATIONS[operation](ns, a)
    without(monkeypatch, operation, REASONS[reason])
    with pytest.warns(HostFallbackWarning, match=rf"array_api_strict float64 on device1 has no {operation}") as said:
        found = OPERATIONS[operation](ns, a)
    assert str(REASONS[reason]) in str(said[0].message)
    assert namespace_of(found) is ns
    # Two ways to solve a system of three, of condition below 10; signs of vectors are free.
    gap = np.abs(np.abs(ns.to_numpy(found)) - np.abs(ns.to_numpy(wanted)))
    if operation != "right_singular_vectors":
        assert gap.max() <= 10 * 3**3 * ns.epsilon * np.abs(ns.to_numpy(wanted)).max()
    assert ns.norm(a[:1, :] @ found) <= 10 * 3 * ns.epsilon or operation != "right_singular_vectors"


def test_a_matrix_without_an_answer_is_no_missing_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    ns = namespace("strict-device-float64")
    with pytest.raises(NotPositiveError):
        ns.cholesky(-ns.eye(2))
    without(monkeypatch, "cholesky", RuntimeError("an illegal memory access was encountered"))
    with pytest.raises(RuntimeError, match="illegal memory"):
        ns.cholesky(ns.eye(2))
