"""Room on the disk that is kept for the log, and given up when there is no other."""

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Reserve:
    """A file of `size` bytes beside the log: a full disk still takes what is pending, once."""

    path: Path
    size: int

    def hold(self) -> bool:
        """Takes the room where as much again stays free; gives whether it is held."""
        if self.is_held:
            return True
        try:
            if shutil.disk_usage(self.path.parent).free < 2 * self.size:
                return False
            with self.path.open("wb") as file:
                _allocate(file.fileno(), self.size)
        except OSError:
            self.release()
            return False
        return True

    def release(self) -> bool:
        """Gives the room back; gives whether there was any."""
        was_held = self.is_held
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
        return was_held

    @property
    def is_held(self) -> bool:
        """Whether the file is there in full."""
        try:
            return self.size > 0 and self.path.stat().st_size >= self.size
        except OSError:
            return False


def _allocate(descriptor: int, size: int) -> None:
    """Real blocks: a hole would keep no room."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
        return
    block = bytes(1 << 20)
    for at in range(0, size, len(block)):
        os.write(descriptor, block[: size - at])
