"""An announcer on a log of a test's own."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from feeder import config
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.mqtt.mqtt import Mqtt
from tests.broker import Listener, until
from tests.conftest import FakeClock

ZONE = "Europe/Dublin"


def configured(
    root: Path, port: int, *lines: str, cameras: tuple[str, ...] = ("garden",)
) -> Settings:
    """Settings with these cameras, and these lines under [mqtt]."""
    text = "".join(
        f'[[deployment]]\nname = {json.dumps(name)}\nfolder = "camera{number}"\n'
        f'timezone = "{ZONE}"\n'
        for number, name in enumerate(cameras)
    )
    text += f'[logbook]\nfile = "feeder.db"\n[mqtt]\nbroker = "127.0.0.1"\nport = {port}\n'
    path = root / "config.toml"
    path.write_text(text + "\n".join(lines) + "\n", encoding="utf-8")
    return config.load(path)


class Told:
    """An announcer on a log, with a clock that stands still: `turn` until something `happened`."""

    def __init__(self, settings: Settings, time: FakeClock, link: DaemonLink | None = None) -> None:
        self.time = time
        self.mqtt = Mqtt(settings, link, {}, time.clock)

    def until(self, happened: Callable[[], bool], what: object = "") -> None:
        def turned() -> bool:
            self.time.advance(1)
            self.mqtt.turn()
            return happened()

        until(turned, what)


@contextmanager
def told(settings: Settings, time: FakeClock, link: DaemonLink | None = None) -> Iterator[Told]:
    """An announcer that says good-bye at the end."""
    made = Told(settings, time, link)
    try:
        yield made
    finally:
        made.mqtt.close()


def seen_by(listener: Listener, *topics: str) -> Callable[[], bool]:
    """Whether all these topics have had a message."""
    return lambda: all(topic in listener.latest for topic in topics)
