"""NN 5.1, 5.3: Kronecker products, solves with them, and damping that keeps the factors."""

from __future__ import annotations

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.operators import KroneckerProduct
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, given, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.basis_groups import random_change


def vec(world: World, X: Array) -> Array:
    """Columns stacked, (n,) of a matrix."""
    return world.ns.reshape(X.mT, (-1,))


def orthogonal(world: World, n: int) -> Array:
    """A random orthogonal matrix, rational (Cayley)."""
    return random_change(world, "orthogonal", n)[0]


def nine_properties(world: World) -> Comparisons:
    """The identities (16) to (21) and what orthogonal, diagonal and symmetric factors give; the package's operator."""
    n, m = world.sizes.widths
    ns = world.ns
    A, B = world.array(n, n, name="A"), world.array(m, m, name="B")
    C, D = world.array(n, n, name="C"), world.array(m, m, name="D")
    X, u, v = world.array(m, n, name="X"), world.array(m, 1, name="u"), world.array(n, 1, name="v")
    AB = KroneckerProduct(A, B)
    dense = AB.dense()
    if world.planted("factors in the other order"):
        dense = ns.kron(B, A)
    yield same("(16) vec(B X A^T) = (A (x) B) vec(X)", vec(world, B @ X @ A.mT), dense @ vec(world, X))
    yield same("(16), the operator", AB.apply(X), B @ X @ A.mT)
    yield same("(17) product", dense @ KroneckerProduct(C, D).dense(), ns.kron(A @ C, B @ D))
    yield same("(18) transpose", dense.mT, AB.transpose.dense())
    yield same("(19) inverse", AB.inverse().dense() @ dense, ns.eye(n * m))
    outer = ns.kron(u, v) if world.planted("u first") else ns.kron(v, u)
    yield same("(20) vec(u v^T) = v (x) u", vec(world, u @ v.mT), outer[:, 0])

    Q, P = orthogonal(world, n), orthogonal(world, m)
    QP = KroneckerProduct(Q, P).dense()
    yield same("orthogonal", QP.mT @ QP, ns.eye(n * m))
    d, e = world.array(n), world.array(m)
    diagonal = KroneckerProduct(ns.eye(n) * d, ns.eye(m) * e).dense()
    yield same("diagonal", diagonal, ns.eye(n * m) * ns.reshape(d[:, None] * e, (n * m,)))
    S, T = (Q * d) @ Q.mT, (P * e) @ P.mT
    symmetric = KroneckerProduct(S, T).dense()
    yield same("symmetric", symmetric, symmetric.mT)
    yield same("(21) spectral decomposition", symmetric, QP @ diagonal @ QP.mT)
    yield same("eigenvalues are all products", symmetric @ QP, QP * ns.reshape(d[:, None] * e, (n * m,)))


def positive_definite_factors(world: World) -> Comparisons:
    """With positive (semi)definite factors the product is; by a sum of squares, and by exact LDL^T."""
    n, m = world.sizes.widths
    ns = world.ns
    R, S = world.array(n, n, name="R"), world.array(m, m, name="S")
    X = world.array(m, n, name="X")
    product = KroneckerProduct(R.mT @ R, S.mT @ S)
    roots = (S.mT if world.planted("S^T for S") else S) @ X @ R.mT
    yield same("a sum of squares", product.quadratic_form(X), ns.sum(roots * roots))
    is_psd = ns.is_positive_semidefinite  # type: ignore[attr-defined]
    yield same("positive semidefinite", is_psd(product.dense()), True)


# -- solves --------------------------------------------------------------------------------------------------
def solves(world: World) -> Comparisons:
    """``(A (x) S)^{-1} vec V = vec(S^{-1} V A^{-1})``, (22); exactly damped by the eigenbases, (23).  A = Q D Q^T."""
    n, m = world.sizes.widths
    ns = world.ns
    Q, P = orthogonal(world, n), orthogonal(world, m)
    d, e, lam = world.positive(n), world.positive(m), world.positive(1)[0]
    A, S = (Q * d) @ Q.mT, (P * e) @ P.mT
    V = world.array(m, n, name="V")
    product = KroneckerProduct(A, S)
    undamped = ns.solve(A, ns.solve(S, V).mT).mT
    if world.planted("A on the left"):
        undamped = ns.solve(A, ns.solve(S, V)) if n == m else undamped * 2
    yield same("(22), the operator", product.solve(V), undamped)
    yield same("(22), the matrix", vec(world, undamped), ns.solve(product.dense(), vec(world, V)[:, None])[:, 0])

    divisor = e[:, None] * d + lam
    if world.planted("eigenvalues added"):
        divisor = e[:, None] + d + lam
    damped = P @ ((P.mT @ V @ Q) / divisor) @ Q.mT
    operator = product.damped_by(KroneckerProduct(ns.eye(n), ns.eye(m)), lam, "exact")
    yield same("(23), the operator", operator.solve(V), damped)
    matrix = product.dense() + ns.eye(n * m) * lam
    yield same("(23), the matrix", matrix @ vec(world, damped), vec(world, V))


