"""Hypothesis, imported where it is first needed."""

from __future__ import annotations

from types import ModuleType

from geomkfac.errors import MissingExtraError


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
