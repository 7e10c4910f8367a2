"""Pages that need nothing beside them and let nothing else in: HTML with its style and pictures."""

import base64
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

Filters = Mapping[str, Callable[..., object]]
NONE: Filters = {}


def render(name: str, made: datetime, filters: Filters = NONE, **values: Any) -> str:
    """The HTML template `name`.html.j2 filled in, its values escaped.

    The style, `name`.css, is inline, and a content security policy is to allow it by `style_hash`
    and inline pictures, nothing else. `made` is the instant to show, with a time zone.
    """
    style = files("feeder").joinpath(f"templates/{name}.css").read_text(encoding="utf-8")
    page = {
        "made": made.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "style": Markup(style),  # ours, not a picture's or a label's
        "style_hash": base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
    }
    template = _environment(filters, escapes=True).get_template(f"{name}.html.j2")
    return template.render(**page, **values)


def render_markdown(name: str, filters: Filters, **values: Any) -> str:
    """The Markdown template `name`.md.j2 filled in."""
    return _environment(filters, escapes=False).get_template(f"{name}.md.j2").render(**values)


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
