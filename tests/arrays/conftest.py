"""Every namespace that claims to follow the contract, as the parametrised fixture `ns`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import array_api_strict
import numpy as np
import pytest

from geomkfac.arrays import GF, Array, DegreeField, Namespace, OrderedNamespace, floating, rational, symbolic

PRIME = 2**31 - 1


def _of_torch() -> Namespace:
    torch = pytest.importorskip("torch")
    return floating.namespace_of(torch.zeros(1, dtype=torch.float64))


def _of_numpy(dtype: str) -> Namespace:
    return floating.namespace_of(np.zeros(1, dtype=dtype))


def _of_strict(dtype: str) -> Namespace:
    return floating.namespace_of(array_api_strict.asarray(np.zeros(1, dtype=dtype)))


FLOATING: dict[str, Callable[[], Namespace]] = {
    "numpy-float64": lambda: _of_numpy("float64"),
    "numpy-float32": lambda: _of_numpy("float32"),
    "strict-float64": lambda: _of_strict("float64"),
    "strict-float32": lambda: _of_strict("float32"),
    "torch-float64": _of_torch,
}
EXACT: dict[str, Callable[[], Namespace]] = {
    "GF(p)": lambda: GF(PRIME).default_namespace,
    "Q": lambda: rational.default_namespace,
    "symbols": lambda: symbolic.default_namespace,
    "degree": lambda: DegreeField(PRIME).default_namespace,
}


@pytest.fixture(params=[*FLOATING, *EXACT], scope="session")
def ns(request: pytest.FixtureRequest) -> Namespace:
    return (FLOATING | EXACT)[request.param]()


@pytest.fixture(params=[*FLOATING], scope="session")
def ordered(request: pytest.FixtureRequest) -> OrderedNamespace:
    return FLOATING[request.param]().ordered("a test")


@pytest.fixture(params=[*EXACT], scope="session")
def exact(request: pytest.FixtureRequest) -> Namespace:
    return EXACT[request.param]()


@pytest.fixture(scope="session")
def make() -> Callable[[Namespace, Any], Array]:
    """An array of any namespace from integers; small integers are exact in every one."""

    def made(namespace: Namespace, values: Any) -> Array:
        if isinstance(namespace, OrderedNamespace):
            return namespace.asarray(namespace.cast_numpy(np.asarray(values, dtype=float)))
        return namespace.asarray(np.asarray(values, dtype=np.int64))

    return made
