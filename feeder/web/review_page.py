"""What waits for a person to look at it: a picture, a tap, the next picture."""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import HTMLResponse

from feeder import own_labels, person
from feeder import review as reviews
from feeder.judgement_log import JudgementLog
from feeder.opening import open_bundle, open_vocabulary
from feeder.review_log import MOST_COUNTED, ReviewLog, Waiting, Why
from feeder.vocabulary import Vocabulary
from feeder.web.correcting import SaidHere, blocked, done, label_names, returned
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.row_id import RowId
from feeder.web.words import Words

router = APIRouter()

DAYS = 14
"""How far back rare and uncertain sightings are looked for, as `feeder review` does."""

UNCERTAIN = 20
"""The least certain sightings that one round asks about."""


@dataclass(frozen=True)
class Round:
    """How far one sitting has come; it stands in the address, so that nobody need be remembered.

    `answered` counts answers, `unsure` those of them about uncertain sightings, `skip` the frames
    that were passed over, joined by dots. With `uncertain` the round asks about those, too.
    """

    answered: Annotated[int, Query(ge=0, le=100_000)] = 0
    unsure: Annotated[int, Query(ge=0, le=100_000)] = 0
    skip: Annotated[str, Query(max_length=4000, pattern=r"^[0-9.]*$")] = ""
    uncertain: Annotated[bool, Query()] = False

    @property
    def skipped(self) -> list[int]:
        """The frames that were passed over."""
        return [int(one) for one in self.skip.split(".") if one]

    @property
    def url(self) -> str:
        """The page of this round."""
        fields = {
            "answered": self.answered,
            "unsure": self.unsure,
            "skip": self.skip,
            "uncertain": int(self.uncertain),
        }
        kept = {key: value for key, value in fields.items() if value}
        return "/review" + (f"?{urlencode(kept)}" if kept else "")

    def after(self, one: Waiting) -> "Round":
        """This round once that frame was answered."""
        unsure = self.unsure + (one.why is Why.UNCERTAIN)
        return replace(self, answered=self.answered + 1, unsure=unsure)

    def past(self, one: Waiting) -> "Round":
        """This round once that frame was passed over."""
        return replace(self, skip=".".join(map(str, [*self.skipped, one.media_id])))

    def before(self) -> "Round":
        """This round without its last answer."""
        return replace(self, answered=max(0, self.answered - 1))


@router.get("/review")
def review(
    request: Request,
    desk: TheDesk,
    sitting: Annotated[Round, Depends()],
    every: bool = False,
    first: int | None = None,
) -> HTMLResponse:
    """One that waits, large, or with `every` all that wait; `first` is a frame to begin with."""
    waiting = _waiting(desk, sitting)
    if first is not None:
        waiting.sort(key=lambda one: one.media_id != first)
    passed = len(sitting.skipped)
    values: dict[str, Any] = {
        "sitting": sitting,
        "waiting": waiting,
        "place": sitting.answered + passed + 1,
        "of": sitting.answered + passed + len(waiting),
        "most": MOST_COUNTED,
        "done": done(request, desk),
        "blocked": blocked(request, desk),
        "words": Words.of(desk),
    }
    if every:
        return page(request, "review_list", **values)
    one = waiting[0] if waiting else None
    return page(
        request,
        "review",
        one=one,
        following=waiting[1].media_id if len(waiting) > 1 else None,
        labels=label_names(desk) if one else (),
        can_block=bool(one and desk.vocabulary and desk.vocabulary.find(one.shown)),
        **values,
    )


@router.post("/review/unblock")
def unblock(
    desk: TheDesk,
    name: Annotated[str, Form(max_length=200)],
    back: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Lets a species be named again."""
    own_labels.unblock(desk.settings.own_labels, name, _shipped(desk))
    return returned(back or "/review", unblocked=name)


@router.post("/review/{media_id}/block")
def block(
    desk: TheDesk, media_id: RowId, back: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """Keeps what a frame was called from being named again, in the user's own label file."""
    with ReviewLog(desk.settings.database) as log:
        (one,) = log.get([media_id], Why.CHOSEN)
    label = own_labels.block(desk.settings.own_labels, one.shown, _shipped(desk))
    return returned(back or "/review", blocked=label.name)


@router.post("/review/{media_id}")
def answer(
    desk: TheDesk,
    media_id: RowId,
    said: SaidHere,
    why: Annotated[Why, Form()],
    whole: Annotated[bool, Form()] = False,
) -> Response:
    """Keeps what a person says of a frame that waited; with `whole`, of all its species' frames."""
    settings = desk.settings
    with ReviewLog(settings.database) as log:
        (one,) = log.get([media_id], why)
        chosen = said.answer(desk) or reviews.confirmed(one)
        ids = [media_id]
        # A frame that was drawn at random speaks for itself alone.
        if whole and why is Why.NEW and one.label is not None and said.say != "confirm":
            ids += [each for each in log.frames(one.deployment, one.label.name) if each != media_id]
    with JudgementLog.open(settings.database, desk.clock) as judgements:
        number = reviews.record(judgements, chosen, ids, person=person.name(), why=why)
    return returned(said.back or "/review", said=number)


def _shipped(desk: Desk) -> Vocabulary:
    """The vocabulary without the user's own labels, which is never written to."""
    return open_vocabulary(desk.settings, open_bundle(desk.settings), own=False)


def _waiting(desk: Desk, sitting: Round) -> list[Waiting]:
    since = desk.clock.now() - timedelta(days=DAYS)
    uncertain = max(0, UNCERTAIN - sitting.unsure) if sitting.uncertain else 0
    skipped = set(sitting.skipped)
    with ReviewLog(desk.settings.database) as log:
        labels = desk.vocabulary or Vocabulary("", (), ())
        found = reviews.waiting(log, labels, since, uncertain=uncertain)
    return [one for one in found if one.media_id not in skipped]
