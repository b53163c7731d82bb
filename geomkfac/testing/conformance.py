"""Conformance checks: one call tests every law of a new space or smooth map.

Exact kinds are compared with ``==``; floating point within a tolerance derived from the condition of
the frames that were drawn.  A law that does not hold raises `LawViolatedError`, which names it.
"""

from __future__ import annotations

from fractions import Fraction
from functools import reduce
from operator import add
from typing import Any

from geomkfac.arrays import Namespace
from geomkfac.errors import SpaceMismatchError
from geomkfac.maps import SmoothMap
from geomkfac.spaces import Element, Hull, LinearSpace, PointSpace, Space, Vector, affine_combination
from geomkfac.testing.comparison import Bench, LawViolatedError

BATCH = (3,)


def check_space_laws(space: Space, rng: Any, *, ns: Namespace | None = None) -> None:
    """Check the axioms of a vector or affine space on random elements.

    Vector spaces: the group, the scalars, the dual pairing, frame round trips.  Affine spaces: the
    axioms of LG 2.2.3, affine combinations, the direction and the hull.

    Parameters
    ----------
    space : a vector or affine space
    rng : numpy.random.Generator
    ns : namespace of the arrays; the default one of the kind where None

    Raises
    ------
    LawViolatedError
        Where a law does not hold; the message names it.

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.spaces import AffineSpace
    >>> check_space_laws(AffineSpace("A", 2), np.random.default_rng(0))
    """
    bench = Bench([space], rng, ns)
    _check_frames(space, bench)
    if isinstance(space, PointSpace):
        _check_affine_axioms(space, bench)
        _check_hull(space, bench)
        _check_vector_laws(space.direction, bench)
    if isinstance(space, LinearSpace):
        _check_vector_laws(space, bench)


def _check_frames(space: Space, bench: Bench) -> None:
    x = bench.draw(space, BATCH)
    for kappa in (bench.first, bench.second):
        frame = kappa[space]
        _require(kappa[space] is frame, "a parameterization finds the same frame twice", space)
        _require(frame.space is space, "a frame belongs to its space", space)
        bench.same("coordinates round trip", space.from_coordinates(x.coordinates(frame), frame), x)
        bench.same("expressed_in changes nothing", x.expressed_in(frame), x)
    bench.same("indexing the batch commutes with coordinates", x[1], x[1:2][0])


def _check_vector_laws(space: LinearSpace, bench: Bench) -> None:
    u, v, w = (bench.draw(space, BATCH) for _ in range(3))
    a, b = (bench.ns.random(bench.rng, ()) for _ in range(2))
    zero = space.zero(like=u)
    bench.same("u + v = v + u", u + v, v + u)
    bench.same("(u + v) + w = u + (v + w)", (u + v) + w, u + (v + w), u, v, w)
    bench.same("u + 0 = u", u + zero, u)
    bench.same("u + (-u) = 0", (u + (-u))[0], zero, u)
    bench.same("u - v = u + (-v)", u - v, u + (-v), u, v)
    bench.same("1 u = u", u * 1, u)
    bench.same("2 u = u + u", u * 2, u + u)
    bench.same("(a b) u = a (b u)", u * (a * b), (u * b) * a, u, u * b)
    bench.same("(a + b) u = a u + b u", u * (a + b), u * a + u * b, u, u * a, u * b)
    bench.same("a (u + v) = a u + a v", (u + v) * a, u * a + v * a, u, v, u * a, v * a)
    bench.same("the sum of a batch is the sum of its vectors", u.sum(), u[0] + u[1] + u[2], u)
    _check_pairing(space, bench, u, v)


def _check_pairing(space: LinearSpace, bench: Bench, u: Vector, v: Vector) -> None:
    _require(space.dual is space.dual, "the dual is one space", space)
    _require(space.dual.dual is space, "V** is V", space)
    phi, psi = bench.draw(space.dual, BATCH), bench.draw(space.dual, BATCH)
    a = bench.ns.random(bench.rng, ())
    bench.same_numbers("phi(u) = u(phi)", phi(u), u(phi), phi, u)
    bench.same_numbers("phi(u + v) = phi(u) + phi(v)", phi(u + v), phi(u) + phi(v), phi, u, v)
    bench.same_numbers("(phi + psi)(u) = phi(u) + psi(u)", (phi + psi)(u), phi(u) + psi(u), phi, psi, u)
    bench.same_numbers("phi(a u) = a phi(u)", phi(u * a), phi(u) * a, phi, u, u * a)
    for kappa in (bench.first, bench.second):
        frame = kappa[space]
        _require(frame.dual is kappa[space.dual], "the dual frame is the dual space's frame", space)
        _require(frame.dual.dual is frame, "the dual of the dual frame is the frame", space)
        left = space.flatten(bench.ns, phi.coordinates(kappa))
        paired = bench.ns.pair(left, space.flatten(bench.ns, u.coordinates(kappa)), 1)
        bench.same_numbers("pairing sums products of dual coordinates", phi(u), paired, phi, u)


