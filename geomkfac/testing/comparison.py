"""Comparing both sides of a law: exactly where scalars are exact, else within a derived tolerance."""

from __future__ import annotations

from typing import Any, final

from geomkfac.arrays import Array, Namespace
from geomkfac.errors import GeomkfacError
from geomkfac.spaces import BaseFrame, Element, Parameterization, Space
from geomkfac.spaces.frames.change import BaseChange, HullChange
from geomkfac.spaces.frames.gauge import random_change
from geomkfac.spaces.space import BaseSpace
from geomkfac.testing.strategies import base_spaces_of

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
    The tolerance in floating point is ``STEPS * epsilon * (dim + 1) * condition ** slots * scale``: a
    conversion multiplies an error, for each slot, by at most the condition numbers of the homogeneous
    changes from the reference to both frames, and `scale` is the sum of the coordinate norms that took
    part.  The frames are drawn well conditioned, so that float32 is still tested.
    """

    def __init__(self, spaces: list[Space], rng: Any, ns: Namespace | None = None) -> None:
        self.rng = rng
        self.ns = spaces[0].kind.default_namespace if ns is None else ns
        bases = list(dict.fromkeys(base for space in spaces for base in base_spaces_of(space)))
        drawn = [
            [BaseFrame(base, name, base._reference_frame(), _well_conditioned(base, rng)) for base in bases]
            for name in ("first", "second")
        ]
        self.first, self.second = (Parameterization(frames) for frames in drawn)
        self.condition = 1.0
        if not self.ns.kind.is_exact:
            first, second = (max(_condition(frame) for frame in frames) for frames in drawn)
            self.condition = first * second
        self._turn = False

    def draw(self, space: Space, batch: tuple[int, ...] = ()) -> Any:
        """A random element, stored in the first and the second frame by turns, so that frames meet."""
        self._turn = not self._turn
        kappa = self.first if self._turn else self.second
        return space.from_components(kappa[space], self._random(space.slots, batch), self.ns)

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
        if ns.kind.is_exact:
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
        return max(self._norm(element.space, element.coordinates(kappa)) for kappa in (self.first, self.second))

    def tolerance(self, space: Space) -> float:
        """Relative to the scale; see the notes of the class."""
        return STEPS * self.ns.epsilon * (space.dim + 1) * self.condition ** _depth(space.slots)

    def _norm(self, space: Space, x: Any, y: Any = None) -> float:
        ns = self.ns.ordered("a norm")
        flat = space.flatten(ns, x)
        return ns.norm(flat if y is None else flat - space.flatten(ns, y))


def _depth(slots: Any) -> int:
    if any(isinstance(part, tuple) for part in slots):
        return max(_depth(part) for part in slots)
    return len(slots)


def _well_conditioned(base: BaseSpace, rng: Any) -> BaseChange:
    """A random change; in floating point an orthogonal matrix with columns scaled by 1 to 2, and a short shift."""
    ns, dim = base.kind.default_namespace, base.dim
    if ns.kind.is_exact or dim == 0:
        return random_change(base, rng)
    ordered = ns.ordered("a random orthogonal matrix")
    orthogonal, _ = ordered.qr(ns.random(rng, (dim, dim)))
    stretch = 1.0 + ordered.uniform(rng, (dim,))
    shift = ordered.uniform(rng, (dim,)) - 0.5 if base.is_affine else None
    return BaseChange(base.kind, dim, orthogonal * stretch, (orthogonal / stretch).mT, shift)


def _condition(frame: BaseFrame) -> float:
    """The condition number of the homogeneous change from the parent."""
    ns, hull = frame.space.kind.default_namespace, HullChange(1, frame._step)
    matrix = hull.apply(ns, hull.arrays, ns.eye(frame.space.dim + 1), -2)
    values = ns.ordered("a condition number").singular_values(matrix)
    return float(values[0]) / float(values[-1])
