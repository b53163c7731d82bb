"""Hypothesis, imported where it is first needed."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from geomkfac.errors import MissingExtraError

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

Drawn = TypeVar("Drawn")


def hypothesis_strategies() -> ModuleType:
    """The module ``hypothesis.strategies``.

    Raises
    ------
    MissingExtraError
        Where Hypothesis is not installed.
    """
    try:
        from hypothesis import strategies
    except ImportError as error:
        raise MissingExtraError(
            "the strategies of geomkfac.testing need Hypothesis, which is not installed.\n"
            "  required: the extra 'test'\n  came    : an installation without it\n"
            "Install it with: pip install 'geomkfac[test]'"
        ) from error
    return strategies


def composite(build: Callable[[Callable[[Any], Any]], Drawn]) -> SearchStrategy[Drawn]:
    """The strategy that runs `build` with Hypothesis's draw function."""
    strategy: SearchStrategy[Drawn] = hypothesis_strategies().composite(build)()
    return strategy
