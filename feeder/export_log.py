"""The log's frames and cameras as exports tell of them; SQL, on a connection that cannot write."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from feeder.clock import parse_utc
from feeder.domain import Box, Kind
from feeder.log_file import OpenLog

HUMAN_SHARE = 0.1
"""A frame whose verdict gives people at least this much is taken to show some."""


@dataclass(frozen=True, slots=True)
class Camera:
    """A camera that the log knows, and when (UTC) its first and last dated frames were taken."""

    name: str
    latitude: float | None
    longitude: float | None
    began: datetime
    ended: datetime


@dataclass(frozen=True, slots=True)
class ExportedFrame:
    """A frame whose observation that counts names an animal.

    `label` and `probability` are that observation's own, the probability None where a person named
    it. `classified_by` is the model's name, "" for a person: who that was is not told.
    `may_show_a_person` where anybody or any model has ever said so, and be it undone since.
    """

    media_id: int
    captured_at: datetime
    sha256: str
    media_type: str
    width: int | None
    height: int | None
    is_favorite: bool
    label: str
    probability: float | None
    classified_by: str
    classified_at: datetime
    region: Box | None
    may_show_a_person: bool

    @property
    def is_by_person(self) -> bool:
        """Whether a person named it."""
        return self.probability is None


class ExportLog(OpenLog):
    """Reads the log at a path, in a `with`; raises as `open_existing` does."""

    def cameras(self) -> dict[str, Camera]:
        """The cameras that have dated frames, by name."""
        rows = self._read(
            "SELECT location_name, latitude, longitude, min(timestamp), max(timestamp)"
            " FROM deployment JOIN media USING (deployment_id) WHERE timestamp_trusted = 1"
            " GROUP BY deployment_id ORDER BY deployment_id"
        )
        return {
            row[0]: Camera(row[0], row[1], row[2], parse_utc(row[3]), parse_utc(row[4]))
            for row in rows
        }

    def frames(self, media_ids: Sequence[int]) -> dict[int, ExportedFrame]:
        """Those of the frames that show an animal now, by media id."""
        listed = ", ".join(str(int(media_id)) for media_id in media_ids) or "NULL"
        rows = self._read(
            "SELECT m.media_id, m.timestamp, hex(m.sha256), m.file_mediatype,"
            " m.width, m.height, m.favorite, o.label, o.classification_method,"
            " o.classification_probability, o.classified_by, o.classification_timestamp,"
            " o.bbox_x, o.bbox_y, o.bbox_width, o.bbox_height, o.runners_up,"
            " EXISTS (SELECT 1 FROM observation AS said WHERE said.media_id = m.media_id"
            "  AND (said.observation_type = 'human' OR said.kind = 'human'))"
            " FROM media AS m CROSS JOIN current_observation AS o USING (media_id)"
            f" WHERE m.media_id IN ({listed}) AND o.observation_type = 'animal'"
        )
        return {row[0]: _frame(row, self._people) for row in rows}

    @cached_property
    def _people(self) -> frozenset[str]:
        """The labels that stand for people, in whichever vocabularies there have been."""
        names = set()
        for (labels,) in self._read("SELECT labels FROM vocabulary"):
            names |= {
                entry["name"] for entry in json.loads(labels) if entry.get("kind") == Kind.HUMAN
            }
        return frozenset(names)


def _frame(row: tuple[Any, ...], people: frozenset[str]) -> ExportedFrame:
    (media_id, at, sha256, media_type, width, height, favorite, label, method, probability,
     classified_by, classified_at, *box, runners_up, ever_human) = row  # fmt: skip
    by_person = method == "human"
    share = sum(
        other["probability"] for other in json.loads(runners_up) if other["label"] in people
    )
    return ExportedFrame(
        media_id,
        parse_utc(at),
        (sha256 or "").lower(),
        media_type,
        width,
        height,
        bool(favorite),
        label or "",
        None if by_person else probability or 0.0,
        "" if by_person else classified_by,
        parse_utc(classified_at),
        None if box[0] is None else Box(*box),
        bool(ever_human) or share >= HUMAN_SHARE,
    )
