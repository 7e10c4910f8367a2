"""Files moved and removed so that none is lost: not to a namesake, a late writer or a crash.

A camera may rewrite `latest.jpg` at any moment. Between a look at a file and its removal another
picture can take its place, so a file is first renamed aside, into a hidden name of the same
folder, and looked at again there, where no camera finds it. Whatever proves to be another one is
put back. An interrupted move leaves the hidden name, which `put_back` gives its old one.
"""

import ctypes
import errno
import hashlib
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from feeder.clock import storable_ns

ASIDE = ".feeder-aside."
"""What a hidden name begins with; the file's own name follows."""

NAME_BYTES = 255
"""The longest file name that every usual file system takes."""

_CHUNK = 1 << 20
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1


@dataclass(frozen=True, slots=True)
class Identity:
    """Which file is meant: its bytes' SHA-256, or where none is known its size and mtime (ns).

    `mtime_ns` is None where a copy may have rounded it.
    """

    size: int
    mtime_ns: int | None
    sha256: bytes | None

    def looks_like(self, found: os.stat_result) -> bool:
        """Whether a file's size and mtime are these."""
        same_time = self.mtime_ns is None or storable_ns(found.st_mtime_ns) == self.mtime_ns
        return stat.S_ISREG(found.st_mode) and found.st_size == self.size and same_time


def is_there(path: Path, identity: Identity) -> bool:
    """Whether the file at `path` looks like the one that is meant."""
    try:
        return identity.looks_like(os.lstat(path))
    except (OSError, ValueError):
        return False


def is_same(path: Path, identity: Identity) -> bool:
    """Whether `path` holds the bytes that are meant and nobody is writing to it."""
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return False
    try:
        if not identity.looks_like(os.fstat(descriptor)) or _is_written(descriptor):
            return False
        if identity.sha256 is None:
            return True
        digest = hashlib.sha256()
        while chunk := os.read(descriptor, _CHUNK):
            digest.update(chunk)
        return digest.digest() == identity.sha256
    finally:
        os.close(descriptor)


def take_aside(path: Path, identity: Identity) -> Path | None:
    """Renames the file aside if it is the one that is meant, and gives its hidden path.

    None where it is gone, is another one, or is being written to; it keeps its name then. Raises
    OSError where the folder cannot be written to.
    """
    if not is_there(path, identity):
        return None
    name = os.fsencode(path.name)[-(NAME_BYTES - len(ASIDE)) :]
    hidden = path.with_name(ASIDE + os.fsdecode(name))
    try:
        rename_new(path, hidden)
    except FileNotFoundError:
        return None
    except FileExistsError:  # an interrupted move of a namesake, which the next scan puts back
        return None
    try:
        if is_same(hidden, identity):
            return hidden
    except OSError:
        put_back(hidden)
        raise
    put_back(hidden)
    return None


def put_back(hidden: Path) -> Path:
    """Gives a file that was taken aside its name again, or one like it where that is taken."""
    path = hidden.with_name(hidden.name.removeprefix(ASIDE))
    for candidate in (path, *others(path, f"{os.lstat(hidden).st_mtime_ns:x}")):
        try:
            rename_new(hidden, candidate)
        except FileExistsError:
            continue
        return candidate
    raise FileExistsError(errno.EEXIST, "no name is free", os.fspath(path))


def others(path: Path, token: str) -> tuple[Path, ...]:
    """More names for a file whose own is taken: the first digits of `token`, then more of it."""
    made = []
    for length in dict.fromkeys((8, 16, len(token))):
        ending = f"-{token[:length]}{path.suffix}"
        stem = os.fsdecode(os.fsencode(path.stem)[: NAME_BYTES - len(os.fsencode(ending))])
        made.append(path.with_name(stem + ending))
    return tuple(made)


def rename_new(source: Path, target: Path) -> None:
    """Renames, and never over another file. Raises FileExistsError, else as `os.rename` does."""
    if (renameat2 := _renameat2()) is not None:
        if renameat2(os.fsencode(source), os.fsencode(target)) == 0:
            return
        number = ctypes.get_errno()
        if number not in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
            raise OSError(number, os.strerror(number), os.fspath(target))
    if sys.platform == "win32":
        os.rename(source, target)  # which refuses by itself there
        return
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOENT, errno.EXDEV):
            raise
        # Neither way exists on this file system; what is left is to look first.
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, "File exists", os.fspath(target)) from None
        os.rename(source, target)
    else:
        os.unlink(source)


def move_new(source: Path, target: Path, identity: Identity) -> None:
    """Moves a file to a name that is free, also onto another file system.

    There it is copied, written out to the disk and only then removed here. Raises FileExistsError
    where the name is taken, and OSError where the copy cannot be made; the source stays then.
    """
    try:
        rename_new(source, target)
    except OSError as error:
        if error.errno != errno.EXDEV:
            raise
    else:
        return
    part = part_of(target, identity.sha256)
    try:
        _copy(source, part, identity)
        rename_new(part, target)
    except OSError:
        part.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    os.unlink(source)


def part_of(target: Path, sha256: bytes | None) -> Path:
    """The hidden file beside `target` that a copy is made in; a crash may leave it half written."""
    return target.with_name(f".feeder-{sha256.hex()[:16] if sha256 else 'large'}.part")


def make_folders(folder: Path, root: Path) -> None:
    """Makes the folders from `root`, which is there, down to `folder`, and writes them out."""
    missing = []
    while folder != root and not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        one.mkdir(exist_ok=True)
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Writes a folder's entries out to the disk, where the system has a way to."""
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some file systems have no such call
            raise
    finally:
        os.close(descriptor)


def _copy(source: Path, part: Path, identity: Identity) -> None:
    digest = hashlib.sha256()
    with source.open("rb") as reader, part.open("wb") as writer:
        while chunk := reader.read(_CHUNK):
            digest.update(chunk)
            writer.write(chunk)
        writer.flush()
        found = os.fstat(reader.fileno())
        os.utime(part, ns=(found.st_atime_ns, found.st_mtime_ns))
        os.fsync(writer.fileno())
    shutil.copymode(source, part)
    if identity.sha256 not in (None, digest.digest()):
        raise OSError(errno.EIO, "the copy differs from the picture", os.fspath(source))


def _is_written(descriptor: int) -> bool:
    """Whether anybody has the file open for writing, as far as the system can tell."""
    try:
        import fcntl
    except ImportError:
        return False
    if not hasattr(fcntl, "F_SETLEASE"):
        return False
    try:
        # Who opens the file meanwhile makes the kernel send a signal: one that is ignored.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except OSError as error:
        # Others mean that no lease is to be had: somebody else's file, or a network's.
        return error.errno == errno.EAGAIN
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


@cache
def _renameat2() -> Callable[[bytes, bytes], int] | None:
    """Linux's rename that refuses to replace; None where the C library has none."""
    if sys.platform != "linux":
        return None
    function = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if function is None:
        return None

    def call(source: bytes, target: bytes) -> int:
        return int(function(_AT_FDCWD, source, _AT_FDCWD, target, _RENAME_NOREPLACE))

    return call
