"""The frames that judging again would change, with their pictures, on one contact sheet."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from feeder.classifier import Classifier
from feeder.contact_sheet import Section
from feeder.embedding_store import EmbeddingStore
from feeder.judge_again import Change, Plan
from feeder.logbook import printable
from feeder.picture_log import Picture, PictureLog
from feeder.places import Places
from feeder.thumbnails import thumbnail

MAX_FRAMES = 200
MOST_OF_A_CHANGE = 24


@dataclass(frozen=True)
class ChangeSheet:
    """Shows plans: `pictures` and `places` find the frames, `local` writes a time as people do.

    `classifier` and `store` are what the plan was made with; they give the reasons.
    """

    classifier: Classifier
    store: EmbeddingStore
    pictures: PictureLog
    places: Places
    local: Callable[[Picture], str]

    def contents(self, plan: Plan, edits: str) -> tuple[str, list[Section], list[str]]:
        """Title, sections and notes: the newest frames of each change, the frequent ones first.

        They are 200 at most. `edits` says in words what was changed.
        """
        chosen = newest_of_each(plan.changes)
        captions = self._captioned([media_id for ids in chosen for media_id in ids])
        sections: list[Section] = []
        for change, ids in zip(plan.changes, chosen, strict=True):
            heading = f"{change.was.name} \N{RIGHTWARDS ARROW} {change.now.name}"
            count = len(change.media_ids)
            newest = f", the newest {len(ids)} of them" if len(ids) < count else ""
            sections.append((f"{heading}: {count}{newest}", [captions[id] for id in ids]))
        notes = [
            f"{edits}, judged by {self.classifier.bundle.manifest.name}."
            " Nothing has been changed yet."
        ]
        if not sections:
            notes.append("No frame of the log would be called anything else.")
        if plan.by_person:
            notes.append(f"{plan.by_person} that people have named stay as they are.")
        title = f"{plan.changed} of {plan.frames} frames would change"
        return title, sections, notes

    def _captioned(self, media_ids: Sequence[int]) -> dict[int, tuple[str, str]]:
        """Each frame's caption and thumbnail, by media id."""
        if not media_ids:
            return {}
        found = {}
        pictures, vectors = self.pictures.get(media_ids), self.store.get(media_ids)
        for picture, vector in zip(pictures, vectors, strict=True):
            context = self.classifier.context(picture.deployment, picture.captured_at)
            lines = (
                self.classifier.judge(vector, context).reason,
                f"{self.local(picture)}, {picture.deployment}",
                f"frame {picture.media_id} {_file_name(picture)}",
            )
            file = next(self.places.files(picture), None)
            found[picture.media_id] = "\n".join(lines), thumbnail(file.path) if file else ""
        return found


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
