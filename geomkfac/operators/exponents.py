"""Powers: which exponents there are, and how a group element or a spectrum is raised to one."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from numbers import Real
from typing import Any

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.errors import KindError, NotPositiveError, SingularMatrixError, ValuesError


def as_exponent(exponent: Any) -> Fraction:
    """The exponent as an exact fraction.  Raises `KindError` for no number, `ValuesError` for NaN."""
    if isinstance(exponent, bool) or not isinstance(exponent, Real):
        raise KindError(
            "a power needs a real number as its exponent.\n  required: int, Fraction or float\n"
            f"  came    : {type(exponent).__name__}\nPass for example 2, -1 or Fraction(1, 2)."
        )
    if not isinstance(exponent, int | Fraction) and not math.isfinite(exponent):
        raise ValuesError(
            f"a power needs a finite exponent.\n  required: a finite number\n  came    : {exponent}\n"
            "Pass for example 2, -1 or Fraction(1, 2)."
        )
    return Fraction(exponent) if isinstance(exponent, int | Fraction) else Fraction(float(exponent))


def integer_power(one: Any, base: Any, exponent: int, product: Callable[[Any, Any], Any]) -> Any:
    """``base`` multiplied with itself `exponent` >= 0 times by `product`, in O(log exponent) products."""
    result = one
    while exponent:
        if exponent & 1:
            result = product(result, base)
        exponent >>= 1
        if exponent:
            base = product(base, base)
    return result


def spectral_power(
    namespace: OrderedNamespace, values: Array, exponent: Fraction, *, cutoff: float, what: str
) -> Array:
    """Eigenvalues of a positive semidefinite matrix to the power `exponent`, elementwise.

    Parameters
    ----------
    values : array of any shape
    exponent : Fraction
    cutoff : eigenvalues of at most this size cannot be told from zero
    what : the matrix, for messages

    Raises
    ------
    NotPositiveError
        where an eigenvalue is below ``-cutoff``.
    SingularMatrixError
        where `exponent` is negative and an eigenvalue is at most `cutoff`.
    """
    smallest = -float(namespace.max(-values))
    if smallest < -cutoff:
        raise NotPositiveError(
            f"the power {exponent} needs {what} to be positive semidefinite.\n"
            f"  required: eigenvalues of at least {-cutoff:.3g}, zero up to rounding\n"
            f"  came    : the eigenvalue {smallest:.6g}\n"
            "Powers that are no integers belong to matrices of metrics; check where this one comes from."
        )
    if exponent < 0 and smallest <= cutoff:
        raise SingularMatrixError(
            f"the power {exponent} needs {what} to be invertible.\n"
            f"  required: eigenvalues above {cutoff:.3g}\n  came    : the eigenvalue {smallest:.6g}\n"
            "Damp it first: damped_by_identity(gamma) or damped_by(other, gamma)."
        )
    positive = namespace.where(values > 0, values, 1.0)
    if exponent.denominator == 2:
        root, count = namespace.sqrt(positive), abs(exponent.numerator)
        powered = integer_power(namespace.ones(values.shape), root, count, lambda x, y: x * y)
        powered = namespace.ones(values.shape) / powered if exponent < 0 else powered
    else:
        powered = namespace.exp(namespace.log(positive) * float(exponent))
    return namespace.where(values > 0, powered, 0.0)
