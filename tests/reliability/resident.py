"""How much memory a process has, as Linux tells it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np


def resident(pid: int) -> int:
    """Bytes in RAM, of libraries and other files too."""
    return _rollup(pid, "Rss")


def anonymous(pid: int) -> int:
    """Bytes in RAM that the process wrote itself: its heap and its stacks."""
    return _rollup(pid, "Anonymous")


def children(pid: int) -> list[int]:
    """The processes that it started and that still run."""
    told = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii")
    return [int(child) for child in told.split()]


def slope(counts: Sequence[int], sizes: Sequence[int]) -> float:
    """Bytes a frame: the least-squares line through the sizes after so many frames."""
    return float(np.polyfit(counts, sizes, 1)[0])


def _rollup(pid: int, what: str) -> int:
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith(f"{what}:"):
            return int(line.split()[1]) * 1024
    raise AssertionError(f"no {what} in smaps_rollup")
