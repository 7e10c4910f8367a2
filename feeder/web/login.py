"""Who comes in: a password once, then a session; programs send the password with each request.

A session is a cookie that says how long it lasts, signed with a key made from the password's hash:
it outlives a restart, and ends when the password is set anew. One that is logged out of is also
remembered as ended, until this process ends.
"""

import base64
import binascii
import hashlib
import hmac
import math
import secrets
from collections import OrderedDict
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated
from urllib.parse import quote, urlsplit

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from feeder.clock import Clock
from feeder.errors import FeederError
from feeder.web.answers import header, is_for_program, refused, wants_page
from feeder.web.limits import client, too_often
from feeder.web.passwords import Doorkeeper, TooManyAttempts
from feeder.web.rendering import page

router = APIRouter()

COOKIE = "feeder-session"

SESSION_SECONDS = 30 * 24 * 3600

MOST_ENDED = 10_000
"""Sessions remembered as ended before their time."""

OPEN = frozenset({"/login", "/healthz"})
OPEN_BELOW = "/static/"
"""What needs no password: nothing that the log holds."""

IN_SESSION = "feeder.in_session"
"""The key in a request's scope that says whether a session bears it."""

MAY_STAY = "feeder.may_stay"
"""The key of a function that says whether who was let in still would be: a stream has no end."""

_CHALLENGE = {"WWW-Authenticate": 'Basic realm="feeder", charset="UTF-8"'}
# No browser knows this scheme, so none opens a window of its own that asks for a password.
_NO_CHALLENGE = {"WWW-Authenticate": 'Session realm="feeder"'}


@dataclass
class Sessions:
    """Makes and knows session tokens under the key that a password's hash gives."""

    clock: Clock
    _ended: OrderedDict[str, None] = field(default_factory=OrderedDict, init=False)

    def begin(self, hashed: str) -> str:
        """A new token."""
        until = int(self.clock.now().timestamp()) + SESSION_SECONDS
        said = f"{until}.{secrets.token_urlsafe(16)}"
        return f"{said}.{_signature(hashed, said)}"

    def knows(self, token: str, hashed: str) -> bool:
        """Whether the token is one of a session that goes on."""
        said, _, signature = token.rpartition(".")
        if not hmac.compare_digest(signature.encode(), _signature(hashed, said).encode()):
            return False
        until = int(said.partition(".")[0])
        return self.clock.now().timestamp() < until and said not in self._ended

    def end(self, token: str) -> None:
        """Ends a session before its time."""
        self._ended[token.rpartition(".")[0]] = None
        if len(self._ended) > MOST_ENDED:
            self._ended.popitem(last=False)


def _signature(hashed: str, said: str) -> str:
    key = hmac.digest(hashed.encode(), b"feeder session", hashlib.sha256)
    return hmac.new(key, said.encode(), hashlib.sha256).hexdigest()


