"""The CSV that iNaturalist's observation import takes.

Eight columns in a fixed order under a header: what is first in a row is looked up as a taxon, and a
row that begins with `#` is passed over. Dates are local, `YYYY-MM-DD HH:MM`, and read in the
account's time zone. The importer wants no quotation marks within a cell and few rows at a time.
Source: iNaturalist's import page and `bulk_observation_file.rb`.
"""

from datetime import datetime
from pathlib import Path
from typing import Literal

from feeder.clock import to_local
from feeder.exports import parts
from feeder.exports.cells import Sheet, unquoted
from feeder.exports.claims import Claim, Form
from feeder.exports.source import SOFTWARE, Source
from feeder.exports.whole import whole_files

FORM = Form(only_named=True, only_species=True, only_wild=True)

COLUMNS = (
    "Taxon name", "Date observed", "Description", "Place name", "Latitude / y coord / northing",
    "Longitude / x coord / easting", "Tags", "Geoprivacy",
)  # fmt: skip

MOST_ROWS = 100
"""Of a file; what the import page asks for."""

Geoprivacy = Literal["open", "obscured", "private"]


def write(
    path: Path,
    source: Source,
    *,
    geoprivacy: Geoprivacy = "obscured",
    most_rows: int = MOST_ROWS,
    force: bool = False,
) -> list[Path]:
    """Writes a row a visit, newest first, in as many files as needed; their paths.

    Raises ExportError where a further file is there.
    """
    stale, names = parts.earlier(path, force=force), parts.names(path)
    written: list[Path] = []
    file, sheet = None, None
    with whole_files(path) as made:
        try:
            for claim in source.claims:
                if file is None or sheet is None or sheet.rows == most_rows:
                    if file is not None:
                        file.close()
                    written.append(next(names))
                    file = (made / written[-1].name).open("w", encoding="utf-8", newline="")
                    sheet = Sheet(file, COLUMNS)
                latitude, longitude = claim.place.latitude, claim.place.longitude
                sheet.write(
                    {
                        "Taxon name": claim.taxon.name,
                        "Date observed": f"{_local(claim):%Y-%m-%d %H:%M}",
                        "Description": unquoted(_description(claim)),
                        "Place name": unquoted(claim.place.name),
                        "Latitude / y coord / northing": latitude,
                        "Longitude / x coord / easting": longitude,
                        "Tags": "bird feeder, automatic camera",
                        "Geoprivacy": geoprivacy,
                    }
                )
        finally:
            if file is not None:
                file.close()
    parts.remove_stale(stale, written)
    source.account.rows["observations"] = source.account.visits
    return written


def _local(claim: Claim) -> datetime:
    return to_local(claim.visit.start, claim.place.zone)


def _description(claim: Claim) -> str:
    visit = claim.visit
    who = (
        "confirmed by a person from the pictures"
        if visit.is_by_person
        else f"named by software alone with a mean probability of {visit.confidence:.2f}"
    )
    return (
        f"{visit.label.name} before an automatic camera at a bird feeder; {who}."
        f" At least one individual. {SOFTWARE} {visit.visit_id}"
    )
