"""Visits while they go on."""

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from random import Random

import pytest

from feeder.domain import Visit
from feeder.live_visits import LATE_SECONDS, LiveVisits
from feeder.sighting_log import SightingLog
from feeder.visit_memory import VisitMemory
from feeder.visits import visits
from tests.conftest import FakeClock
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.sightings import ROBIN, SPARROW, START, SightedLog

GAP = timedelta(minutes=5)


class Feeder:
    """A log, the chore that watches it, and what it has said."""

    def __init__(self, path: Path, time: FakeClock) -> None:
        self.time = time
        self.log = SightedLog(path, time.clock)
        self.said: list[str] = []
        self.over: list[Visit] = []
        self.start()

    def start(self) -> None:
        """What a start of the daemon does."""
        self.live = LiveVisits(self.log.path, self.began, self.ended, self.time.clock)

    def began(self, visit: Visit) -> None:
        self.said.append(f"{visit.label.name} began")

    def ended(self, visit: Visit) -> None:
        self.said.append(f"{visit.label.name} ended, {len(visit.media_ids)}")
        self.over.append(visit)

    def at(self, seconds: float) -> None:
        """Lets time pass until so many seconds after the log's first sighting, and looks."""
        self.time.seconds = 1000 + seconds
        self.turn()

    def turn(self, gap: timedelta = GAP) -> None:
        self.live.logged()
        self.live.turn(gap, {})


@pytest.fixture
def feeder(tmp_path: Path, time: FakeClock) -> Iterator[Feeder]:
    """A feeder whose clock stands at the log's `START`."""
    assert time.start == START
    made = Feeder(tmp_path / "feeder.db", time)
    made.at(0)
    yield made
    made.log.logbook.close()


def watch(feeder: Feeder, *seen: float, label: object = ROBIN) -> None:
    """Frames of a label, logged when they were taken."""
    for seconds in seen:
        feeder.log.see(seconds, label)  # type: ignore[arg-type]
        feeder.at(seconds)


def test_a_visit_is_said_to_begin_and_to_end_once(feeder: Feeder) -> None:
    """It begins with the second frame, and ends when the gap has gone by without another."""
    watch(feeder, 0)
    assert feeder.said == []
    watch(feeder, 10, 20)
    assert feeder.said == ["European Robin began"]
    feeder.at(319)
    assert len(feeder.said) == 1
    feeder.at(320)
    feeder.at(1000)
    assert feeder.said == ["European Robin began", "European Robin ended, 3"]


def test_a_lone_frame_is_a_visit_once_no_other_can_outvote_it(feeder: Feeder) -> None:
    """It is said to begin when its label is settled."""
    watch(feeder, 0)
    feeder.at(120)
    assert feeder.said == []
    feeder.at(121)
    assert feeder.said == ["European Robin began"]


def test_a_misreading_is_not_said(feeder: Feeder) -> None:
    """An unsure frame of another species amid a robin's begins nothing."""
    watch(feeder, *range(0, 40, 5))
    feeder.log.see(40, SPARROW, 0.5, (ROBIN, 0.4))
    feeder.at(40)
    watch(feeder, *range(45, 80, 5))
    feeder.at(1000)
    assert feeder.said == ["European Robin began", "European Robin ended, 16"]


def test_a_restart_does_not_split_a_visit(feeder: Feeder) -> None:
    """What goes on is taken up from the log, and ends as one; what is over is not said again."""
    watch(feeder, 0, 10, label=SPARROW)
    feeder.at(400)
    watch(feeder, 400, 500)
    feeder.start()
    feeder.at(510)
    watch(feeder, 600)
    feeder.at(2000)
    assert feeder.said == [
        "House Sparrow began",
        "House Sparrow ended, 2",
        "European Robin began",
        "European Robin ended, 3",
    ]


class Announced(Feeder):
    """A feeder whose visits are remembered in a file from one start to the next."""

    def start(self) -> None:
        memory = VisitMemory(self.log.path.with_name("announced"))
        self.live = LiveVisits(self.log.path, self.began, self.ended, self.time.clock, memory)


@pytest.fixture
def announced(tmp_path: Path, time: FakeClock) -> Iterator[Announced]:
    """Such a feeder, its clock at the log's `START`."""
    made = Announced(tmp_path / "feeder.db", time)
    made.at(0)
    yield made
    made.log.logbook.close()


def test_a_remembered_visit_is_not_said_to_begin_twice(announced: Announced) -> None:
    """Started again while it is under way, it is said to end and no more."""
    watch(announced, 0, 10)
    announced.start()
    announced.at(20)
    watch(announced, 30)
    announced.start()
    announced.at(400)
    announced.start()
    announced.at(500)
    assert announced.said == ["European Robin began", "European Robin ended, 3"]


def test_what_happened_while_nobody_looked_is_said(announced: Announced) -> None:
    """A visit that ended meanwhile, one that came and went, and one that came and goes on."""
    watch(announced, 0, 10)
    for seconds in (20, 100):
        announced.log.see(seconds)
    for seconds in (400, 410):
        announced.log.see(seconds, SPARROW)
    for seconds in (800, 810):
        announced.log.see(seconds)
    announced.start()
    announced.at(820)
    assert announced.said == [
        "European Robin began",
        "European Robin ended, 4",
        "House Sparrow ended, 2",
        "European Robin began",
    ]


