"""J 2 and 4: steepest descent in a metric, and damping."""

from __future__ import annotations

import sympy

from geomkfac.metrics import DenseTensor
from geomkfac.spaces import VectorSpace
from geomkfac.theorems.engine.statement import Check, Comparisons, Mutant, Statement, order, same
from geomkfac.theorems.engine.world import Sizes, World
from geomkfac.theorems.instances.calculus import (
    entries,
    expressions,
)


def stationary_on_the_unit_sphere(world: World) -> Comparisons:
    """``v = -F^{-1} grad / |grad|_{F^{-1}}`` has unit norm, and satisfies ``grad + 2 lambda F v = 0``, (16)."""
    (n,), ns = world.sizes.widths, world.ns
    free, grad = world.array(n, n, name="F"), world.array(n, 1, name="g")
    F = free + free.mT
    natural = ns.solve(F, grad)
    if world.planted("F where its inverse belongs"):
        natural = F @ grad
    length = sympy.sqrt(entries(world, grad.mT @ natural)[0][0])
    v, multiplier = natural * expressions(world, -1 / length), expressions(world, length / 2)
    yield same("v^T F v = 1", v.mT @ F @ v, ns.ones((1, 1)))
    yield same("grad + 2 lambda F v = 0", grad + F @ v * multiplier * 2, ns.zeros((n, 1)))


def steepest_among_unit_vectors(world: World) -> Comparisons:
    """No vector of unit length in the metric descends faster than -sharp(dl), scaled to unit length."""
    (n,), ns = world.sizes.widths, world.ns.ordered("lengths")
    V = VectorSpace("V", n, world.kind)
    e = V.frame("e")
    R = world.invertible(n)
    g = DenseTensor.from_coordinates(R.mT @ R, e)
    dl = V.dual.from_coordinates(world.array(n), e.dual)
    others = V.from_coordinates(world.array(world.sizes.data, n), e)
    natural = g.sharp(dl)
    if world.planted("the gradient of the frame"):
        natural = V.from_coordinates(dl.coordinates(e.dual), e)
    length = ns.sqrt(g(natural, natural))
    steepest = natural * (-1.0 / length)
    slopes = dl(others) / ns.sqrt(g(others, others))
    yield same("unit length", g(steepest, steepest), ns.scalar(1.0))
    yield same("its slope is the dual norm", dl(steepest), -ns.sqrt(dl(g.sharp(dl))))
    yield same("none is steeper", bool(ns.max(-slopes) <= -dl(steepest)), True)


def damped_directions(world: World) -> Comparisons:
    """``(F + beta)^{-1} grad`` tends to the natural gradient for small beta; times beta, to grad for large."""
    (n,), ns = world.sizes.widths, world.ns.ordered("lengths")
    R, grad = world.invertible(n), world.array(n, 1)
    F, eye = R.mT @ R, ns.eye(n)
    if world.planted("beta on one coordinate"):
        eye = ns.concat([eye[:1, :], ns.zeros((n - 1, n))], axis=0)
    powers = [2.0**-k for k in range(12, 18)]
    if world.planted("no damping at all"):
        eye = eye * 0.0
    small = [ns.norm(ns.solve(F + eye * b, grad) - ns.solve(F, grad)) / ns.norm(ns.solve(F, grad)) for b in powers]
    large = [ns.norm(ns.solve(F + eye / b, grad) / b - grad) / ns.norm(grad) for b in powers]
    yield order("distance to the natural gradient, in beta", powers, small, 1)
    yield order("distance to the gradient, in 1 / beta", powers, large, 1)


SPHERE = (Sizes((2,)),)
UNIT = (Sizes((2,), 200), Sizes((4,), 200))

STATEMENTS = (
    Statement(
        id="J-8/17",
        source="J (8), (14)-(17)",
        title="steepest descent in a metric is the natural gradient",
        text=(
            "Among vectors of unit length in a positive definite metric, the one along which a function falls fastest "
            "is a positive multiple of -F^{-1} grad, of unit length; in the Euclidean metric, of -grad."
        ),
        latex=(
            r"\operatorname{argmin}_{v^\top Fv\le 1}\nabla\ell^\top v=-\frac{F^{-1}\nabla\ell}{\sqrt{\nabla\ell^"
            r"\top F^{-1}\nabla\ell}}"
        ),
        hypotheses=("F is positive definite.", "The gradient is not zero."),
        checks=(
            Check("S", "the condition of Lagrange", stationary_on_the_unit_sphere, SPHERE, "symbols"),
            Check("N", "against other unit vectors", steepest_among_unit_vectors, UNIT, "floating"),
        ),
        mutants=(
            Mutant("F where its inverse belongs", stationary_on_the_unit_sphere, SPHERE[0], "symbols"),
            Mutant("the gradient of the frame", steepest_among_unit_vectors, UNIT[-1], "floating"),
        ),
        objects=("metrics.DenseTensor", "metrics.MetricTensor.sharp"),
    ),
    Statement(
        id="J-4-damp",
        source="J 4, after (17)",
        title="damping interpolates between gradient and natural gradient",
        text=(
            "The direction (F + beta I)^{-1} grad tends to the natural gradient as beta tends to 0, and, scaled by "
            "beta, to the gradient as beta grows; both at first order."
        ),
        latex=r"(F+\beta I)^{-1}\nabla\ell\to F^{-1}\nabla\ell,\qquad\beta(F+\beta I)^{-1}\nabla\ell\to\nabla\ell",
        hypotheses=("F is positive definite.",),
        checks=(Check("N", "both limits", damped_directions, (Sizes((4,)),), "floating"),),
        mutants=(
            Mutant("beta on one coordinate", damped_directions, Sizes((4,)), "floating"),
            Mutant("no damping at all", damped_directions, Sizes((4,)), "floating"),
        ),
        objects=("metrics.MetricTensor.damped",),
    ),
)
