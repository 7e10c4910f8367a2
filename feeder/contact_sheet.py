"""Pictures with their captions as one HTML page that needs nothing beside it."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

Section = tuple[str, Sequence[tuple[str, str]]]
"""A heading ("" for none), and each picture's caption and thumbnail ("" where it is gone)."""


def render(title: str, sections: Sequence[Section], made: datetime) -> str:
    """The page as HTML. A caption's lines stay lines; a thumbnail is a data URI.

    Texts are escaped, styles and pictures are inline, and a content security policy allows
    nothing else. `made` is the instant to show, with a time zone.
    """
    style = files("feeder").joinpath("templates/contact_sheet.css").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("feeder"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("contact_sheet.html.j2").render(
        title=title,
        sections=sections,
        made=made.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        style=Markup(style),  # ours, not a picture's or a label's
        style_hash=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    )
