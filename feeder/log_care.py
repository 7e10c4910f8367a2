"""Keeps the log openable: a reserve for full disks, daily backups, a way back from damage."""

import logging
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from feeder.backup import Backups, Restored
from feeder.clock import Clock
from feeder.errors import LogDamaged, LogUnavailable
from feeder.logbook import Logbook
from feeder.reserve import Reserve
from feeder.salvage import salvage

log = logging.getLogger("feeder.log")

DAMAGED_EXIT = 3
"""The exit status by which `feeder backup` says that the log itself is not sound."""

RETRY_SECONDS = 5.0

LOOK_SECONDS = 60.0
"""How often it is looked whether a backup is due and whether the reserve can be held again."""

PAUSE_SECONDS = 3600.0
"""How long after a backup that failed the next one is tried."""


@dataclass
class LogCare:
    """Looks after one log; called between frames.

    `backup_command` makes one backup and exits: a process of its own neither delays a frame nor
    keeps the daemon from stopping. None makes no backups by itself.
    """

    backups: Backups
    reserve: Reserve
    every: timedelta
    backup_command: Sequence[str] | None = None
    clock: Clock = field(default_factory=Clock)
    restored: Restored | None = field(default=None, init=False)
    """What was done last about a damaged log, if anything."""

    _backup: "subprocess.Popen[bytes] | None" = field(default=None, init=False)
    _look_at: float = field(default=0.0, init=False)
    _not_before: float = field(init=False)

    def __post_init__(self) -> None:
        # A start has enough to do.
        self._not_before = self.clock.monotonic() + LOOK_SECONDS

    def open(self, waiting: Callable[[str], None]) -> Logbook:
        """The log, restored where it is damaged; waits as long as the disk is full or it is locked.

        `waiting` is told each second in words what it waits for.
        """
        while True:
            try:
                return Logbook.open(self.backups.database, self.clock)
            except LogDamaged as damage:
                self._replace(damage)
            except LogUnavailable as trouble:
                if trouble.full and self.reserve.release():
                    continue
                waiting(str(trouble))
                time.sleep(1)

    def recover(self, logbook: Logbook, damage: LogDamaged) -> Restored:
        """Goes on with the newest sound backup; what is pending stays so.

        Frames that are still in their folders and not in the backup are read again, since its
        ledger does not know them. Raises LogUnavailable where that has to wait.
        """
        logbook.let_go()
        done = self._replace(damage)
        logbook.reopen()
        return done

    def __call__(self) -> None:
        """Holds the reserve and makes the daily backup. LogDamaged where that finds damage."""
        if self._backup is not None:
            self._finish()
            return
        now = self.clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        self.reserve.hold()
        if self.backup_command is not None and now >= self._not_before and self._is_due():
            self._backup = subprocess.Popen(
                self.backup_command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
            )

    def close(self) -> None:
        """Ends a backup under way; what it had written is removed by the next."""
        if self._backup is not None:
            self._backup.kill()
            self._backup.wait()
            self._backup = None

    def _is_due(self) -> bool:
        newest = next(iter(self.backups.listed()), None)
        if newest is None:
            return True
        # A backup from the future was made while the clock was wrong: it says nothing.
        age = self.clock.now() - newest.made_at
        return not timedelta() <= age < self.every and not self.backups.is_current()

    def _finish(self) -> None:
        assert self._backup is not None
        status = self._backup.poll()
        if status is None:
            return
        self._backup = None
        if status == DAMAGED_EXIT:
            raise LogDamaged(f"The log {self.backups.database} did not pass its backup's check.")
        if status == 0:
            log.info("backed up the log to %s", self.backups.listed()[0].path)
        else:
            self._not_before = self.clock.monotonic() + PAUSE_SECONDS
            log.error("the backup failed (its reason is above); the next try is in an hour")

    def _replace(self, damage: LogDamaged) -> Restored:
        log.error("%s", damage)
        done = self.restored = self.backups.restore(self.clock.now())
        what = f"the backup {done.copy}" if done.copy else "an empty log (there is no sound backup)"
        log.error("the damaged log was set aside as %s; going on with %s", done.aside, what)
        if done.aside is not None:
            try:
                saved = salvage(done.aside, self.backups.database)
            except LogUnavailable as trouble:
                log.error("nothing newer was saved from it: %s", trouble)
            else:
                log.error("%d newer frames were saved from it", saved)
        log.error("frames that are still in their folders and not in the log are read again")
        return done
