"""Looking something up by name, with an error that helps."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping, Sequence
from difflib import get_close_matches
from typing import Any, TypeVar

from geomkfac.errors import UnknownNameError, ValuesError
from geomkfac.required import shown

T = TypeVar("T")


def look_up(what: str, name: object, known: Mapping[str, T]) -> T:
    """The entry of `known` under `name`.

    Parameters
    ----------
    what : what the names stand for, as shown in the error: ``"activation"``
    name : the name that was given
    known : every name that is accepted

    Raises
    ------
    UnknownNameError
        If `name` is not one of them; it lists them, and the nearest.

    Examples
    --------
    >>> look_up("colour", "gren", {"red": 1, "green": 2})
    Traceback (most recent call last):
    geomkfac.errors.UnknownNameError: unknown colour 'gren'.
      required: one of 'green', 'red'
      came    : 'gren'
    Did you mean 'green'?
    """
    if isinstance(name, str) and name in known:
        return known[name]
    names = sorted(known)
    near = get_close_matches(name, names, n=1) if isinstance(name, str) else []
    advice = (
        f"Did you mean {near[0]!r}?" if near else f"Pass the {what} by one of these names, or as an object."
    )
    raise UnknownNameError(
        f"unknown {what} {shown(name)}.\n"
        f"  required: one of {', '.join(map(repr, names))}\n"
        f"  came    : {shown(name)}\n"
        f"{advice}"
    )


def check_word(what: str, word: object, known: Sequence[str]) -> None:
    """Refuse a `word` that is none of the `known` ones.

    Raises
    ------
    UnknownNameError
    """
    if not isinstance(word, str) or word not in known:
        raise UnknownNameError(f"{what} must be one of {', '.join(map(repr, known))}, not {shown(word)}.")


def enter(what: str, name: str, thing: object, known: MutableMapping[str, Any]) -> None:
    """Put something into the table in which it will be looked up.

    Parameters
    ----------
    what, name, known : as `look_up` takes them

    Raises
    ------
    ValuesError
        If something else has that name.
    """
    if name in known:
        raise ValuesError(
            f"there is an {what} of this name already.\n  required: another name than {known[name]!r} has\n"
            f"  came    : {shown(name)}\nChoose another name."
        )
    known[name] = thing
