"""Who opens what in a folder, as the kernel tells it."""

import ctypes
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_ACCESS, _OPEN, _DONT_BLOCK = 0x1, 0x20, os.O_NONBLOCK
_HEADER = struct.Struct("iIII")  # of inotify_event, inotify(7)


class Opened:
    """Names of the files, and of the folders with a slash, that were opened or read."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def names(self) -> set[str]:
        """Those since the last call."""
        found = set()
        while True:
            try:
                data = os.read(self._descriptor, 1 << 16)
            except BlockingIOError:
                return found
            at = 0
            while at < len(data):
                _, mask, _, length = _HEADER.unpack_from(data, at)
                at += _HEADER.size
                name = data[at : at + length].rstrip(b"\0").decode(errors="replace")
                found.add(name + ("/" if mask & 0x40000000 else ""))
                at += length


@contextmanager
def watch_opens(*folders: Path) -> Iterator[Opened]:
    """Watches folders, not what lies below them. Linux alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(_DONT_BLOCK)
    try:
        for folder in folders:
            if libc.inotify_add_watch(descriptor, os.fsencode(folder), _ACCESS | _OPEN) < 0:
                raise OSError(ctypes.get_errno(), "inotify_add_watch")
        yield Opened(descriptor)
    finally:
        os.close(descriptor)
