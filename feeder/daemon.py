"""The loop: startup, main loop, shutdown. Signals only set flags."""

import logging
import os
import signal
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import FrameType
from typing import Protocol

from feeder.backup import Restored
from feeder.classifier import Classifier
from feeder.clock import Clock
from feeder.config import Settings
from feeder.daemon_link import DaemonState
from feeder.domain import Box, Frame, Prediction, SettledPath, unclassified
from feeder.errors import (
    FeederError,
    LogbookError,
    LogDamaged,
    LogUnavailable,
    NotReady,
    Vanished,
)
from feeder.frames import FrameReader
from feeder.inbox import Inbox
from feeder.log_care import RETRY_SECONDS, LogCare
from feeder.logbook import Logbook
from feeder.memory import release_memory
from feeder.scene import Scene
from feeder.service_manager import notify
from feeder.sign_of_life import NOTHING_OWED, SignOfLife
from feeder.timekeeping import Timekeeper

log = logging.getLogger("feeder.daemon")

TICK = 0.5
"""Seconds an idle loop waits before it looks at its flags again."""

IDLE_COMMIT = 1.0
"""Seconds after which a row is committed when nothing else is waiting: a lone visitor shows up
at once, while a burst still shares its transactions."""

MAX_PENDING = 500
"""Rows kept while the log cannot be written; beyond that frames wait in their folder."""

CHORE_SECONDS = 1.0
"""How often at most the chores are looked at."""

RELOAD_SECONDS = 600.0
"""How long a reload may take: a small board embeds a large model's labels for minutes."""


class _Stopped(BaseException):
    """Raised by the signal alone, to leave a reload at once: nothing of it is kept."""


class Report(Protocol):
    """Told of every frame once it is judged; `ms` is its time from reading to verdict."""

    def __call__(self, frame: Frame, prediction: Prediction, ms: float) -> None: ...


class Chore(Protocol):
    """Something done beside the frames: a quick look whether it is due, and little at a time."""

    def __call__(self) -> None: ...


@dataclass
class Station:
    """Everything one configuration wires together. `close` lets go of it.

    `scenes` holds what each deployment's camera usually sees. `stands_in` says that the classifier
    is not the configured one, which is refused; `notice` is what the owner must know of it.
    """

    settings: Settings
    care: LogCare
    inbox: Inbox
    reader: FrameReader
    classifier: Classifier
    scenes: defaultdict[str, Scene] = field(default_factory=lambda: defaultdict(Scene))
    stands_in: bool = False
    notice: str = ""

    def changed(self, frame: Frame) -> Box | None:
        """Where the frame differs from the last ones of its camera; None where it is off."""
        if frame.image is None or not self.settings.model.look_twice:
            return None
        return self.scenes[frame.source.deployment.name].changed(frame.image)

    def close(self) -> None:
        self.inbox.close()
        self.reader.decoder.close()
        self.care.close()


