"""The templates of pages, pictures and documents: ``geomkfac/data/pages``, for designers to edit.

HTML and SVG stand there, beside the stylesheet and the scripts; Python prepares what they show.  All that a template
is given is text, and never markup, unless the template says ``|safe`` of it.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2 import Environment

_FORBIDDEN = re.compile("[^\t\n -~\xa0-\ud7ff\ue000-\ufdcf\ufdf0-\ufffd\U00010000-\U0010fffd]")
"""Characters that XML or HTML does not allow, and control characters."""


def rendered(template: str, **values: Any) -> str:
    """A page, a picture or a document, made from a template.

    Parameters
    ----------
    template : a file of ``geomkfac/data/pages``; what is put into it is escaped, but in Markdown (``.md.jinja``)
    values : what its names stand for

    Raises
    ------
    jinja2.UndefinedError : the template has a name that stands for nothing.
    """
    # The blank lines around it are those between the parts of the template.
    return templates().get_template(template).render(values).strip() + "\n"


@cache
def templates() -> Environment:
    """All templates, as they are put together."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("geomkfac.data", "pages"),
        autoescape=lambda name: name is None or not name.endswith(".md.jinja"),
        undefined=StrictUndefined,
        finalize=_allowed,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.globals["verbatim"] = _verbatim
    made.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "separators": (",", ":")}
    return made


def _allowed(value: Any) -> Any:
    """Text without characters that XML forbids; of the same type, which says whether it is markup."""
    return type(value)(_FORBIDDEN.sub("\ufffd", value)) if isinstance(value, str) else value


def _verbatim(name: str) -> Any:
    """A stylesheet or a script, as it is: braces mean something else there."""
    from markupsafe import Markup

    return Markup(resources.files("geomkfac.data").joinpath("pages", name).read_text(encoding="utf-8"))
