"""What may be claimed, in whichever format; how files are written."""

import csv
import json
import re
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks import exports as benchmark
from feeder.cli import app
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, Visit
from feeder.errors import FeederError
from feeder.exports import camtrap_dp, cells, darwin_core, ebird, inaturalist, source, whole
from feeder.exports.claims import Account, Form, Reason, Rules, Taxon, claims, taxon
from feeder.exports.places import Place
from feeder.exports.whole import ExportError
from tests.exports import DOVE, GERTRUDE, HOSTILE, NEVER, PERSON, WOODPECKER, Export, exporter
from tests.sightings import ROBIN, SQUIRREL, START

FORMATS = {
    "csv": "v.csv",
    "parquet": "v.parquet",
    "ebird": "e.csv",
    "darwin-core": "d.zip",
    "camtrap-dp": "package",
    "inaturalist": "i.csv",
    "datasette": "v.db",
}

PLACE = Place("garden", "garden", None, START, START, 53.35, -6.26, 2)


def said(path: Path) -> Iterator[str]:
    """Everything that a written file or folder says, in text."""
    if path.is_dir():
        for inner in sorted(path.rglob("*")):
            yield inner.name
            yield from said(inner) if inner.is_file() else ()
    elif path.suffix == ".parquet":
        yield str(pyarrow.parquet.read_table(path).to_pylist())
    elif path.suffix == ".db":
        with closing(sqlite3.connect(path)) as database:
            yield from database.iterdump()
    elif path.suffix == ".zip":
        with zipfile.ZipFile(path) as archive:
            for name in archive.namelist():
                yield archive.read(name).decode()
    else:
        yield path.read_text(encoding="utf-8")


@pytest.mark.parametrize("arguments", [*([one] for one in FORMATS), ["csv", "--frames"]])
def test_nothing_that_may_not_be_claimed_is_in_any_format(
    awkward: Export, tmp_path: Path, arguments: list[str]
) -> None:
    """No people, no unsure or outvoted names, no undated visits, and nobody who uses the feeder."""
    name, *options = arguments
    account = awkward(name, tmp_path / FORMATS[name], *options)
    text = "\n".join(part for file in account["files"] for part in said(Path(file)))
    assert text
    for never in NEVER:
        assert never not in text
    for frame in (4, 10, 11, 14, 23):
        assert not re.search(rf"garden:{frame}\b", text)
    assert "53.3498" not in text and "-6.2603" not in text and str(tmp_path) not in text
    assert account["left_out"]["unsure"] == 1
    assert account["left_out"]["undated"] == 1
    assert account["left_out"]["human"] == 1


def test_what_a_format_has_no_place_for_is_counted(awkward: Export, tmp_path: Path) -> None:
    """Own labels, groups, mammals and cameras without a place are left out where they must be."""
    found = {name: awkward(name, tmp_path / file)["left_out"] for name, file in FORMATS.items()}
    usual = {"unsure": 1, "undated": 1, "human": 1}
    assert found["csv"] == found["parquet"] == found["datasette"] == usual
    assert found["darwin-core"] == usual | {"unnamed": 1}
    assert found["ebird"] == usual | {"unnamed": 1, "no-bird": 1}
    assert found["inaturalist"] == usual | {"unnamed": 1, "no-species": 3}
    assert found["camtrap-dp"] == usual | {"unnamed": 1, "no-place": 1}


@pytest.mark.parametrize("name", ["Felis catus", "Canis familiaris", "Canis lupus familiaris"])
def test_cats_and_dogs_are_no_wild_animals(name: str) -> None:
    """They are left out where an occurrence in the wild is claimed, and counted; kin are not."""
    for label, wild in ((Label("pet", Kind.MAMMAL, name), False), (SQUIRREL, True)):
        visit = Visit("garden", label, START, START, (1,), 1, 0.99, False, True)
        for form in (darwin_core.FORM, inaturalist.FORM, camtrap_dp.FORM, ebird.FORM):
            account = Account()
            found = list(claims([visit], {"garden": PLACE}, (), form, Rules(0.8), account))
            may_be = not form.only_birds and (wild or form is camtrap_dp.FORM)
            assert bool(found) == may_be
            if not may_be:
                reason = Reason.NO_BIRD if form.only_birds else Reason.NOT_WILD
                assert account.left_out == {reason: 1}


