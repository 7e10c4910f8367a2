"""`feeder announce`: visits told to home automation and to phones."""

import logging
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import click
from filelock import FileLock, Timeout

from feeder import config
from feeder.alerts.alerts import Alerts
from feeder.announcer import Announcer
from feeder.cli.attached import attached_option, link_to_daemon
from feeder.cli.output import examples
from feeder.cli.run_output import log_to_stderr
from feeder.cli.selection import known_vocabulary
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.domain import Visit
from feeder.errors import FeederError, LogbookError
from feeder.live_visits import LiveVisits
from feeder.log_watch import LogWatch
from feeder.mqtt.mqtt import Mqtt
from feeder.query_terms import groups
from feeder.visit_memory import VisitMemory
from feeder.visits import Groups
from feeder.vocabulary import Vocabulary

log = logging.getLogger("feeder.announce")

TURN_SECONDS = 1.0
"""How often the log is looked at."""

LEAVING_SECONDS = 10.0
"""How long one that is just ending is waited for."""


@click.command(epilog=examples("feeder announce"))
@attached_option
@click.pass_obj
def announce(path: Path, attached: bool) -> None:
    """Tells of visits as [mqtt] and [alerts] in config.toml say, until Ctrl-C.

    The daemon does so by itself where either is set.
    """
    log_to_stderr()
    settings = config.load(path)
    stop = threading.Event()
    link = link_to_daemon(attached, stop.set)
    vocabulary = known_vocabulary(settings)
    with _sole_announcer(settings):
        announcers = _open(settings, vocabulary, link)
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stop.set())
        try:
            _follow(settings, announcers, groups(vocabulary), stop)
        finally:
            for one in announcers:
                one.close()


@contextmanager
def _sole_announcer(settings: Settings) -> Iterator[None]:
    """Held by the one program that tells of this log; FeederError for a second."""
    database = settings.database
    database.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(database.with_name(f"{database.name}.announce.lock"))
    try:
        held = lock.acquire(timeout=LEAVING_SECONDS)
    except Timeout:
        raise FeederError(
            f"Another feeder already tells of {database}.",
            "The daemon does so by itself where [mqtt] or [alerts] is set.",
        ) from None
    with held:
        yield


Opening = Callable[[Settings, Vocabulary | None, DaemonLink | None], Announcer | None]


def _mqtt(
    settings: Settings, vocabulary: Vocabulary | None, link: DaemonLink | None
) -> Announcer | None:
    if settings.mqtt.broker is None:
        return None
    return Mqtt(settings, link, groups(vocabulary))


def _alerts(
    settings: Settings, vocabulary: Vocabulary | None, link: DaemonLink | None
) -> Announcer | None:
    if not settings.alerts.send_to:
        return None
    return Alerts.open(settings, vocabulary, link)


_OPENINGS: tuple[Opening, ...] = (_mqtt, _alerts)
"""Each gives an announcer where the settings ask for it, else None."""


def _open(
    settings: Settings, vocabulary: Vocabulary | None, link: DaemonLink | None
) -> list[Announcer]:
    """Those that the settings ask for; one that cannot be had keeps no other from telling."""
    found: list[Announcer] = []
    trouble: FeederError | None = None
    for opening in _OPENINGS:
        try:
            one = opening(settings, vocabulary, link)
        except FeederError as error:
            log.error("%s %s", error, error.hint)
            trouble = error
        else:
            found += [one] if one is not None else []
    if not found:
        raise trouble or FeederError(
            "Nobody is to be told.", "Set `broker` under [mqtt], or `send_to` under [alerts]."
        )
    return found


def _follow(
    settings: Settings, announcers: Sequence[Announcer], alike: Groups, stop: threading.Event
) -> None:
    """Reads what the log gains and passes it on, until `stop` is set."""

    def began(visit: Visit) -> None:
        for one in announcers:
            one.began(visit)

    def ended(visit: Visit) -> None:
        for one in announcers:
            one.ended(visit)

    database = settings.database
    memory = VisitMemory(database.with_name(f"{database.name}.announced"))
    visits = LiveVisits(database, began, ended, memory=memory)
    trouble = ""
    with LogWatch(database) as watch:
        while not stop.wait(TURN_SECONDS):
            try:
                if watch.changed():
                    visits.logged()
                if watch.was_replaced:
                    visits.restored()
                if watch.is_there:
                    visits.turn(settings.visits.gap, alike)
                trouble = ""
            except LogbookError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    log.warning("the log cannot be read for now: %s %s", error, error.hint)
            for one in announcers:
                one.turn()
