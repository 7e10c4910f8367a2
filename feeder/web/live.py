"""Server-sent events: that the log has changed. What has, a page sees by asking for itself again.

Source: https://html.spec.whatwg.org/multipage/server-sent-events.html
"""

import asyncio
from collections.abc import AsyncIterator

from fastapi import APIRouter, Response
from fastapi.responses import PlainTextResponse, StreamingResponse

from feeder.web.background import TheFollower
from feeder.web.following import Follower

router = APIRouter()

HEARTBEAT_SECONDS = 15.0
"""Between two signs of life: what stands in between takes a silent connection for a dead one."""

RETRY_MILLISECONDS = 3000


@router.get("/live")
async def live(follower: TheFollower) -> Response:
    """The event `log` at the beginning, and whenever the log has changed."""
    if follower.is_over or not follower.has_room:
        return PlainTextResponse(
            "Too many browsers listen already.", 503, headers={"Retry-After": "60"}
        )
    return StreamingResponse(
        events(follower, HEARTBEAT_SECONDS),
        media_type="text/event-stream",
        headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"},
    )


async def events(follower: Follower, heartbeat: float) -> AsyncIterator[str]:
    """The stream's text, a comment after so many seconds without any; ends with the follower."""
    with follower.listening() as news:
        yield f"retry: {RETRY_MILLISECONDS}\nevent: log\ndata: here\n\n"
        while not follower.is_over:
            try:
                await asyncio.wait_for(news.wait(), heartbeat)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            news.clear()
            if not follower.is_over:
                yield "event: log\ndata: changed\n\n"
