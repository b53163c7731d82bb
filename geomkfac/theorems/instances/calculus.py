"""Derivatives of expressions, for statements about calculus: SymPy does the work."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sympy

from geomkfac.arrays.array import Array
from geomkfac.theorems.engine.world import World


def variables(name: str, count: int, **assumptions: bool) -> tuple[Any, ...]:
    """Symbols name_1, ..., name_count, real unless assumed to be more."""
    return tuple(sympy.Symbol(f"{name}_{i + 1}", **(assumptions or {"real": True})) for i in range(count))


def entries(world: World, x: Array) -> Any:
    """The expressions in an array, as a nested list."""
    return world.ns.to_numpy(x).tolist()


def expressions(world: World, values: Any) -> Array:
    """An array of expressions, a number, a nested list, or a SymPy matrix."""
    listed = values.tolist() if isinstance(values, sympy.MatrixBase) else values
    return world.ns.asarray(listed)


def gradient(f: Any, x: Sequence[Any]) -> list[Any]:
    """All first derivatives."""
    return [sympy.diff(f, each) for each in x]


def jacobian(f: Sequence[Any], x: Sequence[Any]) -> list[list[Any]]:
    """``df_i / dx_j``."""
    return [gradient(each, x) for each in f]


def hessian(f: Any, x: Sequence[Any]) -> list[list[Any]]:
    """All second derivatives."""
    return jacobian(gradient(f, x), x)


def quadratic(world: World, x: Sequence[Any], name: str) -> Any:
    """An arbitrary polynomial of degree 2 in `x`: what a function is, up to its second derivatives."""
    n = len(x)
    linear, square = entries(world, world.array(n, name=name)), entries(world, world.array(n, n, name=name))
    return sum(c * each for c, each in zip(linear, x, strict=True)) + sum(
        square[i][j] * x[i] * x[j] for i in range(n) for j in range(n)
    )


def cubic(world: World, x: Sequence[Any], name: str) -> Any:
    """An arbitrary polynomial of degree 3 in `x` without constant, linear and quadratic terms."""
    n = len(x)
    c = entries(world, world.array(n, n, n, name=name))
    return sum(c[i][j][k] * x[i] * x[j] * x[k] for i in range(n) for j in range(n) for k in range(n))
