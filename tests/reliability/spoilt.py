"""`feeder`, with a part that hangs or dies: `python -m tests.reliability.spoilt`.

A dead file server, a frame that never ends and a disk that takes no more cannot be had on every
machine. What they have in common is a call that does not return; here that call waits for as long
as the file named by SPOIL_<PART> exists. A watcher dies of the next event while its file exists.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feeder.classifier import Classifier
from feeder.cli import main
from feeder.inbox import Inbox
from feeder.logbook import Logbook

PARTS = ("scanner", "worker", "writer", "watcher")


def spoilt_in(folder: Path) -> dict[str, str]:
    """The environment in which a part is spoilt while `folder` holds a file of its name."""
    return {f"SPOIL_{part.upper()}": str(folder / part) for part in PARTS}


def _spoilt(part: str, call: Callable[..., Any]) -> Callable[..., Any]:
    flag = Path(os.environ[f"SPOIL_{part.upper()}"])

    def spoilt(*arguments: Any, **keywords: Any) -> Any:
        if part == "watcher" and flag.exists():
            raise SystemExit("the watcher's thread dies")
        while part != "watcher" and flag.exists():
            time.sleep(0.02)
        return call(*arguments, **keywords)

    return spoilt


if __name__ == "__main__":
    os.scandir = _spoilt("scanner", os.scandir)  # type: ignore[assignment]
    Classifier.classify = _spoilt("worker", Classifier.classify)  # type: ignore[method-assign]
    Logbook.commit = _spoilt("writer", Logbook.commit)  # type: ignore[method-assign]
    Inbox._mark = _spoilt("watcher", Inbox._mark)  # type: ignore[method-assign]
    main()
