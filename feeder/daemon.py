"""The loop: startup, main loop, shutdown. Signals only set flags."""

import logging
import os
import signal
import sqlite3
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from feeder.classifier import Classifier
from feeder.clock import Clock
from feeder.config import Settings
from feeder.domain import Box, Frame, Prediction, SettledPath, unclassified
from feeder.errors import FeederError, LogbookError, NotReady, Vanished
from feeder.frames import FrameReader
from feeder.inbox import Inbox
from feeder.logbook import Logbook
from feeder.memory import release_memory
from feeder.scene import Scene
from feeder.service_manager import notify, watchdog_interval

log = logging.getLogger("feeder.daemon")

TICK = 0.5
"""Seconds an idle loop waits before it looks at its flags again."""

IDLE_COMMIT = 1.0
"""Seconds after which a row is committed when nothing else is waiting: a lone visitor shows up
at once, while a burst still shares its transactions."""

MAX_PENDING = 500
"""Rows kept while the log cannot be written; beyond that frames wait in their folder."""

RETRY_SECONDS = 5.0

CHORE_SECONDS = 1.0
"""How often at most the chores are looked at."""


class Report(Protocol):
    """Told of every frame once it is judged; `ms` is its time from reading to verdict."""

    def __call__(self, frame: Frame, prediction: Prediction, ms: float) -> None: ...


class Chore(Protocol):
    """Something done beside the frames: a quick look whether it is due, and little at a time."""

    def __call__(self) -> None: ...


@dataclass
class Station:
    """Everything one configuration wires together. `close` lets go of it.

    `scenes` holds what each deployment's camera usually sees.
    """

    settings: Settings
    inbox: Inbox
    reader: FrameReader
    classifier: Classifier
    scenes: defaultdict[str, Scene] = field(default_factory=lambda: defaultdict(Scene))

    def changed(self, frame: Frame) -> Box | None:
        """Where the frame differs from the last ones of its camera; None where it is off."""
        if frame.image is None or not self.settings.model.look_twice:
            return None
        return self.scenes[frame.source.deployment.name].changed(frame.image)

    def close(self) -> None:
        self.inbox.close()
        self.reader.decoder.close()


