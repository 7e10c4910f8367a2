"""Upload, drop, paste or take a photo: its species and the five best labels."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.responses import HTMLResponse

from feeder.config import Settings
from feeder.errors import FeederError
from feeder.opening import open_bundle
from feeder.plain_text import plain
from feeder.web.judging import WORD, Judge, Look, TheJudge
from feeder.web.rendering import page
from feeder.web.words import Words

router = APIRouter()

MOST_FILES = 20
"""Pictures that one form is answered for; more are looked at by sending it again."""

MOST_TEXTS = 50
MOST_LETTERS = 300

NO_LABELS = {"negatives", "look-alikes"}
"""Shipped files that others include and that are no vocabulary by themselves."""


@dataclass(frozen=True)
class Looked:
    """A file that was sent: what was seen on it, or why nothing was and what to do."""

    name: str
    look: Look | None = None
    wrong: str = ""
    hint: str = ""


@dataclass(frozen=True)
class Asked:
    """What is asked of the pictures that are sent.

    `vocabulary` stands in for the configured labels; `texts` are labels of one's own, one a line,
    with `words` each set against a note that says it.
    """

    vocabulary: Annotated[str, Form(max_length=100)] = ""
    texts: Annotated[str, Form(max_length=20_000)] = ""
    words: Annotated[bool, Form()] = False

    @property
    def labels(self) -> list[str]:
        """The texts that the model is given."""
        lines = (line.strip()[:MOST_LETTERS] for line in self.texts.splitlines())
        found = list(dict.fromkeys(filter(None, lines)))[:MOST_TEXTS]
        return found + [WORD.format(text) for text in found] * self.words


@router.get("/identify")
def identify(request: Request, judge: TheJudge) -> HTMLResponse:
    """The form."""
    return _page(request, judge, Asked(), ())


@router.post("/identify")
def identified(
    request: Request,
    judge: TheJudge,
    asked: Annotated[Asked, Depends()],
    picture: Annotated[list[UploadFile], File()] = [],  # noqa: B006 - FastAPI copies it
) -> HTMLResponse:
    """What is on the pictures that were sent; nothing is kept of them."""
    sent = [one for one in picture if one.filename or one.size]
    if asked.vocabulary not in _vocabularies(judge.desk.settings):
        asked = replace(asked, vocabulary="")
    found = [_look(judge, one, asked) for one in sent[:MOST_FILES]]
    found += [
        Looked(plain(one.filename or ""), wrong=f"more than {MOST_FILES} pictures at once")
        for one in sent[MOST_FILES:]
    ]
    if not sent:
        found = [Looked("", wrong="no picture was chosen", hint="Choose one, or take a photo.")]
    return _page(request, judge, asked, found)


def _look(judge: Judge, sent: UploadFile, asked: Asked) -> Looked:
    name = plain(sent.filename or "picture")
    try:
        data = sent.file.read(judge.max_bytes + 1)
        return Looked(name, judge.look(data, asked.vocabulary, asked.labels))
    except FeederError as error:
        return Looked(name, wrong=str(error), hint=error.hint)


def _page(request: Request, judge: Judge, asked: Asked, found: Sequence[Looked]) -> HTMLResponse:
    settings = judge.desk.settings
    try:
        manifest = open_bundle(settings).manifest
    except FeederError:  # an upload's answer says why
        manifest = None
    return page(
        request,
        "identify",
        asked=asked,
        found=found,
        vocabularies=_vocabularies(settings),
        manifest=manifest,
        max_bytes=judge.max_bytes,
        words=Words.of(judge.desk),
    )


def _vocabularies(settings: Settings) -> list[str]:
    """The vocabularies there are, by name."""
    found = {path.stem for folder in settings.vocabulary_folders for path in folder.glob("*.toml")}
    return sorted(found - NO_LABELS)
