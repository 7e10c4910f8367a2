"""What the log answers as records, under their standards' names: what JSON holds.

Instants are datetimes in UTC. A `picture` is where a frame's picture is to be had, None where it
is gone: a path to a command, an address to a browser.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from feeder.correction_log import Shown
from feeder.corrections import Answer
from feeder.domain import Label
from feeder.judgement_log import Judgement
from feeder.refill import FeederState
from feeder.review_log import Waiting
from feeder.search import Hit
from feeder.unknowns import Cluster
from feeder.visit_statistics import First, Species, Statistics, Streak
from feeder.vocabulary import Vocabulary


def frame_record(row: Mapping[str, Any], picture: object) -> dict[str, Any]:
    """A row of `LogReader`, with where its picture is."""
    return {**row, "favorite": bool(row["favorite"]), "picture": picture}


def hit_record(hit: Hit, picture: object) -> dict[str, Any]:
    """A frame that was found by likeness."""
    frame = hit.frame
    return {
        "media_id": frame.media_id,
        "similarity": round(hit.similarity, 4),
        "timestamp": frame.at,
        "timestamp_trusted": frame.is_time_trusted,
        "deployment": frame.deployment,
        "observation_type": frame.observation_type,
        "label": frame.said,
        "classification_probability": frame.probability,
        "file_name": frame.file_name,
        "picture": picture,
    }


def waiting_record(one: Waiting, picture: object) -> dict[str, Any]:
    """A frame that waits for a person."""
    return {
        "media_id": one.media_id,
        "why": one.why,
        "deployment": one.deployment,
        "observation_type": one.observation_type,
        "label": one.label.name if one.label else None,
        "scientific_name": one.label.scientific_name if one.label else None,
        "timestamp": one.captured_at,
        "first_seen": one.first_seen,
        "frames": one.frames,
        "classification_probability": one.probability,
        "runners_up": [{"label": name, "probability": share} for name, share in one.runners_up],
        "reason": one.reason,
        "picture": picture,
    }


def cluster_record(one: Cluster) -> dict[str, Any]:
    """Frames that are alike and that nothing was named on."""
    return {
        "media_id": one.media_id,
        "frames": len(one),
        "first": one.frames[0].at,
        "last": one.frames[-1].at,
        "deployments": sorted({each.deployment for each in one.frames}),
        "nearly": [{"label": name, "frames": count} for name, count in one.nearly],
        "best": [each.media_id for each in one.best],
        "media_ids": [each.media_id for each in one.frames],
    }


def judgement_record(made: Judgement) -> dict[str, Any]:
    """A correction as a list shows it."""
    return {
        "judgement_id": made.judgement_id,
        "state": made.state,
        "made_by": made.made_by,
        "made_at": made.made_at,
        "frames": made.frames,
        "description": made.description,
    }


def correction_record(
    frames: Sequence[Shown], answer: Answer, judgement_id: int | None
) -> dict[str, Any]:
    """What frames showed before, and what a person says of them; None where it was not kept."""
    return {
        "judgement_id": judgement_id,
        "observation_type": answer.observation_type,
        "label": answer.label.name if answer.label else None,
        "frames": [
            {
                "media_id": one.media_id,
                "deployment": one.deployment,
                "timestamp": one.captured_at,
                "observation_type": one.observation_type,
                "label": one.label,
                "confirmed": answer.is_said_of(one),
            }
            for one in frames
        ],
    }


def label_records(
    vocabulary: Vocabulary, without_vector: Mapping[str, str], given: Collection[Label]
) -> list[dict[str, Any]]:
    """What can be named: the vocabulary's labels, then those that people have `given` besides.

    `without_vector` says of labels, by name, why the model cannot name them.
    """
    return [
        {
            "name": label.name,
            "scientific_name": label.scientific_name,
            "ebird_code": label.ebird_code,
            "kind": label.kind,
            "aliases": label.aliases,
            "own": label.name in vocabulary.own,
            "blocked": label.name in vocabulary.blocked,
            "without_vector": without_vector.get(label.name),
            "from_corrections": label in given,
        }
        for label in (*vocabulary.labels, *given)
    ]


def feeder_record(deployment: str, state: FeederState) -> dict[str, Any]:
    """Whether a camera's feeder wants filling."""
    return {
        "deployment": deployment,
        "is_empty": state.is_empty,
        "since": state.since,
        "looked": state.looked,
    }


def statistics_record(
    counted: Statistics,
    *,
    until: datetime | None,
    today: date,
    absence: int,
    is_species: Callable[[Label], bool],
) -> dict[str, Any]:
    """What visits add up to; days are local ones, `absence` is in days."""
    return {
        "since": counted.since,
        "until": until,
        "visits": counted.visits,
        "undated": counted.undated,
        "species": [species_record(one, is_species) for one in counted.species(today)],
        "by_day": {str(day): count for day, count in counted.by_day.items()},
        "by_hour": counted.by_hour,
        "absence_days": absence,
        "first": [_first_record(first) for first in counted.firsts(absence, is_species)],
        "bird_streaks": [_streak_record(one) for one in counted.bird_streaks(today)],
    }


def species_record(one: Species, is_species: Callable[[Label], bool]) -> dict[str, Any]:
    """One label's share of the visits."""
    return {
        "label": one.label.name,
        "scientific_name": one.label.scientific_name or None,
        "kind": one.label.kind,
        "is_species": is_species(one.label),
        "visits": one.visits,
        "frames": one.frames,
        "days": one.days,
        "last": one.last.start,
        "streaks": [_streak_record(streak) for streak in one.streaks],
    }


def _first_record(first: First) -> dict[str, Any]:
    return {
        "label": first.label.name,
        "event_start": first.arrival.start,
        "deployment": first.arrival.deployment,
        "best_media_id": first.arrival.best,
        "absence_days": first.absence,
    }


def _streak_record(streak: Streak) -> dict[str, Any]:
    return {"days": streak.days, "last": str(streak.last), "is_current": streak.is_current}
