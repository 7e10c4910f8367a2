"""Pages that need nothing beside them and let nothing else in: HTML with its style and pictures."""

import base64
import hashlib
import io
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from feeder import decoder
from feeder.classifier import MAX_PIXELS
from feeder.errors import BadFrame

THUMBNAIL_EDGE = 240

Filters = Mapping[str, Callable[..., object]]


def render(name: str, made: datetime, filters: Filters, **values: Any) -> str:
    """The HTML template `name` filled in, its values escaped.

    The style is inline, and a content security policy is to allow it by `style_hash` and inline
    pictures, nothing else. `made` is the instant to show, with a time zone.
    """
    style = files("feeder").joinpath("templates/page.css").read_text(encoding="utf-8")
    page = {
        "made": made.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "style": Markup(style),  # ours, not a picture's or a label's
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    return _environment(filters, escapes=True).get_template(name).render(**page, **values)


def render_markdown(name: str, filters: Filters, **values: Any) -> str:
    """The Markdown template `name` filled in."""
    return _environment(filters, escapes=False).get_template(name).render(**values)


def thumbnail(path: Path) -> str:
    """A JPEG data URI of at most 240 x 240 pixels without metadata; "" where the file is gone."""
    try:
        data = path.read_bytes()
        image = decoder.decode(data, min_edge=THUMBNAIL_EDGE, max_pixels=MAX_PIXELS).image
    except (OSError, BadFrame):
        return ""
    image.thumbnail((THUMBNAIL_EDGE, THUMBNAIL_EDGE))
    image.info = {}  # Pillow would carry a JPEG's comment over
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(small.getvalue()).decode()


def _environment(filters: Filters, *, escapes: bool) -> Environment:
    environment = Environment(
        loader=PackageLoader("feeder"),
        autoescape=escapes,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= filters
    return environment
