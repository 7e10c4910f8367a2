"""How the feeder is: daemon, log, disk, model, cameras."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

from feeder import doctor
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.errors import FeederError
from feeder.frame_log import FrameLog
from feeder.judgement_log import JudgementLog, State
from feeder.opening import open_bundle
from feeder.refill import FeederState
from feeder.tag_log import TagLog
from feeder.verdict_log import Scope, VerdictLog
from feeder.web import checkup
from feeder.web.desk import Desk, TheDesk
from feeder.web.rendering import page
from feeder.web.words import Words, counted

router = APIRouter()

LATELY = timedelta(days=7)


@dataclass(frozen=True)
class Camera:
    """A camera's newest frame, and what is known of its feeder."""

    name: str
    newest: int | None
    taken: datetime | None
    is_stalled: bool
    feeder: FeederState
    zone: ZoneInfo | None


@dataclass(frozen=True)
class Account:
    """What the log holds, and what is being done to it; `size` in bytes with all its files."""

    total: int
    lately: tuple[tuple[str, int], ...]
    size: int
    unseen: int
    preparing: tuple[str, ...]


@router.get("/health")
def health(request: Request, desk: TheDesk) -> HTMLResponse:
    """All that is quickly known."""
    return _page(request, desk)


@router.post("/health/examine")
def examine(request: Request, desk: TheDesk) -> HTMLResponse:
    """The same with all that `feeder doctor` looks at, which takes some seconds."""
    settings = desk.settings
    checks = [*doctor.everything(settings, lambda _: ""), *checkup.examine(settings)]
    return _page(request, desk, checks)


def _page(request: Request, desk: Desk, checks: list[doctor.Check] | None = None) -> HTMLResponse:
    settings = desk.settings
    has_log = settings.database.exists()
    model = vocabulary = ""
    try:
        model = open_bundle(settings).manifest.name
        if desk.vocabulary is not None:
            labels = counted(len(desk.vocabulary.labels), "label")
            vocabulary = f"{desk.vocabulary.title}, {labels}"
    except FeederError as error:
        model = f"refused: {error}"
    return page(
        request,
        "health",
        daemon=daemon(desk.link),
        cameras=list(_cameras(desk)) if has_log else [],
        account=_account(desk, checks is not None) if has_log else None,
        model=model,
        vocabulary=vocabulary,
        checks=list(doctor.quick(settings)) if checks is None else checks,
        is_whole=checks is not None,
        words=Words.of(desk),
    )


def daemon(link: DaemonLink | None) -> tuple[str, str]:
    """How the daemon is: good, warn or "" where that is not known, and in words."""
    if link is None:
        said = (
            "No daemon started this page, so it cannot tell whether one is running; "
            '"enabled = true" under [web] lets the daemon start it.'
        )
        return "", said
    state = link.state
    words = state.words if state else "It has said nothing yet."
    if state and state.waiting:
        words += f" ({counted(state.waiting, 'file')} waiting)"
    if link.is_hanging:
        return "warn", f"It has been silent for {link.silent_seconds:.0f} seconds. Last: {words}"
    return "good", words


def _cameras(desk: Desk) -> Iterator[Camera]:
    settings, now = desk.settings, desk.clock.now()
    limit = timedelta(hours=settings.alerts.stalled_hours)
    with FrameLog(settings.database) as frames, TagLog(settings.database) as tags:
        feeders = tags.feeder_states([one.name for one in settings.deployments], now)
        for one in settings.deployments:
            media_id, taken = frames.newest(one.name) or (None, None)
            yield Camera(
                one.name,
                media_id,
                taken,
                taken is None or now - taken > limit,
                feeders[one.name],
                one.zone,
            )


def _account(desk: Desk, is_whole: bool) -> Account:
    settings = desk.settings
    with FrameLog(settings.database) as frames:
        total = frames.total()
        lately = tuple(frames.counts(desk.clock.now() - LATELY).items())
    with JudgementLog.open(settings.database, desk.clock) as judgements:
        preparing = judgements.judgements(state=State.PREPARING)
    return Account(
        total,
        lately,
        sum(_size(settings, side) for side in ("", "-wal", "-shm")),
        _unseen(settings) if is_whole else 0,  # it goes through all embeddings
        tuple(one.description for one in preparing),
    )


def _unseen(settings: Settings) -> int:
    """Frames that only an earlier model has seen."""
    try:
        digest = open_bundle(settings).digest
    except FeederError:
        return 0
    with VerdictLog(settings.database, digest, Scope()) as log:
        return log.only_other_models() if log.has_other_models() else 0


def _size(settings: Settings, side: str) -> int:
    path = settings.database
    try:
        return path.with_name(path.name + side).stat().st_size
    except OSError:
        return 0
