"""ETags of lists: whether anything was written to the log since, so that polling costs nothing."""

import hashlib
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated, Any

from fastapi import Depends, Header, Request, Response

from feeder.log_watch import LogWatch
from feeder.web.desk import Desk, TheDesk

CACHED = "private, no-cache"
"""Keep it, and ask each time whether it is still good."""


class LogVersion:
    """Counts the changes of the log at `path`; it may be asked from any thread."""

    def __init__(self, path: Path) -> None:
        self._watch = LogWatch(path)
        # SQLite's count is one connection's own, and a connection belongs to its thread.
        self._thread = ThreadPoolExecutor(1, "log version")
        self._series = secrets.token_hex(8)
        self._changes = 0

    def now(self) -> str | None:
        """Another one after each commit; None where there is no log. Raises as `LogWatch`."""
        return self._thread.submit(self._look).result()

    def _look(self) -> str | None:
        self._changes += self._watch.changed()
        return f"{self._series}-{self._changes}" if self._watch.path.exists() else None


class Unchanged(Exception):
    """What is asked for is what the client has already."""

    def __init__(self, tag: str) -> None:
        super().__init__(tag)
        self.tag = tag


class Freshness:
    """What a route asks, before it reads, whether it has to."""

    def __init__(
        self, request: Request, response: Response, desk: Desk, if_none_match: str | None
    ) -> None:
        self._request = request
        self._response = response
        self._desk = desk
        self._has = {one.strip() for one in (if_none_match or "").split(",")}

    def check(self, *of: object) -> str | None:
        """Raises Unchanged where the client has the answer; else the answer gets its ETag.

        It depends on the log, the address, the user's labels and whatever else is given. None
        where there is no log.
        """
        log_version: LogVersion = self._request.app.state.log_version
        version = log_version.now()
        if version is None:
            return None
        said = repr((version, str(self._request.url), self._desk.labels_stamp, of))
        tag = f'W/"{hashlib.sha256(said.encode()).hexdigest()[:24]}"'
        if tag in self._has:
            raise Unchanged(tag)
        self._response.headers["ETag"] = tag
        self._response.headers["Cache-Control"] = CACHED
        return tag


def not_modified(unchanged: Unchanged) -> Response:
    """The answer to a client that has it."""
    return Response(status_code=304, headers={"ETag": unchanged.tag, "Cache-Control": CACHED})


def _fresh(
    request: Request,
    response: Response,
    desk: TheDesk,
    if_none_match: Annotated[
        str | None, Header(description="the ETag of an earlier answer; 304 where it still holds")
    ] = None,
) -> Freshness:
    return Freshness(request, response, desk, if_none_match)


Fresh = Annotated[Freshness, Depends(_fresh)]
"""A route's parameter of this type looks whether the client has the answer."""

NOT_MODIFIED: dict[int | str, dict[str, Any]] = {
    304: {"description": "Nothing has changed since the answer with that ETag."}
}
"""For OpenAPI's `responses`."""
