"""The reference rules against formulas by hand."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from geomkfac.arrays import floating
from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.updates import (
    DampedKfac,
    DiagonalFisher,
    EigenvalueCorrectedKfac,
    Foof,
    GradientDescent,
    Kfac,
    LayerToUpdate,
    NaturalGradient,
    NetworkToUpdate,
    Newton,
    PolarStep,
    QuasiDiagonalNaturalGradient,
    Shampoo,
    UnitwiseNaturalGradient,
)

EPS = float(np.finfo(float).eps)


def layer(seed=0):
    """A layer with 2 inputs and 3 outputs, of 20 data."""
    rng = np.random.default_rng(seed)
    inputs = np.column_stack([rng.standard_normal((20, 2)), np.ones(20)])
    return LayerToUpdate(
        rng.standard_normal((3, 3)), inputs, rng.standard_normal((20, 3)), 1 + rng.random((4, 20)),
        rng.standard_normal((4, 20, 3)), floating.default_namespace,
    )  # fmt: skip


def stepped(rule, one, state=None, step=0, hessian=None):
    """The step that a rule takes at rate 1."""
    network = NetworkToUpdate((one,), np.asarray(1.0), step, {} if state is None else state, one.ns, hessian)
    (new,) = rule(network)
    return one.weights - new


def fisher(one):
    """The exact Fisher matrix of a layer, rows of (W b) after one another: places of a datum summed first."""
    places = one.places
    rows = np.einsum(
        "knpi,npj->knij",
        one.covectors.reshape(4, -1, places, 3),
        one.inputs.reshape(-1, places, 3),
    ).reshape(-1, 9)
    weights = one.coefficients[:, ::places].reshape(-1, 1)
    return (rows * weights).T @ rows / (one.inputs.shape[0] // places)


def close(found, formula, condition=1e3, size=9):
    """Solves with matrices of that condition at most, and of that size, backward stable."""
    assert np.abs(found - formula).max() <= size * condition * EPS * np.abs(formula).max()


def quasi_diagonal(grad, F):
    """Ollivier's metric, unit by unit, as a matrix: diagonal where the bias is centred out, and mapped back."""
    steps = []
    for i in range(3):
        block = F[3 * i : 3 * i + 3, 3 * i : 3 * i + 3]
        centring = np.eye(3)
        centring[:2, 2] = -block[:2, 2] / block[2, 2]
        centred = centring @ block @ centring.T
        steps.append(centring.T @ ((centring @ grad[i]) / np.diag(centred)))
    return np.stack(steps)


@pytest.mark.parametrize("seed", [0, 1])
def test_steps_are_their_formulas(seed):
    one = layer(seed)
    A, G, F = one.A, one.G, fisher(one)
    grad = one.derivatives.T @ one.inputs / 20
    units = [np.linalg.solve(F[3 * i : 3 * i + 3, 3 * i : 3 * i + 3], grad[i]) for i in range(3)]
    inverse = np.linalg.inv
    expected = {
        GradientDescent(): grad,
        NaturalGradient(): np.linalg.solve(F, grad.ravel()).reshape(3, 3),
        NaturalGradient(damping=2): np.linalg.solve(F + 2 * np.eye(9), grad.ravel()).reshape(3, 3),
        Kfac(): inverse(G) @ grad @ inverse(A),
        Kfac(damping=2): inverse(G + 2 * np.eye(3)) @ grad @ inverse(A + 2 * np.eye(3)),
        Kfac(joint=False): np.column_stack([inverse(G) @ grad[:, :2] @ inverse(A[:2, :2]), inverse(G) @ grad[:, 2]]),
        Foof(): grad @ inverse(A),
        DiagonalFisher(): grad / np.diag(F).reshape(3, 3),
        QuasiDiagonalNaturalGradient(): quasi_diagonal(grad, F),
        UnitwiseNaturalGradient(): np.stack(units),
    }
    for rule, formula in expected.items():
        close(stepped(rule, one), formula)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_exact_metric_of_shared_weights_sums_places_before_it_squares(seed):
    one = layer(seed)
    # Ten data of two places each, which share their coefficients.
    one = replace(one, coefficients=np.repeat(one.coefficients[:, ::2], 2, axis=1), places=2)
    F, grad = fisher(one), one.derivatives.T @ one.inputs / 10
    close(stepped(DiagonalFisher(), one), grad / np.diag(F).reshape(3, 3))
    close(stepped(NaturalGradient(), one), np.linalg.solve(F, grad.ravel()).reshape(3, 3))
    close(stepped(QuasiDiagonalNaturalGradient(), one), quasi_diagonal(grad, F))


