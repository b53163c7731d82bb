"""LG 2.2.4, 2.2.5, 3.5: pushforward and pullback of vectors, covectors and metrics; functoriality."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import sympy

from geomkfac.arrays.array import Array
from geomkfac.maps import AffineMap, AffineMaps, CoordinatewiseMap, GenericMap, SmoothMap
from geomkfac.metrics import CovectorMetric, DenseTensor, EuclideanMetric, PullbackMetric
from geomkfac.spaces import AffineSpace, Parameterization, Point
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.calculus import expressions, gradient, jacobian, quadratic, variables


@final
@dataclass(frozen=True, slots=True)
class _Chain:
    """Affine map, smooth map, affine map: A -> Z -> B -> Y, a point of A, and frames of everything.

    Attributes
    ----------
    maps : the three
    J : their Jacobians at the point and its images, in iota, arrays (outputs, inputs)
    point : of A, stored in kappa
    iota, kappa : parameterizations
    """

    maps: tuple[SmoothMap, SmoothMap, SmoothMap]
    J: tuple[Array, Array, Array]
    point: Point
    iota: Parameterization
    kappa: Parameterization

    @property
    def spaces(self) -> tuple[AffineSpace, AffineSpace]:
        """Where the chain begins and ends."""
        return self.maps[0].domain, self.maps[2].codomain  # type: ignore[return-value]


def _chain(world: World) -> _Chain:
    """A random chain; the smooth map is generic over exact kinds (any Jacobian), and tanh in floating point."""
    n, m, k = world.sizes.widths
    ns = world.ns
    A, Z, B, Y = (AffineSpace(name, dim, world.kind) for name, dim in zip("AZBY", (n, m, m, k), strict=True))
    iota = Parameterization([space.frame("iota") for space in (A, Z, B, Y)], name="iota")
    kappa = iota.random(world.rng, name="kappa")
    W, V = world.array(m, n + 1, name="W"), world.array(k, m + 1, name="V")
    first = AffineMap(AffineMaps(A, Z).from_coordinates(W, iota))
    last = AffineMap(AffineMaps(B, Y).from_coordinates(V, iota))
    rho: SmoothMap
    if world.is_exact:
        rho = GenericMap(iota[Z], iota[B], world.rng, coordinatewise=False)
    else:
        rho = CoordinatewiseMap(iota[Z], iota[B], "tanh")
    point: Point = A.from_coordinates(world.array(n, name="a"), iota)
    _, slope = rho.linearize(first(point))
    unit = Z.direction.from_coordinates(ns.eye(m), iota)
    batched = rho.linearize(Z.from_coordinates(ns.broadcast_to(first(point).coordinates(iota), (m, m)), iota))[1]
    columns = batched if not world.is_exact else slope
    J_rho = columns.pushforward(unit).coordinates(iota).mT
    return _Chain((first, rho, last), (W[:, :-1], J_rho, V[:, :-1]), point.expressed_in(kappa), iota, kappa)


def pushforward_and_pullback(world: World) -> Comparisons:
    """Pushforward is Jv, pullback ``J^T u``; each is the other's transpose; both follow the chain rule."""
    it = _chain(world)
    first, rho, last = it.maps
    start, end = it.spaces
    composed = last @ rho @ first
    v = start.direction.from_coordinates(world.array(start.dim, name="v"), it.iota)
    phi = end.direction.dual.from_coordinates(world.array(end.dim, name="u"), it.kappa)
    J = it.J[2] @ it.J[1] @ it.J[0]
    if world.planted("chain in the other order"):
        J = it.J[2] @ it.J[1].mT @ it.J[0]
    yield same("pushforward is J v", composed.pushforward(it.point, v).coordinates(it.iota), J @ v.coordinates(it.iota))
    u = phi.coordinates(it.iota)
    back = J.mT @ u
    if world.planted("covector moved as a vector is"):
        back = J.mT @ phi.coordinates(it.kappa)
    yield same("pullback is J^T u", composed.pullback(it.point, phi).coordinates(it.iota), back)
    paired = composed.pullback(it.point, phi)(v)
    yield same("<phi^* u, v> = <u, phi_* v>", paired, phi(composed.pushforward(it.point, v)))
    step = first.pushforward(it.point, v)
    middle = rho.pushforward(first(it.point), step)
    yield same(
        "chain rule, forwards",
        composed.pushforward(it.point, v),
        last.pushforward(rho(first(it.point)), middle),
        it.kappa,
    )
    covector = rho.pullback(first(it.point), last.pullback(rho(first(it.point)), phi))
    if world.planted("slope at another point"):
        other: Any = first(it.point)
        other = other + step
        covector = rho.pullback(other, last.pullback(rho(other), phi))
    yield same("chain rule, backwards", composed.pullback(it.point, phi), first.pullback(it.point, covector), it.kappa)


