"""Frames most like words, a photo or another frame."""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends, File, Form, Query, Request, UploadFile
from fastapi.responses import HTMLResponse

from feeder import query_terms
from feeder.bundle import Bundle
from feeder.domain import Vectors
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError
from feeder.log_reader import Query as Chosen
from feeder.opening import open_bundle
from feeder.plain_text import plain
from feeder.search import Hit, of_frame, search
from feeder.search_log import SearchLog
from feeder.web.correcting import label_names
from feeder.web.desk import Desk, TheDesk
from feeder.web.judging import TheJudge
from feeder.web.rendering import page
from feeder.web.words import Words

router = APIRouter()

SHOWN = 24

_NAME = 200


@dataclass(frozen=True)
class Filter:
    """Which frames are searched, as people write it; "" of anything is all of it."""

    species: str = ""
    deployment: str = ""
    since: str = ""
    until: str = ""

    def query(self, desk: Desk) -> Chosen:
        """The same for the log. Raises FeederError for a name or time that means nothing."""
        zone = desk.zones.get(self.deployment, desk.zone)

        def instant(text: str, *, end: bool = False) -> datetime | None:
            text = text.strip()
            if not text:
                return None
            return query_terms.instant(text, zone, end=end, clock=desk.clock)

        name = self.species.strip()
        return Chosen(
            since=instant(self.since),
            until=instant(self.until, end=True),
            labels=query_terms.called(name, desk.vocabulary, desk.log) if name else None,
            deployment=self.deployment or None,
            limit=SHOWN,
        )


def _asked(
    species: Annotated[str, Query(max_length=_NAME)] = "",
    deployment: Annotated[str, Query(max_length=_NAME)] = "",
    since: Annotated[str, Query(max_length=30)] = "",
    until: Annotated[str, Query(max_length=30)] = "",
) -> Filter:
    return Filter(species, deployment, since, until)


def _sent(
    species: Annotated[str, Form(max_length=_NAME)] = "",
    deployment: Annotated[str, Form(max_length=_NAME)] = "",
    since: Annotated[str, Form(max_length=30)] = "",
    until: Annotated[str, Form(max_length=30)] = "",
) -> Filter:
    return Filter(species, deployment, since, until)


@router.get("/search")
def by_words(
    request: Request,
    desk: TheDesk,
    judge: TheJudge,
    chosen: Annotated[Filter, Depends(_asked)],
    q: Annotated[str, Query(max_length=300)] = "",
    like_frame: str = "",
) -> HTMLResponse:
    """Frames like what the words say, or like a frame; without either the form."""
    words, number = q.strip(), like_frame.strip()
    like = int(number) if number.isdecimal() and len(number) < 19 else None
    if not words and not number:
        return _page(request, desk, chosen)
    try:
        if number and like is None:
            raise FeederError(f"{number!r} is no frame's number.", "Each frame's page shows its.")
        bundle = open_bundle(desk.settings)
        if like is None:
            hits = _found(desk, bundle, chosen, judge.text_vector(words))
        else:
            hits = _found(desk, bundle, chosen, like=like)
    except FeederError as error:
        return _page(request, desk, chosen, words, like, wrong=error)
    title = f"Like frame {like}" if like is not None else f"Like “{words}”"
    return _page(request, desk, chosen, words, like, hits, title)


@router.post("/search")
def by_photo(
    request: Request,
    desk: TheDesk,
    judge: TheJudge,
    chosen: Annotated[Filter, Depends(_sent)],
    picture: Annotated[UploadFile, File()],
) -> HTMLResponse:
    """Frames like a photo, of which nothing is kept."""
    try:
        vector = judge.vector(picture.file.read(judge.max_bytes + 1))
        hits = _found(desk, open_bundle(desk.settings), chosen, vector)
    except FeederError as error:
        return _page(request, desk, chosen, wrong=error)
    title = f"Like your photo {plain(picture.filename or '')}"
    return _page(request, desk, chosen, hits=hits, title=title)


def _found(
    desk: Desk,
    bundle: Bundle,
    chosen: Filter,
    vector: Vectors | None = None,
    like: int | None = None,
) -> list[Hit]:
    """The chosen frames most like a vector, or like a frame."""
    settings = desk.settings
    query = chosen.query(desk)
    with SearchLog(settings.database) as log:
        store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
        if vector is None:
            assert like is not None
            vector = of_frame(store, log, like, bundle.manifest.name)
        return search(store, log, vector, query, like=like)


def _page(
    request: Request,
    desk: Desk,
    chosen: Filter,
    q: str = "",
    like: int | None = None,
    hits: list[Hit] | None = None,
    title: str = "",
    wrong: FeederError | None = None,
) -> HTMLResponse:
    try:
        manifest, labels = open_bundle(desk.settings).manifest, label_names(desk)
    except FeederError:
        manifest, labels = None, ()
    return page(
        request,
        "search",
        chosen=chosen,
        q=q,
        like=like,
        hits=hits,
        title=title,
        wrong=wrong,
        manifest=manifest,
        labels=labels,
        cameras=list(desk.zones),
        words=Words.of(desk),
    )
