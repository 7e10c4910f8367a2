"""What is wrong with the feeder now, as far as the log and the daemon tell."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from feeder.alerts.alert_log import AlertLog
from feeder.alerts.rules import Sort
from feeder.clock import Clock
from feeder.daemon_link import DaemonLink
from feeder.log_file import NO_ROOM

GRACE = timedelta(minutes=15)
"""How long cameras have to send something after a start: the computer may have been off."""

HANGING_SECONDS = 120.0
"""How long the daemon says nothing before that is told: reading labels anew takes a while, too."""

FULL_SECONDS = 120.0
"""How long the disk is full before that is told: retention may make room."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something wrong: its key, and what is said when it begins; `camera` has its hours.

    `over` is said once it is over, "" for nothing: who filled the feeder knows.
    """

    key: str
    sort: Sort
    camera: str
    title: str
    body: str
    over: str = ""


def empty(camera: str) -> Trouble:
    """The trouble of an empty feeder."""
    title = f"The feeder at {camera} looks empty"
    return Trouble(f"empty {camera}", Sort.EMPTY, camera, title, "Its last pictures show no food.")


class Watch:
    """Looks whether frames come, and whether the daemon gets on; `hours` without are too many."""

    def __init__(
        self, cameras: tuple[str, ...], hours: float, link: DaemonLink | None, clock: Clock
    ) -> None:
        self._cameras = cameras
        self._most = timedelta(hours=hours)
        self._link = link
        self._clock = clock
        self._began = clock.monotonic()
        self._full_since: float | None = None

    def silent(self, log: AlertLog, watched_since: Mapping[str, datetime]) -> dict[str, bool]:
        """Of each camera whether it has sent nothing for too long, if that can be told now.

        A camera without a frame counts from when it was first watched.
        """
        if self._clock.monotonic() - self._began < min(GRACE, self._most).total_seconds():
            return {}
        since = self._clock.now() - self._most
        last = log.last_received(self._cameras, since)
        return {
            camera: camera not in last and watched_since[camera] < since for camera in self._cameras
        }

    def stalled(self, camera: str) -> Trouble:
        """The trouble of a camera that sends nothing."""
        hours = self._most.total_seconds() / 3600
        body = f"No new frame for more than {hours:g} h: camera, power, network or folder?"
        title, over = f"No pictures from {camera}", f"Pictures come from {camera} again"
        return Trouble(f"silent {camera}", Sort.STALLED, camera, title, body, over)

    def daemon(self) -> dict[Trouble, bool]:
        """What the daemon may suffer from and whether it does, as far as that is known."""
        if self._link is None:
            return {}
        camera = self._cameras[0]
        hanging = Trouble(
            "hanging", Sort.STALLED, camera, "The feeder hangs",
            "The program makes no progress; nothing is logged. Restart it if it stays so.",
            "The feeder gets on again",
        )  # fmt: skip
        full = Trouble(
            "full", Sort.STALLED, camera, "The feeder's disk is full",
            "Frames wait in their folders, and nothing is logged until there is room.",
            "The feeder's disk has room again",
        )  # fmt: skip
        hangs = self._link.is_hanging and self._link.silent_seconds > HANGING_SECONDS
        found = {hanging: hangs}
        state = self._link.state
        if state is not None and NO_ROOM in state.words:
            now = self._clock.monotonic()
            self._full_since = now if self._full_since is None else self._full_since
            if now - self._full_since >= FULL_SECONDS:
                found[full] = True
        elif state is not None:
            self._full_since = None
            found[full] = False
        return found
