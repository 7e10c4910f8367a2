"""What a person says that frames show: said, listed, taken back."""

from typing import Annotated, Any, Literal, Self

from fastapi import Path, Query, Request, Response
from pydantic import ConfigDict, Field, StringConstraints, model_validator

from feeder import corrections, person
from feeder import review as reviews
from feeder import unknowns as sorting
from feeder.correction_log import CorrectionLog, Shown
from feeder.corrections import NOT_A_BIRD, UNKNOWN, Answer
from feeder.domain import Kind, Label
from feeder.judgement_log import JudgementLog, What
from feeder.log_records import correction_record, judgement_record
from feeder.naming import every_label, new_label
from feeder.review_log import ReviewLog, Why
from feeder.search_log import SearchLog
from feeder.web import row_id
from feeder.web.api import models, shapes
from feeder.web.api.asking import Asked, MediaId
from feeder.web.api.errors import Refusal, documented, told_as
from feeder.web.api.freshness import NOT_MODIFIED, Fresh
from feeder.web.api.paging import LINK, Pager
from feeder.web.api.told import told_router
from feeder.web.api.visits import visit_of
from feeder.web.desk import Desk, TheDesk

router = told_router("corrections")

Words = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200)]
Name = Annotated[Words, StringConstraints(min_length=1)]


def _one_of(**kinds: str) -> dict[str, Any]:
    """JSON Schema for: one of these fields, and no more, is there and is no null."""
    return {
        "oneOf": [
            {"required": [name], "properties": {name: {"type": kind}}}
            for name, kind in kinds.items()
        ]
    }


class NewCorrection(Asked):
    """What a person says: of which frames, and what they show. Say one of each."""

    model_config = ConfigDict(
        json_schema_extra={
            "allOf": [
                _one_of(media_ids="array", event_id="string", cluster="integer"),
                _one_of(species="string", answer="string"),
            ],
            "examples": [
                {"media_ids": [1742, 1743], "species": "Purple Finch"},
                {"event_id": "garden:1742", "answer": "not_a_bird", "note": "a leaf"},
                {"cluster": 1742, "species": "Hooded Siskin", "new": True},
            ],
        }
    )

    media_ids: list[MediaId] | None = Field(
        None, min_length=1, max_length=10_000, description="of these frames"
    )
    event_id: Name | None = Field(
        None, description="of a visit: camera and any of its frames", examples=["garden:1742"]
    )
    cluster: MediaId | None = Field(
        None, description="of a cluster that `/unknowns` listed last, by any of its frames"
    )
    species: Name | None = Field(None, description="any name of a label", examples=["Purple Finch"])
    answer: Literal["not_a_bird", "unknown", "confirm"] | None = Field(
        None,
        description="nothing of interest is there; you cannot tell; or the log is right about them",
    )
    new: bool = Field(False, description="`species` is a name that no label has")
    scientific_name: Words = Field("", description="of a new one")
    ebird_code: Words = Field("", description="of a new one")
    kind: Kind | None = Field(None, description="of a new one; else bird")
    note: Annotated[str, StringConstraints(strip_whitespace=True, max_length=1000)] = Field(
        "", description="kept as the reason"
    )
    person: Name | None = Field(
        None, description="who says it; else the user that the server runs as"
    )

    @model_validator(mode="after")
    def _one_of_each(self) -> Self:
        if [self.media_ids, self.event_id, self.cluster].count(None) != 2:
            raise ValueError("say one of `media_ids`, `event_id` and `cluster`")
        if (self.species is None) == (self.answer is None):
            raise ValueError("say one of `species` and `answer`")
        if self.new and self.species is None:
            raise ValueError("`new` goes with `species`")
        if not self.new and (self.scientific_name or self.ebird_code or self.kind):
            raise ValueError("`scientific_name`, `ebird_code` and `kind` go with `new`")
        return self


class CorrectionsAsked(Asked):
    """Which page of the list."""

    limit: int = Field(50, ge=1, le=500, description="items on a page")
    cursor: str | None = Field(
        None, min_length=1, max_length=500, description="where a page begins: see `next`"
    )


