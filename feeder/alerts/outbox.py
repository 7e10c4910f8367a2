"""Sends what is in the outbox from a thread of its own, and again where a service did not take it.

Each service gets its messages in their order. After a failure it is left alone for a while, longer
each time; a message that a service has not taken for hours is dropped, and that is said.
"""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from feeder.alerts.state import AlertState, Message
from feeder.alerts.targets import Target
from feeder.clock import Clock
from feeder.errors import FeederError

log = logging.getLogger("feeder.alerts")

FIRST_WAIT, LONGEST_WAIT = 5.0, 600.0
"""Seconds until a service is tried again; twice as long each time, up to the longest."""

GIVE_UP = timedelta(hours=2)
"""After so long a message is not news any more."""

IDLE_SECONDS = 60.0
"""How long the thread sleeps at most."""

CLOSE_SECONDS = 3.0
"""How long a message that is being sent may hold up the end; it is sent again at the next start."""

Send = Callable[[Target, str, str, bytes | None], str]


class Outbox:
    """`step` sends what is due; after `start` a thread does, whenever it is woken.

    `targets` gives the services as they are now and what is wrong with others, `picture` a
    message's as a JPEG or None, `send` sends and says what kept it from that, "" for nothing.
    """

    def __init__(
        self,
        state: AlertState,
        targets: Callable[[], tuple[Sequence[Target], Sequence[FeederError]]],
        picture: Callable[[Message], bytes | None],
        send: Send,
        clock: Clock,
    ) -> None:
        self._state = state
        self._targets = targets
        self._picture = picture
        self._send = send
        self._clock = clock
        self._waits: dict[str, float] = {}
        self._not_before: dict[str, float] = {}
        self._said: set[str] = set()
        self._stopping = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)

    def start(self) -> None:
        """Begins to send."""
        self._thread.start()

    def check(self) -> None:
        """Raises RuntimeError where the thread has ended by a mistake in the program."""
        is_over = self._thread.ident is not None and not self._thread.is_alive()
        if is_over and not self._stopping.is_set():
            raise RuntimeError("the thread that sends messages has ended")

    def wake(self) -> None:
        """Says that there may be something to send."""
        self._news.set()

    def close(self) -> None:
        """Sends no more; what is left stays in the state."""
        self._stopping.set()
        self._news.set()
        if self._thread.is_alive():
            self._thread.join(CLOSE_SECONDS)

    def look(self) -> Sequence[Target]:
        """The services as they are now; says once what is wrong with others, which get nothing."""
        found, wrong = self._targets()
        for error in wrong:
            if str(error) not in self._said:
                log.error("nothing is sent there: %s %s", error, error.hint)
        self._said = set(map(str, wrong))
        return found

    def step(self) -> float:
        """Sends what is due; the seconds after which something else is."""
        with self._state.reading() as content:
            messages = list(content.outbox)
        targets = self.look() if messages else []
        if not targets:  # they wait until there is one
            return IDLE_SECONDS
        for message in messages:
            self._deliver(message, targets)
            if self._stopping.is_set():
                break
        now = self._clock.monotonic()
        return min([IDLE_SECONDS, *(at - now for at in self._not_before.values() if at > now)])

    def _run(self) -> None:
        wait = 0.0
        while not self._stopping.is_set():
            self._news.wait(wait)
            self._news.clear()
            if not self._stopping.is_set():
                wait = self.step()

    def _deliver(self, message: Message, targets: Sequence[Target]) -> None:
        """Sends one message to each service that has not taken it and is not left alone."""
        left = [one for one in targets if message.left is None or one.key in message.left]
        picture = _Once(lambda: self._picture(message))
        is_old = abs(self._clock.now() - message.made) > GIVE_UP
        for target in list(left):
            if self._stopping.is_set():
                return
            if is_old:
                log.error("a message was dropped: %s did not take it for hours", target.name)
            elif self._is_left_alone(target) or not self._taken(target, message, picture()):
                continue
            left.remove(target)
            self._note(message, left)
        if not left:
            self._note(message, [])

    def _is_left_alone(self, target: Target) -> bool:
        return self._not_before.get(target.key, 0.0) > self._clock.monotonic()

    def _taken(self, target: Target, message: Message, picture: bytes | None) -> bool:
        said = self._send(target, message.title, message.body, picture)
        if not said:
            if self._waits.pop(target.key, None):
                log.info("%s takes messages again", target.name)
            self._not_before.pop(target.key, None)
            return True
        last = self._waits.get(target.key)
        wait = min(2 * last, LONGEST_WAIT) if last else FIRST_WAIT
        self._waits[target.key] = wait
        self._not_before[target.key] = self._clock.monotonic() + wait
        if last is None:
            log.warning("%s did not take a message (%s); it is tried again", target.name, said)
        return False

    def _note(self, message: Message, left: Sequence[Target]) -> None:
        """Notes at once who has still to take it: after a kill it is sent to nobody else."""
        keys = tuple(target.key for target in left)
        with self._state.changing() as content:
            content.outbox = [
                replace(one, left=keys) if one.number == message.number else one
                for one in content.outbox
                if one.number != message.number or keys
            ]


class _Once:
    """A picture that is read when it is first wanted."""

    def __init__(self, read: Callable[[], bytes | None]) -> None:
        self._read = read
        self._found: list[bytes | None] = []

    def __call__(self) -> bytes | None:
        if not self._found:
            self._found.append(self._read())
        return self._found[0]
