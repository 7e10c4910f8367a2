"""The application: its routes, what stands before them, and how errors are told."""

import logging
from collections.abc import Mapping
from http import HTTPStatus

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from feeder import __version__
from feeder.errors import FeederError
from feeder.web import (
    api,
    api_page,
    calendar_page,
    correcting,
    frames_page,
    health_page,
    identify,
    listening,
    live,
    login,
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
from feeder.web.answers import API, is_for_program, refused
from feeder.web.api.errors import status_of
from feeder.web.background import background
from feeder.web.desk import Desk
from feeder.web.heads import Heads
from feeder.web.limits import RATES, BodyLimit, Buckets, Rate, RateLimit
from feeder.web.login import Gate, Sessions
from feeder.web.passwords import Doorkeeper
from feeder.web.security import HEADERS, Hosts, Origins, SafeHeaders
from feeder.web.static_files import STATIC, StaticFiles
from feeder.web.words import on_pages

log = logging.getLogger("feeder.web")

PAGES = (
    api_page,
    today,
    visit_page,
    species,
    calendar_page,
    search_page,
    review_page,
    correcting,
    frames_page,
    unknowns_page,
    identify,
    settings_page,
    health_page,
    live,
    login,
    media,
    metrics,
)
"""Modules with a `router` each."""


def create_app(desk: Desk, host: str | None = None, rates: Mapping[str, Rate] = RATES) -> FastAPI:
    """The application on this desk. `host` is where it listens, if not where [web] says."""
    web = desk.settings.web
    host = host or web.host
    is_wide = not listening.is_loopback(host)
    doorkeeper = Doorkeeper(desk.settings.resolve(web.password), is_wide, desk.clock)
    sessions = Sessions(desk.clock)
    app = FastAPI(
        title="Feeder",
        version=__version__,
        openapi_url=f"{API}/openapi.json",
        docs_url=None,  # FastAPI's own page loads its scripts from elsewhere
        redoc_url=None,
        lifespan=background,
        # From the outside in.
        middleware=[
            Middleware(SafeHeaders),
            Middleware(Heads),
            Middleware(BodyLimit, int(web.max_megabytes * 1e6)),
            Middleware(Hosts, listening.names(host, web.names)),
            Middleware(Origins),
            Middleware(RateLimit, Buckets(rates, desk.clock)),
            Middleware(Gate, doorkeeper, sessions),
        ],
    )
    app.state.desk = desk
    app.state.doorkeeper = doorkeeper
    app.state.sessions = sessions
    app.state.darkroom = media.Darkroom(desk.settings, desk.clock)
    api.attach(app, desk, API)
    for module in PAGES:
        app.include_router(module.router, include_in_schema=False)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
    app.add_exception_handler(FeederError, _explained)
    app.add_exception_handler(HTTPException, _told)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(Exception, _broken)
    return app


async def _explained(request: Request, error: Exception) -> Response:
    """What went wrong and how to mend it."""
    assert isinstance(error, FeederError)
    hint = error.hint if is_for_program(request.scope) else on_pages(error.hint)
    return refused(request.scope, status_of(error, otherwise=400), str(error), hint)


async def _told(request: Request, error: Exception) -> Response:
    """What Starlette and FastAPI raise: no such page, another method, a body that is cut off."""
    assert isinstance(error, HTTPException)
    said = str(error.detail)
    if said == HTTPStatus(error.status_code).phrase:
        said = _SAID.get(error.status_code, f"{said}.")
    return refused(request.scope, error.status_code, said, headers=error.headers)


_SAID = {
    404: "There is no such page.",
    405: "That is not what this address is for.",
}


async def _invalid(request: Request, error: Exception) -> Response:
    """Which part of a request means nothing; not what it was, which may be anything."""
    assert isinstance(error, RequestValidationError)
    wrong = error.errors()
    if not is_for_program(request.scope) and any(one["loc"][0] == "path" for one in wrong):
        return refused(request.scope, 404, _SAID[404])
    said = "; ".join(f"{one['loc'][-1]}: {one['msg']}" for one in wrong)
    return refused(request.scope, 422, f"This request means nothing: {said}.")


async def _broken(request: Request, error: Exception) -> Response:
    """A mistake in the program: what, its output says, and not the answer.

    This is outside of all that stands before the routes. The server gets the error, too, and
    writes its traceback.
    """
    where = f"{request.method} {request.url.path}"
    log.error("%s went wrong: %s: %s", where, type(error).__name__, error)
    said = "Something went wrong in the program; its output says what."
    return refused(request.scope, 500, said, headers=HEADERS)
