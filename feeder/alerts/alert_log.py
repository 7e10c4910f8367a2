"""What the log knows that bears on a message: when a label was last seen, what is rare, what came.

SQL is here as in `log_reader`, on connections that cannot write. No question reads the whole log.
"""

import json
from collections.abc import Sequence
from datetime import datetime

from feeder.clock import parse_utc, utc_text
from feeder.log_reader import LogReader
from feeder.verdicts import RARE_MARK

NEAR = 5000
"""Frames that are looked through backwards in time before all of a label's are: the birds of
every day are among them, and of the others there are few."""

# One label's rows come from the index on labels: the many of the other labels are not touched.
_NEAR = (
    "SELECT m.media_id, m.timestamp FROM (SELECT media_id, timestamp FROM media"
    " WHERE timestamp < ?2 AND timestamp_trusted = 1 ORDER BY timestamp DESC LIMIT ?3) AS m"
    " CROSS JOIN observation AS o INDEXED BY observation_label ON o.media_id = m.media_id"
    " WHERE o.label = ?1 AND o.observation_type = 'animal' ORDER BY m.timestamp DESC"
)
_ALL = (
    "SELECT m.media_id, m.timestamp FROM observation AS o INDEXED BY observation_label"
    " CROSS JOIN media AS m USING (media_id)"
    " WHERE o.label = ?1 AND o.observation_type = 'animal' AND m.timestamp < ?2"
    " AND m.timestamp_trusted = 1 ORDER BY m.timestamp DESC"
)
_EARLIER = (
    "SELECT media_id FROM observation INDEXED BY observation_label"
    " WHERE label = ?1 AND observation_type = 'animal' AND media_id < ?2 ORDER BY media_id DESC"
)
_IS_CURRENT = (
    "SELECT 1 FROM current_observation WHERE media_id = ? AND label = ?"
    " AND observation_type = 'animal'"
)
_RARE = (
    "SELECT 1 FROM json_each(?1) AS id CROSS JOIN current_observation AS o"
    " WHERE o.media_id = id.value AND o.label = ?2 AND instr(o.reason, ?3) LIMIT 1"
)


class AlertLog(LogReader):
    """Reads them. Raises LogbookError where there is no log, or it cannot be read for now."""

    def seen_before(self, label: str, before: datetime) -> datetime | None:
        """When the last frame before an instant was taken that names this label now.

        Frames whose time may be wrong do not count.
        """
        with self._connect() as connection:
            connection.row_factory = None
            for sql, values in (
                (_NEAR, (label, utc_text(before), NEAR)),
                (_ALL, (label, utc_text(before))),
            ):
                for media_id, at in connection.execute(sql, values):
                    if connection.execute(_IS_CURRENT, (media_id, label)).fetchone():
                        return parse_utc(at)
        return None

    def logged_before(self, label: str, media_id: int) -> int | None:
        """The last frame that was logged before this one and names this label now."""
        with self._connect() as connection:
            connection.row_factory = None
            for (found,) in connection.execute(_EARLIER, (label, media_id)):
                if connection.execute(_IS_CURRENT, (found, label)).fetchone():
                    return int(found)
        return None

    def taken(self, media_id: int) -> datetime | None:
        """When a frame was taken, as far as is known by now; None where it is not in the log."""
        sql = "SELECT timestamp FROM media WHERE media_id = ?"
        with self._connect() as connection:
            row = connection.execute(sql, (media_id,)).fetchone()
        return parse_utc(row["timestamp"]) if row else None

    def is_rare(self, label: str, media_ids: Sequence[int]) -> bool:
        """Whether any of these frames was given the label as one not expected there and then."""
        with self._connect() as connection:
            values = (json.dumps(list(media_ids)), label, RARE_MARK)
            return connection.execute(_RARE, values).fetchone() is not None

    def last_received(self, cameras: Sequence[str], since: datetime) -> dict[str, datetime]:
        """When the newest frame of each camera was logged; without those that had none since."""
        found: dict[str, datetime] = {}
        sql = (
            "SELECT location_name, received_at FROM media JOIN deployment USING (deployment_id)"
            " ORDER BY media_id DESC"
        )
        with self._connect() as connection:
            connection.row_factory = None
            for camera, received in connection.execute(sql):
                at = parse_utc(received)
                if at < since or len(found) == len(cameras):
                    break
                if camera in cameras:
                    found.setdefault(camera, at)
        return found
