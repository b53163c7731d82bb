"""What annotations call arrays, and numbers that meet them."""

from __future__ import annotations

from fractions import Fraction
from typing import Any, TypeAlias

Array: TypeAlias = Any
"""An array of some namespace.  Array libraries share no static type, so this is opaque."""

RandomSource: TypeAlias = Any
"""A ``numpy.random.Generator``."""

Scalar: TypeAlias = int | float | Fraction | Any
"""A weak Python scalar, or a 0-dimensional array of the kind."""
