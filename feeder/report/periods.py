"""The day or the week that a report is on."""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feeder.clock import to_local, to_utc
from feeder.query_terms import NoSuchTime

NOON = 12
"""Hour before which yesterday is what there is to tell of."""


@dataclass(frozen=True, slots=True)
class Period:
    """Whole days from `first` to `last`, both included, as clocks in `zone` count them."""

    first: date
    last: date
    zone: ZoneInfo | None = None

    @property
    def since(self) -> datetime:
        """Its first instant, in UTC."""
        return to_utc(datetime.combine(self.first, time()), self.zone)

    @property
    def until(self) -> datetime:
        """The instant after its last, in UTC."""
        return to_utc(datetime.combine(self.last + timedelta(days=1), time()), self.zone)

    @property
    def is_week(self) -> bool:
        """Whether it is more than a day."""
        return self.first != self.last

    @property
    def title(self) -> str:
        """`Friday, 1 May 2026`, or `27 April to 3 May 2026`."""
        if not self.is_week:
            return f"{self.last:%A}, {_day(self.last)} {self.last.year}"
        start = str(self.first.day)
        if self.first.month != self.last.month:
            start = _day(self.first)
        if self.first.year != self.last.year:
            start += f" {self.first.year}"
        return f"{start} to {_day(self.last)} {self.last.year}"

    @property
    def stem(self) -> str:
        """What a file of it is called: `feeder-2026-05-01`, or `feeder-2026-W18`."""
        if not self.is_week:
            return f"feeder-{self.last}"
        year, week, _ = self.first.isocalendar()
        return f"feeder-{year}-W{week:02}"


def chosen(text: str, *, week: bool, now: datetime, zone: ZoneInfo | None) -> Period:
    """The day that `text` names, or the ISO week, Monday to Sunday, which that lies in.

    It is `today`, `yesterday` or a date; "" is yesterday before noon and today from then on.
    Raises NoSuchTime for anything else, and for what is still to come.
    """
    local = to_local(now, zone)
    today = local.date()
    yesterday = today - timedelta(days=1)
    named = {"today": today, "yesterday": yesterday, "": yesterday if local.hour < NOON else today}
    try:
        day = named.get(text) or date.fromisoformat(text)
    except ValueError:
        raise NoSuchTime(f"{text!r} is no day; write today, yesterday or 2026-05-01") from None
    try:
        monday = day - timedelta(days=day.weekday())
        period = (
            Period(monday, monday + timedelta(days=6), zone) if week else Period(day, day, zone)
        )
        begins, _ = period.since, period.until
    except (ValueError, OverflowError):
        raise NoSuchTime(f"{text} is out of reach") from None
    if begins > now:
        raise NoSuchTime(f"{text} is still to come")
    return period


def _day(day: date) -> str:
    return f"{day.day} {day:%B}"
