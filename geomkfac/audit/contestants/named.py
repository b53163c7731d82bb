"""Optimizers by name, ``module:attribute``, and their options."""

from __future__ import annotations

import dataclasses
import functools
import importlib
from collections.abc import Mapping
from typing import Any

from geomkfac.audit.contestants.contestant import ANYTHING, import_torch
from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.literals import literal
from geomkfac.names import look_up
from geomkfac.required import shown


def named_optimizer(name: str) -> Any:
    """The class or function that ``"torch.optim:Adam"`` names.

    Raises
    ------
    ValuesError : the name has no colon.
    UnknownNameError : there is no such module, or nothing of that name in it.
    MissingExtraError : the module is PyTorch's, or needs it, and it is not installed.
    """
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute:
        raise ValuesError(
            "an optimizer is named by its module and its name there.\n  required: module:name\n"
            f"  came    : {shown(name)}\nFor instance torch.optim:Adam."
        )
    contents = getattr(imported(module), "__dict__", {})
    known = {key: value for key, value in contents.items() if callable(value) and not key.startswith("_")}
    return look_up(f"optimizer of {module}", attribute, known)


def imported(module: str) -> Any:
    """The module of that name.  Its code is run, whatever it is.

    Raises
    ------
    UnknownNameError : there is no such module, it does not import, or it ends the program.
    MissingExtraError : it is PyTorch's, or needs it, and it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ANYTHING as error:
        if isinstance(error, ImportError) and (error.name or "").partition(".")[0] == "torch":
            import_torch()
        raise UnknownNameError(
            f"the module {shown(module)} cannot be imported.\n  required: the full name of a module that is installed\n"
            f"  came    : {type(error).__name__}: {error}\nImport it in Python to see more."
        ) from error


def parsed_option(text: str) -> tuple[str, Any]:
    """Name and value of ``"momentum=0.9"``: the value a Python literal, or a word.

    Raises
    ------
    ValuesError : there is no name or no value.
    """
    name, sign, value = text.partition("=")
    if not sign or not name.isidentifier() or not value:
        raise ValuesError(f"an option is written NAME=VALUE, such as momentum=0.9; came {shown(text)}.")
    try:
        return name, literal(value.capitalize() if value in ("true", "false", "none") else value)
    except ValuesError:
        return name, value


def with_options(optimizer: Any, options: Mapping[str, Any]) -> Any:
    """The optimizer with these options: a rule, or a class or function that is called with them besides.

    Raises
    ------
    UnknownNameError : a rule has no such option.
    """
    if not options:
        return optimizer
    if is_rule(optimizer):
        names = {field.name for field in dataclasses.fields(optimizer)}
        for name in options:
            look_up(f"option of {named(optimizer)}", name, dict.fromkeys(names))
        return optimizer(**options) if isinstance(optimizer, type) else dataclasses.replace(optimizer, **options)
    made: Any = functools.partial(optimizer, **options)
    told = ", ".join(f"{name}={value!r}" for name, value in options.items())
    made.__qualname__ = f"{named(optimizer)}({told})"
    return made


def is_rule(optimizer: Any) -> bool:
    """Whether it is one of `geomkfac.updates`, or its class."""
    kind = optimizer if isinstance(optimizer, type) else type(optimizer)
    return str(kind.__module__).startswith("geomkfac.updates")


def named(optimizer: Any) -> str:
    """What a report calls it."""
    return str(getattr(optimizer, "__qualname__", optimizer))
