"""Degenerate metrics: cosets of solutions, the smallest one in a named norm, ranks, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import geomkfac as gk
from geomkfac.arrays import GF, rational
from geomkfac.errors import DegenerateMetricError, NotInRangeError

FIELD = GF(1_073_741_827)
KINDS = [FIELD, rational]
EPSILON = 2.0**-52


def array(kind: Any, values: Any) -> Any:
    ns = kind.default_namespace
    return ns.asarray(np.asarray(values)) if kind.is_exact else np.asarray(values, dtype=float)


def degenerate_layer(kind: Any) -> Any:
    """A Kronecker metric with ker h of dimension 1 and ker k of dimension 1, on Hom(U, V), and its frames."""
    U, V = gk.VectorSpace("U", 3, kind), gk.VectorSpace("V", 2, kind)
    e, f = U.frame("e"), V.frame("f")
    h = gk.DenseTensor.from_coordinates(array(kind, [[2, 1, 3], [1, 5, 6], [3, 6, 9]]), e.dual)
    k = gk.DenseTensor.from_coordinates(array(kind, [[1, 2], [2, 4]]), f)
    return gk.KroneckerTensor(h, k), e, f


def norms(g: Any, e: Any, f: Any, kind: Any) -> list[Any]:
    U, V = e.space, f.space
    left = gk.DenseTensor.from_coordinates(array(kind, [[2, 0, 1], [0, 1, 0], [1, 0, 3]]), e.dual)
    right = gk.DenseTensor.from_coordinates(array(kind, [[2, 1], [1, 3]]), f)
    product = gk.KroneckerTensor(left, right)
    assert product.space is gk.Hom(U, V)
    return [gk.Parameterization([e, f]).euclidean, product, product.dense(), product + product]


@pytest.mark.parametrize("kind", KINDS, ids=repr)
@given(seed=st.integers(0, 10**6))
def test_the_smallest_solution_solves_and_is_orthogonal_to_the_radical(kind: Any, seed: int) -> None:
    g, e, f = degenerate_layer(kind)
    rng, ns = np.random.default_rng(seed), kind.default_namespace
    frame = g.space.frame(e, f)
    phi = g.flat(g.space.from_coordinates(array(kind, rng.integers(-3, 4, (4, 2, 3))), frame))
    for norm in norms(g, e, f, kind):
        for tensor in (g, g.dense()):
            v = tensor.minimal_solution(phi, norm=norm)
            assert tensor.flat(v) == phi
            against = tensor._as_tensor(norm)(tensor.radical.basis()[:, None], v[None])
            assert ns.is_zero(against)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_a_product_its_dense_form_and_a_sum_pick_the_same_solution(kind: Any) -> None:
    g, e, f = degenerate_layer(kind)
    frame = g.space.frame(e, f)
    phi = g.flat(g.space.from_coordinates(array(kind, np.arange(6).reshape(2, 3)), frame))
    _, product, matrix, doubled = norms(g, e, f, kind)
    expected = g.minimal_solution(phi, norm=product)
    for norm in (matrix, doubled):
        assert g.minimal_solution(phi, norm=norm) == expected
    total = gk.DirectSumTensor(g, g)
    both = total.space.dual.join(phi, phi)
    paired = gk.DirectSumTensor(product, product)
    for norm in (paired, paired.dense()):
        assert total.minimal_solution(both, norm=norm) == total.space.join(expected, expected)


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_where_elements_are_stored_does_not_change_the_solution_or_the_coset(kind: Any) -> None:
    g, e, f = degenerate_layer(kind)
    given = gk.Parameterization([e, f])
    phi = g.flat(g.space.from_coordinates(array(kind, np.arange(6).reshape(2, 3)), given))
    coset, smallest = g.sharp_coset(phi), g.minimal_solution(phi, norm=given.euclidean)
    for seed in range(3):
        kappa = given.random(np.random.default_rng(seed))
        moved = gk.KroneckerTensor(
            gk.DenseTensor.from_coordinates(g.domain_form.coordinates(kappa), kappa[g.domain_form.space]),
            gk.DenseTensor.from_coordinates(g.codomain_form.coordinates(kappa), kappa[g.codomain_form.space]),
        )
        assert moved == g
        assert moved.minimal_solution(phi.expressed_in(kappa), norm=given.euclidean) == smallest
        other = moved.sharp_coset(phi.expressed_in(kappa))
        assert other.dim == coset.dim
        # Cosets are equal when they have one direction, and the points differ by a vector of it.
        ns = kind.default_namespace
        for vector in (other.point - coset.point, *(other.direction.basis()[i] for i in range(other.dim))):
            assert ns.is_zero(g.space.flatten(ns, g.flat(vector).coordinates(given)))


@pytest.mark.parametrize("kind", KINDS, ids=repr)
def test_the_norm_matters_where_the_metric_is_degenerate_and_not_otherwise(kind: Any) -> None:
    g, e, f = degenerate_layer(kind)
    first, second, *_ = norms(g, e, f, kind)
    phi = g.flat(g.space.from_coordinates(array(kind, np.arange(6).reshape(2, 3)), g.space.frame(e, f)))
    assert g.minimal_solution(phi, norm=first) != g.minimal_solution(phi, norm=second)
    for full in (g.damped(first, 1), second):
        assert full.minimal_solution(phi, norm=first) == full.minimal_solution(phi, norm=second) == full.sharp(phi)


@pytest.mark.parametrize("kind", [*KINDS, gk.floating], ids=repr)
def test_a_norm_that_is_degenerate_on_the_radical_is_refused_and_elsewhere_taken(kind: Any) -> None:
    V = gk.VectorSpace("V", 3, kind)
    e = V.frame("e")

    def diagonal(*values: int) -> Any:
        return gk.DenseTensor.from_coordinates(array(kind, np.diag(values)), e)

    g, phi = diagonal(1, 1, 0), V.dual.from_coordinates(array(kind, [1, 2, 0]), e.dual)
    family = gk.CovectorTensor(
        kind.default_namespace.ones((2,)), V.dual.from_coordinates(array(kind, np.eye(3, dtype=int)[:2]), e.dual)
    )
    for tensor in (g, family):
        with pytest.raises(DegenerateMetricError, match="degenerate on the radical"):
            tensor.minimal_solution(phi, norm=diagonal(1, 1, 0))
        solution = tensor.minimal_solution(phi, norm=diagonal(0, 0, 1))
        assert np.array_equal(
            np.asarray(kind.default_namespace.to_numpy(solution.coordinates(e)), dtype=float), [1, 2, 0]
        )


@pytest.mark.parametrize("kind", [*KINDS, gk.floating], ids=repr)
def test_a_degenerate_factor_of_a_norm_is_refused_where_it_meets_the_radical(kind: Any) -> None:
    g, e, f = degenerate_layer(kind)
    phi = g.flat(g.space.from_coordinates(array(kind, np.arange(6).reshape(2, 3)), g.space.frame(e, f)))
    left = gk.DenseTensor.from_coordinates(array(kind, np.eye(3, dtype=int)), e.dual)
    right = gk.DenseTensor.from_coordinates(array(kind, [[1, 0], [0, 0]]), f)
    norm = gk.KroneckerTensor(left, right)
    for second in (norm, norm.dense()):
        with pytest.raises(DegenerateMetricError, match="degenerate on the radical"):
            g.minimal_solution(phi, norm=second)


@pytest.mark.parametrize("kind", [*KINDS, gk.floating], ids=repr)
def test_a_covector_outside_the_range_is_refused_with_its_restriction(kind: Any) -> None:
    g, e, f = degenerate_layer(kind)
    given = gk.Parameterization([e, f])
    outside = g.space.dual.from_coordinates(array(kind, [[1, 0, 0], [0, 0, 0]]), given[g.space].dual)
    for tensor in (g, g.dense(), gk.DirectSumTensor(g)):
        phi = outside if tensor.space is g.space else tensor.space.dual.join(outside)
        with pytest.raises(NotInRangeError, match="restriction to the radical is"):
            tensor.sharp_coset(phi)
        with pytest.raises(NotInRangeError, match="restriction to the radical is"):
            tensor.minimal_solution(phi, norm=given.euclidean)


def test_one_covector_of_a_batch_outside_the_range_is_refused_however_small() -> None:
    V = gk.VectorSpace("V", 3)
    e = V.frame("e")
    g = gk.DenseTensor.from_coordinates(np.diag([1.0, 1.0, 0.0]), e)
    batch = V.dual.from_coordinates(np.array([[1e9, 2.0, 0.0], [0.0, 0.0, 1e-1]]), e.dual)
    with pytest.raises(NotInRangeError):
        g.minimal_solution(batch, norm=gk.Parameterization([e]).euclidean)


@pytest.mark.parametrize(
    ("dtype", "scale"),
    [(dtype, unit**power) for dtype, unit in ((np.float64, 1e8), (np.float32, 1e4)) for power in (0, 1, -1)],
)
def test_units_do_not_change_the_rank_or_lose_a_direction(dtype: Any, scale: float) -> None:
    """Units may differ by up to 1 / (n epsilon): beyond that a coordinate may be rounding of another."""
    V = gk.VectorSpace("V", 3)
    e = V.frame("e")
    rng = np.random.default_rng(0)
    norm = gk.DenseTensor.from_coordinates(np.eye(3, dtype=dtype), e)
    units = np.array([1.0, scale, 1.0])
    # Powers of two and small integers, so that the null direction of the second family is exact.
    full = rng.integers(-3, 4, (9, 3)).astype(float)
    thin = full.copy()
    thin[:, 2] = thin[:, 0] - thin[:, 1]
    for rows, nullity in ((full, 0), (thin, 1)):
        family = V.dual.from_coordinates((rows * units).astype(dtype), e.dual)
        covectors = gk.CovectorTensor(np.ones(9, dtype=dtype), family)
        matrix = covectors.coordinates(e)
        for tensor in (covectors, covectors.dense(), gk.DenseTensor.from_coordinates(matrix, e)):
            assert tensor.nullity == tensor.radical.dim == nullity
            v = V.from_coordinates((np.array([1.0, 2.0, -1.0]) / units).astype(dtype), e)
            phi = tensor.flat(v)
            solved = tensor.flat(tensor.minimal_solution(phi, norm=norm)).coordinates(e.dual) / units
            wanted = phi.coordinates(e.dual) / units
            eps, scaled = np.finfo(dtype).eps, rows / np.linalg.norm(rows, axis=0)
            values = np.linalg.eigvalsh(scaled.T @ scaled)[nullity:]
            assert np.linalg.norm(solved - wanted) <= 48 * eps * values[-1] / values[0] * np.linalg.norm(wanted)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("count", [50, 1000, 50_000])
def test_a_constant_and_a_dependent_input_show_whatever_the_number_of_data(count: int, dtype: Any) -> None:
    """Constants that are no powers of two round the same way in every product, so the noise grows with N."""
    rng = np.random.default_rng(count)
    net, iota = gk.MLP.from_widths([4, 2])
    loss = gk.Gaussian().on(iota)
    for constant in rng.uniform(1, 1000, 5):
        X = rng.standard_normal((count, 4)).astype(dtype)
        X[:, 0], X[:, 1] = constant, X[:, 2] * dtype(1.37) + dtype(3.1)
        weights = net.random_weights(rng, iota, like=X)
        g = net.kfac_metric(weights, iota.sample(X), loss, chunk_size=4096)
        assert g.parts[0].domain_form.nullity == 2
        halves = [net.moments(weights, iota.sample(part), loss) for part in (X[: count // 2], X[count // 2 :])]
        assert (halves[0] + halves[1]).metric().nullity == g.nullity == 4
        kappa = iota.whitened(g, norm=iota.euclidean)
        values = np.linalg.eigvalsh(g.coordinates(kappa).blocks[0].factors[0])
        if constant < 10:
            # Whitening subtracts the square of a mean: rounding grows with it.
            assert np.abs(values - [0, 0, 1, 1, 1]).max() <= 16 * count * np.finfo(dtype).eps * constant**2


def test_a_coordinate_that_is_rounding_of_others_is_no_direction() -> None:
    """In coordinates that centre or whiten it, a constant input is not zero, but rounding of that size."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((300, 4))
    X[:, 1] = 7.3
    net, iota = gk.MLP.from_widths([4, 3])
    weights, loss = net.random_weights(rng, iota), gk.Categorical().on(iota)
    data = iota.sample(X, rng.integers(0, 3, 300))
    g, dh = net.kfac_metric(weights, data, loss), net.differential(weights, data, loss)
    step = g.minimal_solution(dh, norm=iota.euclidean)
    for kappa in (iota.centered(g), iota.whitened(g, norm=iota.euclidean), iota.random(rng)):
        there, moved = weights.expressed_in(kappa), data.expressed_in(kappa)
        other = net.kfac_metric(there, moved, loss)
        assert [other.parts[0].domain_form.nullity, other.parts[0].codomain_form.nullity] == [1, 1]
        again = other.minimal_solution(net.differential(there, moved, loss), norm=iota.euclidean)
        # Conditions: 100 for each slot of a frame, 100 for the form.
        assert again.isclose(step, frame=iota, rtol=1e6 * 2.0**-52 * 15)


