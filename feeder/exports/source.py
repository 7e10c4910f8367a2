"""What a format's writer is given: visits that may be claimed, their frames, who stands for it."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from feeder import __version__
from feeder.clock import to_local
from feeder.domain import Visit
from feeder.export_log import ExportedFrame, ExportLog
from feeder.exports.claims import Account, Claim
from feeder.exports.places import Place
from feeder.outward_sections import ExportSection

SOFTWARE = f"Feeder {__version__}"

_TOGETHER = 500
"""Frames that are looked up together, and visits at most that wait for it."""

Frames = dict[int, ExportedFrame]


@dataclass(frozen=True)
class Source:
    """`claims` come newest first, can be read once, and fill `account` as they are.

    `places` are those of all cameras that are asked about; `made_at` is the instant (UTC) of the
    export.
    """

    claims: Iterator[Claim]
    log: ExportLog
    places: dict[str, Place]
    said: ExportSection
    account: Account
    made_at: datetime

    def with_frames(
        self, wanted: Callable[[Visit], Sequence[int]]
    ) -> Iterator[tuple[Claim, Frames]]:
        """Each claim with those of its frames that are wanted and still show an animal."""
        waiting: list[tuple[Claim, Sequence[int]]] = []
        count = 0
        for claim in self.claims:
            waiting.append((claim, wanted(claim.visit)))
            count += len(waiting[-1][1])
            if count >= _TOGETHER or len(waiting) == _TOGETHER:
                yield from self._looked_up(waiting)
                waiting, count = [], 0
        yield from self._looked_up(waiting)

    def _looked_up(
        self, waiting: list[tuple[Claim, Sequence[int]]]
    ) -> Iterator[tuple[Claim, Frames]]:
        ids = [media_id for _, wanted in waiting for media_id in wanted]
        found: Frames = {}
        for start in range(0, len(ids), _TOGETHER):
            found |= self.log.frames(ids[start : start + _TOGETHER])
        for claim, wanted in waiting:
            yield claim, {media_id: found[media_id] for media_id in wanted if media_id in found}


def local_text(instant: datetime, place: Place) -> str:
    """`2026-05-01T07:30:00+01:00`, as clocks at the camera show it."""
    return to_local(instant, place.zone).isoformat(timespec="seconds")


def named_by(is_by_person: bool, frame: ExportedFrame | None, said: ExportSection) -> str | None:
    """Who named it: the configured observer for a person, whoever it was, or the model."""
    if is_by_person:
        return said.observer
    return f"Feeder, model {frame.classified_by}" if frame else None


def all_frames(visit: Visit) -> Sequence[int]:
    """Every frame of a visit."""
    return visit.media_ids


def telling_frames(visit: Visit) -> Sequence[int]:
    """A visit's first frame, which gives it its name, and those that may say who named it."""
    return visit.media_ids if visit.is_by_person else (visit.media_ids[0], visit.best)


def telling(visit: Visit, frames: Frames) -> ExportedFrame | None:
    """The frame that says by whom and when a visit was named: the best one, or a person's newest.

    None where no such frame shows an animal any more.
    """
    if not visit.is_by_person:
        return frames.get(visit.best)
    named = [one for one in frames.values() if one.is_by_person and one.label == visit.label.name]
    return max(named, key=lambda one: one.classified_at, default=None)
