"""Gauge fuzzing: run a program again with every hidden choice of frame drawn anew.

Two choices are hidden from a user of intrinsic objects: the private reference frame of each base
space, and the frame in which each element happens to be stored.  While fuzzing is active both are
random.  A value that changes has leaked a frame that nobody named.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import TYPE_CHECKING, Any, Literal, final
from weakref import WeakKeyDictionary

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import GeomkfacError, SingularMatrixError, ValuesError
from geomkfac.required import shown
from geomkfac.spaces.frames.change import BaseChange
from geomkfac.spaces.frames.frame import BaseFrame

if TYPE_CHECKING:
    from geomkfac.spaces.space import BaseSpace

Draws = Literal["general", "dyadic"]

active: GaugeFuzzing | None = None

FRAMES_PER_SPACE = 3


@final
class GaugeFuzzing:
    """The draws of one fuzzed run.

    Parameters
    ----------
    rng : numpy.random.Generator
    draws : 'general' for invertible matrices and translations (condition number at most 10 in
        floating point), 'dyadic' for diagonal powers of two, which round nothing.
    """

    def __init__(self, rng: Any, draws: Draws) -> None:
        self._rng, self._draws = rng, draws
        self._frames: WeakKeyDictionary[BaseSpace, list[BaseFrame]] = WeakKeyDictionary()

    def draw(self, space: BaseSpace) -> BaseChange:
        """A random change of basis of a base space."""
        return random_change(space, self._rng, self._draws)

    def frame_of(self, space: BaseSpace) -> BaseFrame:
        """One of a few random frames of `space`."""
        frames = self._frames.get(space)
        if frames is None:
            root = space._reference_frame()
            frames = [BaseFrame(space, "gauge", root, self.draw(space)) for _ in range(FRAMES_PER_SPACE)]
            self._frames[space] = frames
        return frames[int(self._rng.integers(len(frames)))]

    def stored(self, element: Any) -> Any:
        """The same element, stored in a random frame."""
        return element._restored(element.space.frame_from(self.frame_of))


@contextmanager
def gauge_fuzzing(rng: Any, draws: Draws = "general") -> Iterator[GaugeFuzzing]:
    """Run the body with random reference and storage frames.

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.spaces import AffineSpace
    >>> with gauge_fuzzing(np.random.default_rng(0)):
    ...     A = AffineSpace("A", 2)
    ...     iota = A.frame("iota")
    ...     p = A.from_coordinates(np.asarray([1.0, 2.0]), iota)
    >>> bool(abs(p.coordinates(iota) - np.asarray([1.0, 2.0])).max() < 1e-12)
    True
    """
    global active  # noqa: PLW0603 - one switch for the process, on for the body of a `with` alone
    if draws not in ("general", "dyadic"):
        raise ValuesError(f"draws must be 'general' or 'dyadic', not {shown(draws)}.")
    if active is not None:
        raise GeomkfacError("gauge fuzzing is active already; one run is fuzzed once.")
    active = GaugeFuzzing(rng, draws)
    try:
        yield active
    finally:
        active = None


def random_change(space: BaseSpace, rng: Any, draws: Draws = "general") -> BaseChange:
    """A random invertible change of basis, of condition number at most 10 in floating point."""
    ns, dim, kind = space.kind.default_namespace, space.dim, space.kind
    if dim == 0:
        return BaseChange(kind, 0, None, None, None)
    if draws == "dyadic":
        scales = [Fraction(2) ** int(power) for power in rng.integers(-3, 4, size=dim)]
        columns = [ns.eye(dim)[i] * ns.scalar(scale) for i, scale in enumerate(scales)]
        inverses = [ns.eye(dim)[i] * ns.scalar(1 / scale) for i, scale in enumerate(scales)]
        return BaseChange(kind, dim, ns.stack(columns), ns.stack(inverses), None)
    matrix, inverse = _invertible(ns, rng, dim)
    translation = ns.random(rng, (dim,)) if space.is_affine else None
    return BaseChange(kind, dim, matrix, inverse, translation)


def _invertible(ns: Namespace, rng: Any, dim: int) -> tuple[Array, Array]:
    if ns.kind.is_exact:
        while True:
            matrix = ns.random(rng, (dim, dim))
            try:
                return matrix, ns.inverse(matrix)
            except SingularMatrixError:
                continue
    ordered = ns.ordered("a random basis of bounded condition number")
    left, _ = ordered.qr(ns.random(rng, (dim, dim)))
    right, _ = ordered.qr(ns.random(rng, (dim, dim)))
    stretch = 1.0 + 9.0 * ordered.uniform(rng, (dim,))
    return (left * stretch) @ right.mT, (right / stretch) @ left.mT
