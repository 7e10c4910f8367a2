"""The application: its routes, what stands before them, and how errors are told."""

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from feeder import __version__
from feeder.errors import FeederError, LogUnavailable
from feeder.web import (
    api,
    api_page,
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
)
from feeder.web.desk import Desk
from feeder.web.rendering import page

API = "/api/v1"

PAGES = (
    api_page,
    today,
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
    )
    app.state.desk = desk
    api.attach(app, desk, API)
    for module in PAGES:
        app.include_router(module.router, include_in_schema=False)
    static = str(files("feeder.web").joinpath("static"))
    app.mount("/static", StaticFiles(directory=static), name="static")
    app.add_exception_handler(FeederError, _explained)
    app.add_exception_handler(HTTPException, _told)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """What went wrong and how to mend it, as JSON to a program and as a page to a person."""
    assert isinstance(error, FeederError)
    status = 503 if isinstance(error, LogUnavailable) else 400
    if request.url.path.startswith(API):
        return JSONResponse({"error": str(error), "hint": error.hint}, status)
    return page(request, "error", status, error=str(error), hint=error.hint)


def _told(request: Request, error: Exception) -> Response:
    """The same of what the framework answers by itself, such as that there is no such page."""
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    if request.url.path.startswith(API):
        return JSONResponse({"error": said, "hint": ""}, error.status_code, error.headers)
    return page(request, "error", error.status_code, error=said, hint="")
