"""Comparing both sides of a law: exactly where scalars are exact, else within a derived tolerance."""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays import Array, Namespace
from geomkfac.errors import GeomkfacError
from geomkfac.spaces import BaseFrame, Element, Parameterization, Space
from geomkfac.spaces.gauge import random_change
from geomkfac.testing.strategies import base_spaces_of

__all__ = ["Bench", "LawViolatedError"]

STEPS = 16
"""At most so many roundings follow one another in either side of a law."""


class LawViolatedError(GeomkfacError, AssertionError):
    """An object breaks a law that its class claims."""


@final
class Bench:
    """Random frames for some spaces, random elements in them, and the comparison of both sides of a law.

    Parameters
    ----------
    spaces : the spaces from which elements are drawn
    rng : numpy.random.Generator
    ns : namespace of the arrays; the default one of the kind where None

    Notes
    -----
    The tolerance in floating point is ``STEPS * epsilon * dim * condition ** (slots + 1) * scale``:
    each conversion of one slot multiplies an error by at most the condition number of the
    homogeneous change of basis, and `scale` is the largest coordinate norm that took part.
    """

    def __init__(self, spaces: list[Space], rng: Any, ns: Namespace | None = None) -> None:
        self.rng = rng
        self.ns = spaces[0].kind.default_namespace if ns is None else ns
        bases = list(dict.fromkeys(base for space in spaces for base in base_spaces_of(space)))
        drawn = [
            [BaseFrame(base, name, base._reference_frame(), random_change(base, rng)) for base in bases]
            for name in ("first", "second")
        ]
        self.first, self.second = (Parameterization(frames) for frames in drawn)
        self.condition = 1.0
        if self.ns.epsilon:
            both = [frame for frames in drawn for frame in frames]
            self.condition = max(self._condition(frame) for frame in both) ** 2

    def _condition(self, frame: BaseFrame) -> float:
        ns = frame.space.kind.default_namespace.ordered("a condition number")
        change = frame._step.homogeneous()
        if change.matrix is None or change.inverse is None:
            return 1.0
        return ns.norm(change.matrix) * ns.norm(change.inverse)

    def draw(self, space: Space, batch: tuple[int, ...] = ()) -> Any:
        """A random element, stored in the first or the second frame."""
        kappa = self.first if self.rng.integers(2) else self.second
        ns = self.ns
        return space._make(kappa[space], self._random(space.slots, batch), ns)

    def _random(self, slots: Any, batch: tuple[int, ...]) -> Any:
        if any(isinstance(part, tuple) for part in slots):
            return tuple(self._random(part, batch) for part in slots)
        return self.ns.random(self.rng, (*batch, *slots))

    def same(self, law: str, left: Element, right: Element, *others: Element) -> None:
        """Raise unless both sides are the same element; `others` took part and set the scale too."""
        if left.space is not right.space or left.batch_shape != right.batch_shape:
            raise LawViolatedError(f"{law}: the sides differ in space or batch.\n  {left!r}\n  {right!r}")
        if left.kind.is_exact:
            if not left == right:
                raise LawViolatedError(f"{law}: broken exactly, in {left.space!r} over {left.kind!r}.")
            return
        scale = 1.0 + sum(self.size(element) for element in (left, right, *others))
        gap = self._norm(left.space, left.coordinates(self.first), right.coordinates(self.first))
        allowed = self.tolerance(left.space) * scale
        if not gap <= allowed:
            raise LawViolatedError(f"{law}: broken by {gap:.1e} > {allowed:.1e}, in {left.space!r}.")

    def same_numbers(self, law: str, left: Array, right: Array, *others: Element) -> None:
        """Raise unless both sides are the same array of numbers, made from the elements `others`."""
        ns = self.ns
        if not ns.epsilon:
            if not ns.equal(left, right):
                raise LawViolatedError(f"{law}: broken exactly, over {ns.kind!r}.")
            return
        scale, tolerance = 1.0, 0.0
        for element in others:
            scale *= 1.0 + self.size(element)
            tolerance = max(tolerance, self.tolerance(element.space))
        gap = ns.ordered("a comparison").norm(left - right)
        if not gap <= tolerance * scale:
            raise LawViolatedError(f"{law}: broken by {gap:.1e} > {tolerance * scale:.1e}.")

    def size(self, element: Element) -> float:
        """The larger of the Euclidean norms of the coordinates in both frames."""
        return max(
            self._norm(element.space, element.coordinates(kappa)) for kappa in (self.first, self.second)
        )

    def tolerance(self, space: Space) -> float:
        """Relative to the scale; see the notes of the class."""
        return STEPS * self.ns.epsilon * (space.dim + 1) * self.condition ** (_depth(space.slots) + 1)

    def _norm(self, space: Space, x: Any, y: Any = None) -> float:
        ns = self.ns.ordered("a norm")
        flat = space._flatten(ns, x)
        return ns.norm(flat if y is None else flat - space._flatten(ns, y))


def _depth(slots: Any) -> int:
    if any(isinstance(part, tuple) for part in slots):
        return max(_depth(part) for part in slots)
    return len(slots)
