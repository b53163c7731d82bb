"""Formulas in MathML, which browsers lay out themselves."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib import import_module


@cache
def mathml(latex: str) -> str:
    """A formula in MathML, as a block.

    Letters of a mathematical alphabet are written as the characters that Unicode has for them, as browsers
    do not heed the attribute that would choose one.

    Raises
    ------
    Whatever latex2mathml raises for what is no LaTeX.
    """
    text: str = import_module("latex2mathml.converter").convert(latex, display="block")
    return _GREEK.sub(r'<mi mathvariant="normal">\1</mi>', _STYLED.sub(_in_unicode, text))


_STYLED = re.compile(r'<(mi|mn|mo) mathvariant="([a-z-]+)">(?:&#x([0-9A-Fa-f]+);|(.))</\1>')
# TeX sets capital Greek letters upright, browsers a single letter slanted.
_GREEK = re.compile(r"<mi>(&#x0039[1-9A-F];|&#x003A[0-9];)</mi>")
_ALPHABETS = {"bold": "BOLD", "double-struck": "DOUBLE-STRUCK", "script": "SCRIPT", "fraktur": "FRAKTUR"}


def _in_unicode(found: re.Match[str]) -> str:
    tag, style, code, letter = found.groups()
    character = chr(int(code, 16)) if code else letter
    alphabet, name = _ALPHABETS.get(style), unicodedata.name(character, "").split()
    if alphabet is None or not name or name[0] not in {"LATIN", "GREEK", "DIGIT"}:
        return found[0]
    # "LATIN CAPITAL LETTER E" becomes "MATHEMATICAL DOUBLE-STRUCK CAPITAL E"; some are "DOUBLE-STRUCK CAPITAL R".
    rest = f"{alphabet} {' '.join(name) if name[0] == 'DIGIT' else ' '.join([name[1], *name[3:]])}"
    for full in (f"MATHEMATICAL {rest}", rest):
        try:
            return f"<{tag}>{unicodedata.lookup(full)}</{tag}>"
        except KeyError:
            continue
    return found[0]
