"""A garden with real pictures and a log of some weeks, and `feeder serve` on it."""

import hashlib
import os
import socket
import subprocess
import sys
import time as wall
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np

from feeder import config
from feeder.bundle import Bundle
from feeder.classifier import as_kept
from feeder.domain import (
    Box,
    Candidate,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    Tag,
    TimeSource,
)
from feeder.encoder import unit
from feeder.logbook import Logbook
from tests.feeder_process import PATIENCE, numbered
from tests.sightings import ROBIN, SPARROW, SQUIRREL

BLUE_TIT = Label("Eurasian Blue Tit", Kind.BIRD, "Cyanistes caeruleus", "blutit")
UNKNOWN = Prediction(ObservationType.UNKNOWN, "no label is likely enough")
BLANK = Prediction(ObservationType.BLANK, "nothing there")


def zone_at_noon(now: datetime) -> str:
    """A time zone in which it is about noon, so that what was just now was today."""
    ahead = (12 - now.astimezone(UTC).hour) % 24
    ahead = ahead - 24 if ahead > 12 else ahead
    return f"Etc/GMT{-ahead:+d}"  # these names count the other way round


class Site:
    """A log in `root` on a bundle; `see` adds a frame with its picture, `serve` runs the page.

    `sections` are more lines of config.toml, by section.
    """

    def __init__(self, root: Path, bundle: Path, **sections: str) -> None:
        self.root = root
        self.now = datetime.now(UTC)
        self.zone = zone_at_noon(self.now)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.config = root / "config.toml"
        text = (
            f'[[deployment]]\nname = "garden"\nfolder = "snapshots"\ntimezone = "{self.zone}"\n'
            f'[model]\nbundle = "{bundle.as_posix()}"\nthreads = 1\n'
        )
        sections = {"web": f"port = {self.port}", **sections}
        for name, lines in sections.items():
            text += f"[{name}]\n{lines}\n"
        self.config.write_text(text, encoding="utf-8")
        self.settings = config.load(self.config)
        (self.deployment,) = self.settings.deployments
        self.deployment.folder.mkdir(exist_ok=True)
        self.logbook = Logbook.open(self.settings.database)
        self.bundle = Bundle.open(bundle)
        self.logbook.register_model(self.bundle.digest, self.bundle.manifest.name)
        self._random = np.random.default_rng(0)
        self.count = 0

    def see(
        self,
        what: Label | Prediction,
        ago: timedelta = timedelta(minutes=10),
        probability: float = 0.9,
        *others: tuple[Label, float],
        name: str = "",
        tags: tuple[Tag, ...] = (),
        data: bytes | None = None,
    ) -> int:
        """Logs a frame taken so long ago, with a picture that is there; its media id.

        `what` is the label that is seen, or a whole prediction; `name` the file's, and `data` what
        is in it.
        """
        self.count += 1
        path = self.deployment.folder / (name or f"{self.count}.jpg")
        if data is None:
            numbered(path, self.count)
        else:
            path.write_bytes(data)
        found, data = path.stat(), path.read_bytes()
        source = SettledPath(self.deployment, path, found.st_size, found.st_mtime_ns)
        digest = hashlib.sha256(data).hexdigest()
        frame = Frame(source, digest, self.now - ago, TimeSource.EXIF, "image/jpeg", 64, 64)
        prediction = (
            what if isinstance(what, Prediction) else self._verdict(what, probability, others, tags)
        )
        labels = [one.label for one in prediction.candidates]
        if labels:
            self.logbook.register_vocabulary(prediction.vocabulary_digest, labels)
        self.logbook.append(frame, prediction)
        self.logbook.commit()
        return self.count

    def _verdict(
        self,
        label: Label,
        probability: float,
        others: tuple[tuple[Label, float], ...],
        tags: tuple[Tag, ...],
    ) -> Prediction:
        named = Candidate(label, probability, 0.3)
        vector = self._random.normal(size=self.bundle.manifest.embedding_width)
        return Prediction(
            ObservationType.ANIMAL,
            label.name,
            (named, *(Candidate(other, share, 0.2) for other, share in others)),
            named,
            bird_probability=probability if label.kind is Kind.BIRD else 0.0,
            margin=probability,
            embedding=as_kept(unit(vector[None].astype(np.float32)))[0],
            model_digest=self.bundle.digest,
            vocabulary_digest="+".join([label.name, *(other.name for other, _ in others)]),
            region=Box(0.25, 0.25, 0.5, 0.5),
            tags=tags,
        )

    def fill(self) -> None:
        """Some weeks: robins every day, sparrows every other, a squirrel, and what is unclear."""
        for day in range(21, -1, -1):
            ago = timedelta(days=day, minutes=30)
            for seconds in (0, 10, 20):
                self.see(ROBIN, ago - timedelta(seconds=seconds), 0.95, (SPARROW, 0.03))
            if day % 2 == 0:
                self.see(SPARROW, ago + timedelta(hours=2), 0.7, (ROBIN, 0.2))
        self.see(BLUE_TIT, timedelta(hours=3), 0.85)
        self.see(SQUIRREL, timedelta(hours=1), 0.8)
        self.see(UNKNOWN, timedelta(minutes=50))
        self.see(BLANK, timedelta(minutes=40))

    @contextmanager
    def serve(self, *arguments: str, **environment: str) -> Iterator[str]:
        """Runs `feeder serve`, and gives the page's address once it answers."""
        output = self.root / "serve.txt"
        with output.open("wb") as said:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "feeder",
                    "--config",
                    os.fspath(self.config),
                    "serve",
                    *arguments,
                ],
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, **environment},
            )
        try:
            deadline = wall.monotonic() + PATIENCE
            while not answers(self.base):
                said_so_far = output.read_text(encoding="utf-8")
                assert process.poll() is None and wall.monotonic() < deadline, said_so_far
                wall.sleep(0.05)
            yield self.base
        finally:
            process.terminate()
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def close(self) -> None:
        """Lets go of the log."""
        self.logbook.close()


def free_port() -> int:
    """A port of this computer that nobody listens on."""
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def answers(base: str) -> bool:
    """Whether something answers at this address, be it with an error."""
    try:
        urllib.request.urlopen(base, timeout=PATIENCE).close()
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False
    return True
