"""What nothing was named on, sorted by likeness, so that it can be named at once.

What was last shown is remembered: a name is given to the frames that somebody has seen together,
not to whatever a new frame would have joined or parted since.
"""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from feeder import corrections
from feeder.bursts import Bursts
from feeder.clusters import NONE, cluster, medoid_first
from feeder.corrections import Answer
from feeder.domain import Label
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog
from feeder.search_log import SearchLog, Seen

MOST_FRAMES = 50_000
"""Frames sorted at most, the newest: 100 MB of vectors at a width of 512."""

MIN_SIZE = 5
BEST = 6
LEAST = 2
MOST_NEARLY = 3
_AGAIN = "Run `feeder unknowns`, and name one of the clusters it lists."


@dataclass(frozen=True, slots=True)
class Cluster:
    """Frames that are alike, by time.

    `best` are the most typical ones, the medoid first, and `least` the least typical ones.
    `nearly` counts the species that the model came nearest to saying, the most frequent first.
    """

    frames: tuple[Seen, ...]
    best: tuple[Seen, ...]
    least: tuple[Seen, ...]
    nearly: tuple[tuple[str, int], ...]

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def media_id(self) -> int:
        """The frame that stands for it."""
        return self.best[0].media_id


@dataclass(frozen=True, slots=True)
class Unknowns:
    """The clusters, the largest first, of so many `frames`; `alone` are in none of them.

    `not_sorted` have no embedding of the model, `too_old` are beyond the newest 50,000.
    """

    clusters: tuple[Cluster, ...]
    frames: int
    alone: int
    not_sorted: int
    too_old: int


def sort(store: EmbeddingStore, log: SearchLog, min_size: int = MIN_SIZE) -> Unknowns:
    """Clusters of the frames that a machine calls `unknown` or some bird.

    Raises FeederError where scikit-learn is not installed.
    """
    unnamed = log.unnamed()
    with_vector = unnamed[np.isin(unnamed, store.media_ids)]
    chosen = with_vector[-MOST_FRAMES:]
    frames = sorted(log.seen(chosen.tolist()).values(), key=lambda one: (one.at, one.media_id))
    clusters: list[Cluster] = []
    alone, passed_over = 0, log.any_bird()
    if frames:
        vectors = store.get([one.media_id for one in frames])
        found = cluster(
            vectors, [one.deployment for one in frames], [one.at for one in frames], min_size
        )
        alone = int((found == NONE).sum())
        for number in range(int(found.max()) + 1):
            places = np.flatnonzero(found == number)
            order = places[medoid_first(vectors[places])]
            by_time, by_likeness = (tuple(frames[at] for at in each) for each in (places, order))
            best = _of_different_bursts(by_likeness)
            least = tuple(one for one in by_likeness[-LEAST:] if one not in best)
            clusters.append(Cluster(by_time, best, least, _nearly(by_time, passed_over)))
    clusters.sort(key=lambda one: (-len(one), one.media_id))
    return Unknowns(
        tuple(clusters),
        frames=len(frames),
        alone=alone,
        not_sorted=len(unnamed) - len(with_vector),
        too_old=len(with_vector) - len(chosen),
    )


def _of_different_bursts(frames: Iterable[Seen]) -> tuple[Seen, ...]:
    """The first few of them that were not taken with another."""
    bursts = Bursts()
    return tuple(islice((one for one in frames if bursts.is_new(one.deployment, one.at)), BEST))


def _nearly(frames: Iterable[Seen], passed_over: set[str]) -> tuple[tuple[str, int], ...]:
    species = ([name for name in one.likely if name not in passed_over] for one in frames)
    return tuple(Counter(names[0] for names in species if names).most_common(MOST_NEARLY))


