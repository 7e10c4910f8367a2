"""The words of messages: short, plain, and the same for every service; pure."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from feeder.alerts.rules import NOTABLE, Judged, Sort
from feeder.alerts.timing import Alert
from feeder.clock import to_local
from feeder.plain_text import percent, plain

LINES = 10
"""Visits that a digest names one by one."""

_SAID = {
    Sort.RARE: "rare here",
    Sort.FIRST_EVER: "first visit ever",
    Sort.FIRST_OF_SEASON: "first of the season",
    Sort.FIRST_OF_DAY: "first of the day",
}
_FIRSTS = (Sort.FIRST_EVER, Sort.FIRST_OF_SEASON, Sort.FIRST_OF_DAY)


def visit_alert(judged: Judged, zone: ZoneInfo | None, link: str = "") -> Alert:
    """What a phone shows of a visit: the bird and why, then when, where and how sure."""
    visit = judged.visit
    # A first ever is one of the season and of the day, which need not be said.
    first = next((sort for sort in judged.sorts if sort in _FIRSTS), None)
    said = [_SAID[sort] for sort in judged.sorts if sort in (Sort.RARE, first)]
    name = plain(visit.label.name)
    title = f"{name}: {', '.join(said)}" if said else name
    local = to_local(visit.start, zone)
    sure = "named by a person" if visit.is_by_person else f"{percent(visit.confidence)} sure"
    clock = f"{local:%H:%M}" + ("" if visit.trusted else "?")
    lines = [f"{clock} at {plain(visit.deployment)}, {sure}"]
    if first is Sort.FIRST_OF_SEASON and judged.last is not None:
        away = (local.date() - judged.last).days - 1
        lines.append(f"Away for {away} days, last here on {judged.last}")
    if link:
        lines.append(link)
    return Alert(
        key=f"visit {visit.visit_id}",
        sort=judged.sorts[0],
        camera=visit.deployment,
        subject=name,
        title=title,
        body="\n".join(lines),
        line=f"{clock}  {title} ({plain(visit.deployment)})",
        at=visit.start,
        media_id=visit.best,
    )


def trouble_alert(
    key: str, sort: Sort, camera: str, title: str, body: str, at: datetime, zone: ZoneInfo | None
) -> Alert:
    """What a phone shows of a feeder that wants something, or no longer does."""
    line = f"{to_local(at, zone):%H:%M}  {title}"
    return Alert(key, sort, camera, title, title, body, line, at)


def digest(alerts: Sequence[Alert], was_quiet: bool) -> tuple[str, str, Alert | None]:
    """One message instead of several: its title, body, and the alert whose frame is shown.

    The most notable are named, in the order of time, and the others counted.
    """
    by_note = sorted(alerts, key=lambda one: (NOTABLE.index(one.sort), one.at))
    troubles = [one for one in by_note if one.media_id is None]
    named = [*troubles, *(one for one in by_note if one.media_id is not None)][:LINES]
    others = [one for one in by_note if one not in named]
    lines = [one.line for one in sorted(named, key=lambda one: one.at)]
    if others:
        counted = Counter(one.subject for one in others).most_common()
        listed = ", ".join(f"{name} {count}" if count > 1 else name for name, count in counted)
        lines.append(f"and {len(others)} more: {listed}")
    subjects = list(dict.fromkeys(one.subject for one in named))
    more = len({one.subject for one in alerts}) - 1
    title = "While it was quiet" if was_quiet else "In the last hour"
    title += f": {subjects[0]}" + (f" and {more} more" if more else "")
    shown = next((one for one in by_note if one.media_id is not None), None)
    return title, "\n".join(lines), shown
