"""A time limit for something that blocks, without a thread of its own each time."""

import contextlib
import math
import threading
import time
from collections.abc import Callable, Iterator


class Deadline:
    """One limit after the other; a single thread sleeps through all of them.

    A `threading.Timer` for each picture took a sixth of a small one's time. This thread is woken
    only where a limit ends before it would look again.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._at = math.inf
        self._looks_at = math.inf
        self._expire: Callable[[], None] = lambda: None
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def within(self, seconds: float, expire: Callable[[], None]) -> Iterator[None]:
        """Calls `expire` from another thread if the block takes longer, and never after it."""
        with self._changed:
            self._at, self._expire = time.monotonic() + seconds, expire
            if self._thread is None:
                self._thread = threading.Thread(target=self._wait, name="deadline", daemon=True)
                self._thread.start()
            elif self._at < self._looks_at:
                self._changed.notify()
        try:
            yield
        finally:
            with self._changed:
                self._at = math.inf

    def close(self) -> None:
        """Ends the thread; the next limit starts another."""
        with self._changed:
            thread, self._thread = self._thread, None
            self._changed.notify()
        if thread is not None:
            thread.join()

    def _wait(self) -> None:
        with self._changed:
            while self._thread is threading.current_thread():
                left = self._at - time.monotonic()
                if left <= 0:
                    self._at, left = math.inf, math.inf
                    self._expire()
                self._looks_at = self._at
                self._changed.wait(left if left < math.inf else None)
