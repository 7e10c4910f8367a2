"""What no species fitted, sorted by likeness, and named at once."""

import threading
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import HTMLResponse

from feeder import person
from feeder import unknowns as sorting
from feeder.config import Settings
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog
from feeder.opening import open_bundle
from feeder.search_log import SearchLog
from feeder.web.correcting import SaidHere, done, label_names, returned
from feeder.web.desk import TheDesk
from feeder.web.rendering import page
from feeder.web.row_id import RowId
from feeder.web.words import Words

router = APIRouter()

SHOWN = 20
"""Clusters on the page, the largest; naming them brings up the next."""


@dataclass
class Sorter:
    """Sorts in a thread of its own, one time at a time; what it found is remembered on disk."""

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _running: threading.Thread | None = field(default=None, init=False)
    wrong: FeederError | None = field(default=None, init=False)

    @property
    def is_busy(self) -> bool:
        """Whether it is at it."""
        return self._running is not None and self._running.is_alive()

    def start(self, settings: Settings) -> None:
        """Begins, unless it is at it already."""
        with self._lock:
            if not self.is_busy:
                self.wrong = None
                self._running = threading.Thread(
                    target=self._sort, args=(settings,), name="sorting", daemon=True
                )
                self._running.start()

    def _sort(self, settings: Settings) -> None:
        try:
            bundle = open_bundle(settings)
            with SearchLog(settings.database) as log:
                store = EmbeddingStore.open(settings.database, bundle.digest, settings.cache)
                sorting.remember(sorting.sort(store, log), log, settings.cache)
        except FeederError as error:
            self.wrong = error
        except OSError as error:
            self.wrong = FeederError(
                f"The clusters cannot be kept: {error}.", "Make room on the disk, and sort again."
            )


_making = threading.Lock()


def _of(request: Request) -> Sorter:
    state = request.app.state
    with _making:
        if not hasattr(state, "sorter"):
            state.sorter = Sorter()
    sorter = state.sorter
    assert isinstance(sorter, Sorter)
    return sorter


TheSorter = Annotated[Sorter, Depends(_of)]


@router.get("/unknowns")
def unknowns(request: Request, desk: TheDesk, sorter: TheSorter) -> HTMLResponse:
    """The clusters as they were last sorted, each with a form to name it."""
    settings = desk.settings
    with SearchLog(settings.database) as log:
        found = sorting.remembered(log, settings.cache)
        at = sorting.sorted_at(log, settings.cache)
    return page(
        request,
        "unknowns",
        found=found,
        at=at,
        shown=found.clusters[:SHOWN] if found else (),
        waiting=sum(map(len, found.clusters)) + found.alone if found else None,
        is_busy=sorter.is_busy,
        wrong=sorter.wrong,
        can_sort=find_spec("sklearn") is not None,
        labels=label_names(desk) if found and found.clusters else (),
        done=done(request, desk),
        words=Words.of(desk),
    )


@router.post("/unknowns/sort")
def sort_again(desk: TheDesk, sorter: TheSorter) -> Response:
    """Begins to sort; the page says when it is done."""
    sorter.start(desk.settings)
    return returned("/unknowns")


@router.post("/unknowns/{media_id}")
def name(desk: TheDesk, media_id: RowId, said: SaidHere) -> Response:
    """Names all frames of the cluster that a frame stands for."""
    settings = desk.settings
    answer = said.answer(desk)
    if answer is None or answer.label is None:
        raise FeederError("A cluster is given a name.", "Go back, and write one.")
    with SearchLog(settings.database) as log:
        listed = sorting.recall(media_id, log, settings.cache)
    chosen = sorting.unjudged(listed)
    with JudgementLog.open(settings.database, desk.clock) as judgements:
        number = sorting.name(judgements, chosen, answer.label, person.name())
    return returned("/unknowns", said=number)
