"""Opens what lies below a folder, and nothing else: no link is followed on the way.

Each step is taken from the folder reached so far and not from the root, so that a link that is
put in a folder's place meanwhile leads nowhere. Where the system cannot do that (Windows), the
path is looked at before it is opened.
"""

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path

from feeder.errors import Vanished

_STEPS = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_COMMON = getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
_FOLDER = os.O_RDONLY | _COMMON | getattr(os, "O_DIRECTORY", 0)
# O_NONBLOCK: opening a FIFO that nobody writes to would otherwise wait for ever.
_FILE = os.O_RDONLY | _COMMON | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)

_LED_ASTRAY = (errno.ENOENT, errno.ELOOP, errno.ENOTDIR, errno.ENXIO)
"""Gone; a link; no folder where there was one; a socket."""


def open_file(folder: Path, path: Path) -> int:
    """A descriptor of `path`, which lies below `folder`, for reading.

    It may be of anything that is no link: `os.fstat` tells. Raises Vanished where the path is gone
    or leads through a link, OSError where the system refuses.
    """
    return _open(folder, path, _FILE)


@contextlib.contextmanager
def scan_folder(folder: Path, path: Path) -> Iterator["Iterator[os.DirEntry[str]]"]:
    """The entries of `path`, which is `folder` or lies below it; raises as `open_file` does.

    An entry's `name` is its name; its `path` may be, too.
    """
    if not _STEPS or os.scandir not in os.supports_fd:
        with os.scandir(path) as entries:
            yield entries
        return
    descriptor = _open(folder, path, _FOLDER)
    try:
        with os.scandir(descriptor) as entries:
            yield entries
    finally:
        os.close(descriptor)


def _open(folder: Path, path: Path, flags: int) -> int:
    if not path.is_relative_to(folder) or ".." in path.parts or "\0" in str(path):
        raise Vanished(f"{path} does not lie below {folder}")
    try:
        if _STEPS:
            return _step_by_step(folder, path.relative_to(folder).parts, flags)
        if leaves(folder, path):
            raise Vanished(f"{path} lies behind a link")
        return os.open(path, flags)
    except OSError as error:
        if error.errno in _LED_ASTRAY:
            raise Vanished(f"{path} is gone or behind a link: {error.strerror}") from None
        raise


def _step_by_step(folder: Path, parts: tuple[str, ...], flags: int) -> int:
    # The drop folder itself may be a link: the settings name it.
    reached = os.open(folder, _FOLDER & ~getattr(os, "O_NOFOLLOW", 0))
    for number, part in enumerate(parts, 1):
        is_last = number == len(parts)
        try:
            following = os.open(part, flags if is_last else _FOLDER, dir_fd=reached)
        finally:
            os.close(reached)
        reached = following
    return reached


def leaves(folder: Path, path: Path) -> bool:
    """Whether a folder between the drop folder and the file is a link."""
    root = os.path.realpath(folder)
    below = os.path.relpath(path.parent, folder)
    return os.path.realpath(path.parent) != os.path.normpath(os.path.join(root, below))
