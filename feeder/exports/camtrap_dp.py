"""A Camera Trap Data Package, version 1.0: a folder of three tables, and what they are.

Visits are its event-level observations, the frames that were read as the visit was its media-level
ones. Source: camtrap-dp.tdwg.org. The descriptor names 1.0.2, a patch that changes no term of 1.0
and mends the profile's text, which newer validators turn down otherwise.
"""

import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from feeder import __version__
from feeder.clock import utc_text
from feeder.domain import Box
from feeder.export_log import ExportedFrame
from feeder.exports.cells import Cell, Sheet, text
from feeder.exports.claims import Claim, Form, Taxon
from feeder.exports.pictures import Pictures
from feeder.exports.places import Place
from feeder.exports.source import Source, all_frames, local_text, named_by, telling
from feeder.exports.whole import whole_folder

FORM = Form(only_named=True, needs_coordinates=True)

DESCRIPTOR = "datapackage.json"
"""What tells an earlier package from another folder."""

_STANDARD = "https://raw.githubusercontent.com/tdwg/camtrap-dp/1.0.2"

DEPLOYMENTS = (
    "deploymentID", "locationID", "locationName", "latitude", "longitude",
    "coordinateUncertainty", "deploymentStart", "deploymentEnd", "setupBy", "cameraID",
    "cameraModel", "cameraDelay", "cameraHeight", "cameraDepth", "cameraTilt", "cameraHeading",
    "detectionDistance", "timestampIssues", "baitUse", "featureType", "habitat",
    "deploymentGroups", "deploymentTags", "deploymentComments",
)  # fmt: skip

MEDIA = (
    "mediaID", "deploymentID", "captureMethod", "timestamp", "filePath", "filePublic", "fileName",
    "fileMediatype", "exifData", "favorite", "mediaComments",
)  # fmt: skip

OBSERVATIONS = (
    "observationID", "deploymentID", "mediaID", "eventID", "eventStart", "eventEnd",
    "observationLevel", "observationType", "cameraSetupType", "scientificName", "count",
    "lifeStage", "sex", "behavior", "individualID", "individualPositionRadius",
    "individualPositionAngle", "individualSpeed", "bboxX", "bboxY", "bboxWidth", "bboxHeight",
    "classificationMethod", "classifiedBy", "classificationTimestamp",
    "classificationProbability", "observationTags", "observationComments",
)  # fmt: skip

Row = dict[str, Cell]


@dataclass
class _Found:
    """What the tables hold, for the descriptor: taxa with what people call them."""

    taxa: dict[str, tuple[Taxon, str]] = field(default_factory=dict)
    hidden: int = 0


