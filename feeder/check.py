"""One thing that was looked at, for `feeder doctor` and the page."""

import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: whether it is well, what was found, and how to mend it."""

    name: str
    well: bool
    found: str
    mend: str = ""


def is_open_to_others(path: Path) -> bool:
    """Whether everybody on this computer may read the file."""
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False
