"""The log's visits."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeder.domain import UNIDENTIFIED_BIRD, Visit
from feeder.errors import LogbookError
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery, read, recent
from feeder.visits import visits
from tests.sightings import ROBIN, SPARROW, SQUIRREL, START, SightedLog

GAP = timedelta(minutes=5)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[SightedLog]:
    """An empty log."""
    made = SightedLog(tmp_path / "feeder.db")
    yield made
    made.logbook.close()


def found(log: SightedLog, gap: timedelta = GAP, **query: object) -> list[tuple[int, ...]]:
    """The frames of each visit, in the order in which they are read."""
    asked = VisitQuery(**query)  # type: ignore[arg-type]
    return [visit.media_ids for visit in read(SightingLog(log.path), gap, {}, asked)]


def after(seconds: float) -> datetime:
    """So many seconds after the first sighting."""
    return START + timedelta(seconds=seconds)


def test_a_visit_comes_out_of_the_log_as_it_went_in(log: SightedLog) -> None:
    """Label, camera, times, frames and runners-up are what was logged; what is no animal is not."""
    log.see(0, ROBIN, 0.8, (SPARROW, 0.1))
    log.see(30, None)
    log.see(60, UNIDENTIFIED_BIRD, 0.7, (ROBIN, 0.4), (SPARROW, 0.2))
    (visit,) = read(SightingLog(log.path), GAP, {}, VisitQuery())
    assert visit == Visit(
        "garden", ROBIN, START, after(60), (1, 3), best=1, confidence=pytest.approx(0.6)
    )


def test_another_gap_applies_to_all_history(log: SightedLog) -> None:
    """The same log gives one visit or two, as the gap has it at that moment."""
    log.see(0)
    log.see(240)
    assert found(log) == [(1, 2)]
    assert found(log, timedelta(minutes=4)) == [(2,), (1,)]


def test_what_a_person_said_and_undid_counts_as_it_stands(log: SightedLog) -> None:
    """A correction moves its frame to another visit, at once."""
    for at in range(3):
        log.see(at)
    log.sql(
        "INSERT INTO observation (media_id, observation_type, label, scientific_name, kind,"
        " classification_method, classified_by, classification_timestamp, reason)"
        " VALUES (2, 'animal', 'House Sparrow', NULL, 'bird', 'human', 'ada', '', '')"
    )
    assert found(log) == [(2,), (1, 3)]
    assert found(log, labels=frozenset({"House Sparrow"})) == [(2,)]


def test_a_period_does_not_cut_a_visit(log: SightedLog) -> None:
    """One that lasts across a border is whole; `begun` gives it to the period it began in."""
    for number in range(40):
        log.see(number * 120)
    whole = tuple(range(1, 41))
    for since, until in ((after(2400), None), (None, after(2400)), (after(2400), after(2401))):
        assert found(log, since=since, until=until) == [whole]
    assert found(log, since=after(2400), begun=True) == []
    assert found(log, until=after(2400), begun=True) == [whole]
    assert found(log, since=after(4681)) == []
    assert found(log, until=START) == []


def test_the_newest_come_first_and_no_more_is_read(log: SightedLog) -> None:
    """A limit gives the visits that began last; other cameras and labels are left out."""
    log.see(0)
    log.see(1000, SPARROW)
    log.see(2000, SQUIRREL, camera="pond")
    assert found(log, limit=2) == [(3,), (2,)]
    assert found(log, deployment="garden") == [(2,), (1,)]
    assert found(log, labels=frozenset({ROBIN.name})) == [(1,)]


def test_the_newest_sightings_reach_back_to_a_silence(log: SightedLog) -> None:
    """What a tracker takes up at a start is what visits under way may depend on."""
    for at in (0, 1000, 1200, 1499, 1500):
        log.see(at)
    newest = SightingLog(log.path)
    assert [one.media_id for one in recent(newest, GAP, 100)] == [5, 4, 3, 2]
    assert [one.media_id for one in recent(newest, GAP, 2)] == [5, 4]


def test_a_log_of_an_earlier_release_says_so(log: SightedLog) -> None:
    """Visits need what this release logs; the error names the remedy."""
    log.sql("PRAGMA user_version = 4")
    with pytest.raises(LogbookError, match="earlier release"):
        found(log)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SightedLog]:
    """A log of a day's sightings, from seconds to minutes apart."""
    made = SightedLog(tmp_path_factory.mktemp("busy") / "feeder.db")
    at = 0
    for number in range(300):
        at += (3, 40, 7, 200, 11, 290, 5, 1, 700)[number * number % 9]
        label = (ROBIN, ROBIN, SPARROW, UNIDENTIFIED_BIRD, ROBIN)[number % 7 % 5]
        made.see(at, label, 0.7, (ROBIN, 0.2), camera=("garden", "pond")[number % 3 % 2])
    yield made
    made.logbook.close()


@given(st.integers(-10, 32_000), st.integers(0, 8000), st.integers(1, 900))
@settings(max_examples=40, deadline=None)
def test_a_period_is_a_part_of_the_whole(
    busy: SightedLog, start: int, seconds: int, gap: int
) -> None:
    """Asked for any period at any gap, the log gives those visits of all that fall into it."""
    since, until = after(start), after(start + seconds)
    log, silence = SightingLog(busy.path), timedelta(seconds=gap)
    every = sorted(visits(log.in_order(), silence, {}), key=lambda one: one.start, reverse=True)
    expected = [one for one in every if one.end >= since and one.start < until]
    assert list(read(log, silence, {}, VisitQuery(since, until))) == expected