def remember(unknowns: Unknowns, log: SearchLog, cache: Path) -> None:
    """Keeps in `cache` which frames were shown together. Raises OSError where it cannot."""
    shown = {
        "clusters": [
            {
                "media_ids": [each.media_id for each in one.frames],
                "digest": _digest(one.frames),
                "best": [each.media_id for each in one.best],
                "least": [each.media_id for each in one.least],
                "nearly": one.nearly,
            }
            for one in unknowns.clusters
        ],
        "counts": [unknowns.frames, unknowns.alone, unknowns.not_sorted, unknowns.too_old],
    }
    cache.mkdir(parents=True, exist_ok=True)
    path = _remembered(log, cache)
    beside = path.with_suffix(f".{os.getpid()}.new")
    beside.write_text(json.dumps(shown), encoding="utf-8")
    os.replace(beside, path)


def recall(media_id: int, log: SearchLog, cache: Path) -> list[Seen]:
    """The frames, as they are now, that were last shown in one cluster with this one.

    Raises FeederError where it was in none.
    """
    shown = _shown(log, cache)
    if shown is None:
        raise FeederError("Nothing has been sorted yet.", _AGAIN)
    for one in shown["clusters"]:
        if media_id in one["media_ids"]:
            frames = _as_sorted(one, log)
            if frames is None:
                raise FeederError("The log is not the one that was sorted.", _AGAIN)
            return frames
    raise FeederError(f"Frame {media_id} is in no cluster that was shown.", _AGAIN)


def remembered(log: SearchLog, cache: Path) -> Unknowns | None:
    """What was last sorted, the frames as they are now; None where nothing was, or another log.

    Frames that a person has judged since are left out, and clusters of nothing else.
    """
    shown = _shown(log, cache)
    if shown is None:
        return None
    clusters = []
    for one in shown["clusters"]:
        frames = _as_sorted(one, log)
        if frames is None:
            return None
        left = {each.media_id: each for each in frames if not each.is_by_person}
        best, least = (
            tuple(left[each] for each in one[which] if each in left) for which in ("best", "least")
        )
        if best:
            nearly = tuple((name, count) for name, count in one["nearly"])
            clusters.append(Cluster(tuple(left.values()), best, least, nearly))
    frames_sorted, alone, not_sorted, too_old = shown["counts"]
    return Unknowns(tuple(clusters), frames_sorted, alone, not_sorted, too_old)


def sorted_at(log: SearchLog, cache: Path) -> datetime | None:
    """When that was, in UTC; None where nothing was sorted."""
    try:
        return datetime.fromtimestamp(_remembered(log, cache).stat().st_mtime, UTC)
    except OSError:
        return None


def _shown(log: SearchLog, cache: Path) -> dict[str, Any] | None:
    """What `remember` kept; None where it kept nothing, or in an earlier release's form."""
    try:
        shown = json.loads(_remembered(log, cache).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return shown if isinstance(shown, dict) and "counts" in shown else None


def _as_sorted(one: dict[str, Any], log: SearchLog) -> list[Seen] | None:
    """A cluster's frames as they are now; None where they are others.

    An older log that was put back gives the same ids to other frames.
    """
    seen = log.seen(one["media_ids"])
    frames = [seen[each] for each in one["media_ids"] if each in seen]
    return frames if _digest(frames) == one["digest"] else None


def unjudged(listed: Iterable[Seen]) -> list[int]:
    """Of a cluster's frames those that no person has judged. Raises FeederError where all are."""
    found = [one.media_id for one in listed if not one.is_by_person]
    if not found:
        raise FeederError(
            "A person has judged every frame of this cluster already.",
            "Sorting again (`feeder unknowns`) shows what is still unknown.",
        )
    return found


def name(judgements: JudgementLog, media_ids: Sequence[int], label: Label, person: str) -> int:
    """Writes what a person says all these frames show, as one judgement; its id."""
    return corrections.record(
        judgements,
        Answer.of(label),
        {f"named with {len(media_ids)} frames alike": media_ids},
        person=person,
        description=f"{len(media_ids)} alike -> {label.name}",
    )


def _remembered(log: SearchLog, cache: Path) -> Path:
    which = hashlib.sha256(str(log.path.absolute()).encode()).hexdigest()[:16]
    return cache / f"unknowns-{which}.json"


def _digest(frames: Iterable[Seen]) -> str:
    said = repr([(one.media_id, one.deployment, one.file_name) for one in frames])
    return hashlib.sha256(said.encode()).hexdigest()
