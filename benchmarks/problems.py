"""The networks that are timed, with random weights and data of the shapes of MNIST."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

__all__ = ["AUTOENCODER", "CLASSIFIER", "Problem", "problems"]

AUTOENCODER = (784, 1000, 500, 250, 30, 250, 500, 1000, 784)
CLASSIFIER = (784, 512, 512, 10)

Fisher = Literal["exact", "sampled", "empirical"]

_CASES: tuple[tuple[str, tuple[int, ...], Fisher], ...] = (
    ("autoencoder", AUTOENCODER, "sampled"),
    ("classifier", CLASSIFIER, "exact"),
    ("classifier", CLASSIFIER, "sampled"),
)


@dataclass(frozen=True)
class Problem:
    """A network with tanh hidden layers, a batch of data, and which Fisher metric is wanted.

    Attributes
    ----------
    name : 'autoencoder' (Gaussian outputs of unit covariance) or 'classifier' (softmax)
    widths : (n_0, ..., n_L)
    fisher : 'exact', 'sampled' (one target per datum) or 'empirical'
    batch : number of data
    dtype : 'float32' or 'float64'
    """

    name: str
    widths: tuple[int, ...]
    fisher: Fisher
    batch: int
    dtype: str

    @property
    def is_categorical(self) -> bool:
        """Whether the outputs are logits of classes."""
        return self.name == "classifier"

    @property
    def covectors(self) -> int:
        """How many output covectors per datum the metric needs: its rank, which is m - 1 for softmax."""
        if self.fisher != "exact":
            return 1
        return self.widths[-1] - 1 if self.is_categorical else self.widths[-1]

    def weights(self) -> tuple[list[Any], list[Any]]:
        """Weights (m_i, m_{i-1}) of variance 1 / m_{i-1}, and small biases (m_i,)."""
        rng = np.random.default_rng(0)
        pairs = list(zip(self.widths[:-1], self.widths[1:], strict=True))
        matrices = [(rng.standard_normal((m, n)) / n**0.5).astype(self.dtype) for n, m in pairs]
        return matrices, [(0.1 * rng.standard_normal(m)).astype(self.dtype) for _, m in pairs]

    def data(self) -> tuple[Any, Any]:
        """Inputs (N, n_0), uniform on [0, 1), and targets: labels (N,) or points (N, m)."""
        rng = np.random.default_rng(1)
        inputs = rng.random((self.batch, self.widths[0])).astype(self.dtype)
        if self.is_categorical:
            return inputs, rng.integers(0, self.widths[-1], self.batch)
        return inputs, rng.random((self.batch, self.widths[-1])).astype(self.dtype)

    @property
    def label(self) -> str:
        """One line."""
        return f"{self.name}, {self.fisher}, batch {self.batch}, {self.dtype}"

    def described(self) -> dict[str, Any]:
        """What a record says of it."""
        return {"problem": self.name, "fisher": self.fisher, "batch": self.batch, "dtype": self.dtype}

    def empirical(self) -> Problem:
        """The same with the Fisher metric at given targets, where nothing is drawn."""
        return replace(self, fisher="empirical")


def problems(*, quick: bool) -> Iterator[Problem]:
    """All problems in the order of the table; `quick` has small networks and batches."""
    scale = 8 if quick else 1
    for dtype in ("float32", "float64"):
        for name, widths, fisher in _CASES:
            hidden = tuple(max(4, width // scale) for width in widths[1:-1])
            for batch in (512 // scale, 2048 // scale):
                yield Problem(name, (widths[0], *hidden, widths[-1]), fisher, batch, dtype)
