"""Darwin Core archives, against TDWG's schema of `meta.xml`, its terms, and GBIF's EML."""

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from xml.etree import ElementTree

import pytest
from lxml import etree

from tests import exports
from tests.exports import DOVE, WOODPECKER, Export
from tests.sightings import ROBIN

SCHEMAS = Path(__file__).parent / "schemas" / "darwin_core"
ARCH = "{http://rs.tdwg.org/dwc/text/}"

EML_ORDER = (
    "title", "creator", "metadataProvider", "pubDate", "language", "abstract",
    "intellectualRights", "coverage", "contact", "methods",
)  # fmt: skip
"""Of what GBIF's metadata profile 1.1 lists, in its order."""

EML_REQUIRED = {
    "title",
    "creator",
    "metadataProvider",
    "pubDate",
    "language",
    "abstract",
    "contact",
}


def validated(path: Path) -> list[dict[str, str]]:
    """The archive's rows by term. Asserts that the descriptor and the metadata keep their rules."""
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        parts = {name: archive.read(name) for name in archive.namelist()}
    assert parts.keys() == {"meta.xml", "eml.xml", "occurrence.csv"}
    # What the schema imports is not fetched: no element of it is used.
    parser = etree.XMLParser(no_network=True)
    schema = etree.XMLSchema(etree.parse(SCHEMAS / "tdwg_dwc_text.xsd", parser))
    schema.assertValid(etree.fromstring(parts["meta.xml"]))
    rows = _rows(ElementTree.fromstring(parts["meta.xml"]), parts)
    _validate_eml(ElementTree.fromstring(parts["eml.xml"]))
    return rows


def _rows(meta: ElementTree.Element, parts: dict[str, bytes]) -> list[dict[str, str]]:
    (core,) = meta.findall(f"{ARCH}core")
    assert meta.get("metadata") in parts
    assert core.get("rowType") == "http://rs.tdwg.org/dwc/terms/Occurrence"
    known = (SCHEMAS / "dwc_occurrence_core_horizontal.csv").read_text(encoding="utf-8").strip()
    terms = {}
    for element in core.findall(f"{ARCH}field"):
        namespace, _, term = element.attrib["term"].rpartition("/")
        assert term in known.split(",")
        expected = (
            "http://purl.org/dc/terms" if term == "license" else "http://rs.tdwg.org/dwc/terms"
        )
        assert namespace == expected
        terms[int(element.attrib["index"])] = term
    location = core.find(f"{ARCH}files/{ARCH}location")
    assert location is not None and location.text in parts
    text = parts[location.text].decode(core.get("encoding") or "UTF-8")
    header, *rows = csv.reader(io.StringIO(text, newline=""))
    assert core.get("ignoreHeaderLines") == "1" and header == [terms[i] for i in range(len(header))]
    assert all(len(row) == len(terms) for row in rows)
    found = [dict(zip(header, row, strict=True)) for row in rows]
    identifier = core.find(f"{ARCH}id")
    assert identifier is not None
    ids = [row[int(identifier.attrib["index"])] for row in rows]
    assert len(set(ids)) == len(ids) and all(ids)
    for row in found:
        _validate_row(row)
    return found


def _validate_row(row: dict[str, str]) -> None:
    assert row["basisOfRecord"] == "MachineObservation" and row["occurrenceStatus"] == "present"
    start, end = map(datetime.fromisoformat, row["eventDate"].split("/"))
    assert start.tzinfo is not None and start <= end
    assert row["scientificName"] and row["taxonRank"] and row["kingdom"] == "Animalia"
    assert date.fromisoformat(row["dateIdentified"])
    if row["decimalLatitude"]:
        assert abs(float(row["decimalLatitude"])) <= 90
        assert abs(float(row["decimalLongitude"])) <= 180
        assert int(row["coordinateUncertaintyInMeters"]) > 0 and row["geodeticDatum"]
    assert not row["countryCode"] or len(row["countryCode"]) == 2


def _validate_eml(root: ElementTree.Element) -> None:
    assert root.tag == "{eml://ecoinformatics.org/eml-2.1.1}eml"
    assert root.get("packageId") and root.get("system") and root.get("scope") == "system"
    (dataset,) = root.findall("dataset")
    names = [child.tag for child in dataset]
    assert set(names) >= EML_REQUIRED
    assert names == sorted(names, key=EML_ORDER.index)
    for role in ("creator", "metadataProvider", "contact"):
        person = dataset.find(role)
        assert person is not None
        named = person.find("individualName/surName"), person.find("organizationName")
        assert any(element is not None and element.text for element in named)
    days = [found.text or "" for found in dataset.iter("calendarDate")]
    assert len(days) == 2 and date.fromisoformat(days[0]) <= date.fromisoformat(days[1])


