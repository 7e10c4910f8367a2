"""What in the log waits for a person to look at it, and what people have said; it only reads.

A species is new at a camera until a person has said of one of its frames that it shows it, or
where the log had it before people were asked (`known_species`). The SQL of that is here.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from feeder.clock import parse_utc, utc_text
from feeder.domain import Kind, Label, ObservationType
from feeder.errors import NoSuchFrame
from feeder.log_file import OpenLog
from feeder.verdicts import RARE_MARK

MOST_COUNTED = 1000
"""Frames of a new species that are looked at: where nobody ever reviews, there are a million."""


class Why(StrEnum):
    """What makes a frame wait: new at its camera, ..., drawn at random, named by its number."""

    NEW = "new"
    RARE = "rare"
    UNCERTAIN = "uncertain"
    SAMPLE = "sample"
    CHOSEN = "chosen"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A frame that a person is asked about, with the verdict that counts now.

    For a new or rare species it is its surest frame whose picture is still there; `frames` show
    the species, the first at `first_seen`, as far as they were counted: see MOST_COUNTED. Any
    other stands for itself alone. `label` is what the verdict names, or the best label where it
    declines, None where a person named nothing.
    """

    why: Why
    media_id: int
    deployment: str
    captured_at: datetime
    observation_type: ObservationType
    label: Label | None
    probability: float | None
    runners_up: tuple[tuple[str, float], ...]
    reason: str
    frames: int
    first_seen: datetime

    @property
    def shown(self) -> str:
        """What the verdict calls the frame, in words."""
        if self.observation_type is ObservationType.ANIMAL and self.label is not None:
            return self.label.name
        return self.observation_type.value


@dataclass(frozen=True, slots=True)
class Said:
    """What a person says that a frame shows, now in force.

    `drawn` is whether the frame was drawn at random for it.
    """

    media_id: int
    deployment: str
    captured_at: datetime
    observation_type: ObservationType
    label: str | None
    scientific_name: str | None
    kind: Kind | None
    drawn: bool


# Of m, not o: SQLite then asks it last, of the frames of one camera alone.
_CURRENT = "(SELECT c.observation_id FROM current_observation AS c WHERE c.media_id = m.media_id)"

_DRAWN = (
    "SELECT o.media_id FROM observation AS o JOIN judgement AS j USING (judgement_id)"
    f" WHERE j.state = 'in force' AND json_extract(j.settings, '$.review') = '{Why.SAMPLE}'"
)
"""Frames that were drawn at random, whatever was said of them since."""

_WAITING = (
    "SELECT m.media_id, d.location_name, m.timestamp, o.observation_type, o.label,"
    " o.scientific_name, o.ebird_code, o.kind, o.classification_probability, o.runners_up,"
    " o.reason FROM media AS m JOIN deployment AS d USING (deployment_id)"
    " CROSS JOIN current_observation AS o USING (media_id)"
)

_SHOWING = (
    " FROM observation AS o CROSS JOIN media AS m USING (media_id)"
    f" WHERE o.observation_type = 'animal' AND o.label = ? AND o.observation_id = {_CURRENT}"
    " AND m.deployment_id = (SELECT deployment_id FROM deployment WHERE location_name = ?)"
)
"""The sightings of a species at a camera."""