# -- damping -----------------------------------------------------------------------------------------------------
def sizes(one, by, norm):
    """Mean, or root mean square, of the eigenvalues of A and G relative to those of `by`."""
    found = []
    for factor, other in zip((one.A, one.G), by, strict=True):
        values = np.linalg.eigvals(np.linalg.inv(other) @ factor).real
        found.append(values.mean() if norm == "trace" else np.sqrt((values**2).mean()))
    return found


@pytest.mark.parametrize("norm", ["trace", "frobenius"])
@pytest.mark.parametrize("by", ["identity", "first"])
def test_damping_adds_the_other_metric(by, norm):
    first, one = layer(1), layer(0)
    other = (first.A, first.G) if by == "first" else (np.eye(3), np.eye(3))
    A, G = sizes(one, other, norm)
    pi = np.sqrt(A / G)
    pairs = {
        "factored": (one.A + pi * np.sqrt(0.25) * other[0], one.G + np.sqrt(0.25) / pi * other[1]),
        "relative": (one.A + 0.25 * A * other[0], one.G + 0.25 * G * other[1]),
    }
    matrices = {kind: np.kron(right, left) for kind, (left, right) in pairs.items()}
    matrices["exact"] = np.kron(one.G, one.A) + 0.25 * np.kron(other[1], other[0])
    for kind, matrix in matrices.items():
        rule, state = DampedKfac(Fraction(1, 4), kind, by, norm), {}
        stepped(rule, first, state)
        found = stepped(rule, one, state, 1)
        close(found, np.linalg.solve(matrix, one.gradient.ravel()).reshape(3, 3))


def test_relative_damping_is_factored_damping_of_relative_strength():
    one = layer()
    A, G = np.trace(one.A) / 3, np.trace(one.G) / 3
    relative, factored = DampedKfac(Fraction(1, 4), "relative"), DampedKfac(A * G / 16, "factored")
    close(stepped(relative, one), stepped(factored, one))


# -- Newton ------------------------------------------------------------------------------------------------------
def test_newton_solves_with_the_hessian_it_is_given():
    one, matrix = layer(), np.random.default_rng(5).standard_normal((9, 9))
    H = matrix + matrix.T
    for rule, solved in ((Newton(), H), (Newton(damping=2), H + 2 * np.eye(9))):
        formula = np.linalg.solve(solved, one.gradient.ravel()).reshape(3, 3)
        close(stepped(rule, one, hessian=lambda: H), formula, np.linalg.cond(solved))


def test_newton_says_what_is_missing():
    with pytest.raises(ValuesError, match="hessian=None"):
        stepped(Newton(), layer())


# -- roots -------------------------------------------------------------------------------------------------------
def test_ekfac_divides_by_the_diagonal_in_the_eigenbasis():
    one = layer()
    U, V = (np.linalg.eigh(matrix)[1] for matrix in (one.A, one.G))
    rotated = np.kron(V, U).T @ fisher(one) @ np.kron(V, U)
    grad = one.derivatives.T @ one.inputs / 20
    formula = V @ ((V.T @ grad @ U) / np.diag(rotated).reshape(3, 3)) @ U.T
    close(stepped(EigenvalueCorrectedKfac(), one), formula)


def power(matrix, exponent):
    """Of a positive semidefinite matrix on its range, by singular values."""
    U, S, _ = np.linalg.svd(matrix)
    return (U * np.where(1e-12 * S[0] < S, np.where(S > 0, S, 1.0) ** exponent, 0.0)) @ U.T


