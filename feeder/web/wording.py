"""How pages put times and shares into words."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from feeder.clock import to_local
from feeder.web.desk import Desk

_UNITS = (
    (timedelta(days=1), "day"),
    (timedelta(hours=1), "hour"),
    (timedelta(minutes=1), "minute"),
)


@dataclass(frozen=True, slots=True)
class Words:
    """Words for one page: the cameras' time zones, and what time it is."""

    zones: Mapping[str, ZoneInfo | None]
    zone: ZoneInfo | None
    now: datetime

    @classmethod
    def of(cls, desk: Desk) -> "Words":
        """Those of a desk, now."""
        return cls(desk.zones, desk.zone, desk.clock.now())

    def time(self, at: datetime, camera: str | None = None, trusted: bool = True) -> str:
        """`Sat 21 Nov 2026, 14:03`, where the camera is; a `?` follows where it may be wrong."""
        local = to_local(at, self.zone if camera is None else self.zones.get(camera))
        return f"{local:%a} {local.day} {local:%b %Y, %H:%M}{'' if trusted else '?'}"

    def ago(self, at: datetime) -> str:
        """`3 hours ago`, in the largest unit that was filled."""
        age = self.now - at
        for unit, name in _UNITS:
            if age >= unit:
                return f"{counted(age // unit, name)} ago"
        return "just now"

    def percent(self, share: float | None) -> str:
        """`97 %`, or "" for None; never 100 % of what is not certain."""
        if share is None:
            return ""
        return f"{min(int(100 * share + 0.5), 99) if share < 1 else 100} %"

    def share(self, share: float) -> str:
        """`97.4 %`; likewise never 100."""
        return f"{min(100 * share, 99.9 if share < 1 else 100):.1f} %"

    def counted(self, count: int, noun: str) -> str:
        """`1 frame`, `1,742 frames`."""
        return counted(count, noun)


def counted(count: int, noun: str) -> str:
    """`1 frame`, `1,742 frames`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"
