"""`feeder run`: the daemon."""

import faulthandler
import logging
import sys
from functools import partial
from pathlib import Path

import click

from feeder import config
from feeder.cli.output import examples
from feeder.cli.run_output import Printer, greeting, line_of, log_to_stderr
from feeder.cli.stand_in import open_station_somehow
from feeder.cli.wiring import open_care, open_station, sole_writer
from feeder.clock import Clock
from feeder.config import Settings
from feeder.daemon import Daemon
from feeder.housekeeping import Housekeeping
from feeder.lesson_watch import LessonWatch
from feeder.model_watch import ModelWatch
from feeder.picture_log import PictureLog
from feeder.service_manager import notify
from feeder.timekeeping import Timekeeper

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
    logbook.on_commit = housekeeping.logged
    load = partial(open_station, logbook=logbook, on_recorded=housekeeping.met)
    station = open_station_somehow(settings, load)
    printer = Printer()
    printer.say(greeting(station))
    daemon = Daemon(
        station,
        logbook,
        load=lambda: load(config.load(path)),
        report=lambda frame, prediction, ms: printer.say(line_of(frame, prediction, ms)),
        timekeeper=timekeeper,
        on_restored=lambda done: housekeeping.restored(done.since),
    )
    daemon.chores = [
        lambda: housekeeping.turn(daemon.station.settings),
        ModelWatch(daemon, load),
        LessonWatch(daemon),
    ]
    daemon.run(once=once)
    housekeeping.finish(whole=once)


class _Waiting:
    """Says once what the start waits for, and goes on telling the service manager."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, what: str) -> None:
        if what != self._said:
            self._said = what
            log.error("%s; frames stay in their folders meanwhile", what)
        notify("READY=1", "WATCHDOG=1", f"STATUS={what}")
