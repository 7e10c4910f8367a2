"""Templates -> pages; every value is escaped."""

import gzip
from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from feeder import __version__
from feeder.web import charts, words
from feeder.web.static_files import static_url

_environment = Environment(
    loader=PackageLoader("feeder.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"version": __version__, "static": static_url, "spark": charts.spark}
_environment.filters |= words.FILTERS

_LEAST = 1400
"""Bytes below which a page fits into one packet anyway."""


def page(request: Request, name: str, status: int = 200, /, **values: Any) -> HTMLResponse:
    """The template `name`.html.j2 filled in, as a response; compressed where that is understood."""
    template = _environment.get_template(f"{name}.html.j2")
    response = HTMLResponse(template.render(request=request, **values), status)
    response.headers["Vary"] = "Accept-Encoding"
    if len(response.body) >= _LEAST and "gzip" in request.headers.get("Accept-Encoding", ""):
        response.body = gzip.compress(response.body, 5)
        response.headers["Content-Encoding"] = "gzip"
        response.headers["Content-Length"] = str(len(response.body))
    return response
