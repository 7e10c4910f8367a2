"""`feeder announce`: visits told to home automation and to phones."""

import logging
import signal
import threading
from collections.abc import Sequence
from pathlib import Path

import click

from feeder import config
from feeder.alerts import Alerts
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
from feeder.query_terms import groups

log = logging.getLogger("feeder.announce")

TURN_SECONDS = 1.0
"""How often the log is looked at."""


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
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    link = link_to_daemon(attached, stop.set)
    announcers = _open(settings, link)
    if not announcers:
        raise FeederError(
            "Nobody is to be told.", "Set `broker` under [mqtt], or `send_to` under [alerts]."
        )
    try:
        _follow(settings, announcers, stop)
    finally:
        for one in announcers:
            one.close()


def _open(settings: Settings, link: DaemonLink | None) -> list[Announcer]:
    """Those that the settings ask for."""
    found: list[Announcer] = []
    if settings.alerts.send_to:
        found.append(Alerts.open(settings, known_vocabulary(settings), link))
    return found


def _follow(settings: Settings, announcers: Sequence[Announcer], stop: threading.Event) -> None:
    """Reads what the log gains and passes it on, until `stop` is set."""

    def began(visit: Visit) -> None:
        for one in announcers:
            one.began(visit)

    def ended(visit: Visit) -> None:
        for one in announcers:
            one.ended(visit)

    visits = LiveVisits(settings.database, began, ended)
    alike = groups(known_vocabulary(settings))
    with LogWatch(settings.database) as watch:
        while not stop.wait(TURN_SECONDS):
            try:
                if watch.changed():
                    visits.logged()
                if settings.database.exists():
                    visits.turn(settings.visits.gap, alike)
            except LogbookError as error:
                log.warning("the log cannot be read for now: %s", error)
            for one in announcers:
                one.turn()