def damping_dominates(world: World) -> Comparisons:
    """``(A + pi s)(x)(S + s/pi) - (A (x) S + s^2) = pi s 1 (x) S + s/pi A (x) 1``, (24): PSD for pi > 0."""
    n, m = world.sizes.widths
    ns = world.ns
    R, T = world.array(n, n), world.array(m, m)
    A, S = R.mT @ R, T.mT @ T
    s, pi = world.positive(1)[0], world.positive(1)[0]
    if world.planted("pi < 0"):
        pi = -pi
    one, unit = ns.eye(n), ns.eye(m)
    factored = KroneckerProduct(A + one * (pi * s), S + unit * (s / pi)).dense()
    exact = KroneckerProduct(A, S).dense() + ns.eye(n * m) * (s * s)
    difference = ns.kron(one, S) * (pi * s) + ns.kron(A, unit) * (s / pi)
    if world.planted("one cross term"):
        difference = ns.kron(one, S) * (pi * s)
    claim = given if world.sizes.extra else same
    yield claim("the difference", factored - exact, difference)
    if world.kind.name == "Q":
        is_psd = ns.is_positive_semidefinite  # type: ignore[attr-defined]
        yield same("it is positive semidefinite", is_psd(factored - exact), True)


def package_damping_dominates(world: World) -> Comparisons:
    """The package's factored damping, with its own pi, is above exact damping: no eigenvalue of the difference is
    negative.
    """
    n, m = world.sizes.widths
    ns = world.ns.ordered("eigenvalues")
    R, T = world.array(n, n), world.array(m, m)
    product, identity = KroneckerProduct(R.mT @ R, T.mT @ T), KroneckerProduct(ns.eye(n), ns.eye(m))
    factored, exact = (product.damped_by(identity, 0.3, kind).dense() for kind in ("factored", "exact"))
    difference = factored - exact
    if world.planted("the other way round"):
        difference = -difference
    values, _ = ns.eigh(difference)
    floor = n * m * ns.epsilon * ns.norm(factored)
    yield same("no eigenvalue is negative, beyond rounding", bool(float(ns.max(-values)) <= floor), True)


def strictly_above(world: World) -> Comparisons:
    """Factored damping is strictly above exact damping: not where an eigenvalue of both factors is 0 (erratum E25)."""
    n, m = world.sizes.widths
    ns = world.ns
    A, S = ns.eye(n), ns.eye(m)
    if not world.planted("nonsingular factors"):
        A, S = (A * ns.concat([ns.ones((k - 1,)), ns.zeros((1,))]) for A, k in ((A, n), (S, m)))
    s, pi = world.positive(1)[0], world.positive(1)[0]
    difference = ns.kron(ns.eye(n), S) * (pi * s) + ns.kron(A, ns.eye(m)) * (s / pi)
    is_pd = ns.is_positive_definite  # type: ignore[attr-defined]
    yield same("the difference is positive definite", is_pd(difference), True)


# -- association ---------------------------------------------------------------------------------------------
def counted_products(ns: Namespace, counts: list[int], a: Array, b: Array) -> Array:
    """``a @ b``, and its multiplications added to the list."""
    counts.append(a.shape[0] * a.shape[1] * b.shape[1])
    return a @ b


def association(world: World) -> Comparisons:
    """``G^{-1} (DS^T A) A_f^{-1}`` one way costs M B N + M^2 N + M N^2, the other M^2 B + B N^2 + M B N: the same step.

    The second is cheaper where the batch is smaller than the layer.
    """
    n, m = world.sizes.widths
    ns, B = world.ns, world.sizes.data
    a, Ds = world.array(B, n, name="A"), world.array(B, m, name="DS")
    left, right = ns.inverse(world.invertible(m)), ns.inverse(world.invertible(n))
    one: list[int] = []
    two: list[int] = []
    first = counted_products(ns, one, counted_products(ns, one, left, counted_products(ns, one, Ds.mT, a)), right)
    second = counted_products(ns, two, counted_products(ns, two, left, Ds.mT), counted_products(ns, two, a, right))
    if world.planted("the right factor on the left"):
        second = second * 0 + left.mT @ (Ds.mT @ a) @ right.mT
    yield same("the step", first, second)
    yield same("multiplications, gradient first", sum(one), m * B * n + m * m * n + m * n * n)
    formula = m * m * B + B * n * n + m * B * n
    yield same("multiplications, batch last", sum(two), formula + (1 if world.planted("off by one") else 0))


PAIRS = (Sizes((1, 1)), Sizes((2, 2)), Sizes((3, 4)))
ORDER = Sizes((2, 3))
FORMS = (Sizes((1, 1)), Sizes((2, 3)))
BATCH = (Sizes((1, 1), 1), Sizes((2, 2), 3), Sizes((4, 3), 2))
NEGATIVE = (Sizes((1, 1), extra=(("pi", 1),)), Sizes((2, 2), extra=(("pi", 1),)))

