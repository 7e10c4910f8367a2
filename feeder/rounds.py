"""When pictures are deleted: a round each few minutes, or at once when the disk runs full."""

import logging
from collections.abc import Callable
from pathlib import Path

from feeder.clock import Clock
from feeder.config import Settings
from feeder.picture_log import PictureLog
from feeder.places import Places
from feeder.retention import (
    Census,
    Species,
    Sweep,
    delete_some,
    is_any_older,
    is_clock_plausible,
    room,
)

log = logging.getLogger("feeder.retention")

ROUND_SECONDS = 300.0
"""Between two rounds."""

PROMPT_SECONDS = 10.0
"""The same where each picture goes once it is logged, and between two looks at the free space."""

SHARE = 50
"""The next round waits at least so many times the seconds that the last one worked."""

AGAIN_SECONDS = 3600.0
"""Until what did not help or could not be done is tried again."""

CENSUS_SECONDS = 86_400.0
"""How long a census serves when room is needed at once."""


class Rounds:
    """Deletes what [retention] no longer keeps, a little at each `turn`.

    Nothing is deleted while `clock_is_trusted` says no and the log's own frames do not vouch for
    the clock. `free` measures as `room` does.
    """

    def __init__(
        self,
        settings: Settings,
        pictures: PictureLog,
        clock: Clock,
        clock_is_trusted: Callable[[], bool],
        free: Callable[[Path], tuple[int, int]] = room,
    ) -> None:
        self._limits = settings.retention
        self._pictures = pictures
        self._places = Places.of(settings)
        self._clock = clock
        self._clock_is_trusted = clock_is_trusted
        self._free = free
        self._census: Census | None = None
        self._census_at = 0.0
        self._sweep: Sweep | None = None
        self._worked = 0.0
        self._round_due = self._look_due = clock.monotonic()
        self._room_ignored_until = 0.0
        self._closed_until = 0.0
        self._said = ""

    def hurry(self) -> None:
        """Says that frames were logged, which may be due already."""
        if self._limits.after == "delete":
            soon = self._clock.monotonic() + max(PROMPT_SECONDS, SHARE * self._worked)
            self._round_due = min(self._round_due, soon)

    def turn(self, is_time_up: Callable[[], bool]) -> None:
        """Goes on with a round, or begins one that is due. Raises LogUnavailable."""
        began = self._clock.monotonic()
        if not self._limits.deletes or began < self._closed_until or not self._may_delete():
            return
        if self._sweep is None and (self._census is None or self._census.finished):
            self._begin(began)
        self._work(is_time_up)
        self._worked += self._clock.monotonic() - began

    def whole(self) -> None:
        """Makes one whole round now."""
        if not self._limits.deletes or not self._may_delete():
            return
        self._census, self._sweep = self._new_census(), None
        self._work(lambda: False)

    def _may_delete(self) -> bool:
        # On a computer that nobody tells the time, weeks of frames vouch for the clock.
        if self._clock_is_trusted() or is_clock_plausible(self._pictures, self._clock.now()):
            return True
        self._say("no picture is deleted until this computer's clock is known to be right")
        return False

    def _begin(self, now: float) -> None:
        """Begins a round where one is due; where only room is short, with the last census."""
        if now >= self._round_due:
            self._census, self._worked = self._new_census(), 0.0
        elif now >= self._look_due:
            self._look_due = now + PROMPT_SECONDS
            if self._census is not None and self._is_short(now):
                if now - self._census_at < CENSUS_SECONDS:
                    self._sweep = self._new_sweep(self._census)
                else:
                    self._census = self._new_census()

    def _is_short(self, now: float) -> bool:
        wanted = self._limits.min_free_gigabytes
        if wanted is None or now < self._room_ignored_until:
            return False
        there = [root for root in self._places.roots if root.exists()]
        return any(self._free(root)[1] < wanted * 1e9 for root in there)

    def _work(self, is_time_up: Callable[[], bool]) -> None:
        if self._census is not None and not self._census.finished:
            self._census.go_on(is_time_up)
            if not self._census.finished:
                return
            self._census_at = self._clock.monotonic()
            self._sweep = self._new_sweep(self._census)
        if self._sweep is None:
            return
        try:
            while not self._sweep.finished:
                delete_some(self._sweep, is_time_up)
                if is_time_up():
                    return
        except OSError as error:
            self._closed_until = self._clock.monotonic() + AGAIN_SECONDS
            self._say(f"cannot delete pictures: {error}; tried again in an hour")
        self._end(self._sweep)

    def _new_census(self) -> Census:
        return Census(self._pictures, self._places, Species(self._limits.keep_last))

    def _new_sweep(self, census: Census) -> Sweep:
        now = self._clock.now()
        believes = is_clock_plausible(self._pictures, now)
        if not believes and is_any_older(self._pictures, self._limits.max_days, now):
            self._say(
                f"pictures older than {self._limits.max_days:g} days stay for now: the log has no"
                " frames of this week or of the last, so the clock may have jumped;"
                " `feeder prune --trust-clock` deletes them"
            )
        limits = self._limits
        if self._clock.monotonic() < self._room_ignored_until:
            limits = limits.model_copy(update={"min_free_gigabytes": None})
        return Sweep(census, limits, now, believes, self._free)

    def _end(self, sweep: Sweep) -> None:
        self._sweep = None
        now = self._clock.monotonic()
        self._round_due = now + max(ROUND_SECONDS, SHARE * self._worked)
        if sweep.deleted:
            count, size = sum(sweep.deleted.values()), sweep.deleted_bytes
            reasons = ", ".join(f"{number} {why}" for why, number in sweep.deleted.items())
            log.info("deleted %d pictures, %s: %s", count, megabytes(size), reasons)
        if sweep.limits.min_free_gigabytes is None or not self._is_short(now):
            return
        if sweep.missing_bytes > 0:
            self._look_due = self._round_due
            self._say(
                f"less than {self._limits.min_free_gigabytes:g} GB are free, and every picture"
                " left is one that is kept; make room on the disk"
            )
        else:
            # Something else fills the disk, or snapshots hold on to what was deleted.
            self._room_ignored_until = now + AGAIN_SECONDS
            self._say(
                f"less than {self._limits.min_free_gigabytes:g} GB are free although pictures were"
                " deleted; no more of them for an hour: look at what fills the disk"
            )

    def _say(self, what: str) -> None:
        """One line for each change of state, none for more of the same."""
        if what != self._said:
            self._said = what
            log.warning(what)


def megabytes(size: float) -> str:
    """`12.3 MB` or `4.5 GB`, in powers of ten as disks are sold."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"
