"""Errata of J and NN: as printed they fail, as corrected they hold."""

from __future__ import annotations

import sympy

from geomkfac.arrays.array import Array
from geomkfac.theorems.engine.errata import corrected_and_printed, erratum_statement
from geomkfac.theorems.engine.statement import Check, Comparisons, Erratum, Mutant, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.calculus import expressions, gradient, hessian, quadratic, variables
from geomkfac.theorems.ledger.gk_2 import ANY, generic_network
from geomkfac.theorems.ledger.j_updates import (
    divergence_pulled_back,
    fourth_power_of_the_distance,
    kronecker_identities,
    matrix_that_depends_on_the_point,
    to_first_order,
)
from geomkfac.theorems.ledger.lg_2_1_layers import PRODUCT, independent_activations_and_derivatives
from geomkfac.theorems.ledger.nn_hessian_free import gauss_newton_matrix
from geomkfac.theorems.ledger.nn_kfac import quadratic_along_a_line
from geomkfac.theorems.ledger.nn_kronecker import damping_dominates, strictly_above
from geomkfac.theorems.ledger.nn_newton import (
    gradient_in_another_basis,
    preconditioned_descent,
    steepest_of_semidefinite,
)


def minimizer_about_the_origin(world: World) -> Comparisons:
    """(13): the quadratic about w_0 is least at ``w_0 - (G + lambda)^{-1} grad``, whatever w stands for elsewhere."""
    (n,), ns = world.sizes.widths, world.ns
    G, grad = gauss_newton_matrix(world, n), world.array(n, name="g")
    origin, current = world.array(n, name="w_0"), world.array(n, name="w")
    damped = G + ns.eye(n) * world.positive(1)[0]
    start = current if world.planted("from w, as printed") else origin
    least = start - ns.solve(damped, grad[:, None])[:, 0]
    yield same("gradient of the model", damped @ (least - origin), -grad)


def loss_on_the_batch(world: World) -> Comparisons:
    """The best step in the quadratic model decreases the loss on the batch: the model's, always; the batch's, not
    always.

    Squared error of f(w) = w^2 at one datum, target y well above w^2; the model has the Gauss-Newton curvature 4 w^2.
    """
    ns = world.ns
    w, excess = ns.asarray([1]), world.positive(1, name="e") + 4
    y = w * w + excess
    grad, curvature = w * (w * w - y) * 2, w * w * 4
    step = -grad / curvature
    moved = w + step

    def loss(x: Array) -> Array:
        return (x * x - y) * (x * x - y) / 2

    model = grad * step + curvature * step * step / 2
    yield given("the model decreases", bool(ns.to_numpy(model)[0] < 0), True)
    change = model if world.planted("the model's") else loss(moved) - loss(w)
    yield same("the loss on the batch decreases", bool(ns.to_numpy(change)[0] < 0), True)


def model_decreases(world: World) -> Comparisons:
    """The best step along r lowers the quadratic model by ``(grad^T r)^2 / (2 r^T G r)``: a square."""
    (n,), ns = world.sizes.widths, world.ns
    R, grad, r = world.array(n, n, name="R"), world.array(n, name="g"), world.array(n, name="r")
    slope, curvature = ns.sum(grad * r), ns.sum((R @ r) * (R @ r))
    alpha = -slope / curvature
    decrease = -(alpha * slope + alpha * alpha * curvature / 2)
    half = 1 if world.planted("without the half") else 2
    yield same("decrease", decrease, slope * slope / curvature / half)


def half_the_squared_norm(world: World) -> Comparisons:
    """(48): f = 1/2 |z|^2 has the identity for its Hessian; with dg^T on the right the form is (d, d) and ``J^T J``."""
    d, m = world.sizes.widths
    z, theta = variables("z", m), variables("\\theta", d)
    half = 1 if world.planted("the squared norm, as printed") else 2
    f = sum(each**2 for each in z) / half
    g = [quadratic(world, theta, f"g^{k + 1}") for k in range(m)]
    J = sympy.Matrix([gradient(each, theta) for each in g])
    M = sympy.Matrix(hessian(f, z))
    yield same("Hessian of f", expressions(world, M), expressions(world, sympy.eye(m)))
    yield same("a classical Gauss-Newton matrix", expressions(world, J.T * M * J), expressions(world, J.T * J))


