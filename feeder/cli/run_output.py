"""What `feeder run` says: a line a frame on standard output, changes of state on standard error."""

import json
import logging
import os
import sys
from pathlib import Path
from zoneinfo import ZoneInfo

from rich.text import Text

from feeder.cli.attributes import unasked_line
from feeder.cli.output import lasted, local, percent, say
from feeder.cli.quota import DailyQuota
from feeder.daemon import Station
from feeder.domain import Frame, ObservationType, Prediction, Visit
from feeder.logbook import printable, relative_name
from feeder.plain_text import plain

log = logging.getLogger("feeder.cli")

_COLOUR = {
    ObservationType.ANIMAL: "green",
    ObservationType.HUMAN: "yellow",
    ObservationType.BLANK: "dim",
    ObservationType.UNKNOWN: "cyan",
    ObservationType.UNCLASSIFIED: "red",
}

SHOWN_SKIPPED = 6

FRAME_BYTES = 800_000
MESSAGE_BYTES = 150_000
"""What a day's lines about frames, and all other messages, may take in the journal, which lies on
the same card as the log."""


class Printer:
    """Prints as long as anyone reads and the journal's day has room: the log needs neither."""

    def __init__(self) -> None:
        self._has_reader = True
        self._quota = DailyQuota(FRAME_BYTES) if to_journal() else None

    def say(self, text: str | Text) -> None:
        """Prints at once; when the reader has gone, says so in the log and prints no more."""
        if not self._has_reader or not _fits(self._quota, str(text), "a line for each frame"):
            return
        try:
            say(text)
            sys.stdout.flush()
        except (OSError, SystemExit) as gone:  # the latter is rich's answer to a closed pipe
            self._has_reader = False
            log.warning("nobody reads the output any more (%s); logging goes on", gone)


def greeting(station: Station) -> str:
    """What is watched, by which model, into which log, and with empty folders the next step."""
    classifier, settings = station.classifier, station.settings
    lines = [f"watching  {one.folder}  ({one.name})" for one in settings.deployments]
    lines.append(f"model     {classifier.bundle.manifest.name}, {len(classifier.labels)} labels")
    if station.stands_in:
        lines.append(f"          it stands in for {settings.bundle_name}, which is refused")
    if skipped := classifier.embeddings.skipped:
        more = f" and {len(skipped) - SHOWN_SKIPPED} more" if len(skipped) > SHOWN_SKIPPED else ""
        lines.append(f"          it does not know {', '.join(skipped[:SHOWN_SKIPPED])}{more}")
    for name, expected in classifier.expectations.items():
        lines.append(f"birds     by {expected.locality.source}  ({name})")
    if classifier.tagger.unasked:
        lines.append(f"          {unasked_line(classifier.tagger)}")
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


def line_of(frame: Frame, prediction: Prediction, ms: float) -> Text:
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
    if prediction.tags:
        line.append(f"  {', '.join(tag.value for tag in prediction.tags)}", style="cyan")
    line.append(f"  {ms:.0f} ms")
    return line


def began_line(visit: Visit, zone: ZoneInfo | None) -> Text:
    """When a visit began, and whose it is."""
    return _visit_line(visit, zone, "a visit begins")


def ended_line(visit: Visit, zone: ZoneInfo | None) -> Text:
    """The same of one that is over, with how long it lasted and how sure its name is."""
    frames = f"{len(visit.media_ids)} frame{'s'[: len(visit.media_ids) > 1]}"
    said = f"visited for {lasted(visit.duration)}, {frames}, {percent(visit.confidence)}"
    return _visit_line(visit, zone, said)


def _visit_line(visit: Visit, zone: ZoneInfo | None, said: str) -> Text:
    return Text.assemble(
        local(visit.start, zone, trusted=visit.trusted),
        ("  > ", "dim"),
        (visit.label.name, "bold green"),
        (f"  {said}  ({visit.deployment})", "dim"),
    )


def _others(prediction: Prediction) -> str:
    """The runner-up; before it the best label, where the verdict does not give that name."""
    best, *others = prediction.candidates
    said = [] if prediction.named is best else [f"best {best.label.name}"]
    said += [f"then {one.label.name} {percent(one.probability)}" for one in others[:1]]
    return ", ".join(said)


class _KeyValues(logging.Formatter):
    """`level=info part=feeder.inbox event="garden: watching /cam"`, for people and for grep.

    Where a mistake in the program is told, its traceback follows, each line set in.
    """

    def format(self, record: logging.LogRecord) -> str:
        # A file's name may hold what moves a terminal's cursor, and bytes that are no text.
        event = plain(json.dumps(record.getMessage().rstrip(), ensure_ascii=False))
        line = f"level={record.levelname.lower()} part={record.name} event={event}"
        trace = self.formatException(record.exc_info) if record.exc_info else ""
        return "\n".join([line, *(f"  {plain(one)}" for one in trace.splitlines())])


def to_journal() -> bool:
    """Whether systemd keeps what is written; see systemd.exec(5)."""
    return "JOURNAL_STREAM" in os.environ


def _fits(quota: DailyQuota | None, text: str, what: str) -> bool:
    """Whether the text may be written today; says once when no more may be."""
    if quota is None or quota.takes(text):
        return True
    if quota.is_first_refusal:
        log.warning("the journal gets no more of %s today: it has had its share", what)
    return False


def log_to_stderr() -> None:
    """One line for each change of state, for the journal."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = _KeyValues()
    handler.setFormatter(formatter)
    if to_journal():
        quota = DailyQuota(MESSAGE_BYTES)
        handler.addFilter(lambda record: quota.takes(formatter.format(record)))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
