"""How much the log has gained, counted on from the last look, for who asks again and again.

SQL is here as in `log_reader`, on a connection that cannot write.
"""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from feeder.clock import Clock, parse_utc
from feeder.log_file import OpenLog

STEP = 10_000
"""Frames counted between two looks at the clock."""

# A frame counts as it was judged when it came: so the counts only ever grow. Later verdicts are
# rows of their own, and the first one stays.
_COUNTS = """
SELECT d.location_name, o.observation_type,
    CASE o.observation_type WHEN 'animal' THEN coalesce(o.label, '') ELSE '' END,
    count(*), max(m.received_at)
FROM media AS m
CROSS JOIN observation AS o ON o.observation_id = (
    SELECT min(i.observation_id) FROM observation AS i
    WHERE i.media_id = m.media_id AND i.classification_method = 'machine'
)
JOIN deployment AS d USING (deployment_id)
WHERE m.media_id > ? AND m.media_id <= ?
GROUP BY 1, 2, 3
ORDER BY min(m.media_id)
"""


@dataclass
class FrameCounts:
    """Frames by camera and observation type, and sightings by camera and label, as first judged.

    `newest` is when each camera's newest frame was logged, in UTC. All of it is on the `done`
    frames of `total` that have been counted, the oldest first.
    """

    frames: Counter[tuple[str, str]] = field(default_factory=Counter)
    sightings: Counter[tuple[str, str]] = field(default_factory=Counter)
    newest: dict[str, datetime] = field(default_factory=dict)
    done: int = 0
    total: int = 0

    @property
    def is_complete(self) -> bool:
        """Whether every frame was counted."""
        return self.done == self.total


@dataclass(frozen=True, slots=True)
class Standing:
    """What is looked at anew each time: all of it is little.

    `model`, its digest and the vocabulary's are those of the newest frame that a model judged, ""
    without one. `judgements` count by sort and state, `corrected` the frames that people named.
    """

    model: str
    model_digest: str
    vocabulary_digest: str
    judgements: dict[tuple[str, str], int]
    corrected: int


class FrameCountLog(OpenLog):
    """Counts what is in the log. Raises LogUnavailable or LogDamaged as the log does."""

    def count_on(self, counts: FrameCounts, seconds: float, clock: Clock) -> None:
        """Adds the frames that came since to the counts, for about so many seconds at most."""
        ((counts.total,),) = self._read("SELECT coalesce(max(media_id), 0) FROM media")
        until = clock.monotonic() + seconds
        while counts.done < counts.total:
            last = min(counts.total, counts.done + STEP)
            for camera, kind, label, count, received in self._read(_COUNTS, (counts.done, last)):
                counts.frames[camera, kind] += count
                if kind == "animal":
                    counts.sightings[camera, label] += count
                at = parse_utc(received)
                counts.newest[camera] = max(at, counts.newest.get(camera, at))
            counts.done = last
            if clock.monotonic() >= until:
                return

    def standing(self) -> Standing:
        """What holds at this moment."""
        newest = self._read(
            "SELECT model.name, model.digest, vocabulary.digest FROM (SELECT * FROM observation"
            " WHERE model_id NOT NULL ORDER BY observation_id DESC LIMIT 1)"
            " JOIN model USING (model_id) LEFT JOIN vocabulary USING (vocabulary_id)"
        )
        model, digest, vocabulary = newest[0] if newest else ("", "", None)
        judged = self._read("SELECT what, state, count(*) FROM judgement GROUP BY 1, 2")
        ((corrected,),) = self._read(
            "SELECT count(DISTINCT o.media_id) FROM observation AS o INDEXED BY observation_human"
            " LEFT JOIN judgement AS j USING (judgement_id)"
            " WHERE o.classification_method = 'human'"
            " AND coalesce(j.state, 'in force') = 'in force'"
        )
        return Standing(
            model,
            digest,
            vocabulary or "",
            {(what, state): count for what, state, count in judged},
            corrected,
        )

    def embedded(self) -> dict[str, int]:
        """How many frames each model has seen, by its name: a look through an index for each."""
        counted: Counter[str] = Counter()
        for model_id, name in self._read("SELECT model_id, name FROM model"):
            # Grouped, SQLite would sort them all.
            sql = "SELECT count(*) FROM embedding WHERE model_id = ?"
            counted[name] += self._read(sql, (model_id,))[0][0]
        return dict(counted)


def file_of(path: Path) -> tuple[int, int]:
    """What tells whether another log has been put at the path; OSError where there is none."""
    found = path.stat()
    return found.st_dev, found.st_ino
