"""A feeder without a camera or a model: a folder, a log and [retention], filled by hand."""

import hashlib
import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from feeder import config, corrections
from feeder.clock import Clock
from feeder.config import Settings
from feeder.correction_log import CorrectionLog
from feeder.corrections import Answer
from feeder.domain import (
    Candidate,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    TimeSource,
    unclassified,
)
from feeder.housekeeping import Housekeeping
from feeder.judgement_log import JudgementLog
from feeder.logbook import Logbook
from feeder.picture_log import PictureLog
from feeder.places import Places

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
"""What the garden's clock says."""


class Garden:
    """`shoot` drops a picture and logs it; `housekeeping` then does what [retention] says."""

    def __init__(self, root: Path, retention: str = "", cameras: tuple[str, ...] = ("garden",)):
        self.root = root
        self.clock = Clock(now=lambda: self.now)
        self.now = NOW
        self.cameras = cameras
        self.settings = self.configured(retention)
        for deployment in self.settings.deployments:
            deployment.folder.mkdir(parents=True, exist_ok=True)
        self.settings.archive.mkdir(exist_ok=True)
        self.logbook = Logbook.open(self.settings.database, self.clock)
        self.pictures = PictureLog.open(self.settings.database, self.clock)
        self.room = 10**12
        self.disk: int | None = None
        self.is_clock_right = True
        self.housekeeping = Housekeeping(
            self.settings,
            self.pictures,
            Clock(now=lambda: self.now),
            clock_is_trusted=lambda: self.is_clock_right,
            free=lambda folder: (folder.stat().st_dev, self.free()),
        )
        self.logbook.on_commit = self.housekeeping.logged

    def configured(self, retention: str) -> Settings:
        """The settings with these lines under [retention]."""
        text = "".join(
            f'[[deployment]]\nname = "{name}"\nfolder = "{name}"\ntimezone = "Europe/Dublin"\n'
            for name in self.cameras
        )
        return config.parse(f"{text}[retention]\n{retention}\n", self.root / "config.toml")

    def change(self, retention: str) -> None:
        """What a reload with these lines under [retention] does."""
        self.settings = self.configured(retention)
        self.housekeeping.turn(self.settings)

    def shoot(
        self,
        name: str,
        *,
        days_ago: float = 0,
        species: str | None = "European Robin",
        camera: str = "garden",
        data: bytes | None = None,
        received_days_ago: float | None = None,
        commit: bool = True,
    ) -> Path:
        """A picture of a species (None: of nothing, "": broken) dropped and logged so long ago."""
        source = self.drop(name, data or f"{camera}/{name}".encode(), camera)
        self.log(source, days_ago, species, received_days_ago, commit=commit)
        return source.path

    def drop(self, name: str, data: bytes, camera: str = "garden") -> SettledPath:
        """Writes a file into a camera's folder."""
        deployment = next(one for one in self.settings.deployments if one.name == camera)
        path = deployment.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        found = path.stat()
        return SettledPath(deployment, path, found.st_size, found.st_mtime_ns)

    def log(
        self,
        source: SettledPath,
        days_ago: float = 0,
        species: str | None = "European Robin",
        received_days_ago: float | None = None,
        *,
        commit: bool = True,
        data: bytes | None = None,
    ) -> None:
        """Logs a file as the daemon does; `data` is what was read from it, if not what it holds."""
        data = source.path.read_bytes() if data is None else data
        taken = NOW - timedelta(days=days_ago)
        digest = hashlib.sha256(data).hexdigest()
        frame = Frame(source, digest, taken, TimeSource.EXIF, "image/jpeg", 8, 8)
        received = days_ago if received_days_ago is None else received_days_ago
        self.now, now = NOW - timedelta(days=received), self.now
        if self.logbook.has_frame(frame):
            self.logbook.append_path(frame)
        else:
            self.logbook.append(frame, verdict(species))
        self.now = now
        if commit:
            self.logbook.commit()

    def tidy(self) -> None:
        """Puts away and deletes everything that is due."""
        self.housekeeping.finish(whole=True)

    def media_id(self, name: str) -> int:
        """The id of the newest frame of that name."""
        (found,) = self.sql("SELECT max(media_id) FROM media WHERE file_name = ?", name)
        return int(found[0])

    def free(self) -> int:
        """Bytes free: what `disk` holds less its files, else `room`, which no deleting changes."""
        if self.disk is None:
            return self.room
        return self.disk - sum((self.root / name).stat().st_size for name in self.files())

    def make_favorite(self, name: str, favorite: bool = True) -> None:
        """What `feeder favorite` does."""
        with self.pictures.writing():
            self.pictures.set_favorite([self.media_id(name)], favorite)

    def correct(self, name: str, species: str) -> int:
        """What `feeder correct` does; the judgement's number."""
        frames = CorrectionLog(self.settings.database).frames([self.media_id(name)])
        answer = Answer.of(Label(species, Kind.BIRD))
        with JudgementLog.open(self.settings.database, self.clock) as judgements:
            return corrections.correct(judgements, frames, answer, person="ada")

    def sql(self, text: str, *values: object) -> list[tuple[object, ...]]:
        """Asks or changes the log behind the program's back."""
        with closing(sqlite3.connect(self.settings.database)) as connection, connection:
            return connection.execute(text, values).fetchall()

    def files(self, where: str = "") -> list[str]:
        """Every file below the root's folders of pictures, hidden ones, too."""
        roots = [self.root / where] if where else Places.of(self.settings).roots
        return sorted(
            os.fspath(path.relative_to(self.root))
            for root in roots
            for path in root.rglob("*")
            if path.is_file()
        )

    def rows(self) -> tuple[int, int]:
        """How many frames and observations the log has."""
        counts = [self.sql(f"SELECT count(*) FROM {name}") for name in ("media", "observation")]
        return int(str(counts[0][0][0])), int(str(counts[1][0][0]))

    def close(self) -> None:
        """Lets go of the log."""
        self.pictures.close()
        self.logbook.close()


def verdict(species: str | None) -> Prediction:
    """A machine's verdict: a species, nothing (None) or a broken picture ("")."""
    if species == "":
        return unclassified("the picture is broken")
    if species is None:
        return Prediction(ObservationType.BLANK, "nothing there")
    named = Candidate(Label(species, Kind.BIRD), 0.9, 0.3)
    return Prediction(ObservationType.ANIMAL, species, (named,), named=named)