def derivatives_of_expressions(world: World) -> Comparisons:
    """For arbitrary maps f and g: ``d(h o g o f) = J_f^T J_g^T dh``, and the Jacobian of a composition is the
    product.
    """
    n, m, k = world.sizes.widths
    x, y, z = variables("x", n), variables("y", m), variables("z", k)
    f = [quadratic(world, x, f"f^{i + 1}") for i in range(m)]
    g = [quadratic(world, y, f"g^{i + 1}") for i in range(k)]
    h = quadratic(world, z, "h")
    composed = [each.subs(dict(zip(y, f, strict=True)), simultaneous=True) for each in g]
    at = dict(zip(y, f, strict=True))
    J_f, J_g = sympy.Matrix(jacobian(f, x)), sympy.Matrix(jacobian(g, y)).subs(at, simultaneous=True)
    if world.planted("slope at the point before"):
        J_g = sympy.Matrix(jacobian(g, y)).subs(dict(zip(y, (x * 2)[:m], strict=True)))
    yield same("Jacobian", expressions(world, sympy.Matrix(jacobian(composed, x))), expressions(world, J_g * J_f))
    whole = h.subs(dict(zip(z, composed, strict=True)), simultaneous=True)
    dh = sympy.Matrix(gradient(h, z)).subs(dict(zip(z, composed, strict=True)), simultaneous=True)
    pulled = J_f.T * J_g.T * dh
    yield same("differential", expressions(world, sympy.Matrix(gradient(whole, x))), expressions(world, pulled))


def difference_quotients(world: World) -> Comparisons:
    """``(f(a + h v) - f(a - h v)) / 2h - f_* v`` falls like h^2: the pushforward is the derivative."""
    it = _chain(world)
    ns = world.ns.ordered("lengths")
    first, rho, last = it.maps
    composed = last @ rho @ first
    v = it.spaces[0].direction.from_coordinates(world.array(it.spaces[0].dim) * 0.5, it.iota)
    pushed = composed.pushforward(it.point, v) * (2.0 if world.planted("twice the derivative") else 1.0)
    steps = [2.0**-k for k in range(3, 9)]
    gaps = []
    for h in steps:
        after: Any = composed(it.point + v * h)
        quotient = (after - composed(it.point + v * -h)) * (0.5 / h)
        gaps.append(ns.norm((quotient - pushed).coordinates(it.iota)))
    yield order("central difference less pushforward, in h", steps, gaps, 2)


# -- metrics -------------------------------------------------------------------------------------------------
def pullback_of_a_metric(world: World) -> Comparisons:
    """``phi^* g`` has the matrix ``J^T G J``: symmetric, and with ``(phi^* g)(v, v) = g(phi_* v, phi_* v)``."""
    it = _chain(world)
    ns = world.ns
    first, rho, last = it.maps
    start, end = it.spaces
    R = world.array(end.dim, end.dim, name="R")
    G = R.mT @ R
    composed = last @ rho @ first
    tensor = PullbackMetric(composed, CovectorMetric(it.iota[end], lambda y: (ns.ones((end.dim,)), R))).at(it.point)
    J = it.J[2] @ it.J[1] @ it.J[0]
    matrix = tensor.coordinates(it.iota)
    expected = J @ G @ J.mT if world.planted("J G J^T") and J.shape[0] == J.shape[1] else J.mT @ G @ J
    yield same("matrix", matrix, expected)
    yield same("symmetry", matrix, matrix.mT)
    v = start.direction.from_coordinates(world.array(start.dim, name="v"), it.kappa)
    image = composed.pushforward(it.point, v)
    roots = R @ image.coordinates(it.iota)
    yield same("a sum of squares", tensor(v, v), ns.sum(roots * roots))
    yield same(
        "g(phi_* v, phi_* v)", tensor(v, v), DenseTensor.from_coordinates(G, it.iota[end.direction])(image, image)
    )


def positive_semidefinite(world: World) -> Comparisons:
    """Over Q: ``J^T G J`` is positive semidefinite where G is, by exact LDL^T."""
    n, _, k = world.sizes.widths
    J, R = world.array(k, n), world.array(k, k)
    G = R.mT @ R
    if world.planted("an indefinite form"):
        G = G - world.ns.eye(k) * 1000
    is_psd = world.ns.is_positive_semidefinite  # type: ignore[attr-defined]
    yield same("J^T G J is positive semidefinite", is_psd(J.mT @ G @ J), True)


def degenerate_pullback(world: World) -> Comparisons:
    """The pullback of a nondegenerate metric is nondegenerate: not along a map to fewer dimensions."""
    it = _chain(world)
    end = it.spaces[1]
    first, rho, last = it.maps
    tensor = PullbackMetric(last @ rho @ first, EuclideanMetric(it.iota[end])).at(it.point)
    yield same("nullity of the pullback", tensor.nullity, 0)