def untransposed_factor(world: World) -> Comparisons:
    """(48) as printed, ``(d, m) (m, m) (d, m)``: the last factor has as many rows as the middle one has columns."""
    d, m = world.sizes.widths
    rows = m if world.planted("transposed") else d
    yield same("columns of the middle factor, rows of the last", m, rows)


def entries_of_a_gradient(world: World) -> Comparisons:
    """(57), (58): f of (x, y) in R^n x R^m has n derivatives by x and m by y."""
    n, m = world.sizes.widths
    x, y = variables("x", n), variables("y", m)
    f = quadratic(world, (*x, *y), "f")
    counts = (m, n) if world.planted("m by x and n by y, as printed") else (n, m)
    yield same("entries", [len(gradient(f, x)), len(gradient(f, y))], list(counts))


LINE = (Sizes((1,)), Sizes((2,)), Sizes((4,)))
CURVED = (Sizes((1,)), Sizes((2,)), Sizes((3,)))
PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 4)))
FORMS = (Sizes((1, 1)), Sizes((2, 3)))
NEGATIVE = (Sizes((1, 1), extra=(("pi", 1),)), Sizes((2, 2), extra=(("pi", 1),)))
SHAPES = (Sizes((2, 1)), Sizes((2, 3)))
ONE = (Sizes((1,)),)
TWO = (Sizes((2,)),)
TYPES = "a slip of types or indices"

