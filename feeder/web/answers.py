"""How a request is refused: in whole sentences, as JSON to a program and as a page to a person."""

from collections.abc import Mapping

from fastapi import Request, Response
from fastapi.responses import JSONResponse, PlainTextResponse
from starlette.types import Scope

from feeder.web.rendering import page

API = "/api/v1"


def is_for_program(scope: Scope) -> bool:
    """Whether the request is the API's."""
    path: str = scope["path"]
    return path.startswith(f"{API}/")


def wants_page(scope: Scope) -> bool:
    """Whether a browser asks for something to show: not a script, not a picture's element."""
    return not is_for_program(scope) and b"text/html" in header(scope, b"accept")


def header(scope: Scope, name: bytes) -> bytes:
    """The first header of this name, in lower case; empty where there is none."""
    return next((value for key, value in scope["headers"] if key == name), b"")


def refused(
    scope: Scope,
    status: int,
    error: str,
    hint: str = "",
    headers: Mapping[str, str] | None = None,
) -> Response:
    """An answer that says what is wrong and how to mend it."""
    answer: Response
    if is_for_program(scope):
        answer = JSONResponse({"error": error, "hint": hint}, status)
    elif wants_page(scope) or not header(scope, b"accept"):
        answer = page(Request(scope), "error", status, error=error, hint=hint)
    else:
        answer = PlainTextResponse(f"{error} {hint}".rstrip() + "\n", status)
    answer.headers.update(headers or {})
    return answer
