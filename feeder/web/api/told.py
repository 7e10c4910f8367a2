"""The API's routes: whatever goes wrong in one is told in the API's own way."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

from feeder.errors import FeederError
from feeder.web.api import errors
from feeder.web.api.freshness import Unchanged, not_modified

_methods: dict[str, set[str]] = {}
"""By address: the methods of all its routes."""


class ToldRoute(APIRoute):
    """A route that answers an error as `errors` says, and what the client has with 304."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        _methods.setdefault(self.path, set()).update(self.methods or ())

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The route's handler, with its errors told."""
        handler = super().get_route_handler()

        async def told(request: Request) -> Response:
            try:
                return await handler(request)
            except Unchanged as unchanged:
                return not_modified(unchanged)
            except FeederError as error:
                return errors.explained(error)
            except RequestValidationError as error:
                return errors.refused(error)
            except HTTPException as error:
                return errors.answered(error)

        return told

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers 405 with the methods of the whole address, where the framework names its own."""
        if scope["method"] not in (self.methods or ()):
            refused = errors.answered(HTTPException(405))
            refused.headers["Allow"] = ", ".join(sorted(_methods[self.path]))
            await refused(scope, receive, send)
        else:
            await super().handle(scope, receive, send)


def told_router(about: str) -> APIRouter:
    """A router whose operations are about this."""
    return APIRouter(tags=[about], route_class=ToldRoute)
