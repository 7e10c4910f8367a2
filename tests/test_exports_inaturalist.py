"""iNaturalist's CSV, against what its import reads.

Source: the import page, and `BulkObservationFile`, which goes by the columns' order under a header:
name, date, description, place, latitude, longitude, tags, geoprivacy. A row that begins with # is
passed over. The page asks for 100 rows at most, and for no double quotes within a cell.
"""

import csv
from datetime import datetime
from pathlib import Path

import pytest

from feeder.exports.whole import ExportError
from tests.exports import Export


def validated(path: Path, most_rows: int = 100) -> list[list[str]]:
    """The file's rows. Asserts what the importer needs of each."""
    with path.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    assert len(header) == 8 and 0 < len(rows) <= most_rows
    for name, day, description, place, latitude, longitude, tags, geoprivacy in rows:
        assert name and not name.startswith("#") and name.replace(" ", "").isalpha()
        assert datetime.strptime(day, "%Y-%m-%d %H:%M")
        assert not any('"' in cell for cell in (description, place, tags))
        assert bool(latitude) == bool(longitude)
        if latitude:
            assert abs(float(latitude)) <= 90 and abs(float(longitude)) <= 180
        assert geoprivacy in ("open", "obscured", "private")
        assert [tag.strip() for tag in tags.split(",")] == ["bird feeder", "automatic camera"]
    return rows


def test_each_visit_of_a_species_is_a_row(awkward: Export, tmp_path: Path) -> None:
    """The scientific name, the local time, who named it, and a place that is obscured."""
    account = awkward("inaturalist", tmp_path / "i.csv")
    rows = validated(tmp_path / "i.csv")
    assert account["rows"] == {"observations": 9} and len(rows) == 9
    sparrow = next(row for row in rows if "garden:5" in row[2])
    assert sparrow[:2] == ["Passer domesticus", "2026-05-01 07:50"]
    assert "confirmed by a person" in sparrow[2]
    assert sparrow[4:6] == ["53.35", "-6.26"] and sparrow[7] == "obscured"


def test_more_rows_go_into_further_files(awkward: Export, tmp_path: Path) -> None:
    """No file has more rows than asked for, and further ones are not overwritten unasked."""
    files = awkward("inaturalist", tmp_path / "i.csv", "--rows", 4, "--geoprivacy", "private")
    assert [len(validated(Path(file), 4)) for file in files["files"]] == [4, 4, 1]
    (tmp_path / "i.csv").unlink()
    with pytest.raises(ExportError, match=r"i-2\.csv"):
        awkward("inaturalist", tmp_path / "i.csv")
    awkward("inaturalist", tmp_path / "i.csv", "--force")
    assert [one.name for one in tmp_path.glob("i*.csv")] == ["i.csv"]
