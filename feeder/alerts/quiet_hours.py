"""Hours in which nobody is to be disturbed, as clocks at a place show them; pure."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feeder.clock import to_local

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class QuietHours:
    """From `start` to `end` in `zone` (None: the computer's own), over midnight where end <= start.

    Where clocks go back, they last from the first time that clocks show the start to the last time
    that they show the end; a time that clocks skip is the moment at which they do.
    """

    start: time
    end: time
    zone: ZoneInfo | None

    def until(self, at: datetime) -> datetime | None:
        """The instant (UTC) at which the quiet that `at` lies in ends; None where it lies in none.

        The end itself lies in none.
        """
        today = to_local(at, self.zone).date()
        for day in (today - DAY, today, today + DAY):
            next_day = day + DAY if self.end <= self.start else day
            begins = self._instant(day, self.start, min)
            ends = self._instant(next_day, self.end, max)
            if begins <= at < ends:
                return ends
        return None

    def _instant(
        self, day: date, at: time, choose: Callable[[list[datetime]], datetime]
    ) -> datetime:
        """When clocks show it: of two such instants the chosen one."""
        shown = datetime.combine(day, at)
        both = [
            shown.replace(tzinfo=self.zone, fold=fold).astimezone(UTC) for fold in (0, 1)
        ]  # of a skipped time: an hour after it was skipped, and an hour before
        real = [one for one in both if to_local(one, self.zone).replace(tzinfo=None) == shown]
        return choose(real) if real else self._skip(min(both), max(both))

    def _skip(self, before: datetime, after: datetime) -> datetime:
        """The whole second between two instants at which clocks are put forward."""
        offset = to_local(before, self.zone).utcoffset()
        while after - before > timedelta(seconds=1):
            middle = before + (after - before) / 2
            if to_local(middle, self.zone).utcoffset() == offset:
                before = middle
            else:
                after = middle
        return after.replace(microsecond=0)
