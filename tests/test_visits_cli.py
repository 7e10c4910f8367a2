"""`feeder visits`, `feeder stats`, and what they share with `feeder sightings`."""

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.console import Console

from feeder.cli import app, output, plots
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label
from feeder.errors import FeederError, VocabularyError
from feeder.judgement_log import JudgementLog, What
from tests.sightings import ROBIN, SPARROW, SQUIRREL, SightedLog

EVENING = datetime(2026, 5, 2, 1, 30, tzinfo=UTC)
"""Half past nine in the evening of 1 May in New York."""

CARDINAL = Label("Northern Cardinal", Kind.BIRD, "Cardinalis cardinalis", "norcar")


@pytest.fixture
def log(write_config: Callable[..., Path]) -> SightedLog:
    """The log of a feeder in New York, with two visits of an evening and one of the next day."""
    path = write_config(
        model='bundle = "starter"\nthreads = 1',
        deployment='name = "garden"\nfolder = "snapshots"\ntimezone = "America/New_York"',
    )
    made = SightedLog(path.parent / "data" / "feeder.db", zone="America/New_York")
    for seconds in (0, 20, 90):
        made.see(EVENING + timedelta(seconds=seconds), CARDINAL, 0.8)
    made.see(EVENING + timedelta(hours=1), SQUIRREL, 0.9)
    made.see(EVENING + timedelta(hours=12), CARDINAL, 0.7)
    made.logbook.close()
    return made


