"""Gives memory that is no longer used back to the system; imports nothing of weight."""

import ctypes
import functools
import sys


def release_memory() -> None:
    """Hands freed memory back, where glibc can: it would keep the largest frame's for ever."""
    if sys.platform == "linux" and hasattr(_libc(), "malloc_trim"):
        _libc().malloc_trim(0)


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None)
