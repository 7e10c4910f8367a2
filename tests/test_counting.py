"""Visits counted ahead equal those counted from the whole log, whatever happens to it."""

import random
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from feeder import counting, visit_history
from feeder.clock import utc_text
from feeder.counting import Terms
from feeder.domain import ObservationType
from feeder.errors import LogUnavailable
from feeder.judgement_log import JudgementLog, What
from feeder.log_changes import LogChanges
from feeder.picture_log import PictureLog
from feeder.sighting_log import SightingLog
from feeder.tally import Tally
from feeder.visit_counts import DayCount, count
from feeder.visit_history import VisitQuery
from tests.sightings import ROBIN, SPARROW, SQUIRREL, SightedLog

GAP = timedelta(minutes=5)
ZONE = ZoneInfo("Europe/Dublin")
DAY = 86400.0


class Counted:
    """A log, and its tally under the same terms."""

    def __init__(self, root: Path) -> None:
        self.made = SightedLog(root / "log.db")
        self.tally = Tally(root / "cache" / "tally.db")
        self.tally.prepare()
        self.terms = Terms(GAP, {}, {"garden": ZONE, "porch": ZoneInfo("Asia/Tokyo")})

    @property
    def log(self) -> SightingLog:
        return SightingLog(self.made.path)

    def catch_up(self) -> None:
        counting.look(self.log, self.tally, self.terms)
        while counting.work(self.log, self.tally, self.terms):
            pass

    def say(self, media_ids: list[int], label: object = SPARROW) -> int:
        """A person names frames; the judgement's number."""
        log = JudgementLog.open(self.made.path)
        with closing(log):
            number = log.begin(What.CORRECTION, "a correction", made_by="Ada")
            kind = ObservationType.ANIMAL if label else ObservationType.BLANK
            log.observe_as_person(number, media_ids, kind, label, person="Ada", reason="seen")  # type: ignore[arg-type]
            log.put_in_force(number, len(media_ids))
        return number

    def undo(self, number: int) -> None:
        with closing(JudgementLog.open(self.made.path)) as log:
            log.undo(number)

    def favorite(self, media_id: int) -> None:
        with closing(PictureLog.open(self.made.path)) as log, log.writing():
            log.set_favorite([media_id], True)

    def afresh(self) -> list[DayCount]:
        """What the whole log adds up to."""
        visits = visit_history.read(self.log, self.terms.gap, self.terms.groups, VisitQuery())
        favorites = set()
        with closing(PictureLog.open(self.made.path, writable=False)) as log:
            if self.made.count:
                ids = list(range(1, self.made.count + 1))
                favorites = {one.media_id for one in log.get(ids) if one.is_favorite}
        return count(visits, self.terms.zones.get, frozenset(favorites))

    def assert_equal(self) -> None:
        self.catch_up()
        wanted = self.afresh()
        days: dict[str, dict[date, int]] = {}
        for one in wanted:
            known = days.setdefault(one.label.name, {})
            if one.visits:
                known[one.day] = known.get(one.day, 0) + one.visits
        totals = {one.label.name: one for one in self.tally.totals()}
        assert set(totals) == set(days)
        for name, known in days.items():
            mine = [one for one in wanted if one.label.name == name]
            assert self.tally.days(name) == known
            assert self.tally.hours(name) == [
                sum(hours) for hours in zip(*(one.hours for one in mine), strict=True)
            ]
            total = totals[name]
            assert total.visits == sum(one.visits for one in mine)
            assert total.undated == sum(one.undated for one in mine)
            assert total.frames == sum(one.frames for one in mine)
            assert total.days == len(known)
            assert total.first == min(one.first for one in mine if one.first)
            assert total.last == max(one.last for one in mine if one.last)
            shots = {(shot.day, shot.camera): shot for shot in self.tally.shots(name, 1000)}
            assert len(shots) == len(mine)
            for one in mine:
                shot = shots[one.day, one.camera]
                assert (shot.media_id, shot.is_favorite) == (one.best, one.is_favorite)


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Counted]:
    """An empty log and its tally."""
    made = Counted(tmp_path)
    yield made
    made.made.logbook.close()


def test_what_is_appended_is_counted(counted: Counted) -> None:
    """New frames make the day they belong to due, and no other."""
    for day in range(20):
        counted.made.see(day * DAY)
    counted.assert_equal()
    counted.made.see(19 * DAY + 600, SPARROW)
    counting.look(counted.log, counted.tally, counted.terms)
    assert counted.tally.due(100) == [date(2026, 5, 20)]
    counted.assert_equal()


