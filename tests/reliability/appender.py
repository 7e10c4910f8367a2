"""Appends frames to a log and says on standard output how many are durable.

python -m tests.reliability.appender LOG FIRST [SYNCHRONOUS]
"""

import os
import sys
from pathlib import Path

from feeder.logbook import Logbook
from tests.test_logbook import frame, seen

ROWS = 5
"""Rows a commit."""


def main() -> None:
    """Runs until it is killed or its disk is gone."""
    path, first = Path(sys.argv[1]), int(sys.argv[2])
    logbook = Logbook.open(path)
    if len(sys.argv) > 3:
        logbook._connection.execute(f"PRAGMA synchronous = {sys.argv[3]}")
    logbook.register_model("m" * 64, "tiny")
    logbook.register_vocabulary("v" * 64, ())
    number = first
    while True:
        for _ in range(ROWS):
            logbook.append(frame(number), seen())
            number += 1
        logbook.commit()
        os.write(1, f"{number}\n".encode())


if __name__ == "__main__":
    main()
