"""The sign of life: given only while each part of the daemon gets on with what it owes.

A daemon that hangs looks alive to everyone but its user: a scan on a file server that went away,
a frame that never ends, a disk that takes no more. Each part says since when it owes progress;
one that owes it for too long is named in the log, the sign is withheld, and the service manager
starts the daemon again.
"""

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from feeder.clock import Clock
from feeder.service_manager import notify, watchdog_seconds

log = logging.getLogger("feeder.sign_of_life")

NOTHING_OWED = float("inf")

WATCHDOG_SECONDS = 120.0
"""What systemd allows by the unit that `feeder service install` writes."""

MEANWHILE = "the service manager hears no sign of life until it does, and may start anew"

LOOK_SECONDS = 5.0
"""Seconds between two looks at most: so old is the state that `systemctl status` shows."""


@dataclass
class SignOfLife:
    """Looks at the parts from a thread of its own, which goes on where the loop hangs.

    `parts` maps a part's name to the monotonic second since when it owes progress, infinite where
    it owes none. A part is late when that is more than half of what the service manager allows
    ago: 60 s in the shipped unit. Of several that are late at once the first is named. `status`
    is the daemon's state in words.
    """

    parts: Mapping[str, Callable[[], float]]
    status: Callable[[], str]
    clock: Clock
    allowed: float = field(default_factory=lambda: (watchdog_seconds() or WATCHDOG_SECONDS) / 2)
    _late: str = field(default="", init=False)
    _ended: threading.Event = field(default_factory=threading.Event, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)

    def start(self) -> None:
        """Begins to look, until `stop`."""
        self._thread = threading.Thread(target=self._run, name="sign of life", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Looks no more."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()

    def look(self) -> bool:
        """Gives the sign where no part is late, and returns whether it did; says each change."""
        now = self.clock.monotonic()
        late = [part for part, since in self.parts.items() if now - since() > self.allowed]
        # All share a thread, so that the one which hangs makes the others late in time.
        said = self._late if self._late in late else next(iter(late), "")
        if self._late and self._late not in late:
            log.info("%s gets on again", self._late)
        if said and said != self._late:
            log.error("%s has made no progress for over %g s; %s", said, self.allowed, MEANWHILE)
        self._late = said
        if said:
            notify(f"STATUS={said} makes no progress; {self.status()}")
        else:
            notify("WATCHDOG=1", f"STATUS={self.status()}")
        return not said

    def _run(self) -> None:
        while not self._ended.wait(min(LOOK_SECONDS, self.allowed / 4)):
            self.look()
