"""What SciPy computes, for comparison: the correlation that the package's own windows are checked against."""

from __future__ import annotations

import itertools

import numpy as np

from geomkfac.arrays.array import Array


def cross_correlation(x: Array, weight: Array) -> Array:
    """``z_t = sum_delta w_delta a_{t + delta}`` by `scipy.signal.correlate`, without borders.

    Parameters
    ----------
    x : NumPy array, shape (N, *grid, J)
    weight : NumPy array, shape (m, *kernel, J)

    Returns
    -------
    NumPy array, shape (N, *out, m)
    """
    from scipy.signal import correlate

    pairs = itertools.product(range(x.shape[0]), range(weight.shape[0]))
    maps = [
        sum(correlate(x[n, ..., j], weight[i, ..., j], mode="valid", method="direct") for j in range(x.shape[-1]))
        for n, i in pairs
    ]
    stacked = np.stack(maps).reshape(x.shape[0], weight.shape[0], *np.shape(maps[0]))
    return np.moveaxis(stacked, 1, -1)