class ReviewLog(OpenLog):
    """Reads the log. Raises LogUnavailable or LogDamaged as the log does."""

    def new_species(
        self, deployment: str | None = None, besides: Collection[str] = ()
    ) -> list[Waiting]:
        """Each species that is new at a camera, the longest known of first.

        `besides` are labels that stand for no species.
        """
        found = []
        for camera, label in sorted(self._new_pairs()):
            if deployment in (None, camera) and label not in besides:
                found += self._of_species(camera, label)
        return sorted(found, key=lambda one: (one.first_seen, one.media_id))

    def rest(self, waiting: Waiting) -> list[Waiting]:
        """What a new species waits with now that something was said of a frame: [] or one."""
        if waiting.label is None or waiting.why is not Why.NEW:
            return []
        pair = waiting.deployment, waiting.label.name
        return self._of_species(*pair) if pair in self._new_pairs() else []

    def frames(self, deployment: str, label: str) -> list[int]:
        """The media ids of a species' sightings at a camera that no person has spoken of."""
        return [
            media_id
            for (media_id,) in self._read(
                f"SELECT o.media_id{_SHOWING} AND o.classification_method = 'machine' ORDER BY 1",
                (label, deployment),
            )
        ]

    def get(self, media_ids: Sequence[int], why: Why) -> list[Waiting]:
        """The frames with these ids, in that order. Raises NoSuchFrame for an unknown one."""
        found = []
        for media_id in media_ids:
            rows = self._waiting(why, "m.media_id = ?", (media_id,))
            if not rows:
                raise NoSuchFrame(
                    f"There is no frame {media_id} in the log.",
                    "`feeder review` and `feeder sightings` show each frame's id.",
                )
            found += rows
        return found

    def rare(self, since: datetime, deployment: str | None = None) -> list[Waiting]:
        """Species since an instant that are rare at their camera, each with its surest frame.

        They wait until a person has named that species there since. RARE_MARK says which they are.
        """
        where = (
            "m.timestamp >= ? AND d.location_name = coalesce(?, d.location_name)"
            " AND o.observation_type = 'animal' AND "
        )
        values = (utc_text(since), deployment)
        named = self._waiting(Why.RARE, f"{where} o.classification_method = 'human'", values)
        settled = {(one.deployment, one.shown) for one in named}
        found: dict[tuple[str, str], Waiting] = {}
        for one in self._waiting(
            Why.RARE,
            f"{where} o.classification_method = 'machine' AND instr(o.reason, ?)"
            " ORDER BY (m.gone_since IS NULL) DESC, o.classification_probability DESC",
            (*values, RARE_MARK),
        ):
            pair = one.deployment, one.shown
            best = found.setdefault(pair, replace(one, frames=0))
            first_seen = min(best.first_seen, one.first_seen)
            found[pair] = replace(best, first_seen=first_seen, frames=best.frames + 1)
        waiting = (one for pair, one in found.items() if pair not in settled)
        return sorted(waiting, key=lambda one: (one.first_seen, one.media_id))

    def uncertain(
        self, since: datetime, limit: int, deployment: str | None = None
    ) -> list[Waiting]:
        """The sightings since an instant whose best label leads the next by least."""
        return self._waiting(
            Why.UNCERTAIN,
            "m.timestamp >= ? AND m.gone_since IS NULL AND d.location_name = coalesce(?,"
            " d.location_name) AND o.observation_type = 'animal'"
            " AND o.classification_method = 'machine' ORDER BY o.margin, m.media_id LIMIT ?",
            (utc_text(since), deployment, limit),
        )

    def sample(
        self, since: datetime, limit: int, model_digest: str, deployment: str | None = None
    ) -> list[Waiting]:
        """So many frames since an instant, drawn at random from all that a model has judged.

        Frames that a person has spoken of are drawn like any other, or those that are wrong, which
        people correct, would be missing. Frames drawn before are not drawn again.
        """
        return self._waiting(
            Why.SAMPLE,
            "m.timestamp >= ? AND m.gone_since IS NULL AND d.location_name = coalesce(?,"
            f" d.location_name) AND m.media_id NOT IN ({_DRAWN}) AND EXISTS (SELECT 1 FROM"
            " embedding AS e JOIN model AS l USING (model_id) WHERE e.media_id = m.media_id"
            " AND l.digest = ?) ORDER BY random() LIMIT ?",
            (utc_text(since), deployment, model_digest, limit),
        )

    def said(self, model_digest: str, deployment: str) -> list[Said]:
        """What people say of a camera's frames that have an embedding of a model, oldest first."""
        rows = self._read(
            f"WITH drawn AS MATERIALIZED ({_DRAWN})"
            " SELECT m.media_id, d.location_name, m.timestamp, o.observation_type, o.label,"
            " o.scientific_name, o.kind, m.media_id IN drawn"
            " FROM observation AS o INDEXED BY observation_human"
            " CROSS JOIN media AS m USING (media_id) JOIN deployment AS d USING (deployment_id)"
            f" WHERE o.classification_method = 'human' AND o.observation_id = {_CURRENT}"
            " AND d.location_name = ? AND EXISTS (SELECT 1 FROM embedding AS e JOIN model AS l"
            " USING (model_id) WHERE e.media_id = m.media_id AND l.digest = ?)"
            " ORDER BY m.timestamp, m.media_id",
            (deployment, model_digest),
        )
        return [
            Said(
                media_id, camera, parse_utc(at), ObservationType(verdict), label, scientific,
                Kind(kind) if kind else None, bool(drawn),
            )
            for media_id, camera, at, verdict, label, scientific, kind, drawn in rows
        ]  # fmt: skip

    def _new_pairs(self) -> set[tuple[str, str]]:
        """Camera and label of every species that somebody named and no person vouches for."""
        named = self._read(
            # One step from label to label, not one from frame to frame.
            "WITH RECURSIVE each (label) AS (SELECT min(label) FROM observation WHERE"
            " observation_type = 'animal' UNION ALL SELECT (SELECT min(label) FROM observation"
            " WHERE observation_type = 'animal' AND label > each.label) FROM each WHERE label"
            " NOT NULL) SELECT location_name, label FROM each, deployment WHERE label NOT NULL"
        )
        known = self._read(
            "SELECT location_name, label FROM known_species JOIN deployment USING (deployment_id)"
            " UNION SELECT d.location_name, o.label"
            " FROM observation AS o INDEXED BY observation_human"
            " CROSS JOIN media AS m USING (media_id) JOIN deployment AS d USING (deployment_id)"
            " WHERE o.classification_method = 'human' AND o.observation_type = 'animal'"
            f" AND o.observation_id = {_CURRENT}"
        )
        return set(named) - set(known)

    def _of_species(self, camera: str, label: str) -> list[Waiting]:
        """The best of a species' first frames at a camera; [] where no verdict names it now."""
        rows = self._read(
            # A frame whose picture is there comes before all others.
            "SELECT m.timestamp, (m.gone_since IS NULL)"
            f" + coalesce(o.classification_probability, 0), m.media_id{_SHOWING}"
            " ORDER BY o.media_id LIMIT ?",
            (label, camera, MOST_COUNTED),
        )
        if not rows:
            return []
        _, best = max((rank, media_id) for _, rank, media_id in rows)
        first_seen = min(at for at, *_ in rows)
        return self._waiting(Why.NEW, "m.media_id = ?", (best,), first_seen, len(rows))

    def _waiting(
        self,
        why: Why,
        condition: str,
        values: Sequence[Any] = (),
        first_seen: str | None = None,
        frames: int = 1,
    ) -> list[Waiting]:
        found = []
        for (
            media_id, deployment, at, verdict, label, scientific, code, kind, probability,
            runners_up, reason,
        ) in self._read(f"{_WAITING} WHERE {condition}", values):  # fmt: skip
            found.append(
                Waiting(
                    why=why,
                    media_id=media_id,
                    deployment=deployment,
                    captured_at=parse_utc(at),
                    observation_type=ObservationType(verdict),
                    label=Label(label, Kind(kind or Kind.BIRD), scientific or "", code or "")
                    if label
                    else None,
                    probability=probability,
                    runners_up=tuple(
                        (one["label"], one["probability"]) for one in json.loads(runners_up)
                    ),
                    reason=reason,
                    frames=frames,
                    first_seen=parse_utc(first_seen or at),
                )
            )
        return found