class Gate:
    """Lets in whoever bears a session or the password, and everybody where no password is set."""

    def __init__(self, app: ASGIApp, doorkeeper: Doorkeeper, sessions: Sessions) -> None:
        self.app = app
        self.doorkeeper = doorkeeper
        self.sessions = sessions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            else:  # there is no WebSocket here, and none slips by
                await send({"type": "websocket.close", "code": 1008})
            return
        await (await self._answer(scope))(scope, receive, send)

    async def _answer(self, scope: Scope) -> ASGIApp:
        """What answers this request: the application, or a refusal."""
        path: str = scope["path"]
        if path in OPEN or path.startswith(OPEN_BELOW):
            return self.app
        try:
            hashed = self.doorkeeper.hash()
            token = Request(scope).cookies.get(COOKIE, "")
            scope[MAY_STAY] = partial(self._may_stay, hashed, token)
            if hashed is None:
                return self.app
            if token and self.sessions.knows(token, hashed):
                scope[IN_SESSION] = True
                return self._unkept
            password = _basic_password(scope)
            if password is not None and await run_in_threadpool(
                self.doorkeeper.admits, password, client(scope)
            ):
                scope[MAY_STAY] = partial(self._may_stay, hashed, "")
                return self._unkept
        except TooManyAttempts as often:
            return too_often(scope, often.wait)
        except FeederError as error:
            return refused(scope, 503, str(error), error.hint)
        if scope["method"] == "GET" and wants_page(scope):
            return RedirectResponse(f"/login?next={quote(_asked(scope), safe='')}", 303)
        for_program = is_for_program(scope) or path == "/metrics"
        return refused(
            scope,
            401,
            "This needs the feeder's password.",
            "Log in at /login, or send it by HTTP Basic with any user name.",
            _CHALLENGE if for_program else _NO_CHALLENGE,
        )

    def _may_stay(self, hashed: str | None, token: str) -> bool:
        """Whether the password is still that one, and the session, where there is one, goes on."""
        try:
            is_same = self.doorkeeper.hash() == hashed
        except FeederError:
            return False
        return is_same and (not hashed or not token or self.sessions.knows(token, hashed))

    async def _unkept(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's answer, which nobody keeps: else Back shows it after logging out.

        Pictures may be kept, privately and for as long as they say: a page of fifty of them is not
        to be loaded again with each step.
        """

        async def send_unkept(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if not headers.get("Content-Type", "").startswith("image/"):
                    headers["Cache-Control"] = "no-store"
            await send(message)

        await self.app(scope, receive, send_unkept)


def _basic_password(scope: Scope) -> str | None:
    """The password of HTTP Basic (RFC 7617); None where there is none."""
    scheme, _, sent = header(scope, b"authorization").partition(b" ")
    if scheme.lower() != b"basic":
        return None
    try:
        said = base64.b64decode(sent.strip(), validate=True).decode("utf-8")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return said.partition(":")[2]


def _asked(scope: Scope) -> str:
    query = scope["query_string"].decode("latin-1")
    return f"{quote(scope['path'])}?{query}" if query else quote(scope["path"])


def local_path(said: str) -> str:
    """A path of this site; "/" for whatever leads elsewhere."""
    try:
        parts = urlsplit(said)
    except ValueError:
        return "/"
    leads_here = said.startswith("/") and said[1:2] not in ("/", "\\") and said.isprintable()
    return said if leads_here and not parts.netloc and not parts.scheme else "/"


@router.get("/healthz")
def alive() -> Response:
    """That this process answers, and nothing else; `/health` says more, to whoever may know."""
    return PlainTextResponse("ok\n", headers={"Cache-Control": "no-store"})


@router.get("/login")
def ask(request: Request, next: str = "/") -> Response:
    """The form that asks for the password."""
    if request.app.state.doorkeeper.hash() is None:
        return RedirectResponse(local_path(next), 303)
    return page(request, "login", next=local_path(next), wrong="")


@router.post("/login")
def log_in(
    request: Request,
    password: Annotated[str, Form()] = "",
    next: Annotated[str, Form()] = "/",
) -> Response:
    """Begins a session, where the password is the right one."""
    doorkeeper: Doorkeeper = request.app.state.doorkeeper
    wanted = local_path(next)
    hashed = doorkeeper.hash()
    if hashed is None:
        return RedirectResponse(wanted, 303)
    try:
        if not doorkeeper.admits(password, client(request.scope)):
            return page(
                request, "login", 403, next=wanted, wrong="This is not the feeder's password."
            )
    except TooManyAttempts as often:
        early = page(request, "login", 429, next=wanted, wrong=f"{often} {often.hint}")
        early.headers["Retry-After"] = str(math.ceil(often.wait))
        return early
    answer = RedirectResponse(wanted, 303)
    answer.set_cookie(
        COOKIE,
        request.app.state.sessions.begin(hashed),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


@router.post("/logout")
def log_out(request: Request) -> Response:
    """Ends the session."""
    if request.scope.get(IN_SESSION):
        request.app.state.sessions.end(request.cookies[COOKIE])
    answer = RedirectResponse("/login", 303)
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict")
    return answer
