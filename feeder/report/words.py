"""What the forms of a report say alike."""

from collections.abc import Mapping

from feeder.clock import to_local
from feeder.domain import Kind, Visit
from feeder.report.best_shots import Best
from feeder.report.gathering import Guest, Report

DAYLIGHT = range(7, 18)
"""Hours that a chart always shows."""


def many(count: int, what: str) -> str:
    """`1 visit`, `2 visits`."""
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def summary(report: Report) -> str:
    """`26 visits, 9 kinds of bird, busiest from 9 to 10`."""
    parts = [many(report.visits, "visit")]
    if report.bird_species:
        count = report.bird_species
        parts.append("1 kind of bird" if count == 1 else f"{count} kinds of bird")
    if report.busiest is not None and report.visits > 2:
        parts.append(f"busiest from {report.busiest} to {report.busiest + 1}")
    return ", ".join(parts)


def footnotes(report: Report) -> list[str]:
    """What is to be said besides, a sentence each."""
    said = []
    if report.begins and report.guests:
        said.append(f"The first {'week' if report.period.is_week else 'day'} in the log.")
    if report.streak > 1:
        said.append(f"{report.streak} days in a row with a bird.")
    if report.undated:
        are = "visit is" if report.undated == 1 else "visits are"
        said.append(f"{report.undated} {are} not in the chart: the computer did not know the time.")
    if any(not guest.is_sure for guest in report.guests):
        said.append("A ? stands where the name is not sure.")
    return said


def hours_shown(report: Report) -> list[int]:
    """The hours of the chart: daylight, and from the first to the last that had a visit."""
    busy = [hour for hour, count in enumerate(report.by_hour) if count]
    return list(range(min([*busy, *DAYLIGHT]), max([*busy, *DAYLIGHT]) + 1))


def when(report: Report, visit: Visit) -> str:
    """`08:30` of a day, `Fri 08:30` of a week; a `?` where the computer did not know the time."""
    local = to_local(visit.start, report.zone(visit.deployment))
    shown = f"{local:%a %H:%M}" if report.period.is_week else f"{local:%H:%M}"
    return shown if visit.trusted else f"{shown}?"


def first_shown(report: Report, best: Mapping[str, Best]) -> tuple[Guest, Best] | None:
    """The guest on top: a favorite, else the best shot of a bird, one that was told apart first."""
    shown = [(guest, best[guest.label.name]) for guest in report.guests if guest.label.name in best]
    return max(shown, key=_rank, default=None)


def _rank(shown: tuple[Guest, Best]) -> tuple[bool, bool, bool, bool, float]:
    guest, found = shown
    is_bird = guest.label.kind is Kind.BIRD
    is_told_apart = is_bird and guest.is_species
    return (
        found.shot.is_favorite,
        is_told_apart and guest.is_sure,
        is_told_apart,
        is_bird,
        found.score,
    )
