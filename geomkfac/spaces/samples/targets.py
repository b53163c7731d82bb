"""Targets of a sample: one array, or several side by side as a tuple or a dict; the first axis counts data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from geomkfac.errors import KindError, ShapeError


def map_targets(function: Callable[[Any], Any], targets: Any) -> Any:
    """The same arrangement of arrays, with `function` applied to each; None stays None."""
    if targets is None:
        return None
    if isinstance(targets, Mapping):
        return {name: function(part) for name, part in targets.items()}
    if isinstance(targets, tuple):
        return tuple(function(part) for part in targets)
    return function(targets)


def slice_targets(targets: Any, start: int, stop: int) -> Any:
    """The targets of data `start` to `stop` - 1."""
    return map_targets(lambda part: part[start:stop, ...], targets)


def parts_of(targets: Any) -> list[tuple[str, Any]]:
    """The arrays, each with words that say which it is."""
    if isinstance(targets, Mapping):
        return [(f"targets[{name!r}]", part) for name, part in targets.items()]
    if isinstance(targets, tuple):
        return [(f"targets[{index}]", part) for index, part in enumerate(targets)]
    return [("targets", targets)]


def check_targets(targets: Any, count: int) -> None:
    """Refuse targets that are no arrays of first axis `count`; what they must hold is for the output family to say.

    Raises
    ------
    KindError, ShapeError
    """
    parts = parts_of(targets)
    if not parts:
        raise ShapeError(
            f"a sample has one target per point.\n  points : {count}\n  targets: an empty {type(targets).__name__}\n"
            "Pass one array for each family side by side, or None."
        )
    for name, part in parts:
        shape = getattr(part, "shape", None)
        if shape is None:
            raise KindError(f"{name} must be an array, not {type(part).__name__}; convert with numpy.asarray.")
        if not shape or shape[0] != count:
            raise ShapeError(
                f"a sample has one target per point.\n  points : {count}\n  {name}: shape {tuple(shape)}"
            )