@dataclass
class Daemon:
    """Runs a station until it is told to stop.

    `load` reads the configuration and wires a station, raising FeederError where it cannot; a
    reload keeps the old station then. `chores` are called between frames, in this order;
    `on_restored` is told when a backup has taken a damaged log's place.
    """

    station: Station
    logbook: Logbook
    load: Callable[[], Station]
    report: Report
    timekeeper: Timekeeper
    clock: Clock = field(default_factory=Clock)
    chores: Sequence[Chore] = ()
    on_restored: Callable[[Restored], None] = lambda _: None
    _chores_at: float = field(default=0.0, init=False)
    _stopping: bool = field(default=False, init=False)
    _reloading: bool = field(default=False, init=False)
    _retry_at: float = field(default=0.0, init=False)
    _trouble: str = field(default="", init=False)
    _may_interrupt: bool = field(default=False, init=False)
    _excused_until: float = field(default=0.0, init=False)
    _frame_since: float = field(default=NOTHING_OWED, init=False)
    _commit_since: float = field(default=NOTHING_OWED, init=False)
    _worked: bool = field(default=False, init=False)
    _unreadable: set[str] = field(default_factory=set, init=False)
    _life: SignOfLife = field(init=False)

    def __post_init__(self) -> None:
        parts = {
            "the worker": self._worker_owes,
            "the writer": self._writer_owes,
            "the scanner": self._scanner_owes,
        }
        self._life = SignOfLife(parts, self._status, self.clock)

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
        self.register()
        self.timekeeper.look()
        with self._minding_the_log():
            self._commit()  # what the clock was worth must outlive whatever comes next
        self.station.inbox.start()
        notify("READY=1", f"STATUS={self._status()}")
        self._life.start()

    def main_loop(self, *, once: bool = False) -> None:
        """A path at a time, until a signal or, with `once`, until nothing is left."""
        while not self._stopping:
            if self._reloading:
                self._reload()
            is_idle = self._turn()
            if once and is_idle and self.station.inbox.is_empty:
                return

    def _turn(self) -> bool:
        """At most one frame, then what is due; gives whether there was nothing to do."""
        source = None
        with self._minding_the_log():
            source = self.station.inbox.take(TICK) if self._may_take() else None
            if self._stopping:
                return False  # what was taken is still in its folder
            if source is not None:
                self._frame_since = self.clock.monotonic()
                self.process(source)
                self._frame_since = NOTHING_OWED
            elif self._worked:
                release_memory()
            if self._stopping:
                return False
            self._commit_if_due(idle=source is None)
            self._do_chores()
        self._frame_since = NOTHING_OWED  # also where the log could not be asked about it
        self._worked = source is not None
        return source is None and not self._trouble

    def shutdown(self) -> None:
        """Commits what is pending and stops watching."""
        notify("STOPPING=1")
        self.timekeeper.rest(self.station.inbox.drained)
        self._life.stop()
        try:
            self.logbook.close()
        except LogbookError as error:
            said = f"The last {self.logbook.pending} rows could not be written: {error}."
            comfort = "Nothing is lost: their frames are read again at the next start."
            if not self._stopping:
                raise LogbookError(said, comfort) from error
            log.warning("%s %s", said, comfort)
        finally:
            self.station.close()
        log.info("stopped")

    def process(self, source: SettledPath) -> None:
        """One frame through the four hops; whatever is wrong with it ends here."""
        began = self.clock.monotonic()
        try:
            snapshot = self.station.reader.read(source)
            if self.logbook.has_frame(snapshot.frame):
                self.logbook.append_path(snapshot.frame)
                return
            frame = self.timekeeper.date(self.station.reader.decode(snapshot))
        except NotReady:
            self.station.inbox.put_back(source)
            return
        except Vanished:
            return
        except OSError as error:
            self._say_unreadable(source, error)
            return
        if self._stopping and frame.image is None:
            return  # its decoding was cut short by the stop: the next start reads it again
        try:
            prediction = self.station.classifier.classify(frame, self.station.changed(frame))
        except MemoryError:
            prediction = unclassified("classifying it takes more memory than there is")
        self.logbook.append(frame, prediction)
        self.report(frame, prediction, (self.clock.monotonic() - began) * 1000)

    def stop(self) -> None:
        """Asks the loop to finish its frame, commit and return; safe in a signal handler.

        A picture that is just being decoded is left for the next start.
        """
        self._stopping = True
        self.station.reader.decoder.interrupt()

    def reload(self) -> None:
        """Asks the loop to read the configuration again."""
        self._reloading = True

    def adopt(self, replacement: Station) -> None:
        """Runs on `replacement` from the next frame on; the old station is closed."""
        self.station.close()
        # The cameras that are still there are where they were.
        for deployment in replacement.settings.deployments:
            if deployment.name in self.station.scenes:
                replacement.scenes[deployment.name] = self.station.scenes[deployment.name]
        self.station = replacement
        self.logbook.forget_deployments()
        self.register()
        self.station.inbox.start()
        notify(f"STATUS={self._status()}")

    def tell(self, notice: str) -> None:
        """Puts `notice` before all else in the service's state, for as long as the station runs."""
        if notice != self.station.notice:
            self.station.notice = notice
            notify(f"STATUS={self._status()}")

    def _listen(self) -> None:
        def on_stop(number: int, _: FrameType | None) -> None:
            self.stop()
            if self._may_interrupt:
                raise _Stopped

        has_terminal = os.isatty(0)

        def on_reload(number: int, _: FrameType | None) -> None:
            # The same signal tells that the terminal was closed.
            if has_terminal and not os.isatty(0):
                on_stop(number, None)
            else:
                self.reload()

        signal.signal(signal.SIGTERM, on_stop)
        signal.signal(signal.SIGINT, on_stop)
        if hasattr(signal, "SIGHUP"):
            signal.signal(signal.SIGHUP, on_reload)

    def _reload(self) -> None:
        self._reloading = False
        notify("RELOADING=1")
        self._excused_until = self.clock.monotonic() + RELOAD_SECONDS
        try:
            replacement = self._load()
            if replacement.settings.database != self.station.settings.database:
                replacement.close()
                raise FeederError("the log file cannot change while running; restart instead")
        except _Stopped:
            return
        except (FeederError, OSError, MemoryError) as error:
            hint = error.hint if isinstance(error, FeederError) else ""
            log.error("config kept as it was: %s %s", error, hint)
        else:
            self.adopt(replacement)
            log.info("config reloaded from %s", self.station.settings.path)
        self._excused_until = self.clock.monotonic()
        notify("READY=1", f"STATUS={self._status()}")

    def _load(self) -> Station:
        """The station of the settings as they are now; a stop does not wait for it."""
        self._may_interrupt = True
        try:
            if self._stopping:
                raise _Stopped
            return self.load()
        finally:
            self._may_interrupt = False

    def register(self) -> None:
        """Says what judges from here on, to the log."""
        classifier = self.station.classifier
        self.logbook.register_model(classifier.bundle.digest, classifier.bundle.manifest.name)
        self.logbook.register_vocabulary(classifier.embeddings.digest, classifier.labels)
        classifier.tagger.register(self.logbook)

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
            or self.logbook.has_news
        )
        if due and self.clock.monotonic() >= self._retry_at:
            self._commit()

    def _commit(self) -> None:
        self._commit_since = self.clock.monotonic()
        try:
            self.logbook.commit()
        finally:
            self._commit_since = NOTHING_OWED

    @contextmanager
    def _minding_the_log(self) -> Iterator[None]:
        """Waits where the log cannot be had now, and has a damaged one replaced."""
        try:
            yield
        except LogUnavailable as trouble:
            self._wait_for_log(trouble)
        except LogDamaged as damage:
            self._recover(damage)
        else:
            if self._trouble and not self.logbook.pending:
                self._end_trouble("the log can be written again")

    def _wait_for_log(self, trouble: LogUnavailable) -> None:
        """Says once what is waited for; the loop goes on, and the folder keeps the frames."""
        if trouble.full and self.station.care.reserve.release():
            log.warning("the disk is full; the log takes the room that was kept for it")
            return
        if str(trouble) != self._trouble:
            self._trouble = str(trouble)
            log.error("%s; nothing is lost meanwhile", trouble)
        threading.Event().wait(TICK)
        self._retry_at = self.clock.monotonic() + RETRY_SECONDS

    def _recover(self, damage: LogDamaged) -> None:
        """Nothing can be asked or logged until a sound log is in place, so all else waits."""
        while not self._stopping:
            self._excused_until = self.clock.monotonic() + RELOAD_SECONDS
            try:
                done = self.station.care.recover(self.logbook, damage)
                self.timekeeper.write_all()  # which rows refer to
                self.on_restored(done)
                self._end_trouble("the log is sound again")
                break
            except LogUnavailable as trouble:
                self._wait_for_log(trouble)
        self._excused_until = self.clock.monotonic()

    def _end_trouble(self, said: str) -> None:
        self._trouble, self._retry_at = "", 0.0
        log.info(said)
        self.station.care.reserve.hold()
        # What was at hand may have left the inbox and not reached the log.
        self.station.inbox.rescan()

    def _do_chores(self) -> None:
        now = self.clock.monotonic()
        if now >= self._chores_at:
            self._chores_at = now + CHORE_SECONDS
            self._excused_until = now + RELOAD_SECONDS  # one of them may load a model
            self.station.care()
            self.timekeeper.look(self.station.inbox.drained)
            self._commit_if_due(idle=False)
            for chore in self.chores:
                chore()
            self._excused_until = self.clock.monotonic()

    def _say_unreadable(self, source: SettledPath, error: OSError) -> None:
        said = f"cannot read {os.fspath(source.path)!r}: {error.strerror}; tried at each scan"
        if said not in self._unreadable and len(self._unreadable) < 1000:
            self._unreadable.add(said)
            log.warning(said)

    def _scanner_owes(self) -> float:
        """A step of the scan once it is due, unless the log is waited for: then it rests."""
        if self._trouble or self.logbook.pending >= MAX_PENDING:
            return NOTHING_OWED
        return max(self.station.inbox.scan_owed_since, self._excused_until)

    def _worker_owes(self) -> float:
        """The end of the frame at hand."""
        return self._frame_since

    def _writer_owes(self) -> float:
        """A commit once it is due; where the log is locked or the disk full, an attempt's end."""
        if self._trouble or not self.logbook.pending:
            return self._commit_since
        patience = self.station.settings.logbook.commit_seconds - self.logbook.pending_seconds
        due = max(self.clock.monotonic() + patience, self._excused_until)
        return min(due, self._commit_since)

    def state(self) -> DaemonState:
        """How it is, for its companions."""
        return DaemonState(self._status(), self.station.inbox.waiting)

    def _status(self) -> str:
        states = [*self.station.inbox.watchers().values(), f"{self.logbook.pending} rows pending"]
        return "; ".join(said for said in (self.station.notice, *states, self._trouble) if said)
