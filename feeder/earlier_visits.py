"""The visit before a visit: found from the log's end, without reading the history."""

from datetime import timedelta

from feeder.alert_log import AlertLog
from feeder.alert_rules import is_sure
from feeder.domain import Visit
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery, read
from feeder.visits import Groups

_MOMENT = timedelta(milliseconds=1)

MOST = 200
"""Doubtful frames that are looked into; what has more of them, and nothing else, is new."""


def last_before(
    log: SightingLog, gap: timedelta, groups: Groups, visit: Visit, confidence: float
) -> Visit | None:
    """The last visit of the same label that began before this one, at whichever camera.

    Visits below the `confidence` do not count, nor do frames that their neighbours outvoted. Raises
    LogbookError as the log does.
    """
    known = AlertLog(log.path)
    before = visit.start
    for _ in range(MOST):
        at = known.seen_before(visit.label.name, before)
        if at is None:
            return None
        query = VisitQuery(at, at + _MOMENT, frozenset([visit.label.name]))
        found = [one for one in read(log, gap, groups, query) if one.visit_id != visit.visit_id]
        sure = [one for one in found if is_sure(one, confidence) and one.trusted]
        if sure:
            return max(sure, key=lambda one: one.start)
        before = min([at, *(one.start for one in found)])
    return None
