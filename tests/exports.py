"""A log with everything awkward in it, and what an export may never say of it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from feeder import corrections
from feeder.cli import app
from feeder.correction_log import CorrectionLog
from feeder.corrections import Answer
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label
from feeder.judgement_log import JudgementLog
from tests.sightings import ROBIN, SPARROW, SQUIRREL, SightedLog

PERSON = Label("postman", Kind.HUMAN, "Homo sapiens")
GERTRUDE = Label("Gertrude", Kind.BIRD)
HOSTILE = Label('=HYPERLINK("http://x","y"),\n<b>tit</b>', Kind.BIRD, "Parus major", "gretit1")
WOODPECKER = Label("Downy/Hairy Woodpecker", Kind.BIRD, "Dryobates pubescens/villosus")
DOVE = Label("Collared/African Dove", Kind.BIRD, "Streptopelia decaocto / Spilopelia senegalensis")
FINCH = Label("Purple Finch", Kind.BIRD, "Haemorhous purpureus", "purfin")
MISREAD = Label("Hawfinch", Kind.BIRD, "Coccothraustes coccothraustes", "hawfin")

NEVER = ("postman", "Homo sapiens", "Hawfinch", "Coccothraustes", "grace7", "Purple Finch")
"""What no export of the awkward log says: people, what was too unsure, and who sits at it."""

DUBLIN = 'timezone = "Europe/Dublin"\nlatitude = 53.349812\nlongitude = -6.260309'

SECTION = 'observer = "Ada Lovelace"\ncountry = "IE"\nstate = "L"\nlicense = "CC-BY-4.0"'

DST = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""Half past one in Dublin, half an hour before clocks go back from two to one."""

BEFORE_MIDNIGHT = datetime(2026, 5, 3, 22, 58, tzinfo=UTC)
"""Two minutes to midnight in Dublin."""


def awkward(path: Path) -> SightedLog:
    """Writes the log of the settings file at `path`, which name the cameras garden and @cabin."""
    log = SightedLog(path.parent / "data" / "feeder.db")
    minute = 60.0
    for seconds in (0, 10, 20):
        log.see(seconds, ROBIN, 0.95)  # 1-3: sure
    log.see(10 * minute, FINCH, 0.5)  # 4: not sure enough
    log.see(20 * minute, SPARROW, 0.4)  # 5: confirmed below
    log.see(30 * minute, WOODPECKER, 0.9)  # 6: a slash of one genus
    log.see(40 * minute, DOVE, 0.9)  # 7: a slash of two
    log.see(50 * minute, UNIDENTIFIED_BIRD, 0.99)  # 8
    log.see(60 * minute, SQUIRREL, 0.9)  # 9
    log.see(70 * minute, PERSON, 0.99)  # 10
    log.see(80 * minute, None)  # 11: blank
    log.see(90 * minute, GERTRUDE, 0.97)  # 12: a label without a scientific name
    log.see(100 * minute, HOSTILE, 0.97, camera="@cabin")  # 13
    log.see(110 * minute, ROBIN, 0.99, trusted=False)  # 14: undated
    for seconds, label, share in ((0, ROBIN, 0.99), (10, MISREAD, 0.45), (20, ROBIN, 0.99)):
        others = ((ROBIN, 0.44),) if label is MISREAD else ()
        log.see(120 * minute + seconds, label, share, *others)  # 15-17: one misread on the way
    for shift in (0, 60):
        log.see(DST + timedelta(minutes=shift), ROBIN, 0.9)  # 18, 19: half past one, twice
    for shift in (0, 4):
        log.see(BEFORE_MIDNIGHT + timedelta(minutes=shift), SPARROW, 0.9)  # 20, 21: over midnight
    log.see(150 * minute, ROBIN, 0.97, (PERSON, 0.2))  # 22: somebody may be in it
    log.see(160 * minute, ROBIN, 0.98)  # 23: a person says that it is a person
    log.logbook.close()
    correct(log.path, 5, SPARROW)
    correct(log.path, 23, PERSON)
    return log


def correct(database: Path, media_id: int, label: Label) -> None:
    """What `feeder correct` does, by somebody called grace7."""
    frames = CorrectionLog(database).frames([media_id])
    with JudgementLog.open(database) as judgements:
        corrections.correct(judgements, frames, Answer.of(label), person="grace7")


Export = Callable[..., dict[str, Any]]


def exporter(path: Path) -> Export:
    """Runs `feeder export` with these arguments on the settings at `path`; its account."""

    def run(*arguments: object) -> dict[str, Any]:
        command = ["--config", str(path), "export", *map(str, arguments), "--json"]
        done = CliRunner().invoke(app, command, catch_exceptions=False)
        assert done.exit_code == 0, done.output
        found = json.loads(done.stdout)
        assert isinstance(found, dict)
        return found

    return run
