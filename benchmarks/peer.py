"""curvlinops' side of the comparison: the same networks in PyTorch, weight and bias in one block.

Scales (read from its source, checked by `factors.py` before anything is timed): cross-entropy with
reduction 'mean' gives our factors; squared loss with reduction 'mean' gives 4/m of ours at given
targets, and 2/m at sampled ones, as it draws targets of variance 1/2.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from problems import Problem

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside its dependencies
    from curvlinops import KFACInverseLinearOperator, KFACLinearOperator

__all__ = ["Peer"]

_FISHER = {"exact": "type-2", "sampled": "mc", "empirical": "empirical"}


class Peer:
    """A problem as a `torch.nn.Sequential`."""

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        matrices, biases = problem.weights()
        modules: list[torch.nn.Module] = []
        for matrix, bias in zip(matrices, biases, strict=True):
            linear = torch.nn.Linear(matrix.shape[1], matrix.shape[0], dtype=getattr(torch, problem.dtype))
            with torch.no_grad():
                linear.weight.copy_(torch.from_numpy(matrix))
                linear.bias.copy_(torch.from_numpy(bias))
            modules += [linear, torch.nn.Tanh()]
        self.model = torch.nn.Sequential(*modules[:-1])
        self.loss = torch.nn.CrossEntropyLoss() if problem.is_categorical else torch.nn.MSELoss()
        self.data = [tuple(torch.from_numpy(array) for array in problem.data())]
        self.names = [str(2 * index) for index in range(len(matrices))]

    def operator(self) -> Any:
        """A fresh operator, its factors not yet computed; counts are given, so that no pass infers them."""
        return KFACLinearOperator(
            self.model,
            self.loss,
            list(self.model.parameters()),
            self.data,
            check_deterministic=False,
            fisher_type=_FISHER[self.problem.fisher],
            kfac_approx="expand",
            separate_weight_and_bias=False,
            num_data=self.problem.batch,
            num_per_example_loss_terms=1,
        )

    def factors(self, operator: Any) -> list[tuple[Any, Any]]:
        """[(A, G), ...] of an operator whose factors were computed."""
        pairs = ((operator._input_covariances[n], operator._gradient_covariances[n]) for n in self.names)
        return [(left.numpy(), right.numpy()) for left, right in pairs]

    def operator_with(self, factors: list[tuple[Any, Any]]) -> Any:
        """An operator that holds given factors, for the comparison of solves."""
        operator = self.operator()
        for name, (left, right) in zip(self.names, factors, strict=True):
            operator._input_covariances[name] = torch.from_numpy(np.array(left))
            operator._gradient_covariances[name] = torch.from_numpy(np.array(right))
        return operator

    def inverse(self, operator: Any, gamma: float) -> Any:
        """The inverse with factored damping balanced by traces ('heuristic'), nothing factorised yet."""
        return KFACInverseLinearOperator(operator, damping=gamma, use_heuristic_damping=True)

    def tensors(self, blocks: list[Any]) -> list[torch.Tensor]:
        """Arrays (W b) as the list of parameters' shapes."""
        tensors: list[torch.Tensor] = []
        for block in blocks:
            tensors += [torch.from_numpy(np.array(block[:, :-1])), torch.from_numpy(np.array(block[:, -1]))]
        return tensors

    def blocks(self, tensors: list[torch.Tensor]) -> list[Any]:
        """The list of parameters' shapes as arrays (W b)."""
        pairs = zip(tensors[::2], tensors[1::2], strict=True)
        return [np.concatenate([w.detach().numpy(), b.detach().numpy()[:, None]], axis=1) for w, b in pairs]
