"""`feeder run`: the daemon."""

import faulthandler
import logging
import sys
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from feeder import config
from feeder.backup import Restored
from feeder.cli.output import examples
from feeder.cli.run_output import (
    Printer,
    began_line,
    ended_line,
    greeting,
    line_of,
    log_to_stderr,
)
from feeder.cli.stand_in import open_station_somehow
from feeder.cli.wiring import open_care, open_station, sole_writer
from feeder.clock import Clock
from feeder.companions import Companions
from feeder.config import Settings
from feeder.daemon import Chore, Daemon, Station
from feeder.deployment_log import unmatched
from feeder.domain import SettledPath, Visit
from feeder.housekeeping import Housekeeping
from feeder.lesson_watch import LessonWatch
from feeder.live_visits import LiveVisits
from feeder.model_change import ModelChange
from feeder.model_watch import ModelWatch
from feeder.picture_log import PictureLog
from feeder.service_manager import notify
from feeder.timekeeping import Timekeeper
from feeder.visits import Groups

log = logging.getLogger("feeder.cli")


@click.command(
    epilog=examples(
        "feeder run                         # until Ctrl-C or SIGTERM",
        "feeder run --once                  # what is in the folders now, then exit",
        "feeder --config ~/feeder/config.toml run",
    )
)
@click.option("--once", is_flag=True, help="Classify what is in the folders, then exit.")
@click.pass_obj
def run(path: Path, once: bool) -> None:
    """Watches the drop folders and logs every frame.

    SIGTERM and Ctrl-C finish the frame and commit; SIGHUP reads the settings again.
    """
    log_to_stderr()
    # systemd ends a daemon that hangs by SIGABRT: the journal then says where it hung.
    faulthandler.enable(sys.__stderr__ or 2)
    settings = config.load(path)
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    # Before the log is opened: a newer release must not migrate it under a running daemon.
    with sole_writer(settings):
        _serve(path, settings, once=once)


def _serve(path: Path, settings: Settings, *, once: bool) -> None:
    """Runs the daemon on these settings, and at the end puts away what it logged last."""
    care = open_care(settings)
    logbook = care.open(_Waiting())
    timekeeper = Timekeeper(Clock(), logbook.epochs(), logbook.append_epoch)
    housekeeping = Housekeeping(
        settings,
        PictureLog.open(settings.database),
        clock_is_trusted=timekeeper.is_trusted,
    )
    if care.restored is not None:
        housekeeping.restored(care.restored.since)
    model_change = ModelChange(
        [sys.executable, "-m", "feeder", "--config", str(path), "relabel", "--seen", "--json"]
    )
    companions = Companions(path)
    printer = Printer()
    live = LiveVisits(
        settings.database,
        began=lambda visit: printer.say(began_line(visit, zone_of(visit))),
        ended=lambda visit: printer.say(ended_line(visit, zone_of(visit))),
    )

    def on_commit(sources: Sequence[SettledPath]) -> None:
        housekeeping.logged(sources)
        live.logged()

    def on_restored(done: Restored) -> None:
        housekeeping.restored(done.since)
        model_change.restart()
        live.restored()
        companions.restart()

    logbook.on_commit = on_commit
    load = partial(open_station, logbook=logbook, on_recorded=housekeeping.met)

    def reloaded() -> Station:
        again = config.load(path)
        _warn_of_names(again)
        return load(again)

    _warn_of_names(settings)
    station = open_station_somehow(settings, load)
    printer.say(greeting(station))
    daemon = Daemon(
        station,
        logbook,
        load=reloaded,
        report=lambda frame, prediction, ms: printer.say(line_of(frame, prediction, ms)),
        timekeeper=timekeeper,
        on_restored=on_restored,
    )

    def zone_of(visit: Visit) -> ZoneInfo | None:
        deployments = daemon.station.settings.deployments
        return next((one.zone for one in deployments if one.name == visit.deployment), None)

    def terms() -> tuple[timedelta, Groups]:
        """What a visit is now; a reload may change it."""
        return daemon.station.settings.visits.gap, daemon.station.classifier.choices.members

    chores: list[Chore] = [
        lambda: housekeeping.turn(daemon.station.settings),
        ModelWatch(daemon, load),
        LessonWatch(daemon),
        lambda: live.turn(*terms()),
        lambda: model_change.turn(daemon.station),
    ]
    if not once:
        chores.append(lambda: companions.turn(daemon.station.settings, daemon.state()))
    daemon.chores = chores
    try:
        daemon.run(once=once)
        if once:
            live.finish(*terms())
    finally:
        companions.close()
        model_change.close()
    housekeeping.finish(whole=once)


def _warn_of_names(settings: Settings) -> None:
    """Says so where a camera may have got another name in the settings alone."""
    found = unmatched(settings.database, [one.name for one in settings.deployments])
    if found.may_be_renamed:
        log.warning("%s %s", found, found.mend)


class _Waiting:
    """Says once what the start waits for, and goes on telling the service manager."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, what: str) -> None:
        if what != self._said:
            self._said = what
            log.error("%s; frames stay in their folders meanwhile", what)
        notify("READY=1", "WATCHDOG=1", f"STATUS={what}")
