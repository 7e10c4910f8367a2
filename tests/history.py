"""A log of frames that were judged once, without a picture: embeddings drawn at random."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np

from feeder.bundle import Bundle, Thresholds
from feeder.classifier import Classifier, as_kept
from feeder.clock import Clock
from feeder.domain import Box, Deployment, Kind, Label, ObservationType, Vectors, unclassified
from feeder.encoder import unit
from feeder.judge_again import Plan
from feeder.judgement_log import JudgementLog, What
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.relabel import preview, relabel
from feeder.verdict_log import Scope, Verdict, verdict_of
from feeder.vocabulary import Vocabulary
from tests.test_logbook import NOON, frame

GARDEN = Deployment("garden", Path("/cams/garden"))
POND = Deployment("pond", Path("/cams/pond"))
REGION = Box(0.25, 0.25, 0.5, 0.5)

BIRDS = ("robin", "wren", "siskin", "dunnock", "blue tit", "jay")
OTHERS = {"fox": Kind.MAMMAL, "person": Kind.HUMAN, "empty feeder": Kind.BLANK}
LABELS = (
    *(Label(name, Kind.BIRD) for name in BIRDS),
    *(Label(name, kind) for name, kind in OTHERS.items()),
)
LOOSE = Thresholds(label=0.4, bird=0.7, blank=0.4)


def vocabulary(*without: str, extra: Sequence[Label] = ()) -> Vocabulary:
    """The labels less some, and some more."""
    labels = (*(label for label in LABELS if label.name not in without), *extra)
    return Vocabulary("garden", ("a photo of a {label}.",), labels)


class History:
    """A log in `root`; `log` fills it and `relabel` judges it again."""

    def __init__(self, root: Path, bundle: Path, clock: Clock) -> None:
        self.path, self.cache = root / "feeder.db", root / "cache"
        self.clock = clock
        self._bundle = Bundle.open(bundle)
        self.logbook = Logbook.open(self.path, clock)
        self.vectors: dict[int, Vectors] = {}

    def classifier(
        self, labels: Vocabulary | None = None, thresholds: Thresholds = LOOSE
    ) -> Classifier:
        """A classifier that judges on these labels, and needs no picture."""
        return Classifier(
            self._bundle, labels or vocabulary(), cache=self.cache, thresholds=thresholds,
            threads=1, lazy=True,
        )  # fmt: skip

    def log(
        self,
        classifier: Classifier,
        count: int,
        *,
        deployment: Deployment = GARDEN,
        days_apart: float = 1 / 24,
        seed: int = 0,
    ) -> list[int]:
        """Logs so many frames as the daemon does, every fourth with a region; their ids.

        They lie between labels, so that all sorts of verdicts come up.
        """
        self.logbook.register_model(classifier.bundle.digest, classifier.bundle.manifest.name)
        self.logbook.register_vocabulary(classifier.embeddings.digest, classifier.labels)
        rng = np.random.default_rng(seed)
        rows = classifier.embeddings.vectors
        shares = rng.dirichlet(np.full(len(rows), 0.15), count).astype(np.float32)
        ids = []
        for vector in as_kept(unit(shares @ rows)):
            media_id = len(self.vectors) + 1
            taken = NOON + timedelta(days=media_id * days_apart)
            shot = replace(frame(media_id, deployment=deployment), captured_at=taken)
            context = classifier.context(deployment.name, taken)
            region = REGION if media_id % 4 == 0 else None
            said = replace(classifier.judge(vector, context), region=region)
            self.logbook.append(shot, said)
            self.vectors[media_id] = vector
            ids.append(media_id)
        self.logbook.commit()
        return ids

    def log_broken(self, number: int) -> None:
        """Logs a frame that could not be decoded."""
        self.logbook.append(frame(number, name=f"broken{number}.jpg"), unclassified("broken"))
        self.logbook.commit()

    def preview(self, classifier: Classifier, scope: Scope | None = None) -> Plan:
        """What would change."""
        return preview(self.path, self.cache, classifier, scope or Scope())

    def relabel(self, classifier: Classifier, scope: Scope | None = None, **how: Any) -> Plan:
        """Judges again for good."""
        with JudgementLog.open(self.path, self.clock) as judgements:
            return relabel(self.path, self.cache, classifier, scope or Scope(), judgements, **how)

    def undo(self) -> None:
        """Undoes the newest judgement in force."""
        with JudgementLog.open(self.path, self.clock) as judgements:
            judgements.undo(judgements.judgements()[0].judgement_id)

    def correct(self, media_id: int, label: Label) -> None:
        """What a person says of a frame."""
        with JudgementLog.open(self.path, self.clock) as judgements:
            number = judgements.begin(What.CORRECTION, "by hand", made_by="ada")
            judgements.observe_as_person(
                number, [media_id], ObservationType.ANIMAL, label, person="ada", reason="seen"
            )
            judgements.put_in_force(number, 1)

    def rows(self) -> dict[int, dict[str, Any]]:
        """What the log says of each frame now, whole rows by media id."""
        every = LogReader(self.path).sightings(Query(every_frame=True))
        return {row["media_id"]: row for row in every}

    def verdicts(self) -> dict[int, Verdict]:
        """The same, the verdicts alone."""
        return {
            media_id: verdict_of(ObservationType(row["observation_type"]), row["label"])
            for media_id, row in self.rows().items()
        }

    def count(self, table: str) -> int:
        """How many rows a table has."""
        with closing(sqlite3.connect(self.path)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def close(self) -> None:
        """Lets go of the log."""
        self.logbook.close()
