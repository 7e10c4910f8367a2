"""A Darwin Core archive: a zip of one table of occurrences, what its columns mean, and what it is.

The core is Occurrence and not Event: a visit is one taxon at one place for a while, so an event
table would hold the same rows again. `eventID` is the visit's. Source: TDWG's Darwin Core text
guide for `meta.xml`, GBIF's metadata profile 1.1 of EML 2.1.1 for `eml.xml`.
"""

import io
import json
import uuid
import zipfile
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from feeder.clock import utc_text
from feeder.export_log import ExportedFrame
from feeder.exports.cells import Cell, Sheet
from feeder.exports.claims import Claim, Form
from feeder.exports.source import (
    SOFTWARE,
    Frames,
    Source,
    local_text,
    named_by,
    telling,
    telling_frames,
)
from feeder.exports.whole import whole_files
from feeder.plain_text import plain

FORM = Form(only_named=True, only_wild=True)

CORE = "occurrence.csv"

_DWC = "http://rs.tdwg.org/dwc/terms/"
_DC = "http://purl.org/dc/terms/"
_TEXT = "http://rs.tdwg.org/dwc/text/"
_EML = "eml://ecoinformatics.org/eml-2.1.1"
_XML = "http://www.w3.org/XML/1998/namespace"

_OWN = uuid.UUID("7d6b1e0e-6f0b-5b52-9d3e-0d7c7c1f6a52")
"""The namespace of occurrences' identifiers."""

COLUMNS = (
    "occurrenceID", "license", "basisOfRecord", "dataGeneralizations", "dynamicProperties",
    "recordedBy", "individualCount", "occurrenceStatus", "eventID", "parentEventID",
    "eventDate", "samplingProtocol", "countryCode", "stateProvince", "locality",
    "decimalLatitude", "decimalLongitude", "geodeticDatum", "coordinateUncertaintyInMeters",
    "coordinatePrecision", "verbatimIdentification", "identifiedBy", "dateIdentified",
    "identificationVerificationStatus", "identificationRemarks", "scientificName", "kingdom",
    "class", "genus", "taxonRank", "vernacularName",
)  # fmt: skip

LICENSES = {
    "CC0-1.0": "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
    "CC-BY-4.0": "https://creativecommons.org/licenses/by/4.0/legalcode",
    "CC-BY-NC-4.0": "https://creativecommons.org/licenses/by-nc/4.0/legalcode",
}


class _Extent(NamedTuple):
    """The first and last day on which anything was."""

    first: str
    last: str


