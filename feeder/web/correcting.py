"""What a person says of frames, by one tap: said, listed and undone; and a page for each frame."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated
from urllib.parse import parse_qsl, urlencode, urlsplit

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from feeder import corrections, person, visit_history
from feeder import review as reviews
from feeder.correction_log import CorrectionLog, Shown
from feeder.corrections import NOT_A_BIRD, UNKNOWN, Answer
from feeder.domain import Kind, Label, ObservationType
from feeder.errors import FeederError
from feeder.frame_log import FrameLog
from feeder.judgement_log import Judgement, JudgementLog, State, What
from feeder.naming import every_label, new_label
from feeder.picture_log import PictureLog
from feeder.places import where
from feeder.relabel import BY_MACHINE
from feeder.review_log import ReviewLog, Why
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.row_id import RowId
from feeder.web.words import Words

router = APIRouter()

LISTED = 200
"""Corrections that the list shows, the newest."""

PICTURED = 4
"""Frames of each that are shown there."""

MOST_RUNNERS_UP = 3

_DONE = ("said", "undone", "blocked", "unblocked")
"""What an address says of the last thing that was done."""


@dataclass(frozen=True)
class SaidForm:
    """The fields of `answers.html.j2`: one of `species`, by a tap, or `say`.

    `say` is confirm, not-a-bird, unknown, or other, which is what stands in the field `other`; with
    `new` that is a label which the vocabulary lacks. `back` is the page to return to.
    """

    say: Annotated[str, Form(max_length=20)] = ""
    species: Annotated[str, Form(max_length=200)] = ""
    other: Annotated[str, Form(max_length=200)] = ""
    new: Annotated[bool, Form()] = False
    kind: Annotated[Kind, Form()] = Kind.BIRD
    scientific: Annotated[str, Form(max_length=200)] = ""
    ebird: Annotated[str, Form(max_length=20)] = ""
    note: Annotated[str, Form(max_length=500)] = ""
    back: Annotated[str, Form(max_length=2000)] = ""

    def answer(self, desk: Desk) -> Answer | None:
        """What it says; None for a confirmation. Raises FeederError where that means nothing."""
        if self.say == "confirm":
            return None
        if self.say == "not-a-bird":
            return NOT_A_BIRD
        if self.say == "unknown":
            return UNKNOWN
        name = (self.species or self.other).strip()
        if not name:
            raise FeederError(
                "No species was written.", "Go back, and write its name before you say so."
            )
        known = every_label(desk.settings)
        if self.new and not self.species:
            made = Label(name, self.kind, self.scientific.strip(), self.ebird.strip())
            return Answer.of(new_label(made, known))
        if self.species and known.find(name) is None:
            # A label of an earlier vocabulary, which the log still offers.
            earlier = (label for label in desk.log.labels() if label.name == name)
            if (label := next(earlier, None)) is not None:
                return Answer.of(label)
        try:
            return Answer.of(corrections.find(name, known))
        except FeederError as error:
            hint = "Choose one of the names that are offered, or tick that it is a new name."
            raise FeederError(str(error), hint) from error


SaidHere = Annotated[SaidForm, Depends()]


def _frames(
    frame: Annotated[list[str], Form(max_length=1000)] = [],  # noqa: B006 - FastAPI copies it
) -> list[int]:
    """The frames that a form is about: a number in each field, or many in one."""
    numbers = [one for text in frame for one in text.split()]
    if not numbers or not all(one.isdecimal() and len(one) < 19 for one in numbers):
        raise FeederError("No frame was chosen.", "Go back, and tick one at least.")
    return [int(one) for one in numbers]


ChosenFrames = Annotated[list[int], Depends(_frames)]


@dataclass(frozen=True)
class Answers:
    """What may be said of frames by one tap, for `answers.html.j2`.

    `shown` is what the log says of most, `frames` of each; `others` are names that it may be
    instead. `yes` is the field and value that say so of all, None where there was no verdict to
    agree with. `labels` are all names there are. `wrong` is why what was `written` was no name.
    `is_favorite` is of the first frame.
    """

    frames: tuple[Shown, ...]
    shown: str
    yes: tuple[str, str] | None
    others: tuple[str, ...]
    labels: tuple[str, ...]
    is_favorite: bool
    back: str
    wrong: FeederError | None = None
    written: str = ""
    note: str = ""


def answers(desk: Desk, media_ids: Sequence[int], back: str) -> Answers:
    """What may be said of these frames, of which the first is the one to show."""
    frames = CorrectionLog(desk.settings.database).frames(media_ids)
    with FrameLog(desk.settings.database) as log:
        shown = log.account(frames[0].media_id)
    assert shown is not None
    best = shown.current
    said = [words for words, _ in corrections.counts(frames)]
    named = [one.label for one in frames if one.observation_type is ObservationType.ANIMAL]
    runners_up = [name for name, _ in best.runners_up]
    # Of a frame that was given no name, the best label is the nearest guess.
    near = [best.label.name] if best.label else []
    names = dict.fromkeys(name for name in (*named, *near, *runners_up) if name)
    others = tuple(name for name in names if name != said[0])
    return Answers(
        tuple(frames),
        said[0],
        _yes(frames, said[0]),
        others[:MOST_RUNNERS_UP],
        label_names(desk),
        shown.is_favorite,
        back,
    )


def _yes(frames: Sequence[Shown], shown: str) -> tuple[str, str] | None:
    """The field and its value that say of all these frames what is `shown` of most."""
    one = next(frame for frame in frames if frame.words == shown)
    if one.observation_type is ObservationType.UNCLASSIFIED:
        return None
    if one.observation_type is ObservationType.UNKNOWN:
        return "say", "unknown"
    if one.label is not None and one.observation_type is not ObservationType.BLANK:
        return "species", one.label
    return "say", "confirm" if len(frames) == 1 else "not-a-bird"


def label_names(desk: Desk) -> tuple[str, ...]:
    """Every name that a frame may be given, for a field to offer."""
    return tuple(sorted(label.name for label in every_label(desk.settings).labels))


def returned(back: str, **query: int | str) -> Response:
    """Sends the browser back to the page it came from, with what was done in the address."""
    url = urlsplit(_ours(back))
    kept = [(key, value) for key, value in parse_qsl(url.query) if key not in _DONE]
    return RedirectResponse(f"{url.path}?{urlencode([*kept, *query.items()])}", 303)


def _ours(back: str) -> str:
    """Nothing but a path of ours: a form from elsewhere shall send nobody away."""
    url = urlsplit(back)
    is_ours = back.startswith("/") and not back.startswith(("//", "/\\"))
    return back if is_ours and not (url.scheme or url.netloc) else "/corrections"


def done(request: Request, desk: Desk) -> tuple[Judgement, bool] | None:
    """The correction that was just made, or taken back: what the address says, from the log."""
    for key in ("said", "undone"):
        number = request.query_params.get(key, "")
        if number.isdecimal() and len(number) < 19:
            with JudgementLog.open(desk.settings.database, desk.clock) as log:
                found = log.find(int(number))
            if found is not None and found.what is What.CORRECTION:
                return found, found.state is State.IN_FORCE
    return None


@dataclass(frozen=True)
class Blocked:
    """A species that was just kept from being named, or no longer is."""

    name: str
    is_so: bool


def blocked(request: Request, desk: Desk) -> Blocked | None:
    """The species that was just blocked or unblocked: what the address says, where it is true."""
    vocabulary = desk.vocabulary
    for key, is_so in (("blocked", True), ("unblocked", False)):
        name = request.query_params.get(key, "")
        if vocabulary and vocabulary.find(name) and (name in vocabulary.blocked) is is_so:
            return Blocked(name, is_so)
    return None


@router.post("/corrections")
def correct(request: Request, desk: TheDesk, said: SaidHere, frame: ChosenFrames) -> Response:
    """Keeps what a person says of one frame or several, as one correction.

    Where it means nothing the question is asked again, with what was written still in its field.
    """
    try:
        answer = said.answer(desk)
    except FeederError as error:
        again = replace(
            answers(desk, frame, _ours(said.back)), wrong=error, written=said.other, note=said.note
        )
        return page(request, "answer_again", 400, answers=again)
    settings = desk.settings
    if answer is None:
        with ReviewLog(settings.database) as log:
            agreed = {reviews.confirmed(one) for one in log.get(frame, Why.CHOSEN)}
        if len(agreed) != 1:
            raise FeederError("The log says different things of these frames.", "Name the species.")
        (answer,) = agreed
    frames = CorrectionLog(settings.database).frames(frame)
    with JudgementLog.open(settings.database, desk.clock) as judgements:
        number = corrections.correct(
            judgements, frames, answer, person=person.name(), note=said.note.strip()
        )
    return returned(said.back, said=number)


@router.get("/corrections")
def corrected(request: Request, desk: TheDesk) -> HTMLResponse:
    """The corrections, the newest first, each with its way back."""
    with JudgementLog.open(desk.settings.database, desk.clock) as log:
        made = log.judgements(What.CORRECTION)
        again = log.judgements(*BY_MACHINE, state=State.IN_FORCE)[:1]
    listed = made[:LISTED]
    about = CorrectionLog(desk.settings.database).about(
        [one.judgement_id for one in listed], PICTURED
    )
    return page(
        request,
        "corrections",
        made=listed,
        about=about,
        never=sorted(desk.vocabulary.blocked) if desk.vocabulary else [],
        blocked=blocked(request, desk),
        more=max(0, len(made) - LISTED),
        judged_again=again[0].judgement_id if again else 0,
        done=done(request, desk),
        words=Words.of(desk),
    )


@router.post("/corrections/{number}/undo")
def undo(
    desk: TheDesk, number: RowId, back: Annotated[str, Form(max_length=2000)] = ""
) -> Response:
    """Takes a correction back."""
    with JudgementLog.open(desk.settings.database, desk.clock) as judgements:
        corrections.undo(judgements, number)
    return returned(back or "/corrections", undone=number)


@router.post("/favorites")
def favorite(
    desk: TheDesk,
    frame: ChosenFrames,
    keep: Annotated[bool, Form()],
    back: Annotated[str, Form(max_length=2000)] = "",
) -> Response:
    """Makes frames favorites, whose pictures are never deleted, or no longer."""
    pictures = PictureLog.open(desk.settings.database, desk.clock)
    try:
        with pictures.writing():
            pictures.get(frame)  # all of them are there
            pictures.set_favorite(frame, keep)
    finally:
        pictures.close()
    return returned(back or f"/frames/{frame[0]}")


@router.get("/frames/{media_id}")
def frame_page(request: Request, desk: TheDesk, media_id: RowId) -> HTMLResponse:
    """A frame: its picture, and everything that was ever said of it."""
    settings = desk.settings
    with FrameLog(settings.database) as log:
        frame = log.account(media_id)
    if frame is None:
        error, hint = f"There is no frame {media_id} in the log.", "Perhaps its number is another."
        return page(request, "error", 404, error=error, hint=hint)
    visit = visit_history.of_frame(
        desk.log, settings.visits.gap, desk.groups, media_id, frame.deployment, frame.captured_at
    )
    return page(
        request,
        "frame",
        frame=frame,
        has_picture=where(settings, [media_id])[media_id] is not None,
        visit=visit,
        answers=answers(desk, [media_id], f"/frames/{media_id}"),
        done=done(request, desk),
        words=Words.of(desk),
    )
