"""`feeder prune`: deletes what [retention] no longer keeps, or lists it."""

from collections.abc import Iterator
from pathlib import Path

import click

from feeder import config
from feeder.cli.output import examples, local, note, say, table, write_json
from feeder.clock import Clock
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.picture_log import PictureLog
from feeder.places import Places
from feeder.retention import (
    Census,
    Due,
    Species,
    Sweep,
    delete_some,
    is_any_older,
    is_clock_plausible,
    preview,
    room,
)
from feeder.rounds import megabytes


@click.command(
    epilog=examples(
        "feeder prune --dry-run              # what would go, and why",
        "feeder prune                        # deletes it now; the daemon does so by itself",
        "feeder prune --dry-run --json > due.json",
    )
)
@click.option("--dry-run", is_flag=True, help="List only; delete nothing.")
@click.option(
    "--trust-clock", is_flag=True, help="Delete by age though the log shows no recent frames."
)
@click.option("--json", "as_json", is_flag=True, help="Write JSON.")
@click.pass_obj
def prune(path: Path, dry_run: bool, trust_clock: bool, as_json: bool) -> None:
    """Deletes the pictures that [retention] in the settings no longer keeps, and lists them.

    Rows and embeddings stay. Favorites, frames that a person corrected and the last `keep_last`
    pictures of each species are never deleted. Exits with 1 where a picture cannot be deleted.
    """
    settings = config.load(path)
    pictures = PictureLog.open(settings.database)
    try:
        found, failure = [], ""
        try:
            for due in _go(settings, pictures, dry_run=dry_run, trust_clock=trust_clock):
                found.append(due)
        except OSError as error:
            failure = str(error)
    finally:
        pictures.close()
    _show(settings, found, as_json=as_json)
    if not as_json:
        what = "would be deleted" if dry_run else "deleted"
        note(f"{len(found)} pictures, {megabytes(sum(due.bytes for due in found))}, {what}")
        if not settings.retention.deletes:
            note("[retention] sets no limit, so no picture is ever deleted.")
    if failure:
        raise FeederError(
            f"A picture cannot be deleted: {failure}.",
            "Run this as the user who owns the folder, or make it writable.",
        )


def _go(
    settings: Settings, pictures: PictureLog, *, dry_run: bool, trust_clock: bool
) -> Iterator[Due]:
    """Makes a round, and gives each picture that goes, or would."""
    limits = settings.retention
    if not limits.deletes:
        return
    clock = Clock()
    census = Census(pictures, Places.of(settings), Species(limits.keep_last), notes=not dry_run)
    census.go_on(lambda: False)
    now = clock.now()
    believes = trust_clock or is_clock_plausible(pictures, now)
    if not believes and is_any_older(pictures, limits.max_days, now):
        note(
            f"Pictures older than {limits.max_days:g} days stay: the log has no frames of this week"
            " or of the last, so the clock may have jumped. --trust-clock deletes them."
        )
    sweep = Sweep(census, limits, now, believes, room)
    if dry_run:
        yield from preview(sweep)
    while not sweep.finished:
        yield from delete_some(sweep, lambda: False)


def _show(settings: Settings, found: list[Due], *, as_json: bool) -> None:
    zones = {one.name: one.zone for one in settings.deployments}
    if as_json:
        write_json(
            [
                {
                    "media_id": due.picture.media_id,
                    "timestamp": due.picture.captured_at,
                    "deployment": due.picture.deployment,
                    "label": due.picture.label,
                    "files": [file.path for file in due.files],
                    "bytes": due.bytes,
                    "reason": due.reason,
                }
                for due in found
            ]
        )
        return
    if not found:
        say("Nothing is due.")
        return
    table(
        ("id", "time", "camera", "label", "size", "why", "file"),
        (
            (
                due.picture.media_id,
                local(due.picture.captured_at, zones.get(due.picture.deployment)),
                due.picture.deployment,
                due.picture.species[1] if due.picture.species else "",
                megabytes(due.bytes),
                due.reason,
                due.files[0].path,
            )
            for due in found
        ),
    )