@pytest.mark.parametrize("exponent", [Fraction(1, 4), Fraction(1, 2), 0.3])
@pytest.mark.parametrize("identity", [0.0, 0.5])
def test_shampoo_accumulates_both_sides(exponent, identity):
    first, second, state = layer(0), layer(1), {}
    stepped(Shampoo(exponent, identity), first, state)
    found = stepped(Shampoo(exponent, identity), second, state, 1)
    g, h, p = first.gradient, second.gradient, -float(exponent)
    L, R = identity * np.eye(3) + g @ g.T + h @ h.T, identity * np.eye(3) + g.T @ g + h.T @ h
    close(found, power(L, p) @ h @ power(R, p), max(np.linalg.cond(L), np.linalg.cond(R)))


def narrow(columns):
    """A layer whose gradient has fewer columns than rows, or more."""
    one = layer()
    pieces = [one.inputs[:, :-1], one.inputs[:, :-1] ** 2, np.ones((20, 1))]
    return replace(one, weights=np.zeros((3, columns)), inputs=np.column_stack(pieces)[:, -columns:])


@pytest.mark.parametrize("columns", [1, 2, 3, 5])
def test_the_polar_step_is_orthogonal_and_shampoos_first(columns):
    one = narrow(columns)
    U, S, Vt = np.linalg.svd(one.gradient, full_matrices=False)
    close(stepped(PolarStep(), one), U @ Vt, S[0] / S[-1])
    # The power -1/4 of g g^T sees singular values squared.
    close(stepped(Shampoo(), one), U @ Vt, (S[0] / S[-1]) ** 2)
    inverse = np.linalg.pinv(one.gradient).T
    close(stepped(Shampoo(Fraction(1, 2)), one), inverse, (S[0] / S[-1]) ** 2)


def test_the_polar_step_apart_moves_the_bias_against_its_gradient():
    one = layer()
    U, S, Vt = np.linalg.svd(one.gradient[:, :2], full_matrices=False)
    close(stepped(PolarStep(joint=False), one), np.column_stack([U @ Vt, one.gradient[:, 2]]), S[0] / S[-1])


def test_the_polar_step_leaves_directions_without_a_gradient_alone():
    one = layer()
    one = replace(one, derivatives=one.derivatives[:, :1] * np.asarray([1.0, -2.0, 2.0]))
    g = one.gradient
    # Of rank one: u v^T of unit vectors.
    close(stepped(PolarStep(), one), g / np.linalg.norm(g), 1)
    close(stepped(PolarStep(), replace(one, derivatives=0 * one.derivatives)), 0 * g)


# -- memory ------------------------------------------------------------------------------------------------------
def test_momentum_and_averages_remember():
    first, second, state = layer(0), layer(1), {}
    stepped(GradientDescent(momentum=2), first, state)
    found = stepped(GradientDescent(momentum=2), second, state, 1)
    close(found, second.gradient + 2 * first.gradient, 1)
    state = {}
    stepped(Kfac(keep=3), first, state)
    found = stepped(Kfac(keep=3), second, state, 1)
    A, G = (3 * x - 2 * y for x, y in ((first.A, second.A), (first.G, second.G)))
    close(found, np.linalg.solve(G, second.gradient) @ np.linalg.inv(A), np.linalg.cond(A) * np.linalg.cond(G))


def test_averages_may_start_from_the_identity():
    first, second, state = layer(0), layer(1), {}
    rule = Kfac(keep=Fraction(1, 2), start="identity")
    A, G = (np.eye(3) + first.A) / 2, (np.eye(3) + first.G) / 2
    close(stepped(rule, first, state), np.linalg.inv(G) @ first.gradient @ np.linalg.inv(A))
    A, G = (A + second.A) / 2, (G + second.G) / 2
    close(stepped(rule, second, state, 1), np.linalg.inv(G) @ second.gradient @ np.linalg.inv(A))


@pytest.mark.parametrize(
    ("make", "named"),
    [
        (lambda: Kfac(start="indentity"), "Did you mean 'identity'"),
        (lambda: DampedKfac(kind="exakt"), "Did you mean 'exact'"),
        (lambda: DampedKfac(by="frist"), "Did you mean 'first'"),
        (lambda: DampedKfac(norm="spectral"), "required: one of 'frobenius', 'trace'"),
    ],
)
def test_choices_that_do_not_exist_are_refused(make, named):
    with pytest.raises(UnknownNameError, match=named):
        make()
