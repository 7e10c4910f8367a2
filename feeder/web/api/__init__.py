"""The API: what the commands know and do, for programs; OpenAPI describes it."""

from fastapi import APIRouter, FastAPI

from feeder.web.api import (
    corrections,
    deployments,
    errors,
    frames,
    freshness,
    health,
    identify,
    labels,
    review,
    search,
    statistics,
    visits,
)
from feeder.web.desk import Desk

TAGS = {
    "visits": "Who came, when, and for how long. Birds are counted in visits.",
    "frames": "Sightings and frames: the log, row by row.",
    "statistics": "What visits add up to.",
    "search": "Frames by likeness.",
    "review": "What waits for a person.",
    "corrections": "What a person says that frames show.",
    "labels": "What can be named.",
    "identify": "What a picture shows that you send.",
    "deployments": "The cameras.",
    "health": "How the feeder is.",
}

DESCRIPTION = """\
What a bird feeder saw, and what people say of it: the same records as the command line's `--json`.
Names are [Camtrap DP](https://camtrap-dp.tdwg.org)'s and Darwin Core's in snake_case; times are
UTC, RFC 3339.

Lists come in pages: follow `next` (also the header `Link`) until it is null. Frames that come
meanwhile neither shift nor repeat anything; they are on the first page of the next reading. Lists
have an ETag: send it back in `If-None-Match`, and 304 says that nothing has changed.

Whatever goes wrong is answered as `{"error", "hint"}`.
"""

router = APIRouter(
    responses=errors.documented(401, 403, 422, 429, 503),
    generate_unique_id_function=lambda route: route.name,
)
MODULES = (
    visits,
    frames,
    statistics,
    search,
    review,
    corrections,
    labels,
    identify,
    deployments,
    health,
)
"""Modules with a `router` each."""

for module in MODULES:
    router.include_router(module.router)


def attach(app: FastAPI, desk: Desk, prefix: str) -> None:
    """Adds the API to the application, with its errors and its ETags."""
    app.description = DESCRIPTION
    app.openapi_tags = [{"name": name, "description": said} for name, said in TAGS.items()]
    app.state.log_version = freshness.LogVersion(desk.settings.database)
    app.state.counting = statistics.Counting()
    app.include_router(router, prefix=prefix)
