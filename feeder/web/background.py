"""What runs beside the requests, from the server's start to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from feeder.web.following import Follower


@asynccontextmanager
async def background(app: FastAPI) -> AsyncIterator[None]:
    """Follows the log; `app.state.is_stopping` tells when the server wants to end."""
    is_stopping = getattr(app.state, "is_stopping", lambda: False)
    follower = Follower(app.state.desk.settings.database, is_stopping)
    app.state.follower = follower
    follower.start()
    try:
        yield
    finally:
        follower.close()


def _follower(request: Request) -> Follower:
    follower = request.app.state.follower
    assert isinstance(follower, Follower)
    return follower


TheFollower = Annotated[Follower, Depends(_follower)]
"""A route's parameter of this type follows the log."""
