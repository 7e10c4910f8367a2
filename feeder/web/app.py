"""The application: its routes, what stands before them, and how errors are told."""

from importlib.resources import files

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
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
from feeder.web.api import errors
from feeder.web.desk import Desk
from feeder.web.rendering import page

API = "/api/v1"

PAGES = (
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
    api_page,
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
    app.add_exception_handler(HTTPException, _answered)
    app.add_exception_handler(RequestValidationError, _refused)
    return app


def _explained(request: Request, error: Exception) -> Response:
    """What went wrong and how to mend it, as JSON to a program and as a page to a person."""
    assert isinstance(error, FeederError)
    if _is_program(request):
        return errors.explained(error)
    status = 503 if isinstance(error, LogUnavailable) else 400
    return page(request, "error", status, error=str(error), hint=error.hint)


def _answered(request: Request, error: Exception) -> Response:
    """The same of what the framework answers by itself: no such page, not this method."""
    assert isinstance(error, HTTPException)
    if _is_program(request):
        return api.answered(request, error)
    answer = page(request, "error", error.status_code, error=str(error.detail), hint="")
    answer.headers.update(error.headers or {})
    return answer


def _refused(request: Request, error: Exception) -> Response:
    """The same of parameters, forms and bodies that mean nothing."""
    assert isinstance(error, RequestValidationError)
    if _is_program(request):
        return errors.refused(error)
    return page(request, "error", 422, error=errors.meant(error), hint="")


def _is_program(request: Request) -> bool:
    return request.url.path.startswith(f"{API}/")
