"""When a message goes: at once, when quiet hours end, or with others after a flood; pure."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from feeder.alerts.quiet_hours import QuietHours
from feeder.alerts.rules import Sort

HOUR = timedelta(hours=1)

LONGEST = timedelta(hours=25)
"""No quiet lasts longer: what waits for more was held by a clock that has been set since."""

TROUBLES = (Sort.EMPTY, Sort.STALLED)


@dataclass(frozen=True, slots=True)
class Alert:
    """Something to be told, in words.

    `key` says what it is about: `visit garden:1742`, `empty garden`. `line` stands for it in a
    digest, where `subject` counts it. `at` (UTC) is when it came about; `media_id` the frame to
    show, None for none, and `frame` its fingerprint.
    """

    key: str
    sort: Sort
    camera: str
    subject: str
    title: str
    body: str
    line: str
    at: datetime
    media_id: int | None = None
    frame: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """An alert that waits until `due` (UTC), for quiet hours to end or, `crowded`, a flood."""

    alert: Alert
    due: datetime
    crowded: bool = False


Quiet = Callable[[str], QuietHours | None]
"""A camera's quiet hours."""


def hold(
    alert: Alert,
    now: datetime,
    quiet: Quiet,
    held: Iterable[Held],
    sent: Sequence[datetime],
    most: int,
) -> Held | None:
    """The alert as it is to wait; None where it is to go at once.

    `sent` are the instants of the messages about visits that went, the oldest first, of which
    there are to be `most` in an hour.
    """
    hours = quiet(alert.camera)
    until = hours.until(now) if hours else None
    if until is not None:
        return Held(alert, until)
    if alert.sort in TROUBLES:
        return None
    waiting = [one.due for one in held if one.crowded and now < one.due <= now + HOUR]
    if waiting:
        return Held(alert, min(waiting), crowded=True)
    recent = [at for at in sent if now - HOUR < at <= now]
    return Held(alert, recent[-most] + HOUR, crowded=True) if len(recent) >= most else None


def release(
    held: Iterable[Held], now: datetime, quiet: Quiet
) -> tuple[list[Alert], list[Alert], list[Held]]:
    """What is due: of quiet hours, of a flood; and what goes on waiting.

    What a flood held into the quiet hours waits for their end. What was due a day ago, while nobody
    was there to send it, is history and dropped.
    """
    of_quiet: list[Alert] = []
    of_flood: list[Alert] = []
    rest: list[Held] = []
    for one in held:
        hours = quiet(one.alert.camera)
        until = hours.until(now) if hours else None
        if now < one.due <= now + LONGEST:
            rest.append(one)
        elif one.due < now - LONGEST:
            continue
        elif until is not None:
            rest.append(replace(one, due=until, crowded=False))
        else:
            (of_flood if one.crowded else of_quiet).append(one.alert)
    return of_quiet, of_flood, rest
