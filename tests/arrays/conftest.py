"""Every namespace that claims to follow the contract, as the parametrised fixture `ns`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import GF, Array, DegreeField, Namespace, OrderedNamespace, rational, symbolic

from ..places import HOST, namespace, parameters

PRIME = 2**31 - 1


FLOATING = parameters(HOST, "float64", "float32", usual={"numpy-float64"})
EXACT: dict[str, Callable[[], Namespace]] = {
    "GF(p)": lambda: GF(PRIME).default_namespace,
    "Q": lambda: rational.default_namespace,
    "symbols": lambda: symbolic.default_namespace,
    "degree": lambda: DegreeField(PRIME).default_namespace,
}
EXACT_PARAMETERS = [pytest.param(name, marks=[pytest.mark.slow] * (name != "GF(p)")) for name in EXACT]


@pytest.fixture(params=[*FLOATING, *EXACT_PARAMETERS], scope="session")
def ns(request: pytest.FixtureRequest) -> Namespace:
    return EXACT[request.param]() if request.param in EXACT else namespace(request.param)


@pytest.fixture(params=FLOATING, scope="session")
def ordered(request: pytest.FixtureRequest) -> OrderedNamespace:
    return namespace(request.param)


@pytest.fixture(params=EXACT_PARAMETERS, scope="session")
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