def test_a_softmax_radical_is_the_constants_by_provenance() -> None:
    Z = gk.AffineSpace("Z", 4)
    iota = Z.frame("iota")
    model = gk.Categorical().on(iota)
    logits = np.random.default_rng(0).standard_normal((7, 4)) * 20
    g = model.fisher(Z.from_coordinates(logits, iota)).expectation()
    for tensor in (g, 3 * g):
        basis = tensor.radical.basis().coordinates(iota.linear)
        assert basis.shape == (1, 4)
        assert np.ptp(basis) == 0
    moved = iota.change(np.random.default_rng(1).standard_normal((4, 4)) + 3 * np.eye(4))
    stored = gk.CovectorTensor(g.weights, g.covectors.expressed_in(moved.linear.dual), "moved", g._known)
    found = stored.radical.basis().coordinates(iota.linear)
    assert found.shape == (1, 4)
    assert np.ptp(found) <= 64 * EPSILON * np.linalg.cond(moved.change_from(iota)[0]) * abs(found).max()


def test_float32_keeps_its_dtype_and_decides_with_its_own_epsilon() -> None:
    V = gk.VectorSpace("V", 3)
    e = V.frame("e")
    rows = np.array([[1, 0, 1], [0, 1, 1], [1, 1, 2], [2, -1, 1]], dtype=np.float32)
    g = gk.CovectorTensor(np.ones(4, dtype=np.float32), V.dual.from_coordinates(rows, e.dual))
    norm = gk.DenseTensor.from_coordinates(np.eye(3, dtype=np.float32), e)
    phi = g.flat(V.from_coordinates(np.array([1, 2, 3], dtype=np.float32), e))
    assert g.nullity == 1
    assert g.minimal_solution(phi, norm=norm).coordinates(e).dtype == np.float32
    assert g.radical.basis().coordinates(e).dtype == np.float32
    assert g.damped(norm, 0.1).sharp(phi).coordinates(e).dtype == np.float32
    assert (2.0 * g + g).coordinates(e).dtype == np.float32
    assert g.eigenvalues(relative_to=norm).dtype == np.float32
