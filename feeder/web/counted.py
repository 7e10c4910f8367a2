"""The thread that keeps the tally up to the log, and what pages ask of it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from feeder import counting
from feeder.clock import Clock
from feeder.counting import Terms
from feeder.errors import FeederError
from feeder.sighting_log import SightingLog
from feeder.tally import Tally

log = logging.getLogger("feeder.web")

REST = 20.0
"""Times as long as the last turn took, the next waits: today's visits are counted again with each
new frame, and the computer has other things to do."""
SHORTEST_REST, LONGEST_REST = 5.0, 60.0
"""Seconds."""
AGAIN_SECONDS = 10.0
"""How long a log that cannot be read is left alone."""
PATIENCE = 0.5
"""Seconds a page waits for what has just changed to be counted."""


@dataclass
class _Progress:
    begun: int = 0
    complete: int = 0
    asked: int = 0


class Counter:
    """Counts the visits of `sightings` into `tally` while the server runs."""

    def __init__(
        self,
        sightings: Callable[[], SightingLog],
        tally: Tally,
        terms: Callable[[], Terms],
        clock: Clock,
    ) -> None:
        self.tally = tally
        self._sightings = sightings
        self._terms = terms
        self._clock = clock
        self._over = False
        self._progress = _Progress()
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="visit counter", daemon=True)

    @property
    def has_counted(self) -> bool:
        """Whether everything was counted once, so that only the newest may be missing."""
        return self._progress.complete > 0

    def start(self) -> None:
        """Begins."""
        self._thread.start()

    def close(self) -> None:
        """Ends after the days it counts at this moment."""
        with self._changed:
            self._over = True
            self._changed.notify_all()
        self._thread.join()

    def caught_up(self, patience: float = PATIENCE) -> bool:
        """Whether the tally holds what the log held at this call; waits so many seconds for it."""
        with self._changed:
            wanted = self._progress.asked = self._progress.begun + 1
            self._changed.notify_all()
            return self._changed.wait_for(
                lambda: self._over or self._progress.complete >= wanted, patience
            )

    def _run(self) -> None:
        while not self._over:
            began = self._clock.monotonic()
            with self._changed:
                self._progress.begun += 1
                this = self._progress.begun
            try:
                is_complete = self._turn()
                pause = REST * (self._clock.monotonic() - began)
                pause = min(max(pause, SHORTEST_REST), LONGEST_REST)
            except FeederError as error:
                log.warning("visits are not counted for now: %s", error)
                is_complete, pause = False, AGAIN_SECONDS
            with self._changed:
                if is_complete:
                    self._progress.complete = this
                    self._changed.notify_all()
                self._changed.wait_for(self._is_wanted, pause)

    def _is_wanted(self) -> bool:
        return self._over or self._progress.asked > self._progress.begun

    def _turn(self) -> bool:
        """Counts all that is due; False where it is broken off, or there is no log yet."""
        self.tally.prepare()
        sightings, terms = self._sightings(), self._terms()
        if not sightings.path.exists():
            return False
        counting.look(sightings, self.tally, terms)
        began = self._clock.monotonic()
        while counting.work(sightings, self.tally, terms):
            took = self._clock.monotonic() - began
            with self._changed:
                # A long history leaves the pages their share of the processor.
                if self._changed.wait_for(lambda: self._over, took):
                    return False
            counting.look(sightings, self.tally, terms)
            began = self._clock.monotonic()
        return True
