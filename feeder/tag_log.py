"""The log's account of tags: what side vocabularies said of frames, written anew on demand.

Unlike observations, tags are not kept once they are superseded: they follow from the embeddings,
which are, and so can be had again. Its connection is its own and each transaction short, so that
it can write while the daemon runs.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from feeder.clock import parse_utc, utc_text
from feeder.domain import Tag
from feeder.log_file import explained
from feeder.observation_log import WritableLog
from feeder.refill import ATTRIBUTE, REMEMBERED, FeederState, feeder_state

Flags = npt.NDArray[np.bool_]

_FACTS = """
SELECT value,
    EXISTS (SELECT 1 FROM current_observation AS o WHERE o.media_id = value
            AND o.observation_type = 'animal' AND o.kind = 'bird'),
    NOT EXISTS (SELECT 1 FROM observation AS o JOIN model USING (model_id)
                WHERE o.media_id = value AND model.digest = ?1 AND o.bbox_x IS NOT NULL)
FROM json_each(?2)
"""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many frames bear a tag."""

    attribute: str
    value: str
    frames: int


class TagLog(WritableLog):
    """Reads and rewrites tags. Raises LogUnavailable or LogDamaged as the log does."""

    def facts(self, model_digest: str, media_ids: Sequence[int]) -> tuple[Flags, Flags]:
        """Of each frame, in this order: is it a sighting of a bird now, and is the embedding of
        that model one of the whole frame."""
        asked = "[" + ",".join(map(str, media_ids)) + "]"
        rows = self._read(_FACTS, (model_digest, asked))
        found = np.array(rows, np.int64).reshape(-1, 3)
        return found[:, 1].astype(bool), found[:, 2].astype(bool)

    def replace(
        self,
        model_digest: str,
        rows: Iterable[tuple[int, Sequence[Tag]]],
        *,
        digest: str,
        done: int,
    ) -> None:
        """Puts these tags of frames, by media id, in the place of all they have, at once.

        `digest` names all that was asked, and `done` how many embeddings it has been asked of by
        then; `progress` gives that back.
        """
        with self._writing():
            model_id = self.observations.model_id(model_digest)
            for media_id, tags in rows:
                self._connection.execute("DELETE FROM tag WHERE media_id = ?", (media_id,))
                self.observations.add_tags(media_id, model_digest, tags)
            self._connection.execute(
                "INSERT INTO tag_progress VALUES (?, ?, ?) ON CONFLICT (model_id) DO UPDATE"
                " SET digest = excluded.digest, done = excluded.done",
                (model_id, digest, done),
            )

    def finish(self) -> None:
        """Forgets how far the history was asked again: next time it is asked from the start."""
        with self._writing():
            self._connection.execute("DELETE FROM tag_progress")

    def progress(self, model_digest: str, digest: str) -> int:
        """How many embeddings had been asked all that `digest` names when it was broken off."""
        with explained(self.path):
            row = self._connection.execute(
                "SELECT done FROM tag_progress JOIN model USING (model_id)"
                " WHERE model.digest = ? AND tag_progress.digest = ?",
                (model_digest, digest),
            ).fetchone()
        return int(row[0]) if row else 0

    def counted(self) -> list[Counted]:
        """How many frames bear each tag."""
        sql = "SELECT attribute, value, count(*) FROM tag GROUP BY 1, 2 ORDER BY 1, 3 DESC"
        with explained(self.path):
            return [Counted(*row) for row in self._connection.execute(sql)]

    def said(self, attribute: str, deployment: str, since: datetime) -> list[tuple[datetime, str]]:
        """What an attribute was at one camera: instants and values, the oldest first."""
        sql = (
            # By time: SQLite would rather go through all frames of the camera.
            "SELECT m.timestamp, t.value FROM media AS m INDEXED BY media_timestamp"
            " CROSS JOIN deployment USING (deployment_id) CROSS JOIN tag AS t USING (media_id)"
            " WHERE location_name = ? AND m.timestamp >= ?"
            " AND t.attribute = ? ORDER BY m.timestamp, m.media_id"
        )
        with explained(self.path):
            rows = self._connection.execute(sql, (deployment, utc_text(since), attribute))
            return [(parse_utc(at), value) for at, value in rows]

    def feeder_states(self, cameras: Iterable[str], now: datetime) -> dict[str, FeederState]:
        """How the feeder at each of these cameras is; a state where nothing is known, too."""
        since = now - REMEMBERED
        return {
            camera: feeder_state(self.said(ATTRIBUTE, camera, since), now) for camera in cameras
        }
