"""The contract of the array layer: one namespace per kind of scalar, in two tiers.

A `Kind` says which numbers a space is built over.  A `Namespace` computes with arrays of one kind;
for floating point it is bound to an array library, a dtype and a device.  The *field* tier
(`Namespace`) is what every kind has; the *ordered* tier (`OrderedNamespace`) needs a notion of
positive, and only floating point has it.  Geometry written against the field tier runs unchanged
over GF(p), Q and floating point.

Arrays themselves are opaque here.  They support ``+ - * @``, unary minus, ``/`` by a nonzero
scalar or array, the attributes ``shape``, ``ndim`` and ``mT``, and basic indexing with integers,
slices, ``None`` and ``...`` (one index for every axis, or an ellipsis: the array API standard asks
for it).  Python ints and Fractions are weak scalars for every kind, floats for floating kinds only;
generic code passes a Fraction through `Namespace.scalar`, as array libraries do not know it.
Everything else goes through the namespace.  There is no einsum.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from geomkfac.arrays.array import Array, RandomSource, Scalar
from geomkfac.arrays.linear_algebra import LinearAlgebra
from geomkfac.errors import KindError


class Kind(ABC):
    """The kind of scalar of a space: floating point, or an exact field.

    Kinds are interned: two kinds are the same if and only if they are the same object.
    """

    __slots__ = ("__weakref__",)

    name: str
    """As shown in messages: ``'floating'``, ``'GF(1073741827)'``, ``'Q'``."""
    is_exact: bool
    """Whether nothing is ever rounded, so that ``==`` is meaningful."""

    @property
    @abstractmethod
    def default_namespace(self) -> Namespace:
        """The namespace in which frames keep their matrices (float64 on NumPy; the field itself)."""

    @abstractmethod
    def namespace_of(self, array: Array) -> Namespace:
        """The namespace of an array of this kind.  Raises `KindError` for any other object."""

    def __repr__(self) -> str:
        return self.name


class Namespace(ABC):
    """Field tier: what arrays of every kind of scalar can do.

    Namespaces are interned, so ``is`` compares kind, library, dtype and device at once.
    Shapes are written with ``*batch`` for any number of leading axes, which broadcast as in NumPy.
    """

    __slots__ = ("__weakref__",)

    kind: Kind
    name: str
    """As shown in messages: ``'numpy float64'``, ``'GF(1073741827)'``."""
    epsilon: float
    """Distance from 1 to the next number; exactly 0.0 where nothing is rounded."""

    # -- arrays in and out --------------------------------------------------------------------
    @abstractmethod
    def asarray(self, values: Any, *, what: str = "array") -> Array:
        """The door: checked conversion of what a user passed, called `what` in errors.

        Refuses (`KindError`) other kinds, dtypes and libraries; integer arrays where the kind is
        floating; (`ValuesError`) NaN and infinities.  Exact kinds take integer arrays, nested
        lists of ints and, where they can, Fractions.  May share memory with `values`.
        """

    @abstractmethod
    def copy(self, x: Array) -> Array:
        """A copy that shares no memory."""

    @abstractmethod
    def cast(self, x: Array) -> Array:
        """An array of the same *kind* from another namespace (float64 to float32, host to device)."""

    def cast_table(self, x: Array, *, what: str) -> Array:
        """`cast`, for what a user keeps beside the data, on the host or where the data lie; nowhere else."""
        return self.cast(x)

    @abstractmethod
    def to_numpy(self, x: Array) -> Any:
        """The entries as a NumPy array: floats as they are, exact scalars as Python objects."""

    def integers(self, values: Any, *, what: str) -> Any:
        """The door of integer arrays, such as labels: NumPy's, and those of the namespace's own library and device.

        Raises `KindError` for those of another library or device.
        """
        return self.to_numpy(values)

    def any(self, condition: Any) -> bool:
        """Whether any entry of a boolean array is true, of one that came of `integers` or of comparing arrays."""
        return bool(condition.any())

    # -- creation -----------------------------------------------------------------------------
    @abstractmethod
    def zeros(self, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def ones(self, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def eye(self, n: int) -> Array: ...

    @abstractmethod
    def scalar(self, value: Scalar) -> Array:
        """A 0-dimensional array from a weak scalar.  A float is refused by exact kinds."""

    @abstractmethod
    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        """Random entries: uniform over GF(p), small fractions over Q, standard normal in floating point."""

    # -- shape --------------------------------------------------------------------------------
    @abstractmethod
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def permute(self, x: Array, axes: Sequence[int]) -> Array:
        """All axes reordered, as in ``permute_dims``."""

    @abstractmethod
    def broadcast_to(self, x: Array, shape: tuple[int, ...]) -> Array: ...

    @abstractmethod
    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array: ...

    @abstractmethod
    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array: ...

    @abstractmethod
    def take(self, x: Array, indices: Any, axis: int) -> Array:
        """Entries at 1-dimensional integer `indices` along `axis`: a list, or what `integers` lets in."""

    # -- sums and products ---------------------------------------------------------------------
    @abstractmethod
    def sum(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array: ...

    @abstractmethod
    def matmul(self, a: Array, b: Array) -> Array:
        """Batched matrix product, (*batch, m, k) by (*batch, k, n), also with (k,) vectors as NumPy's."""

    @abstractmethod
    def gram(self, x: Array, weights: Array | None = None) -> Array:
        """``sum_n w_n x_n x_nᵀ`` for `x` of shape (..., N, n) and `weights` (..., N); shape (..., n, n).

        Exactly symmetric; a symmetric rank-k update where the library has one.  Floating
        weights must not be negative (their square roots are folded in).
        """

    def cross(self, x: Array, y: Array) -> Array:
        """``sum_n x_n y_nᵀ`` for `x` of shape (N, m) and `y` (N, n); shape (m, n)."""
        return self.matmul(x.mT, y)

    def row_sum(self, x: Array) -> Array:
        """The sum over the first axis, as accurate for many rows as for few."""
        return self.sum(x, axis=0)

    def rounding_of_sums(self, terms: int) -> float:
        """By how much `gram`, `cross` and `row_sum` of `terms` rows may be off, relative to what is added."""
        return 0.0

    @property
    def wide(self) -> Namespace:
        """Where sums over data grow: the namespace of twice the precision, where this one has few digits."""
        return self

    def homogeneous_gram(self, x: Array, weights: Array | None = None) -> Array:
        """`gram` of rows (N, n) with a one appended, without copying them; shape (n + 1, n + 1)."""
        count, n = x.shape
        total = self.scalar(count) if weights is None else self.sum(weights)
        column = self.reshape(self.row_sum(x), (n, 1)) if weights is None else self.cross(x, weights[:, None])
        top = self.concat([self.gram(x, weights), column], axis=1)
        bottom = self.concat([column.mT, self.reshape(total, (1, 1))], axis=1)
        return self.concat([top, bottom], axis=0)

    def apply(self, matrix: Array, x: Array, axis: int) -> Array:
        """Contract the last axis of `matrix` (m, n) with the negative `axis` of `x` (of length n)."""
        if axis == -1:
            return self.matmul(x, matrix.mT)
        if axis == -2:
            return self.matmul(matrix, x)
        order = [i for i in range(x.ndim) if i != x.ndim + axis]
        order.append(x.ndim + axis)
        inverse = [order.index(i) for i in range(x.ndim)]
        return self.permute(self.matmul(self.permute(x, order), matrix.mT), inverse)

    def congruence(self, matrix: Array, form: Array) -> Array:
        """``matrix @ form @ matrix.mT`` of a symmetric `form` (n, n) for `matrix` (m, n), exactly symmetric."""
        return self.matmul(self.matmul(matrix, form), matrix.mT)

    def pair(self, x: Array, y: Array, axes: int) -> Array:
        """Sum of ``x * y`` over the last `axes` axes: the pairing of a covector with a vector."""
        product = x * y
        return self.sum(product, axis=tuple(range(-axes, 0))) if axes else product

    def kron(self, a: Array, b: Array) -> Array:
        """Kronecker product of two matrices, (m, n) and (p, q), of shape (mp, nq)."""
        (m, n), (p, q) = a.shape, b.shape
        return self.reshape(a[:, None, :, None] * b[None, :, None, :], (m * p, n * q))

    def diagonal(self, x: Array) -> Array:
        """Diagonals of square matrices, (*batch, n, n) to (*batch, n)."""
        return self.sum(x * self.eye(x.shape[-1]), axis=-1)

    def trace(self, x: Array) -> Array:
        """Traces of square matrices, (*batch, n, n) to (*batch)."""
        return self.sum(self.diagonal(x), axis=-1)

    # -- linear algebra ------------------------------------------------------------------------
    @abstractmethod
    def solve(self, a: Array, b: Array) -> Array:
        """``x`` with ``a @ x = b``; `a` (*batch, n, n), `b` (*batch, n, k).  `SingularMatrixError`."""

    @abstractmethod
    def inverse(self, a: Array) -> Array:
        """Inverses of square matrices (*batch, n, n).  `SingularMatrixError`."""

    @abstractmethod
    def rank(self, a: Array) -> int:
        """Rank of one matrix (m, n).  Floating point: singular values above max(m, n) * epsilon * largest."""

    @abstractmethod
    def nullspace(self, a: Array) -> Array:
        """A basis of ``{x : a @ x = 0}`` for one matrix (m, n), as columns (n, n - rank)."""

    # -- comparison ------------------------------------------------------------------------------
    @abstractmethod
    def equal(self, x: Array, y: Array) -> bool:
        """Whether shapes agree and every entry is the same, exactly."""

    @abstractmethod
    def is_zero(self, x: Array) -> bool:
        """Whether every entry is exactly zero."""

    def ordered(self, purpose: str) -> OrderedNamespace:
        """The same namespace with its ordered tier; asked once, at a public face, naming the `purpose`.

        Raises `KindError` for kinds without order.
        """
        raise KindError(
            f"{purpose} needs an ordered kind of scalar (square roots, positive numbers).\n"
            f"  required: floating\n  came    : {self.kind}\n"
            "Use floating-point arrays, or an operation of field arithmetic alone."
        )

    def __repr__(self) -> str:
        return f"<namespace {self.name}>"


