"""Comparing the two sides of a claim: exactly, or as a relative error."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import VacuousCheckError
from geomkfac.theorems.engine.statement import Comparison


def sides(ns: Namespace, comparison: Comparison) -> Iterator[tuple[Any, Any]]:
    """The leaves of both sides, pairwise: arrays of one shape, or plain values.

    Raises
    ------
    VacuousCheckError : there is nothing to compare, or shapes or structures differ: then a
        disagreement would say nothing about the claim.
    """
    pairs = list(_leaves(comparison.left, comparison.right, comparison.name))
    if not pairs:
        raise VacuousCheckError(f"the comparison {comparison.name!r} compares nothing: both sides are empty.")
    yield from pairs


def _leaves(left: Any, right: Any, name: str) -> Iterator[tuple[Any, Any]]:
    if isinstance(left, list | tuple) and isinstance(right, list | tuple) and len(left) == len(right):
        for one, other in zip(left, right, strict=True):
            yield from _leaves(one, other, name)
        return
    shapes = _shape(left), _shape(right)
    if shapes[0] != shapes[1] or isinstance(left, list | tuple):
        raise VacuousCheckError(
            f"the two sides of {name!r} are not of one shape.\n  left : {shapes[0]}\n  right: {shapes[1]}\n"
            "A check compares numbers, and must not be settled by a shape."
        )
    if shapes[0] is None or 0 not in shapes[0]:
        yield left, right


def _shape(side: Any) -> tuple[int, ...] | None:
    if isinstance(side, bool | int | str | list | tuple):
        return None
    return tuple(side.shape)


def agree(ns: Namespace, comparison: Comparison) -> bool:
    """Whether both sides are exactly the same."""
    return all(_equal(ns, left, right) for left, right in sides(ns, comparison))


def _equal(ns: Namespace, left: Any, right: Any) -> bool:
    return bool(left == right) if _shape(left) is None else ns.equal(left, right)


def relative_gap(ns: Namespace, comparison: Comparison) -> float:
    """``max |left - right| / max(|left|, |right|)`` over the arrays of both sides, Euclidean norms.

    Plain values (ranks, truth values) must agree: the gap is 0 or 1.
    """
    return max(relative_difference(ns, left, right) for left, right in sides(ns, comparison))


def relative_difference(ns: Namespace, left: Any, right: Any) -> float:
    """``|left - right| / max(|left|, |right|)``."""
    if _shape(left) is None:
        return 0.0 if left == right else 1.0
    ordered = ns.ordered("a relative error")
    size = max(ordered.norm(left), ordered.norm(right))
    if not ordered.is_finite(left) or not ordered.is_finite(right):
        return float("inf")
    return ordered.norm(left - right) / size if size else 0.0


def witness(ns: Namespace, comparison: Comparison) -> dict[str, str]:
    """The first entry in which both sides differ, as text."""
    for left, right in sides(ns, comparison):
        if _equal(ns, left, right):
            continue
        if _shape(left) is None:
            return {"left": str(left), "right": str(right)}
        flat, other = _flat(ns, left), _flat(ns, right)
        position = next(i for i in range(len(flat)) if flat[i] != other[i])
        return {"left": str(flat[position]), "right": str(other[position]), "entry": str(position)}
    return {}


def side_digests(ns: Namespace, comparison: Comparison) -> tuple[str, str]:
    """SHA-256 of each side as text: of every array its shape and entries, ``2x2:1,0,0,1``; joined by ``|``.

    Entries are written in C order: integers from 0 to p - 1 over GF(p), reduced fractions over Q.
    """
    pairs = list(sides(ns, comparison))
    left, right = ("|".join(_text(ns, pair[position]) for pair in pairs) for position in (0, 1))
    return sha256(left.encode()).hexdigest(), sha256(right.encode()).hexdigest()


def _text(ns: Namespace, side: Any) -> str:
    if _shape(side) is None:
        return str(side)
    shape = "x".join(map(str, side.shape))
    return f"{shape}:{','.join(str(entry) for entry in _flat(ns, side))}"


def _flat(ns: Namespace, x: Array) -> Any:
    return ns.to_numpy(x).reshape(-1)
