"""How the API says what is wrong: in one shape, `{"error", "hint"}`, with the right status."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from feeder.errors import (
    BadFrame,
    BundleError,
    ConfigError,
    FeederError,
    LogbookError,
    NoSuchFrame,
    VocabularyError,
)
from feeder.query_terms import NoSuchTag, NoSuchTime
from feeder.web.api.shapes import Problem

_STATUS: tuple[tuple[type[FeederError] | tuple[type[FeederError], ...], int], ...] = (
    (NoSuchFrame, 404),
    ((LogbookError, BundleError, ConfigError), 503),
    ((NoSuchTime, NoSuchTag, VocabularyError), 422),
    (BadFrame, 415),
)
"""The first that fits counts; what else goes wrong is, in the API, in the way of things as they
are: 409; in a page, a form that was filled in wrongly: 400."""

_SAID = {
    400: "The request cannot be read.",
    401: "A password is wanted.",
    403: "It is not for whoever asked.",
    404: "It is not there.",
    405: "That is not what this address is for.",
    410: "It is gone for good.",
    409: "It cannot be done as things are.",
    413: "The upload is larger than the settings allow.",
    415: "The upload is no picture that this program accepts.",
    422: "A parameter or the body means nothing; the error names it.",
    429: "Too many requests.",
    503: "The log, or the model, is not to be had now: it is missing, being restored, or refused.",
}


class Refusal(FeederError):
    """What was asked for is not to be had; `status` is HTTP's."""

    def __init__(self, status: int, error: str, hint: str = "") -> None:
        super().__init__(error, hint)
        self.status = status


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """These statuses as OpenAPI's `responses`."""
    return {status: {"model": Problem, "description": _SAID[status]} for status in statuses}


@contextmanager
def told_as(status: int) -> Iterator[None]:
    """Tells whatever goes wrong within with this status."""
    try:
        yield
    except FeederError as error:
        raise Refusal(status, str(error), error.hint) from error


def status_of(error: FeederError, otherwise: int = 409) -> int:
    """The HTTP status that says best what is wrong; `otherwise` where nothing special is."""
    if isinstance(error, Refusal):
        return error.status
    return next((status for kinds, status in _STATUS if isinstance(error, kinds)), otherwise)


def problem(status: int, error: str, hint: str = "") -> Response:
    """An answer in the one shape."""
    headers = {"Retry-After": "10"} if status == 503 else None
    return JSONResponse({"error": error, "hint": hint}, status, headers)


def explained(error: FeederError) -> Response:
    """What went wrong, as the API tells it."""
    return problem(status_of(error), str(error), error.hint)


def refused(error: RequestValidationError) -> Response:
    """What FastAPI does not accept, by the parameter or field that is wrong."""
    return problem(422, meant(error), "/api describes every parameter.")


def meant(error: RequestValidationError) -> str:
    """What is wrong, in a sentence."""
    first = error.errors()[0]
    where = [str(part) for part in first["loc"]]
    what = f"{where[0]} `{'.'.join(where[1:])}`" if where[1:] else where[0]
    message = first["msg"].removeprefix("Value error, ")
    return f"{what}: {message}."


def answered(error: HTTPException) -> Response:
    """What the framework answers by itself: no such page, not this method, no body it can read."""
    said = _SAID.get(error.status_code, str(error.detail))
    answer = problem(error.status_code, said, "/api lists what there is.")
    answer.headers.update(error.headers or {})
    return answer
