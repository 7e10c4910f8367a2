"""The nouns as records under their standards' names: what JSON, CSV and messages hold."""

from typing import Any

from feeder.domain import Candidate, Prediction, Visit


def visit_record(visit: Visit) -> dict[str, Any]:
    """A visit under Camtrap DP's and Darwin Core's names; instants are datetimes in UTC."""
    return {
        "event_id": visit.visit_id,
        "event_start": visit.start,
        "event_end": visit.end,
        "duration_seconds": visit.duration.total_seconds(),
        "timestamp_trusted": visit.trusted,
        "deployment": visit.deployment,
        "label": visit.label.name,
        "scientific_name": visit.label.scientific_name or None,
        "ebird_code": visit.label.ebird_code or None,
        "kind": visit.label.kind,
        "classification_method": "human" if visit.is_by_person else "machine",
        "classification_probability": round(visit.confidence, 4),
        "max_n": visit.max_n,
        "frames": len(visit.media_ids),
        "best_media_id": visit.best,
        "media_ids": visit.media_ids,
    }


def prediction_record(prediction: Prediction) -> dict[str, Any]:
    """A verdict on a picture that is in no log, with its best labels."""
    named = prediction.named
    return {
        "labels": [_candidate_record(one) for one in prediction.candidates],
        "verdict": prediction.observation_type,
        "named": named.label.name if named else None,
        "reason": prediction.reason,
        "bird_probability": prediction.bird_probability,
        "margin": prediction.margin,
        "tags": [
            {"attribute": tag.attribute, "value": tag.value, "probability": tag.probability}
            for tag in prediction.tags
        ],
    }


def _candidate_record(one: Candidate) -> dict[str, Any]:
    return {
        "label": one.label.name,
        "probability": one.probability,
        "scientific_name": one.label.scientific_name,
        "cosine": one.cosine,
    }
