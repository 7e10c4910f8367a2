"""Frames that a camera took of one thing within seconds; pure."""

from bisect import bisect, insort
from collections import defaultdict
from collections.abc import Hashable
from datetime import datetime, timedelta

WITHIN = timedelta(seconds=30)
"""What one camera takes within this of a frame most likely shows the same."""


class Bursts:
    """The frames that stand for a burst each: the first that was put in for it."""

    def __init__(self) -> None:
        self._taken: defaultdict[Hashable, list[datetime]] = defaultdict(list)

    def is_new(self, camera: Hashable, at: datetime) -> bool:
        """Puts a frame in, unless one of the same camera and about the same time is there."""
        taken = self._taken[camera]
        place = bisect(taken, at)
        if any(abs(at - other) <= WITHIN for other in taken[max(0, place - 1) : place + 1]):
            return False
        insort(taken, at)
        return True