def test_visits_and_not_frames_are_counted(awkward: Export, tmp_path: Path) -> None:
    """Three frames of a robin are one visit; --frames writes the frames of the same visits."""
    account = awkward("csv", tmp_path / "v.csv")
    assert account["visits"] == account["rows"]["visits"] == 13
    with (tmp_path / "v.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["event_id"]: row for row in csv.DictReader(file)}
    assert rows["garden:1"]["frames"] == "3"
    assert {row["max_n"] for row in rows.values()} == {""}  # nobody counted
    assert rows["garden:5"]["classification_method"] == "human"
    assert rows["garden:20"]["local_start"] == "2026-05-03T23:58:00+01:00"
    assert [rows[one]["local_start"][-14:] for one in ("garden:18", "garden:19")] == [
        "01:30:00+01:00",
        "01:30:00+00:00",
    ]
    assert awkward("csv", tmp_path / "f.csv", "--frames")["rows"] == {"frames": 18}
    with (tmp_path / "f.csv").open(encoding="utf-8", newline="") as file:
        frames = {row["media_id"]: row for row in csv.DictReader(file)}
    assert frames["16"]["label"] == "European Robin" and frames["16"]["read_as_such"] == "false"
    assert frames["16"]["classification_probability"] == ""


def test_how_many_frames_are_looked_up_together_changes_nothing(
    awkward: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A visit whose frames fill several questions is written like any other."""
    awkward("csv", tmp_path / "f.csv", "--frames")
    monkeypatch.setattr(source, "_TOGETHER", 2)
    awkward("csv", tmp_path / "g.csv", "--frames")
    assert (tmp_path / "f.csv").read_bytes() == (tmp_path / "g.csv").read_bytes()


def test_only_what_people_confirmed_where_that_is_asked(awkward: Export, tmp_path: Path) -> None:
    """--confirmed leaves one visit, and --confidence 1 the same, for a person's word is sure."""
    for number, option in enumerate((["--confirmed"], ["--confidence", "1"])):
        account = awkward("csv", tmp_path / f"{number}.csv", *option)
        assert (account["visits"], account["confirmed"]) == (1, 1)


def test_periods_side_by_side_share_no_visit(awkward: Export, tmp_path: Path) -> None:
    """A visit over midnight belongs to the day on which it began, alone."""
    days = [
        awkward("csv", tmp_path / f"{day}.csv", "--since", f"2026-05-0{day}", "--until",
                f"2026-05-0{day}")["visits"]
        for day in (1, 2, 3, 4)
    ]  # fmt: skip
    assert days == [10, 0, 1, 0]


def test_nothing_to_claim_writes_nothing(awkward: Export, tmp_path: Path) -> None:
    """An empty period is no error, and leaves no file."""
    for name, file in FORMATS.items():
        account = awkward(name, tmp_path / file, "--since", "2027-01-01")
        assert account["files"] == [] and not (tmp_path / file).exists()


def test_nothing_is_replaced_without_being_asked(awkward: Export, tmp_path: Path) -> None:
    """What is there is refused, replaced with --force, and left whole where writing fails."""
    for name, file in FORMATS.items():
        awkward(name, tmp_path / file)
        with pytest.raises(ExportError, match="is there already"):
            awkward(name, tmp_path / file)
        assert awkward(name, tmp_path / file, "--force")["visits"]
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "letter.txt").write_text("dear", encoding="utf-8")
    with pytest.raises(ExportError, match="other things"):
        awkward("camtrap-dp", kept, "--force")
    assert (kept / "letter.txt").exists()
    with pytest.raises(ExportError, match="no folder"):
        awkward("csv", tmp_path / "nowhere" / "v.csv")
    with pytest.raises(ExportError, match="is no file"):
        awkward("csv", kept, "--force")
    assert not [left for left in tmp_path.iterdir() if left.name.startswith(".")]


def test_an_export_never_replaces_what_the_feeder_keeps(awkward: Export, tmp_path: Path) -> None:
    """Not the log or the settings, be it asked for; nor are its pictures found as new ones."""
    (tmp_path / "snapshots").mkdir()
    with pytest.raises(ExportError, match="taken for new ones"):
        awkward("camtrap-dp", tmp_path / "snapshots" / "package")
    before = (tmp_path / "data" / "feeder.db").read_bytes()
    for own in ("data/feeder.db", "config.toml"):
        for name in ("datasette", "csv"):
            with pytest.raises(ExportError, match="itself keeps"):
                awkward(name, tmp_path / own, "--force")
    assert (tmp_path / "data" / "feeder.db").read_bytes() == before


def test_a_failed_export_leaves_what_was_there(tmp_path: Path) -> None:
    """Whatever goes wrong on the way, the old file stays and no half of a new one is left."""
    path, folder = tmp_path / "v.csv", tmp_path / "package"
    path.write_text("old", encoding="utf-8")
    folder.mkdir()
    (folder / "old").write_text("old", encoding="utf-8")
    with pytest.raises(KeyboardInterrupt), whole.whole_files(path) as made:
        (made / "v.csv").write_text("half", encoding="utf-8")
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="full"), whole.whole_folder(folder) as made:
        (made / "new").write_text("half", encoding="utf-8")
        raise OSError("full")
    assert path.read_text(encoding="utf-8") == "old"
    assert [one.name for one in folder.iterdir()] == ["old"]
    assert sorted(one.name for one in tmp_path.iterdir()) == ["package", "v.csv"]


