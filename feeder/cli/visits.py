"""`feeder visits`: who came, when, and for how long."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from feeder import config, visit_history
from feeder.cli.output import examples, lasted, local, percent, table, write_json
from feeder.cli.selection import known_vocabulary, peeked, select, selecting, writing
from feeder.clock import utc_text
from feeder.domain import Visit
from feeder.exports.cells import cell
from feeder.query_terms import groups
from feeder.records import visit_record
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery


@click.command(
    epilog=examples(
        "feeder visits --since today",
        "feeder visits --species robin --since 2026-05-01 --until 2026-05-31",
        "feeder visits --limit 0 --csv > visits.csv",
        "feeder visits --json | jq -r '.[].best_media_id'",
    )
)
@selecting
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="0: all.")
@writing
@click.pass_obj
def visits(
    path: Path,
    since: str | None,
    until: str | None,
    species: str | None,
    deployment: str | None,
    limit: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Lists visits, newest first; local times on screen.

    A visit is one species before one camera until it has been away for `gap_minutes` (under
    [visits] in config.toml; a change applies to the whole history). A frame misread on the way
    counts to it, and so does a bird that was not told apart between two that were. A visit that
    lasts into the period is shown whole. The confidence is the mean over its frames.

    A `?` follows a time that the computer wrote before it knew the time.
    """
    settings = config.load(path)
    vocabulary = known_vocabulary(settings)
    chosen = select(settings, vocabulary, since, until, species, deployment)
    query = VisitQuery(chosen.since, chosen.until, chosen.labels, deployment, limit or None)
    log = SightingLog(settings.database)
    found = peeked(visit_history.read(log, settings.visits.gap, groups(vocabulary), query))
    if found is None:
        chosen.say_none("visits")
    rows: Iterator[Visit] = found or iter(())
    if as_json:
        write_json([visit_record(visit) for visit in rows])
    elif as_csv:
        _write_csv(rows)
    else:
        table(
            ("time", "lasted", "frames", "species", "confidence", "camera", "best frame"),
            (
                (
                    local(visit.start, chosen.zones.get(visit.deployment), trusted=visit.trusted),
                    lasted(visit.duration),
                    len(visit.media_ids),
                    visit.label.name,
                    percent(visit.confidence),
                    visit.deployment,
                    visit.best,
                )
                for visit in rows
            ),
        )


def _write_csv(visits: Iterator[Visit]) -> None:
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns: list[str] = []
    for visit in visits:
        row = visit_record(visit)
        for column in ("event_start", "event_end"):
            row[column] = utc_text(row[column])
        row["timestamp_trusted"] = int(visit.trusted)
        row["media_ids"] = " ".join(map(str, visit.media_ids))
        if not columns:
            columns = list(row)
            writer.writerow(columns)
        writer.writerow(map(cell, row.values()))
