"""How pages write instants, lengths of time, shares and names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from markupsafe import Markup, escape

from feeder.clock import to_local
from feeder.domain import Visit
from feeder.plain_text import percent
from feeder.seasons import MONTHS
from feeder.web.desk import Desk

_CODE = re.compile("`([^`]+)`")
_DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


def clock_time(instant: datetime, zone: ZoneInfo | None) -> str:
    """`08:30`, in the zone people live in."""
    return to_local(instant, zone).strftime("%H:%M")


def clock_seconds(instant: datetime, zone: ZoneInfo | None) -> str:
    """`08:30:05`, likewise."""
    return to_local(instant, zone).strftime("%H:%M:%S")


def local_day(instant: datetime, zone: ZoneInfo | None) -> date:
    """The day it was there."""
    return to_local(instant, zone).date()


def day(value: date) -> str:
    """`Friday 1 May 2026`; the same in every locale."""
    return f"{_DAYS[value.weekday()]} {short_day(value)}"


def short_day(value: date) -> str:
    """`1 May 2026`."""
    return f"{value.day} {MONTHS[value.month - 1]} {value.year}"


def brief_day(value: date) -> str:
    """`1 May 2026`, a long month's name cut to three letters."""
    return f"{value.day} {MONTHS[value.month - 1][:3]} {value.year}"


def month(value: date) -> str:
    """`May 2026`."""
    return f"{MONTHS[value.month - 1]} {value.year}"


def lasted(duration: timedelta) -> str:
    """`1 h 05 min`, `4 min` or `12 s`; `a moment` for a single frame."""
    seconds = round(duration.total_seconds())
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    if seconds >= 60:
        return f"{seconds // 60} min"
    return f"{seconds} s" if seconds else "a moment"


def fine_percent(share: float) -> str:
    """`97.4 %`; likewise never 100."""
    return f"{min(100 * share, 99.9 if share < 1 else 100):.1f} %"


def number(count: int) -> str:
    """`1,234,567`."""
    return f"{count:,}"


def counted(count: int, noun: str) -> str:
    """`1 visit`, `1,234 visits`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def unbroken(text: str) -> str:
    """The same, on one line."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")


def undated(count: int) -> str:
    """Why a chart's total is less than that of the visits; "" where it is not."""
    if not count:
        return ""
    said = "is not in the chart" if count == 1 else "are not in the chart"
    return f"{counted(count, 'visit')} {said}: the computer did not know the time."


def path_of(name: str) -> str:
    """A name as one part of a path, so that what stands in it means nothing there."""
    return quote(name, safe="")


def telling(reason: str, name: str | None) -> str:
    """A reason, or "" for one that repeats the name and its probability and says no more."""
    if name and re.fullmatch(rf"{re.escape(name)}(?: [01]\.\d+)?", reason):
        return ""
    return reason


def visit_url(visit: Visit) -> str:
    """Where a visit has its page."""
    return f"/visits/{path_of(visit.visit_id)}"


def species_url(name: str) -> str:
    """Where a species has its page."""
    return f"/species/{path_of(name)}"


_ON_PAGES = {
    "`feeder sightings": "“All frames”, at the foot of each page, lists them.",
    "`feeder correct --list`": "“What people said”, at the foot of each page, lists them.",
    "`feeder unknowns`": "The page Unknowns sorts them again.",
    "`feeder review correct": "Name what it shows, under “Another species”.",
}


def on_pages(hint: str) -> str:
    """What mends an error, as it is done on the pages where they can do what the command does."""
    return next((ours for command, ours in _ON_PAGES.items() if command in hint), hint)


def code(sentence: str) -> Markup:
    """A sentence whose `words in backticks` are set as code; all of it is escaped."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(str(sentence)))))


FILTERS = {
    "code": code,
    "on_pages": on_pages,
    "clock": clock_time,
    "clock_seconds": clock_seconds,
    "local_day": local_day,
    "day": day,
    "short_day": short_day,
    "brief_day": brief_day,
    "month": month,
    "lasted": lasted,
    "percent": percent,
    "fine_percent": fine_percent,
    "number": number,
    "counted": counted,
    "telling": telling,
    "unbroken": unbroken,
    "undated": undated,
    "visit_url": visit_url,
    "species_url": species_url,
}

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
