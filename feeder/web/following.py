"""One thread that glances at the log, for all browsers that want to hear of it."""

import asyncio
import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from feeder.errors import LogbookError
from feeder.log_watch import LogWatch

log = logging.getLogger("feeder.web")

GLANCE_SECONDS = 0.5
AGAIN_SECONDS = 5.0
"""How long a log that cannot be read is left alone."""

MOST_LISTENERS = 64
"""Browsers that hear of the log at once; each holds a connection."""


class Follower:
    """Wakes who listens when the log at `path` has changed, and for good when the server stops.

    `is_stopping` is asked at every glance: a server that waits for its connections to end does not
    say so otherwise. `start` belongs to the event loop's thread, as `listening` does.
    """

    def __init__(self, path: Path, is_stopping: Callable[[], bool]) -> None:
        self._watch = LogWatch(path)
        self._is_stopping = is_stopping
        self._over = threading.Event()
        self._listeners: set[asyncio.Event] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=self._follow, name="log follower", daemon=True)

    @property
    def is_over(self) -> bool:
        """Whether nothing more is heard."""
        return self._over.is_set()

    @property
    def has_room(self) -> bool:
        """Whether one more may listen."""
        return len(self._listeners) < MOST_LISTENERS

    def start(self) -> None:
        """Begins, on the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    def close(self) -> None:
        """Ends; who listens is woken."""
        self._over.set()
        self._thread.join()
        self._wake()

    @contextmanager
    def listening(self) -> Iterator[asyncio.Event]:
        """What is set when the log has changed or nothing more is heard; the listener clears it."""
        news = asyncio.Event()
        self._listeners.add(news)
        try:
            yield news
        finally:
            self._listeners.discard(news)

    def _wake(self) -> None:
        for news in self._listeners:
            news.set()

    def _follow(self) -> None:
        assert self._loop is not None
        pause = GLANCE_SECONDS
        with self._watch:
            while not self._over.wait(pause):
                pause = GLANCE_SECONDS
                try:
                    has_news = self._watch.changed()
                except LogbookError as error:
                    log.warning("the page does not follow the log for now: %s", error)
                    has_news, pause = False, AGAIN_SECONDS
                if self._is_stopping():
                    self._over.set()
                    has_news = True
                if has_news:
                    self._loop.call_soon_threadsafe(self._wake)
