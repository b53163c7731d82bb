"""Linear algebra on the host, for devices whose library has no solver of its own; each time it says so."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, final

from geomkfac.arrays.floats.solvers.by_numpy import NumpyLinearAlgebra
from geomkfac.arrays.floats.solvers.linear_algebra import LinearAlgebra
from geomkfac.arrays.namespace import Array
from geomkfac.errors import GeomkfacError, HostFallbackWarning


def _has_no_solver(error: Exception) -> bool:
    """Whether a library says that it lacks a solver for this device, not that a matrix has no answer.

    PyTorch raises NotImplementedError on devices without the operator, and RuntimeError where it was compiled
    without a solver; CuPy fails to load a library that is not installed, or lacks a function of an old one.
    """
    if isinstance(error, GeomkfacError):
        return False
    if isinstance(error, NotImplementedError | ImportError):
        return True
    if isinstance(error, AttributeError):
        return isinstance(error.obj, ModuleType)
    return isinstance(error, RuntimeError) and any(text in str(error) for text in ("requires compiling", "not support"))


@final
class HostFallback(LinearAlgebra):
    """The linear algebra `own` of a library, and NumPy's where the device has no solver.

    Parameters
    ----------
    own : linear algebra of the library
    name : of the namespace, for the warning
    to_numpy, from_numpy : the ways to the host and back

    Warns
    -----
    HostFallbackWarning : whenever an operation runs on the host.
    """

    __slots__ = ("_from_numpy", "_host", "_name", "_own", "_to_numpy")

    def __init__(
        self, own: LinearAlgebra, name: str, to_numpy: Callable[[Array], Any], from_numpy: Callable[[Any], Array]
    ) -> None:
        self._own, self._host, self._name = own, NumpyLinearAlgebra(), name
        self._to_numpy, self._from_numpy = to_numpy, from_numpy

    def _run(self, operation: str, *arguments: Any) -> Any:
        try:
            return getattr(self._own, operation)(*arguments)
        except Exception as error:
            if not _has_no_solver(error):
                raise
            reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        warnings.warn(
            f"{self._name} has no {operation} of its own: its matrices were copied to the host, solved there by "
            f"NumPy, and copied back.\n  the library says: {reason}\n"
            "Results are the same, and slower.  Another device or build of the library may have one.",
            HostFallbackWarning,
            stacklevel=3,
        )
        there = [x if isinstance(x, bool) else self._to_numpy(x) for x in arguments]
        result = getattr(self._host, operation)(*there)
        return tuple(map(self._from_numpy, result)) if isinstance(result, tuple) else self._from_numpy(result)

    # Products, norms and sums every device has.
    def matmul(self, a: Array, b: Array) -> Array:
        return self._own.matmul(a, b)

    def gram(self, x: Array) -> Array:
        return self._own.gram(x)

    def homogeneous_gram(self, x: Array) -> Array | None:
        return self._own.homogeneous_gram(x)

    def norm(self, x: Array) -> float:
        return self._own.norm(x)

    def solve(self, a: Array, b: Array) -> Array:
        return self._run("solve", a, b)

    def inverse(self, a: Array) -> Array:
        return self._run("inverse", a)

    def cholesky(self, a: Array) -> Array:
        return self._run("cholesky", a)

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self._run("cholesky_solve", factor, b)

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        return self._run("triangular_solve", factor, b, transpose)

    def eigh(self, a: Array) -> tuple[Array, Array]:
        values, vectors = self._run("eigh", a)
        return values, vectors

    def qr(self, a: Array) -> tuple[Array, Array]:
        q, r = self._run("qr", a)
        return q, r

    def singular_values(self, a: Array) -> Array:
        return self._run("singular_values", a)

    def right_singular_vectors(self, a: Array) -> tuple[Array, Array]:
        values, vectors = self._run("right_singular_vectors", a)
        return values, vectors
