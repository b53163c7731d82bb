"""The comparison of two sums over the same data: exactly over exact kinds, else to a bound that is derived."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any, final

import numpy as np

from geomkfac.spaces import Element, Span

from .cut_data import Problem, Run, moments_of


def leaves(thing: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """The fields of moments, down to what has none: with a new field comes a new leaf."""
    if is_dataclass(thing) and type(thing).__module__.startswith("geomkfac.networks.moments"):
        for field in fields(thing):
            yield from leaves(getattr(thing, field.name), f"{path}.{field.name}")
    elif isinstance(thing, tuple):
        for index, part in enumerate(thing):
            yield from leaves(part, f"{path}[{index}]")
    else:
        yield path, thing


def numbers(given: Problem, leaf: Any) -> list[Any] | None:
    """The arrays of a leaf in the network's own frames; None where it is no array."""
    if isinstance(leaf, Span):
        leaf = leaf.basis()
    if isinstance(leaf, Element):
        found = leaf.coordinates(given.iota)
        return list(found) if isinstance(found, tuple) else [found]
    return [leaf] if getattr(leaf, "shape", None) is not None else None


def same(given: Problem, what: str, found: list[Any], expected: list[Any], size: float) -> None:
    """Raise unless both are equal: over floats to what is allowed, in units of `size`."""
    assert len(found) == len(expected), what
    for left, right in zip(found, expected, strict=True):
        assert tuple(left.shape) == tuple(right.shape), what
        if given.exact:
            assert given.ns.equal(left, right), what
        elif left.size:
            gap = float(np.abs(left - right).max())
            assert gap <= given.allowed * size, f"{what}: {gap:.1e} > {given.allowed * size:.1e}"


def largest(arrays: list[Any]) -> float:
    return max([float(np.abs(array).max()) for array in arrays if array.size], default=0.0)


def factors_of(given: Problem, moments: Any) -> list[list[Any]]:
    """The factors of the metric, those of activations and those of derivatives, in the network's own frames."""
    blocks = moments.metric().coordinates(given.iota).blocks
    return [[block.factors[side] for block in blocks] for side in (0, 1)]


@final
class Whole:
    """Moments of all data, to compare others with: every field and count, and the metric that they are for.

    A sum that has axes may stand about another reference point, or in another frame: so these, and frames, are compared
    after both have been added to the same moments.  What rounding did to the first data of a sample is not a sum.
    """

    def __init__(self, given: Problem, run: Run, moments: Any = None) -> None:
        self.given, self.anchor = given, run(given.sample(0, 2))
        self.moments = run(given.sample()) if moments is None else moments
        self.leaves, self.carried = dict(leaves(self.moments)), dict(leaves(self.anchor + self.moments))
        self.factors = factors_of(given, self.moments)

    def check(self, found: Any, *, counts: bool = True) -> None:
        """Raise unless these are the same moments; where `counts` is False, but for integers."""
        given, of_found, carried = self.given, dict(leaves(found)), dict(leaves(self.anchor + found))
        assert of_found.keys() == self.leaves.keys()
        for path, leaf in self.leaves.items():
            if path.endswith(".noise") and not given.exact:
                continue
            arrays = numbers(given, leaf)
            if arrays is None:
                expected, other = (self.carried, carried) if path.endswith(".frame") else (self.leaves, of_found)
                equal = other[path] is expected[path] or bool(other[path] == expected[path])
                assert equal or (isinstance(leaf, int) and not counts), path
                continue
            left, right = numbers(given, of_found[path]), arrays
            if any(array.ndim for array in arrays):
                left, right = numbers(given, carried[path]), numbers(given, self.carried[path]) or []
            assert left is not None, path
            same(given, path, left, right, self._size(path))
        for side, factors in enumerate(factors_of(given, found)):
            size = 0.0 if given.exact else largest(self.factors[side])
            same(given, f"factor {side} of the metric", factors, self.factors[side], size)

    def _size(self, path: str) -> float:
        """The largest number of that field, of any layer."""
        if self.given.exact:
            return 0.0
        field = path.rpartition(".")[2]
        alike = (numbers(self.given, leaf) or [] for name, leaf in self.carried.items() if name.endswith(f".{field}"))
        return max(1.0, *map(largest, alike))


def same_losses(given: Problem, found: Any, whole: Any) -> None:
    """Mean losses where the kind has these, and differentials."""
    if given.exact:
        assert found == whole
        return
    # A mean of products of an input and a derivative: at most the root of the means of their squares.
    of_inputs, of_derivatives = map(largest, factors_of(given, moments_of(given, "empirical", "kfc")(given.sample())))
    size = math.sqrt(of_inputs * max(1.0, of_derivatives) * given.places) + abs(float(whole[0]))
    same(given, "loss", [found[0]], [whole[0]], size)
    same(given, "differential", list(found[1].coordinates(given.iota)), list(whole[1].coordinates(given.iota)), size)
