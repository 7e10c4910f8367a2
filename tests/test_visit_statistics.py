"""What visits add up to."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from feeder.domain import UNIDENTIFIED_BIRD, Label, Visit
from feeder.visit_statistics import DAY, Statistics, Streak, streaks
from tests.sightings import ROBIN, SPARROW, SQUIRREL

DUBLIN = ZoneInfo("Europe/Dublin")
AUCKLAND = ZoneInfo("Pacific/Auckland")
ZONES = {"garden": DUBLIN, "down under": AUCKLAND}
TODAY = date(2026, 5, 20)


def visit(
    day: int,
    label: Label = ROBIN,
    hour: float = 8,
    frames: int = 1,
    camera: str = "garden",
    trusted: bool = True,
) -> Visit:
    """A visit so many days after 1 May 2026, at an hour of UTC."""
    start = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(days=day, hours=hour)
    ids = tuple(range(day * 1000, day * 1000 + frames))
    return Visit(camera, label, start, start, ids, ids[0], 0.9, trusted=trusted)


def counted(*visits: Visit, since: datetime | None = None) -> Statistics:
    """The statistics of these visits."""
    return Statistics(ZONES.get, since).add(visits)


def test_a_visit_counts_on_the_day_its_camera_has() -> None:
    """Late in the evening in UTC it is the next day in Dublin, and the next noon in Auckland."""
    both = counted(visit(0, hour=23.5), visit(0, hour=23.5, camera="down under"))
    assert both.by_day == {date(2026, 5, 2): 2}
    assert [hour for hour, count in enumerate(both.by_hour) if count] == [0, 11]


def test_the_hour_that_comes_twice_is_one_hour() -> None:
    """When the clocks go back, both readings count for that hour of that one day."""
    autumn = (datetime(2026, 10, 25, 0, 30, tzinfo=UTC) - datetime(2026, 5, 1, tzinfo=UTC)).days
    twice = counted(visit(autumn, hour=0.5), visit(autumn, hour=1.5))
    assert twice.by_day == {date(2026, 10, 25): 2}
    assert twice.by_hour[1] == 2


def test_days_without_a_visit_are_there() -> None:
    """Between the first day and the last, those with none count none."""
    assert list(counted(visit(0), visit(3)).by_day.values()) == [1, 0, 0, 1]
    assert counted().by_day == {}


def test_species_are_counted_by_visits() -> None:
    """The most frequent first, with frames, days and the last visit."""
    rows = counted(visit(0, frames=50), visit(1, SPARROW), visit(1, SPARROW, 9)).species(TODAY)
    assert [(one.label, one.visits, one.frames, one.days) for one in rows] == [
        (SPARROW, 2, 2, 1),
        (ROBIN, 1, 50, 1),
    ]
    assert rows[0].last.start == visit(1, hour=9).start


def test_times_nobody_vouches_for_count_for_no_day() -> None:
    """They are visits of their species all the same, and are said to be undated."""
    both = counted(visit(0), visit(9, trusted=False))
    assert (both.visits, both.undated) == (2, 1)
    assert both.by_day == {date(2026, 5, 1): 1}
    assert both.species(TODAY)[0].days == 1


def test_firsts_are_ever_or_after_an_absence() -> None:
    """So many whole days without a species make its next visit a first of the season."""
    history = [visit(0), visit(0, hour=6), visit(10), visit(21), visit(2, UNIDENTIFIED_BIRD)]

    def is_species(label: Label) -> bool:
        return not label.is_any_bird

    firsts = counted(*history).firsts(10, is_species)
    assert [(one.arrival.start.day, one.absence) for one in firsts] == [(22, 10), (1, None)]
    assert firsts[1].arrival.start.hour == 6
    since = visit(5).start
    assert [one.absence for one in counted(*history, since=since).firsts(9, is_species)] == [10, 9]


def test_a_period_knows_what_came_before() -> None:
    """Visits before it count neither for days nor species, but for streaks."""
    part = counted(visit(0), visit(1), visit(2), since=visit(1).start)
    assert part.visits == 2
    assert part.species(TODAY)[0].days == 2
    assert part.species(TODAY)[0].streaks[0].days == 3
    assert part.firsts(60, lambda _: True) == []


def test_any_bird_keeps_the_birds_streak_and_a_squirrel_does_not() -> None:
    """Different birds on different days are days in a row with a bird."""
    days = counted(visit(0), visit(1, UNIDENTIFIED_BIRD), visit(2, SPARROW), visit(3, SQUIRREL))
    assert days.bird_streaks(TODAY) == (Streak(3, date(2026, 5, 3), False),)


def test_a_streak_goes_on_until_a_day_is_over() -> None:
    """One that reached yesterday is current; a longer one before it is told first."""
    today = date(2026, 5, 20)
    days = [today - n * DAY for n in (1, 2, 5, 6, 7)]
    assert streaks(days, today) == (
        Streak(3, today - 5 * DAY, False),
        Streak(2, today - DAY, True),
    )
    assert streaks(days, today + DAY)[-1].is_current is False
    assert streaks([], today) == ()


@given(st.sets(st.integers(0, 60)))
@settings(max_examples=50, deadline=None)
def test_the_longest_streak_is_in_the_days(numbers: set[int]) -> None:
    """Its days are all among those given, and neither the day before nor after is."""
    start = date(2026, 1, 1)
    days = {start + number * DAY for number in numbers}
    for streak in streaks(days, start + 60 * DAY):
        run = {streak.last - number * DAY for number in range(streak.days)}
        assert run <= days
        assert streak.last + DAY not in days
        assert streak.last - streak.days * DAY not in days
