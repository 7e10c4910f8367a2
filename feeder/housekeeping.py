"""The chore beside the frames: logged pictures are put away, and room is made.

It does a little at a time, so that no frame waits for it.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path

from feeder.archive import Archive
from feeder.clock import Clock
from feeder.config import Settings
from feeder.domain import SettledPath
from feeder.errors import LogUnavailable
from feeder.picture_log import PictureLog
from feeder.retention import room
from feeder.rounds import AGAIN_SECONDS, Rounds

log = logging.getLogger("feeder.housekeeping")

TURN_SECONDS = 0.1
"""How long a turn may keep the frames waiting."""

TURN_FILES = 200
"""Files put away in a turn at most."""

BATCH = 20
"""Files moved with one note in the log: a card is worn less, and a turn is over in time."""

MAX_WAITING = 10_000
"""Files remembered to be put away; a scan meets the others again."""


class Housekeeping:
    """Hears what was `logged` and what a scan `met`; `turn` does the work, `finish` the rest."""

    def __init__(
        self,
        settings: Settings,
        pictures: PictureLog,
        clock: Clock | None = None,
        clock_is_trusted: Callable[[], bool] = lambda: True,
        free: Callable[[Path], tuple[int, int]] = room,
    ) -> None:
        self._pictures = pictures
        self._clock = clock or Clock()
        self._clock_is_trusted = clock_is_trusted
        self._free = free
        self._waiting: deque[SettledPath] = deque()
        self._is_log_writable = True
        self._open_again_at = 0.0
        self._follow(settings)

    def logged(self, sources: Iterable[SettledPath]) -> None:
        """Takes note of files whose rows are durable."""
        for source in sources:
            self.met(source)
        self._rounds.hurry()

    def met(self, source: SettledPath) -> None:
        """Takes note of a file that the log has and that is still in its drop folder."""
        if self._settings.retention.after == "archive" and len(self._waiting) < MAX_WAITING:
            self._waiting.append(source)

    def turn(self, settings: Settings) -> None:
        """Does a little of what is due, as `settings` say, which a reload may have changed."""
        if settings is not self._settings:
            self._follow(settings)
        now = self._clock.monotonic()
        if now >= self._open_again_at:
            self._open_again_at = now + AGAIN_SECONDS
            self._archive.open_again()
        self._do(TURN_SECONDS, TURN_FILES, self._rounds.turn)

    def finish(self, *, whole: bool) -> None:
        """Puts away what was logged last; with `whole` all of it, and makes one whole round."""
        if whole:
            self._do(float("inf"), MAX_WAITING, lambda _: self._rounds.whole())
        else:
            self._do(TURN_SECONDS, TURN_FILES, lambda _: None)

    def restored(self, since: datetime | None) -> None:
        """Goes on with a log that was restored from a copy made at `since`, None for an empty one.

        What was archived after that and is not in the log goes back to be read again.
        """
        self._pictures.reopen()
        self._waiting.clear()
        if self._settings.retention.after != "archive":
            return
        try:
            count = self._archive.take_back(self._settings.deployments, since)
        except (OSError, LogUnavailable) as error:
            log.error("pictures of the archive that the log lacks stay there for now: %s", error)
        else:
            log.warning("%d pictures went back from the archive, to be read again", count)

    def _follow(self, settings: Settings) -> None:
        self._settings = settings
        self._archive = Archive(settings.archive, self._pictures)
        self._rounds = Rounds(
            settings, self._pictures, self._clock, self._clock_is_trusted, self._free
        )
        self._open_again_at = self._clock.monotonic() + AGAIN_SECONDS
        self._waiting.clear()

    def _do(self, seconds: float, files: int, then: Callable[[Callable[[], bool]], None]) -> None:
        """Puts files away, then the rest; where the log cannot be written, later again."""
        end = self._clock.monotonic() + seconds

        def is_time_up() -> bool:
            return self._clock.monotonic() >= end

        try:
            while self._waiting and files > 0 and not is_time_up():
                batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
                files -= len(batch)
                self._archive.put_away(batch)
            then(is_time_up)
        except LogUnavailable as error:
            if self._is_log_writable:
                log.warning("pictures stay where they are for now: %s", error)
            self._is_log_writable = False
        except OSError as error:  # whatever was under way is met again by a scan or a census
            log.error("pictures stay where they are for now: %s", error)
        else:
            self._is_log_writable = True