class OrderedNamespace(Namespace):
    """Ordered tier: floating point only, in the functions of an array library.

    Elementwise functions keep dtype and device.

    Attributes
    ----------
    xp : module of the library, with the functions of the array API standard
    linalg : its linear algebra, at the dtype's own precision
    dtype, device : the library's own objects
    """

    __slots__ = ("device", "dtype", "linalg", "xp")

    xp: Any
    linalg: LinearAlgebra
    dtype: Any
    device: Any

    def ordered(self, purpose: str) -> OrderedNamespace:
        return self

    # -- elementwise -----------------------------------------------------------------------------
    def sqrt(self, x: Array) -> Array:
        return self.xp.sqrt(x)

    def exp(self, x: Array) -> Array:
        return self.xp.exp(x)

    def expm1(self, x: Array) -> Array:
        return self.xp.expm1(x)

    def log(self, x: Array) -> Array:
        return self.xp.log(x)

    def log1p(self, x: Array) -> Array:
        return self.xp.log1p(x)

    def tanh(self, x: Array) -> Array:
        return self.xp.tanh(x)

    @abstractmethod
    def erfcx(self, x: Array) -> Array:
        """``exp(x²) erfc(x)`` for x >= 0, the scaled complementary error function."""

    def abs(self, x: Array) -> Array:
        return self.xp.abs(x)

    def sign(self, x: Array) -> Array:
        return self.xp.sign(x)

    def floor(self, x: Array) -> Array:
        return self.xp.floor(x)

    def maximum(self, x: Array, y: Array | float) -> Array:
        return self.xp.maximum(x, self._lifted(y))

    def minimum(self, x: Array, y: Array | float) -> Array:
        return self.xp.minimum(x, self._lifted(y))

    def where(self, condition: Array, x: Array | float, y: Array | float) -> Array:
        """`condition` comes from comparing arrays with ``<``, ``<=``, ``>``, ``>=``."""
        return self.xp.where(condition, self._lifted(x), self._lifted(y))

    def _lifted(self, y: Array | float) -> Array:
        # NumPy's scalars are Python's floats too, and arrays all the same.
        if isinstance(y, int | float) and not hasattr(y, "dtype"):
            return self.xp.asarray(y, dtype=self.dtype, device=self.device)
        return y

    # -- reductions ------------------------------------------------------------------------------
    def count(self, condition: Any) -> int:
        """How many entries of a boolean array, made by comparing arrays, are true."""
        return int(self.xp.count_nonzero(condition))

    def sort(self, x: Array) -> Array:
        """Ascending entries of an array (n,)."""
        return self.xp.sort(x)

    def max(self, x: Array, axis: int | None = None, *, keepdims: bool = False) -> Array:
        return self.xp.max(x, axis=axis, keepdims=keepdims)

    def argmax(self, x: Array, axis: int) -> Array:
        return self.xp.argmax(x, axis=axis)

    def cumulative_sum(self, x: Array, axis: int) -> Array:
        return self.xp.cumulative_sum(x, axis=axis)

    def is_finite(self, x: Array) -> bool:
        """Whether every entry is finite."""
        return bool(self.xp.all(self.xp.isfinite(x)))

    def norm(self, x: Array) -> float:
        """Euclidean norm of all entries, as a Python float."""
        return self.linalg.norm(x)

    # -- linear algebra --------------------------------------------------------------------------
    def cholesky(self, a: Array) -> Array:
        """Lower L with ``L @ L.mT = a``, (n, n).  `NotPositiveError` where `a` is not positive definite."""
        return self.linalg.cholesky(a)

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        """``x`` with ``factor @ factor.mT @ x = b``; `factor` lower (n, n), `b` (n, k)."""
        return self.linalg.cholesky_solve(factor, b)

    def cholesky_inverse(self, factor: Array) -> Array:
        """The inverse of ``factor @ factor.mT``, exactly symmetric; `factor` lower (n, n)."""
        return self.linalg.cholesky_inverse(factor)

    def triangular_solve(self, factor: Array, b: Array, *, transpose: bool = False) -> Array:
        """``x`` with ``factor @ x = b`` (or its transpose); `factor` lower (n, n), `b` (n, k)."""
        return self.linalg.triangular_solve(factor, b, transpose)

    def eigh(self, a: Array) -> tuple[Array, Array]:
        """Ascending eigenvalues (n,) and eigenvectors as columns (n, n) of one symmetric matrix."""
        return self.linalg.eigh(a)

    def qr(self, a: Array) -> tuple[Array, Array]:
        """Reduced QR of one matrix."""
        return self.linalg.qr(a)

    def singular_values(self, a: Array) -> Array:
        """Descending singular values of one matrix."""
        return self.linalg.singular_values(a)

    # -- arrays in -------------------------------------------------------------------------------
    @abstractmethod
    def uniform(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        """Uniform on [0, 1)."""

    def random(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        return self.cast_numpy(rng.standard_normal(shape))

    @abstractmethod
    def cast_numpy(self, x: Any) -> Array:
        """A NumPy floating array as an array of this namespace (used for tables and random draws)."""

    @abstractmethod
    def from_integers(self, x: Any) -> Array:
        """Integers or booleans, of NumPy or as `integers` lets them in, as floating-point numbers."""
