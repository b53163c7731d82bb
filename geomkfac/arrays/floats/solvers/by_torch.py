"""Linear algebra on PyTorch tensors, by PyTorch's own solvers on the tensors' device.

The ``_ex`` functions return LAPACK's or cuSOLVER's status as a tensor instead of waiting for it; it is read
once, together with what else decides.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any, final

from geomkfac.arrays.array import Array
from geomkfac.arrays.floats.solvers.by_library import LibraryLinearAlgebra
from geomkfac.arrays.floats.solvers.by_numpy import NumpyLinearAlgebra
from geomkfac.arrays.linear_algebra import not_positive, singular


@final
class TorchLinearAlgebra(LibraryLinearAlgebra):
    """Linear algebra on ``torch.Tensor`` of float32 or float64."""

    __slots__ = ("_host", "_own")

    def __init__(self, xp: Any, device: Any) -> None:
        super().__init__(xp, narrowest=1024)
        self._own = import_module("torch")
        # PyTorch has no symmetric rank-k update.  Tensors of the host share their memory with NumPy, which has.
        self._host = NumpyLinearAlgebra() if device.type == "cpu" else None

    def gram(self, x: Array) -> Array:
        # Autograd does not follow into NumPy.
        if self._host is None or x.requires_grad:
            return LibraryLinearAlgebra.gram(self, x)
        return self._own.from_numpy(self._host.gram(x.numpy()))

    def has_homogeneous_gram(self, x: Array) -> bool:
        return self._host is not None and not x.requires_grad

    def homogeneous_gram(self, x: Array) -> Array:
        host: Any = self._host
        return self._own.from_numpy(host.homogeneous_gram(x.numpy()))

    def solve(self, a: Array, b: Array) -> Array:
        linalg = self._own.linalg
        rows, columns, scaled = self._equilibrated(a)
        lu, pivots, info = linalg.lu_factor_ex(scaled)
        if math.prod(a.shape):
            identity = self._own.eye(a.shape[-1], dtype=a.dtype, device=a.device)
            inverse = linalg.lu_solve(lu, pivots, identity.expand(a.shape))
            if not bool(self._well_conditioned(scaled, inverse) & (info == 0).all()):
                raise singular(a.shape)
        return columns * linalg.lu_solve(lu, pivots, rows * b)

    def _well_conditioned(self, a: Array, inverse: Array) -> Array:
        norm = self._own.linalg.matrix_norm
        return (norm(a, ord=1) * norm(inverse, ord=1) < 1.0 / self._xp.finfo(a.dtype).eps).all()

    def _inverted(self, a: Array) -> tuple[Array, Any]:
        inverse, info = self._own.linalg.inv_ex(a)
        return inverse, (info == 0).all()

    def cholesky(self, a: Array) -> Array:
        factor, info = self._own.linalg.cholesky_ex(a)
        # cuSOLVER gives no status for NaN; it stands on the diagonal then.
        if not bool((info == 0).all() & factor.diagonal(dim1=-2, dim2=-1).isfinite().all()):
            raise not_positive(a.shape)
        return factor

    def cholesky_solve(self, factor: Array, b: Array) -> Array:
        return self._own.cholesky_solve(b, factor)

    def triangular_solve(self, factor: Array, b: Array, transpose: bool) -> Array:
        self._check_diagonal(factor)
        matrix = factor.mT if transpose else factor
        return self._own.linalg.solve_triangular(matrix, b, upper=transpose)
