"""The visit that an address names: a camera, a colon and the number of any of its frames."""

from feeder import visit_history
from feeder.domain import Visit
from feeder.errors import NoSuchFrame
from feeder.web import row_id
from feeder.web.desk import Desk

_DIGITS = len(str(row_id.LAST))


def find(desk: Desk, event_id: str) -> Visit | None:
    """The visit this frame of this camera is of by now; None where there is none.

    Raises LogbookError where the log cannot be read.
    """
    deployment, _, number = event_id.rpartition(":")
    if not (number.isascii() and number.isdigit() and len(number) <= _DIGITS):
        return None
    media_id = int(number)
    if media_id > row_id.LAST:
        return None
    try:
        frame = desk.log.frame(media_id)
    except NoSuchFrame:
        return None
    if frame["deployment"] != deployment:
        return None
    gap, at = desk.settings.visits.gap, frame["timestamp"]
    return visit_history.of_frame(desk.log, gap, desk.groups, media_id, deployment, at)