@pytest.fixture
def feeder(log: SightedLog) -> Callable[..., Result]:
    """Runs a command on it; errors that users meet are raised."""
    path = log.path.parent.parent / "config.toml"

    def run(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--config", str(path), *arguments], catch_exceptions=False)

    return run


def test_visits_show_local_times_and_how_long(feeder: Callable[..., Result]) -> None:
    """A table, newest first: time, duration, frames, species, confidence, camera, best frame."""
    assert feeder("visits").stdout.splitlines() == [
        "time\tlasted\tframes\tspecies\tconfidence\tcamera\tbest frame",
        "2026-05-02 09:30:00\t0 s\t1\tNorthern Cardinal\t70 %\tgarden\t5",
        "2026-05-01 22:30:00\t0 s\t1\tEastern Gray Squirrel\t90 %\tgarden\t4",
        "2026-05-01 21:30:00\t1 min 30 s\t3\tNorthern Cardinal\t80 %\tgarden\t1",
    ]
    assert len(feeder("visits", "--limit", "1").stdout.splitlines()) == 2


def test_visits_are_written_under_the_standards_names(feeder: Callable[..., Result]) -> None:
    """JSON and CSV have times in UTC, a stable id, every frame, and no MaxN that nobody knows."""
    found = json.loads(feeder("visits", "--since", "2026-05-01", "--json").stdout)
    assert found[-1] == {
        "event_id": "garden:1",
        "event_start": "2026-05-02T01:30:00.000Z",
        "event_end": "2026-05-02T01:31:30.000Z",
        "duration_seconds": 90.0,
        "timestamp_trusted": True,
        "deployment": "garden",
        "label": "Northern Cardinal",
        "scientific_name": "Cardinalis cardinalis",
        "ebird_code": "norcar",
        "kind": "bird",
        "classification_method": "machine",
        "classification_probability": 0.8,
        "max_n": None,
        "frames": 3,
        "best_media_id": 1,
        "media_ids": [1, 2, 3],
    }
    rows = list(csv.DictReader(io.StringIO(feeder("visits", "--csv").stdout)))
    assert rows[-1]["event_end"] == "2026-05-02T01:31:30.000Z"
    assert (rows[-1]["media_ids"], rows[-1]["max_n"]) == ("1 2 3", "")


def test_a_day_is_the_cameras_day(feeder: Callable[..., Result]) -> None:
    """The evening belongs to 1 May, whatever the date is in Greenwich."""
    for options, count in (
        (("--since", "2026-05-01", "--until", "2026-05-01"), 2),
        (("--since", "2026-05-02"), 1),
        (("--since", "2026-05-01T21:31", "--until", "2026-05-01T21:31:01"), 1),
    ):
        assert len(json.loads(feeder("visits", *options, "--json").stdout)) == count, options


@pytest.mark.parametrize("command", ["visits", "sightings", "stats"])
@pytest.mark.parametrize(
    "name", ["northern cardinal", "Northern-Cardinal", "CARDINALIS cardinalis", "norcar"]
)
def test_a_species_has_many_names(
    command: str, name: str, feeder: Callable[..., Result], log: SightedLog
) -> None:
    """Name, scientific name and code, in any spelling, find it in every command."""
    found = json.loads(feeder(command, "--species", name, "--json").stdout)
    rows = found["species"] if command == "stats" else found
    assert {row["label"] for row in rows} == {"Northern Cardinal"}


def test_an_alias_finds_what_the_log_calls_otherwise(
    feeder: Callable[..., Result], log: SightedLog
) -> None:
    """Labels of earlier vocabularies and of people are found under today's aliases, too."""
    own = log.path.parent.parent / "labels.toml"
    own.write_text(
        '[[label]]\nname = "Gray Squirrel"\nkind = "mammal"\n'
        'aliases = ["Eastern Gray Squirrel", "Bushytail"]\nphotos = "none.npz"\n',
        encoding="utf-8",
    )
    log.sql(
        "INSERT INTO observation (media_id, observation_type, label, kind, classification_method,"
        " classified_by, classification_timestamp, reason)"
        " VALUES (4, 'animal', 'Eastern Gray Squirrel', 'mammal', 'human', 'ada', '', '')"
    )
    (row,) = json.loads(feeder("sightings", "--species", "bushytail", "--json").stdout)
    assert row["label"] == "Eastern Gray Squirrel"


@pytest.mark.parametrize("command", ["visits", "sightings", "stats"])
def test_a_name_that_nothing_bears_is_said(command: str, feeder: Callable[..., Result]) -> None:
    """It is an error that suggests names; a known one without visits gives an empty answer."""
    with pytest.raises(FeederError, match="Did you mean 'Northern Cardinal'"):
        feeder(command, "--species", "northern cardnal")
    nothing = feeder(command, "--species", "house sparrow", "--since", "2026-05-01")
    assert nothing.exit_code == 0
    assert "There are no" in nothing.stderr
    assert "of 'house sparrow' then." in nothing.stderr


@pytest.mark.parametrize("command", ["visits", "sightings"])
@pytest.mark.parametrize("options", [("--json", "--csv"), ("--csv", "--json")])
def test_one_form_at_a_time(
    command: str, options: tuple[str, str], feeder: Callable[..., Result]
) -> None:
    """JSON and CSV together are wrong usage."""
    result = feeder(command, *options)
    assert result.exit_code == 2
    assert "choose one" in result.stderr


def test_a_camera_that_was_taken_down_is_still_in_the_log(
    feeder: Callable[..., Result], log: SightedLog
) -> None:
    """Its visits are listed in its own zone, though config.toml no longer names it."""
    log.sql("INSERT INTO deployment VALUES (9, 'pond', NULL, NULL, 'Asia/Tokyo', '');")
    log.sql("UPDATE media SET deployment_id = 9 WHERE media_id = 5")
    (line,) = feeder("visits", "--deployment", "pond").stdout.splitlines()[1:]
    assert line.startswith("2026-05-02 22:30:00")
    assert feeder("visits", "--deployment", "lake").exit_code == 2


def test_look_alikes_are_known_from_the_vocabulary(
    feeder: Callable[..., Result], log: SightedLog
) -> None:
    """A Downy/Hairy Woodpecker beside a Downy is one visit."""
    downy = Label("Downy Woodpecker", Kind.BIRD, "Dryobates pubescens", "dowwoo")
    either = Label("Downy/Hairy Woodpecker", Kind.BIRD, "Dryobates pubescens/villosus")
    later = SightedLog(log.path, zone="America/New_York")
    later.count = 10
    start = EVENING + timedelta(days=3)
    later.see(start, downy, 0.9)
    later.see(start + timedelta(seconds=5), either, 0.9, (downy, 0.5))
    later.logbook.close()
    (visit,) = json.loads(feeder("visits", "--since", "2026-05-04", "--json").stdout)
    assert (visit["label"], visit["frames"]) == ("Downy Woodpecker", 2)


def test_a_refused_model_hides_no_visit(feeder: Callable[..., Result], log: SightedLog) -> None:
    """The log can be read without a vocabulary; that there is none is said beside it."""
    config = log.path.parent.parent / "config.toml"
    config.write_text(
        config.read_text(encoding="utf-8").replace('"starter"', '"nowhere"'), encoding="utf-8"
    )
    result = feeder("visits", "--species", "cardinalis cardinalis")
    assert len(result.stdout.splitlines()) == 3
    assert "without a vocabulary" in result.stderr


def test_stats_count_visits(feeder: Callable[..., Result]) -> None:
    """By species, local day and hour, with first visits and days in a row, as JSON in UTC."""
    found = json.loads(feeder("stats", "--json").stdout)
    assert (found["visits"], found["undated"]) == (3, 0)
    assert [(one["label"], one["visits"], one["frames"]) for one in found["species"]] == [
        ("Northern Cardinal", 2, 4),
        ("Eastern Gray Squirrel", 1, 1),
    ]
    assert found["by_day"] == {"2026-05-01": 2, "2026-05-02": 1}
    assert [hour for hour, count in enumerate(found["by_hour"]) if count] == [9, 21, 22]
    assert [(one["label"], one["absence_days"]) for one in found["first"]] == [
        ("Eastern Gray Squirrel", None),
        ("Northern Cardinal", None),
    ]
    assert found["bird_streaks"] == [{"days": 2, "last": "2026-05-02", "is_current": False}]
    second = json.loads(feeder("stats", "--since", "2026-05-02", "--json").stdout)
    assert (second["visits"], second["first"]) == (1, [])
    assert second["species"][0]["streaks"][0]["days"] == 2


def test_stats_are_tables_in_a_pipe(feeder: Callable[..., Result]) -> None:
    """One section is a plain table; all of them follow a line that sums them up."""
    assert feeder("stats", "--by", "species").stdout.splitlines() == [
        "species\tvisits\tframes\tdays\tlast",
        "Northern Cardinal\t2\t4\t2\t2026-05-02 09:30:00",
        "Eastern Gray Squirrel\t1\t1\t1\t2026-05-01 22:30:00",
    ]
    (head, first, second) = feeder("stats", "--by", "day").stdout.splitlines()
    assert head.split("\t")[:3] == ["day", "visits", "00"]
    assert first.split("\t")[1] == "2"
    assert second.split("\t").index("1") == 1
    every = feeder("stats").stdout.splitlines()
    assert every[0] == "3 visits of 1 bird species, 2026-05-01 to 2026-05-02"
    assert sum(line == "" for line in every) == 5


def test_stats_are_charts_on_a_terminal(
    feeder: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bars of block characters for species and hours, a shade for each hour of each day."""
    screen = Console(width=100, force_terminal=True, highlight=False, color_system=None)
    for module in (output, plots):
        monkeypatch.setattr(module, "out", screen)
    monkeypatch.setattr("feeder.cli.stats.out", screen)
    with screen.capture() as capture:
        feeder("stats")
    lines = capture.get().splitlines()
    assert any("Northern Cardinal" in line and "█" * 40 in line for line in lines)
    (friday,) = (line for line in lines if "Fri 2026-05-01" in line)
    assert "·" * 21 + "██·" in friday
    assert any(line.split()[:2] == ["09", "1"] for line in lines)


def test_bars_and_shades_show_the_least_there_is() -> None:
    """Something is never drawn as nothing, nor nothing as something."""
    assert plots.bar(0, 1000, 40) == ""
    assert plots.bar(1, 1000, 40) == "▏"
    assert plots.bar(1000, 1000, 40) == "█" * 40
    assert [plots.shade(count, 8) for count in (0, 1, 2, 3, 7, 8)] == ["·", "░", "░", "▒", "█", "█"]
    assert plots.shade(0, 0) == "·"


def test_side_vocabularies_name_no_species(log: SightedLog, feeder: Callable[..., Result]) -> None:
    """The values of an attribute stand in the log beside the labels, and are no labels."""
    with JudgementLog.open(log.path) as judgements:
        judgements.observations.register_attribute("a" * 64, "lens", ("clear", "raindrops"))
        judgements.begin(What.RELABEL, "", made_by="", vocabulary_digest="a" * 64)
    assert len(feeder("sightings", "--species", "norcar").stdout.splitlines()) == 5
    with pytest.raises(VocabularyError, match="Nothing is called"):
        feeder("visits", "--species", "raindrops")


def test_a_bird_nobody_told_apart_is_no_species(
    feeder: Callable[..., Result], log: SightedLog
) -> None:
    """It counts as a visit and for days with a bird, but not as a species or a first."""
    later = SightedLog(log.path, zone="America/New_York")
    later.count = 10
    later.see(EVENING + timedelta(days=1), UNIDENTIFIED_BIRD, 0.9, (ROBIN, 0.3), (SPARROW, 0.2))
    later.logbook.close()
    found = json.loads(feeder("stats", "--json").stdout)
    assert found["visits"] == 4
    assert [one["label"] for one in found["species"] if not one["is_species"]] == [
        "unidentified bird"
    ]
    assert "unidentified bird" not in {one["label"] for one in found["first"]}


@pytest.mark.parametrize("command", ["visits", "sightings"])
def test_a_spreadsheet_computes_no_name(
    command: str, feeder: Callable[..., Result], log: SightedLog
) -> None:
    """A label that reads like a formula is marked as text in CSV, as in every export."""
    later = SightedLog(log.path, zone="America/New_York")
    later.count = 10
    later.see(EVENING + timedelta(days=1), Label('=HYPERLINK("x")', Kind.BIRD), 0.9)
    later.logbook.close()
    rows = csv.DictReader(io.StringIO(feeder(command, "--csv").stdout))
    assert '\'=HYPERLINK("x")' in {row["label"] for row in rows}
