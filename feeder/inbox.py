"""The drop folders -> settled paths, new frames before the backlog.

File events are hints: they make a frame quick to be seen. The scan is the guarantee: it finds
whatever no event told of. A path from either waits until its size and mtime stand still.
"""

import errno
import logging
import os
import random
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path

from feeder.clock import Clock, storable_ns
from feeder.domain import Deployment, FoundPath, SettledPath
from feeder.errors import Vanished
from feeder.frame_path import FramePath
from feeder.mounts import file_system
from feeder.moves import ASIDE, put_back
from feeder.safe_open import scan_folder
from feeder.settings_sections import InboxSection
from feeder.waiting_paths import WaitingPaths
from feeder.watcher import Watcher, watcher

log = logging.getLogger("feeder.inbox")

MAX_WAITING = 4_000
"""Paths held in memory at once; beyond that the scan brings them when there is room."""

MAX_FRESH = 500
"""Those of them that go before the backlog: in a flood, what comes after it must not wait long."""

EVENT_SECONDS = 5.0
"""How long before its event, at most, a file was written."""

SCAN_STEP = 500
"""Folder entries looked at between two looks at the new frames."""

LOOK_UP = 100
"""Folder entries asked about at once; the log answers for 100 in the time of 20 single ones."""

SCAN_REST = 4
"""How much longer than the last scan took the next one waits at least: where a million frames
are kept, scanning takes a fifth of one core's time at most."""

_UNWATCHABLE = ("nfs", "cifs", "smb", "fuse", "9p", "vboxsf", "drvfs", "afs", "ceph")
"""File systems on which changes made elsewhere raise no event here."""


@dataclass
class _Watch:
    """One deployment's folder under observation; `identity` tells it from a later namesake.

    `refused` is the identity of a folder that the system would not watch.
    """

    deployment: Deployment
    polling: bool
    observer: Watcher | None = None
    identity: tuple[int, int] | None = None
    refused: tuple[int, int] | None = None
    state: str = ""


