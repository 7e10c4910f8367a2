"""Time: the clock the program is handed, and the one way it writes an instant down."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from feeder import system_time

_QUICK = 0.01
"""Seconds within which two clocks count as read at one moment."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clocks of a computer, replaceable so that no test sleeps.

    `now` is wall time in UTC; `monotonic` counts seconds and never steps. The others say what
    wall time is worth, as the functions of `system_time` do.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic
    since_boot: Callable[[], float] = system_time.since_boot
    boot_id: Callable[[], str] = system_time.boot_id
    synchronised: Callable[[], bool | None] = system_time.synchronised
    synchronised_at: Callable[[], float | None] = system_time.synchronised_at
    battery: Callable[[], float | None] = system_time.battery_clock
    early_offset: Callable[[], float | None] = system_time.early_offset

    def reading(self) -> tuple[float, float]:
        """Seconds since boot, and by how many seconds Unix time is ahead of them.

        The second changes when the clock is set, and at no other time.
        """
        for _ in range(5):
            before = self.since_boot()
            wall = self.now().timestamp()
            after = self.since_boot()
            if after - before < _QUICK:
                break  # else the process was held up between them
        return after, wall - (before + after) / 2


MOMENT = timedelta(milliseconds=1)
"""The resolution of what `utc_text` writes: the least by which one instant is after another."""


def utc_text(instant: datetime) -> str:
    """`2026-05-01T06:30:00.250Z`: fixed width, so text order is time order.

    Raises ValueError for a naive datetime.
    """
    if instant.tzinfo is None:
        raise ValueError(f"{instant} has no time zone")
    return instant.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def parse_utc(text: str) -> datetime:
    """The inverse of `utc_text`."""
    return datetime.fromisoformat(text)


def storable_ns(nanoseconds: int) -> int:
    """A file's time within the 64 bits of the log; a file system may claim the year 2500."""
    return min(max(nanoseconds, -(2**63)), 2**63 - 1)


def to_utc(naive: datetime, zone: ZoneInfo | None, near: datetime | None = None) -> datetime:
    """Reads a wall-clock time as of `zone`, or of the computer's own zone where None.

    When clocks go back an hour comes twice: the reading nearer to `near` is taken, else the
    first. When they go forward an hour does not come: it is read as if they had not (a camera
    that was not put forward), or as if they already had, by the same rule.
    """
    first, second = (naive.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if near is None or abs(first - near) <= abs(second - near):
        return first
    return second


def namesakes(instant: datetime, zone: ZoneInfo | None) -> list[datetime]:
    """The instants that clocks in `zone` show alike, `instant` first: two where they go back."""
    local = to_local(instant, zone).replace(tzinfo=None)
    both = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    return [instant, *(other for other in both if other != instant)][:2]


def to_local(instant: datetime, zone: ZoneInfo | None) -> datetime:
    """The instant in `zone`, or in the computer's own zone where None."""
    return instant.astimezone(zone)
