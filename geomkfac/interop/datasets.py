"""Data that come with the package."""

from __future__ import annotations

from importlib.resources import as_file, files
from typing import Any

import numpy as np

from geomkfac.errors import KindError
from geomkfac.interop.files import read_data, read_network

_LARGEST_PIXEL = 16


def load_digits(dtype: Any = "float64") -> tuple[Any, Any]:
    """The 1,797 handwritten digits of the UCI repository, images of 8 by 8 pixels.

    Three pixels (0, 32 and 39) are zero in every image, so the covariance of the inputs is singular.

    Parameters
    ----------
    dtype : of the images, ``'float64'`` or ``'float32'``

    Returns
    -------
    X : array, shape (1797, 64), pixel values divided by 16, so in [0, 1]
    y : array of int64, shape (1797,), the digits 0, ..., 9

    Raises
    ------
    KindError
        For any other dtype.

    Source: E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI, 1998.

    Examples
    --------
    >>> X, y = load_digits()
    >>> X.shape, y.shape, float(X.max())
    ((1797, 64), (1797,), 1.0)
    """
    if np.dtype(dtype) not in (np.float32, np.float64):
        raise KindError(
            "the digits come as floating-point images.\n"
            f"  required: dtype 'float32' or 'float64'\n  came    : {np.dtype(dtype).name!r}\n"
            "Ask for one of these, and convert afterwards."
        )
    with as_file(files("geomkfac.data") / "digits.npz") as path:
        X, y = read_data(path)
    # Division by 16 is exact.
    return X.astype(dtype) / _LARGEST_PIXEL, y.astype(np.int64)


def load_digits_network() -> tuple[list[Any], list[Any]]:
    """A small network trained on the first 1,437 digits: 64-32-16-10, tanh, one logit per digit.

    Trained by ``benchmarks/train_digits_network.py`` with K-FAC steps of this package; over 90 % of the
    other 360 digits are classified correctly.

    Returns
    -------
    Ws : arrays of float64, shapes (32, 64), (16, 32), (10, 16)
    bs : arrays of float64, shapes (32,), (16,), (10,)

    Examples
    --------
    >>> Ws, bs = load_digits_network()
    >>> [W.shape for W in Ws]
    [(32, 64), (16, 32), (10, 16)]
    """
    with as_file(files("geomkfac.data") / "digits-network.npz") as path:
        return read_network(path)
