"""The application: its routes, what stands before them, and how errors are told."""

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse

from feeder import __version__
from feeder.errors import FeederError, LogUnavailable
from feeder.web import (
    api,
    calendar_page,
    correcting,
    health_page,
    identify,
    live,
    media,
    metrics,
    review_page,
    search_page,
    settings_page,
    species,
    today,
    unknowns_page,
    visit_page,
)
from feeder.web.background import background
from feeder.web.desk import Desk
from feeder.web.rendering import page
from feeder.web.static_files import STATIC, StaticFiles

API = "/api/v1"

PAGES = (
    today,
    visit_page,
    species,
    calendar_page,
    search_page,
    review_page,
    correcting,
    unknowns_page,
    identify,
    settings_page,
    health_page,
    live,
    media,
    metrics,
)
"""Modules with a `router` each."""


def create_app(desk: Desk) -> FastAPI:
    """The application on this desk."""
    app = FastAPI(
        title="Feeder",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        lifespan=background,
    )
    app.state.desk = desk
    app.include_router(api.router, prefix=API)
    for module in PAGES:
        app.include_router(module.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(FeederError, _explained)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """What went wrong and how to mend it, as JSON to a program and as a page to a person."""
    assert isinstance(error, FeederError)
    status = 503 if isinstance(error, LogUnavailable) else 400
    if request.url.path.startswith(API):
        return JSONResponse({"error": str(error), "hint": error.hint}, status)
    return page(request, "error", status, error=str(error), hint=error.hint)