@dataclass
class Daemon:
    """Runs a station until it is told to stop.

    `load` reads the configuration and wires a station, raising FeederError where it cannot; a
    reload keeps the old station then. `chores` are called between frames, in this order.
    """

    station: Station
    logbook: Logbook
    load: Callable[[], Station]
    report: Report
    clock: Clock = field(default_factory=Clock)
    chores: Sequence[Chore] = ()
    _chores_at: float = field(default=0.0, init=False)
    _stopping: bool = field(default=False, init=False)
    _reloading: bool = field(default=False, init=False)
    _retry_at: float = field(default=0.0, init=False)
    _alive_at: float = field(default=0.0, init=False)
    _worked: bool = field(default=False, init=False)
    _unreadable: set[str] = field(default_factory=set, init=False)

    def run(self, *, once: bool = False) -> None:
        """Serves until SIGTERM or SIGINT, or with `once` until the folders are drained."""
        if threading.current_thread() is threading.main_thread():
            self._listen()
        self.startup()
        try:
            self.main_loop(once=once)
        finally:
            self.shutdown()

    def startup(self) -> None:
        """Names the model and vocabulary in the log, and begins to watch."""
        self._register()
        self.station.inbox.start()
        notify("READY=1", f"STATUS={self._status()}")

    def main_loop(self, *, once: bool = False) -> None:
        """A path at a time, until a signal or, with `once`, until nothing is left."""
        while not self._stopping:
            if self._reloading:
                self._reload()
            source = self.station.inbox.take(TICK) if self._may_take() else None
            if source is not None:
                self.process(source)
            elif self._worked:
                release_memory()
            self._worked = source is not None
            self._commit_if_due(idle=source is None)
            self._do_chores()
            self._show_life()
            if once and source is None and self.station.inbox.is_empty and not self._waits():
                return

    def shutdown(self) -> None:
        """Commits what is pending and stops watching."""
        notify("STOPPING=1")
        self.station.close()
        try:
            self.logbook.close()
        except sqlite3.Error as error:
            raise LogbookError(
                f"The last {self.logbook.pending} rows could not be written: {error}.",
                "Nothing is lost: their frames are read again at the next start.",
            ) from error
        log.info("stopped")

    def process(self, source: SettledPath) -> None:
        """One frame through the four hops; whatever is wrong with it ends here."""
        began = self.clock.monotonic()
        try:
            frame = self.station.reader.read(source)
        except NotReady:
            self.station.inbox.put_back(source)
            return
        except Vanished:
            return
        except OSError as error:
            self._say_unreadable(source, error)
            return
        if self.logbook.has_frame(frame):
            self.logbook.append_path(frame)
            return
        try:
            prediction = self.station.classifier.classify(frame, self.station.changed(frame))
        except MemoryError:
            prediction = unclassified("classifying it takes more memory than there is")
        self.logbook.append(frame, prediction)
        self.report(frame, prediction, (self.clock.monotonic() - began) * 1000)

    def stop(self) -> None:
        """Asks the loop to finish its frame, commit and return."""
        self._stopping = True

    def reload(self) -> None:
        """Asks the loop to read the configuration again."""
        self._reloading = True

    def _listen(self) -> None:
        def on_stop(number: int, _: FrameType | None) -> None:
            self.stop()

        has_terminal = os.isatty(0)

        def on_reload(number: int, _: FrameType | None) -> None:
            # The same signal tells that the terminal was closed.
            if has_terminal and not os.isatty(0):
                self.stop()
            else:
                self.reload()

        signal.signal(signal.SIGTERM, on_stop)
        signal.signal(signal.SIGINT, on_stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, on_reload)

    def _reload(self) -> None:
        self._reloading = False
        notify("RELOADING=1")
        try:
            replacement = self.load()
            if replacement.settings.database != self.station.settings.database:
                replacement.close()
                raise FeederError("the log file cannot change while running; restart instead")
        except (FeederError, OSError) as error:
            hint = error.hint if isinstance(error, FeederError) else ""
            log.error("config kept as it was: %s %s", error, hint)
        else:
            self.station.close()
            # The cameras that are still there are where they were.
            for deployment in replacement.settings.deployments:
                if deployment.name in self.station.scenes:
                    replacement.scenes[deployment.name] = self.station.scenes[deployment.name]
            self.station = replacement
            self.logbook.forget_deployments()
            self._register()
            self.station.inbox.start()
            log.info("config reloaded from %s", self.station.settings.path)
        notify("READY=1", f"STATUS={self._status()}")

    def _register(self) -> None:
        classifier = self.station.classifier
        self.logbook.register_model(classifier.bundle.digest, classifier.bundle.manifest.name)
        self.logbook.register_vocabulary(classifier.embeddings.digest, classifier.labels)

    def _waits(self) -> bool:
        """Whether rows are pending that a locked log has not taken yet."""
        return bool(self._retry_at)

    def _may_take(self) -> bool:
        """False while the log cannot be written and enough rows wait: the folder is the queue."""
        if self.logbook.pending < MAX_PENDING:
            return True
        threading.Event().wait(TICK)
        return False

    def _commit_if_due(self, *, idle: bool) -> None:
        limits = self.station.settings.logbook
        waited = self.logbook.pending_seconds
        due = (
            self.logbook.pending >= limits.commit_rows
            or waited >= limits.commit_seconds
            or (idle and waited >= IDLE_COMMIT)
        )
        now = self.clock.monotonic()
        if not due or now < self._retry_at:
            return
        try:
            self.logbook.commit()
        except sqlite3.OperationalError as error:  # locked, or the disk is full: both may pass
            if not self._retry_at:
                log.error("waiting to write the log: %s; nothing is lost meanwhile", error)
            self._retry_at = now + RETRY_SECONDS
        else:
            if self._retry_at:
                log.info("the log can be written again")
            self._retry_at = 0.0

    def _do_chores(self) -> None:
        now = self.clock.monotonic()
        if now >= self._chores_at:
            self._chores_at = now + CHORE_SECONDS
            for chore in self.chores:
                chore()

    def _say_unreadable(self, source: SettledPath, error: OSError) -> None:
        said = f"cannot read {os.fspath(source.path)!r}: {error.strerror}; tried at each scan"
        if said not in self._unreadable and len(self._unreadable) < 1000:
            self._unreadable.add(said)
            log.warning(said)

    def _show_life(self) -> None:
        interval = watchdog_interval()
        now = self.clock.monotonic()
        if interval is not None and now - self._alive_at >= interval:
            self._alive_at = now
            notify("WATCHDOG=1", f"STATUS={self._status()}")

    def _status(self) -> str:
        states = "; ".join(self.station.inbox.watchers().values())
        return f"{states}; {self.logbook.pending} rows pending"