def _check_affine_axioms(space: PointSpace, bench: Bench) -> None:
    """Source: LG 2.2.3."""
    p, q, r = (bench.draw(space, BATCH) for _ in range(3))
    v, w = (bench.draw(space.direction, BATCH) for _ in range(2))
    _require((p - q).space is space.direction, "p - q lies in the direction", space)
    bench.same("p - p = 0", (p - p)[0], space.direction.zero(like=v), v)
    bench.same("(p - q) + (q - r) = p - r", (p - q) + (q - r), p - r, p - q, q - r)
    bench.same("q + (p - q) = p", q + (p - q), p, q)
    bench.same("(p + v) - p = v", (p + v) - p, v, v)
    bench.same("(p + v) + w = p + (v + w)", (p + v) + w, p + (v + w), p)
    bench.same("p - v = p + (-v)", p - v, p + (-v), p)
    bench.same("p + 0 = p", p + space.direction.zero(like=v), p)
    try:
        p + q
    except SpaceMismatchError:
        pass
    else:
        raise LawViolatedError(f"p + q is refused: {space!r} adds points.")
    weights = bench.ns.random(bench.rng, BATCH)
    weights = bench.ns.concat([weights[:-1], 1 - bench.ns.sum(weights[:-1])[None]])
    combined = affine_combination(p, weights)
    expected = p[0] + (p - p[0]).sum(weights)
    bench.same("an affine combination is p0 + sum of w (p - p0)", combined, expected, p, (p - p[0]) * 3)


def _check_hull(space: PointSpace, bench: Bench) -> None:
    hull = Hull(space)
    p, q = bench.draw(space, BATCH), bench.draw(space, BATCH)
    weight, ns = hull.weight(like=hull.of_point(p)), bench.ns
    _require(Hull(space) is hull and hull.dim == space.dim + 1, "the hull is one space of one more", space)
    for kappa in (bench.first, bench.second):
        flat = space.flatten(ns, p.coordinates(kappa))
        homogeneous = hull.of_point(p).coordinates(kappa)[..., :-1]
        bench.same_numbers("[p; 1] has the coordinates of p", homogeneous, flat, hull.of_point(p))
    bench.same("[p; 1] - [q; 1] = [p - q; 0]", hull.of_point(p) - hull.of_point(q), hull.of_vector(p - q), p)
    bench.same_numbers("points have weight 1", weight(hull.of_point(p)), ns.ones(BATCH), hull.of_point(p))
    bench.same_numbers("directions have weight 0", weight(hull.of_vector(p - q)), ns.zeros(BATCH), p - q)
    bench.same("the point of [p; 1] is p", hull.point_of(hull.of_point(p)), p)
    bench.same("the point of 3 [p; 1] is p", hull.point_of(hull.of_point(p) * 3), p)


def _require(holds: bool, law: str, space: Space) -> None:
    if not holds:
        raise LawViolatedError(f"{law}: broken by {space!r}.")


