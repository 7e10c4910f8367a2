"""What was said of visits, kept in a small file beside the log, so that a restart goes on there."""

import json
import logging
import os
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from feeder.clock import parse_utc, utc_text
from feeder.domain import Visit

log = logging.getLogger("feeder.visits")


@dataclass(frozen=True, slots=True)
class Remembered:
    """The visits that were not over, by their first frame's media id: were they said to begin?

    `last_frame` is the newest media id that was looked at, `frame` its fingerprint, which another
    log does not have there; no frame of the visits was taken before `since` (UTC).
    """

    last_frame: int
    frame: str
    since: datetime
    visits: dict[int, bool]

    def was_said(self, visit: Visit) -> bool:
        """Whether it was said to have begun."""
        return any(self.visits.get(media_id, False) for media_id in visit.media_ids)

    def is_news(self, visit: Visit) -> bool:
        """Whether it was not over then, or has come since."""
        return any(one in self.visits or one > self.last_frame for one in visit.media_ids)

    def of_another_log(self) -> "Remembered":
        """What is left of it where the numbers mean other frames: from when on there may be news.

        What goes on may be said to begin twice, and nothing is lost.
        """
        return Remembered(0, "", self.since, {})

    def no_older_than(self, oldest: datetime) -> "Remembered":
        """The same, looking back no further."""
        return replace(self, since=max(self.since, oldest))


class VisitMemory:
    """The file at `path`. Losing it costs no more than a message."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._has_failed = False

    def read(self) -> Remembered | None:
        """What was noted last; None where nothing was, or it cannot be read."""
        try:
            noted = json.loads(self._path.read_text(encoding="utf-8"))
            visits = {int(media_id): bool(said) for media_id, said in noted["visits"].items()}
            last, frame = int(noted["last_frame"]), str(noted["frame"])
            return Remembered(last, frame, parse_utc(noted["since"]), visits)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, remembered: Remembered) -> None:
        """Notes it; where that fails, says so once."""
        noted = {
            "last_frame": remembered.last_frame,
            "frame": remembered.frame,
            "since": utc_text(remembered.since),
            "visits": remembered.visits,
        }
        beside = self._path.with_name(f".{self._path.name}.new")
        try:
            beside.write_text(json.dumps(noted), encoding="utf-8")
            os.replace(beside, self._path)
        except OSError as error:
            if not self._has_failed:
                log.warning("a restart may say visits twice: %s", error)
            self._has_failed = True
        else:
            self._has_failed = False
