"""The API's operations, for a person to read: made from its OpenAPI, without scripts."""

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from feeder.web.rendering import page

router = APIRouter()

_METHODS = ("get", "post", "put", "delete")


@router.get("/api")
@router.get("/api/v1/")
def api(request: Request) -> HTMLResponse:
    """Every operation, by what it is about."""
    described = request.app.openapi()
    operations: dict[str, list[dict[str, Any]]] = {one["name"]: [] for one in described["tags"]}
    for path, methods in described["paths"].items():
        for method in filter(methods.__contains__, _METHODS):
            operation = methods[method]
            operations[operation["tags"][0]].append(
                {"method": method.upper(), "path": path, **operation}
            )
    return page(
        request,
        "api",
        openapi=request.app.openapi_url,
        sections=[(one, operations[one["name"]]) for one in described["tags"]],
    )
