"""Time: the clock the program is handed, and the one way it writes an instant down."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from zoneinfo import ZoneInfo


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of a computer, replaceable so that no test sleeps.

    `now` is wall time in UTC; `monotonic` counts seconds and never steps.
    """

    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    monotonic: Callable[[], float] = time.monotonic


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


def to_utc(naive: datetime, zone: ZoneInfo | None) -> datetime:
    """Reads a wall-clock time as of `zone`, or of the computer's own zone where None."""
    return naive.replace(tzinfo=zone).astimezone(UTC)


def to_local(instant: datetime, zone: ZoneInfo | None) -> datetime:
    """The instant in `zone`, or in the computer's own zone where None."""
    return instant.astimezone(zone)
