"""`feeder run`: the daemon."""

import faulthandler
import json
import logging
import sys
from functools import partial
from pathlib import Path

import click
from rich.text import Text

from feeder import config
from feeder.cli.output import examples, local, percent, say
from feeder.cli.stand_in import open_station_somehow
from feeder.cli.wiring import open_care, open_station, sole_writer
from feeder.clock import Clock
from feeder.config import Settings
from feeder.daemon import Daemon, Station
from feeder.domain import Frame, ObservationType, Prediction
from feeder.housekeeping import Housekeeping
from feeder.logbook import printable, relative_name
from feeder.model_watch import ModelWatch
from feeder.picture_log import PictureLog
from feeder.plain_text import plain
from feeder.service_manager import notify
from feeder.timekeeping import Timekeeper

log = logging.getLogger("feeder.cli")

_COLOUR = {
    ObservationType.ANIMAL: "green",
    ObservationType.HUMAN: "yellow",
    ObservationType.BLANK: "dim",
    ObservationType.UNKNOWN: "cyan",
    ObservationType.UNCLASSIFIED: "red",
}

SHOWN_SKIPPED = 6


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
    # systemd ends a daemon that hangs by SIGABRT: the journal then says where it hung.
    faulthandler.enable(sys.__stderr__ or 2)
    settings = config.load(path)
    settings.database.parent.mkdir(parents=True, exist_ok=True)
    # Before the log is opened: a newer release must not migrate it under a running daemon.
    with sole_writer(settings):
        _serve(path, settings, once=once)


def _serve(path: Path, settings: Settings, *, once: bool) -> None:
    """Runs the daemon on these settings, and at the end puts away what it logged last."""
    care = open_care(settings)
    logbook = care.open(_Waiting())
    timekeeper = Timekeeper(Clock(), logbook.epochs(), logbook.append_epoch)
    housekeeping = Housekeeping(
        settings,
        PictureLog.open(settings.database),
        clock_is_trusted=timekeeper.is_trusted,
    )
    if care.restored is not None:
        housekeeping.restored(care.restored.since)
    logbook.on_commit = housekeeping.logged
    load = partial(open_station, logbook=logbook, on_recorded=housekeeping.met)
    station = open_station_somehow(settings, load)
    printer = _Printer()
    printer.say(_greeting(station))
    daemon = Daemon(
        station,
        logbook,
        load=lambda: load(config.load(path)),
        report=lambda frame, prediction, ms: printer.say(_line(frame, prediction, ms)),
        timekeeper=timekeeper,
        on_restored=lambda done: housekeeping.restored(done.since),
    )
    daemon.chores = [
        lambda: housekeeping.turn(daemon.station.settings),
        ModelWatch(daemon, load),
    ]
    daemon.run(once=once)
    housekeeping.finish(whole=once)


class _Waiting:
    """Says once what the start waits for, and goes on telling the service manager."""

    def __init__(self) -> None:
        self._said = ""

    def __call__(self, what: str) -> None:
        if what != self._said:
            self._said = what
            log.error("%s; frames stay in their folders meanwhile", what)
        notify("READY=1", "WATCHDOG=1", f"STATUS={what}")


class _Printer:
    """Prints as long as anyone reads: the log does not depend on it."""

    def __init__(self) -> None:
        self._has_reader = True

    def say(self, text: str | Text) -> None:
        """Prints at once; when the reader has gone, says so in the log and prints no more."""
        if not self._has_reader:
            return
        try:
            say(text)
            sys.stdout.flush()
        except (OSError, SystemExit) as gone:  # the latter is rich's answer to a closed pipe
            self._has_reader = False
            log.warning("nobody reads the output any more (%s); logging goes on", gone)


def _greeting(station: Station) -> str:
    """What is watched, by which model, into which log, and with empty folders the next step."""
    classifier, settings = station.classifier, station.settings
    lines = [f"watching  {one.folder}  ({one.name})" for one in settings.deployments]
    lines.append(f"model     {classifier.bundle.manifest.name}, {len(classifier.labels)} labels")
    if station.stands_in:
        lines.append(f"          it stands in for {settings.bundle_name}, which is refused")
    if skipped := classifier.embeddings.skipped:
        more = f" and {len(skipped) - SHOWN_SKIPPED} more" if len(skipped) > SHOWN_SKIPPED else ""
        lines.append(f"          it does not know {', '.join(skipped[:SHOWN_SKIPPED])}{more}")
    lines.append(f"log       {settings.database}")
    if not any(_has_files(deployment.folder) for deployment in settings.deployments):
        lines += [
            "",
            "The folder is empty. Point a camera at it, or try: "
            f"cp *.jpg {settings.deployments[0].folder}/",
            "Read the log with `feeder sightings`. Ctrl-C stops.",
        ]
    return "\n".join(lines)


def _has_files(folder: Path) -> bool:
    try:
        return any(True for _ in folder.iterdir())
    except OSError:
        return True  # it cannot be looked into; the inbox says what it waits for


def _line(frame: Frame, prediction: Prediction, ms: float) -> Text:
    """Time, file, label, probability, runner-up, milliseconds."""
    shown = prediction.named or prediction.best
    what = prediction.observation_type.value
    if prediction.named is not None:
        what = prediction.named.label.name
    elif prediction.observation_type is ObservationType.UNCLASSIFIED:
        what = f"unclassified: {prediction.reason}"
    line = Text.assemble(
        local(frame.captured_at, frame.source.deployment.zone, trusted=frame.trusted),
        f"  {printable(relative_name(frame.source)):<16}",
        (f"  {what:<24}", _COLOUR[prediction.observation_type]),
    )
    if shown is not None:
        line.append(f"  {percent(shown.probability):>5}")
        closer = "closer look, " if prediction.region else ""
        line.append(f"  ({closer}{_others(prediction)})", style="dim")
    line.append(f"  {ms:.0f} ms")
    return line


def _others(prediction: Prediction) -> str:
    """The runner-up; before it the best label, where the verdict does not give that name."""
    best, *others = prediction.candidates
    said = [] if prediction.named is best else [f"best {best.label.name}"]
    said += [f"then {one.label.name} {percent(one.probability)}" for one in others[:1]]
    return ", ".join(said)


class _KeyValues(logging.Formatter):
    """`level=info part=feeder.inbox event="garden: watching /cam"`, for people and for grep."""

    def format(self, record: logging.LogRecord) -> str:
        # A file's name may hold what moves a terminal's cursor, and bytes that are no text.
        event = plain(json.dumps(record.getMessage(), ensure_ascii=False))
        return f"level={record.levelname.lower()} part={record.name} event={event}"


def _log_to_stderr() -> None:
    """One line for each change of state, for the journal."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_KeyValues())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
