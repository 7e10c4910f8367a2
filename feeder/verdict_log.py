"""The log's verdicts that count now, many frames at once: what judging again compares with.

It has SQL, beside `logbook`, since the view `current_observation` looks frames up one by one.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from feeder.clock import utc_text
from feeder.domain import Box, ObservationType
from feeder.log_file import OpenLog

Ids = npt.NDArray[np.int64]

LOOK_UP = 500
"""Frames asked for by one statement."""


class Verdict(NamedTuple):
    """What a frame is said to show; `label` is "" where the verdict names nothing."""

    observation_type: ObservationType
    label: str

    @property
    def name(self) -> str:
        """The label, or else the type: "blank", "unknown"."""
        return self.label or self.observation_type.value


def verdict_of(observation_type: ObservationType, label: str | None) -> Verdict:
    """The verdict in an observation, whose label is the best one where it names nothing."""
    names = observation_type in (ObservationType.ANIMAL, ObservationType.HUMAN)
    return Verdict(observation_type, (label or "") if names else "")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which frames are meant: instants in UTC, `since` inclusive and `until` exclusive.

    With `other_models` only those whose verdict is of another model than the one asked for.
    """

    since: datetime | None = None
    until: datetime | None = None
    deployment: str | None = None
    other_models: bool = False


@dataclass(frozen=True, slots=True)
class Standing:
    """The verdicts that count of n frames, in the order of their ids.

    `media_ids` and `deployments` int64 [n] are ids in the log;
    `seconds` int64 [n] are capture times in Unix time; `verdicts` int64 [n] are places in
    `VerdictLog.verdicts`. `by_person` and `has_region`, bool [n], say who gave it and whether it
    is on a part of the frame.
    """

    media_ids: Ids
    deployments: Ids
    seconds: Ids
    verdicts: Ids
    by_person: npt.NDArray[np.bool_]
    has_region: npt.NDArray[np.bool_]

    def only(self, rows: npt.NDArray[np.intp]) -> "Standing":
        """Those of some frames."""
        return Standing(
            self.media_ids[rows],
            self.deployments[rows],
            self.seconds[rows],
            self.verdicts[rows],
            self.by_person[rows],
            self.has_region[rows],
        )


