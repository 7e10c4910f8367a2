"""HEAD, answered as GET is, without the body (RFC 9110, 9.3.2)."""

from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class _Enough(Exception):
    """All that a HEAD asks for has been sent."""


class Heads:
    """Asks the application within for what GET would get; a stream without an end is broken off."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self.app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.body":
                await send({"type": "http.response.body", "body": b""})
                raise _Enough
            await send(message)

        with suppress(_Enough):
            await self.app({**scope, "method": "GET"}, receive, send_head)