def test_frames_that_came_meanwhile_keep_a_visit_whole(announced: Announced) -> None:
    """A bird that stayed for longer than the gap while nobody looked has not been away."""
    watch(announced, 0, 10)
    for seconds in range(60, 900, 60):
        announced.log.see(seconds)
    announced.start()
    announced.at(880)
    assert announced.said == ["European Robin began"]


def test_a_visit_that_was_not_sure_yet_is_said_later(announced: Announced) -> None:
    """Of one whose first frame came before the restart, the beginning is not lost."""
    watch(announced, 0)
    announced.start()
    announced.at(5)
    assert announced.said == []
    watch(announced, 10)
    assert announced.said == ["European Robin began"]


def test_numbers_that_a_restored_log_gave_again_hide_no_visit(announced: Announced) -> None:
    """Of frames with lower numbers than were looked at, in another log, nothing was said yet."""
    watch(announced, 0, 10)
    path = announced.log.path.with_name("announced")
    noted = json.loads(path.read_text())
    assert noted["last_frame"] == 2
    path.write_text(json.dumps({**noted, "last_frame": 4}))
    for seconds in (400, 410):
        announced.log.see(seconds, SPARROW)
    announced.start()
    announced.at(800)
    assert announced.said[1:] == ["European Robin ended, 2", "House Sparrow ended, 2"]


def test_the_first_start_of_all_says_what_goes_on(announced: Announced) -> None:
    """What is over is old; so it is where the file is damaged, or of a log that was replaced."""
    for text in ("", "[]", '{"last_frame": 99, "since": "2026-05-01T06:00:00Z", "visits": {}}'):
        announced.log.path.with_name("announced").write_text(text)
        announced.said.clear()
        for seconds in (0, 10):
            announced.log.see(announced.time.clock.now() - timedelta(seconds=3000 - seconds))
            announced.log.see(announced.time.clock.now() - timedelta(seconds=20 - seconds), SPARROW)
        announced.start()
        announced.turn()
        assert announced.said == ["House Sparrow began"]
        announced.time.advance(10_000)


def test_a_backlog_of_days_is_not_told(announced: Announced) -> None:
    """Of what nobody was told for longer than a day, only what is still going on is news."""
    watch(announced, 0, 10)
    announced.log.see(4000)
    announced.start()
    announced.at(3 * 86_400)
    assert announced.said == ["European Robin began"]


def test_a_backlog_in_any_order_gives_the_visits_of_the_whole(feeder: Feeder) -> None:
    """Frames of a week ago, shuffled, end as the log's visits, each once and without beginning."""
    taken = [(n * 7 % 13) * 400 + n for n in range(60)]
    Random(4).shuffle(taken)
    feeder.time.seconds = 1000 + 7 * 86_400
    for number, seconds in enumerate(taken):
        feeder.log.see(seconds, (ROBIN, SPARROW)[number % 3 == 0], 0.8, (SPARROW, 0.1))
        feeder.time.advance(0.4)
        feeder.turn()
    assert feeder.over == []
    feeder.time.advance(LATE_SECONDS)
    feeder.turn()
    every = visits(SightingLog(feeder.log.path).in_order(), GAP, {})
    assert len(every) > 5
    assert feeder.over == every
    assert not any("began" in said for said in feeder.said)


def test_a_log_that_cannot_be_read_is_left_alone(feeder: Feeder) -> None:
    """The chore says so, does no harm, and goes on when the log is there again."""
    watch(feeder, 0, 10)
    feeder.log.logbook.close()
    path, away = feeder.log.path, feeder.log.path.with_name("away.db")
    path.rename(away)
    feeder.at(20)
    feeder.at(50)
    away.rename(path)
    feeder.at(100)
    feeder.at(400)
    assert feeder.said == ["European Robin began", "European Robin ended, 2"]


def test_a_changed_gap_applies_at_once(feeder: Feeder) -> None:
    """After a reload one that is over by the new gap ends, and the next begins."""
    watch(feeder, 0, 10, 200, 210, 220)
    feeder.time.advance(180)
    feeder.turn(timedelta(minutes=2))
    assert feeder.said == ["European Robin began", "European Robin ended, 3"]
    feeder.log.see(400)
    feeder.log.see(401)
    feeder.turn(timedelta(minutes=2))
    assert feeder.said[2:] == ["European Robin began"]


def test_the_end_of_a_single_run_says_what_is_there(feeder: Feeder) -> None:
    """`run --once` ends with the visits whose frames it read, also one that may go on."""
    feeder.log.see(0)
    feeder.log.see(5)
    feeder.live.finish(GAP, {})
    assert feeder.said == ["European Robin began", "European Robin ended, 2"]


def test_the_daemon_says_its_visits(write_config: Callable[..., Path]) -> None:
    """A run on a backlog prints, after its frames, each visit with its length and its frames."""
    config = write_config(thresholds="label = 0.0\nbird = 0.0\nblank = 1.0")
    process = FeederProcess(config)
    process.folder.mkdir()
    for number, seconds in enumerate((0, 30, 4000)):
        taken = START.timestamp() + seconds
        os.utime(picture(process.folder / f"{number}.jpg", number), (taken, taken))
    process.start("--once")
    assert process.process is not None
    assert process.process.wait(PATIENCE) == 0
    lines = [line for line in process.said().splitlines() if "visited for" in line]
    assert len(lines) == 2
    assert "visited for 30 s, 2 frames, " in lines[0]
    assert "visited for 0 s, 1 frame, " in lines[1]
