"""Camera Trap Data Packages, against the profile of 1.0 and the tables that it documents."""

import csv
import hashlib
import json
import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import frictionless
import jsonschema
import pytest
from PIL import Image
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

from feeder.domain import (
    Candidate,
    Frame,
    ObservationType,
    Prediction,
    SettledPath,
    TimeSource,
)
from feeder.exports.pictures import Pictures
from feeder.exports.whole import ExportError
from feeder.picture_log import PictureLog
from feeder.places import Places
from tests import exports
from tests.exports import Export
from tests.sightings import ROBIN
from tests.site import Site

SCHEMAS = Path(__file__).parent / "schemas" / "camtrap_dp"

DATA_PACKAGE = "https://frictionlessdata.io/schemas/data-package.json"
GEOJSON = "http://json.schemastore.org/geojson.json"


def validated(package: Path) -> dict[str, Any]:
    """The package's descriptor. Asserts that the descriptor and the tables keep the standard."""
    descriptor: dict[str, Any] = json.loads((package / "datapackage.json").read_text("utf-8"))
    _profile().validate(descriptor)
    # The schemas' addresses cannot be reached from here; what they name is put in their place.
    inline = {key: value for key, value in descriptor.items() if key != "profile"}
    inline["resources"] = [
        one | {"schema": json.loads((SCHEMAS / Path(one["schema"]).name).read_text("utf-8"))}
        for one in descriptor["resources"]
    ]
    report = frictionless.Package.from_descriptor(inline, basepath=str(package)).validate()
    assert report.valid, report.flatten(["title", "note"])
    return descriptor


def _profile() -> jsonschema.Draft4Validator:
    text = (SCHEMAS / "camtrap-dp-profile.json").read_text("utf-8")
    profile = json.loads(text.replace('"#$defs/version"', '"#/$defs/version"'))  # as 1.0.1 does
    assets = Path(frictionless.__file__).parent / "assets" / "profiles"
    geojson = json.loads((assets / "geojson.json").read_text("utf-8"))
    registry: Registry[Any] = Registry().with_resources(
        [
            # frictionless checks a Data Package by itself.
            (DATA_PACKAGE, Resource.from_contents({}, DRAFT4)),
            (GEOJSON, Resource.from_contents(geojson, DRAFT4)),
        ]
    )
    return jsonschema.Draft4Validator(
        profile, registry=registry, format_checker=jsonschema.FormatChecker()
    )


