"""Linux's file events, read by a thread that keeps none of them: the kernel is the queue.

What is not read yet waits in the kernel, which holds 16,384 events and says when it dropped some.
"""

import contextlib
import ctypes
import errno
import logging
import os
import select
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from feeder.errors import Vanished
from feeder.safe_open import scan_folder

log = logging.getLogger("feeder.inotify")

# From <sys/inotify.h>; see inotify(7).
_CLOSE_WRITE, _MOVED_TO, _CREATE = 0x8, 0x80, 0x100
_DELETE_SELF, _MOVE_SELF = 0x400, 0x800
_OVERFLOW, _IGNORED = 0x4000, 0x8000
_ONLY_FOLDERS, _NO_LINKS, _IS_FOLDER = 0x0100_0000, 0x0200_0000, 0x4000_0000

# No reads, which the daemon makes itself, and no single writes: closing follows them.
_MASK = _CLOSE_WRITE | _MOVED_TO | _CREATE | _DELETE_SELF | _MOVE_SELF | _ONLY_FOLDERS

_EVENT = struct.Struct("iIII")  # watch, mask, cookie, length of the name that follows
_BUFFER = 1 << 16

STOP_SECONDS = 2.0
"""How long the thread may take to end: it may be listing a folder of a server that went away."""


class Inotify:
    """Watches `folder` and, if `recursive`, all below it but hidden folders and links.

    `tell` is called with the path of each file that was made, closed after writing or moved in,
    hidden ones too, and with those in a folder that was made or moved in; `lost` where the kernel
    dropped events or the watched folder went. Both are called by the watcher's own thread and must
    be quick.
    """

    def __init__(
        self,
        folder: str,
        recursive: bool,
        tell: Callable[[str], None],
        lost: Callable[[], None],
    ) -> None:
        self._root = folder
        self._recursive = recursive
        self._tell = tell
        self._lost = lost
        self._folders: dict[int, str] = {}  # by the kernel's number of the watch
        self._lock = threading.Lock()
        self._is_full = False
        self._stopping = False
        self._wake: int | None = None
        self._thread = threading.Thread(target=self._run, name="inotify", daemon=True)

    def start(self) -> None:
        """Begins to watch. Raises OSError where `folder` is none, or the system refuses."""
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._events = self._libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._events < 0:
            raise _last_error()
        try:
            self._root_watch = self._add(self._root, _MASK)
            self._wake = os.eventfd(0, os.EFD_CLOEXEC)
        except OSError:
            os.close(self._events)
            raise
        self._thread.start()

    def is_alive(self) -> bool:
        """False once stopped, and once the folder was deleted, moved away or unmounted."""
        return self._thread.is_alive() and not self._stopping

    def stop(self) -> None:
        """Stops watching and waits until nothing more is told; one that hangs is left behind."""
        self._stopping = True
        if self._wake is not None:
            os.eventfd_write(self._wake, 1)
            self._thread.join(STOP_SECONDS)
            if not self._thread.is_alive():
                os.close(self._wake)
            self._wake = None

    def cover(self, folder: str) -> None:
        """Makes sure that `folder`, at or below the watched one, is watched, from any thread.

        For a scan to call before it lists the folder: the event that told of it may be lost.
        """
        if self._recursive and folder != self._root:
            self._watch_below(folder)

    def _run(self) -> None:
        poll = select.poll()
        for descriptor in (self._events, self._wake):
            assert descriptor is not None
            poll.register(descriptor, select.POLLIN)
        try:
            if self._recursive:
                self._enter(self._root, tell=False)
            while not self._stopping:
                poll.poll()
                try:
                    data = os.read(self._events, _BUFFER)
                except BlockingIOError:
                    continue  # woken to stop
                for watch, mask, name in _parse(data):
                    self._handle(watch, mask, name)
        finally:
            with self._lock:  # not while `cover` adds to it
                self._stopping = True
                os.close(self._events)

    def _handle(self, watch: int, mask: int, name: bytes) -> None:
        if mask & _OVERFLOW:
            self._lost()
            return
        with self._lock:  # `cover` may be about to say which folder it is
            folder = self._folders.get(watch)
            if mask & _IGNORED:  # deleted, unmounted, or let go below
                self._folders.pop(watch, None)
        if watch == self._root_watch and mask & (_IGNORED | _MOVE_SELF):
            self._stopping = True
            self._lost()
        elif folder is not None and mask & _MOVE_SELF:
            self._let_go(folder)
        elif folder is not None and name:
            path = os.path.join(folder, os.fsdecode(name))
            if not mask & _IS_FOLDER:
                self._tell(path)
            elif self._recursive and not name.startswith(b"."):
                self._enter(path, tell=True)

    def _enter(self, folder: str, *, tell: bool) -> None:
        """Watches a folder and those below it; with `tell` their files count as just made.

        Each is watched before it is listed, so that no file comes between the two.
        """
        root, below = Path(self._root), [folder]
        while below and not self._stopping:
            current = below.pop()
            if not self._watch_below(current):
                continue
            with (
                contextlib.suppress(OSError, Vanished),
                scan_folder(root, Path(current)) as entries,
            ):
                for entry in entries:
                    if self._stopping:
                        return
                    path = os.path.join(current, entry.name)
                    if entry.is_dir(follow_symlinks=False):
                        if not entry.name.startswith("."):
                            below.append(path)
                    elif tell:
                        self._tell(path)

    def _watch_below(self, folder: str) -> bool:
        """Whether the folder is watched now; one that cannot be is left to the scan."""
        try:
            self._add(folder, _MASK | (_NO_LINKS if folder != self._root else 0))
        except OSError as error:
            if error.errno == errno.ENOSPC and not self._is_full:
                self._is_full = True
                log.warning(
                    "no more folders can be watched (%s): the scan finds what comes into %s; "
                    "`sysctl fs.inotify.max_user_watches` says how many may be",
                    error.strerror,
                    folder,
                )
            return False
        return True

    def _add(self, folder: str, mask: int) -> int:
        """The kernel's number of the folder's watch, the same one for the same folder."""
        with self._lock:
            if self._stopping:
                raise OSError(errno.EBADF, "the watch has ended")
            watch = int(self._libc.inotify_add_watch(self._events, os.fsencode(folder), mask))
            if watch < 0:
                raise _last_error()
            self._folders[watch] = folder
            return watch

    def _let_go(self, folder: str) -> None:
        """Stops watching a folder that was moved out, and all below it.

        One that was moved within the tree has been entered under its new name by now.
        """
        if os.path.isdir(folder):
            return
        prefix = os.path.join(folder, "")
        with self._lock:
            for watch, path in self._folders.items():
                if path == folder or path.startswith(prefix):
                    self._libc.inotify_rm_watch(self._events, watch)


def _parse(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Watch, mask and name of each event in what was read."""
    at = 0
    while at < len(data):
        watch, mask, _, length = _EVENT.unpack_from(data, at)
        at += _EVENT.size
        yield watch, mask, data[at : at + length].rstrip(b"\0")
        at += length


def _last_error() -> OSError:
    number = ctypes.get_errno()
    # The system's own words, "No space left on device" among them, mean another thing to people.
    limits = {
        errno.ENOSPC: "inotify watch limit reached",
        errno.EMFILE: "inotify instance limit reached",
    }
    return OSError(number, limits.get(number) or os.strerror(number))