def functoriality(world: World) -> Comparisons:
    """``(phi o psi)^* = psi^* phi^*``, on covectors and on metrics."""
    it = _chain(world)
    first, rho, last = it.maps
    end = it.spaces[1]
    ns = world.ns
    inner, outer = rho @ first, last
    u = world.array(end.dim, name="u")
    phi = end.direction.dual.from_coordinates(u, it.kappa)
    middle = inner(it.point)
    covector = outer.pullback(middle, phi)
    if world.planted("phi^* at the wrong point"):
        covector = rho.codomain.direction.dual.from_coordinates(u[0] * ns.ones((rho.codomain.dim,)), it.iota)
    yield same("on covectors", (outer @ inner).pullback(it.point, phi), inner.pullback(it.point, covector), it.iota)
    rows, weights = world.array(2, end.dim), world.positive(2)
    g = CovectorMetric(it.iota[end], lambda y: (weights, rows))
    twice = PullbackMetric(inner, PullbackMetric(outer, g))
    if world.planted("the outer map left out"):
        free = world.array(2, rho.codomain.dim)
        twice = PullbackMetric(inner, CovectorMetric(it.iota[rho.codomain], lambda y: (weights, free)))
    at_once = PullbackMetric(outer @ inner, g)
    yield same("on metrics", at_once.at(it.point).coordinates(it.iota), twice.at(it.point).coordinates(it.iota))


CHAINS = (Sizes((1, 1, 1)), Sizes((2, 2, 2)), Sizes((3, 2, 3)))
EQUAL = Sizes((3, 3, 3))
SYMBOLIC = (Sizes((1, 1, 1)), Sizes((1, 2, 1)))
ONE = (Sizes((1, 2, 2)),)
FORMS = (Sizes((1, 1, 1)), Sizes((3, 1, 2)))
FEWER = (Sizes((2, 1, 1)), Sizes((3, 3, 2)))

STATEMENTS = (
    Statement(
        id="LG-2.2.4",
        source="LG 2.2.4",
        title="pushforward, pullback and the chain rule",
        text=(
            "The pushforward of a smooth map is J v on vectors, its pullback J^T u on covectors; each is the "
            "transpose of "
            "the other, and both of a composition are the compositions."
        ),
        latex=(
            r"\langle\phi^*u,v\rangle=\langle u,\phi_*v\rangle,\qquad(\phi\circ\psi)_*=\phi_*\psi_*,\quad d(h\circ"
            r"\phi)=\phi^*dh"
        ),
        hypotheses=("The maps are differentiable at the points in question.",),
        checks=(
            Check("X", "a chain of maps, any Jacobian", pushforward_and_pullback, CHAINS, "GF(p)"),
            Check("S", "arbitrary maps to second order", derivatives_of_expressions, SYMBOLIC, "symbols"),
            Check("N", "a chain of maps", pushforward_and_pullback, CHAINS, "floating"),
            Check("N", "difference quotients", difference_quotients, CHAINS, "floating"),
        ),
        mutants=(
            Mutant("chain in the other order", pushforward_and_pullback, EQUAL),
            Mutant("covector moved as a vector is", pushforward_and_pullback, CHAINS[-1]),
            Mutant("slope at another point", pushforward_and_pullback, CHAINS[-1]),
            Mutant("slope at the point before", derivatives_of_expressions, SYMBOLIC[0], "symbols"),
            Mutant("twice the derivative", difference_quotients, CHAINS[-1], "floating"),
        ),
        objects=("maps.SmoothMap", "maps.Composition", "maps.Derivative"),
    ),
    Statement(
        id="LG-2.2.5",
        source="LG 2.2.5",
        title="the pullback of a metric",
        text=(
            "A metric here is a symmetric positive semidefinite form.  Its pullback has the matrix J^T G J, and is a "
            "metric; "
            "that of a nondegenerate one can be degenerate."
        ),
        latex=r"[\![\phi^*g]\!]=J^\top GJ,\qquad(\phi^*g)(v,v)=g(\phi_*v,\phi_*v)\ge 0",
        hypotheses=("G is symmetric and positive semidefinite.",),
        checks=(
            Check("X", "matrix and values", pullback_of_a_metric, CHAINS, "GF(p)"),
            Check("X", "positive semidefinite", positive_semidefinite, FORMS, "Q"),
            Check("S", "matrix and values", pullback_of_a_metric, ONE, "symbols"),
            Check("N", "matrix and values", pullback_of_a_metric, CHAINS, "floating"),
            Check("C", "nondegenerate, to fewer dimensions", degenerate_pullback, FEWER, "GF(p)"),
        ),
        mutants=(
            Mutant("J G J^T", pullback_of_a_metric, EQUAL),
            Mutant("an indefinite form", positive_semidefinite, FORMS[-1], "Q"),
        ),
        objects=("metrics.PullbackMetric", "metrics.DenseTensor"),
    ),
    Statement(
        id="LG-functor",
        source="LG 3.5, proof of Theorem 3.10",
        title="pulling back along a composition",
        text="Pulling back along phi after psi is pulling back along phi, then along psi: of covectors and of metrics.",
        latex=r"(\phi\circ\psi)^*=\psi^*\phi^*",
        hypotheses=("The maps are differentiable at the points in question.",),
        checks=(
            Check("X", "covectors and metrics", functoriality, CHAINS, "GF(p)"),
            Check("N", "covectors and metrics", functoriality, CHAINS, "floating"),
        ),
        mutants=(
            Mutant("phi^* at the wrong point", functoriality, CHAINS[-1]),
            Mutant("the outer map left out", functoriality, CHAINS[-1]),
        ),
        objects=("metrics.PullbackMetric", "maps.Composition"),
    ),
)
