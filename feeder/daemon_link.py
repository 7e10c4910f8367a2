"""How a companion hears of its daemon: a line now and then through its standard input."""

import json
import threading
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import IO, Any

from feeder.clock import Clock

SILENCE_SECONDS = 60.0
"""After so long without a word the daemon counts as hanging; it gives one every five seconds."""


@dataclass(frozen=True, slots=True)
class DaemonState:
    """How the daemon says it is: in words, and how many files it knows to be waiting."""

    words: str
    waiting: int

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


class DaemonLink:
    """Listens to the daemon from a thread of its own; `on_gone` is called there at its end."""

    def __init__(
        self, stream: IO[str], on_gone: Callable[[], None], clock: Clock | None = None
    ) -> None:
        self._stream = stream
        self._on_gone = on_gone
        self._clock = clock or Clock()
        self._heard_at = self._clock.monotonic()
        self._state: DaemonState | None = None
        threading.Thread(target=self._listen, name="daemon link", daemon=True).start()

    @property
    def state(self) -> DaemonState | None:
        """What was last heard; None before the first word."""
        return self._state

    @property
    def silent_seconds(self) -> float:
        """Since the last word, or since the beginning."""
        return self._clock.monotonic() - self._heard_at

    @property
    def is_hanging(self) -> bool:
        """Whether the daemon is there and says nothing."""
        return self.silent_seconds > SILENCE_SECONDS

    def _listen(self) -> None:
        for line in self._stream:
            try:
                heard = json.loads(line)
                self._state = DaemonState(str(heard["words"]), int(heard["waiting"]))
            except (ValueError, KeyError, TypeError):
                continue  # the first half of a line that was not taken
            self._heard_at = self._clock.monotonic()
        self._on_gone()