def table(package: Path, name: str) -> list[dict[str, str]]:
    """A table's rows."""
    with (package / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_package_keeps_its_standard(awkward: Export, tmp_path: Path) -> None:
    """frictionless finds nothing wrong; visits are events, frames read as the visit are media."""
    package = tmp_path / "a package"
    account = awkward("camtrap-dp", package)
    descriptor = validated(package)
    assert account["rows"] == {"deployments": 1, "media": 16, "observations": 11 + 15}
    assert descriptor["coordinatePrecision"] == 0.01
    assert descriptor["spatial"]["coordinates"] == [[-6.26, 53.35]]
    assert descriptor["temporal"] == {"start": "2026-05-01", "end": "2026-10-25"}
    names = [one["scientificName"] for one in descriptor["taxonomic"]]
    seen = table(package, "observations")
    assert names == sorted({row["scientificName"] for row in seen})
    assert {row["filePublic"] for row in table(package, "media")} == {"false"}
    events = [row for row in seen if row["observationLevel"] == "event"]
    assert len(events) == account["visits"] == 11
    assert {row["count"] for row in seen} == {""}  # nobody counted
    misread = [row for row in seen if row["mediaID"] == "16"]
    assert misread == []


def test_events_lie_within_their_deployment(awkward: Export, tmp_path: Path) -> None:
    """Every picture and event is between its deployment's start and end, in the camera's zone."""
    awkward("camtrap-dp", tmp_path / "package")
    (place,) = table(tmp_path / "package", "deployments")
    start, end = (
        datetime.fromisoformat(place[name]) for name in ("deploymentStart", "deploymentEnd")
    )
    for row in table(tmp_path / "package", "observations"):
        first, last = (datetime.fromisoformat(row[name]) for name in ("eventStart", "eventEnd"))
        assert start <= first <= last <= end
    media = table(tmp_path / "package", "media")
    assert all(start <= datetime.fromisoformat(row["timestamp"]) <= end for row in media)
    assert {row["timestamp"][-6:] for row in media} == {"+01:00", "+00:00"}


def test_nothing_is_written_without_a_place(awkward: Export, tmp_path: Path) -> None:
    """A camera without coordinates has nothing that the standard could take."""
    account = awkward("camtrap-dp", tmp_path / "package", "--deployment", "@cabin")
    assert account["files"] == [] and account["left_out"]["no-place"] == 1


def test_pictures_are_copied_without_what_a_camera_wrote(site: Site, tmp_path: Path) -> None:
    """Upright and without metadata; those that may show somebody, or are gone, are not there."""
    text = site.config.read_text("utf-8")
    place = "latitude = 1.0\nlongitude = 2.0\n[model]"
    site.config.write_text(text.replace("[model]", place), "utf-8")
    for number in range(4):
        site.see(ROBIN, timedelta(hours=number), 0.95)
    hidden = site.see(ROBIN, timedelta(hours=9), 0.85, (exports.PERSON, 0.14))
    (site.deployment.folder / "2.jpg").unlink()
    export = exports.exporter(site.config)
    account = export("camtrap-dp", tmp_path / "package", "--pictures")
    descriptor = validated(tmp_path / "package")
    assert descriptor["project"]["captureMethod"] == ["activityDetection"]
    media = {row["mediaID"]: row for row in table(tmp_path / "package", "media")}
    public = {key for key, row in media.items() if row["filePublic"] == "true"}
    assert public == {"1", "3", "4"} and str(hidden) in media
    assert account["notes"] == ["not copied, because they may show somebody: 1 of the pictures"]
    there = {one.name for one in (tmp_path / "package" / "media").iterdir()}
    assert there == {"1.jpg", "3.jpg", "4.jpg"}
    with Image.open(tmp_path / "package" / "media" / "1.jpg") as copied:
        assert not copied.getexif() and "comment" not in copied.info
        assert copied.size == (320, 240)
    with pytest.raises(ExportError, match="already"):
        export("camtrap-dp", tmp_path / "package")
    assert export("camtrap-dp", tmp_path / "package", "--force")["visits"] == 5
    assert not (tmp_path / "package" / "media").exists()


def test_where_a_camera_stands_stays_out_of_its_pictures(site: Site, tmp_path: Path) -> None:
    """A picture with a GPS position, a comment and an orientation is copied upright, without."""
    path = site.deployment.folder / "gps.jpg"
    written = Image.Exif()
    written[0x0112] = 6  # to be turned by a quarter
    written.get_ifd(0x8825)[1] = "N"
    Image.new("RGB", (80, 60)).save(path, exif=written, comment=b"Ada's garden")
    found, data = path.stat(), path.read_bytes()
    named = Candidate(ROBIN, 0.9, 0.3)
    site.logbook.register_vocabulary("robins", [ROBIN])
    site.logbook.append(
        Frame(
            SettledPath(site.deployment, path, found.st_size, found.st_mtime_ns),
            hashlib.sha256(data).hexdigest(), site.now, TimeSource.EXIF, "image/jpeg", 60, 80,
        ),
        Prediction(ObservationType.ANIMAL, "", (named,), named, vocabulary_digest="robins"),
    )  # fmt: skip
    site.logbook.commit()
    log = PictureLog.open(site.settings.database, writable=False)
    pictures = Pictures(log, Places.of(site.settings), 10**6, 10**6)
    assert pictures.copy(1, tmp_path / "copy.jpg")
    assert b"Ada" in data and b"Exif" in data
    copied = (tmp_path / "copy.jpg").read_bytes()
    assert b"Ada" not in copied and b"Exif" not in copied
    with Image.open(tmp_path / "copy.jpg") as image:
        assert image.size == (60, 80)
    path.write_bytes(data + b"another by now")
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert not pictures.copy(1, tmp_path / "second.jpg")
    log.close()


def test_a_wrong_package_is_found_wrong(awkward: Export, tmp_path: Path) -> None:
    """The check itself tells: a count of no birds, or an unknown level, does not pass."""
    awkward("camtrap-dp", tmp_path / "package")
    file = tmp_path / "package" / "observations.csv"
    file.write_text(file.read_text("utf-8").replace(",event,animal", ",week,animal"), "utf-8")
    with pytest.raises(AssertionError, match="Constraint"):
        validated(tmp_path / "package")
