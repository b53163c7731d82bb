"""The identity and polynomials as activations: rational, so over every kind of scalar."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar, final

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Namespace
from geomkfac.errors import KindError, ValuesError
from geomkfac.maps.activations.activation import Activation, InPyTorch
from geomkfac.maps.activations.by_name import registered, with_parameters
from geomkfac.required import check_type, shown


@final
@dataclass(frozen=True, slots=True)
class Identity(Activation):
    """``phi(z) = z``, over every kind of scalar."""

    name: ClassVar[str] = "identity"
    formula: ClassVar[str] = "z"
    positively_homogeneous: ClassVar[bool] = True
    pytorch: ClassVar[InPyTorch | None] = InPyTorch("Identity")

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        return z, ns.ones(z.shape)

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        return ns.zeros(z.shape)


@final
@dataclass(frozen=True, slots=True)
class Polynomial(Activation):
    """``phi(z) = c_0 + c_1 z + c_2 z² + ...``, over every kind of scalar that holds its coefficients.

    Parameters
    ----------
    coefficients : ``(c_0, c_1, ...)``, ascending; ints and Fractions for every kind, floats for floating
    """

    coefficients: tuple[Scalar, ...]

    def __post_init__(self) -> None:
        check_type("the list of coefficients of a polynomial", self.coefficients, (tuple, list), error=KindError)
        if not self.coefficients:
            raise ValuesError(
                "a polynomial needs coefficients.\n"
                "  required: (c_0, c_1, ...), at least one\n"
                "  came    : none\n"
                "Pass (0,) for the zero polynomial."
            )
        for power, c in enumerate(self.coefficients):
            if isinstance(c, bool | str | complex) or c is None:
                raise KindError(
                    f"coefficient {power} of a polynomial is no scalar.\n"
                    f"  required: int, Fraction or float\n"
                    f"  came    : {shown(c)}\n"
                    "Pass numbers, from the constant term upwards."
                )

    @property
    def name(self) -> str:
        """``polynomial(c_0, c_1, ...)``."""
        return f"polynomial({', '.join(map(str, self.coefficients))})"

    @property
    def formula(self) -> str:
        """``c_0 + c_1*z + c_2*z**2 + ...``, as SymPy reads it."""
        return " + ".join(f"({c})*z**{power}" for power, c in enumerate(self.coefficients))

    @property
    def positively_homogeneous(self) -> bool:
        """Whether it is ``c_1 z``."""
        return not any(c != 0 for power, c in enumerate(self.coefficients) if power != 1)

    def value_and_derivative(self, ns: Namespace, z: Array) -> tuple[Array, Array]:
        a, da, _ = self._horner(ns, z)
        return a, da

    def second_derivative(self, ns: Namespace, z: Array) -> Array:
        return self._horner(ns, z)[2] * 2

    def _horner(self, ns: Namespace, z: Array) -> tuple[Array, Array, Array]:
        """Value, derivative and half the second derivative, by Horner's rule on dual numbers."""
        a = da = half_dda = ns.zeros(z.shape)
        for c in reversed(self.coefficients):
            half_dda = half_dda * z + da
            da = da * z + a
            a = a * z + ns.scalar(c)
        return a, da, half_dda


identity = registered(Identity())


@with_parameters
def polynomial(*coefficients: int | Fraction | float | Array) -> Polynomial:
    """The activation ``phi(z) = c_0 + c_1 z + c_2 z² + ...``.

    Parameters
    ----------
    coefficients : ``c_0, c_1, ...``, or one sequence of them

    Examples
    --------
    >>> polynomial(1, 0, 3).name
    'polynomial(1, 0, 3)'
    >>> polynomial([1, 0, 3]) == polynomial(1, 0, 3)
    True
    """
    if len(coefficients) == 1 and isinstance(coefficients[0], list | tuple):
        return Polynomial(tuple(coefficients[0]))
    return Polynomial(coefficients)
