"""`feeder run` with a fault built in: python -m tests.reliability.faulty CONFIG [FAULT...]

kill:POINT:N            kill -9 itself the N-th time it comes past POINT
set:MODULE:NAME=VALUE   another value for a module's constant, so that a test need not wait
"""

import importlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feeder.cli.run import run
from feeder.frames import FrameReader
from feeder.logbook import Logbook
from feeder.observation_log import ObservationLog

POINTS: dict[str, tuple[type, str, bool]] = {
    "after decode": (FrameReader, "decode", False),
    "before commit": (Logbook, "commit", True),
    "within commit": (ObservationLog, "add", False),
    "after commit": (Logbook, "commit", False),
}
"""Class, method, and whether the point lies before the call or after it."""


def arm(point: str, count: int) -> None:
    """Makes this process kill itself the `count`-th time it comes past `point`."""
    owner, name, is_before = POINTS[point]
    inner: Callable[..., Any] = getattr(owner, name)
    left = [count]

    def die() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def armed(self: Any, *arguments: Any, **options: Any) -> Any:
        # A commit of nothing writes nothing, and is not worth dying at.
        counts = name != "commit" or self.pending
        if counts and is_before:
            die()
        result = inner(self, *arguments, **options)
        if counts and not is_before:
            die()
        return result

    setattr(owner, name, armed)


def main() -> None:
    """Builds the faults in and runs."""
    config, *faults = sys.argv[1:]
    for fault in faults:
        kind, rest = fault.split(":", 1)
        if kind == "kill":
            point, count = rest.split(":")
            arm(point, int(count))
        else:
            module, assignment = rest.split(":")
            name, value = assignment.split("=")
            setattr(importlib.import_module(module), name, float(value))
    run.main(args=[], obj=Path(config), standalone_mode=False)


if __name__ == "__main__":
    main()
