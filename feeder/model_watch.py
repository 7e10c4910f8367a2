"""A chore: takes up the configured model when its folder holds another one, and holds it whole.

It looks at the manifest and its checksum alone as long as they are the running model's. Otherwise
it waits until the folder's files stand still and then loads the station anew. Whatever order they
are copied in: loading compares every byte with the manifest it has read, so that a folder that is
half old and half new is refused, and the model that runs goes on.
"""

import hashlib
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from feeder import bundle as bundles
from feeder.bundle import sealed_manifest
from feeder.config import Settings
from feeder.daemon import Daemon, Station
from feeder.errors import BundleError, FeederError

log = logging.getLogger("feeder.model")

LOOK_SECONDS = 2.0
"""Between two looks at the folder; a change is tried when two looks find the same."""

RETRY_SECONDS = 60.0
"""Until a refused folder in which nothing changes is tried again, twice as long each time, ..."""

MAX_RETRY_SECONDS = 3600.0
"""... up to this: what may pass by itself is a read error, or want of memory."""

_Stamps = tuple[tuple[str, int, int, int, int], ...]
"""Each file's name, inode, size, mtime and ctime."""


@dataclass
class ModelWatch:
    """Watches the folder of `daemon`'s configured model; `load` wires a station on it, or raises.

    The daemon's own settings are used, not the file's: that is what SIGHUP is for.
    """

    daemon: Daemon
    load: Callable[[Settings], Station]
    _look_at: float = field(default=0.0, init=False)
    _seen: _Stamps | None = field(default=None, init=False)
    _refused: _Stamps | None = field(default=None, init=False)
    _retry_at: float = field(default=0.0, init=False)
    _retry_after: float = field(default=RETRY_SECONDS, init=False)
    _said: set[str] = field(default_factory=set, init=False)

    def __call__(self) -> None:
        """Looks, if it is time, and at most once in a while loads."""
        now = self.daemon.clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        settings, bundle = self.daemon.station.settings, self.daemon.station.classifier.bundle
        try:
            folder = bundles.find(settings.bundle_name, settings.model_folders)
            digest = hashlib.sha256(sealed_manifest(folder)).hexdigest()
        except (BundleError, OSError) as error:
            self._seen = None
            self._wait(str(error))
            return
        if digest == bundle.digest and not self.daemon.station.stands_in:
            self._be_content()
            return
        before, self._seen = self._seen, _stamps(folder)
        if self._seen is None or self._seen != before:
            if before is not None:
                self._wait("its files are still changing")
        elif self._seen != self._refused or now >= self._retry_at:
            self._try(now)

    def _try(self, now: float) -> None:
        settings = self.daemon.station.settings
        try:
            replacement = self.load(settings)
        except (FeederError, OSError, MemoryError) as error:
            longer = min(self._retry_after * 2, MAX_RETRY_SECONDS)
            self._retry_after = longer if self._seen == self._refused else RETRY_SECONDS
            self._refused, self._retry_at = self._seen, now + self._retry_after
            if isinstance(error, BundleError):
                self._wait(str(error))
            else:
                hint = error.hint if isinstance(error, FeederError) else ""
                self._say(f"the model {settings.bundle_name} cannot be taken up: {error} {hint}")
        else:
            self.daemon.adopt(replacement)
            self._forget()
            log.info("the model %s is whole, and judges from here on", settings.bundle_name)

    def _wait(self, reason: str) -> None:
        name = self.daemon.station.settings.bundle_name
        self._say(f"waiting for the model {name} to be whole: {reason}")

    def _say(self, notice: str) -> None:
        """Says each thing once, and the last in the service's state as long as it holds."""
        station = self.daemon.station
        if notice not in self._said:
            self._said.add(notice)
            log.warning(notice)
        if station.stands_in:
            notice = f"{station.classifier.bundle.manifest.name} stands in; {notice}"
        self.daemon.tell(notice)

    def _be_content(self) -> None:
        if self._said:
            name = self.daemon.station.classifier.bundle.manifest.name
            log.info("the model %s is whole again", name)
            self.daemon.tell("")
            self._forget()

    def _forget(self) -> None:
        self._seen = self._refused = None
        self._said.clear()


def _stamps(folder: Path) -> _Stamps | None:
    """What a write to any file below `folder` changes; None where one is gone meanwhile."""
    try:
        found = [(path, path.stat()) for path in sorted(folder.rglob("*"))]
    except OSError:
        return None
    return tuple(
        (str(path), at.st_ino, at.st_size, at.st_mtime_ns, at.st_ctime_ns) for path, at in found
    )
