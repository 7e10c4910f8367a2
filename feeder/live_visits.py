"""The chore that says when a visit begins and ends, as the log shows it.

What it says is a courtesy: `feeder visits` computes them anew from the log. It reads what has been
committed, on a connection of its own, and whatever keeps it from that keeps no frame waiting.
"""

import logging
from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from feeder.clock import Clock
from feeder.domain import Visit
from feeder.errors import LogbookError
from feeder.sighting_log import NEWS, SightingLog
from feeder.visit_history import recent
from feeder.visit_memory import Remembered, VisitMemory
from feeder.visit_tracker import Tracker
from feeder.visits import WINDOW, Groups

log = logging.getLogger("feeder.visits")

SURE = 2
"""Frames after which a visit is said to have begun; a lone one may be a slip."""

LATE_SECONDS = 30.0
"""How long after a backlog's last frame of a visit others of it may still come."""

MOST = 20_000
"""Sightings kept in mind; at more, the older half is let go of."""

AGAIN_SECONDS = 60.0
"""How long a log that cannot be read is left alone."""

OLDEST_NEWS = timedelta(days=1)
"""What happened while nobody looked is said up to this age."""


class LiveVisits:
    """Hears that frames were `logged`; `turn` says what began and ended since.

    `began` is told of a visit once it is sure, `ended` once it is over; of one that a backlog
    brings, and that is long over, only the latter. With a `memory` a restart goes on where the
    last one was: nothing is said twice, and what came meanwhile is said. Without one, visits that
    are under way at the start count as said.
    """

    def __init__(
        self,
        path: Path,
        began: Callable[[Visit], None],
        ended: Callable[[Visit], None],
        clock: Clock | None = None,
        memory: VisitMemory | None = None,
    ) -> None:
        self._log = SightingLog(path)
        self._memory = memory
        self._remembered: Remembered | None = None
        self._began = began
        self._ended = ended
        self._clock = clock or Clock()
        self._tracker: Tracker | None = None
        self._has_news = True
        self._not_before = 0.0
        self._last_frame, self._fingerprint = 0, ""
        self._arrived: dict[int, float] = {}
        self._visits: list[Visit] = []
        self._under_way: set[tuple[str, bool, str]] = set()

    def logged(self) -> None:
        """Takes note that rows were committed."""
        self._has_news = True

    def restored(self) -> None:
        """Begins anew: another log has taken the old one's place."""
        self._tracker, self._not_before = None, 0.0

    def turn(self, gap: timedelta, groups: Groups) -> None:
        """Reads what is new and says what follows; a log that cannot be read, it waits for."""
        if self._clock.monotonic() < self._not_before:
            return
        try:
            if self._tracker is None or (self._tracker.gap, self._tracker.groups) != (gap, groups):
                self._take_up(gap, groups)
            if self._has_news:
                self._read()
        except LogbookError as error:
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            log.warning("visits are not shown for now: %s", error)
        self._say()

    def finish(self, gap: timedelta, groups: Groups) -> None:
        """Says the end of every visit, also of one under way: nobody looks from now on."""
        self._has_news = True
        while self._has_news and self._clock.monotonic() >= self._not_before:
            self.turn(gap, groups)
        for visit in self._visits:
            self._ended(visit)

    def _take_up(self, gap: timedelta, groups: Groups) -> None:
        """Goes on with the visits that the log shows under way, so that a restart splits none."""
        tracker = Tracker(gap, groups)
        self._looked_up_to(self._log.newest_frame())
        before = self._recall()
        for sighting in recent(self._log, gap, MOST // 2, before.since if before else None):
            if sighting.media_id <= self._last_frame:
                tracker.add(sighting)
        over = [visit for visit in tracker.visits() if self._is_over(visit, gap)]
        for visit in over:
            tracker.forget(visit.media_ids)
            if before.is_news(visit) if before else self._was_under_way(visit, over):
                self._ended(visit)
        self._tracker, self._visits, self._has_news = tracker, tracker.visits(), True
        self._under_way = {
            _place(visit)
            for visit in self._visits
            if self._memory is None or (before is not None and before.was_said(visit))
        }
        self._remember()

    def _was_under_way(self, visit: Visit, over: Sequence[Visit]) -> bool:
        """Whether it is the one that was said to have begun there: the last that is over."""
        place = _place(visit)
        return place in self._under_way and visit == [v for v in over if _place(v) == place][-1]

    def _recall(self) -> Remembered | None:
        """What was said before this start or this other log; None where nothing is known of it."""
        if self._memory is None:
            return None
        found = self._remembered or self._memory.read()
        if found is None:
            return None
        if found.last_frame and self._log.fingerprints([found.last_frame]) != (found.frame,):
            found = found.of_another_log()  # a backup has replaced it
        return found.no_older_than(self._clock.now() - OLDEST_NEWS)

    def _remember(self) -> None:
        """Notes what was said where that has changed."""
        if self._memory is None:
            return
        said = {visit.media_ids[0]: _place(visit) in self._under_way for visit in self._visits}
        if self._remembered is not None and self._remembered.visits == said:
            return
        since = min((visit.start for visit in self._visits), default=self._clock.now())
        self._remembered = Remembered(self._last_frame, self._fingerprint, since, said)
        self._memory.write(self._remembered)

    def _read(self) -> None:
        assert self._tracker is not None
        last, sightings = self._log.added(self._last_frame)
        self._has_news = last - self._last_frame == NEWS  # there may be more than it gave
        self._looked_up_to(last)
        now = self._clock.monotonic()
        for sighting in sightings:
            self._tracker.add(sighting)
            self._arrived[sighting.media_id] = now
        if len(self._tracker) > MOST:
            self._forget(sorted(self._tracker.media_ids)[: MOST // 2])
        if sightings:
            self._visits = self._tracker.visits()

    def _looked_up_to(self, media_id: int) -> None:
        if self._memory is not None:
            self._fingerprint = next(iter(self._log.fingerprints([media_id])), "")
        self._last_frame = media_id

    def _say(self) -> None:
        """Says what has ended, and forgets it; then what goes on and was not said to."""
        if self._tracker is None:
            return
        over = [
            visit
            for visit in self._visits
            if self._is_over(visit, self._tracker.gap) and not self._may_grow(visit)
        ]
        for visit in over:
            self._ended(visit)
            self._forget(visit.media_ids)
        if over:
            self._visits = self._tracker.visits()
        going_on = [one for one in self._visits if not self._is_over(one, self._tracker.gap)]
        self._under_way &= set(map(_place, going_on))
        for visit in going_on:
            if _place(visit) not in self._under_way and self._is_sure(visit):
                self._under_way.add(_place(visit))
                self._began(visit)
        self._remember()

    def _forget(self, media_ids: Sequence[int]) -> None:
        assert self._tracker is not None
        self._tracker.forget(media_ids)
        for media_id in media_ids:
            self._arrived.pop(media_id, None)

    def _is_over(self, visit: Visit, gap: timedelta) -> bool:
        return self._clock.now() - visit.end >= max(gap, WINDOW)

    def _may_grow(self, visit: Visit) -> bool:
        """Whether it has grown just now, as those of a backlog do that are long over."""
        newest = max(self._arrived.get(media_id, 0.0) for media_id in visit.media_ids)
        return self._clock.monotonic() - newest < LATE_SECONDS

    def _is_sure(self, visit: Visit) -> bool:
        is_told_apart = len(visit.media_ids) >= SURE and not visit.label.is_any_bird
        return is_told_apart or self._clock.now() - visit.start > WINDOW


def _place(visit: Visit) -> tuple[str, bool, str]:
    """What no two visits under way share."""
    return visit.deployment, visit.trusted, visit.label.name