@router.get(
    "/corrections",
    response_model=shapes.Page[models.Correction],
    responses={200: {"headers": LINK}, **NOT_MODIFIED},
)
def list_corrections(
    request: Request,
    response: Response,
    desk: TheDesk,
    fresh: Fresh,
    asked: Annotated[CorrectionsAsked, Query()],
) -> dict[str, Any]:
    """What people said, the newest first, those that were taken back included."""
    fresh.check()
    pager = Pager(request, asked.cursor, asked.limit, None, (int,))
    _, before = pager.start()
    with JudgementLog.open(desk.settings.database, desk.clock) as log:
        made = log.judgements(What.CORRECTION)
    page, last = pager.cut(one for one in made if before is None or one.judgement_id < before[0])
    return {
        "items": [judgement_record(one) for one in page],
        "next": pager.link(response, 0, [last.judgement_id] if last else None),
    }


@router.post(
    "/corrections",
    status_code=201,
    response_model=shapes.Items[models.Made],
    responses={
        201: {
            "links": {
                "undo": {
                    "operationId": "undo_correction",
                    "parameters": {"judgement_id": "$response.body#/items/0/judgement_id"},
                }
            }
        },
        **documented(400, 404, 409),
    },
)
def make_correction(desk: TheDesk, said: NewCorrection) -> dict[str, Any]:
    """Says what frames show. It counts over the machine's word, which stays in the log.

    It is one correction; to `confirm` frames of several species makes one for each.
    """
    media_ids = _media_ids(desk, said)
    database = desk.settings.database
    who = said.person or person.name()
    frames = CorrectionLog(database).frames(media_ids)
    if said.answer == "confirm":
        with ReviewLog(database) as log:
            waiting = log.get([one.media_id for one in frames], Why.CHOSEN)
        answers: dict[Answer, list[Shown]] = {}
        for one, frame in zip(waiting, frames, strict=True):
            answers.setdefault(reviews.confirmed(one), []).append(frame)
    else:
        answers = {_answer(desk, said): frames}
    made = []
    with JudgementLog.open(database, desk.clock) as judgements:
        for answer, mine in answers.items():
            number = corrections.correct(judgements, mine, answer, person=who, note=said.note)
            made.append(correction_record(mine, answer, number))
    return {"items": made}


@router.delete(
    "/corrections/{judgement_id}",
    response_model=models.Undone,
    responses=documented(404, 409),
)
def undo_correction(
    judgement_id: Annotated[
        int, Path(ge=1, le=row_id.LAST, description="its number", examples=[12])
    ],
    desk: TheDesk,
) -> dict[str, Any]:
    """Takes a correction back; 409 where it was taken back before."""
    with JudgementLog.open(desk.settings.database, desk.clock) as log:
        made = log.judgements(What.CORRECTION)
        if judgement_id not in (one.judgement_id for one in made):
            raise Refusal(
                404, f"There is no correction {judgement_id}.", "`/corrections` lists them."
            )
        undone = corrections.undo(log, judgement_id)
    return {"judgement_id": undone.judgement_id, "frames": undone.frames}


def _media_ids(desk: Desk, said: NewCorrection) -> list[int]:
    """The frames that it is about."""
    if said.event_id is not None:
        return list(visit_of(desk, said.event_id).media_ids)
    if said.cluster is None:
        return said.media_ids or []
    settings = desk.settings
    with SearchLog(settings.database) as log:
        listed = sorting.recall(said.cluster, log, settings.cache)
    chosen = [one.media_id for one in listed if not one.is_by_person]
    if not chosen:
        raise Refusal(
            409,
            "A person has judged every frame of this cluster already.",
            "`/unknowns` lists what is still unknown.",
        )
    return chosen


def _answer(desk: Desk, said: NewCorrection) -> Answer:
    if said.species is None:
        return NOT_A_BIRD if said.answer == "not_a_bird" else UNKNOWN
    with told_as(503):
        known = every_label(desk.settings)
    with told_as(422):
        if not said.new:
            return Answer.of(corrections.find(said.species, known))
        kind = said.kind or Kind.BIRD
        made = Label(said.species, kind, said.scientific_name, said.ebird_code)
        return Answer.of(new_label(made, known))
