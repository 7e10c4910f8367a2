"""`feeder sightings`: the log, read."""

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from feeder import config
from feeder.cli import tag_text
from feeder.cli.output import examples, local, percent, table, write_json
from feeder.cli.selection import known_vocabulary, peeked, select, selecting, writing
from feeder.clock import utc_text
from feeder.config import Settings
from feeder.exports.cells import cell
from feeder.log_reader import LogReader, Query
from feeder.log_records import frame_record
from feeder.places import where


@click.command(
    epilog=examples(
        "feeder sightings --since today",
        'feeder sightings --species "Eurasian Blue Tit" --since 2026-05-01 --until 2026-05-31',
        "feeder sightings --tag behaviour=bathing   # `feeder attributes list` shows what there is",
        "feeder sightings --limit 0 --csv > sightings.csv",
        "feeder sightings --all --limit 5     # blanks, unknowns and broken pictures, too",
        "feeder sightings --json | jq -r '.[].picture'    # where the pictures lie now",
    )
)
@selecting
@click.option("--all", "every_frame", is_flag=True, help="Every frame, with its verdict and why.")
@click.option(
    "--tag",
    metavar="ATTRIBUTE=VALUE",
    help="With this tag only; --all adds frames without an animal.",
)
@click.option("--favorites", is_flag=True, help="Favorites only; `feeder favorite` makes them.")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(0), help="0: all.")
@writing
@click.pass_obj
def sightings(
    path: Path,
    since: str | None,
    until: str | None,
    species: str | None,
    deployment: str | None,
    every_frame: bool,
    tag: str | None,
    favorites: bool,
    limit: int,
    as_json: bool,
    as_csv: bool,
) -> None:
    """Lists what was seen, newest first; local times on screen.

    A `?` follows a time that the computer wrote before it knew the time.
    """
    settings = config.load(path)
    vocabulary = known_vocabulary(settings) if species else None
    chosen = select(settings, vocabulary, since, until, species, deployment)
    query = Query(
        since=chosen.since,
        until=chosen.until,
        labels=chosen.labels,
        deployment=deployment,
        limit=limit or None,
        every_frame=every_frame,
        favorites=favorites,
        tag=tag_text.parse(tag) if tag is not None else None,
    )
    reader = LogReader(settings.database)
    found = peeked(reader.sightings(query))
    if found is None:
        chosen.say_none("frames" if every_frame else "favorites" if favorites else "sightings")
    rows: Iterator[dict[str, Any]] = found or iter(())
    if as_json:
        write_json(_with_pictures(list(rows), settings))
    elif as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        columns: list[str] = []
        for row in rows:
            for column in ("timestamp", "timestamp_recorded"):
                row[column] = utc_text(row[column]) if row[column] else ""
            row["timestamp_trusted"] = int(row["timestamp_trusted"])
            row["runners_up"] = "; ".join(other["label"] for other in row["runners_up"])
            row["tags"] = "; ".join(map(tag_text.written, row["tags"]))
            if not columns:
                columns = list(row)
                writer.writerow(columns)
            writer.writerow(map(cell, row.values()))
    elif every_frame:
        table(
            ("id", "time", "verdict", "camera", "file", "why"),
            (
                (
                    row["media_id"],
                    _time(row, chosen.zones),
                    row["observation_type"],
                    row["deployment"],
                    row["file_name"],
                    row["reason"],
                )
                for row in rows
            ),
        )
    else:
        # A column that would be empty for every bundle and camera that say nothing more.
        tags = ("tags",) if reader.has_tags() else ()
        table(
            ("id", "time", "species", "probability", "camera", "file", "runner-up", *tags),
            (
                (
                    row["media_id"],
                    _time(row, chosen.zones),
                    row["label"],
                    percent(row["classification_probability"]),
                    row["deployment"],
                    row["file_name"],
                    next((other["label"] for other in row["runners_up"]), ""),
                    *([", ".join(map(tag_text.written, row["tags"]))] if tags else []),
                )
                for row in rows
            ),
        )


def _with_pictures(rows: list[dict[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """The rows with `favorite`, and with `picture`, where it lies now, or null."""
    pictures = where(settings, [row["media_id"] for row in rows])
    return [frame_record(row, pictures[row["media_id"]]) for row in rows]


def _time(row: dict[str, Any], zones: dict[str, ZoneInfo | None]) -> str:
    zone = zones.get(row["deployment"])
    return local(row["timestamp"], zone, trusted=row["timestamp_trusted"])