def test_the_account_is_told_in_words(awkward: Export, tmp_path: Path) -> None:
    """Without --json: what was written, how much, what was left out and why."""
    config = tmp_path / "config.toml"
    command = ["--config", str(config), "export", "csv", str(tmp_path / "v.csv")]
    lines = CliRunner().invoke(app, command, catch_exceptions=False).stdout.splitlines()
    assert lines[1] == "13 visits, 1 of them confirmed by a person; rows: 13 visits"
    assert "left out: 1 visit not sure enough (less than 80 %)" in lines


def test_parquet_has_types(awkward: Export, tmp_path: Path) -> None:
    """Instants are instants in UTC, numbers numbers, and names as they are: nothing computes."""
    awkward("parquet", tmp_path / "v.parquet")
    table = pyarrow.parquet.read_table(tmp_path / "v.parquet")
    assert str(table.schema.field("event_start").type) == "timestamp[ms, tz=UTC]"
    rows = {row["event_id"]: row for row in table.to_pylist()}
    assert rows["garden:1"]["event_start"] == START
    assert rows["@cabin:13"]["label"] == HOSTILE.name
    awkward("parquet", tmp_path / "f.parquet", "--frames")
    assert pyarrow.parquet.read_table(tmp_path / "f.parquet").num_rows == 18