def test_a_late_frame_joins_visits_across_midnight(counted: Counted) -> None:
    """A frame that arrives late between two visits makes one of them, on the day it began."""
    midnight = datetime(2026, 5, 3, 23, 0, tzinfo=UTC)  # in Dublin
    counted.made.see(midnight - timedelta(minutes=4))
    counted.made.see(midnight + timedelta(minutes=4))
    counted.assert_equal()
    assert counted.tally.days("European Robin") == {date(2026, 5, 3): 1, date(2026, 5, 4): 1}
    counted.made.see(midnight)
    counted.assert_equal()
    assert counted.tally.days("European Robin") == {date(2026, 5, 3): 1}


def test_corrections_are_counted_and_uncounted(counted: Counted) -> None:
    """What a person says counts at once, and no longer once it is undone."""
    for minutes in range(0, 12, 4):
        counted.made.see(minutes * 60.0)
    counted.assert_equal()
    number = counted.say([2])
    counted.assert_equal()
    assert counted.tally.days("House Sparrow") == {date(2026, 5, 1): 1}
    assert sum(counted.tally.days("European Robin").values()) == 2
    blank = counted.say([3], None)
    counted.assert_equal()
    counted.undo(number)
    counted.undo(blank)
    counted.assert_equal()
    assert counted.tally.days("House Sparrow") == {}


def test_a_judgement_counts_once_it_is_in_force(counted: Counted) -> None:
    """What is being prepared changes nothing, and makes nothing due."""
    counted.made.see(0)
    counted.assert_equal()
    with closing(JudgementLog.open(counted.made.path)) as log:
        number = log.begin(What.RELABEL, "on other labels", made_by="Ada")
        log.observe_as_person(
            number, [1], ObservationType.ANIMAL, SQUIRREL, person="Ada", reason="seen"
        )
        counting.look(counted.log, counted.tally, counted.terms)
        assert counted.tally.days_due() == 0
        log.put_in_force(number, 1)
    counted.assert_equal()
    assert [one.label for one in counted.tally.totals()] == [SQUIRREL]


def test_a_favorite_is_shown(counted: Counted) -> None:
    """A frame that becomes a favorite is the picture of its day."""
    counted.made.see(0, ROBIN, 0.95)
    counted.made.see(3600, ROBIN, 0.6)
    counted.assert_equal()
    assert [one.best for one in counted.tally.totals()] == [1]
    counted.favorite(2)
    counted.assert_equal()
    assert [one.best for one in counted.tally.totals()] == [2]


def test_a_corrected_time_moves_the_visit(counted: Counted) -> None:
    """Frames whose time was corrected leave the day they were counted on."""
    epoch = (
        "INSERT INTO clock_epoch (boot_id, clock_offset, began, seen, drained) "
        "VALUES ('boot', 0, 0, 0, 0)"
    )
    counted.made.see(0, trusted=False)
    counted.made.see(600, trusted=False)
    counted.made.see(5 * DAY)
    counted.made.sql(epoch)
    counted.made.sql("UPDATE media SET clock_epoch_id = 1 WHERE timestamp_trusted = 0")
    counted.assert_equal()
    counted.made.see(1200, trusted=False)
    counted.made.sql("UPDATE media SET clock_epoch_id = 1 WHERE media_id = 4")
    counted.assert_equal()
    assert counted.tally.totals()[0].undated == 3
    moved = "strftime('%Y-%m-%dT%H:%M:%fZ', timestamp, '+864000.000 seconds')"
    counted.made.sql(
        f"UPDATE media SET timestamp = {moved}, timestamp_trusted = 1, clock_epoch_id = NULL"
        " WHERE clock_epoch_id = 1"
    )
    counted.assert_equal()
    assert counted.tally.days("European Robin") == {date(2026, 5, 6): 1, date(2026, 5, 11): 3}


def test_another_log_is_counted_afresh(counted: Counted, tmp_path: Path) -> None:
    """After a backup was restored, nothing is left of what it lacks."""
    counted.made.see(0)
    counted.made.logbook.close()
    shutil.copy(counted.made.path, tmp_path / "backup.db")
    counted.made = SightedLog(counted.made.path)
    counted.made.count = 1
    counted.made.see(DAY, SPARROW)
    counted.assert_equal()
    counted.made.logbook.close()
    shutil.move(tmp_path / "backup.db", counted.made.path)
    counted.made = SightedLog(counted.made.path)
    counted.made.count = 1
    counted.assert_equal()
    assert [one.label for one in counted.tally.totals()] == [ROBIN]


