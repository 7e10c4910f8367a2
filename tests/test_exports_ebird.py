"""eBird's Record Format (Extended), against what its import documents.

Source: support.ebird.org, "Upload spreadsheet data to eBird" (article 48000907878), and the
template that it offers: 19 columns in this order and no header, a name or a genus and species,
a count or X, a place, dates MM/DD/YYYY, times HH:MM, state and country codes, a protocol, Y or N;
no quotation marks, and less than 1 MB.
"""

import re
from datetime import datetime
from pathlib import Path

import pytest

from feeder.exports import ebird
from feeder.exports.whole import ExportError
from tests.exports import HOSTILE, Export
from tests.sightings import SightedLog

PROTOCOLS = {"Incidental", "Stationary", "Traveling", "Historical", "Area"}

COORDINATE = r"-?\d{1,3}(\.\d+)?"


def validated(path: Path) -> list[list[str]]:
    """The file's rows. Asserts everything that the import documents of a row and of a file."""
    data = path.read_bytes()
    assert 0 < len(data) < 1_048_576 and not data.startswith(b"\xef\xbb\xbf")
    text = data.decode("utf-8")
    assert '"' not in text and "\r" not in text and text.endswith("\n")
    rows = [line.split(",") for line in text.removesuffix("\n").split("\n")]
    for row in rows:
        assert len(row) == 19
        (common, genus, species, number, _, place, latitude, longitude, day, start, state, country,
         protocol, observers, duration, is_complete, distance, area, _) = row  # fmt: skip
        assert common or (genus and species)
        assert bool(genus) == bool(species)
        assert re.fullmatch(r"X|[1-9]\d*", number)
        assert place
        assert bool(latitude) == bool(longitude)
        if latitude:
            assert re.fullmatch(COORDINATE, latitude) and abs(float(latitude)) <= 90
            assert re.fullmatch(COORDINATE, longitude) and abs(float(longitude)) <= 180
        assert re.fullmatch(r"\d\d/\d\d/\d{4}", day) and datetime.strptime(day, "%m/%d/%Y")
        assert re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", start)
        assert re.fullmatch(r"[A-Z0-9]{0,3}", state) and re.fullmatch(r"([A-Z]{2})?", country)
        assert protocol in PROTOCOLS and is_complete in ("Y", "N")
        assert re.fullmatch(r"\d*", observers)
        if protocol == "Incidental":  # it takes no effort, and is never complete
            assert (duration, distance, area, is_complete) == ("", "", "", "N")
    # A checklist has one place, day, time and effort, and each taxon once.
    lists: dict[tuple[str, ...], list[str]] = {}
    for row in rows:
        lists.setdefault((row[5], row[8]), []).append(" ".join(row[:3]))
        assert len({tuple(one[6:18]) for one in rows if (one[5], one[8]) == (row[5], row[8])}) == 1
    assert all(len(set(taxa)) == len(taxa) for taxa in lists.values())
    return rows


def test_a_checklist_is_a_camera_and_a_day(awkward: Export, tmp_path: Path) -> None:
    """Each taxon once, at the local time of the day's first visit, with X and honest words."""
    account = awkward("ebird", tmp_path / "e.csv")
    rows = validated(tmp_path / "e.csv")
    assert account["rows"] == {"checklists": 4, "lines": len(rows)} == {"checklists": 4, "lines": 8}
    robin = next(row for row in rows if row[1:3] == ["Erithacus", "rubecula"] and "05/01" in row[8])
    assert robin[3] == "X" and robin[6:13] == [
        "53.35", "-6.26", "05/01/2026", "07:30", "L", "IE", "Incidental",
    ]  # fmt: skip
    assert robin[4].startswith("3 visits 07:30 to 10:00; named by software alone")
    sparrow = next(row for row in rows if row[2] == "domesticus" and "05/01" in row[8])
    assert "1 confirmed by a person" in sparrow[4]
    assert {row[8] for row in rows if row[2] == "domesticus"} == {"05/01/2026", "05/03/2026"}


def test_slashes_and_spuhs_go_by_ebirds_names(awkward: Export, tmp_path: Path) -> None:
    """A group has its common and its scientific name, a bird of no species is `bird sp.`."""
    awkward("ebird", tmp_path / "e.csv")
    names = {tuple(row[:3]) for row in validated(tmp_path / "e.csv")}
    assert ("Downy/Hairy Woodpecker", "Dryobates", "pubescens/villosus") in names
    assert ("bird sp.", "Aves", "sp.") in names
    assert ("", "Parus", "major") in names and HOSTILE.name not in str(names)


def test_a_long_export_goes_on_in_further_files(
    awkward: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No file is larger than eBird takes, no checklist divided, and none of an earlier one left."""
    monkeypatch.setattr(ebird, "MOST_BYTES", 300)
    files = awkward("ebird", tmp_path / "e.csv")["files"]
    assert [Path(file).name for file in files] == ["e.csv", "e-2.csv", "e-3.csv", "e-4.csv"]
    days = [{(row[5], row[8]) for row in validated(Path(file))} for file in files]
    assert all(len(one) == 1 for one in days) and len(set.union(*days)) == 4
    (tmp_path / "e.csv").unlink()
    with pytest.raises(ExportError, match=r"e-2\.csv is there already"):
        awkward("ebird", tmp_path / "e.csv")
    monkeypatch.undo()
    assert len(awkward("ebird", tmp_path / "e.csv", "--force")["files"]) == 1
    assert [one.name for one in tmp_path.glob("e*.csv")] == ["e.csv"]


def test_a_place_named_once_is_told_apart_by_camera(awkward: Export, tmp_path: Path) -> None:
    """Two cameras at one location are two places, or eBird would join their lists."""
    config = tmp_path / "config.toml"
    text = config.read_text(encoding="utf-8").replace("[export]", '[export]\nlocation = "Home"')
    config.write_text(text, encoding="utf-8")
    awkward("ebird", tmp_path / "e.csv")
    places = {row[5] for row in validated(tmp_path / "e.csv")}
    assert places == {"Home - garden", "Home - @cabin"}


def test_many_days_are_written_as_they_come(awkward: Export, tmp_path: Path) -> None:
    """A year of days is a year of checklists, the newest first."""
    log = SightedLog(tmp_path / "data" / "feeder.db")
    log.count = 100
    for day in range(365):
        log.see(-day * 86_400.0 - 3600, commit=False)
    log.logbook.close()
    assert awkward("ebird", tmp_path / "e.csv")["rows"]["checklists"] == 4 + 364
    days = [datetime.strptime(row[8], "%m/%d/%Y") for row in validated(tmp_path / "e.csv")]
    assert days == sorted(days, reverse=True)
