"""Gives memory that is no longer used back to the system; imports nothing of weight."""

import ctypes
import sys


def release_memory() -> None:
    """Hands freed memory back, where glibc can: it would keep the largest frame's for ever."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)
        if hasattr(libc, "malloc_trim"):
            libc.malloc_trim(0)
