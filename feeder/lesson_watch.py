"""A chore: what people correct is learnt from while the daemon runs, without loading a model."""

import logging
from dataclasses import dataclass, field

from feeder.correction_log import CorrectionLog
from feeder.daemon import Daemon
from feeder.errors import VocabularyError
from feeder.lessons import lessons

log = logging.getLogger("feeder.lessons")

LOOK_SECONDS = 5.0
"""Between two looks for new corrections. What two looks find alike is learnt: each change makes
another vocabulary in the log, and a person who corrects makes many in a row."""


@dataclass
class LessonWatch:
    """Teaches `daemon`'s classifier what the log's people say, whenever that changes."""

    daemon: Daemon
    _look_at: float = field(default=0.0, init=False)
    _seen: object = field(default=None, init=False)
    _learnt: object = field(default=None, init=False)

    def __call__(self) -> None:
        """Looks, if it is time. Raises LogUnavailable or LogDamaged as the log does."""
        now = self.daemon.clock.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + LOOK_SECONDS
        settings, classifier = self.daemon.station.settings, self.daemon.station.classifier
        if not settings.model.learn_from_corrections or not settings.database.exists():
            self._seen = self._learnt = None  # they would hold on to a model that is in use no more
            return
        corrections = CorrectionLog(settings.database)
        before, self._seen = self._seen, (classifier, corrections.state(classifier.bundle.digest))
        if self._seen != before or self._seen == self._learnt:
            return
        self._learnt = self._seen
        digest = classifier.embeddings.digest
        told = corrections.told(classifier.bundle.digest)
        try:
            classifier.teach(lessons(told))
        except VocabularyError as error:  # the photos of a label are damaged since it was read
            log.warning("corrections are not learnt from: %s %s", error, error.hint)
            return
        except MemoryError:
            log.warning("corrections are not learnt from: there is not enough memory")
            return
        if classifier.embeddings.digest != digest:
            self.daemon.register()
            log.info("corrections were learnt from; they count from the next frame on")
