"""How a verdict looks: a colour, a shape and a mark; and the words of an SVG."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from html import escape

INK, SOFT, LINE = "#1d2129", "#6a7180", "#dfe2e8"

COLOURS = {"invariant": "#1c7c3c", "first order": "#a86400", "broken": "#c4211f", "inconclusive": "#6a7180",
           "left out": "#8a92a0"}  # fmt: skip
_DARK = {INK: "#e6e8ec", SOFT: "#9aa3b2", LINE: "#2c323c", "#1c7c3c": "#6fd08c", "#a86400": "#f0b45c",
         "#c4211f": "#ff8078", "#8a92a0": "#7c8696"}  # fmt: skip

SIGNS = {"invariant": "✓", "first order": "≈", "broken": "✕", "inconclusive": "?", "left out": "–"}
"""The marks as characters, where there is no room for a shape."""


_FORBIDDEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]")
"""Characters that XML or HTML does not allow, and control characters."""


_WITHIN = ":is(.lattice,symbol)"
"""A shape that is used elsewhere on a page knows its symbol, and not what it is used in."""


def dark_style() -> str:
    """Rules that turn the colours of a picture for readers who want it dark."""
    turned = "".join(
        f'{_WITHIN} [{kind}="{light}"]{{{kind}:{dark}}}' for light, dark in _DARK.items() for kind in ("fill", "stroke")
    )
    turned += "".join(f'{_WITHIN} [{kind}="#fff"]{{{kind}:#14171c}}' for kind in ("fill", "stroke"))
    return f"@media screen and (prefers-color-scheme:dark){{{turned}}}"


def plain(text: object) -> str:
    """Text for HTML and XML: escaped, and without characters that XML forbids."""
    return escape(_FORBIDDEN.sub("\ufffd", str(text)))


def label(
    x: float, y: float, words: str, colour: str, *, weight: int = 400, anchor: str = "middle", size: float = 11.5
) -> str:
    """A line of words in an SVG."""
    if not words:
        return ""
    heavy = f' font-weight="{weight}"' if weight != 400 else ""
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" text-anchor="{anchor}" font-size="{size:g}"{heavy}>'
        f"{plain(words)}</text>"
    )


def wrapped(words: str, width: float, *, size: float = 11.5) -> tuple[str, ...]:
    """Words in lines of a width in pixels, by the width of an average letter."""
    return tuple(textwrap.wrap(words, max(8, int(width / (0.53 * size))), break_on_hyphens=False)) or (words,)


def spaced(words: Sequence[str], most: int) -> str:
    """Words in one line of so many letters; what has no room is counted."""
    for count in range(len(words), 0, -1):
        rest = [f"+{len(words) - count}"] if count < len(words) else []
        line = " ".join([*words[:count], *rest])
        if len(line) <= most or count == 1:
            return line
    return ""


def mark(verdict: str, x: float = 0.0, y: float = 0.0, r: float = 11.0) -> str:
    """The shape of a verdict with its mark, centred at (x, y): parts of an SVG."""
    colour = COLOURS[verdict]
    pen = f'fill="none" stroke="#fff" stroke-width="{r / 5:g}" stroke-linecap="round" stroke-linejoin="round"'
    if verdict == "invariant":
        shape = f'<circle r="{r:g}" fill="{colour}"/>'
        sign = f'<path d="{_path(r, "M", -0.45, 0.02, "L", -0.12, 0.36, "L", 0.48, -0.36)}" {pen}/>'
    elif verdict == "broken":
        shape = f'<path d="{_path(r, "M", -0.9, -0.9, "H", 0.9, "V", 0.9, "H", -0.9, "Z")}" fill="{colour}"/>'
        sign = f'<path d="{_path(r, "M", -0.38, -0.38, "L", 0.38, 0.38, "M", -0.38, 0.38, "L", 0.38, -0.38)}" {pen}/>'
    elif verdict == "first order":
        shape = f'<path d="{_path(r, "M", 0, -1.2, "L", 1.2, 0, "L", 0, 1.2, "L", -1.2, 0, "Z")}" fill="{colour}"/>'
        waves = [_path(r, "M", -0.5, h, "q", 0.25, -0.36, 0.5, 0, "t", 0.5, 0) for h in (-0.22, 0.26)]
        sign = f'<path d="{"".join(waves)}" {pen}/>'
    elif verdict == "inconclusive":
        shape = f'<path d="{_path(r, "M", 0, -1.2, "L", 1.15, 0.85, "L", -1.15, 0.85, "Z")}" fill="{colour}"/>'
        sign = (f'<text y="{0.65 * r:.2f}" text-anchor="middle" font-weight="700" font-size="{1.25 * r:.1f}" '
                f'fill="#fff">{SIGNS[verdict]}</text>')  # fmt: skip
    else:
        shape = f'<circle r="{0.9 * r:.2f}" fill="none" stroke="{colour}" stroke-width="1.5" stroke-dasharray="3 2.5"/>'
        sign = f'<path d="{_path(r, "M", -0.35, 0, "H", 0.35)}" fill="none" stroke="{colour}" stroke-width="2"/>'
    return f'<g class="{verdict.replace(" ", "-")}" transform="translate({x:.1f} {y:.1f})">{shape}{sign}</g>'


def _path(r: float, *steps: str | float) -> str:
    """A path of commands and of lengths in units of r."""
    return " ".join(step if isinstance(step, str) else f"{step * r:.2f}" for step in steps)
