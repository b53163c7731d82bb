"""The activation functions, and finding them by name.

Hand-written, so that both tails are right: every result keeps full relative accuracy wherever it
can be represented, and nothing overflows.  SymPy is the oracle in the tests.  `identity` and
polynomials are rational, and run over every kind of scalar.

An activation is registered in the file that defines it (`registered`, `with_parameters`), and all that lists
activations reads that from here: the command line's help, what is PyTorch's, the tests.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from fractions import Fraction
from typing import ParamSpec, TypeVar

from geomkfac.errors import ValuesError
from geomkfac.literals import expression, written
from geomkfac.maps.activations.activation import Activation
from geomkfac.names import enter, look_up
from geomkfac.required import shown

A = TypeVar("A", bound=Activation)
P = ParamSpec("P")

ACTIVATIONS: dict[str, Activation] = {}
"""The activations that have a name of their own, with the usual parameters: those `registered`."""

WITH_PARAMETERS: dict[str, Callable[..., Activation]] = {}
"""What makes the activation of a name with numbers in brackets, such as ``leaky_relu(0.2)``."""


def registered(phi: A) -> A:
    """The same activation, which `activation` finds by its name from now on.

    Raises
    ------
    ValuesError : another one has its name.
    """
    enter("activation", phi.name, phi, ACTIVATIONS)
    return phi


def with_parameters(make: Callable[P, A]) -> Callable[P, A]:
    """The same function, which `activation` calls from now on where numbers follow its name in brackets."""
    enter("activation with parameters", make.__name__, make, WITH_PARAMETERS)
    return make


def activation(name_or_object: str | Activation) -> Activation:
    """The activation of that name, or the object itself.

    Parameters
    ----------
    name_or_object : one of `ACTIVATIONS`, or a name with parameters, as ``phi.name`` writes it

    Raises
    ------
    UnknownNameError
        For any other name; it lists those known, and the nearest.
    ValuesError
        Where what stands in brackets are no parameters of the function.

    Examples
    --------
    >>> activation("tanh")
    Tanh()
    >>> activation("leaky_relu(0.2)")
    LeakyRelu(slope=0.2)
    """
    if isinstance(name_or_object, Activation):
        return name_or_object
    if isinstance(name_or_object, str) and "(" in name_or_object:
        return _with_parameters(name_or_object)
    return look_up("activation", name_or_object, ACTIVATIONS)


def _with_parameters(text: str) -> Activation:
    try:
        call: ast.expr | None = expression(text)
    except ValuesError:
        call = None
    if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
        raise _unreadable(text, "brackets that do not close, or more than one name")
    make = look_up("activation with parameters", call.func.id, WITH_PARAMETERS)
    try:
        numbers = [_number(argument) for argument in call.args]
        named = {str(keyword.arg): _number(keyword.value) for keyword in call.keywords}
        return make(*numbers, **named)
    except ValuesError:
        raise
    except (TypeError, ValueError, ArithmeticError) as error:
        raise _unreadable(text, str(error)) from error


def _number(node: ast.expr) -> int | float | Fraction:
    """The int, float or fraction that stands there."""
    text = written(node).replace(" ", "")
    try:
        return int(text)
    except ValueError:
        return Fraction(text) if "/" in text else float(text)


def _unreadable(text: str, why: str) -> ValuesError:
    return ValuesError(
        "an activation with parameters cannot be read.\n  required: a name with numbers in brackets, such as "
        f"'leaky_relu(0.2)', of {', '.join(WITH_PARAMETERS)}\n  came    : {shown(text)}\nThere: {why}."
    )
