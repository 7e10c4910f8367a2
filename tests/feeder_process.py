"""A running daemon, and pictures to drop into its folder."""

import os
import signal
import sqlite3
import subprocess
import sys
import time as wall
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from feeder.bundle import golden_image

PATIENCE = 30.0
"""Seconds within which what must happen happens, on the slowest machine."""


class FeederProcess:
    """A `feeder run` process on its own folder; its output goes to a file."""

    def __init__(self, config: Path) -> None:
        self.config = config
        self.folder = config.parent / "snapshots"
        self.database = config.parent / "data" / "feeder.db"
        self.output = config.parent / "output.txt"
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        module: str = "feeder",
    ) -> None:
        """Starts it, or a `module` in its place, and returns once it watches."""
        self.output.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-m", module, "--config", self.config, "run", *arguments],
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )
        self.until(lambda: "feeder.inbox" in self.said())

    def until(self, happened: Callable[[], bool]) -> None:
        """Waits for another process's doing; fails with its output if it does not come."""
        deadline = wall.monotonic() + PATIENCE
        while not happened():
            assert wall.monotonic() < deadline, self.said()
            wall.sleep(0.02)

    def said(self) -> str:
        """What it has written so far."""
        return self.output.read_text(encoding="utf-8")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Sends a signal and gives the exit status."""
        assert self.process is not None
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def files(self) -> list[str]:
        """The file names of all frames in the log, sorted."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database)) as connection:
            return sorted(name for (name,) in connection.execute("SELECT file_name FROM media"))


def picture(path: Path, shade: int) -> Path:
    """A JPEG like no other `shade`'s at `path`."""
    image = golden_image()
    image.paste((shade, shade, shade), (0, 0, 60, 60))
    image.save(path, "JPEG")
    return path
