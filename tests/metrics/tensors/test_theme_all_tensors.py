"""Every class of metric tensor against a dense oracle, over every kind of scalar."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF, namespace_of, rational
from geomkfac.errors import (
    DegenerateMetricError,
    FrameError,
    InexactEqualityError,
    KindError,
    NotPositiveError,
    ShapeError,
    SpaceMismatchError,
    UnknownNameError,
    ValuesError,
)
from geomkfac.operators import StructuredMatrix
from geomkfac.testing.metrics import check_metric_tensor

FIELD = GF(1_073_741_827)
NAMESPACES = [
    FIELD.default_namespace,
    rational.default_namespace,
    namespace_of(np.zeros(1)),
    namespace_of(np.zeros(1, dtype=np.float32)),
]
A3 = np.array([[4, 1, 0], [1, 3, -1], [0, -1, 2]])
G2 = np.array([[3, 1], [1, 2]])
H3 = np.array([[2, 0, 1], [0, 1, 0], [1, 0, 3]])
SINGULAR3 = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 2]])
SINGULAR2 = np.array([[1, -1], [-1, 1]])
ROWS = np.array([[1, 2, 0], [0, 1, -1], [1, 3, -1]])
WEIGHTS = np.array([2, 1, 3])


def lift(ns: Any, values: Any) -> Any:
    return ns.asarray(np.asarray(values)) if ns.kind.is_exact else ns.cast_numpy(np.asarray(values, dtype=float))


@dataclass(frozen=True)
class Case:
    name: str
    tensor: gk.MetricTensor
    oracle: Any
    frame: Any

    @property
    def ns(self) -> Any:
        return self.tensor.namespace

    def close(self, x: Any, y: Any) -> bool:
        """Equal exactly; else to 16 dim epsilon cond: products, and one backward stable solve."""
        if self.ns.kind.is_exact:
            return bool(self.ns.equal(x, y))
        values = np.linalg.eigvalsh(np.asarray(self.oracle, dtype=float))
        kept = values[values > 1e-9 * max(values[-1], 1.0)]
        bound = 16 * len(values) * self.ns.epsilon * (float(kept[-1] / kept[0]) if len(kept) else 1.0)
        first, second = (np.asarray(self.ns.to_numpy(z), dtype=float) for z in (x, y))
        return bool(np.linalg.norm(first - second) <= bound * max(np.linalg.norm(second), 1.0))

    def vector(self, seed: int, *batch: int) -> Any:
        flat = np.random.default_rng(seed).integers(-3, 4, size=(*batch, self.tensor.space.dim))
        ns = self.ns
        return self.tensor.space.from_components(self.frame, self.tensor.space.unflatten(ns, lift(ns, flat)), ns)

    def flat(self, element: Any) -> Any:
        own = self.frame.dual if element.space is self.tensor.space.dual else self.frame
        return element.space.flatten(self.ns, element.coordinates(own))

    @property
    def matrix(self) -> Any:
        return dense(self.tensor.coordinates(self.frame))


def dense(matrix: Any) -> Any:
    return matrix.dense() if isinstance(matrix, StructuredMatrix) else matrix


def block(*parts: Any) -> Any:
    size, start = sum(len(part) for part in parts), 0
    total = np.zeros((size, size), dtype=int)
    for part in parts:
        total[start : start + len(part), start : start + len(part)] = part
        start += len(part)
    return total


def cases(ns: Any) -> list[Case]:
    kind = ns.kind
    U, V = gk.VectorSpace("U", 3, kind), gk.VectorSpace("V", 2, kind)
    e, f = U.frame("e"), V.frame("f")

    def on(space_frame: Any, values: Any) -> gk.DenseTensor:
        return gk.DenseTensor.from_coordinates(lift(ns, values), space_frame)

    def pair(left: Any, right: Any) -> gk.KroneckerTensor:
        return gk.KroneckerTensor(on(e.dual, left), on(f, right))

    hom = gk.Hom(U, V).frame(e, f)
    family = gk.CovectorTensor(lift(ns, WEIGHTS), U.dual.from_coordinates(lift(ns, ROWS), e.dual))
    total = gk.DirectSumTensor(pair(A3, G2), on(e, SINGULAR3))
    shear = e.dual.dense_change(lift(kind.default_namespace, [[1, 0, 2], [0, 1, 0], [0, 0, 1]]))
    back = np.array([[1, 0, -2], [0, 1, 0], [0, 0, 1]])
    sheared = gk.KroneckerTensor(on(shear, back.T @ A3 @ back), on(f, G2))
    found = [
        ("dense", on(e, A3), A3, e),
        ("dense, singular", on(e, SINGULAR3), SINGULAR3, e),
        ("covectors, singular", family, ROWS.T @ np.diag(WEIGHTS) @ ROWS, e),
        ("kronecker", pair(A3, G2), np.kron(A3, G2), hom),
        ("kronecker, left singular", pair(SINGULAR3, G2), np.kron(SINGULAR3, G2), hom),
        ("kronecker, both singular", pair(SINGULAR3, SINGULAR2), np.kron(SINGULAR3, SINGULAR2), hom),
        ("kronecker of a dense frame", sheared, np.kron(A3, G2), hom),
        ("damped", pair(SINGULAR3, G2).damped(pair(H3, G2), 2), np.kron(SINGULAR3 + 2 * H3, G2), hom),
        ("direct sum", total, block(np.kron(A3, G2), SINGULAR3), total.space.frame(hom, e)),
        ("zero", on(e, 0 * A3), 0 * A3, e),
    ]
    return [Case(f"{ns.name}: {name}", tensor, oracle, frame) for name, tensor, oracle, frame in found]


CASES = [case for ns in NAMESPACES for case in cases(ns)]
every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@every_case
def test_the_matrix_is_the_oracle(case: Case) -> None:
    assert case.close(case.matrix, lift(case.ns, case.oracle))


@every_case
def test_flat_is_the_oracle_times_the_vector_for_any_batch(case: Case) -> None:
    for batch in ((), (1,), (3,), (2, 3)):
        v = case.vector(1, *batch)
        assert case.close(case.flat(case.tensor.flat(v)), case.flat(v) @ lift(case.ns, case.oracle))


@every_case
def test_every_law_of_a_metric_tensor_holds(case: Case) -> None:
    if case.oracle.any():
        check_metric_tensor(case.tensor, np.random.default_rng(0))


@every_case
def test_the_rank_is_the_oracles(case: Case) -> None:
    assert case.tensor.rank == np.linalg.matrix_rank(np.asarray(case.oracle, dtype=float))


@every_case
def test_in_a_dense_frame_the_matrix_is_congruent_to_the_oracle(case: Case) -> None:
    n, ns = case.tensor.space.dim, case.ns
    shear = np.eye(n, dtype=int) + np.diag(np.ones(n - 1, dtype=int), 1)
    back = np.rint(np.linalg.inv(shear)).astype(int)
    frame = case.frame.dense_change(lift(ns.kind.default_namespace, shear))
    assert case.close(dense(case.tensor.coordinates(frame)), lift(ns, back.T @ case.oracle @ back))


@every_case
def test_sharp_undoes_flat_or_says_what_to_do(case: Case) -> None:
    v = case.vector(2, 3)
    phi = case.tensor.flat(v)
    if not case.tensor.is_degenerate:
        assert case.close(case.flat(case.tensor.sharp(phi)), case.flat(v))
        return
    with pytest.raises(DegenerateMetricError) as caught:
        case.tensor.sharp(phi)
    for word in ("radical", "sharp_coset(phi)", "minimal_solution(phi, norm=...)", "iota.euclidean", repr(case.tensor)):
        assert word in str(caught.value)


@every_case
def test_damping_by_a_metric_is_a_sum(case: Case) -> None:
    n, ns = case.tensor.space.dim, case.ns
    parameterization = gk.Parameterization(_bases(case.frame))
    damped = case.tensor.damped(parameterization.euclidean, 2)
    assert case.close(dense(damped.coordinates(case.frame)), lift(ns, case.oracle + 2 * np.eye(n, dtype=int)))
    v = case.vector(3)
    assert case.close(case.flat(damped.sharp(damped.flat(v))), case.flat(v))


def _bases(frame: Any) -> Any:
    if not frame.parts:
        return {frame: None}
    return {base: None for part in frame.parts for base in _bases(part)}


@pytest.mark.parametrize("ns", NAMESPACES[2:], ids=lambda ns: ns.name)
def test_eigenvalues_relative_to_a_norm_are_those_of_the_dense_pencil(ns: Any) -> None:
    for case in cases(ns):
        frames = gk.Parameterization(_bases(case.frame))
        found = case.tensor.eigenvalues(relative_to=frames.euclidean)
        parts = found if isinstance(found, tuple) else (found,)
        values = np.sort(np.concatenate([np.asarray(part, dtype=float) for part in parts]))
        expected = np.linalg.eigvalsh(np.asarray(case.oracle, dtype=float))
        assert np.abs(values - expected).max() <= 16 * len(expected) * ns.epsilon * max(expected[-1], 1.0)


@pytest.mark.parametrize("ns", NAMESPACES[:2], ids=lambda ns: ns.name)
@given(scale=st.integers(1, 50))
def test_equality_is_of_the_product_and_never_of_the_factors(ns: Any, scale: int) -> None:
    U, V = gk.VectorSpace("U", 3, ns.kind), gk.VectorSpace("V", 2, ns.kind)
    e, f = U.frame("e"), V.frame("f")

    def pair(left: Any, right: Any) -> gk.KroneckerTensor:
        return gk.KroneckerTensor(
            gk.DenseTensor.from_coordinates(lift(ns, left), e.dual), gk.DenseTensor.from_coordinates(lift(ns, right), f)
        )

    one, other = pair(scale * A3, G2), pair(A3, scale * G2)
    assert one == other
    assert one.domain_form != other.domain_form or scale == 1
    assert one.dense() == other
    assert pair(A3, G2) != pair(A3, SINGULAR2)


@given(st.lists(st.lists(st.integers(-3, 3), min_size=3, max_size=3), min_size=1, max_size=5))
def test_a_family_of_covectors_is_its_gram_matrix(rows: list[list[int]]) -> None:
    for ns in NAMESPACES:
        V = gk.VectorSpace("V", 3, ns.kind)
        e = V.frame("e")
        g = gk.CovectorTensor(ns.ones((len(rows),)), V.dual.from_coordinates(lift(ns, rows), e.dual))
        values = np.asarray(rows).T @ np.asarray(rows)
        # Integers this small are exact in float32, so that all kinds agree without a tolerance.
        assert np.array_equal(np.asarray(ns.to_numpy(g.coordinates(e)), dtype=float) % (2**30), values % (2**30)) or (
            ns.kind is FIELD and ns.equal(g.coordinates(e), lift(ns, values))
        )
        assert g.nullity == 3 - np.linalg.matrix_rank(values)


def test_a_batch_of_forms_takes_each_vector_to_its_own() -> None:
    V = gk.VectorSpace("V", 3)
    e = V.frame("e")
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((2, 5, 3))
    forms = gk.CovectorTensor(np.ones((2, 5)), V.dual.from_coordinates(rows, e.dual))
    matrices = np.einsum("kni,knj->nij", rows, rows)
    assert np.allclose(forms.coordinates(e), matrices, rtol=1e-13)
    for shape in ((5, 3), (3,), (4, 5, 3)):
        v = rng.standard_normal(shape)
        expected = np.einsum("nij,...nj->...ni", matrices, np.broadcast_to(v, (*shape[:-2], 5, 3)))
        element = V.from_coordinates(v, e)
        for tensor in (forms, forms.dense()):
            assert np.allclose(tensor.flat(element).coordinates(e.dual), expected, rtol=0, atol=1e-13)
    assert np.allclose(forms.expectation().coordinates(e), matrices.mean(axis=0), rtol=1e-13)
    with pytest.raises(ShapeError, match="batch of forms"):
        forms.dense().sharp(V.dual.from_coordinates(rows[0, 0], e.dual))


def test_misuse_is_refused_with_both_sides_named() -> None:
    V, W = gk.VectorSpace("V", 2), gk.VectorSpace("W", 2)
    e, f = V.frame("e"), W.frame("f")
    g, other = (gk.DenseTensor.from_coordinates(np.eye(2), frame) for frame in (e, f))
    v = V.from_coordinates(np.ones(2), e)
    with pytest.raises(SpaceMismatchError, match="cannot add metrics"):
        g + other
    with pytest.raises(SpaceMismatchError, match="flat takes a vector of"):
        g.flat(W.from_coordinates(np.ones(2), f))
    with pytest.raises(SpaceMismatchError, match="the norm must be a metric on the same space"):
        g.minimal_solution(g.flat(v), norm=other)
    with pytest.raises(SpaceMismatchError, match="a norm is a MetricTensor"):
        g.minimal_solution(g.flat(v), norm=3.0)
    with pytest.raises(KindError, match="float32"):
        g.flat(V.from_coordinates(np.ones(2, dtype=np.float32), e))
    with pytest.raises(ValuesError, match="negative multiple"):
        -1.0 * g
    with pytest.raises(KindError, match="scaled by a Python number"):
        g * np.ones(2)
    with pytest.raises(InexactEqualityError):
        g == g  # noqa: B015
    with pytest.raises(KindError, match="only in a frame"):
        np.asarray(g)
    with pytest.raises(UnknownNameError, match="factored"):
        g.damped(g, 1.0, "factored")
    with pytest.raises(FrameError, match="stands in a Frame"):
        gk.DenseTensor.from_coordinates(np.eye(2), gk.Parameterization([e]))
    with pytest.raises(ShapeError, match=r"\(2, 2\)"):
        gk.DenseTensor.from_coordinates(np.eye(3), e)
    with pytest.raises(NotPositiveError, match="symmetric"):
        gk.DenseTensor.from_coordinates(np.array([[1.0, 1.0], [0.0, 1.0]]), e)
    with pytest.raises(NotPositiveError, match="smallest eigenvalue"):
        gk.DenseTensor.from_coordinates(np.diag([1.0, -1.0]), e)
    with pytest.raises(DegenerateMetricError, match="damped by a nondegenerate"):
        pair = gk.KroneckerTensor(gk.DenseTensor.from_coordinates(np.diag([1.0, 0.0]), e.dual), other)
        pair.damped(pair, 0.1)