class VerdictLog(OpenLog):
    """Reads the log without writing to it. Each answer is one short read: the daemon goes on.

    Raises LogUnavailable or LogDamaged as the log does.
    """

    def __init__(self, path: Path, model_digest: str, scope: Scope) -> None:
        """`model_digest` names the model whose embeddings are judged."""
        super().__init__(path)
        self._model_digest = model_digest
        self._scope = scope
        self.verdicts: list[Verdict] = []
        """Every verdict met so far; their places are what `Standing.verdicts` holds."""
        self._places: dict[Verdict, int] = {}
        self._rows: dict[tuple[str, str | None], int] = {}
        self._deployments: dict[int, str] = {}

    def deployment(self, deployment_id: int) -> str:
        """A camera's name."""
        if deployment_id not in self._deployments:
            rows = self._read("SELECT deployment_id, location_name FROM deployment")
            self._deployments = dict(rows)
        return self._deployments[deployment_id]

    def place(self, verdict: Verdict) -> int:
        """The place of a verdict in `verdicts`, given to it if need be."""
        if verdict not in self._places:
            self._places[verdict] = len(self.verdicts)
            self.verdicts.append(verdict)
        return self._places[verdict]

    def read(self, first: int, last: int) -> Standing:
        """The verdicts on the frames with ids from `first` to `last`, both included."""
        conditions, values = self._conditions()
        rows = self._read(
            "SELECT m.media_id, m.deployment_id, substr(m.timestamp, 1, 19), o.observation_id,"
            " o.observation_type, o.label, o.classification_method = 'human',"
            " o.bbox_x NOT NULL, coalesce(o.model_id, 0)"
            # CROSS: frames are read in their order, and each one's few observations looked up.
            " FROM media AS m CROSS JOIN observation AS o USING (media_id)"
            " LEFT JOIN judgement AS j USING (judgement_id)"
            " WHERE m.media_id BETWEEN ? AND ? AND coalesce(j.state, 'in force') = 'in force'"
            f"{conditions}",
            (first, last, *values),
        )
        ids, deployments, times, observations, types, labels, human, region, models = (
            zip(*rows, strict=True) if rows else [()] * 9
        )
        media_ids = np.array(ids, np.int64)
        by_person = np.array(human, np.bool_)
        # As the view has it: a person over a machine, then the newest; the last of each frame.
        order = np.lexsort((np.array(observations, np.int64), by_person, media_ids))
        last_of = np.diff(media_ids[order], append=-1) != 0
        chosen = order[last_of]
        if self._scope.other_models:
            chosen = chosen[np.array(models, np.int64)[chosen] != self._model_id]
        return Standing(
            media_ids[chosen],
            np.array(deployments, np.int64)[chosen],
            np.array(times, "datetime64[s]").astype(np.int64)[chosen],
            self._places_of(types, labels)[chosen],
            by_person[chosen],
            np.array(region, np.bool_)[chosen],
        )

    def regions(self, media_ids: Sequence[int]) -> dict[int, Box]:
        """The part of each of these frames that its newest verdict by a machine is on, if any."""
        found: dict[int, Box] = {}
        for start in range(0, len(media_ids), LOOK_UP):
            listed = ", ".join(str(int(one)) for one in media_ids[start : start + LOOK_UP])
            for media_id, *box in self._read(
                "SELECT media_id, bbox_x, bbox_y, bbox_width, bbox_height FROM observation"
                f" WHERE media_id IN ({listed}) AND classification_method = 'machine'"
                " AND bbox_x NOT NULL ORDER BY observation_id"
            ):
                found[media_id] = Box(*box)
        return found

    def has_other_models(self) -> bool:
        """Whether the log knows another model than the one asked for: a quick look."""
        sql = "SELECT 1 FROM model WHERE digest != ? LIMIT 1"
        return bool(self._read(sql, (self._model_digest,)))

    def last_frame(self) -> int:
        """The highest id of a frame; 0 where there is none."""
        ((last,),) = self._read("SELECT coalesce(max(media_id), 0) FROM media")
        return int(last)

    def unseen(self, first: int, last: int) -> list[int]:
        """The frames with ids from `first` to `last` that another model alone saw, newest first."""
        conditions, values = self._conditions()
        rows = self._read(
            "SELECT m.media_id FROM media AS m WHERE m.media_id BETWEEN ? AND ?"
            " AND EXISTS (SELECT 1 FROM embedding AS e WHERE e.media_id = m.media_id)"
            " AND NOT EXISTS (SELECT 1 FROM embedding AS e"
            f" WHERE e.media_id = m.media_id AND e.model_id = ?){conditions}"
            " ORDER BY m.media_id DESC",
            (first, last, self._model_id, *values),
        )
        return [int(row[0]) for row in rows]

    def only_other_models(self) -> int:
        """How many frames have an embedding, and none of the model that is asked for."""
        conditions, values = self._conditions()
        joined = " JOIN media AS m USING (media_id)" if conditions else ""
        ((count,),) = self._read(
            f"SELECT count(*) FROM (SELECT 1 FROM embedding AS e{joined}"
            f" WHERE true{conditions} GROUP BY e.media_id HAVING max(e.model_id = ?) = 0)",
            (*values, self._model_id),
        )
        return int(count)

    @property
    def _model_id(self) -> int:
        """The row of the model asked for; 0 while it has none, which no row has."""
        found = self._read("SELECT model_id FROM model WHERE digest = ?", (self._model_digest,))
        return int(found[0][0]) if found else 0

    def _conditions(self) -> tuple[str, list[Any]]:
        scope, conditions, values = self._scope, "", []
        for sql, value in (
            ("m.timestamp >= ?", utc_text(scope.since) if scope.since else None),
            ("m.timestamp < ?", utc_text(scope.until) if scope.until else None),
        ):
            if value is not None:
                conditions += f" AND {sql}"
                values.append(value)
        if scope.deployment is not None:
            conditions += (
                " AND m.deployment_id ="
                " (SELECT deployment_id FROM deployment WHERE location_name = ?)"
            )
            values.append(scope.deployment)
        return conditions, values

    def _places_of(self, types: Sequence[str], labels: Sequence[str | None]) -> Ids:
        """The places of verdicts as the rows have them, int64 [n]."""
        for row in set(zip(types, labels, strict=True)) - self._rows.keys():
            self._rows[row] = self.place(verdict_of(ObservationType(row[0]), row[1]))
        return np.fromiter(
            map(self._rows.__getitem__, zip(types, labels, strict=True)), np.int64, len(types)
        )
