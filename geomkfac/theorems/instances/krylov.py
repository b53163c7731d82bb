"""Conjugate gradient, as a textbook has it, over any field: for statements about its iterates."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace

Product = Callable[[Array], Array]


def conjugate_gradient(ns: Namespace, product: Product, b: Array, solve: Product | None = None) -> Iterator[Array]:
    """The iterates x_1, x_2, ... for ``A x = b`` from x_0 = 0; `b` (n,), one product with A for each.

    Parameters
    ----------
    ns : namespace of the arrays
    product : v to A v, A symmetric positive definite
    b : right-hand side, array (n,)
    solve : r to P^{-1} r, of a preconditioner P; by default the identity

    Raises
    ------
    DivisionByZeroError : over exact kinds, where an iterate is the solution and another one is asked for.
    """
    precondition = solve if solve is not None else lambda r: r
    x, r = b * 0, b
    z = precondition(r)
    direction, rz = z, ns.sum(r * z)
    while True:
        image = product(direction)
        step = rz / ns.sum(direction * image)
        x, r = x + direction * step, r - image * step
        yield x
        z = precondition(r)
        before, rz = rz, ns.sum(r * z)
        direction = z + direction * (rz / before)


def krylov_basis(ns: Namespace, product: Product, b: Array, count: int) -> Array:
    """``b, A b, ..., A^{count-1} b`` as columns, (n, count)."""
    columns = [b]
    for _ in range(count - 1):
        columns.append(product(columns[-1]))
    return ns.stack(columns, axis=1)
