"""What annotations call arrays, and numbers that meet them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

from geomkfac.errors import KindError
from geomkfac.required import shown

Array: TypeAlias = Any
"""An array of some namespace.  Array libraries share no static type, so this is opaque."""

RandomSource: TypeAlias = Any
"""A ``numpy.random.Generator``."""


def check_random_source(rng: RandomSource) -> None:
    """Refuse what is no ``numpy.random.Generator``, nor draws as one does.

    Raises
    ------
    KindError
    """
    if not callable(getattr(rng, "integers", None)):
        raise KindError(
            "random draws need a source.\n  required: a numpy.random.Generator\n"
            f"  came    : {type(rng).__name__}, {shown(rng)}\nMake one with numpy.random.default_rng(seed)."
        )


Scalar: TypeAlias = int | float | Fraction | Any
"""A weak Python scalar, or a 0-dimensional array of the kind."""