def check_smooth_map(
    function: SmoothMap, point: Element, rng: Any, *, degree: int | None = None, pointwise: bool = True
) -> None:
    """Check a smooth map at a point: linearity, adjointness, frames, batches, and the derivative itself.

    Parameters
    ----------
    function : SmoothMap
    point : one element of its domain, batch shape ()
    rng : numpy.random.Generator
    degree : of a polynomial map; its derivative is then checked by interpolation at degree + 1
        points, exactly over exact kinds.  None: by central differences, whose error must fall with
        the square of the step; over exact kinds the derivative is then left unchecked.
    pointwise : whether a batch meets the same values as its members do (not so for a GenericMap)

    Raises
    ------
    LawViolatedError
        Where a law does not hold; the message names it.  Source: LG 2.2.4.
    """
    bench = Bench([function.domain, function.codomain], rng, point.namespace)
    value, derivative = function.linearize(point)
    tangent, cotangent = function.domain.direction, function.codomain.direction.dual
    u, v = bench.draw(tangent), bench.draw(tangent)
    phi = bench.draw(cotangent)
    pushed = derivative.pushforward(v)
    growth = (pushed, derivative.pushforward(u), value)
    bench.same("linearize gives the value", value, function(point))
    linear = derivative.pushforward(u + v * 2)
    bench.same("J (u + 2 v) = J u + 2 J v", linear, derivative.pushforward(u) + pushed * 2, *growth)
    pulled = derivative.pullback(phi)
    bench.same_numbers("<J^T phi, v> = <phi, J v>", pulled(v), phi(pushed), phi, pushed, pulled, v)
    for kappa in (bench.first, bench.second):
        moved, jacobian = function.linearize(point.expressed_in(kappa))
        scale = (point, *growth)
        bench.same("the value does not feel the point's frame", moved, value, *scale)
        bench.same("J v does not feel the frames", jacobian.pushforward(v.expressed_in(kappa)), pushed, *scale)
        back = jacobian.pullback(phi.expressed_in(kappa))
        bench.same("J^T phi does not feel the frames", back, pulled, phi, *growth)
    if pointwise:
        _check_batches(function, point, v, bench)
    if degree is not None:
        _check_by_interpolation(function, point, v, pushed, degree, bench)
    elif not bench.ns.kind.is_exact:
        _check_by_differences(function, point, v, pushed, bench)


def _check_batches(function: SmoothMap, point: Any, v: Vector, bench: Bench) -> None:
    batch = point[None] + (v.scaled(bench.ns.random(bench.rng, BATCH)))
    values, derivative = function.linearize(batch)
    pushed = derivative.pushforward(v.scaled(bench.ns.ones(BATCH)))
    for index in range(BATCH[0]):
        value, single = function.linearize(batch[index])
        bench.same("a batch has its members' values", values[index], value, batch)
        bench.same("a batch has its members' derivatives", pushed[index], single.pushforward(v), batch, v)


def _line(function: SmoothMap, point: Any, v: Vector, time: Any) -> Any:
    return function(point + v * time)


def _check_by_interpolation(
    function: SmoothMap, point: Any, v: Vector, pushed: Vector, degree: int, bench: Bench
) -> None:
    start = function(point)
    weights = enumerate(_derivative_weights(degree))
    total = reduce(add, [(_line(function, point, v, node) - start) * weight for node, weight in weights])
    bench.same("the derivative along a line is J v", total, pushed, total)


def _derivative_weights(degree: int) -> list[Fraction]:
    """Weights w with ``p'(0) = sum_k w_k p(k)`` over k = 0..degree for polynomials p of that degree."""
    nodes = range(max(degree, 1) + 1)
    weights = []
    for k in nodes:
        if k == 0:
            weights.append(-sum((Fraction(1, j) for j in nodes if j), Fraction(0)))
            continue
        product = Fraction(1, k)
        for j in nodes:
            if j not in (0, k):
                product *= Fraction(-j, k - j)
        weights.append(product)
    return weights


def _check_by_differences(function: SmoothMap, point: Any, v: Vector, pushed: Vector, bench: Bench) -> None:
    """Halving the step must divide the error by about four, down to the rounding of the difference."""
    ns = bench.ns.ordered("central differences")
    step = Fraction(1, 64) / max(1, round(bench.size(v)))
    errors = []
    for time in (step, step / 2):
        forth, back = (_line(function, point, v, sign * time) for sign in (1, -1))
        gap = (forth - back) * (1 / (2 * time)) - pushed
        errors.append(ns.norm(gap.space.flatten(ns, gap.coordinates(bench.first))))
    scale = 1.0 + bench.size(function(point)) + bench.size(point)
    rounding = bench.tolerance(function.codomain) * scale / float(step)
    if not errors[1] <= max(errors[0] / 3, rounding):
        raise LawViolatedError(
            "the derivative along a line is J v: halving the step of the central difference changed its "
            f"error from {errors[0]:.1e} to {errors[1]:.1e} (rounding accounts for {rounding:.1e})."
        )
