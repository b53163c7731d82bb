"""Text of a user as Python literals: it is read, and never run.

Python's parser and its readers of trees have many ways to fail, which depend on its version; here they are one.
"""

from __future__ import annotations

import ast
from typing import Any

from geomkfac.errors import ValuesError
from geomkfac.required import shown

_FAILURES = (SyntaxError, ValueError, TypeError, ArithmeticError, MemoryError, RecursionError)


def expression(text: str) -> ast.expr:
    """The syntax tree of one expression.

    Raises
    ------
    ValuesError : it is none, or one that is nested too deeply.
    """
    try:
        return ast.parse(text.strip(), mode="eval").body
    except _FAILURES as error:
        raise _unreadable(text, error) from error


def literal(text: str | ast.expr) -> Any:
    """The number, string, tuple, list, dict, set, bool or None that is written there.

    Raises
    ------
    ValuesError : something else is.

    Examples
    --------
    >>> literal("[1, 2.5]")
    [1, 2.5]
    """
    try:
        return ast.literal_eval(text)
    except _FAILURES as error:
        raise _unreadable(text, error) from error


def written(node: ast.expr) -> str:
    """The text of a syntax tree; where it is nested too deeply, dots."""
    try:
        return ast.unparse(node)
    except RecursionError:
        return "..."


def _unreadable(text: str | ast.expr, error: BaseException) -> ValuesError:
    came = text if isinstance(text, str) else written(text)
    why = (error.msg if isinstance(error, SyntaxError) else str(error)) or type(error).__name__
    return ValuesError(
        "this cannot be read as Python.\n  required: a literal, such as 3, 0.5, 'word' or (1, 2)\n"
        f"  came    : {shown(came)}\nThere: {why}."
    )
