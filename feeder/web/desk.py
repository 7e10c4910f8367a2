"""What every page and every answer is made from."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import Depends, Request

from feeder import query_terms
from feeder.classifier import Classifier
from feeder.clock import Clock
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.sighting_log import SightingLog
from feeder.visits import Groups
from feeder.vocabulary import Vocabulary

AGAIN_SECONDS = 60.0
"""How long a vocabulary that is refused is left alone: every page asks for it."""


@dataclass
class Desk:
    """The settings and what they name. It may be asked from several threads at once.

    `load_vocabulary` gives None where the vocabulary is refused: the log can be read without it.
    `link` is None where no daemon started this process. Every request opens the log for itself.
    """

    settings: Settings
    load_vocabulary: Callable[[Settings], Vocabulary | None]
    load_classifier: Callable[[Settings], Classifier]
    clock: Clock = field(default_factory=Clock)
    link: DaemonLink | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    # One of its own: a large model takes a small computer long, and every page asks for labels.
    _loading: threading.Lock = field(default_factory=threading.Lock, init=False)
    _vocabulary: Vocabulary | None = field(default=None, init=False)
    _vocabulary_of: object = field(default=None, init=False)
    _again_at: float = field(default=float("-inf"), init=False)
    _classifier: Classifier | None = field(default=None, init=False)
    _classifier_of: object = field(default=None, init=False)

    @property
    def log(self) -> SightingLog:
        """The log's sightings, on connections that cannot write."""
        return SightingLog(self.settings.database)

    @property
    def vocabulary(self) -> Vocabulary | None:
        """The labels as they are now; read again where the user's own have changed, and now and
        then where they are refused."""
        with self._lock:
            files, now = self.labels_stamp, self.clock.monotonic()
            is_refused = self._vocabulary is None and now >= self._again_at
            if files != self._vocabulary_of or is_refused:
                self._vocabulary = self.load_vocabulary(self.settings)
                self._vocabulary_of = files
                self._again_at = now + AGAIN_SECONDS
            return self._vocabulary

    @property
    def classifier(self) -> Classifier:
        """What judges an upload, loaded when it is first wanted, and kept: the next upload should
        not wait as long. Raises as its loading does."""
        with self._loading:
            files = self.labels_stamp
            if files != self._classifier_of or self._classifier is None:
                self._classifier = self.load_classifier(self.settings)
                self._classifier_of = files
            return self._classifier

    @property
    def labels_stamp(self) -> object:
        """Another one when the user's own labels have changed."""
        return _stamp(self.settings.own_labels)

    @property
    def groups(self) -> Groups:
        """Labels that count as one visit, as the vocabulary groups them."""
        return query_terms.groups(self.vocabulary)

    @property
    def zones(self) -> dict[str, ZoneInfo | None]:
        """The time zone of each camera, configured now or in the log."""
        configured = {one.name: one.zone for one in self.settings.deployments}
        known = self.log.zones() if self.settings.database.exists() else {}
        return {**known, **configured}

    @property
    def zone(self) -> ZoneInfo | None:
        """The time zone that days are counted in where no camera is chosen: the first one's."""
        return self.settings.deployments[0].zone


def _stamp(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


async def _of(request: Request) -> Desk:  # no thread is worth taking for it
    desk = request.app.state.desk
    assert isinstance(desk, Desk)
    return desk


TheDesk = Annotated[Desk, Depends(_of)]
"""A route's parameter of this type is the app's desk."""
