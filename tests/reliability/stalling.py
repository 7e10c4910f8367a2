"""`feeder`, with a part that hangs while a file is there: `python -m tests.reliability.stalling`.

A dead file server, a frame that never ends and a disk that takes no more cannot be had on every
machine. What they have in common is a call that does not return; here that call waits for as long
as the file named by STALL_<PART> exists.
"""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from feeder.classifier import Classifier
from feeder.cli import main
from feeder.logbook import Logbook


def _hanging(call: Callable[..., Any], part: str) -> Callable[..., Any]:
    flag = Path(os.environ[f"STALL_{part}"])

    def hang(*arguments: Any, **keywords: Any) -> Any:
        while flag.exists():
            time.sleep(0.02)
        return call(*arguments, **keywords)

    return hang


if __name__ == "__main__":
    os.scandir = _hanging(os.scandir, "SCANNER")  # type: ignore[assignment]
    Classifier.classify = _hanging(Classifier.classify, "WORKER")  # type: ignore[method-assign]
    Logbook.commit = _hanging(Logbook.commit, "WRITER")  # type: ignore[method-assign]
    main()
