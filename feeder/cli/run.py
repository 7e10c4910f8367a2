"""`feeder run`: the daemon."""

import logging
import sys
from pathlib import Path

import click
from filelock import FileLock, Timeout
from rich.text import Text

from feeder import config
from feeder.cli.output import examples, local, percent, say
from feeder.cli.wiring import open_station
from feeder.daemon import Daemon, Station
from feeder.domain import Frame, ObservationType, Prediction
from feeder.errors import LogbookError
from feeder.logbook import Logbook, printable, relative_name

_COLOUR = {
    ObservationType.ANIMAL: "green",
    ObservationType.HUMAN: "yellow",
    ObservationType.BLANK: "dim",
    ObservationType.UNKNOWN: "cyan",
    ObservationType.UNCLASSIFIED: "red",
}

_NAMED = (ObservationType.ANIMAL, ObservationType.HUMAN)


@click.command(
    epilog=examples(
        "feeder run                         # until Ctrl-C or SIGTERM",
        "feeder run --once                  # what is in the folders now, then exit",
        "feeder --config ~/feeder/config.toml run",
    )
)
@click.option("--once", is_flag=True, help="Classify what is in the folders, then exit.")
@click.pass_obj
def run(path: Path, once: bool) -> None:
    """Watches the drop folders and logs every frame.

    SIGTERM and Ctrl-C finish the frame and commit; SIGHUP reads the settings again.
    """
    _log_to_stderr()
    settings = config.load(path)
    logbook = Logbook.open(settings.database)
    lock = FileLock(settings.database.with_name(f"{settings.database.name}.lock"))
    try:
        with lock.acquire(timeout=0):
            station = open_station(settings, logbook)
            _greet(station)
            Daemon(
                station,
                logbook,
                load=lambda: open_station(config.load(path), logbook),
                report=_print_frame,
            ).run(once=once)
    except Timeout:
        raise LogbookError(
            f"Another feeder already writes to {settings.database}.",
            "Stop it first (`systemctl stop feeder`), or give this one a log of its own.",
        ) from None


def _greet(station: Station) -> None:
    classifier, settings = station.classifier, station.settings
    for deployment in settings.deployments:
        say(f"watching  {deployment.folder}  ({deployment.name})")
    manifest = classifier.bundle.manifest
    say(f"model     {manifest.name}, {len(classifier.labels)} labels")
    if classifier.embeddings.skipped:
        skipped = ", ".join(classifier.embeddings.skipped)
        say(f"          it does not know: {skipped}")
    say(f"log       {settings.database}")
    if not any(_has_files(deployment.folder) for deployment in settings.deployments):
        first = settings.deployments[0].folder
        say(
            f"\nThe folder is empty. Point a camera at it, or try: cp *.jpg {first}/"
            "\nRead the log with `feeder sightings`. Ctrl-C stops."
        )
    sys.stdout.flush()


def _has_files(folder: Path) -> bool:
    try:
        return any(True for _ in folder.iterdir())
    except OSError:
        return True  # it cannot be looked into; the inbox says what it waits for


def _print_frame(frame: Frame, prediction: Prediction, ms: float) -> None:
    """One line: time, file, label, probability, runner-up, milliseconds."""
    best = prediction.best
    what = prediction.observation_type.value
    if best is not None and prediction.observation_type in _NAMED:
        what = best.label.name
    elif prediction.observation_type is ObservationType.UNCLASSIFIED:
        what = f"unclassified: {prediction.reason}"
    line = Text.assemble(
        local(frame.captured_at, frame.source.deployment.zone),
        f"  {printable(relative_name(frame.source)):<16}",
        (f"  {what:<24}", _COLOUR[prediction.observation_type]),
    )
    if best is not None:
        line.append(f"  {percent(best.probability):>5}")
        line.append(f"  ({_others(prediction)})", style="dim")
    line.append(f"  {ms:.0f} ms")
    say(line)
    sys.stdout.flush()


def _others(prediction: Prediction) -> str:
    """The runner-up; before it the best label, where the verdict declines to give that name."""
    named = prediction.observation_type in _NAMED
    best, *others = prediction.candidates
    said = [] if named else [f"best {best.label.name}"]
    said += [f"then {one.label.name} {percent(one.probability)}" for one in others[:1]]
    return ", ".join(said)


def _log_to_stderr() -> None:
    """One line for each change of state, for the journal."""
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s"
    )
