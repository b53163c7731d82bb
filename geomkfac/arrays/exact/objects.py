"""Kinds whose entries are Python objects with an arithmetic of their own: fractions of python-flint, expressions."""

from __future__ import annotations

from abc import abstractmethod
from fractions import Fraction
from typing import Any, NoReturn

import numpy as np

from geomkfac.arrays.exact.fields import ExactNamespace
from geomkfac.arrays.refusals import describe
from geomkfac.errors import DivisionByZeroError, KindError


class ObjectNamespace(ExactNamespace):
    """Arrays of objects that add, subtract, multiply and divide."""

    __slots__ = ()

    door: tuple[str, str, str]
    """For messages: what may come in, what is required of it, and what to do with anything else."""

    @abstractmethod
    def number(self, numerator: int, denominator: int = 1) -> Any:
        """A fraction as an entry."""

    @abstractmethod
    def is_entry(self, value: Any) -> bool:
        """Whether `value` is an entry already."""

    @abstractmethod
    def vanishing(self, entries: Any) -> int:
        """How many of the entries are zero."""

    # -- arrays in
    def entries_of(self, values: Any, what: str) -> Any:
        given = np.array(values, dtype=object) if isinstance(values, list | tuple) else np.asarray(values)
        if given.dtype.kind not in "iuO":
            self._refuse(values, what)
        entries = np.empty(given.shape, dtype=object)
        for index, value in np.ndenumerate(given):
            if self.is_entry(value):
                entries[index] = value
            elif isinstance(value, int | np.integer | Fraction) and not isinstance(value, bool):
                entries[index] = self.number(int(value.numerator), int(value.denominator))
            else:
                self._refuse(value, what)
        return entries

    def _refuse(self, values: Any, what: str) -> NoReturn:
        hold, required, advice = self.door
        raise KindError(
            f"{what} must hold {hold}.\n  required: {required}\n  came    : {describe(values)}\n{advice}"
        )

    # -- arithmetic
    def add_entries(self, x: Any, y: Any) -> Any:
        return x + y

    def subtract_entries(self, x: Any, y: Any) -> Any:
        return x - y

    def multiply_entries(self, x: Any, y: Any) -> Any:
        return x * y

    def negate_entries(self, x: Any) -> Any:
        return -x

    def divide_entries(self, x: Any, y: Any) -> Any:
        zeros = self.vanishing(np.asarray(y, dtype=object))
        if zeros:
            raise DivisionByZeroError(
                f"cannot divide over {self.name}: the divisor has zero entries.\n  required: nonzero entries\n"
                f"  came    : {zeros} zero entries of {np.size(y)}\nDivide by what is invertible."
            )
        return x / y

    def sum_entries(self, x: Any, axes: tuple[int, ...]) -> Any:
        return np.sum(x, axis=axes, initial=self.number(0))

    def matmul_entries(self, a: Any, b: Any) -> Any:
        # An empty sum would be the integer 0.
        return np.matmul(a, b) + self.number(0)


def entries_of_matrix(entries: Any, shape: tuple[int, ...]) -> Any:
    """A library's list of a matrix's entries, row by row, as an array of objects."""
    array = np.empty(len(entries), dtype=object)
    array[:] = entries
    return array.reshape(shape)
