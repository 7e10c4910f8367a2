"""Templates -> pages; every value is escaped."""

from typing import Any

from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from feeder import __version__

_environment = Environment(
    loader=PackageLoader("feeder.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.globals |= {"version": __version__}


def page(request: Request, name: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The template `name`.html.j2 filled in, as a response."""
    template = _environment.get_template(f"{name}.html.j2")
    return HTMLResponse(template.render(request=request, **values), status)
