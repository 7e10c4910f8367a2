"""What tells browsers that the log has changed, and its end."""

import asyncio
import http.client
import time as wall
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from feeder.web import following
from feeder.web.following import Follower
from feeder.web.live import events
from tests.feeder_process import PATIENCE
from tests.sightings import SPARROW, SightedLog
from tests.site import Site


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Glances that follow each other closely."""
    monkeypatch.setattr(following, "GLANCE_SECONDS", 0.01)


def run(listening: Coroutine[Any, Any, None]) -> None:
    """Runs it in a thread of its own: a browser's test leaves another loop running in this one."""
    with ThreadPoolExecutor(1) as thread:
        thread.submit(asyncio.run, listening).result()


async def first(stream: object, count: int) -> list[str]:
    """So many pieces of a stream."""
    return [await asyncio.wait_for(anext(stream), PATIENCE) for _ in range(count)]  # type: ignore[call-overload]


def test_a_change_of_the_log_is_told_to_everyone(tmp_path: Path, quick: None) -> None:
    """All who listen hear of it, through one look at the log."""

    async def tell() -> None:
        made = SightedLog(tmp_path / "log.db")
        follower = Follower(made.path, lambda: False)
        follower.start()
        streams = [events(follower, 60) for _ in range(5)]
        for stream in streams:
            assert (await first(stream, 1))[0].startswith("retry: ")
        made.see(0, SPARROW)
        for stream in streams:
            assert await first(stream, 1) == ["event: log\ndata: changed\n\n"]
        follower.close()
        for stream in streams:
            assert [piece async for piece in stream] == []
        assert follower.has_room
        made.logbook.close()

    run(tell())


def test_a_silent_log_gives_signs_of_life(tmp_path: Path) -> None:
    """Without news a comment shows that the connection stands."""

    async def listen() -> None:
        follower = Follower(tmp_path / "none.db", lambda: False)
        follower.start()
        stream = events(follower, 0.01)
        assert (await first(stream, 3))[1:] == [": still here\n\n"] * 2
        follower.close()

    run(listen())


def test_a_stream_ends_for_who_may_not_stay(tmp_path: Path) -> None:
    """Who has logged out elsewhere hears no more, not even that the connection stands."""

    async def leave() -> None:
        said = [True, False]
        follower = Follower(tmp_path / "none.db", lambda: False)
        follower.start()
        stream = events(follower, 0.01, lambda: said.pop(0))
        assert (await first(stream, 2))[1:] == [": still here\n\n"]
        assert [piece async for piece in stream] == []
        follower.close()

    run(leave())


def test_streams_end_when_the_server_wants_to(tmp_path: Path, quick: None) -> None:
    """A server that stops waits for its connections, so they have to know."""

    async def end() -> None:
        is_stopping = False
        follower = Follower(tmp_path / "none.db", lambda: is_stopping)
        follower.start()
        stream = events(follower, 60)
        await first(stream, 1)
        is_stopping = True
        assert [piece async for piece in stream] == []
        follower.close()

    run(end())


def test_a_log_that_cannot_be_read_is_looked_at_again(
    tmp_path: Path, quick: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The thread outlives a damaged log, and tells of the one that takes its place."""
    monkeypatch.setattr(following, "AGAIN_SECONDS", 0.01)

    async def recover() -> None:
        path = tmp_path / "log.db"
        path.write_bytes(b"no database at all" * 100)
        follower = Follower(path, lambda: False)
        follower.start()
        stream = events(follower, 60)
        await first(stream, 1)
        made = SightedLog(tmp_path / "other.db")
        made.see(0)
        made.logbook.close()
        made.path.replace(path)
        assert await first(stream, 1) == ["event: log\ndata: changed\n\n"]
        follower.close()

    run(recover())


def test_the_server_stops_although_browsers_listen(site: Site) -> None:
    """SIGTERM ends the streams, and the process with them."""
    with site.serve() as base:
        connections = []
        for _ in range(3):
            connection = http.client.HTTPConnection(urlsplit(base).netloc, timeout=PATIENCE)
            connection.request("GET", "/live")
            response = connection.getresponse()
            assert response.getheader("Content-Type", "").startswith("text/event-stream")
            assert response.readline().startswith(b"retry:")
            connections.append((connection, response))
        began = wall.monotonic()
    assert wall.monotonic() - began < PATIENCE  # else it was killed
    for connection, response in connections:
        assert b"event: log" in response.read()
        connection.close()


def test_there_is_an_end_to_how_many_listen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One too many has no room, until another leaves."""
    monkeypatch.setattr(following, "MOST_LISTENERS", 1)
    follower = Follower(tmp_path / "none.db", lambda: False)

    async def fill() -> None:
        assert follower.has_room
        with follower.listening():
            assert not follower.has_room
        assert follower.has_room

    run(fill())
