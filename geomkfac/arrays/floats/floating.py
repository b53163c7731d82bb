"""The kind `floating`: float32 and float64 arrays of any library that follows the array API standard.

A namespace is bound to an array library, a dtype and a device.  NumPy arrays use LAPACK through
SciPy; PyTorch, CuPy and JAX arrays stay on their device and use its solvers; every other library
computes in the functions of the standard.  Values are checked at the door
(`FloatingNamespace.asarray`) and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from importlib import import_module
from typing import Any, final

import array_api_compat
import numpy as np

from geomkfac.arrays.array import Array, RandomSource, Scalar
from geomkfac.arrays.floats import special
from geomkfac.arrays.floats.admitted_arrays import plain, refuse_transformed
from geomkfac.arrays.floats.devices import device_name, device_named
from geomkfac.arrays.floats.recognition import dtype_name, is_array, is_floating, library_name, library_of
from geomkfac.arrays.floats.solvers.by_cupy import CupyLinearAlgebra
from geomkfac.arrays.floats.solvers.by_jax import JaxLinearAlgebra
from geomkfac.arrays.floats.solvers.by_numpy import NumpyLinearAlgebra
from geomkfac.arrays.floats.solvers.by_standard import StandardLinearAlgebra
from geomkfac.arrays.floats.solvers.by_torch import TorchLinearAlgebra
from geomkfac.arrays.linear_algebra import LinearAlgebra
from geomkfac.arrays.namespace import Kind, Namespace, OrderedNamespace
from geomkfac.arrays.refusals import refuse_array, refuse_integers, refuse_mixture, refuse_values
from geomkfac.counts import as_float
from geomkfac.errors import KindError


@final
class FloatingKind(Kind):
    """Floating-point numbers, of any precision, library and device.  The only one is `floating`."""

    __slots__ = ()

    name = "floating"
    is_exact = False

    @property
    def default_namespace(self) -> FloatingNamespace:
        return self.namespace_of(_PROTOTYPE)

    def namespace_of(self, array: Array) -> FloatingNamespace:
        device = getattr(array, "device", None)
        # CuPy's devices cannot be hashed.
        key = type(array), getattr(array, "dtype", None), device if getattr(device, "__hash__", None) else str(device)
        try:
            return _BY_ARRAY[key]
        except (KeyError, TypeError):
            namespace = _namespace_of(array)
            _BY_ARRAY[key] = namespace
            return namespace

    def __reduce__(self) -> str:
        return "floating"


@final
class FloatingNamespace(OrderedNamespace):
    """Floating point of one array library `xp`, dtype and device.  Interned: from `floating.namespace_of`."""

    __slots__ = ("_integer", "_rows_at_once", "_wide", "epsilon", "kind", "name", "place")

    def __init__(self, xp: Any, dtype: Any, device: Any) -> None:
        self.kind = floating
        self.xp = xp
        self.dtype = dtype
        self.device = device
        self._wide: FloatingNamespace | None = None
        self.epsilon = float(xp.finfo(dtype).eps)
        self._rows_at_once = _ROWS if self.epsilon < _FEW_DIGITS else _ROWS_OF_FEW_DIGITS
        # JAX has none of 64 bits unless they are switched on.
        self._integer = xp.asarray(np.zeros(0, dtype=np.int64), device=device).dtype
        self.place = device_name(device)
        self.name = f"{library_name(xp)} {dtype_name(dtype)}" + ("" if self.place == "cpu" else f" on {self.place}")
        self.linalg = _linear_algebra(xp, device)

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.xp.__name__, self.dtype, self.place)

    # -- arrays in and out
    def asarray(self, values: Any, *, what: str = "array") -> Array:
        if not is_floating(values):
            refuse_array(values, what, f"an array of {self.name}")
        namespace = floating.namespace_of(values)
        if namespace is not self:
            refuse_mixture(what, self.name, namespace.name)
        array = plain(values, what)
        if not self.is_finite(array):
            refuse_values(self.to_numpy(array), what)
        return array

    def copy(self, x: Array) -> Array:
        # PyTorch's asarray warns where autograd follows the copy.
        return x.clone() if array_api_compat.is_torch_array(x) else self.xp.asarray(x, copy=True)

    def cast(self, x: Array) -> Array:
        source = floating.namespace_of(x)
        if source is self:
            return x
        if source.xp is not self.xp:
            return self.cast_numpy(source.to_numpy(x))
        return array_api_compat.to_device(self.xp.astype(x, self.dtype), self.device)

    def cast_table(self, x: Array, *, what: str) -> Array:
        source = floating.namespace_of(x)
        on_host = array_api_compat.is_numpy_namespace(source.xp)
        if not on_host and (source.xp is not self.xp or source.place != self.place):
            refuse_mixture(what, f"{self.name}, or an array of NumPy", source.name)
        return self.cast(x)

    def cast_numpy(self, x: Any) -> Array:
        entries = np.asarray(x, dtype=dtype_name(self.dtype))
        return self.xp.asarray(entries, dtype=self.dtype, device=self.device)

    def to_numpy(self, x: Array) -> Any:
        if array_api_compat.is_torch_array(x):
            return x.detach().cpu().numpy()
        if array_api_compat.is_cupy_array(x):
            return x.get()
        if isinstance(x, np.ndarray | np.generic) or array_api_compat.is_jax_array(x):
            return np.asarray(x)
        # Others convert on the host alone.
        return np.asarray(array_api_compat.to_device(x, device_named(self.xp.__name__, "cpu")))

    def integers(self, values: Any, *, what: str) -> Any:
        if isinstance(values, np.ndarray | np.generic):
            return np.asarray(values)
        if not array_api_compat.is_array_api_obj(values):
            refuse_integers(values, what, self.name)
        refuse_transformed(values)
        xp, place = array_api_compat.array_namespace(values), device_name(array_api_compat.device(values))
        if xp is not self.xp or place != self.place:
            refuse_integers(values, what, self.name, f" on {place}")
        # Narrow ones cannot be compared with every number.
        return values if values.dtype == xp.bool else xp.astype(values, self._integer)

    def from_integers(self, x: Any) -> Array:
        return self.cast_numpy(x) if isinstance(x, np.ndarray) else self.xp.astype(x, self.dtype)

    def any(self, condition: Any) -> bool:
        return bool(condition.any()) if isinstance(condition, np.ndarray) else bool(self.xp.any(condition))

    # -- creation
    def zeros(self, shape: tuple[int, ...]) -> Array:
        return self.xp.zeros(shape, dtype=self.dtype, device=self.device)

    def ones(self, shape: tuple[int, ...]) -> Array:
        return self.xp.ones(shape, dtype=self.dtype, device=self.device)

    def eye(self, n: int) -> Array:
        return self.xp.eye(n, dtype=self.dtype, device=self.device)

    def scalar(self, value: Scalar) -> Array:
        if isinstance(value, int | float | Fraction | np.integer) and not isinstance(value, bool):
            number = as_float(value)
            if not math.isfinite(number):
                refuse_values(np.asarray(number), "scalar")
            return self.xp.asarray(number, dtype=self.dtype, device=self.device)
        if not is_array(value):
            refuse_array(value, "scalar", f"a number, or an array of {self.name}")
        if value.ndim:
            raise KindError(
                f"a scalar is required.\n  required: shape ()\n  came    : shape {tuple(value.shape)}\n"
                "Pass a number, or index one entry."
            )
        return self.cast(value)

    def uniform(self, rng: RandomSource, shape: tuple[int, ...]) -> Array:
        # Drawn at the dtype's own precision: a double just below 1 would round up to 1.
        return self.cast_numpy(rng.random(shape, dtype=np.dtype(dtype_name(self.dtype)).type))

    # -- shape
    def reshape(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.xp.reshape(x, shape)

    def permute(self, x: Array, axes: Sequence[int]) -> Array:
        return self.xp.permute_dims(x, tuple(axes))

    def broadcast_to(self, x: Array, shape: tuple[int, ...]) -> Array:
        return self.xp.broadcast_to(x, shape)

    def stack(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return self.xp.stack(list(arrays), axis=axis)

    def concat(self, arrays: Sequence[Array], axis: int = 0) -> Array:
        return self.xp.concat(list(arrays), axis=axis)

    def take(self, x: Array, indices: Any, axis: int) -> Array:
        if isinstance(indices, np.ndarray | list | tuple | range):
            indices = self.xp.asarray(np.asarray(indices, dtype=np.int64), device=self.device)
        return self.xp.take(x, indices, axis=axis)

    # -- sums and products
    def sum(self, x: Array, axis: int | tuple[int, ...] | None = None) -> Array:
        return self.xp.sum(x, axis=axis)

    def matmul(self, a: Array, b: Array) -> Array:
        return self.linalg.matmul(a, b)

    def gram(self, x: Array, weights: Array | None = None) -> Array:
        if weights is not None:
            x = x * self.xp.sqrt(weights)[..., None]
        return self.linalg.gram(x) if x.ndim != 2 else self._pairwise(self.linalg.gram, x)

    def homogeneous_gram(self, x: Array, weights: Array | None = None) -> Array:
        if weights is not None or not self.linalg.has_homogeneous_gram(x):
            return Namespace.homogeneous_gram(self, x, weights)
        return self._pairwise(self.linalg.homogeneous_gram, x)

    def cross(self, x: Array, y: Array) -> Array:
        return self._pairwise(self._cross, x, y)

    def _cross(self, x: Array, y: Array) -> Array:
        return self.linalg.matmul(x.mT, y)

    def row_sum(self, x: Array) -> Array:
        # A product is faster than a sum, and does not add row by row, where equal rows all round the same way.
        if x.ndim == 2:
            return self._pairwise(self._sum_of_rows, x)
        flat = self.reshape(x, (x.shape[0], math.prod(x.shape[1:])))
        return self.reshape(self._pairwise(self._sum_of_rows, flat), tuple(x.shape[1:]))

    def _sum_of_rows(self, x: Array) -> Array:
        return self.linalg.matmul(self.ones((x.shape[0],)), x)

    def rounding_of_sums(self, terms: int) -> float:
        return min(terms, self._rows_at_once) * self.epsilon

    def _pairwise(self, sum_of: Callable[..., Array], *rows: Array) -> Array:
        """A sum over rows (N, ...) by halves, so that what rounds does not grow with their number."""
        count = rows[0].shape[0]
        if count <= self._rows_at_once:
            return sum_of(*rows)
        half = count // 2
        total = self._pairwise(sum_of, *(x[:half, ...] for x in rows))
        total += self._pairwise(sum_of, *(x[half:, ...] for x in rows))
        return total

    @property
    def wide(self) -> FloatingNamespace:
        if self._wide is None:
            try:
                self._wide = floating.namespace_of(self.xp.asarray(np.zeros(0), device=self.device))
            except (ValueError, TypeError):  # A device may have no double precision.
                self._wide = self
        return self._wide

    def congruence(self, matrix: Array, form: Array) -> Array:
        return self.linalg.congruence(matrix, form)

    def diagonal(self, x: Array) -> Array:
        return self.xp.linalg.diagonal(x)

    # -- linear algebra
    def solve(self, a: Array, b: Array) -> Array:
        return self.linalg.solve(a, b)

    def inverse(self, a: Array) -> Array:
        return self.linalg.inverse(a)

    def rank(self, a: Array) -> int:
        return self._count_nonzero(self.linalg.singular_values(a), a.shape) if math.prod(a.shape) else 0

    def nullspace(self, a: Array) -> Array:
        if math.prod(a.shape) == 0:
            return self.eye(a.shape[-1])
        values, vectors = self.linalg.right_singular_vectors(a)
        return vectors[:, self._count_nonzero(values, a.shape) :]

    def _count_nonzero(self, singular_values: Array, shape: tuple[int, ...]) -> int:
        cutoff = max(shape) * self.epsilon * float(singular_values[0])
        return self.count(singular_values > cutoff)

    # -- comparison
    def equal(self, x: Array, y: Array) -> bool:
        return tuple(x.shape) == tuple(y.shape) and bool(self.xp.all(x == y))

    def is_zero(self, x: Array) -> bool:
        return not bool(self.xp.any(x != 0))

    # -- elementwise
    def erfcx(self, x: Array) -> Array:
        return special.erfcx(library_name(self.xp), x)


_FEW_DIGITS = 1e-10
"""Between the epsilons of float64 and of float32."""

_ROWS, _ROWS_OF_FEW_DIGITS = 1 << 15, 1 << 10
"""So many products are summed by a library in one call, in an order of its own; what they round is bounded by this."""

floating = FloatingKind()
"""The kind of floating-point numbers."""

_PROTOTYPE = np.zeros(())
_BY_ARRAY: dict[tuple[Any, Any, Any], FloatingNamespace] = {}
_INTERNED: dict[tuple[Any, Any, Any], FloatingNamespace] = {}


def _restored(library: str, dtype: Any, device: str) -> FloatingNamespace:
    """The interned namespace of an array library's module, a dtype and the name of a device."""
    key = library, dtype, device
    known = _INTERNED.get(key)
    if known is None:
        # Of two threads, both get what came first.
        made = FloatingNamespace(import_module(library), dtype, device_named(library, device))
        known = _INTERNED.setdefault(key, made)
    return known


def _namespace_of(array: Array) -> FloatingNamespace:
    """The namespace of an array of any library; refuses all but float32 and float64 arrays."""
    if not is_floating(array):
        refuse_array(array, "array", "an array of float32 or float64")
    refuse_transformed(array)
    xp = library_of(array)
    return _restored(xp.__name__, array.dtype, device_name(array_api_compat.device(array)))


def _linear_algebra(xp: Any, device: Any) -> LinearAlgebra:
    if array_api_compat.is_numpy_namespace(xp):
        return NumpyLinearAlgebra()
    if array_api_compat.is_torch_namespace(xp):
        return TorchLinearAlgebra(xp, device)
    if array_api_compat.is_cupy_namespace(xp):
        return CupyLinearAlgebra(xp)
    return JaxLinearAlgebra(xp) if array_api_compat.is_jax_namespace(xp) else StandardLinearAlgebra(xp)
