"""What tells of changes in a folder: the kernel on Linux, watchdog elsewhere.

watchdog runs on Linux too, but holds every event until it is dispatched and lists whole folders
to find those below: 25 MB in a burst of 100,000 files, however few kinds of events it is asked for.
"""

import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from watchdog.events import FileSystemEvent


class Watcher(Protocol):
    """Tells of files that may have changed, from a thread of its own."""

    def start(self) -> None:
        """Begins to watch; OSError where it cannot."""

    def is_alive(self) -> bool:
        """Whether events still arrive."""

    def stop(self) -> None:
        """Ends it; nothing is told afterwards."""

    def cover(self, folder: str) -> None:
        """Makes sure that a folder at or below the watched one is watched."""


def watcher(
    folder: str, recursive: bool, tell: Callable[[str], None], lost: Callable[[], None]
) -> Watcher:
    """A watcher of `folder`, not yet started; with `recursive` also of what is below it.

    `tell` gets the path of whatever was made, written or moved in, a folder's too where its
    files are not told of; `lost` is called when events were dropped.
    """
    if sys.platform == "linux":
        from feeder.inotify import Inotify

        return Inotify(folder, recursive, tell, lost)
    return PortableWatcher(folder, recursive, tell)


class PortableWatcher:
    """watchdog's observer for this system."""

    def __init__(self, folder: str, recursive: bool, tell: Callable[[str], None]) -> None:
        # Imported here, for a daemon on Linux has no use for it.
        from watchdog.events import FileSystemEventHandler
        from watchdog.observers import Observer

        class Handler(FileSystemEventHandler):
            def on_any_event(self, event: "FileSystemEvent") -> None:
                for path in _changed(event):
                    tell(path)

        self._observer = Observer()
        self._observer.schedule(Handler(), folder, recursive=recursive)

    def start(self) -> None:
        """Begins to watch; OSError where it cannot."""
        self._observer.start()

    def is_alive(self) -> bool:
        """Whether events still arrive: the observer goes on when what feeds it has died."""
        return self._observer.is_alive() and all(
            emitter.is_alive() for emitter in self._observer.emitters
        )

    def stop(self) -> None:
        """Ends it; nothing is told afterwards."""
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def cover(self, folder: str) -> None:
        """Nothing: watchdog follows the folders below by itself."""


def _changed(event: "FileSystemEvent") -> list[str]:
    """The paths that an event may mean a change of."""
    # Reading a file raises these two, and the daemon reads every file.
    if event.event_type in ("opened", "closed_no_write"):
        return []
    # A folder is modified by every file in it, which raises events of its own.
    if event.is_directory and event.event_type not in ("created", "moved"):
        return []
    return [os.fsdecode(name) for name in (event.src_path, event.dest_path) if name]
