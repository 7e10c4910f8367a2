"""The page's application asked in this process, without a server: each request as it is sent."""

import asyncio
import base64
import re
import threading
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote, unquote_to_bytes

from argon2 import PasswordHasher
from fastapi import FastAPI
from fastapi.routing import iter_route_contexts

from feeder.cli.selection import known_vocabulary
from feeder.cli.wiring import open_classifier
from feeder.clock import Clock
from feeder.config import Settings
from feeder.web.app import create_app
from feeder.web.desk import Desk
from feeder.web.limits import RATES, Rate
from tests.feeder_process import PATIENCE
from tests.site import Site

T = TypeVar("T")
PASSWORD = "correct horse battery"
HERE = {"origin": "http://localhost"}
BROWSER = {"accept": "text/html,*/*;q=0.8"}
BASIC = {"authorization": "Basic " + base64.b64encode(f"ada:{PASSWORD}".encode()).decode()}
UNLIMITED = {kind: Rate(1e9, 1e9) for kind in RATES}


@dataclass(frozen=True)
class Answer:
    """A status, headers by lower-case name, and a body; of a stream without an end its start."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")

    @property
    def cookie(self) -> dict[str, str]:
        """The header that sends a new cookie back."""
        return {"cookie": self.headers["set-cookie"].partition(";")[0], **HERE}


class Asker:
    """Sends requests to an application."""

    def __init__(self, app: FastAPI, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self._loop = loop
        self.left = 0

    def get(self, target: str, headers: Mapping[str, str] = {}, **scope: Any) -> Answer:
        return self.ask("GET", target, headers, **scope)

    def post(
        self, target: str, headers: Mapping[str, str] = HERE, body: bytes = b"", **scope: Any
    ) -> Answer:
        form = {"content-type": "application/x-www-form-urlencoded"}
        return self.ask("POST", target, {**form, **headers}, [body], **scope)

    def log_in(self, password: str = PASSWORD, **scope: Any) -> Answer:
        return self.post("/login", body=f"password={quote(password)}".encode(), **scope)

    def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str] = {},
        body: list[bytes] = [b""],  # noqa: B006  it is not changed
        **scope: Any,
    ) -> Answer:
        """The answer to one request, its target and headers sent as they are.

        `left` then says how many parts of the body were not taken. More of `scope` are parts of
        the ASGI scope; with `stands_still` the body's last part never comes.
        """
        return self.run(self._ask(method, target, headers, body, scope))

    def get_each(self, targets: Sequence[str]) -> list[Answer]:
        """The answers to requests in a row, which is quicker than one at a time."""

        async def each() -> list[Answer]:
            return [
                await self._ask("GET", target, {"accept": "*/*"}, [b""], {}) for target in targets
            ]

        return self.run(each())

    def run(self, asking: Coroutine[Any, Any, T]) -> T:
        """What a coroutine gives in the loop that the application is asked in."""
        return asyncio.run_coroutine_threadsafe(asking, self._loop).result()

    async def _ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: list[bytes],
        more: dict[str, Any],
    ) -> Answer:
        path, _, query = target.partition("?")
        stands_still = more.pop("stands_still", False)
        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1", "method": method, "scheme": "http", "root_path": "",
            # As uvicorn reads it.
            "path": unquote_to_bytes(path).decode("utf-8", "replace"),
            "raw_path": path.encode("utf-8"), "query_string": query.encode("utf-8"),
            "headers": [
                (name.encode("latin-1"), value.encode("latin-1"))
                for name, value in {"host": "localhost", **headers}.items()
            ],
            "client": ("192.0.2.7", 50000), "server": ("127.0.0.1", 8765), "state": {}, **more,
        }  # fmt: skip
        waiting, self.left = list(body), len(body)
        started: dict[str, Any] = {}
        got: list[bytes] = []
        done = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if len(waiting) > stands_still:
                chunk = waiting.pop(0)
                self.left = len(waiting)
                return {"type": "http.request", "body": chunk, "more_body": bool(waiting)}
            await done.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                started.update(message)
                if (b"content-type", b"text/event-stream") in [
                    (name, value.partition(b";")[0]) for name, value in message["headers"]
                ]:
                    done.set()
            else:
                got.append(message.get("body", b""))
                if not message.get("more_body", False):
                    done.set()

        task = asyncio.ensure_future(self.app(scope, receive, send))
        ended = asyncio.ensure_future(done.wait())
        await asyncio.wait({task, ended}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        assert started, "no answer"
        is_stream = not task.done() and not await _ends(task)
        ended.cancel()
        if is_stream:
            task.cancel()
        await asyncio.gather(task, ended, return_exceptions=True)
        return Answer(
            started["status"],
            {name.decode(): value.decode("latin-1") for name, value in started["headers"]},
            b"".join(got),
        )


async def _ends(task: "asyncio.Future[Any]") -> bool:
    """Whether the application is done soon after its answer."""
    await asyncio.wait({task}, timeout=0.2)
    return task.done()


@contextmanager
def asked(
    site: Site,
    clock: Clock | None = None,
    *,
    settings: Settings | None = None,
    host: str | None = None,
    rates: Mapping[str, Rate] = UNLIMITED,
) -> Iterator[Asker]:
    """The application on this site, to be asked."""
    desk = Desk(settings or site.settings, known_vocabulary, open_classifier, clock or Clock())
    app = create_app(desk, host, rates)
    # A thread of its own: a browser's test leaves another loop running in this one.
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="web app")
    thread.start()
    asker = Asker(app, loop)
    life = app.router.lifespan_context(app)
    asker.run(life.__aenter__())
    try:
        yield asker
    finally:
        asker.run(life.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
        app.state.darkroom.decoder.close()


def set_password(site: Site, password: str = PASSWORD) -> None:
    """Locks the page, by a hash that is quick to check."""
    hashed = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(password)
    path = site.settings.resolve(site.settings.web.password)
    path.unlink(missing_ok=True)
    path.write_text(hashed, encoding="ascii")


def routes(app: FastAPI) -> list[tuple[str, str]]:
    """Each method and path that the application's own table holds, of mounts what is below."""
    found = []
    for one in iter_route_contexts(app.routes):
        path = one.path or ""
        if one.methods is None:
            found.append(("GET", f"{path or one.route.path}/feeder.css"))
        else:
            found += [(method, path) for method in sorted(one.methods)]
    return found


def filled(path: str, value: str = "1") -> str:
    """The path with this value for each parameter."""
    return re.sub(r"{[^}]*}", lambda _: quote(value, safe=""), path)
