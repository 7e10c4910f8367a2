"""The log's part on the clock: its epochs, and the times that later knowledge betters.

Written by the logbook alone, within its transactions.
"""

import logging
import sqlite3
from collections.abc import Iterable

from feeder.domain import ClockEpoch, KnownBy

log = logging.getLogger("feeder.clock_ledger")

KEPT = 500
"""Epochs that the daemon looks back on; older boots' files are no longer in the folders."""


def epochs(connection: sqlite3.Connection) -> list[ClockEpoch]:
    """The newest epochs, the oldest of them first."""
    rows = connection.execute(
        "SELECT clock_epoch_id, boot_id, clock_offset, began, seen, drained, ended, known_by"
        " FROM clock_epoch ORDER BY clock_epoch_id DESC LIMIT ?",
        (KEPT,),
    ).fetchall()
    return [
        ClockEpoch(number, boot, offset, began, seen, drained, ended, KnownBy(by) if by else None)
        for number, boot, offset, began, seen, drained, ended, by in reversed(rows)
    ]


def write(connection: sqlite3.Connection, changed: Iterable[ClockEpoch]) -> None:
    """Keeps each epoch as it is now."""
    connection.executemany(
        "INSERT INTO clock_epoch (clock_epoch_id, boot_id, clock_offset, began, seen, drained,"
        " ended, known_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET"
        " seen = excluded.seen, drained = excluded.drained, ended = excluded.ended,"
        " known_by = excluded.known_by",
        [
            (
                epoch.number,
                epoch.boot,
                epoch.offset,
                epoch.began,
                epoch.seen,
                epoch.drained,
                epoch.ended,
                epoch.known_by,
            )
            for epoch in changed
        ],
    )


_REMEDIES = """
    SELECT clock_epoch_id, known, known_offset - clock_offset FROM (
        SELECT e.clock_epoch_id, e.clock_offset, k.clock_epoch_id AS known,
            k.clock_offset AS known_offset, row_number() OVER (
                PARTITION BY e.clock_epoch_id
                ORDER BY k.known_by = 'network' DESC, k.clock_epoch_id
            ) AS choice
        FROM clock_epoch AS e JOIN clock_epoch AS k
            ON k.boot_id = e.boot_id AND k.clock_epoch_id > e.clock_epoch_id
        WHERE (k.known_by = 'network' AND e.known_by IS NOT 'network'
            OR k.known_by IS NOT NULL AND e.known_by IS NULL)
            AND EXISTS (SELECT 1 FROM media AS m WHERE m.clock_epoch_id = e.clock_epoch_id)
    ) WHERE choice = 1
"""
"""Epochs that nobody vouched for, or only a battery clock, each with the first later one of its
boot that was known, best by the network, and the seconds between the two clocks."""


def correct(connection: sqlite3.Connection) -> int:
    """Moves every time to what is known now, keeping it as first written; gives their number.

    A second call changes nothing.
    """
    corrected = 0
    for stale, known, seconds in connection.execute(_REMEDIES).fetchall():
        corrected += connection.execute(
            "UPDATE media SET timestamp_trusted = 1, clock_epoch_id = ?,"
            " timestamp_recorded = coalesce(timestamp_recorded, timestamp),"
            " timestamp = strftime('%Y-%m-%dT%H:%M:%fZ', timestamp, ?) WHERE clock_epoch_id = ?",
            (known, f"{seconds:+.3f} seconds", stale),
        ).rowcount
    # A clock that turned out to have been right.
    connection.execute(
        "UPDATE media SET timestamp_trusted = 1 WHERE timestamp_trusted = 0 AND clock_epoch_id IN"
        " (SELECT clock_epoch_id FROM clock_epoch WHERE known_by IS NOT NULL)"
    )
    # There is nothing better than the network's time.
    connection.execute(
        "UPDATE media SET clock_epoch_id = NULL WHERE clock_epoch_id IN"
        " (SELECT clock_epoch_id FROM clock_epoch WHERE known_by = 'network')"
    )
    if corrected:
        log.info("%d times corrected, now that the clock is known", corrected)
    return corrected
