"""What stands before every route: headers, the names this computer may be called, and origins.

Each is an ASGI application around another: a stream passes through it piece by piece. Sources: the
Fetch standard's metadata headers (W3C Fetch Metadata), RFC 6454 (Origin), RFC 9110 (421).
"""

import ipaddress
import re
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from fastapi import Response
from starlette.datastructures import MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feeder.web.answers import header, refused

HEADERS = {
    # blob: shows a photo before it is sent.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; object-src 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    # Not no-referrer, with which a browser sends `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cache-Control": "private, no-cache",
}
"""On every answer that does not say otherwise itself."""

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
"""Those that change nothing (RFC 9110, 9.2.1)."""

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")

_HOST = re.compile(r"(?:\[(?P<six>[0-9A-Fa-f:.]+)\]|(?P<name>[A-Za-z0-9._-]+))(?::(?P<port>\d+))?")


class SafeHeaders:
    """Puts `HEADERS` on every answer, errors and refusals included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, send_safely)


class Hosts:
    """Answers only requests for a name of this computer (421 to others).

    Else a page elsewhere could, by a name of its own that it makes lead here (DNS rebinding), read
    what is shown here. An address is such a name where the request came in at it.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str]) -> None:
        self.app = app
        self.names = frozenset(plain_name(name) for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not self._is_ours(scope):
            said = header(scope, b"host").decode("latin-1")
            name = host_name(said)
            text = "The Host header is missing or wrong.\n"
            if name:
                text = (
                    f"This feeder is not called {name!r}. If it is to be, add that to `names` under"
                    " [web] in config.toml and start it again.\n"
                )
            answer = PlainTextResponse(text, 421)
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _is_ours(self, scope: Scope) -> bool:
        said = [value for key, value in scope["headers"] if key == b"host"]
        if len(said) != 1:
            return False
        name = host_name(said[0].decode("latin-1"))
        if not name:
            return False
        came_in_at = (scope.get("server") or ("",))[0]
        return name in self.names or (_is_address(name) and name == plain_name(came_in_at))


def host_name(host: str) -> str:
    """The name or address in a Host header, without the port; "" where it is none."""
    found = _HOST.fullmatch(host)
    return plain_name(found["six"] or found["name"]) if found else ""


def plain_name(name: str) -> str:
    """One spelling of a name or address: lower case, no last dot, IPv4 as itself."""
    name = name.strip("[]").lower().removesuffix(".")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def own_names() -> list[str]:
    """What other computers may call this one: its name, alone and in the local network."""
    name = socket.gethostname().partition(".")[0]
    return [name, f"{name}.local"] if name else []


class Origins:
    """Refuses what another site's page makes a browser do here.

    Nothing but a link to a page may come from elsewhere. What changes something has to come from
    a page of this one, as the browser says by `Sec-Fetch-Site`, or by `Origin` where it does not
    trust the connection. A program says neither; then it must not bear a browser's session.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_from_here(scope):
            answer: Response = refused(
                scope,
                403,
                "This request comes from another site.",
                "Open the feeder's own page and try it there.",
            )
            await answer(scope, receive, send)
            return
        await self.app(scope, receive, send)


def _is_from_here(scope: Scope) -> bool:
    site = header(scope, b"sec-fetch-site")
    if scope["method"] in SAFE_METHODS:
        is_link = (
            header(scope, b"sec-fetch-mode") == b"navigate"
            and header(scope, b"sec-fetch-dest") == b"document"
        )
        return site in (b"", b"same-origin", b"none") or is_link
    if site:
        return site in (b"same-origin", b"none")
    origin = header(scope, b"origin").decode("latin-1")
    if origin:
        return _is_same(origin, header(scope, b"host").decode("latin-1"))
    return not header(scope, b"cookie")


def _is_same(origin: str, host: str) -> bool:
    """Whether an Origin names this Host; a proxy before this one may speak https."""
    usual = {"http": "80", "https": "443"}
    try:
        scheme, place = urlsplit(origin)[:2]
    except ValueError:
        return False
    if scheme not in usual:
        return False
    ends = [_HOST.fullmatch(one) for one in (place, host)]
    pairs = [
        (plain_name(end["six"] or end["name"]), end["port"] or usual[scheme])
        for end in ends
        if end is not None
    ]
    return len(pairs) == 2 and pairs[0] == pairs[1]
