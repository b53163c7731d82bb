"""Outputs that are logarithms: refused where the dtype has no number for their exponential."""

from __future__ import annotations

import math

from geomkfac.arrays.array import Array
from geomkfac.arrays.namespace import OrderedNamespace
from geomkfac.errors import ValuesError


def refuse_overflow(ns: OrderedNamespace, x: Array, what: str, advice: str) -> None:
    """Refuse an x whose exponential would be infinite.

    Parameters
    ----------
    what : what x is, as shown in the error: ``"log rate"``

    Raises
    ------
    ValuesError
    """
    most = 708.0 if ns.epsilon < 2.0**-40 else 87.0
    if math.prod(x.shape) and not float(ns.max(x)) <= most:
        raise ValuesError(
            f"a {what} is too large: its exponential is no number of {ns.name}.\n"
            f"  required: {most:g} or less\n  came    : {float(ns.max(x)):g}\n{advice}"
        )
