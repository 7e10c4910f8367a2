"""A log that is filled with sightings without a camera, a model or pictures."""

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from feeder.clock import Clock
from feeder.domain import (
    Candidate,
    Deployment,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    TimeSource,
)
from feeder.logbook import Logbook

START = datetime(2026, 5, 1, 6, 30, tzinfo=UTC)
ROBIN = Label("European Robin", Kind.BIRD, "Erithacus rubecula", "eurrob1")
SPARROW = Label("House Sparrow", Kind.BIRD, "Passer domesticus", "houspa")
SQUIRREL = Label("Eastern Gray Squirrel", Kind.MAMMAL, "Sciurus carolinensis")


class SightedLog:
    """A new log at `path`; `see` adds a sighting so many seconds after `START`."""

    def __init__(self, path: Path, clock: Clock | None = None, zone: str = "Europe/Dublin") -> None:
        self.path = path
        self.logbook = Logbook.open(path, clock)
        self.zone = ZoneInfo(zone)
        self.count = 0

    def see(
        self,
        at: float | datetime,
        label: Label | None = ROBIN,
        probability: float = 0.9,
        *others: tuple[Label, float],
        camera: str = "garden",
        trusted: bool = True,
        commit: bool = True,
    ) -> int:
        """Logs a frame of a label (None: of nothing) and `others` as runners-up; its media id."""
        self.count += 1
        captured_at = at if isinstance(at, datetime) else START + timedelta(seconds=at)
        deployment = Deployment(camera, Path("/", camera), zone=self.zone)
        source = SettledPath(deployment, deployment.folder / f"{self.count}.jpg", 1, self.count)
        frame = Frame(
            source,
            f"{self.count:064x}",
            captured_at,
            TimeSource.MTIME,
            "image/jpeg",
            8,
            8,
            trusted=trusted,
        )
        if label is not None:
            self.logbook.register_vocabulary(label.name, [label])
        self.logbook.append(frame, _verdict(label, probability, others))
        if commit:
            self.logbook.commit()
        return self.count

    def sql(self, text: str) -> None:
        """Changes the log behind the program's back."""
        with closing(sqlite3.connect(self.path)) as connection, connection:
            connection.execute(text)


def _verdict(
    label: Label | None, probability: float, others: tuple[tuple[Label, float], ...]
) -> Prediction:
    if label is None:
        return Prediction(ObservationType.BLANK, "nothing there")
    named = Candidate(label, probability, 0.3)
    candidates = (named, *(Candidate(other, share, 0.2) for other, share in others))
    return Prediction(
        ObservationType.ANIMAL, label.name, candidates, named, vocabulary_digest=label.name
    )
