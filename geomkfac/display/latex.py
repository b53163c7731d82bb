"""Arrays, and what has coordinates in a named frame, as LaTeX formulas."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from geomkfac.arrays import namespace_of
from geomkfac.arrays.array import Array
from geomkfac.errors import FrameError, ShapeError
from geomkfac.metrics import MetricTensor
from geomkfac.operators import BlockDiagonal, KroneckerProduct, StructuredMatrix
from geomkfac.spaces import Element


def latex(x: Any, frame: Any = None, *, digits: int = 4) -> str:
    r"""A formula for an array, for a structured matrix, or for what an intrinsic object is in a frame.

    Parameters
    ----------
    x : an array of any kind, a structured matrix, a vector, a point, a metric tensor; a list or tuple of these
    frame : a frame or a parameterization; needed where `x` has coordinates, as it has no numbers of its own
    digits : of floating-point entries

    Returns
    -------
    LaTeX, without dollar signs: numbers as they are, vectors as columns, matrices in brackets; a Kronecker
    product as ``A \otimes G``, a block diagonal one with a plus for the direct sum

    Raises
    ------
    FrameError : an intrinsic object came without a frame.
    ShapeError : an array has more than two axes.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from geomkfac.arrays import rational
    >>> print(latex(rational.default_namespace.asarray([[1, Fraction(-1, 2)]])))
    \begin{bmatrix}1 & -\frac{1}{2}\end{bmatrix}
    """
    if isinstance(x, Element | MetricTensor):
        if frame is None:
            raise FrameError(
                "an intrinsic object has no formula in numbers of its own.\n"
                f"  required: latex(x, frame)\n  came    : {x!r}, and no frame\nName a frame or a parameterization."
            )
        return latex(x.coordinates(frame), digits=digits)
    if isinstance(x, list | tuple):
        return r",\quad ".join(latex(part, frame, digits=digits) for part in x)
    if isinstance(x, BlockDiagonal):
        return r" \oplus ".join(_bracketed(block, digits) for block in x.blocks)
    if isinstance(x, KroneckerProduct):
        return r" \otimes ".join(latex(factor, digits=digits) for factor in x.factors)
    if isinstance(x, StructuredMatrix):
        return latex(x.dense(), digits=digits)
    return _array(x, digits)


def _bracketed(block: StructuredMatrix, digits: int) -> str:
    return rf"\left({latex(block, digits=digits)}\right)"


def _array(x: Array, digits: int) -> str:
    ns = namespace_of(x)
    if x.ndim > 2:
        raise ShapeError(
            "a formula shows numbers, vectors and matrices.\n  required: 2 axes at most\n"
            f"  came    : shape {tuple(x.shape)}\nIndex the batch first, or pass a list of its parts."
        )
    entries = ns.to_numpy(x)
    if x.ndim == 0:
        return _number(entries.item(), digits)
    rows = entries.reshape(-1, 1) if x.ndim == 1 else entries
    lines = r" \\ ".join(" & ".join(_row(row, digits)) for row in rows)
    return rf"\begin{{bmatrix}}{lines}\end{{bmatrix}}"


def _row(row: Any, digits: int) -> Iterator[str]:
    return (_number(entry, digits) for entry in row.tolist())


def _number(value: Any, digits: int) -> str:
    if isinstance(value, Fraction):
        if value.denominator == 1:
            return str(value.numerator)
        sign = "-" if value < 0 else ""
        return rf"{sign}\frac{{{abs(value.numerator)}}}{{{value.denominator}}}"
    if isinstance(value, float):
        mantissa, _, exponent = f"{value:.{digits}g}".partition("e")
        return rf"{mantissa} \cdot 10^{{{int(exponent)}}}" if exponent else mantissa
    if isinstance(value, int):
        return str(value)
    from sympy import latex as of_expression

    text: str = of_expression(value)
    return text
