"""The log's account of single frames: everything that was ever said of one, and who is newest.

It reads alone, on a connection of its own. SQL is in log modules only.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from feeder.clock import parse_utc, utc_text
from feeder.domain import Box, Kind, Label, ObservationType, Tag
from feeder.log_file import OpenLog


@dataclass(frozen=True, slots=True)
class Remark:
    """One observation of a frame, with what became of it.

    `label` is what it names, or the best label where it declines. `judgement` numbers what it
    was made with, None for the first look, `what` and `state` as `judgement` has them. `counts`
    is True for the one in force.
    """

    observation_type: ObservationType
    label: Label | None
    probability: float | None
    bird_probability: float | None
    runners_up: tuple[tuple[str, float], ...]
    reason: str
    region: Box | None
    is_by_person: bool
    by: str
    at: datetime
    model: str | None
    judgement: int | None
    what: str | None
    state: str | None
    counts: bool

    @property
    def shown(self) -> str:
        """What it calls the frame, in words."""
        names = self.observation_type in (ObservationType.ANIMAL, ObservationType.HUMAN)
        return self.label.name if names and self.label else self.observation_type.value


@dataclass(frozen=True, slots=True)
class Account:
    """A frame with everything that was said of it, the newest first.

    `earlier` and `later` are the frames of its camera beside it in time, None at the ends.
    """

    media_id: int
    deployment: str
    captured_at: datetime
    is_time_trusted: bool
    file_name: str
    media_type: str
    size: int
    width: int | None
    height: int | None
    is_favorite: bool
    gone_since: datetime | None
    remarks: tuple[Remark, ...]
    tags: tuple[Tag, ...]
    earlier: int | None
    later: int | None

    @property
    def current(self) -> Remark:
        """What counts now."""
        return next(one for one in self.remarks if one.counts)


_REMARKS = (
    "SELECT o.observation_type, o.label, o.scientific_name, o.ebird_code, o.kind,"
    " o.classification_probability, o.bird_probability, o.runners_up, o.reason, o.bbox_x,"
    " o.bbox_y, o.bbox_width, o.bbox_height, o.classification_method, o.classified_by,"
    " o.classification_timestamp, model.name, o.judgement_id, j.what, j.state,"
    " o.observation_id = (SELECT c.observation_id FROM current_observation AS c"
    " WHERE c.media_id = o.media_id)"
    " FROM observation AS o LEFT JOIN judgement AS j USING (judgement_id)"
    " LEFT JOIN model ON model.model_id = o.model_id"
    " WHERE o.media_id = ? ORDER BY o.observation_id DESC"
)

# INDEXED BY: SQLite would rather sort all frames of the camera.
_BESIDE = (
    "SELECT media_id FROM media INDEXED BY media_timestamp WHERE timestamp {sign}= ?"
    " AND (timestamp, media_id) {sign} (?, ?) AND deployment_id ="
    " (SELECT deployment_id FROM deployment WHERE location_name = ?)"
    " ORDER BY timestamp {order}, media_id {order} LIMIT 1"
)


class FrameLog(OpenLog):
    """Reads the log. Raises LogUnavailable or LogDamaged as the log does."""

    def account(self, media_id: int) -> Account | None:
        """All that is known of a frame; None where there is none of that number."""
        rows = self._read(
            "SELECT location_name, timestamp, timestamp_trusted, file_name, file_mediatype,"
            " file_size, width, height, favorite, gone_since"
            " FROM media JOIN deployment USING (deployment_id) WHERE media_id = ?",
            (media_id,),
        )
        if not rows:
            return None
        ((camera, at, trusted, name, media_type, size, width, height, favorite, gone),) = rows
        beside = []
        for sign, order in (("<", "DESC"), (">", "ASC")):
            found = self._read(_BESIDE.format(sign=sign, order=order), (at, at, media_id, camera))
            beside.append(int(found[0][0]) if found else None)
        return Account(
            media_id,
            camera,
            parse_utc(at),
            bool(trusted),
            name,
            media_type,
            size,
            width,
            height,
            bool(favorite),
            parse_utc(gone) if gone else None,
            tuple(map(_remark, self._read(_REMARKS, (media_id,)))),
            tuple(
                Tag(*row)
                for row in self._read(
                    "SELECT attribute, value, probability FROM tag WHERE media_id = ?"
                    " ORDER BY attribute, value",
                    (media_id,),
                )
            ),
            *beside,
        )

    def newest(self, deployment: str) -> tuple[int, datetime] | None:
        """A camera's newest frame by time of capture, with that time, in UTC."""
        rows = self._read(
            "SELECT media_id, timestamp FROM media INDEXED BY media_timestamp WHERE deployment_id ="
            " (SELECT deployment_id FROM deployment WHERE location_name = ?)"
            " ORDER BY timestamp DESC, media_id DESC LIMIT 1",
            (deployment,),
        )
        return (int(rows[0][0]), parse_utc(rows[0][1])) if rows else None

    def counts(self, since: datetime) -> Mapping[str, int]:
        """The frames since an instant by what they show now, in Camtrap DP's types."""
        rows = self._read(
            "SELECT o.observation_type, count(*) FROM media AS m"
            " CROSS JOIN current_observation AS o USING (media_id)"
            " WHERE m.timestamp >= ? GROUP BY 1 ORDER BY 2 DESC",
            (utc_text(since),),
        )
        return {kind: int(count) for kind, count in rows}

    def total(self) -> int:
        """How many frames there are."""
        return int(self._read("SELECT count(*) FROM media")[0][0])


def _remark(row: tuple[Any, ...]) -> Remark:
    (verdict, name, scientific, code, kind, probability, bird, others, reason, x, y, width, height,
     method, by, at, model, judgement, what, state, counts) = row  # fmt: skip
    return Remark(
        ObservationType(verdict),
        Label(name, Kind(kind or Kind.BIRD), scientific or "", code or "") if name else None,
        probability,
        bird,
        tuple((one["label"], one["probability"]) for one in json.loads(others)),
        reason,
        None if x is None else Box(x, y, width, height),
        method == "human",
        by,
        parse_utc(at),
        model,
        judgement,
        what,
        state,
        bool(counts),
    )
