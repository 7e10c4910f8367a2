"""Which messages a stretch of the log would have sent, by the rules as they are now; pure."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from zoneinfo import ZoneInfo

from feeder.alerts.rules import Judged, Outcome, Rules, is_sure, judge
from feeder.alerts.timing import Held, Quiet, hold, release
from feeder.alerts.words import visit_alert
from feeder.domain import Visit


@dataclass(frozen=True, slots=True)
class Replayed:
    """A visit and what becomes of it; `title` and the instant `at` of a message that is sent.

    `waits_for` is "quiet hours" or "a flood" where it comes in a digest, else "".
    """

    judged: Judged
    title: str = ""
    at: datetime | None = None
    waits_for: str = ""


def replay(
    visits: Iterable[Visit],
    rules: Rules,
    earlier: Callable[[Visit], Visit | None],
    is_rare: Callable[[Visit], bool],
    zone: Callable[[str], ZoneInfo | None],
    quiet: Quiet,
    most: int,
) -> Iterator[Replayed]:
    """What becomes of visits, the oldest first, as if each had been told of when it began.

    `earlier` gives the visit of the same label before one that nothing earlier here answers for;
    the others are as in `judge` and `hold`.
    """
    last: dict[str, Visit] = {}
    held: list[Held] = []
    sent: list[datetime] = []

    def before(visit: Visit) -> Visit | None:
        known = last.get(visit.label.name) if visit.trusted else None
        return known or earlier(visit)

    for visit in visits:
        now = visit.start
        while due := [one.due for one in held if one.due <= now]:
            *_, held = release(held, min(due), quiet)
            sent.append(min(due))
        judged = judge(visit, rules, partial(before, visit), partial(is_rare, visit), zone)
        if is_sure(visit, rules.confidence) and visit.trusted:
            last[visit.label.name] = visit
        if judged.outcome is not Outcome.TOLD:
            yield Replayed(judged)
            continue
        alert = visit_alert(judged, zone(visit.deployment))
        waiting = hold(alert, now, quiet, held, sent, most)
        if waiting is None:
            sent.append(now)
            yield Replayed(judged, alert.title, now)
        else:
            held.append(waiting)
            waits_for = "a flood" if waiting.crowded else "quiet hours"
            yield Replayed(judged, alert.title, waiting.due, waits_for)