def test_a_log_that_goes_away_meanwhile_is_waited_for(counted: Counted, tmp_path: Path) -> None:
    """While it is being restored nothing ends, it cannot be read for now."""
    with LogChanges(counted.log.path) as changes:
        counted.log.path.rename(tmp_path / "aside.db")
        with pytest.raises(LogUnavailable):
            changes.since(None)


def test_other_terms_count_afresh(counted: Counted) -> None:
    """Another gap makes other visits of the whole history."""
    for minutes in range(0, 30, 6):
        counted.made.see(minutes * 60.0)
    counted.assert_equal()
    assert sum(counted.tally.days().values()) == 5
    counted.terms = Terms(timedelta(minutes=10), {}, counted.terms.zones)
    counted.assert_equal()
    assert sum(counted.tally.days().values()) == 1


def test_a_damaged_cache_is_made_anew(counted: Counted) -> None:
    """Whatever is in the file, it is only what can be computed again."""
    counted.made.see(0)
    counted.tally.path.write_bytes(b"no database at all" * 100)
    counted.tally.prepare()
    counted.assert_equal()
    with closing(sqlite3.connect(counted.tally.path)) as cache, cache:
        cache.execute("UPDATE known SET value = '{}' WHERE name = 'mark'")
    counted.assert_equal()


def test_who_came_before_is_known_once_all_is_counted(counted: Counted) -> None:
    """Nobody is said to be new while earlier days are not counted."""
    counted.made.see(0)
    counted.made.see(70 * DAY)
    counting.look(counted.log, counted.tally, counted.terms)
    assert counted.tally.last_before(date(2026, 7, 10), ["European Robin"]) is None
    counted.catch_up()
    assert counted.tally.last_before(date(2026, 5, 1), ["European Robin"]) is None
    asked = ["European Robin", "House Sparrow"]
    assert counted.tally.last_before(date(2026, 7, 10), asked) == {
        "European Robin": date(2026, 5, 1)
    }


@pytest.mark.parametrize("seed", range(2))
def test_whatever_happens_to_the_log(counted: Counted, seed: int) -> None:
    """Random frames of two cameras, corrections and favorites: the tally is as if made afresh."""
    chance = random.Random(seed)
    said: list[int] = []
    for _ in range(8):
        for _ in range(chance.randrange(1, 25)):
            counted.made.see(
                chance.randrange(4) * DAY / 2 + chance.randrange(40) * 60.0,
                chance.choice([ROBIN, ROBIN, SPARROW, None]),
                chance.choice([0.5, 0.7, 0.9]),
                camera=chance.choice(["garden", "garden", "porch"]),
                trusted=chance.random() > 0.1,
                commit=False,
            )
        counted.made.logbook.commit()
        some = chance.sample(range(1, counted.made.count + 1), min(3, counted.made.count))
        match chance.randrange(4):
            case 0:
                said.append(counted.say(some, chance.choice([SPARROW, SQUIRREL, None])))
            case 1 if said:
                counted.undo(said.pop())
            case 2:
                counted.favorite(some[0])
        counted.assert_equal()


def test_the_mark_survives_a_restart(counted: Counted) -> None:
    """What was counted once is not counted again by another process."""
    counted.made.see(0)
    counted.favorite(1)
    counted.say([1])
    counted.catch_up()
    again = Tally(counted.tally.path)
    again.prepare()
    counting.look(counted.log, again, counted.terms)
    assert again.days_due() == 0
    assert utc_text(again.totals()[0].first) == "2026-05-01T06:30:00.000Z"


def test_several_may_make_the_cache_at_once(tmp_path: Path) -> None:
    """Whoever comes first makes it; the others find it."""
    for number in range(20):
        tally = Tally(tmp_path / f"{number}.db")
        start = threading.Barrier(4)

        def prepare(tally: Tally = tally, start: threading.Barrier = start) -> None:
            start.wait()
            tally.prepare()

        with ThreadPoolExecutor(4) as threads:
            for made in [threads.submit(prepare) for _ in range(4)]:
                made.result()
        assert tally.days_due() == 0
