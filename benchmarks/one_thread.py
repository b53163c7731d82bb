"""One thread for every library: imported before NumPy, SciPy, PyTorch and JAX, which read these at import."""

from __future__ import annotations

import os

__all__ = ["THREADS", "limit_torch"]

THREADS = 1

_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)

for _variable in _VARIABLES:
    os.environ[_variable] = str(THREADS)
os.environ["XLA_FLAGS"] = f"--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads={THREADS}"
os.environ.setdefault("JAX_PLATFORMS", "cpu")


def limit_torch() -> None:
    """PyTorch's own pool, which the variables do not bind once it has been set."""
    import torch

    torch.set_num_threads(THREADS)
