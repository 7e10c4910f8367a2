"""`feeder backup` and `feeder restore`: copies of the log, and back."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.progress import Progress

from feeder import config
from feeder.backup import Backup, Backups
from feeder.cli.output import err, examples, local, note, say, table, write_json
from feeder.cli.wiring import open_backups, sole_writer
from feeder.errors import FeederError, LogbookError, LogDamaged
from feeder.log_care import DAMAGED_EXIT


@click.command(
    epilog=examples(
        "feeder backup                     # where [backup] says; the daemon does so every day",
        "feeder backup --to /media/usb     # on another disk",
        "feeder backup --list",
    )
)
@click.option(
    "--to",
    "folder",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="Another folder than the configured one.",
)
@click.option("--list", "only_list", is_flag=True, help="Show the copies there are, make none.")
@click.option("--json", "as_json", is_flag=True, help="Write JSON, times in UTC.")
@click.pass_obj
def backup(path: Path, folder: Path | None, only_list: bool, as_json: bool) -> None:
    """Copies the log and checks the copy; the daemon may run meanwhile.

    Exits with 3 where the check finds the log damaged.
    """
    settings = config.load(path)
    backups = open_backups(settings)
    if folder is not None:
        backups = Backups(backups.database, folder.absolute(), backups.keep)
    if only_list:
        _show(backups.listed(), as_json)
        return
    try:
        with Progress(console=err, transient=True, disable=not err.is_terminal) as progress:
            task = progress.add_task("copying the log", total=None)
            made = backups.make(
                datetime.now(UTC), lambda done, of: progress.update(task, completed=done, total=of)
            )
    except LogDamaged as damage:
        note(f"feeder: {damage}\n  {damage.hint}")
        sys.exit(DAMAGED_EXIT)
    _show([made], as_json)


def _show(copies: list[Backup], as_json: bool) -> None:
    if as_json:
        write_json(
            [
                {"file": one.path, "made_at": one.made_at, "bytes": one.path.stat().st_size}
                for one in copies
            ]
        )
        return
    table(
        ("made", "megabytes", "file"),
        [
            (local(one.made_at, None), f"{one.path.stat().st_size / 1e6:.1f}", one.path)
            for one in copies
        ],
    )


@click.command(
    epilog=examples(
        "feeder restore                                # the newest sound copy",
        "feeder restore data/backups/feeder-20261121T030000Z.db",
    )
)
@click.argument(
    "copy",
    required=False,
    metavar="[BACKUP]",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@click.pass_obj
def restore(path: Path, copy: Path | None) -> None:
    """Puts a copy in the log's place; the present log is set aside, not deleted.

    The daemon must not run. Frames that are still in their folders and not in the copy are read
    again at its next start; pictures that were archived since then stay in the archive.
    """
    settings = config.load(path)
    backups = open_backups(settings)
    if copy is None and not backups.listed():
        raise FeederError(
            f"There is no backup in {backups.folder}.", "`feeder backup` makes one; or name a file."
        )
    with sole_writer(settings):
        done = backups.restore(datetime.now(UTC), copy)
    if done.copy is None:
        raise LogbookError(
            "None of the backups is sound.", f"The log was set aside as {done.aside}; name a file."
        )
    say(f"restored {settings.database} from {done.copy}")
    if done.aside:
        say(f"what it was: {done.aside}")
