"""What runs beside the requests, from the server's start to its end."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request

from feeder.counting import Terms
from feeder.tally import Tally
from feeder.web.counted import Counter
from feeder.web.desk import Desk
from feeder.web.following import Follower


@asynccontextmanager
async def background(app: FastAPI) -> AsyncIterator[None]:
    """Follows the log, and counts its visits.

    `app.state.is_stopping` tells when the server wants to end.
    """
    is_stopping = getattr(app.state, "is_stopping", lambda: False)
    desk = app.state.desk
    assert isinstance(desk, Desk)
    follower = Follower(desk.settings.database, is_stopping)
    counter = Counter(
        lambda: desk.log,
        Tally(desk.settings.cache / "visits-by-day.db"),
        lambda: Terms(desk.settings.visits.gap, desk.groups, desk.zones),
        desk.clock,
    )
    app.state.follower, app.state.counter = follower, counter
    follower.start()
    counter.start()
    try:
        yield
    finally:
        follower.close()
        counter.close()


def _follower(request: Request) -> Follower:
    follower = request.app.state.follower
    assert isinstance(follower, Follower)
    return follower


TheFollower = Annotated[Follower, Depends(_follower)]
"""A route's parameter of this type follows the log."""


def _counter(request: Request) -> Counter:
    counter = request.app.state.counter
    assert isinstance(counter, Counter)
    return counter


TheCounter = Annotated[Counter, Depends(_counter)]
"""A route's parameter of this type has the visits counted by day."""