def write(path: Path, source: Source, *, pictures: Pictures | None = None) -> list[Path]:
    """Writes the package; `pictures` are copied into it where given. The folder's path.

    Frames in which somebody may be seen have a row and no picture.
    """
    found = _Found()
    with whole_folder(path) as made:
        if pictures is not None:
            (made / "media").mkdir()
        with (
            (made / "media.csv").open("w", encoding="utf-8", newline="") as media_file,
            (made / "observations.csv").open("w", encoding="utf-8", newline="") as seen_file,
        ):
            media, seen = Sheet(media_file, MEDIA), Sheet(seen_file, OBSERVATIONS)
            for claim, frames in source.with_frames(all_frames):
                taxon = claim.taxon
                found.taxa.setdefault(taxon.name, (taxon, claim.visit.label.name))
                seen.write(_event(claim, telling(claim.visit, frames), source))
                for frame in frames.values():
                    is_public = _copied(frame, made, pictures, found)
                    media.write(_media(claim, frame, source, is_public))
                    if frame.label == claim.visit.label.name:
                        seen.write(_observation(claim, frame, source))
        places = [one for one in source.places.values() if one.latitude is not None]
        with (made / "deployments.csv").open("w", encoding="utf-8", newline="") as file:
            deployments = Sheet(file, DEPLOYMENTS)
            for place in places:
                deployments.write(_deployment(place, source))
        descriptor = _descriptor(path.name, places, found, source)
        (made / DESCRIPTOR).write_text(
            json.dumps(descriptor, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    source.account.rows |= {
        "deployments": deployments.rows,
        "media": media.rows,
        "observations": seen.rows,
    }
    if found.hidden:
        source.account.notes.append(
            f"not copied, because they may show somebody: {found.hidden} of the pictures"
        )
    return [path]


def _copied(frame: ExportedFrame, made: Path, pictures: Pictures | None, found: _Found) -> bool:
    """Whether the frame's picture is in the package now."""
    if pictures is None:
        return False
    if frame.may_show_a_person:
        found.hidden += 1
        return False
    return pictures.copy(frame.media_id, made / _file_path(frame.media_id))


def _file_path(media_id: int) -> str:
    return f"media/{media_id}.jpg"


def _deployment(place: Place, source: Source) -> Row:
    return {
        "deploymentID": place.camera,
        "locationName": place.name,
        "latitude": place.latitude,
        "longitude": place.longitude,
        "coordinateUncertainty": place.uncertainty,
        "deploymentStart": local_text(place.began, place),
        "deploymentEnd": local_text(place.ended, place),
        "setupBy": source.said.observer,
        "timestampIssues": False,
        "baitUse": True,
        "deploymentTags": "bird feeder",
        "deploymentComments": f"start and end: the first and last dated pictures;"
        f" {place.generalisation}",
    }


def _media(claim: Claim, frame: ExportedFrame, source: Source, is_public: bool) -> Row:
    return {
        "mediaID": str(frame.media_id),
        "deploymentID": claim.visit.deployment,
        "captureMethod": source.said.capture,
        "timestamp": local_text(frame.captured_at, claim.place),
        "filePath": _file_path(frame.media_id),
        "filePublic": is_public,
        "fileMediatype": "image/jpeg" if is_public else frame.media_type,
        "favorite": frame.is_favorite,
        "mediaComments": None if is_public else "the picture is not in this package",
    }


def _seen(claim: Claim) -> Row:
    """What event-level and media-level observations have in common."""
    visit, taxon, place = claim
    return {
        "deploymentID": visit.deployment,
        "eventID": visit.visit_id,
        "eventStart": local_text(visit.start, place),
        "eventEnd": local_text(visit.end, place),
        "observationType": "animal",
        "scientificName": taxon.name,
        "observationComments": f"not told apart: {taxon.verbatim}" if taxon.is_group else None,
    }


def _event(claim: Claim, named: ExportedFrame | None, source: Source) -> Row:
    visit = claim.visit
    return _seen(claim) | {
        "observationID": f"event-{visit.media_ids[0]}",
        "observationLevel": "event",
        "count": visit.max_n,
        "classificationMethod": "human" if visit.is_by_person else "machine",
        "classifiedBy": named_by(visit.is_by_person, named, source.said),
        "classificationTimestamp": _instant(named) if named else None,
        "classificationProbability": None if visit.is_by_person else round(visit.confidence, 4),
    }


def _observation(claim: Claim, frame: ExportedFrame, source: Source) -> Row:
    probability = frame.probability
    return (
        _seen(claim)
        | {
            "observationID": f"media-{frame.media_id}",
            "mediaID": str(frame.media_id),
            "observationLevel": "media",
            "classificationMethod": "human" if frame.is_by_person else "machine",
            "classifiedBy": named_by(frame.is_by_person, frame, source.said),
            "classificationTimestamp": _instant(frame),
            "classificationProbability": None if probability is None else round(probability, 4),
        }
        | _box(frame.region)
    )


def _box(region: Box | None) -> Row:
    if region is None:
        return {}
    x, y = round(region.x, 4), round(region.y, 4)
    return {
        "bboxX": x,
        "bboxY": y,
        "bboxWidth": round(max(min(region.width, 1 - x), 1e-4), 4),
        "bboxHeight": round(max(min(region.height, 1 - y), 1e-4), 4),
    }


def _instant(frame: ExportedFrame) -> str:
    return f"{utc_text(frame.classified_at)[:19]}Z"


def _descriptor(name: str, places: list[Place], found: _Found, source: Source) -> dict[str, Any]:
    said = source.said
    points = [[place.longitude, place.latitude] for place in places]
    spatial: dict[str, Any] = {"type": "MultiPoint", "coordinates": points}
    descriptor = {
        "resources": [_resource(table) for table in ("deployments", "media", "observations")],
        "profile": f"{_STANDARD}/camtrap-dp-profile.json",
        "name": _slug(name),
        "id": str(uuid.uuid4()),
        "created": f"{utc_text(source.made_at)[:19]}Z",
        "title": f"Visits to a bird feeder: {said.location or ', '.join(p.name for p in places)}",
        "contributors": [
            {"title": text(said.observer or "a bird feeder's keeper"), "role": "contact"}
        ],
        "description": "Pictures that an unattended camera took of a bird feeder, and what software"
        " named on them. Only visits that a person confirmed or that passed a threshold are here;"
        " individuals were not counted.",
        "version": "1.0",
        "keywords": ["camera traps", "bird feeder", "birds"],
        "sources": [{"title": "Feeder", "version": __version__}],
        "project": {
            "title": "Bird feeder",
            "samplingDesign": "opportunistic",
            "captureMethod": [said.capture],
            "individualAnimals": False,
            "observationLevel": ["media", "event"],
        },
        "coordinatePrecision": places[0].precision,
        "spatial": spatial,
        "temporal": {
            "start": min(local_text(place.began, place)[:10] for place in places),
            "end": max(local_text(place.ended, place)[:10] for place in places),
        },
        "taxonomic": list(_taxonomic(found)),
    }
    if said.license:
        descriptor["licenses"] = [
            {"name": said.license, "scope": scope} for scope in ("data", "media")
        ]
    return descriptor


def _resource(table: str) -> dict[str, str]:
    return {
        "name": table,
        "path": f"{table}.csv",
        "profile": "tabular-data-resource",
        "format": "csv",
        "mediatype": "text/csv",
        "encoding": "utf-8",
        "schema": f"{_STANDARD}/{table}-table-schema.json",
    }


def _taxonomic(found: _Found) -> Iterator[dict[str, Any]]:
    for name, (taxon, common) in sorted(found.taxa.items()):
        entry: dict[str, Any] = {"scientificName": name, "kingdom": "Animalia"}
        if taxon.rank != "subfamily":  # the profile knows no such rank
            entry["taxonRank"] = taxon.rank
        if taxon.class_name:
            entry["class"] = taxon.class_name
        if taxon.genus:
            entry["genus"] = taxon.genus
        if taxon.is_species and not taxon.is_group:
            entry["vernacularNames"] = {"eng": text(common)}
        yield entry


def _slug(name: str) -> str:
    """A name of what the Data Package standard allows."""
    kept = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "-" for c in name.lower())
    return kept.strip("-.") or "feeder"
