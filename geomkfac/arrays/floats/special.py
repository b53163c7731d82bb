"""The scaled complementary error function, which no array standard has.

NumPy, PyTorch and CuPy have it, each on its own device; everywhere else it is one polynomial in
standard arithmetic, so that nothing is copied to the host.
"""

from __future__ import annotations

from importlib import import_module

from geomkfac.arrays.array import Array

LIBRARIES = {"numpy": "scipy.special", "torch": "torch.special", "cupy": "cupyx.scipy.special"}
"""Where the function of a library's arrays is found; imported on first use."""

COEFFICIENTS = (
    1.2329951186255526, -0.1396211168405625, 0.015379652102619604, 0.0680970542546904, -0.10103906603630056,
    0.09373283499843826, -0.06633036581218697, 0.03716751553592911, -0.016197734059799265, 0.005031969992669933,
    -0.0007577732613730956, -0.0001992567757633648, 0.0001506214900124047, -2.4398944545280832e-05,
    -1.1221287012353486e-05, 5.709206053072183e-06, 2.919733377963012e-07, -8.249198427508354e-07,
    7.746992727017941e-08, 1.1009737295274889e-07, -2.05606492756992e-08, -1.4709550868669278e-08,
    3.1695881915648173e-09, 1.7903326159489847e-09, -2.659599690242689e-10, -1.374652989001164e-10,
)  # fmt: skip
"""Of ``(1 + 2x) erfcx(x)`` in powers of ``(x - 4) / (x + 4)``: its Chebyshev series up to 2e-18."""


def erfcx(library: str, x: Array) -> Array:
    """``exp(x²) erfc(x)`` for x >= 0, within a few units of rounding.

    Parameters
    ----------
    library : top-level name of the array library of `x`
    """
    if library in LIBRARIES:
        return import_module(LIBRARIES[library]).erfcx(x)
    return by_polynomial(x)


def by_polynomial(x: Array) -> Array:
    """The same in sums, products and quotients alone; its largest relative error is 2 epsilon.

    Source: Shepherd and Laframboise, "Chebyshev approximation of (1 + 2x) exp(x²) erfc x in
    0 <= x < infinity", Math. Comp. 36 (1981); the coefficients are computed anew, around 4.
    """
    t = (x - 4) / (x + 4)
    total = t * COEFFICIENTS[-1] + COEFFICIENTS[-2]
    for coefficient in reversed(COEFFICIENTS[:-2]):
        total = total * t + coefficient
    return total / (1 + 2 * x)
