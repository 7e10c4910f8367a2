"""The frames that judging again would change, with their pictures, as one HTML file."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from feeder import pages
from feeder.classifier import Classifier
from feeder.embedding_store import EmbeddingStore
from feeder.judge_again import Change, Plan
from feeder.logbook import printable
from feeder.picture_log import Picture, PictureLog
from feeder.places import Places

MAX_FRAMES = 200
MOST_OF_A_CHANGE = 24


@dataclass(frozen=True, slots=True)
class Shown:
    """A frame on the sheet; `thumbnail` is a data URI, "" where the picture is gone."""

    media_id: int
    taken: str
    deployment: str
    file: str
    reason: str
    thumbnail: str


@dataclass(frozen=True)
class ContactSheet:
    """Renders plans: `pictures` and `places` find the frames, `local` writes a time as people do.

    `classifier` and `store` are what the plan was made with; they give the reasons.
    """

    classifier: Classifier
    store: EmbeddingStore
    pictures: PictureLog
    places: Places
    local: Callable[[Picture], str]

    def render(self, plan: Plan, edits: str, made: datetime) -> str:
        """The page: the newest frames of each change, 200 at most, the frequent changes first.

        `edits` says in words what was changed, `made` is the instant to show, with a time zone.
        """
        chosen = newest_of_each(plan.changes)
        frames = {one.media_id: one for one in self._shown([id for ids in chosen for id in ids])}
        sections = [
            (change, [frames[media_id] for media_id in ids])
            for change, ids in zip(plan.changes, chosen, strict=True)
        ]
        return pages.render(
            "contact_sheet.html.j2",
            made,
            {},
            plan=plan,
            edits=edits,
            model=self.classifier.bundle.manifest.name,
            sections=sections,
        )

    def _shown(self, media_ids: Sequence[int]) -> list[Shown]:
        if not media_ids:
            return []
        return [
            Shown(
                picture.media_id,
                self.local(picture),
                picture.deployment,
                _file_name(picture),
                self.classifier.judge(
                    vector, self.classifier.context(picture.deployment, picture.captured_at)
                ).reason,
                self._thumbnail(picture),
            )
            for picture, vector in zip(
                self.pictures.get(media_ids), self.store.get(media_ids), strict=True
            )
        ]

    def _thumbnail(self, picture: Picture) -> str:
        found = next(self.places.files(picture), None)
        return pages.thumbnail(found.path) if found else ""


def newest_of_each(changes: Sequence[Change]) -> list[list[int]]:
    """The ids of the frames to show of each change, newest first; none where the page is full."""
    each = min(MOST_OF_A_CHANGE, max(1, MAX_FRAMES // max(1, len(changes))))
    room, chosen = MAX_FRAMES, []
    for change in changes:
        newest = sorted(change.media_ids.tolist(), reverse=True)[: min(each, room)]
        room -= len(newest)
        chosen.append(newest)
    return chosen


def _file_name(picture: Picture) -> str:
    return printable(picture.files[0].name) if picture.files else ""