STATEMENTS = (
    Statement(
        id="NN-15..21",
        source="NN 5.1, (15)-(21)",
        title="nine properties of the Kronecker product",
        text=(
            "Product with vec, products, transpose, inverse, outer products; orthogonal, diagonal, symmetric and "
            "positive "
            "semidefinite factors give such products; eigenvalues multiply.  vec stacks columns."
        ),
        latex=(
            r"\operatorname{vec}(\mathbf A\mathbf X\mathbf B)=(\mathbf B^\top\otimes\mathbf A)\operatorname{vec}("
            r"\mathbf X)"
        ),
        hypotheses=("For the inverse: A and B are invertible.",),
        checks=(
            Check("X", "identities", nine_properties, PAIRS, "GF(p)"),
            Check("X", "positive semidefinite", positive_definite_factors, FORMS, "Q"),
            Check("N", "identities", nine_properties, PAIRS, "floating", condition_power=4),
        ),
        mutants=(
            Mutant("factors in the other order", nine_properties, ORDER),
            Mutant("u first", nine_properties, ORDER),
            Mutant("S^T for S", positive_definite_factors, FORMS[-1], "Q"),
        ),
        objects=("operators.KroneckerProduct",),
    ),
    Statement(
        id="NN-22/23",
        source="NN 5.3, (22), (23)",
        title="solves with K-FAC: undamped, and exactly damped in eigenbases",
        text=(
            "Undamped, the solve is S^{-1} V A^{-1}.  Damped by lambda I it is elementwise in the eigenbases: divided "
            "by "
            "products of eigenvalues plus lambda."
        ),
        latex=(
            r"[\mathbf V'']_{ij}=\frac{[\mathbf Q_S^\top\mathbf V\mathbf Q_A]_{ij}}{[\mathbf D_S]_{ii}["
            r"\mathbf D_A]_{jj}+\lambda}"
        ),
        hypotheses=("A and S are symmetric and positive definite; for (23) semidefinite, and lambda > 0.",),
        checks=(
            Check("X", "from chosen eigenbases", solves, PAIRS, "GF(p)"),
            Check("N", "from chosen eigenbases", solves, PAIRS, "floating", condition_power=4),
        ),
        mutants=(
            Mutant("A on the left", solves, Sizes((3, 3))),
            Mutant("eigenvalues added", solves, PAIRS[-1]),
        ),
        objects=("operators.KroneckerProduct", "operators.ExactlyDampedKroneckerProduct"),
    ),
    Statement(
        id="NN-24",
        source="NN (24); erratum E25",
        title="factored damping is above exact damping",
        text=(
            "For pi > 0 the factored damping of a Kronecker product exceeds the exact one by a sum of positive "
            "semidefinite "
            "terms; equal where both factors have an eigenvalue 0.  For pi < 0 it need not."
        ),
        latex=(
            r"(\mathbf A+\pi\sqrt\lambda\mathbf I)\otimes\Bigl(\mathbf S+\tfrac{\sqrt\lambda}{\pi}\mathbf I\Bigr)"
            r"\succeq\mathbf A\otimes\mathbf S+\lambda\mathbf I"
        ),
        hypotheses=("A and S are positive semidefinite.", "pi > 0."),
        checks=(
            Check("X", "the difference, a sum of two terms", damping_dominates, FORMS, "GF(p)"),
            Check("X", "it is positive semidefinite", damping_dominates, FORMS, "Q"),
            Check("N", "the package's damping", package_damping_dominates, PAIRS, "floating"),
            Check("C", "pi < 0", damping_dominates, NEGATIVE, "Q", drops="pi < 0"),
        ),
        mutants=(
            Mutant("one cross term", damping_dominates, FORMS[-1]),
            Mutant("the other way round", package_damping_dominates, PAIRS[-1], "floating"),
        ),
        objects=("operators.KroneckerProduct.damped_by",),
    ),
    Statement(
        id="NN-5.5",
        source="NN 5.5",
        title="the step in either association",
        text=(
            "The gradient formed first, then solved with: M B N + M^2 N + M N^2 multiplications.  The batch solved "
            "with first: "
            "M^2 B + B N^2 + M B N, less where the batch is smaller than the layer."
        ),
        latex=(
            r"\mathbf G^{-1}\bigl(\mathcal D\mathbf S^\top\mathbf A\bigr)\mathbf A_f^{-1}"
            r"=\bigl(\mathbf G^{-1}\mathcal D\mathbf S^\top\bigr)\bigl(\mathbf A\,\mathbf A_f^{-1}\bigr)"
        ),
        hypotheses=("Dense products; inverses are given.",),
        checks=(Check("X", "the step, and multiplications", association, BATCH, "GF(p)"),),
        mutants=(
            Mutant("the right factor on the left", association, BATCH[-1]),
            Mutant("off by one", association, BATCH[-1]),
        ),
    ),
)
