"""Arrays of the kinds that this package computes with itself: nothing converts or mixes silently.

Operators are written once here; the namespace of an array does the arithmetic.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from fractions import Fraction
from typing import Any, NoReturn, SupportsIndex

from geomkfac.arrays.array import Array, Scalar
from geomkfac.arrays.namespace import Kind, Namespace
from geomkfac.arrays.refusals import describe, refuse_mixture
from geomkfac.errors import DivisionByZeroError, InexactEqualityError, KindError, ShapeError


class ExactKind(Kind):
    """A kind in which nothing is rounded, and whose arrays are all of one namespace."""

    __slots__ = ()

    is_exact = True
    advice = "Convert it with the namespace's asarray first."

    @property
    def noun(self) -> str:
        """What an array of this kind is called in messages."""
        return f"an array over {self.name}"

    def namespace_of(self, array: Array) -> Namespace:
        if isinstance(array, StrictArray) and array.namespace is self.default_namespace:
            return self.default_namespace
        raise KindError(
            f"{self.noun} is required.\n  required: {self.name}\n  came    : {describe(array)}\n{self.advice}"
        )


class StrictNamespace(Namespace):
    """A namespace whose arrays are `StrictArray`: both operands below are arrays of this namespace."""

    __slots__ = ()

    epsilon = 0.0

    @abstractmethod
    def add(self, x: Array, y: Array) -> Array: ...

    @abstractmethod
    def subtract(self, x: Array, y: Array) -> Array: ...

    @abstractmethod
    def multiply(self, x: Array, y: Array) -> Array: ...

    @abstractmethod
    def divide(self, x: Array, y: Array) -> Array:
        """Raises `DivisionByZeroError` where an entry of `y` is zero."""

    @abstractmethod
    def negate(self, x: Array) -> Array: ...

    @abstractmethod
    def admit(self, values: Any, what: str) -> Array:
        """The door's conversion of what is not a `StrictArray`."""

    def asarray(self, values: Any, *, what: str = "array") -> Array:
        if isinstance(values, StrictArray):
            if values.namespace is not self:
                refuse_mixture(what, self.name, values.namespace.name)
            return values
        return self.admit(values, what)

    def cast(self, x: Array) -> Array:
        return self.asarray(x)

    def scalar(self, value: Scalar) -> Array:
        number = self.asarray(value, what="scalar")
        if number.ndim:
            raise ShapeError(
                f"a scalar is required.\n  required: shape ()\n  came    : shape {number.shape}\n"
                "Pass a number, or index one entry."
            )
        return number

    def gram(self, x: Array, weights: Array | None = None) -> Array:
        weighted = x if weights is None else x * weights[..., None]
        return self.matmul(weighted.mT, x)


class StrictArray(ABC):
    """An immutable array; made and computed with by its `namespace`.

    It takes part in arithmetic with arrays of the same namespace, ints and Fractions alone.
    """

    __slots__ = ()

    __array_ufunc__ = None
    __hash__ = None  # type: ignore[assignment]

    @property
    @abstractmethod
    def namespace(self) -> StrictNamespace: ...

    # -- shape
    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]: ...

    @property
    @abstractmethod
    def mT(self) -> Array:
        """The transpose of the last two axes."""

    @abstractmethod
    def _indexed(self, index: Any) -> Array:
        """The entries at a checked basic `index`."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def __getitem__(self, index: Any) -> Array:
        for part in index if isinstance(index, tuple) else (index,):
            basic = part is None or part is ... or isinstance(part, slice | SupportsIndex)
            if not basic or isinstance(part, bool | StrictArray) or hasattr(part, "shape"):
                raise KindError(
                    f"arrays over {self.namespace.name} have basic indexing only.\n"
                    f"  required: integers, slices, None and ...\n  came    : {describe(part)}\n"
                    "Use namespace.take for a list of indices along one axis."
                )
        return self._indexed(index)

    # -- arithmetic
    def __add__(self, other: Any) -> Array:
        return self.namespace.add(self, self._lifted(other))

    __radd__ = __add__

    def __sub__(self, other: Any) -> Array:
        return self.namespace.subtract(self, self._lifted(other))

    def __rsub__(self, other: Any) -> Array:
        return self.namespace.subtract(self._lifted(other), self)

    def __mul__(self, other: Any) -> Array:
        if _handles_scalars(other):
            return NotImplemented
        return self.namespace.multiply(self, self._lifted(other))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Array:
        if not _is_weak(other):
            return self.namespace.divide(self, self._lifted(other))
        if other == 0:
            raise DivisionByZeroError(
                f"cannot divide an array over {self.namespace.name} by zero.\n"
                f"  required: a nonzero number\n  came    : {other}\nDivide by what is invertible."
            )
        return self.namespace.multiply(self, self.namespace.scalar(1 / Fraction(other)))

    def __rtruediv__(self, other: Any) -> Array:
        return self.namespace.divide(self._lifted(other), self)

    def __neg__(self) -> Array:
        return self.namespace.negate(self)

    def __matmul__(self, other: Any) -> Array:
        if not isinstance(other, StrictArray):
            self._refuse(other)
        return self.namespace.matmul(self, self._lifted(other))

    def __rmatmul__(self, other: Any) -> NoReturn:
        self._refuse(other)

    def _lifted(self, other: Any) -> Array:
        """`other` as an array of the same namespace."""
        if isinstance(other, StrictArray) and other.namespace is self.namespace:
            return other
        return self.namespace.scalar(other) if _is_weak(other) else self._refuse(other)

    def _refuse(self, other: Any) -> NoReturn:
        came = f"array over {other.namespace.name}" if isinstance(other, StrictArray) else describe(other)
        raise KindError(
            "cannot combine scalars of different kinds.\n"
            f"  one  : array over {self.namespace.name}\n  other: {came}\n"
            "Exact arrays combine with arrays of the same kind, ints and Fractions; convert on purpose first."
        )

    # -- refused
    def __eq__(self, other: object) -> NoReturn:
        self._refuse_comparison(other)

    def __ne__(self, other: object) -> NoReturn:
        self._refuse_comparison(other)

    def _refuse_comparison(self, other: object) -> NoReturn:
        raise InexactEqualityError(
            "== of arrays is refused, as array libraries disagree on what it means.\n"
            f"  left : array over {self.namespace.name}\n  right: {describe(other)}\n"
            "Use namespace.equal(x, y): whether shapes agree and every entry is the same."
        )

    def __array__(self, dtype: Any = None, copy: Any = None) -> NoReturn:
        raise KindError(
            "an exact array does not turn into a NumPy array silently.\n"
            f"  required: a NumPy array\n  came    : array over {self.namespace.name}\n"
            "Use namespace.to_numpy(x) for its entries as Python numbers."
        )

    def __bool__(self) -> NoReturn:
        raise KindError(
            "an array has no truth value.\n"
            f"  required: True or False\n  came    : array over {self.namespace.name}\n"
            "Use namespace.is_zero(x) or namespace.equal(x, y)."
        )

    def __iter__(self) -> NoReturn:
        raise KindError(
            "an array is not iterated over.\n"
            f"  required: a sequence\n  came    : array over {self.namespace.name}\n"
            "Index it, or compute with all of it at once."
        )


def _handles_scalars(value: Any) -> bool:
    """Whether `value`, no array, asks for arithmetic with arrays to be left to it, by NumPy's protocol."""
    return not isinstance(value, StrictArray) and getattr(type(value), "__array_ufunc__", value) is None


def _is_weak(value: Any) -> bool:
    return isinstance(value, int | Fraction) and not isinstance(value, bool)