STATEMENTS = (
    erratum_statement(
        "E6",
        "the quadratic model along a line",
        Erratum("NN, display before (26)", "alpha^2 r^T G r", "1/2 alpha^2 r^T G r"),
        corrected_and_printed(quadratic_along_a_line, LINE, "without the 1/2, as printed"),
        latex=(
            r"\mathcal J(\mathbf w)+\alpha\nabla\mathcal J^\top\mathbf r+\tfrac12\alpha^2\mathbf r^\top\mathbf G"
            r"\mathbf r"
        ),
    ),
    erratum_statement(
        "E23",
        "where the gradient is taken",
        Erratum("NN 2.2, 2.3", "grad J(T^{-1}(w~)), and the Hessian at T(w)", "both at T(w~)"),
        corrected_and_printed(gradient_in_another_basis, LINE, "at T^{-1}(w~), as printed"),
        latex=(
            r"\nabla\tilde{\mathcal J}(\tilde{\mathbf w})=\mathbf R^\top\nabla\mathcal J(\mathcal T(\tilde{"
            r"\mathbf w}))"
        ),
    ),
    erratum_statement(
        "E24",
        "from where the step is taken",
        Erratum("NN (13)", "w_* = w - ...", "w_* = w_0 - ...", TYPES),
        corrected_and_printed(minimizer_about_the_origin, LINE, "from w, as printed"),
        latex=r"\mathbf w_*=\mathbf w_0-(\mathbf G+\lambda\mathbf I)^{-1}\nabla\mathcal J(\mathbf w_0)",
    ),
    erratum_statement(
        "E25",
        "when factored damping is above exact damping",
        Erratum("NN (24)", "for any scalar pi; strictly smaller", "for pi > 0; smaller or equal"),
        (
            Check("X", "as corrected", damping_dominates, FORMS, "Q"),
            Check("C", "pi < 0", damping_dominates, NEGATIVE, "Q", drops="pi < 0"),
            Check("C", "strictly", strictly_above, (Sizes((2, 2)),), "Q"),
        ),
        (Mutant("one cross term", damping_dominates, FORMS[-1]),),
        r"\pi\sqrt\lambda\,\mathbf I\otimes\mathbf S+\tfrac{\sqrt\lambda}{\pi}\mathbf A\otimes\mathbf I\succeq 0",
        ("operators.KroneckerProduct.damped_by",),
    ),
    erratum_statement(
        "E26",
        "which preconditioners descend",
        Erratum("NN 2.1 after (6); GM 2.1", "positive semidefinite, and so a descent direction", "positive definite"),
        (
            Check("X", "as corrected", preconditioned_descent, LINE, "GF(p)"),
            Check("C", "as printed", steepest_of_semidefinite, TWO, "Q"),
        ),
        latex=r"-\nabla\mathcal J^\top\mathbf A\nabla\mathcal J<0",
    ),
    erratum_statement(
        "E27",
        "what the step size decreases",
        Erratum("NN 6", "the step must decrease the loss on the batch", "the quadratic model's"),
        (
            Check("X", "as corrected", model_decreases, LINE, "GF(p)"),
            Check("C", "as printed", loss_on_the_batch, ONE, "Q"),
        ),
        (Mutant("without the half", model_decreases, LINE[-1]),),
        r"\mathcal Q(\mathbf w)-\mathcal Q(\mathbf w+\alpha\mathbf r)=\frac{(\nabla\mathcal J^\top\mathbf r)^2}{2\,"
        r"\mathbf r^\top\mathbf G\mathbf r}",
    ),
    erratum_statement(
        "E28",
        "a matrix that depends on the point",
        Erratum("J footnote 2", "A = A(theta') in (49)-(52)", "A the Jacobian, and (52) to first order alone"),
        (
            Check("N", "as corrected: the gap is of second order", to_first_order, CURVED[1:], "floating"),
            Check("C", "as printed", matrix_that_depends_on_the_point, CURVED, "GF(p)"),
        ),
        (Mutant("A at another point", to_first_order, CURVED[-1], "floating"),),
        r"\theta=T(\theta'),\qquad A=\partial T(\theta')",
    ),
    erratum_statement(
        "E29",
        "divergences that give degenerate forms",
        Erratum("J appendix C", "a Riemannian metric", "a positive semidefinite form, perhaps degenerate"),
        (
            Check("S", "as corrected: the form", divergence_pulled_back, (Sizes((1, 2)),), "symbols"),
            Check("C", "as printed: |a - b|^4", fourth_power_of_the_distance, TWO, "symbols"),
        ),
        latex=r"f(a,b)=|a-b|^4,\qquad\partial^2_{22}f(a,a)=0",
    ),
    erratum_statement(
        "E30",
        "the classical Gauss-Newton matrix",
        Erratum(
            "J (48)",
            "last factor not transposed; f the squared norm",
            "last factor transposed; f half the squared norm",
            "perhaps a fault of the text extraction",
        ),
        (
            Check("S", "as corrected", half_the_squared_norm, SHAPES, "symbols"),
            Check(
                "C", "the squared norm", half_the_squared_norm, SHAPES, "symbols", drops="the squared norm, as printed"
            ),
            Check("C", "the factor as printed: sizes", untransposed_factor, SHAPES, "Q"),
        ),
        latex=r"F=\mathbb E\bigl[\nabla g\,\nabla^2f\,\nabla g^\top\bigr]",
    ),
    erratum_statement(
        "E31",
        "how many derivatives by x and by y",
        Erratum("J (57), (58)", "x_1, ..., x_m and y_1, ..., y_n", "x_1, ..., x_n and y_1, ..., y_m", TYPES),
        corrected_and_printed(entries_of_a_gradient, SHAPES, "m by x and n by y, as printed", over="symbols"),
        latex=r"\nabla_1f=\Bigl(\frac{\partial f}{\partial x_1},\ldots,\frac{\partial f}{\partial x_n}\Bigr)",
    ),
    erratum_statement(
        "E32",
        "which vec",
        Erratum(
            "J (28), (38)", "gradient a g^T and (A (x) B) vec(C), with no word on vec", "vec stacks rows throughout"
        ),
        (
            Check("X", "rows stacked", kronecker_identities, PAIRS, "GF(p)"),
            Check("C", "columns stacked", kronecker_identities, PAIRS, "GF(p)", drops="columns stacked"),
        ),
        latex=r"(A\otimes B)\operatorname{vec}(C)=\operatorname{vec}(ACB^\top)",
        objects=("operators.KroneckerProduct",),
    ),
    erratum_statement(
        "E33",
        "where the approximation is made",
        Erratum(
            "J (35), (36)",
            "indices i, j; an equality",
            "index k; equal where activations and gradients are independent",
        ),
        (
            Check("X", "as corrected: independent", independent_activations_and_derivatives, PRODUCT, "GF(p)"),
            Check("C", "as printed: in general", generic_network, ANY, "GF(p)"),
        ),
        (Mutant("weights that do not multiply", independent_activations_and_derivatives, PRODUCT[-1]),),
        r"\mathbb E\bigl[\bar a_k\bar a_k^\top\otimes g_kg_k^\top\bigr]\approx A_k\otimes G_k",
        ("metrics.IndependenceMetric",),
    ),
)
