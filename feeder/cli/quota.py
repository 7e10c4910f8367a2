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
    is_first_refusal: bool = field(default=False, init=False)
    _spent: int = field(default=0, init=False)
    _refused: bool = field(default=False, init=False)
    _day_ends: float = field(default=0.0, init=False)

    def takes(self, text: str) -> bool:
        """Whether a line still fits into the day; one that does is counted.

        Afterwards `is_first_refusal` says whether it is the day's first that does not.
        """
        now = self.monotonic()
        if now >= self._day_ends:
            self._day_ends, self._spent, self._refused = now + DAY, 0, False
        size = len(text.encode(errors="backslashreplace")) + 1
        fits = not self._refused and self._spent + size <= self.limit
        if fits:
            self._spent += size
        self.is_first_refusal = not fits and not self._refused
        self._refused = not fits
        return fits
