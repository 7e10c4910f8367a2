"""How much is taken: requests in a time from one address, and bytes in one request."""

import asyncio
import ipaddress
import math
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feeder.clock import Clock
from feeder.web.answers import header, refused
from feeder.web.security import SAFE_METHODS


@dataclass(frozen=True, slots=True)
class Rate:
    """So many requests at once, and so many a second in the long run (a token bucket)."""

    burst: float
    per_second: float


RATES: Mapping[str, Rate] = {
    "reading": Rate(1000, 50),
    "writing": Rate(120, 4),
    "working": Rate(60, 2),
}
"""By what a request costs: a look; an answer of a person, who taps four times a second at most;
what the model has to be asked for."""

WORKING = frozenset({"search", "identify", "classify"})
"""Parts of paths behind which the model works."""

MOST_ADDRESSES = 4096
"""Addresses remembered; of more the ones not heard of for longest are forgotten."""

SMALL_BODY = 256_000
"""Bytes in a request that uploads nothing."""

UPLOADS = ("multipart/form-data", "image/", "application/octet-stream")
"""Media types of uploads."""

IDLE_SECONDS = 30.0
"""How long a body may stand still before its end."""


@dataclass
class Buckets:
    """Counts what each address takes; of an IPv6 network all addresses are one."""

    rates: Mapping[str, Rate]
    clock: Clock
    _left: OrderedDict[tuple[str, str], tuple[float, float]] = field(
        default_factory=OrderedDict, init=False
    )

    def take(self, kind: str, address: str) -> float:
        """Takes one; where there is none left, the seconds until there is one, else 0."""
        rate, now, key = self.rates[kind], self.clock.monotonic(), (kind, network(address))
        left, seen = self._left.pop(key, (rate.burst, now))
        left = min(rate.burst, left + (now - seen) * rate.per_second)
        wait = 0.0 if left >= 1 else (1 - left) / rate.per_second
        self._left[key] = (left if wait else left - 1, now)
        if len(self._left) > MOST_ADDRESSES:
            self._left.popitem(last=False)
        return wait

    def give_back(self, kind: str, address: str) -> None:
        """Makes the last one not count."""
        key = (kind, network(address))
        if key in self._left:
            left, seen = self._left[key]
            self._left[key] = (min(self.rates[kind].burst, left + 1), seen)


def network(address: str) -> str:
    """An address, or of IPv6 the first 64 bits: within them anybody may have as many as wanted."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is None:
        return str(ipaddress.ip_network((found, 64), strict=False))
    return str(getattr(found, "ipv4_mapped", None) or found)


def client(scope: Scope) -> str:
    """The address that a request comes from."""
    return str((scope.get("client") or ("",))[0])


class RateLimit:
    """Answers 429 and `Retry-After` to whoever asks too often."""

    def __init__(self, app: ASGIApp, buckets: Buckets) -> None:
        self.app = app
        self.buckets = buckets

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (wait := self.buckets.take(_kind(scope), client(scope))):
            await too_often(scope, wait)(scope, receive, send)
            return
        await self.app(scope, receive, send)


def too_often(scope: Scope, wait: float) -> ASGIApp:
    """The answer to a request that comes `wait` seconds too early."""
    seconds = math.ceil(wait)
    return refused(
        scope,
        429,
        "Too many requests came from your address.",
        f"Try again in {seconds} s.",
        {"Retry-After": str(seconds)},
    )


def _kind(scope: Scope) -> str:
    is_safe = scope["method"] in SAFE_METHODS
    if not WORKING.isdisjoint(scope["path"].split("/")) and (scope["query_string"] or not is_safe):
        return "working"
    return "reading" if is_safe else "writing"


class BodyLimit:
    """Cuts a request's body off where it grows too large (413) or stands still (408).

    What it says of its own length is believed only where that is too much. Where the answer comes
    before the body's end, the connection is closed after it: the server would take the rest in,
    however long it is.
    """

    def __init__(self, app: ASGIApp, upload_bytes: int) -> None:
        self.app = app
        self.upload_bytes = upload_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        most = self._most(scope)
        declared = _declared(scope)
        taken, is_whole = 0, False

        async def receive_limited() -> Message:
            nonlocal taken, is_whole
            if is_whole:  # what comes now is the browser's going away, and may take hours
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), IDLE_SECONDS)
            except TimeoutError:
                raise HTTPException(408, "The request stood still.") from None
            if message["type"] == "http.request":
                taken += len(message.get("body", b""))
                is_whole = not message.get("more_body", False)
                if taken > most:
                    raise HTTPException(413, " ".join(_too_large(most)))
            return message

        async def send_last(message: Message) -> None:
            if message["type"] == "http.response.start" and not is_whole and declared > SMALL_BODY:
                MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        if declared > most and not math.isinf(declared):
            await refused(scope, 413, *_too_large(most))(scope, receive, send_last)
        else:
            await self.app(scope, receive_limited, send_last)

    def _most(self, scope: Scope) -> int:
        kind = header(scope, b"content-type").decode("latin-1").strip().lower()
        is_upload = kind.startswith(UPLOADS) and scope["path"] != "/login"
        return max(self.upload_bytes, SMALL_BODY) if is_upload else SMALL_BODY


def _declared(scope: Scope) -> float:
    """Bytes that the body has by its own account; infinite where it gives none and may go on."""
    length = header(scope, b"content-length")
    if length.isdigit():
        return float(length)
    return math.inf if length or header(scope, b"transfer-encoding") else 0.0


def _too_large(most: int) -> tuple[str, str]:
    return (
        f"The request is larger than the {most / 1e6:g} MB that are taken.",
        "`max_megabytes` under [web] says how large an upload may be.",
    )
