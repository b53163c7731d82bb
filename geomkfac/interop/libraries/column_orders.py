"""Other libraries' conventions for Kronecker factors, as named conversions of arrays."""

from __future__ import annotations

from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.errors import ShapeError


def channel_major(factor: Any, offsets: int) -> Any:
    """The activation factor of a convolution with its rows and columns channel by channel, as PyTorch unfolds patches.

    This package's patches run offset by offset (LG's ``I (x) Omega``), channels within an offset; PyTorch's
    `unfold`, and with it curvlinops and others, run channel by channel, offsets within a channel.  The
    homogeneous coordinate stays last.

    Parameters
    ----------
    factor : array, shape (K J + 1, K J + 1)
    offsets : K, the number of offsets of the kernel

    Raises
    ------
    ShapeError : K does not divide the number of coordinates of a patch.
    """
    return _reordered(factor, offsets, lambda K, J: [k * J + j for j in range(J) for k in range(K)])


def offset_major(factor: Any, offsets: int) -> Any:
    """The inverse of `channel_major`."""
    return _reordered(factor, offsets, lambda K, J: [j * K + k for k in range(K) for j in range(J)])


def _reordered(factor: Any, offsets: int, order_of: Any) -> Any:
    ns, size = namespace_of(factor), factor.shape[0] - 1
    if tuple(factor.shape) != (size + 1, size + 1) or offsets < 1 or size % offsets:
        raise ShapeError(
            f"an activation factor is (K J + 1, K J + 1) for K offsets.\n  required: K that divides {size}\n"
            f"  came    : K = {offsets}, shape {tuple(factor.shape)}"
        )
    order = [*order_of(offsets, size // offsets), size]
    return ns.take(ns.take(factor, order, 0), order, 1)
