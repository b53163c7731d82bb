"""Architectures of convolutional networks, stage by stage, before there are spaces or weights.

A list such as ``[Convolution(16, 5, padding=2), "tanh", AveragePooling(2), Dense(10)]``, or the same as
one line of text (`architecture`).  Channels and kernels may be left out where arrays of weights give them.
"""

from __future__ import annotations

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, final

from geomkfac.arrays.borders import Padding
from geomkfac.errors import KindError, UnknownNameError, ValuesError
from geomkfac.literals import expression, literal, written
from geomkfac.maps.activations.activation import Activation
from geomkfac.maps.activations.by_name import ACTIVATIONS, WITH_PARAMETERS, activation
from geomkfac.names import look_up
from geomkfac.required import check_type, shown

Numbers: TypeAlias = int | Sequence[int]


@final
@dataclass(frozen=True)
class Convolution:
    """An affine map of patches to channels, the same at every place.

    Parameters
    ----------
    channels : channels of the output, m; None to read it from arrays
    kernel : length of the window along each axis, or one int for all; None to read it from arrays
    stride, dilation : one positive int, or one for each axis
    padding : one int, one int or pair (before, after) for each axis, 'same', or 'valid'
    groups : channels are split into this many groups, each with a map of its own
    border : what padding is filled with: 'zeros' (the point with coordinates 0 in iota), an array (J,), the
        coordinates of another point in iota, or 'reflect', 'replicate', 'circular'
    """

    channels: int | None = None
    kernel: Numbers | None = None
    stride: Numbers = 1
    padding: Padding = 0
    dilation: Numbers = 1
    groups: int = 1
    border: Any = "zeros"


@final
@dataclass(frozen=True)
class Dense:
    """An affine map of a whole map to one point: a fully connected layer.

    Parameters
    ----------
    width : dimension of the output; None to read it from arrays
    """

    width: int | None = None


@final
@dataclass(frozen=True)
class AveragePooling:
    """Means over windows: affine combinations of points, the same in every frame.

    Parameters
    ----------
    window : length along each axis, or one int; None for the whole map
    stride : None for as long as the window
    """

    window: Numbers | None = None
    stride: Numbers | None = None


@final
@dataclass(frozen=True)
class MaxPooling:
    """Maxima over windows, coordinate by coordinate in iota; smooth where no maximum is attained twice.

    Parameters
    ----------
    window : length along each axis, or one int
    stride : None for as long as the window
    """

    window: Numbers
    stride: Numbers | None = None


@final
@dataclass(frozen=True)
class Recurrence:
    """A whole recurrent network, in text alone: ``recurrence(at='last')``; see `RecurrentNetwork.from_arrays`.

    Parameters
    ----------
    activation : its name
    at : outputs at 'every' step or after the 'last'
    initial : 'zeros', a list, the coordinates of another point, or 'learned'
    """

    activation: str = "tanh"
    at: Any = "every"
    initial: Any = "zeros"


Stage: TypeAlias = Convolution | Dense | AveragePooling | MaxPooling | str | Activation | Any
Architecture: TypeAlias = Sequence[Stage]

STAGES: dict[str, Any] = {
    "convolution": Convolution,
    "dense": Dense,
    "average": AveragePooling,
    "max": MaxPooling,
    "recurrence": Recurrence,
}


def architecture(text: str) -> list[Stage]:
    """The stages that one line of text describes.

    Parameters
    ----------
    text : stages apart by spaces: ``convolution``, ``dense``, ``average``, ``max``, each perhaps with
        arguments in brackets as in Python, and names of activations, such as ``tanh`` or ``leaky_relu(0.2)``; or
        ``recurrence`` alone

    Raises
    ------
    UnknownNameError : a stage has another name.
    ValuesError : brackets or arguments make no sense.

    Examples
    --------
    >>> architecture("convolution(padding=2) tanh average(2) dense")[2:]
    [AveragePooling(window=2, stride=None), Dense(width=None)]
    """
    check_type("the text of an architecture", text, str, error=KindError)
    stages: list[Stage] = [_stage(token, text) for token in _tokens(text)]
    if not stages:
        raise ValuesError("an architecture has at least one stage, such as 'dense'.")
    return stages


def _tokens(text: str) -> list[str]:
    """The text cut at spaces outside brackets."""
    tokens, depth = [""], 0
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if letter.isspace() and depth == 0:
            tokens.append("")
        else:
            tokens[-1] += letter
    return [token for token in tokens if token]


def _stage(token: str, text: str) -> Stage:
    try:
        node = expression(token)
    except ValuesError as error:
        raise ValuesError(
            "the architecture cannot be read.\n  required: stages apart by spaces, such as "
            f"'convolution(padding=2) tanh average(2) dense'\n  came    : {shown(text)}\n"
            f"At {shown(token)}: {error}"
        ) from error
    call = node if isinstance(node, ast.Call) else None
    name = call.func if call is not None else node
    if not isinstance(name, ast.Name):
        raise ValuesError(f"a stage is a name, perhaps with arguments in brackets; the architecture is {shown(text)}.")
    if name.id not in STAGES:
        if call is not None:
            if name.id in WITH_PARAMETERS:
                return activation(token)
            known = ", ".join((*STAGES, *WITH_PARAMETERS))
            raise UnknownNameError(f"no stage with arguments is called {name.id!r}; there are {known}.")
        return look_up("stage or activation", name.id, {**STAGES, **ACTIVATIONS})
    made = STAGES[name.id]
    if call is None:
        return made() if made is not MaxPooling else made(2)
    try:
        arguments = [literal(argument) for argument in call.args]
        keywords = {str(keyword.arg): literal(keyword.value) for keyword in call.keywords}
        return made(*arguments, **keywords)
    except (TypeError, ValueError) as error:
        raise ValuesError(
            f"the arguments of {name.id!r} make no sense.\n  came: {shown(written(call))}\n{error}"
        ) from error