class Inbox:
    """Watches and scans the deployments' folders; `take` gives settled paths one by one.

    `is_recorded` says whether a path at its size and mtime is done, `are_recorded` the same of
    many, in their order; `on_recorded` is told of each such path that a scan meets. Scan intervals
    are spread by a fifth, so that many feeders on one file server do not scan at once.
    """

    def __init__(
        self,
        deployments: tuple[Deployment, ...],
        settings: InboxSection,
        is_recorded: Callable[[SettledPath], bool],
        clock: Clock | None = None,
        *,
        are_recorded: Callable[[Sequence[FoundPath]], Sequence[bool]] | None = None,
        on_recorded: Callable[[SettledPath], None] | None = None,
    ) -> None:
        self._settings = settings
        self._is_recorded = is_recorded
        self._are_recorded = are_recorded or self._one_by_one
        self._on_recorded = on_recorded
        self._clock = clock or Clock()
        self._watches = [
            _Watch(deployment, must_poll(deployment.folder, settings)) for deployment in deployments
        ]
        self._fresh = WaitingPaths()
        self._backlog = WaitingPaths()
        self._dirty: dict[str, tuple[Deployment, float]] = {}
        self._dirty_lock = threading.Lock()
        self._stirred = threading.Event()
        self._overflowed = False
        self._scan: Iterator[FoundPath] | None = None
        self._scan_took = 0.0
        self._scan_due = self._clock.monotonic()
        self._scan_wanted = False
        self._scan_moved = self._scan_due
        self._scan_began = 0.0
        self._scanned: float | None = None  # when the last whole scan began, in seconds since boot

    def start(self) -> None:
        """Begins to watch; folders that are not there yet are waited for."""
        for watch in self._watches:
            self._keep_watching(watch)

    def close(self) -> None:
        """Stops watching."""
        for watch in self._watches:
            _stop(watch)

    def watchers(self) -> dict[str, str]:
        """For each deployment how its folder is followed, in words."""
        return {watch.deployment.name: watch.state for watch in self._watches}

    def take(self, wait: float) -> SettledPath | None:
        """The next settled path; None after at most `wait` seconds without one."""
        self._admit_dirty()
        self._advance_scan()
        source = self._settled(self._fresh) or self._settled(self._backlog)
        has_room = len(self._backlog) < MAX_WAITING
        scanning = has_room and (self._scan_wanted or self._scan is not None)
        if source is None and not scanning:
            self._stirred.wait(min(wait, self._until_due()))
            self._stirred.clear()
            self._admit_dirty()
            source = self._settled(self._fresh)
        return source

    def put_back(self, source: SettledPath) -> None:
        """Offers a path again later, each time waiting longer; it counts the attempts."""
        attempt = source.attempt + 1
        delay = self._settings.settle_seconds * (1 + attempt)
        self._backlog.push(replace(source, attempt=attempt), self._clock.monotonic() + delay)

    def rescan(self) -> None:
        """Asks for a scan now: something that was taken may have to be taken again."""
        self._scan_wanted = True

    @property
    def scan_owed_since(self) -> float:
        """The monotonic second since when a scan, or its next step, is due; it may lie ahead."""
        return self._scan_due if self._scan is None else self._scan_moved

    @property
    def waiting(self) -> int:
        """Files that are known and not taken yet; a scan under way may find more."""
        return len(self._fresh) + len(self._backlog)

    @property
    def is_empty(self) -> bool:
        """Whether a whole scan has been made and every path it found was taken."""
        scanned = self._scan is None and self._scan_due > self._clock.monotonic()
        waiting = self._scan_wanted or self._dirty or self._fresh or self._backlog
        return scanned and not waiting

    @property
    def drained(self) -> float | None:
        """Seconds since boot before which every file that was written has been taken.

        None while a path waits, or before the first whole scan.
        """
        return None if self._dirty or self._fresh or self._backlog else self._scanned

    def is_picture_name(self, name: str) -> bool:
        """False for hidden files and the names that uploads use until they are complete."""
        return not name.startswith(".") and not name.lower().endswith(self._settings.ignore)

    def _mark(self, deployment: Deployment, changed: str | os.PathLike[str]) -> None:
        """Called by the watcher's thread: notes that something happened to a path."""
        path = os.fspath(changed)
        with self._dirty_lock:
            if path not in self._dirty:
                if len(self._dirty) < MAX_WAITING:
                    self._dirty[path] = deployment, self._clock.since_boot()
                else:
                    self._overflowed = True
        self._stirred.set()

    def _mark_overflow(self) -> None:
        """Notes, from any thread, that events were lost: only a scan can tell which."""
        with self._dirty_lock:
            self._overflowed = True
        self._stirred.set()

    def _admit_dirty(self) -> None:
        """Moves what the watcher noted to the waiting paths."""
        with self._dirty_lock:
            dirty, self._dirty = self._dirty, {}
            overflowed, self._overflowed = self._overflowed, False
        for path, (deployment, at) in dirty.items():
            if path in self._fresh or not self._is_candidate(path, deployment):
                continue
            waiting = self._fresh if len(self._fresh) < MAX_FRESH else self._backlog
            if len(waiting) >= MAX_WAITING:
                overflowed = True
                break
            source = _look(deployment, FramePath(path))
            if source is None:
                # Of what a folder holds that was moved in, not every watcher tells.
                overflowed = overflowed or os.path.isdir(path)
            elif not self._is_recorded(source):
                self._backlog.drop(path)
                source = self._written(source, at - EVENT_SECONDS)
                waiting.push(source, self._clock.monotonic() + self._settings.settle_seconds)
        # A scan under way may have passed the place already, so another one follows it.
        self._scan_wanted = self._scan_wanted or overflowed

    def _is_candidate(self, path: str, deployment: Deployment) -> bool:
        above, _, name = path.rpartition(os.sep)
        folder = os.fspath(deployment.folder)
        if not self.is_picture_name(name) or not os.path.join(above, "").startswith(
            os.path.join(folder, "")
        ):
            return False
        return not any(part.startswith(".") for part in above[len(folder) :].split(os.sep))

    def _settled(self, waiting: WaitingPaths) -> SettledPath | None:
        """The next due path that still looks as it did; one that moved on waits again."""
        now = self._clock.monotonic()
        while (then := waiting.pop(now)) is not None:
            current = _look(then.deployment, then.path)
            if current is None:
                continue
            if (current.size, current.mtime_ns) != (then.size, then.mtime_ns):
                current = self._written(current, then.written[0] if then.written else None)
                waiting.push(current, now + self._settings.settle_seconds)
            elif not self._is_recorded(current):
                return then
        return None

    def _written(self, source: SettledPath, after: float | None) -> SettledPath:
        """The path as it is now, which it came to be `after`, in seconds since boot."""
        return replace(source, written=None if after is None else (after, self._clock.since_boot()))

    def _advance_scan(self) -> None:
        """Runs a part of the scan: starts one when due, stops where memory is full."""
        now = self._clock.monotonic()
        if self._scan is None:
            if now < self._scan_due and not self._scan_wanted:
                return
            self._scan_due = min(self._scan_due, now)
            self._scan_wanted = False
            for watch in self._watches:
                self._keep_watching(watch)
            self._scan_moved = self._clock.monotonic()
            self._scan = self._walk_all()
            self._scan_began = self._clock.since_boot()
            self._scan_took = 0.0
        self._scan_moved = self._clock.monotonic()
        for _ in range(SCAN_STEP // LOOK_UP):
            if len(self._backlog) >= MAX_WAITING:
                break
            found = list(islice(self._scan, LOOK_UP))
            self._add_to_backlog(found, now + self._settings.settle_seconds)
            if len(found) < LOOK_UP:
                self._end_scan(now)
                return
        self._scan_took += self._clock.monotonic() - now

    def _end_scan(self, since: float) -> None:
        now = self._clock.monotonic()
        took = self._scan_took + now - since
        self._scanned = self._scan_began
        self._scan_due = now + max(self._scan_interval(), SCAN_REST * took)
        self._scan = None

    def _add_to_backlog(self, found: Sequence[FoundPath], due: float) -> None:
        """Lets those wait that neither wait yet nor are recorded, and tells of the recorded."""
        new = [
            one for one in found if one.path not in self._fresh and one.path not in self._backlog
        ]
        for one, is_recorded in zip(new, self._are_recorded(new), strict=True):
            if not is_recorded:
                self._backlog.push(self._written(_settled_path(one), self._scanned), due)
            elif self._on_recorded is not None:
                self._on_recorded(_settled_path(one))

    def _one_by_one(self, found: Sequence[FoundPath]) -> list[bool]:
        return [self._is_recorded(_settled_path(one)) for one in found]

    def _scan_interval(self) -> float:
        polling = any(watch.polling or watch.observer is None for watch in self._watches)
        seconds = self._settings.polling_seconds if polling else self._settings.rescan_seconds
        return seconds * random.uniform(0.8, 1.0)

    def _until_due(self) -> float:
        dues = [self._scan_due, self._fresh.next_due(), self._backlog.next_due()]
        earliest = min(due for due in dues if due is not None)
        return max(0.0, earliest - self._clock.monotonic())

    def _walk_all(self) -> Iterator[FoundPath]:
        for watch in self._watches:
            yield from self._walk(watch)

    def _walk(self, watch: _Watch) -> Iterator[FoundPath]:
        """Every regular file in a deployment's folder and below, without following links."""
        folder = watch.deployment.folder
        below = [os.fspath(folder)]
        while below:
            current = below.pop()
            if watch.observer is not None:
                watch.observer.cover(current)
            try:
                with scan_folder(folder, Path(current)) as entries:
                    for entry in entries:
                        path = os.path.join(current, entry.name)
                        if entry.is_dir(follow_symlinks=False):
                            if self._settings.recursive and not entry.name.startswith("."):
                                below.append(path)
                        elif entry.name.startswith(ASIDE):
                            self._restore(Path(path))
                        elif self.is_picture_name(entry.name):
                            found = _found(watch.deployment, path, entry)
                            if found is not None:
                                yield found
            except (FileNotFoundError, Vanished):
                continue  # gone since it was listed; of the drop folder itself the watch speaks
            except OSError as error:
                log.warning("cannot list %s: %s; the next scan tries again", current, error)

    def _restore(self, hidden: Path) -> None:
        """Gives the file of an interrupted move its name back; another scan looks at it."""
        try:
            found = put_back(hidden)
        except FileNotFoundError:
            return  # another program's move, which was under way
        except OSError as error:
            log.warning("cannot put %s back: %s; the next scan tries again", hidden, error)
            return
        log.info("put %s back, whose move was interrupted", found)
        self._scan_wanted = True

    def _keep_watching(self, watch: _Watch) -> None:
        """Makes sure the folder that is there now is the one being watched."""
        folder = watch.deployment.folder
        try:
            found = folder.stat()
            if not stat.S_ISDIR(found.st_mode):
                raise NotADirectoryError(errno.ENOTDIR, "a file is in its place")
            if not os.access(folder, os.R_OK | os.X_OK):
                raise PermissionError(errno.EACCES, "it may not be read")
        except OSError as error:
            _stop(watch)
            absent = isinstance(error, FileNotFoundError)
            _say(watch, f"waiting for {folder}" + ("" if absent else f" ({error.strerror})"))
            return
        identity = (found.st_dev, found.st_ino)
        if identity == watch.refused or (identity == watch.identity and _is_alive(watch)):
            return
        if watch.identity is not None:
            said = "watched no more" if identity == watch.identity else "another folder now"
            log.warning("%s: %s is %s", watch.deployment.name, folder, said)
            watch.state = ""  # so that the state is said again after this
        _stop(watch)
        watch.identity = identity
        # What is mounted there now need not be what was there before.
        watch.polling = must_poll(folder, self._settings)
        self._watch(watch)

    def _watch(self, watch: _Watch) -> None:
        folder = watch.deployment.folder
        if watch.polling:
            _say(watch, f"scanning {folder} every {self._settings.polling_seconds:g} s")
            return
        try:
            observer = watcher(
                os.fspath(folder),
                self._settings.recursive,
                partial(self._mark, watch.deployment),
                self._mark_overflow,
            )
            observer.start()
        except OSError as error:
            # Out of inotify watches, most often; the scan alone still finds every frame.
            reason = error.strerror or error
            seconds = self._settings.polling_seconds
            _say(watch, f"scanning {folder} every {seconds:g} s (not watched: {reason})")
            watch.refused = watch.identity
            return
        watch.observer = observer
        _say(watch, f"watching {folder}")


def _look(deployment: Deployment, path: Path) -> SettledPath | None:
    """The path as it is now; None where it is no regular file."""
    try:
        found = os.lstat(path)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return SettledPath(deployment, path, found.st_size, storable_ns(found.st_mtime_ns))


def _found(deployment: Deployment, path: str, entry: os.DirEntry[str]) -> FoundPath | None:
    """A folder's entry, `path`, as a scan meets it; None where it is no regular file."""
    try:
        found = entry.stat(follow_symlinks=False)
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FoundPath(deployment, path, found.st_size, storable_ns(found.st_mtime_ns))


def _settled_path(found: FoundPath) -> SettledPath:
    return SettledPath(found.deployment, FramePath(found.path), found.size, found.mtime_ns)


def _say(watch: _Watch, state: str) -> None:
    """One log line for each change of state, none for more of the same."""
    if state != watch.state:
        watch.state = state
        log.info("%s: %s", watch.deployment.name, state)


def _is_alive(watch: _Watch) -> bool:
    """Whether events still arrive."""
    if watch.polling:
        return True
    return watch.observer is not None and watch.observer.is_alive()


def _stop(watch: _Watch) -> None:
    observer, watch.observer = watch.observer, None
    watch.identity = watch.refused = None
    if observer is not None:
        observer.stop()


def must_poll(folder: Path, settings: InboxSection) -> bool:
    """Whether `folder` is scanned often instead of watched."""
    if settings.watcher != "auto":
        return settings.watcher == "polling"
    return file_system(folder).startswith(_UNWATCHABLE)