def test_an_archive_keeps_its_standard(awkward: Export, tmp_path: Path) -> None:
    """Every visit is an occurrence with its event, its taxon at a rank and who named it."""
    account = awkward("darwin-core", tmp_path / "d.zip")
    rows = {row["eventID"]: row for row in validated(tmp_path / "d.zip")}
    assert account["rows"] == {"occurrences": 12} and len(rows) == 12
    robin = rows["garden:1"]
    assert robin["eventDate"] == "2026-05-01T07:30:00+01:00/2026-05-01T07:30:20+01:00"
    assert robin["decimalLatitude"] == "53.35" and robin["dataGeneralizations"]
    assert robin["identificationVerificationStatus"] == "unverified"
    assert "mean probability of 0.95 over 3 pictures" in robin["identificationRemarks"]
    assert robin["individualCount"] == "" and robin["identifiedBy"].startswith("Feeder")
    assert rows["garden:5"]["identifiedBy"] == "Ada Lovelace"
    assert rows["garden:5"]["identificationVerificationStatus"].startswith("verified")
    assert rows["'@cabin:13"]["decimalLatitude"] == ""
    assert robin["license"].startswith("https://creativecommons.org/licenses/by/4.0")


def test_a_confirmed_visit_is_dated_by_the_person(awkward: Export, tmp_path: Path) -> None:
    """Who confirmed one frame of a visit named it on that day, whichever frame shows it best."""
    exports.correct(tmp_path / "data" / "feeder.db", 2, ROBIN)
    today = datetime.now(UTC).date().isoformat()
    awkward("darwin-core", tmp_path / "d.zip")
    row = next(row for row in validated(tmp_path / "d.zip") if row["eventID"] == "garden:1")
    assert row["identificationVerificationStatus"].startswith("verified")
    assert (row["identifiedBy"], row["dateIdentified"]) == ("Ada Lovelace", today)
    awkward("camtrap-dp", tmp_path / "package")
    seen = (tmp_path / "package" / "observations.csv").read_text(encoding="utf-8").splitlines()
    (event,) = [line for line in seen if line.startswith("event-1,")]
    assert f",human,Ada Lovelace,{today}" in event
    assert sum(",human," in line for line in seen if line.startswith("media-")) == 2


def test_what_was_not_told_apart_is_its_genus_or_class(awkward: Export, tmp_path: Path) -> None:
    """The name is what is certain, and the slash stands beside it."""
    awkward("darwin-core", tmp_path / "d.zip")
    rows = {row["verbatimIdentification"]: row for row in validated(tmp_path / "d.zip")}
    slash, dove, bird = rows[WOODPECKER.name], rows[DOVE.name], rows["unidentified bird"]
    assert (slash["scientificName"], slash["taxonRank"]) == ("Dryobates", "genus")
    assert WOODPECKER.scientific_name in slash["identificationRemarks"]
    assert (dove["scientificName"], dove["taxonRank"]) == ("Aves", "class")
    assert (bird["scientificName"], bird["taxonRank"]) == ("Aves", "class")
    assert slash["vernacularName"] == ""


def test_identifiers_stay(awkward: Export, tmp_path: Path) -> None:
    """The same visit has the same identifier in every export, whatever else is in it."""
    found = []
    for number, options in enumerate(([], ["--confidence", "0.95"])):
        awkward("darwin-core", tmp_path / f"{number}.zip", *options)
        rows = validated(tmp_path / f"{number}.zip")
        found.append({row["eventID"]: row["occurrenceID"] for row in rows})
    assert len(found[1]) < len(found[0])
    assert found[1].items() <= found[0].items()


@pytest.mark.parametrize("section", ["", 'observer = "<b>&\\u0001"\nlocation = "]]><x>"'])
def test_metadata_survives_any_name(
    write_config: Callable[..., Path], tmp_path: Path, section: str
) -> None:
    """Without an observer, and with hostile names, the XML is whole and says who stands for it."""
    path = write_config(model='bundle = "starter"', export=section)
    exports.awkward(path)
    exports.exporter(path)("darwin-core", tmp_path / "d.zip")
    assert validated(tmp_path / "d.zip")
