"""Numbered migrations under `PRAGMA user_version`."""

import re
import sqlite3
from importlib import resources
from pathlib import Path

from feeder.errors import LogbookError


def latest() -> int:
    """The schema version this release writes."""
    return max(_migrations())


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Brings the database at `path` to the latest version, one transaction a step.

    An existing log is first copied beside itself. Raises LogbookError for a newer version.
    """
    version = check(connection, path)
    steps = {number: sql for number, sql in _migrations().items() if number > version}
    if steps and version > 0:
        copy = path.with_name(f"{path.name}.before-{latest()}")
        copy.unlink(missing_ok=True)
        connection.execute("VACUUM INTO ?", (str(copy),))
    for number, sql in sorted(steps.items()):
        # executescript commits whatever is open, so the transaction is part of the script.
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{sql}\nPRAGMA user_version = {number};\nCOMMIT;"
        )


def check(connection: sqlite3.Connection, path: Path) -> int:
    """The database's version; LogbookError where a newer release wrote it."""
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > latest():
        raise LogbookError(
            f"{path} has schema {version}; this release knows up to {latest()}.",
            "Upgrade Feeder, or point `file` under [logbook] at another log.",
        )
    return version


def _migrations() -> dict[int, str]:
    """`schema/0001_name.sql` by number."""
    found = {}
    for file in resources.files("feeder").joinpath("schema").iterdir():
        name = re.fullmatch(r"(\d{4})_\w+\.sql", file.name)
        if name:
            found[int(name[1])] = file.read_text(encoding="utf-8")
    return found
