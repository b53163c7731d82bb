"""Where the tests of devices run: GPUs, and what stands in for them, so that the tests themselves are tested.

`pytest -m gpu tests/gpu` runs what needs a GPU.  In the default run these are reported as skipped where there is
none, and the same tests run on array-api-strict's 'device1', whose arrays NumPy cannot read, and on PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from geomkfac.arrays import Array, FloatingNamespace

from ..places import GPU, HOST, namespace, parameters

STAND_INS = {name: HOST[name] for name in ("strict-device", "torch")}


@pytest.fixture(params=parameters(STAND_INS | GPU, "float64", "float32", usual={"strict-device-float64"}))
def place(request: Any) -> FloatingNamespace:
    return namespace(request.param)


@pytest.fixture(params=parameters(GPU, "float64", "float32"), scope="session")
def ns(request: Any) -> FloatingNamespace:
    return namespace(request.param)


@pytest.fixture(scope="session")
def ordered(ns: FloatingNamespace) -> FloatingNamespace:
    return ns


@pytest.fixture(scope="session")
def make() -> Any:
    def made(namespace: FloatingNamespace, values: Any) -> Array:
        return namespace.asarray(namespace.cast_numpy(np.asarray(values, dtype=float)))

    return made
