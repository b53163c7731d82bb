"""Optimizers by name: ``module:attribute``."""

from __future__ import annotations

import importlib
from typing import Any

from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.names import look_up

__all__ = ["named_optimizer"]


def named_optimizer(name: str) -> Any:
    """The class or function that ``"torch.optim:Adam"`` names.

    Raises
    ------
    ValuesError : the name has no colon.
    UnknownNameError : there is no such module, or nothing of that name in it.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise ValuesError(
            f"an optimizer is named by its module and its name there.\n  required: module:name\n  came    : {name!r}\n"
            "For instance torch.optim:Adam."
        )
    try:
        found = importlib.import_module(module)
    except ImportError as error:
        raise UnknownNameError(f"the module {module!r} cannot be imported: {error}.") from error
    known = {key: value for key, value in vars(found).items() if callable(value) and not key.startswith("_")}
    return look_up(f"optimizer of {module}", attribute, known)
