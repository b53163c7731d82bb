"""Groups of changes of basis of one space: random members of each."""

from __future__ import annotations

from collections.abc import Callable

from geomkfac.arrays.namespace import Array
from geomkfac.names import look_up
from geomkfac.theorems.engine.world import World


def _affine(world: World, n: int) -> tuple[Array, Array]:
    return world.invertible(n), world.array(n)


def _linear(world: World, n: int) -> tuple[Array, Array]:
    return world.invertible(n), world.ns.zeros((n,))


def _translation(world: World, n: int) -> tuple[Array, Array]:
    return world.ns.eye(n), world.array(n)


def _orthogonal(world: World, n: int) -> tuple[Array, Array]:
    """Cayley's transform ``(1 - S) (1 + S)^{-1}`` of a skew matrix S: rational, so that it runs over any field."""
    ns = world.ns
    free = world.array(n, n)
    skew = (free - free.mT) / 2
    return (ns.eye(n) - skew) @ ns.inverse(ns.eye(n) + skew), ns.zeros((n,))


def _rigid(world: World, n: int) -> tuple[Array, Array]:
    """Orthogonal, with a translation."""
    return _orthogonal(world, n)[0], world.array(n)


def _similarity(world: World, n: int) -> tuple[Array, Array]:
    """Orthogonal times a positive number, with a translation."""
    return _orthogonal(world, n)[0] * world.positive(1), world.array(n)


def _shear(world: World, n: int) -> tuple[Array, Array]:
    """Ones on the diagonal, and one free number next to it."""
    ns = world.ns
    beside = ns.take(ns.eye(n), [*range(1, n), 0], 0)
    first = ns.eye(n)[:1, :]
    return ns.eye(n) + (first.mT @ (first @ beside)) * (world.number() if n > 1 else ns.scalar(0)), ns.zeros((n,))


def _diagonal(world: World, n: int) -> tuple[Array, Array]:
    entries = world.positive(n)
    return world.ns.eye(n) * entries, world.ns.zeros((n,))


def _scalar(world: World, n: int) -> tuple[Array, Array]:
    return world.ns.eye(n) * world.positive(1), world.ns.zeros((n,))


def _permutation(world: World, n: int) -> tuple[Array, Array]:
    """The cyclic one, which moves every coordinate."""
    ns = world.ns
    return ns.take(ns.eye(n), [*range(1, n), 0], 0), ns.zeros((n,))


def _fixed(world: World, n: int) -> tuple[Array, Array]:
    return world.ns.eye(n), world.ns.zeros((n,))


GROUPS: dict[str, Callable[[World, int], tuple[Array, Array]]] = {
    "affine": _affine,
    "linear": _linear,
    "translation": _translation,
    "orthogonal": _orthogonal,
    "rigid": _rigid,
    "similarity": _similarity,
    "shear": _shear,
    "diagonal": _diagonal,
    "scalar": _scalar,
    "permutation": _permutation,
    "fixed": _fixed,
}
"""Names of groups, and how a member is drawn: a matrix (n, n) and a shift (n,)."""


def random_change(world: World, group: str, n: int) -> tuple[Array, Array]:
    """A random member (B, c) of a group of changes ``y_new = B y + c``.

    Raises
    ------
    UnknownNameError : there is no such group.
    """
    return look_up("group of changes of basis", group, GROUPS)(world, n)
