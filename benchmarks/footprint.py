"""What this process and its children use of the computer, as Linux counts it."""

import os
import time
from pathlib import Path

MB = 1_000_000


def family() -> list[int]:
    """This process and its direct children; Feeder's decoder is one."""
    children = [
        int(pid)
        for listing in Path("/proc/self/task").glob("*/children")
        for pid in listing.read_text().split()
    ]
    return [os.getpid(), *children]


def private_mb() -> float:
    """Memory that would be free if the family were gone, in MB: its pages shared with nobody."""
    fields = ("Private_Clean:", "Private_Dirty:")
    return sum(_bytes(f"/proc/{pid}/smaps_rollup", fields) for pid in family()) / MB


def peak_mb() -> float:
    """The highest resident size of each process of the family, summed, in MB."""
    return sum(_bytes(f"/proc/{pid}/status", ("VmHWM:",)) for pid in family()) / MB


def cpu_seconds() -> float:
    """Processor time the family has used, every thread, user and system."""
    _, *children = family()
    tick = os.sysconf("SC_CLK_TCK")
    seconds = time.process_time()
    for pid in children:
        # The command, which may hold anything, ends at the last parenthesis.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        seconds += (int(fields[11]) + int(fields[12])) / tick
    return seconds


def _bytes(path: str, fields: tuple[str, ...]) -> int:
    lines = Path(path).read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(fields))
