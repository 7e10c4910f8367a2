"""What looks after log and clock in tests that wire a daemon by hand."""

from datetime import timedelta
from pathlib import Path

from feeder.backup import Backups
from feeder.clock import Clock
from feeder.log_care import LogCare
from feeder.logbook import Logbook
from feeder.reserve import Reserve
from feeder.timekeeping import Timekeeper


def plain_care(database: Path, clock: Clock) -> LogCare:
    """No reserve and no backups by itself."""
    folder = database.parent
    backups = Backups(database, folder / "backups", keep=3)
    return LogCare(backups, Reserve(folder / "reserve", 0), timedelta(days=1), clock=clock)


def timekeeper_of(logbook: Logbook, clock: Clock) -> Timekeeper:
    """What follows the clock, as `feeder run` wires it."""
    return Timekeeper(clock, logbook.epochs(), logbook.append_epoch)