def write(path: Path, source: Source) -> list[Path]:
    """Writes the archive, newest visit first; its path."""
    with (
        whole_files(path) as made,
        zipfile.ZipFile(made / path.name, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        with (
            archive.open(CORE, "w", force_zip64=True) as raw,
            io.TextIOWrapper(raw, "utf-8", newline="") as file,
        ):
            sheet = Sheet(file, COLUMNS)
            days: list[str] = []
            for claim, frames in source.with_frames(telling_frames):
                sheet.write(_row(claim, frames, source))
                day = local_text(claim.visit.start, claim.place)[:10]
                days = [min(day, *days), max(day, *days)] if days else [day, day]
        archive.writestr("meta.xml", _meta())
        archive.writestr("eml.xml", _eml(source, _Extent(*days)))
    source.account.rows["occurrences"] = sheet.rows
    return [path]


def _row(claim: Claim, frames: Frames, source: Source) -> dict[str, Cell]:
    visit, taxon, place = claim
    said = source.said
    named = telling(visit, frames)
    has_place = place.latitude is not None
    return {
        "occurrenceID": _identifier(visit.visit_id, frames.get(visit.media_ids[0])),
        "license": LICENSES[said.license] if said.license else None,
        "basisOfRecord": "MachineObservation",
        "dataGeneralizations": place.generalisation if has_place else None,
        "dynamicProperties": json.dumps(
            {
                "classificationProbability": round(visit.confidence, 4),
                "frames": len(visit.media_ids),
                "durationInSeconds": visit.duration.total_seconds(),
            }
        ),
        "recordedBy": said.observer,
        "individualCount": visit.max_n,
        "occurrenceStatus": "present",
        "eventID": visit.visit_id,
        "parentEventID": visit.deployment,
        "eventDate": f"{local_text(visit.start, place)}/{local_text(visit.end, place)}",
        "samplingProtocol": "unattended camera at a bird feeder",
        "countryCode": said.country,
        "stateProvince": said.state,
        "locality": place.name,
        "decimalLatitude": place.latitude,
        "decimalLongitude": place.longitude,
        "geodeticDatum": "EPSG:4326" if has_place else None,
        "coordinateUncertaintyInMeters": place.uncertainty if has_place else None,
        "coordinatePrecision": place.precision if has_place else None,
        "verbatimIdentification": visit.label.name,
        "identifiedBy": named_by(visit.is_by_person, named, said),
        "dateIdentified": utc_text(named.classified_at)[:10] if named else None,
        "identificationVerificationStatus": (
            "verified using recorded media" if visit.is_by_person else "unverified"
        ),
        "identificationRemarks": _remarks(claim),
        "scientificName": taxon.name,
        "kingdom": "Animalia",
        "class": taxon.class_name,
        "genus": taxon.genus or None,
        "taxonRank": taxon.rank,
        "vernacularName": visit.label.name if taxon.is_species and not taxon.is_group else None,
    }


def _remarks(claim: Claim) -> str:
    visit, taxon, _ = claim
    by = (
        "named by a person from the pictures"
        if visit.is_by_person
        else f"named by software with a mean probability of {visit.confidence:.2f}"
        f" over {len(visit.media_ids)} pictures"
    )
    return f"{by}; not told apart: {taxon.verbatim}" if taxon.is_group else by


def _identifier(visit_id: str, first: ExportedFrame | None) -> str:
    """An identifier that no other log gives: of the visit's name and its first picture's digest."""
    return uuid.uuid5(_OWN, f"{visit_id} {first.sha256 if first else ''}").urn


def _meta() -> bytes:
    ElementTree.register_namespace("", _TEXT)
    archive = ElementTree.Element(f"{{{_TEXT}}}archive", {"metadata": "eml.xml"})
    core = ElementTree.SubElement(
        archive,
        f"{{{_TEXT}}}core",
        {
            "encoding": "UTF-8",
            "fieldsTerminatedBy": ",",
            "linesTerminatedBy": "\\n",
            "fieldsEnclosedBy": '"',
            "ignoreHeaderLines": "1",
            "rowType": f"{_DWC}Occurrence",
        },
    )
    files = ElementTree.SubElement(core, f"{{{_TEXT}}}files")
    ElementTree.SubElement(files, f"{{{_TEXT}}}location").text = CORE
    ElementTree.SubElement(core, f"{{{_TEXT}}}id", {"index": "0"})
    for index, column in enumerate(COLUMNS):
        namespace = _DC if column == "license" else _DWC
        ElementTree.SubElement(
            core, f"{{{_TEXT}}}field", {"index": str(index), "term": f"{namespace}{column}"}
        )
    return _document(archive)


def _eml(source: Source, extent: _Extent) -> bytes:
    ElementTree.register_namespace("eml", _EML)
    said, made = source.said, source.made_at
    root = ElementTree.Element(
        f"{{{_EML}}}eml",
        {
            "packageId": str(uuid.uuid4()),
            "system": "https://gbif.org",
            "scope": "system",
            f"{{{_XML}}}lang": "eng",
        },
    )
    dataset = ElementTree.SubElement(root, "dataset")
    where = said.location or ", ".join(sorted(source.places))
    _add(dataset, "title", f"Visits to a bird feeder before an automatic camera: {where}")
    for role in ("creator", "metadataProvider"):
        _person(dataset, role, said.observer)
    _add(dataset, "pubDate", f"{made:%Y-%m-%d}")
    _add(dataset, "language", "eng")
    abstract = ElementTree.SubElement(dataset, "abstract")
    _add(abstract, "para", _abstract(source))
    if said.license:
        rights = ElementTree.SubElement(dataset, "intellectualRights")
        paragraph = _add(rights, "para", "This work is licensed under ")
        link = ElementTree.SubElement(paragraph, "ulink", {"url": LICENSES[said.license]})
        _add(link, "citetitle", said.license)
    _coverage(ElementTree.SubElement(dataset, "coverage"), source, extent)
    _person(dataset, "contact", said.observer)
    methods = ElementTree.SubElement(dataset, "methods")
    step = ElementTree.SubElement(ElementTree.SubElement(methods, "methodStep"), "description")
    _add(
        step,
        "para",
        "An unattended camera takes pictures of a bird feeder; software names what is on each, and"
        " joins pictures of one taxon into visits. Individuals are not counted: a visit means at"
        " least one.",
    )
    return _document(root)


def _abstract(source: Source) -> str:
    account = source.account
    return (
        f"{account.visits} visits, of which a person confirmed {account.confirmed} from the"
        f" pictures; the others were named by software alone. Written by {SOFTWARE}."
    )


def _coverage(coverage: ElementTree.Element, source: Source, extent: _Extent) -> None:
    """Geographic, then temporal, then taxonomic, as far as they are known."""
    known = [place for place in source.places.values() if place.latitude is not None]
    if known:
        where = ElementTree.SubElement(coverage, "geographicCoverage")
        _add(where, "geographicDescription", ", ".join(place.name for place in known))
        box = ElementTree.SubElement(where, "boundingCoordinates")
        east_west = [place.longitude or 0.0 for place in known]
        north_south = [place.latitude or 0.0 for place in known]
        _add(box, "westBoundingCoordinate", str(min(east_west)))
        _add(box, "eastBoundingCoordinate", str(max(east_west)))
        _add(box, "northBoundingCoordinate", str(max(north_south)))
        _add(box, "southBoundingCoordinate", str(min(north_south)))
    when = ElementTree.SubElement(coverage, "temporalCoverage")
    span = ElementTree.SubElement(when, "rangeOfDates")
    for name, day in zip(("beginDate", "endDate"), extent, strict=True):
        _add(ElementTree.SubElement(span, name), "calendarDate", day)


def _person(parent: ElementTree.Element, role: str, name: str | None) -> None:
    person = ElementTree.SubElement(parent, role)
    if name:
        _add(ElementTree.SubElement(person, "individualName"), "surName", name)
    else:
        _add(person, "organizationName", "a bird feeder's keeper, who is not named")


def _add(parent: ElementTree.Element, name: str, text: str) -> ElementTree.Element:
    made = ElementTree.SubElement(parent, name)
    made.text = plain(text)
    return made


def _document(root: ElementTree.Element) -> bytes:
    ElementTree.indent(root)
    return bytes(ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
