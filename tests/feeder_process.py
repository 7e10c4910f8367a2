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
        self.command = [sys.executable, "-m", "feeder"]
        self.process: subprocess.Popen[bytes] | None = None

    def start(
        self,
        *arguments: str,
        environment: dict[str, str] | None = None,
        module: str = "feeder",
    ) -> None:
        """Starts it, or a `module` in its place, and returns once it watches."""
        if module != "feeder":
            self.command = [sys.executable, "-m", module]
        self.start_unwatched(*arguments, environment=environment)
        self.until(lambda: "feeder.inbox" in self.said())

    def start_unwatched(self, *arguments: str, environment: dict[str, str] | None = None) -> None:
        """Starts it and returns at once."""
        self.spawn(
            [*self.command, "--config", os.fspath(self.config), "run", *arguments], environment
        )

    def start_faulty(self, *faults: str) -> None:
        """Starts it with faults built in (tests/reliability/faulty.py) and returns at once."""
        module = "tests.reliability.faulty"
        self.spawn([sys.executable, "-m", module, os.fspath(self.config), *faults])

    def spawn(self, command: list[str], environment: dict[str, str] | None = None) -> None:
        """Starts whatever runs a feeder on this folder, its output going to the file."""
        self.output.unlink(missing_ok=True)
        with self.output.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
            )

    def until(self, happened: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Waits for another process's doing; fails with its output if it does not come."""
        deadline = wall.monotonic() + patience
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

    def stop_child(self) -> None:
        """Sends SIGTERM to the daemon where a tracer was started, and waits for both."""
        assert self.process is not None
        subprocess.run(["pkill", "-TERM", "-P", str(self.process.pid)], check=True)
        self.process.wait(PATIENCE)

    def files(self) -> list[str]:
        """The file names of all frames in the log, sorted."""
        if not self.database.exists():
            return []
        with closing(sqlite3.connect(self.database)) as connection:
            if connection.execute("PRAGMA user_version").fetchone() == (0,):
                return []  # being made at this moment
            return sorted(name for (name,) in connection.execute("SELECT file_name FROM media"))


def picture(path: Path, shade: int) -> Path:
    """A JPEG like no other `shade`'s at `path`."""
    image = golden_image()
    image.paste((shade, shade, shade), (0, 0, 60, 60))
    image.save(path, "JPEG")
    return path


def numbered(path: Path, number: int) -> Path:
    """A JPEG like no other `number`'s at `path`, however many there are."""
    picture(path, number % 256)
    with path.open("ab") as file:
        file.write(number.to_bytes(4, "big"))
    return path
