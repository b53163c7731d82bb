"""geomkfac's side of the comparison, through its public interface."""

from __future__ import annotations

from typing import Any

import numpy as np
from problems import Problem

import geomkfac as gk

__all__ = ["Ours"]


class Ours:
    """A problem as a network, its weights, and a sample."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        matrices, biases = problem.weights()
        self.net, self.weights, self.iota = gk.MLP.from_arrays(matrices, biases, activation="tanh")
        inputs, targets = problem.data()
        self.sample = self.iota.sample(inputs, targets)
        family = gk.Categorical() if problem.is_categorical else gk.Gaussian()
        self.loss = family.on(self.iota)

    def metric(self, chunk_size: int | None = None) -> Any:
        """The K-FAC metric: all factors are computed here."""
        return self.net.kfac_metric(
            self.weights, self.sample, self.loss, fisher=self.problem.fisher, chunk_size=chunk_size
        )

    def differential(self) -> Any:
        """The differential of the mean loss."""
        return self.net.differential(self.weights, self.sample, self.loss)

    def factors(self, metric: Any) -> list[tuple[Any, Any]]:
        """[(A, G), ...] in the arrays' own frames."""
        pairs = (block.factors for block in metric.coordinates(self.iota).blocks)
        return [(np.asarray(left), np.asarray(right)) for left, right in pairs]
