"""Gauge programs: PyTorch modules as networks, and back.  Skipped where PyTorch is not installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import geomkfac as gk
from geomkfac import interop
from geomkfac.arrays.namespace import Kind

from .registry import numbers, program


def module_and_data(kind: Kind) -> tuple[Any, Any, Any, Any]:
    """PyTorch, a convolution with a dense end in it, and data with labels."""
    torch = pytest.importorskip("torch")
    nn = torch.nn
    module = nn.Sequential(nn.Conv1d(2, 2, 2, padding=1, groups=2), nn.Tanh(), nn.Flatten(), nn.Linear(8, 2)).double()
    with torch.no_grad():
        for seed, parameter in enumerate(module.parameters()):
            parameter.copy_(torch.from_numpy(numbers(kind, *parameter.shape, seed=seed) * 0.25))
    X = torch.from_numpy(numbers(kind, 7, 2, 3, seed=9) * 0.5)
    return torch, module, X, torch.arange(7) % 2


def other_frames(kind: Kind, iota: Any) -> Any:
    """Every frame changed, by integers."""
    return iota.change(
        {
            space: (np.eye(space.dim) + np.triu(numbers(kind, space.dim, space.dim, seed=1), 1),
                    numbers(kind, space.dim, seed=2) if isinstance(space, gk.AffineSpace) else None)
            for space in iota
        }
    )  # fmt: skip


def arrays_of(tensors: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(tensor.detach().numpy() for _, tensor in sorted(tensors.items()))


@program("from_module", "ImportedModule", exact=False, rounds_nothing=False, slots=2)
def a_module_as_a_network(kind: Kind) -> Any:
    _, module, X, y = module_and_data(kind)
    found = interop.from_module(module, X, library="numpy")
    data, loss = found.sample(X, y), gk.Categorical().on(found.iota)
    metric = found.network.kfac_metric(found.weights, data, loss)
    dh = found.network.differential(found.weights, data, loss)
    kappa = other_frames(kind, found.iota)
    factors = [factor for frames in (None, kappa) for pair in found.factors(metric, frames).values() for factor in pair]
    moved = found.point(found.state_dict(found.weights, kappa), kappa)
    return (*arrays_of(found.state_dict(dh)), *arrays_of(found.state_dict(moved, kappa)), *factors)


@program("to_module", exact=False, rounds_nothing=False, slots=2)
def a_network_as_a_module(kind: Kind) -> Any:
    torch, module, X, _ = module_and_data(kind)
    found = interop.from_module(module, X)
    kappa = other_frames(kind, found.iota)
    twin = interop.to_module(found.network, found.weights, kappa)
    return (*(p.detach().numpy() for p in twin.parameters()), twin(torch.ones_like(X)).detach().numpy())


@program("kfac_of_module", "ModuleMetric", "LayerPart", exact=False, rounds_nothing=False, slots=2, solves=1e4)
def the_metric_of_layers_by_hooks(kind: Kind) -> Any:
    torch, module, X, y = module_and_data(kind)
    hooked = interop.kfac_of_module(module, X, y, gk.Categorical(), fisher="empirical")
    torch.nn.functional.cross_entropy(module(X), y).backward()
    dh = hooked.covector({name: p.grad for name, p in module.named_parameters()})
    step = hooked.metric.damped(hooked.iota.euclidean, 0.1).sharp(dh)
    kappa = other_frames(kind, hooked.iota)
    factors = [f.numpy() for frames in (None, kappa) for pair in hooked.factors(frames).values() for f in pair]
    shapes = np.asarray([part.offsets * part.groups for part in hooked.parts], dtype=float)
    return (*factors, *arrays_of(hooked.state_dict(dh)), *arrays_of(hooked.state_dict(step, kappa)), shapes)
