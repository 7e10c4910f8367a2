"""A bound on what a day writes to the journal, which lies on the same card as the log."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

DAY = 86_400.0


@dataclass
class DailyQuota:
    """So many bytes a day, counted from the first one on a clock that never steps."""

    limit: int
    monotonic: Callable[[], float] = time.monotonic
    _spent: int = field(default=0, init=False)
    _day_ends: float = field(default=0.0, init=False)

    def takes(self, text: str) -> bool:
        """Whether a line still fits into the day; one that does is counted."""
        now = self.monotonic()
        if now >= self._day_ends:
            self._day_ends = now + DAY
            self._spent = 0
        size = len(text.encode(errors="backslashreplace")) + 1
        if self._spent + size > self.limit:
            return False
        self._spent += size
        return True

    @property
    def is_fresh(self) -> bool:
        """Whether nothing has been refused since the day began."""
        return self._spent == 0
