"""What the log says of a folder: the invariant that every promise comes back to."""

import hashlib
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Audit:
    """Frames that are not in the log, and frames that are there more than once."""

    frames: int
    missing: int
    twice: int

    @property
    def holds(self) -> bool:
        """Whether each frame is there exactly once."""
        return not self.missing and not self.twice


def audit(database: Path, folder: Path) -> Audit:
    """Compares the files in `folder`, by their bytes, with the rows about them."""
    digests = {hashlib.sha256(path.read_bytes()).digest() for path in pictures(folder)}
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        logged = [row[0] for row in connection.execute("SELECT sha256 FROM media")]
        per_frame = "SELECT count(*) FROM observation GROUP BY media_id HAVING count(*) > 1"
        judged_twice = len(connection.execute(per_frame).fetchall())
        unjudged = (
            "SELECT count(*) FROM media WHERE media_id NOT IN (SELECT media_id FROM observation)"
        )
        (without,) = connection.execute(unjudged).fetchone()
        paths = {
            (bytes(name), size, mtime)
            for name, size, mtime in connection.execute(
                "SELECT file_path, file_size, mtime_ns FROM path"
            )
        }
    unknown_paths = sum(_key(path, folder) not in paths for path in pictures(folder))
    twice = len(logged) - len(set(logged)) + judged_twice
    return Audit(len(digests), len(digests - set(logged)) + without + unknown_paths, twice)


def pictures(folder: Path) -> list[Path]:
    """The files of a drop folder."""
    return [path for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")]


def _key(path: Path, folder: Path) -> tuple[bytes, int, int]:
    found = path.stat()
    return str(path.relative_to(folder)).encode(), found.st_size, found.st_mtime_ns
