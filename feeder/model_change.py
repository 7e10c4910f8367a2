"""The chore after a change of model: it sees the old pictures while no frame waits.

When it has seen them all, a process of its own judges them and puts that in force, so that the
history changes at once and no frame waits for it.
"""

import logging
import subprocess
from collections.abc import Callable, Sequence
from contextlib import ExitStack

from feeder.clock import Clock
from feeder.daemon import Station
from feeder.errors import LogbookError, LogDamaged
from feeder.judgement_log import JudgementLog, State, What
from feeder.log_file import BUSY_SECONDS
from feeder.reembed import Reembedding
from feeder.relabel import is_announced, sole_judge

log = logging.getLogger("feeder.model")

TURN_SECONDS = 0.5
"""How long a turn may take where no frame comes: the processor rests for as long between two."""

LOOK_AGAIN_SECONDS = 86_400.0
"""After a round that found nothing more: pictures may come back, with a disk or from a backup."""

AGAIN_SECONDS = 3600.0
"""Until a judging that failed is tried again."""

WAIT_SECONDS = 60.0
"""The same where the log or a folder cannot be had, or somebody judges by hand."""


class ModelChange:
    """Call `turn` between frames. `judge` is the command that judges what was seen, and exits."""

    def __init__(self, judge: Sequence[str], clock: Clock | None = None) -> None:
        self._judge = judge
        self._clock = clock or Clock()
        self._station: Station | None = None
        self._round: Reembedding | None = None
        self._open = ExitStack()
        self._judging: subprocess.Popen[bytes] | None = None
        self._not_before = 0.0
        self._said = ""

    def turn(self, station: Station) -> None:
        """Goes on for a moment with what is due on this station, unless a frame waits."""
        if station is not self._station:
            self.restart()
            self._station = station
        if self._judging is not None:
            self._await_judge(self._judging, station)
            return
        now = self._clock.monotonic()
        if now < self._not_before or not station.inbox.is_empty:
            return
        # A model that stands in for another for an hour needs no history of its own.
        if station.stands_in or not station.settings.model.embed_again:
            return
        try:
            with sole_judge(station.settings.database, patience=0):
                more = self._work(station, lambda: self._is_up(now, station))
            if not more and self._is_due(station):
                self._judging = subprocess.Popen(
                    self._judge, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
                )
        except LogDamaged:
            raise
        except (LogbookError, OSError) as error:
            self._say(f"the old pictures wait for the new model: {error}")
            self._not_before = now + WAIT_SECONDS

    def restart(self) -> None:
        """Begins anew: on other settings, another model, or another log."""
        self._open.close()
        self._round, self._station, self._not_before = None, None, 0.0

    def close(self) -> None:
        """Writes what was seen, and ends a judging under way, which begins anew next time."""
        if self._judging is not None:
            self._judging.kill()
            self._judging.wait()
            self._judging = None
        try:
            if self._round is not None:
                self._round.flush()
        except LogbookError as error:
            log.warning("the last pictures that the new model saw are seen again: %s", error)
        self.restart()

    def _is_up(self, began: float, station: Station) -> bool:
        return self._clock.monotonic() - began >= TURN_SECONDS or not station.inbox.is_empty

    def _work(self, station: Station, is_up: Callable[[], bool]) -> bool:
        """Sees pictures until the time is up; whether there may be more of them."""
        if self._round is None:
            self._round = self._open.enter_context(
                Reembedding.open(
                    station.settings, station.classifier, station.reader,
                    patience=BUSY_SECONDS, clock=self._clock,
                )
            )  # fmt: skip
        while not self._round.finished:
            self._round.step()
            if self._round.tally.seen:
                name = station.classifier.bundle.manifest.name
                self._say(f"the model {name} sees the old pictures while nothing else is to do")
            if is_up():
                return True
        return False

    def _is_due(self, station: Station) -> bool:
        """Whether what was seen is to be judged; says what this round has not seen."""
        assert self._round is not None
        self._not_before = self._clock.monotonic() + LOOK_AGAIN_SECONDS
        tally, name = self._round.tally, station.classifier.bundle.manifest.name
        self._open.close()
        self._round = None
        with JudgementLog.open(station.settings.database, patience=BUSY_SECONDS) as judgements:
            is_due = is_announced(judgements, station.classifier.bundle.digest)
        if is_due:
            self._say(
                f"the model {name} has seen the old pictures, and judges them; gone: {tally.gone},"
                f" not readable: {tally.unreadable}; those frames keep their verdicts"
            )
        return is_due

    def _await_judge(self, judging: "subprocess.Popen[bytes]", station: Station) -> None:
        status = judging.poll()
        if status is None:
            return
        self._judging = None
        name = station.classifier.bundle.manifest.name
        if status == 0:
            with JudgementLog.open(station.settings.database, patience=BUSY_SECONDS) as judgements:
                done = judgements.judgements(What.MODEL, state=State.IN_FORCE)
            log.info("the model %s has judged %d old frames", name, done[0].frames if done else 0)
        else:
            self._not_before = self._clock.monotonic() + AGAIN_SECONDS
            log.error("judging again failed (its reason is above); the next try is in an hour")

    def _say(self, what: str) -> None:
        """One line for each change of state, none for more of the same."""
        if what != self._said:
            self._said = what
            log.info(what)
