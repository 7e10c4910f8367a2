"""What tells others of visits follows this: MQTT and messages to a phone."""

from typing import Protocol

from feeder.domain import Visit


class Announcer(Protocol):
    """Told of visits as `LiveVisits` says them; `turn` comes every second, `close` at the end.

    None of them raises for what the other side does wrong: it waits, and tries again.
    """

    def began(self, visit: Visit) -> None:
        """A visit is under way, and sure."""

    def ended(self, visit: Visit) -> None:
        """A visit is over."""

    def turn(self) -> None:
        """Does what is due."""

    def close(self) -> None:
        """Says good-bye and lets go."""
