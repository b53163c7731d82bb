"""Powers of two as units."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from geomkfac.arrays import namespace_of
from geomkfac.arrays.floats.units import powers_of_two


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(exponent=st.integers(-120, 120), mantissa=st.integers(2**20, 2**21 - 1))
def test_a_number_is_between_one_and_two_of_its_unit(dtype: Any, exponent: int, mantissa: int) -> None:
    x = np.array([math.ldexp(mantissa, exponent - 20), 0.0, -1.0], dtype)
    unit, *others = powers_of_two(namespace_of(x).ordered("units"), x).tolist()
    assert unit == math.ldexp(1.0, exponent)
    assert others == [1.0, 1.0]
