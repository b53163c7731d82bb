"""Running a program again under gauge fuzzing, and comparing what it returns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from geomkfac.arrays import namespace_of
from geomkfac.spaces.frames.change import map_components
from geomkfac.spaces.frames.gauge import gauge_fuzzing
from geomkfac.testing.comparison import LawViolatedError


def check_gauge(
    program: Callable[[], Any],
    rng: Any,
    *,
    draws: Literal["general", "dyadic"] = "general",
    runs: int = 3,
    rtol: float = 0.0,
) -> None:
    """Check that a program's arrays do not depend on any frame that nobody named.

    Parameters
    ----------
    program : makes its own spaces and returns an array, or a tuple of arrays; must draw nothing itself
        that differs from run to run
    rng : numpy.random.Generator, for the hidden frames
    draws : as in `gauge_fuzzing`
    runs : how often the program is run again
    rtol : allowed Euclidean distance, relative to the norm of the plain run's array; 0.0 asks for
        equality bit for bit

    Raises
    ------
    LawViolatedError
        Where a run returns something else.

    Examples
    --------
    >>> import numpy as np
    >>> from geomkfac.arrays import GF
    >>> from geomkfac.spaces import VectorSpace
    >>> field = GF(101)
    >>> def honest():
    ...     V = VectorSpace("V", 2, field)
    ...     e = V.frame("e")
    ...     v = V.from_coordinates(field.default_namespace.asarray([1, 2]), e)
    ...     return (v + v).coordinates(e)
    >>> check_gauge(honest, np.random.default_rng(0))
    """
    plain = program()
    for _ in range(runs):
        with gauge_fuzzing(rng, draws):
            fuzzed = program()
        map_components(lambda x, y: _compare(x, y, rtol), _tree(plain), _tree(fuzzed))


def _tree(result: Any) -> Any:
    return tuple(_tree(part) for part in result) if isinstance(result, tuple | list) else result


def _compare(plain: Any, fuzzed: Any, rtol: float) -> None:
    ns = namespace_of(plain)
    if tuple(plain.shape) != tuple(fuzzed.shape):
        raise LawViolatedError(f"a hidden frame shows in a shape: {plain.shape} became {fuzzed.shape}.")
    if not rtol or ns.kind.is_exact:
        if not ns.equal(plain, fuzzed):
            raise LawViolatedError("a hidden frame shows: the program returned other numbers when run again.")
        return
    ordered = ns.ordered("a comparison")
    gap, size = ordered.norm(fuzzed - plain), ordered.norm(plain)
    if not gap <= rtol * size:
        raise LawViolatedError(f"a hidden frame shows: a gap of {gap:.1e} > {rtol:.1e} of {size:.1e}.")
