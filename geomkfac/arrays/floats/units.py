"""Units of numbers: powers of two, by which they are multiplied without rounding."""

from __future__ import annotations

import numpy as np

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace


def powers_of_two(ns: OrderedNamespace, x: Array) -> Array:
    """The largest power of two in each positive entry of `x`; 1 for others.

    Examples
    --------
    >>> from geomkfac.arrays import floating
    >>> powers_of_two(floating.default_namespace, np.array([5.0, 0.3, 0.0]))
    array([4.  , 0.25, 1.  ])
    """
    host = ns.to_numpy(x)
    return ns.cast_numpy(np.where(host > 0, np.ldexp(np.ones_like(host), np.frexp(host)[1] - 1), 1))
