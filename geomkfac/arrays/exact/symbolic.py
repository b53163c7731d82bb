"""The kind `symbolic`: SymPy expressions in NumPy arrays of objects, for small sizes.

The same geometry and K-FAC code runs over it and shows its formulas.  Symbols are real numbers.  Equality
is decided by simplification: of rational expressions for certain, of others as far as SymPy's `simplify`
goes, and what it cannot show to be zero counts as different.
"""

from __future__ import annotations

from typing import Any, final

import numpy as np

from geomkfac.arrays.array import Array, RandomSource
from geomkfac.arrays.exact.objects import ObjectNamespace, entries_of_matrix
from geomkfac.arrays.exact.strict import ExactKind
from geomkfac.errors import SingularMatrixError


def sympy() -> Any:
    """The module, imported when first needed."""
    import sympy as module

    return module


@final
class SymbolicKind(ExactKind):
    """Real expressions.  The only one is `symbolic`."""

    __slots__ = ()

    name = "symbols"
    noun = "an array of expressions"

    @property
    def default_namespace(self) -> SymbolicNamespace:
        return _NAMESPACE

    def __reduce__(self) -> str:
        return "symbolic"


symbolic = SymbolicKind()
"""The kind of SymPy expressions."""


def vanishes(expression: Any) -> bool:
    """Whether an expression is shown to be zero: by cancelling fractions, else by SymPy's `simplify`.

    Examples
    --------
    >>> import sympy
    >>> x = sympy.Symbol("x", real=True)
    >>> vanishes((x**2 - 1) / (x - 1) - x - 1), vanishes(x - 1)
    (True, False)
    """
    module = sympy()
    expression = module.sympify(expression)
    if expression.is_Number:
        return bool(expression == 0)
    expression = _exponentials_named(expression)
    free = expression.free_symbols
    if not free or not expression.is_rational_function(*free):
        return bool(module.simplify(expression) == 0)
    numerator, _ = module.fraction(module.together(expression))
    return bool(module.expand(numerator) == 0)


def _exponentials_named(expression: Any) -> Any:
    """The same with a symbol for e^x, of every symbol x: e^x and x are algebraically independent."""
    module = sympy()
    if not expression.has(module.exp):
        return expression
    expanded = module.expand(expression, power_exp=True, deep=True, mul=False, multinomial=False, log=False)
    names: dict[Any, Any] = {}
    for atom in expanded.atoms(module.exp):
        multiple, rest = atom.args[0].as_coeff_Mul()
        if not rest.is_Symbol or not multiple.is_Integer:
            return expression
        names[atom] = module.Symbol(f"exp_{rest.name}", positive=True) ** multiple
    return expanded.xreplace(names)


def symbols(rng: RandomSource, shape: tuple[int, ...], name: str | None = None, *, positive: bool = False) -> Array:
    """An array of fresh symbols, indexed from 1.

    Parameters
    ----------
    rng : tells which names are taken, where it is a `Stream`
    shape : of the array
    name : as in ``"W"``, giving W_11, W_12, ...; a prime is added where it is taken; by default x_1, x_2, ...
    positive : whether they are assumed to be positive
    """
    module = sympy()
    label = rng.fresh_name(name) if hasattr(rng, "fresh_name") else f"{name or 'x'}{int(rng.integers(2**62))}"
    assumptions = {"positive": True} if positive else {"real": True}
    entries = np.empty(shape, dtype=object)
    for index in np.ndindex(*shape):
        subscript = ("" if max(shape, default=0) < 10 else ",").join(str(i + 1) for i in index)
        joint = "" if not subscript else ("," if "_" in label else "_")
        entries[index] = module.Symbol(f"{label}{joint}{subscript}", **assumptions)
    return _NAMESPACE.wrap(entries)


@final
class SymbolicNamespace(ObjectNamespace):
    """Arrays of expressions.  The only one is ``symbolic.default_namespace``."""

    __slots__ = ()

    kind = symbolic
    name = "symbols"

    def __reduce__(self) -> str:
        return "_NAMESPACE"

    # -- arrays in and out
    door = (
        "SymPy expressions, integers or Fractions",
        "expressions",
        "Write a float as the Fraction that it stands for.",
    )

    def number(self, numerator: int, denominator: int = 1) -> Any:
        return sympy().Rational(numerator, denominator)

    def is_entry(self, value: Any) -> bool:
        return isinstance(value, sympy().Expr)

    def vanishing(self, entries: Any) -> int:
        return sum(vanishes(entry) for entry in entries.flat)

    def to_numpy(self, x: Array) -> Any:
        return x.entries.copy()

    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        """Fresh symbols."""
        return symbols(rng, shape)

    # -- linear algebra
    def solve_entries(self, a: Any, b: Any) -> Any:
        module = sympy()
        matrix = _matrix(a)
        determinant = module.factor(matrix.det(method="berkowitz"))
        if vanishes(determinant):
            raise SingularMatrixError(
                f"a matrix of expressions is singular.\n  required: rank {a.shape[0]}\n"
                "  came    : determinant 0\nSolve in a complement of its nullspace."
            )
        solution = matrix.adjugate() * _matrix(b)
        # Cancelled, as a network has many layers of these.
        cancelled = [module.cancel(entry / determinant) for entry in solution]
        return entries_of_matrix(cancelled, b.shape)

    def rank(self, a: Array) -> int:
        return int(_matrix(a.entries).rank(iszerofunc=vanishes)) if a.entries.size else 0

    def nullspace(self, a: Array) -> Array:
        n = a.shape[-1]
        if not a.entries.size:
            return self.eye(n)
        columns = _matrix(a.entries).nullspace(iszerofunc=vanishes, simplify=sympy().cancel)
        rows = [entry for column in columns for entry in column]
        return self.wrap(entries_of_matrix(rows, (len(columns), n)).T)

    # -- comparison
    def equal(self, x: Array, y: Array) -> bool:
        other = self.asarray(y)
        return x.shape == other.shape and self.is_zero(x - other)

    def is_zero(self, x: Array) -> bool:
        return all(vanishes(entry) for entry in x.entries.flat)

    # -- what is shown
    def simplified(self, x: Array) -> Array:
        """Every entry in the shortest form that SymPy finds."""
        entries = np.empty(x.shape, dtype=object)
        for index, entry in np.ndenumerate(x.entries):
            entries[index] = sympy().simplify(entry)
        return self.wrap(entries)


def _matrix(entries: Any) -> Any:
    return sympy().Matrix(*entries.shape, list(entries.ravel()))


_NAMESPACE = SymbolicNamespace()
