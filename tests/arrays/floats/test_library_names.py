"""Array libraries by name."""

from __future__ import annotations

import numpy as np
import pytest

from geomkfac.arrays import LIBRARIES, floating, floating_namespace
from geomkfac.errors import MissingExtraError, UnknownNameError


def test_numpy_is_the_default_and_dtypes_are_named():
    assert floating_namespace("numpy") is floating.default_namespace
    assert floating_namespace("numpy", "float32") is floating.namespace_of(np.zeros(1, dtype=np.float32))


@pytest.mark.parametrize("library", ["array_api_strict", "torch"])
def test_a_library_that_is_installed_is_found(library):
    xp = pytest.importorskip(library)
    assert floating_namespace(library) is floating.namespace_of(xp.zeros(1, dtype=xp.float64))


def test_a_library_that_is_not_installed_names_its_extra(monkeypatch):
    monkeypatch.setitem(LIBRARIES, "no_such_library", "gpu")
    with pytest.raises(MissingExtraError, match=r"geomkfac\[gpu\]"):
        floating_namespace("no_such_library")


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'numpy'"):
        floating_namespace("nunpy")
    with pytest.raises(UnknownNameError, match="float64"):
        floating_namespace("numpy", "float16")
