"""The command line: the only place that wires things together."""

import io
import sqlite3
import sys
from pathlib import Path
from typing import NoReturn

import click
from rich.text import Text

from feeder import __version__
from feeder.cli.output import group, note
from feeder.errors import FeederError

DEFAULT_CONFIG = "config.toml"


@click.group(
    cls=group(
        {
            "run": "feeder.cli.run:run",
            "classify": "feeder.cli.classify:classify",
            "sightings": "feeder.cli.sightings:sightings",
            "search": "feeder.cli.search:search",
            "unknowns": "feeder.cli.unknowns:unknowns",
            "visits": "feeder.cli.visits:visits",
            "stats": "feeder.cli.stats:stats",
            "serve": "feeder.cli.serve:serve",
            "announce": "feeder.cli.announce:announce",
            "alerts": "feeder.cli.alerts:alerts",
            "export": "feeder.cli.export:export",
            "report": "feeder.cli.report:report",
            "favorite": "feeder.cli.favorite:favorite",
            "review": "feeder.cli.review:review",
            "calibrate": "feeder.cli.calibrate:calibrate",
            "correct": "feeder.cli.correct:correct",
            "prune": "feeder.cli.prune:prune",
            "labels": "feeder.cli.labels:labels",
            "region": "feeder.cli.region:region",
            "relabel": "feeder.cli.relabel:command",
            "attributes": "feeder.cli.attributes:attributes",
            "eval": "feeder.cli.evaluate:evaluate",
            "model": "feeder.cli.model:model",
            "deployment": "feeder.cli.deployment:deployment",
            "doctor": "feeder.cli.doctor:doctor",
            "init": "feeder.cli.init:init",
            "service": "feeder.cli.service:service",
            "backup": "feeder.cli.backup:backup",
            "restore": "feeder.cli.backup:restore",
        }
    ),
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `feeder init DIR`, then `feeder run`; `feeder doctor` says what is wrong.",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    envvar="FEEDER_CONFIG",
    default=DEFAULT_CONFIG,
    show_default=True,
    help="The settings to use; FEEDER_CONFIG says the same.",
)
@click.version_option(__version__, prog_name="feeder")
@click.pass_context
def app(context: click.Context, config: Path) -> None:
    """Watches a bird feeder's snapshots, names what is on them, and keeps the log."""
    context.obj = config


def main() -> None:
    """Runs the command line. Exit codes: 0 done, 1 something is wrong, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        # A file name need not be text, and a pipe need not take every letter.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app(prog_name="feeder")
    except FeederError as error:
        _explain(str(error), error.hint)
    except (OSError, sqlite3.Error) as error:
        _explain(str(error), "`feeder doctor` looks at folders, disk and log.")


def _explain(error: str, hint: str) -> NoReturn:
    note(Text.assemble(("feeder: ", "bold red"), error))
    if hint:
        note(f"  {hint}")
    sys.exit(1)
