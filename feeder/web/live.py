"""Server-sent events: that the log has changed. What has, a page sees by asking for itself again.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from fastapi import APIRouter, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from feeder.web.background import TheFollower
from feeder.web.following import Follower
from feeder.web.login import MAY_STAY

router = APIRouter()

HEARTBEAT_SECONDS = 15.0
"""Between two signs of life: what stands in between takes a silent connection for a dead one."""

RETRY_MILLISECONDS = 3000


@router.get("/live")
async def live(request: Request, follower: TheFollower) -> Response:
    """The event `log` at the beginning, and whenever the log has changed."""
    if follower.is_over or not follower.has_room:
        return PlainTextResponse(
            "Too many browsers listen already.", 503, headers={"Retry-After": "60"}
        )
    return StreamingResponse(
        events(follower, HEARTBEAT_SECONDS, request.scope[MAY_STAY]),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def events(
    follower: Follower, heartbeat: float, may_stay: Callable[[], bool] = lambda: True
) -> AsyncIterator[str]:
    """The stream's text, a comment after so many seconds without any.

    It ends with the follower, and for who has logged out at what would be said next.
    """
    with follower.listening() as news:
        yield f"retry: {RETRY_MILLISECONDS}\nevent: log\ndata: here\n\n"
        while not follower.is_over:
            with suppress(TimeoutError):
                await asyncio.wait_for(news.wait(), heartbeat)
            if not may_stay():
                return
            if not news.is_set():
                yield ": still here\n\n"
                continue
            news.clear()
            if not follower.is_over:
                yield "event: log\ndata: changed\n\n"
