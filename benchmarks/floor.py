"""The floor: the matrix products and symmetric rank-k updates that Kronecker factors need, and nothing else.

Forward products for every layer; backward products over all output covectors for every layer but the
first; one rank-k update for each factor.  Plain NumPy (BLAS), random data, everything allocated before.
No activation, no derivative, no bias, no sampling, no homogeneous coordinate.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from problems import Problem

__all__ = ["Floor"]


class Floor:
    """The products of one problem, on arrays allocated once."""

    def __init__(self, problem: Problem) -> None:
        rng = np.random.default_rng(2)
        count, rows = problem.batch, problem.batch * problem.covectors

        def full(*shape: int) -> Any:
            return rng.standard_normal(shape, dtype=np.dtype(problem.dtype).type)

        widths = problem.widths
        self.weights = problem.weights()[0]
        self.activations = [full(count, width) for width in widths]
        self.covectors = [full(rows, width) for width in widths[1:]]
        self.outputs = [full(count, width) for width in widths[1:]]
        self.pulled = [full(rows, width) for width in widths[1:]]
        self.left = [full(width, width) for width in widths[:-1]]
        self.right = [full(width, width) for width in widths[1:]]

    def __call__(self) -> None:
        """All products once."""
        for index, matrix in enumerate(self.weights):
            inputs = self.activations[index]
            np.matmul(inputs, matrix.T, out=self.outputs[index])
            np.matmul(inputs.T, inputs, out=self.left[index])
        for index in range(len(self.weights) - 1, -1, -1):
            covectors = self.covectors[index]
            np.matmul(covectors.T, covectors, out=self.right[index])
            if index:
                np.matmul(covectors, self.weights[index], out=self.pulled[index - 1])
