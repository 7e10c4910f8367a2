"""A computer whose clock may be wrong, in place of the one the tests run on."""

from dataclasses import dataclass
from datetime import UTC, datetime

from feeder.clock import Clock


@dataclass
class Computer:
    """A computer without a battery clock: `true` time passes, and its wall clock shows another.

    Times are Unix time in seconds; `early` is the offset that its service manager read.
    """

    true: float
    boots: int = 0
    started: float = 0.0
    offset: float = 0.0
    synchronised: bool | None = False
    synchronised_at: float | None = None
    battery: float | None = None
    early: float | None = None

    @property
    def since(self) -> float:
        """Seconds since it booted."""
        return self.true - self.started

    @property
    def wall(self) -> float:
        """What its clock shows."""
        return self.since + self.offset

    def boot(self, wall: float) -> None:
        """It starts, with some time or other."""
        self.boots += 1
        self.started = self.true
        self.offset = max(0.0, wall)
        self.synchronised, self.early = False, None

    def step(self, seconds: float) -> None:
        """Somebody sets the clock, which tells the kernel that it knows nothing."""
        self.offset = max(0.0, self.offset + seconds)  # Linux refuses a time before its boot
        self.synchronised = False

    def synchronise(self) -> None:
        """The network sets the clock."""
        self.offset = self.started
        self.synchronised = True

    @property
    def clock(self) -> Clock:
        """The clock to hand to the code under test."""
        return Clock(
            now=lambda: datetime.fromtimestamp(self.wall, UTC),
            monotonic=lambda: self.since,
            since_boot=lambda: self.since,
            boot_id=lambda: f"boot {self.boots}",
            synchronised=lambda: self.synchronised,
            synchronised_at=lambda: self.synchronised_at,
            battery=lambda: self.battery,
            early_offset=lambda: self.early,
        )
