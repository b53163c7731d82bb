"""Pairs of a structured matrix and its dense oracle, over every kind of scalar.

A test that asks for the argument ``case`` runs over all of them, one that asks for ``invertible``,
``semidefinite``, ``positive`` or ``spectral`` over those that claim it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import array_api_strict
import numpy as np
import pytest

from geomkfac.arrays.array import Array
from geomkfac.arrays.dispatch import namespace_of
from geomkfac.arrays.exact.prime import GF
from geomkfac.arrays.namespace import Namespace
from geomkfac.operators import BlockDiagonal, DenseMatrix, KroneckerProduct, StructuredMatrix

PRIME = GF(2**31 - 1).default_namespace
FLOATING = [
    namespace_of(np.zeros(1)),
    namespace_of(np.zeros(1, dtype=np.float32)),
    namespace_of(array_api_strict.zeros(1, dtype=array_api_strict.float64)),
]

# Small integers, so that oracles are exact and failures can be read.
A3 = np.array([[4, 1, 0], [1, 3, -1], [0, -1, 2]])
G3 = np.array([[5, -2, 1], [-2, 4, 1], [1, 1, 3]])
G2 = np.array([[3, 1], [1, 2]])
H3 = np.array([[2, 0, 1], [0, 1, 0], [1, 0, 3]])
K2 = np.array([[2, -1], [-1, 4]])
SINGULAR3 = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2]])
UNSYMMETRIC3 = np.array([[1, 2, 0], [0, 1, 3], [1, 0, 2]])
UNSYMMETRIC2 = np.array([[0, 1], [2, 1]])
BLOCK6 = np.kron(A3, G2) + 2 * np.eye(6, dtype=int) + np.outer([1, 0, 2, 0, 1, 1], [1, 0, 2, 0, 1, 1])


@dataclass(frozen=True)
class Case:
    name: str
    matrix: StructuredMatrix
    oracle: Array
    """The same matrix, dense, made by NumPy from the definition."""
    claims: frozenset[str]

    @property
    def namespace(self) -> Namespace:
        return self.matrix.namespace

    def close(self, x: Array, y: Array, condition: float = 1.0) -> bool:
        """Equal over exact kinds; else to 8 N epsilon times the condition number of what was computed.

        Backward stable algorithms in dimension N are off by a small multiple of N epsilon condition;
        8 bounds the number of such steps (products, solves, one eigendecomposition) in one operation.
        """
        if self.namespace.kind.is_exact:
            return self.namespace.equal(x, y)
        bound = 8 * self.matrix.size * self.namespace.epsilon * condition
        first, second = np.asarray(self.namespace.to_numpy(x)), np.asarray(self.namespace.to_numpy(y))
        return first.shape == second.shape and bool(
            np.linalg.norm(first - second) <= bound * np.linalg.norm(second)
        )

    @property
    def condition(self) -> float:
        """Condition number of the oracle; 1 over exact kinds, where it does not matter."""
        exact = self.namespace.kind.is_exact
        return 1.0 if exact else float(np.linalg.cond(self.namespace.to_numpy(self.oracle).astype(float)))

    def operand(self, seed: int, batch: tuple[int, ...] = ()) -> Any:
        rng = np.random.default_rng(seed)
        return self.matrix.unvec(self.namespace.random(rng, (*batch, self.matrix.size)))


def lift(namespace: Namespace, values: Any) -> Array:
    values = np.asarray(values)
    if namespace.kind.is_exact:
        return namespace.asarray(np.rint(values).astype(np.int64))
    return namespace.cast_numpy(values)  # type: ignore[attr-defined]


def stacked(*blocks: Any) -> Any:
    size = sum(len(block) for block in blocks)
    dense, start = np.zeros((size, size)), 0
    for block in blocks:
        dense[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return dense


def _cases(namespace: Namespace) -> Iterator[tuple[str, StructuredMatrix, Any, str]]:
    def kronecker(left: Any, right: Any) -> KroneckerProduct:
        return KroneckerProduct(lift(namespace, left), lift(namespace, right))

    def dense(values: Any, acts_on: tuple[int, ...] | None = None) -> DenseMatrix:
        return DenseMatrix(lift(namespace, values), acts_on)

    positive = "invertible semidefinite positive spectral"
    identity = np.eye(6, dtype=int)
    yield "kronecker", kronecker(A3, G2), np.kron(A3, G2), positive
    yield "kronecker of equal sizes", kronecker(A3, G3), np.kron(A3, G3), positive
    yield "kronecker of size one", kronecker([[2]], [[3]]), [[6]], positive
    yield "kronecker with a thin side", kronecker(A3, [[3]]), 3 * A3, positive
    yield "kronecker of negative factors", kronecker(-A3, -G2), np.kron(A3, G2), positive
    unsymmetric = np.kron(UNSYMMETRIC3, UNSYMMETRIC2)
    yield "unsymmetric kronecker", kronecker(UNSYMMETRIC3, UNSYMMETRIC2), unsymmetric, "invertible spectral"
    yield "singular kronecker", kronecker(SINGULAR3, G2), np.kron(SINGULAR3, G2), "semidefinite spectral"
    yield "dense on vectors", dense(A3), A3, positive
    yield "dense on matrices", dense(BLOCK6, (2, 3)), BLOCK6, positive
    yield "unsymmetric dense", dense(UNSYMMETRIC3), UNSYMMETRIC3, "invertible spectral"
    damped = kronecker(A3, G2).damped_by_identity(3)
    yield "damped by identity", damped, np.kron(A3, G2) + 3 * identity, positive
    damped = kronecker(SINGULAR3, G2).damped_by_identity(2)
    yield "singular, damped by identity", damped, np.kron(SINGULAR3, G2) + 2 * identity, positive
    damped = kronecker(SINGULAR3, G2).damped_by(kronecker(H3, K2), 2)
    oblique = "invertible semidefinite positive"
    yield "damped by a metric", damped, np.kron(SINGULAR3, G2) + 2 * np.kron(H3, K2), oblique
    blocks = BlockDiagonal((kronecker(A3, G2), dense(BLOCK6, (2, 3)), kronecker(G2, A3)))
    yield "block diagonal", blocks, stacked(np.kron(A3, G2), BLOCK6, np.kron(G2, A3)), positive
    blocks = BlockDiagonal((BlockDiagonal((kronecker(A3, G2),)), dense(G3))).damped_by_identity(1)
    yield "nested blocks, damped", blocks, stacked(np.kron(A3, G2) + identity, G3 + np.eye(3)), positive
    if not namespace.kind.is_exact:
        yield from _floating_cases(kronecker)


def _floating_cases(kronecker: Callable[[Any, Any], KroneckerProduct]) -> Iterator[tuple[str, Any, Any, str]]:
    positive, identity = "invertible semidefinite positive spectral", np.eye(6)
    factored = kronecker(A3, G2).damped_by_identity(4.0, "factored", pi=2.0)
    yield "factored damping", factored, np.kron(A3 + 4 * np.eye(3), G2 + np.eye(2)), positive
    inverse = kronecker(A3, G2).damped_by_identity(3.0).inverse()
    yield "inverse of damped", inverse, np.linalg.inv(np.kron(A3, G2) + 3 * identity), positive
    inverse = kronecker(A3, G2).damped_by(kronecker(H3, K2), 2.0).inverse()
    expected = np.linalg.inv(np.kron(A3, G2) + 2 * np.kron(H3, K2))
    yield "inverse of damped by a metric", inverse, expected, "invertible semidefinite positive"


CASES = [
    Case(f"{namespace.name}: {name}", matrix, lift(namespace, oracle), frozenset(claims.split()))
    for namespace in [*FLOATING, PRIME]
    for name, matrix, oracle, claims in _cases(namespace)
]

_FIXTURES: dict[str, Callable[[Case], bool]] = {
    "case": lambda case: True,
    "invertible": lambda case: "invertible" in case.claims,
    "exact": lambda case: case.namespace.kind.is_exact,
    "singular_exact": lambda case: case.namespace.kind.is_exact and "invertible" not in case.claims,
    # Damped matrices over exact kinds go through the dense one, so every integer power exists.
    "integer_powers": lambda case: (
        "invertible" in case.claims and ("spectral" in case.claims or case.namespace.kind.is_exact)
    ),
    "floating": lambda case: not case.namespace.kind.is_exact,
    "semidefinite": lambda case: "semidefinite" in case.claims and not case.namespace.kind.is_exact,
    "positive": lambda case: "positive" in case.claims and not case.namespace.kind.is_exact,
    "spectral": lambda case: "spectral" in case.claims and not case.namespace.kind.is_exact,
    "roots": lambda case: {"positive", "spectral"} <= case.claims and not case.namespace.kind.is_exact,
    "numpy_case": lambda case: case.namespace in FLOATING[:2],
}


def _parameters(values: list[Any], namespace: Callable[[Any], Namespace], name: Callable[[Any], str]) -> list[Any]:
    """Parameters; slow are those beside NumPy's double precision and GF(p), as the laws are those of all kinds."""
    return [
        pytest.param(one, id=name(one), marks=[pytest.mark.slow] * (namespace(one) not in (FLOATING[0], PRIME)))
        for one in values
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for name, claim in _FIXTURES.items():
        if name in metafunc.fixturenames:
            cases = [case for case in CASES if claim(case)]
            metafunc.parametrize(name, _parameters(cases, lambda case: case.namespace, lambda case: case.name))


def _namespaces(values: list[Namespace]) -> list[Any]:
    return _parameters(values, lambda namespace: namespace, lambda namespace: namespace.name)


@pytest.fixture(params=_namespaces([*FLOATING, PRIME]))
def namespace(request: pytest.FixtureRequest) -> Namespace:
    """Every namespace in turn."""
    return request.param


@pytest.fixture(params=_namespaces(FLOATING))
def ordered(request: pytest.FixtureRequest) -> Namespace:
    """Every floating namespace in turn."""
    return request.param


@pytest.fixture
def kronecker() -> Callable[..., KroneckerProduct]:
    """Kronecker products in a namespace, from whole numbers."""
    return lambda namespace, left, right: KroneckerProduct(lift(namespace, left), lift(namespace, right))
