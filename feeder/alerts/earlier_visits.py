"""A visit as the log has it by now, and the one before it: without reading the history."""

from datetime import timedelta

from feeder.alerts.alert_log import AlertLog
from feeder.alerts.rules import is_sure
from feeder.clock import MOMENT
from feeder.domain import Visit
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery, of_frame, read
from feeder.visits import Groups

MOST = 200
"""Doubtful frames that are looked into; what has more of them, and nothing else, is new."""


def as_logged(log: SightingLog, gap: timedelta, groups: Groups, visit: Visit) -> Visit | None:
    """What has become of a visit: the one that its first frame is in; None where it is in none.

    Meanwhile a person may have said what it was, or the clock may have been set and the log's times
    with it. Raises LogbookError as the log does.
    """
    first = visit.media_ids[0]
    at = AlertLog(log.path).taken(first)
    if at is None:
        return None
    return of_frame(log, gap, groups, first, visit.deployment, at)


def last_before(
    log: SightingLog, gap: timedelta, groups: Groups, visit: Visit, confidence: float
) -> Visit | None:
    """The last visit of the same label that began before this one, at whichever camera.

    Visits below the `confidence` do not count, nor do frames that their neighbours outvoted. Where
    the clock may be wrong, what came before is what was logged before; else frames whose time may
    be wrong do not count. Raises LogbookError as the log does.
    """
    known = AlertLog(log.path)
    before, first = visit.start, visit.media_ids[0]
    for _ in range(MOST):
        if visit.trusted:
            at = known.seen_before(visit.label.name, before)
        else:
            logged = known.logged_before(visit.label.name, first)
            at = None if logged is None else known.taken(logged)
            first = logged or first
        if at is None:
            return None
        query = VisitQuery(at, at + MOMENT, frozenset([visit.label.name]))
        found = [one for one in read(log, gap, groups, query) if one.visit_id != visit.visit_id]
        sure = [
            one for one in found if is_sure(one, confidence) and (one.trusted or not visit.trusted)
        ]
        if sure:
            return max(sure, key=lambda one: one.start)
        before = min([at, *(one.start for one in found)])
        first = min([first, *(one.media_ids[0] for one in found)])
    return None