def test_parquet_without_pyarrow_says_what_is_missing(
    awkward: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The extra is named, and CSV as what needs none."""
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(ExportError, match="pyarrow") as error:
        awkward("parquet", tmp_path / "v.parquet")
    assert "[parquet]" in error.value.hint


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        (ROBIN, Taxon("Erithacus rubecula", "species", "Erithacus rubecula", "Aves")),
        (WOODPECKER, Taxon("Dryobates", "genus", WOODPECKER.scientific_name, "Aves", True)),
        (DOVE, Taxon("Aves", "class", DOVE.scientific_name, "Aves", True)),
        (UNIDENTIFIED_BIRD, Taxon("Aves", "class", "Aves", "Aves")),
        (GERTRUDE, Taxon("", "", "", "Aves")),
        (Label("squirrel", Kind.MAMMAL, "Sciuridae"),
         Taxon("Sciuridae", "family", "Sciuridae", "Mammalia")),
        (Label("chickadee sp.", Kind.BIRD, "Poecile"),
         Taxon("Poecile", "genus", "Poecile", "Aves", True)),
        (Label("Slate-colored Junco", Kind.BIRD, "Junco hyemalis hyemalis"),
         Taxon("Junco hyemalis hyemalis", "subspecies", "Junco hyemalis hyemalis", "Aves")),
        (Label("x", Kind.BIRD, "=1+1"), Taxon("", "", "=1+1", "Aves")),
    ],
)  # fmt: skip
def test_a_label_is_a_taxon_at_its_rank(label: Label, expected: Taxon) -> None:
    """Slashes are their genus, or their class where they have none in common; nonsense is none."""
    assert taxon(label) == expected


TEXT = st.text(max_size=40)
KINDS = st.sampled_from(list(Kind))


@st.composite
def visits(draw: st.DrawFn) -> Visit:
    """Any visit at all."""
    label = Label(draw(TEXT), draw(KINDS), draw(st.sampled_from(
        ["", "Aves", "Homo sapiens", "Felis catus", "Parus major", "Poecile a/b",
         "=1", "Parus"])))  # fmt: skip
    at = START + timedelta(seconds=draw(st.integers(0, 10**6)))
    return Visit(
        draw(st.sampled_from(["garden", "gone"])), label, at, at, (1,), 1,
        draw(st.floats(0, 1)), draw(st.booleans()), draw(st.booleans()),
    )  # fmt: skip


@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(
    st.lists(visits(), max_size=10),
    st.builds(Form, *[st.booleans()] * 5),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_claim_is_sure_dated_and_of_no_person(
    given_visits: list[Visit], form: Form, confidence: float, only_confirmed: bool
) -> None:
    """Of any visits, each is claimed or counted as left out, and a claim keeps every rule."""
    account = Account()
    rules = Rules(confidence, only_confirmed)
    found = list(claims(given_visits, {"garden": PLACE}, (), form, rules, account))
    assert len(found) == account.visits
    assert account.visits + sum(account.left_out.values()) == len(given_visits)
    for visit, named, place in found:
        assert visit.trusted and place is PLACE
        assert visit.label.kind in (Kind.BIRD, Kind.MAMMAL) and named.name != "Homo sapiens"
        assert visit.is_by_person or (not only_confirmed and visit.confidence >= confidence)
        assert not form.only_birds or visit.label.kind is Kind.BIRD
        assert not form.only_named or named.name
        assert not form.only_wild or named.name != "Felis catus"
        assert not form.only_species or (named.is_species and not named.is_group)
    if any(visit.label.kind is Kind.HUMAN for visit in given_visits):
        assert account.left_out[Reason.HUMAN]


@given(TEXT)
def test_no_cell_computes(value: str) -> None:
    """No text begins with what a spreadsheet computes, holds a control character or two lines."""
    for made in (cells.text(value), cells.unquoted(value), cells.bare(value)):
        assert not made.startswith(("=", "+", "-", "@", "\t", "\r"))
        assert made.isprintable() and cells.text(made) == made
    assert not set(cells.bare(value)) & set(',"')
    assert '"' not in cells.unquoted(value)


@pytest.mark.parametrize("value", ["=1+1", "+1", "-1", "@SUM(A1)", " \t=1", "\r\n=1", "\uff1d1"])
def test_what_would_compute_is_marked_as_text(value: str) -> None:
    """An apostrophe stands before it, as spreadsheets mark text themselves."""
    assert cells.text(value).startswith("'")
    assert cells.cell(-6.26) == "-6.26"  # a number is a number


@given(st.floats(-90, 90), st.integers(0, 6))
def test_the_camera_is_within_the_uncertainty(latitude: float, decimals: int) -> None:
    """Rounded coordinates are off by no more metres than they say."""
    place = Place("a", "a", None, START, START, round(latitude, decimals), 0.0, decimals)
    metres = abs((place.latitude or 0.0) - latitude) * 111_320
    assert metres <= place.uncertainty
    assert place.degrees[0] == f"{place.latitude:.{decimals}f}"


def test_decimals_are_what_was_asked(awkward: Export, tmp_path: Path) -> None:
    """Coordinates are as exact as --decimals says; the datasette has none unless asked."""
    awkward("csv", tmp_path / "v.csv", "--decimals", "4", "--species", "European Robin")
    assert ",53.3498,-6.2603," in (tmp_path / "v.csv").read_text(encoding="utf-8")
    for option, expected in (([], None), (["--coordinates"], 53.35)):
        file = tmp_path / f"{len(option)}.db"
        awkward("datasette", file, *option)
        with closing(sqlite3.connect(file)) as database:
            (found,) = database.execute(
                "SELECT latitude FROM deployment WHERE name = 'garden'"
            ).fetchone()
        assert found == expected


def test_the_datasette_is_one_to_browse(awkward: Export, tmp_path: Path) -> None:
    """Keys hold, species are found by words, visits by day; the metadata names what is there."""
    files = awkward("datasette", tmp_path / "garden birds.db")["files"]
    metadata = json.loads(Path(files[1]).read_text(encoding="utf-8"))
    tables = metadata["databases"]["garden birds"]["tables"]
    with closing(sqlite3.connect(tmp_path / "garden birds.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
        keys = [
            row[3:5]
            for name in tables
            for row in database.execute(f"PRAGMA foreign_key_list({name})")
        ]
        there = {
            name: {row[1] for row in database.execute(f"PRAGMA table_info({name})")}
            for name in tables
        }
        found = database.execute(
            "SELECT name FROM species_fts WHERE species_fts MATCH 'erithacus'"
        ).fetchall()
        days = database.execute(
            "SELECT count(*) FROM visit WHERE local_date = '2026-05-03'"
        ).fetchone()
        best = database.execute(
            "SELECT count(*) FROM visit LEFT JOIN sighting ON visit.visit_id = sighting.visit_id"
            " AND is_best = 1 WHERE media_id IS NULL"
        ).fetchone()
    # With the column they refer to written out: Datasette breaks on a page without.
    assert sorted(keys) == [(one, one) for one in ("deployment_id", "species_id", "visit_id")]
    assert there.keys() == {"visit", "sighting", "species", "deployment"}
    for table, about in tables.items():
        assert {*about.get("facets", ()), *about.get("columns", {}), *about.get("units", {})} <= (
            there[table]
        )
    assert found == [("European Robin",)] and days == (1,) and best == (0,)


def test_people_are_no_visits_even_where_a_model_calls_them_animals() -> None:
    """A label of people is never claimed, and be a person sure that it is one."""
    at = datetime(2026, 5, 1, tzinfo=UTC)
    visit = Visit("garden", PERSON, at, at, (1,), 1, 1.0, True)
    account = Account()
    assert not list(claims([visit], {"garden": PLACE}, (), Form(), Rules(0), account))
    assert account.left_out == {Reason.HUMAN: 1}


def test_an_unknown_column_is_an_error(tmp_path: Path) -> None:
    """A row cannot say what its header does not."""
    with (tmp_path / "v.csv").open("w", encoding="utf-8") as file, pytest.raises(KeyError):
        cells.Sheet(file, ["a"]).write({"b": 1})


def test_squirrels_are_animals(awkward: Export, tmp_path: Path) -> None:
    """Mammals are in every format that takes animals."""
    awkward("darwin-core", tmp_path / "d.zip")
    assert SQUIRREL.scientific_name in "".join(said(tmp_path / "d.zip"))


def test_there_must_be_a_log(write_config: Callable[..., Path], tmp_path: Path) -> None:
    """Without a log the error says how to start one."""
    path = write_config()
    with pytest.raises(FeederError, match="no log"):
        CliRunner().invoke(
            app,
            ["--config", str(path), "export", "csv", str(tmp_path / "v.csv")],
            catch_exceptions=False,
        )


def test_the_benchmarks_log_has_the_visits_it_is_asked_for(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """So many, each of two frames."""
    benchmark.make_log(tmp_path / "data" / "feeder.db", 20)
    path = write_config(model='bundle = "starter"')
    account = exporter(path)("csv", tmp_path / "f.csv", "--frames")
    assert (account["visits"], account["rows"]) == (20, {"frames": 40})
