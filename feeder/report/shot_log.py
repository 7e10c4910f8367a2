"""What the log knows of frames that may be shown: how large, of what part, how sure.

SQL is here as in `picture_log`, on a connection that cannot write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from feeder.domain import Box
from feeder.log_file import OpenLog

LOOK_UP = 500
"""Frames asked for at once."""

_FACTS = (
    "SELECT m.media_id, m.favorite, m.width, m.height, coalesce(o.label, ''),"
    " CASE o.classification_method WHEN 'human' THEN 1.0"
    " ELSE coalesce(o.classification_probability, 0.0) END,"
    " r.bbox_x, r.bbox_y, r.bbox_width, r.bbox_height"
    " FROM media AS m CROSS JOIN current_observation AS o USING (media_id)"
    # A person says no part; what the model last looked at still is where the bird was.
    " LEFT JOIN observation AS r ON r.observation_id = (SELECT max(i.observation_id)"
    " FROM observation AS i WHERE i.media_id = m.media_id"
    " AND i.classification_method = 'machine' AND i.bbox_x NOT NULL)"
    " WHERE m.gone_since IS NULL AND m.media_id IN ({})"
)


@dataclass(frozen=True, slots=True)
class Shot:
    """A frame that may be shown: the stored picture's pixels, None where nobody knows them.

    `region` is the part that was judged, None for all of it; `probability` that of `label`, 1
    where a person named it.
    """

    media_id: int
    is_favorite: bool
    width: int | None
    height: int | None
    label: str
    probability: float
    region: Box | None


class ShotLog(OpenLog):
    """Reads what is known of frames. Raises LogUnavailable or LogDamaged as the log does."""

    def shots(self, media_ids: Sequence[int]) -> dict[int, Shot]:
        """Those of these frames whose picture has not been found gone, by media id."""
        found = {}
        for start in range(0, len(media_ids), LOOK_UP):
            listed = ", ".join(str(int(one)) for one in media_ids[start : start + LOOK_UP])
            for row in self._read(_FACTS.format(listed)):
                shot = _shot(row)
                found[shot.media_id] = shot
        return found

    def surely(self, media_ids: Sequence[int], label: str, probability: float) -> int:
        """How many of these frames have that label with at least this probability."""
        sql = (
            "SELECT count(*) FROM current_observation WHERE media_id IN ({}) AND label = ?"
            " AND (classification_method = 'human' OR classification_probability >= ?)"
        )
        found = 0
        for start in range(0, len(media_ids), LOOK_UP):
            listed = ", ".join(str(int(one)) for one in media_ids[start : start + LOOK_UP])
            found += self._read(sql.format(listed), (label, probability))[0][0]
        return found


def _shot(row: tuple[Any, ...]) -> Shot:
    media_id, favorite, width, height, label, probability, *box = row
    region = None if box[0] is None else Box(*box)
    return Shot(media_id, bool(favorite), width, height, label, probability, region)
