"""Sightings -> visits."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from feeder.domain import UNIDENTIFIED_ANIMAL, UNIDENTIFIED_BIRD, Kind, Label, Sighting, Visit
from feeder.visit_tracker import Tracker
from feeder.visits import in_order, is_species, visits, when

START = datetime(2026, 5, 1, 6, 30, tzinfo=UTC)
GAP = timedelta(minutes=5)

ROBIN = Label("European Robin", Kind.BIRD, "Erithacus rubecula", "eurrob1")
SPARROW = Label("House Sparrow", Kind.BIRD, "Passer domesticus", "houspa")
DOWNY = Label("Downy Woodpecker", Kind.BIRD, "Dryobates pubescens", "dowwoo")
HAIRY = Label("Hairy Woodpecker", Kind.BIRD, "Leuconotopicus villosus", "haiwoo")
SQUIRREL = Label("Eastern Gray Squirrel", Kind.MAMMAL, "Sciurus carolinensis")
EITHER = Label("Downy/Hairy Woodpecker", Kind.BIRD, "Dryobates pubescens/villosus")
GROUPS = {EITHER.name: frozenset({DOWNY.name, HAIRY.name})}
SPECIES = (ROBIN, SPARROW, DOWNY, HAIRY, SQUIRREL)


def seen(
    number: int,
    label: Label = ROBIN,
    probability: float | None = 0.9,
    at: float | None = None,
    camera: str = "garden",
    trusted: bool = True,
    favorite: bool = False,
    **others: float,
) -> Sighting:
    """A sighting `at` so many seconds, by default 10 for each number; `others` are runners-up."""
    runners_up = tuple(
        (next(one.name for one in SPECIES if name in one.name.lower()), share)
        for name, share in others.items()
    )
    captured_at = START + timedelta(seconds=10 * number if at is None else at)
    return Sighting(number, camera, captured_at, label, probability, runners_up, trusted, favorite)


def found(sightings: Sequence[Sighting], gap: timedelta = GAP) -> list[tuple[str, int]]:
    """Each visit's label and number of frames, all at once and as they come."""
    tracker = Tracker(gap, GROUPS)
    for one in sightings:
        tracker.add(one)
    assert tracker.visits() == visits(sightings, gap, GROUPS)
    return [(one.label.name, len(one.media_ids)) for one in visits(sightings, gap, GROUPS)]


def test_sightings_less_than_the_gap_apart_are_one_visit() -> None:
    """A gap's length between two sightings ends a visit, a moment less does not."""
    sightings = [seen(1, at=0), seen(2, at=299.999), seen(3, at=599.999)]
    assert found(sightings) == [("European Robin", 2), ("European Robin", 1)]


def test_a_visit_says_when_how_often_and_how_surely() -> None:
    """Start, end, frames, the best frame, the mean probability, and an id of its first frame."""
    (visit,) = visits([seen(7, probability=0.6), seen(8, probability=0.9)], GAP, GROUPS)
    assert visit == Visit(
        "garden",
        ROBIN,
        START + timedelta(seconds=70),
        START + timedelta(seconds=80),
        (7, 8),
        best=8,
        confidence=0.75,
    )
    assert visit.visit_id == "garden:7"
    assert visit.duration == timedelta(seconds=10)
    assert visit.max_n is None


@pytest.mark.parametrize("count", [1, 2])
def test_a_brief_misreading_does_not_split_a_visit(count: int) -> None:
    """One or two unsure frames of another species amid a robin's are that robin's."""
    misread = [seen(20 + n, SPARROW, 0.55, robin=0.35) for n in range(count)]
    sightings = [
        *(seen(n, sparrow=0.05) for n in range(10, 20)),
        *misread,
        *(seen(n, sparrow=0.05) for n in range(25, 30)),
    ]
    (visit,) = visits(sightings, GAP, GROUPS)
    assert (visit.label, len(visit.media_ids)) == (ROBIN, 15 + count)
    assert visit.confidence == pytest.approx((15 * 0.9 + count * 0.35) / (15 + count))


def test_a_sure_reading_alone_is_outvoted_and_twice_is_not() -> None:
    """One sure frame amid many of another species is a slip; two say that a bird came by."""
    around = [seen(n, sparrow=0.01) for n in [*range(10), *range(20, 30)]]
    assert len(found([*around, seen(12, SPARROW, 0.9, robin=0.03)])) == 1
    twice = [seen(12 + n, SPARROW, 0.9, robin=0.03) for n in range(2)]
    assert found([*around, *twice]) == [("European Robin", 20), ("House Sparrow", 2)]


def test_eight_frames_of_a_moment_say_as_much_as_a_hundred() -> None:
    """Two sure frames of a quick visitor stay, however many pictures a second the camera takes."""
    around = [seen(n, at=n / 10, sparrow=0.01) for n in range(200) if n not in (100, 101)]
    quick = [seen(n, SPARROW, 0.9, at=n / 10, robin=0.03) for n in (100, 101)]
    assert found([*around, *quick]) == [("European Robin", 198), ("House Sparrow", 2)]


def test_what_comes_later_leaves_earlier_labels_alone() -> None:
    """A label that is settled again still knows the frames that settled it at first."""
    vague = seen(2, UNIDENTIFIED_BIRD, 0.8, at=100, robin=0.4)
    history = [seen(1, at=0), vague, seen(3, SQUIRREL, at=210)]
    tracker = Tracker(GAP, GROUPS)
    for number, one in enumerate(history):
        tracker.add(one)
        assert tracker.visits() == visits(history[: number + 1], GAP, GROUPS)
    assert found(history) == [("European Robin", 2), ("Eastern Gray Squirrel", 1)]


def test_species_that_alternate_stay_two_visits() -> None:
    """Two birds that take turns are two visits, however quickly they do."""
    turns = [
        seen(n, [ROBIN, SPARROW][n % 3 == 0], 0.8, **{["robin", "sparrow"][n % 3 != 0]: 0.1})
        for n in range(30)
    ]
    assert found(turns) == [("House Sparrow", 10), ("European Robin", 20)]


def test_nothing_is_outvoted_by_what_came_before_alone() -> None:
    """A species that follows another is no misreading of it."""
    sightings = [*(seen(n) for n in range(9)), seen(9, SPARROW, 0.5, robin=0.4)]
    assert found(sightings) == [("European Robin", 9), ("House Sparrow", 1)]


def test_a_person_is_never_outvoted() -> None:
    """What a person named stays, however many machines' readings surround it, and counts as 1."""
    around = [seen(n) for n in [*range(10), *range(11, 20)]]
    sparrow = seen(10, SPARROW, None)
    assert ("House Sparrow", 1) in found([*around, sparrow])
    visit = next(one for one in visits([*around, sparrow], GAP, GROUPS) if one.is_by_person)
    assert (visit.label, visit.confidence) == (SPARROW, 1.0)


def test_an_unidentified_bird_between_robins_is_that_robin() -> None:
    """Also one that comes just before the first of them, but not one minutes away."""
    vague = {"label": UNIDENTIFIED_BIRD, "probability": 0.8, "robin": 0.4, "sparrow": 0.3}
    sightings = [
        seen(1, **vague),
        *(seen(n) for n in range(2, 5)),
        *(seen(n, **vague) for n in range(5, 9)),
        *(seen(n) for n in range(9, 12)),
        seen(90, **vague),
    ]
    assert found(sightings) == [("European Robin", 11), ("unidentified bird", 1)]


def test_an_unidentified_bird_goes_to_the_likelier_of_two() -> None:
    """Its own runners-up and the frames around it decide together; a squirrel it is not."""
    around = [seen(n, label, 0.9) for n in range(8) for label in [[ROBIN, SPARROW][n % 2]]]
    vague = seen(20, UNIDENTIFIED_BIRD, 0.7, at=35, sparrow=0.4, robin=0.1)
    assert found([*around, vague]) == [("European Robin", 4), ("House Sparrow", 5)]
    squirrels = [seen(n, SQUIRREL) for n in range(8)]
    assert found([*squirrels, vague]) == [
        ("Eastern Gray Squirrel", 8),
        ("unidentified bird", 1),
    ]


def test_an_unidentified_bird_is_not_named_after_a_slip() -> None:
    """Frames that speak for a species nobody named do not join one that was named once."""
    vague = [seen(n, UNIDENTIFIED_BIRD, 0.8, robin=0.45, sparrow=0.05) for n in range(9)]
    slip = seen(10, SPARROW, 0.55, at=45, robin=0.4)
    assert found([*vague, slip]) == [("unidentified bird", 9), ("House Sparrow", 1)]


def test_an_unidentified_bird_is_not_named_after_what_was_outvoted() -> None:
    """Where the only frame of a name is itself a misread robin, no bird near it bears that name."""
    robins = [seen(n, at=at) for n, at in enumerate((100, 110, 120, 140, 150, 160))]
    misread = seen(10, SPARROW, 0.4, at=130, robin=0.35)
    vague = seen(11, UNIDENTIFIED_BIRD, 0.8, at=12, sparrow=0.3, robin=0.02)
    assert found([*robins, misread]) == [("European Robin", 7)]
    assert "House Sparrow" not in dict(found([*robins, misread, vague]))


def test_a_group_joins_its_member_and_an_unidentified_bird_the_group() -> None:
    """Downy/Hairy beside a Downy is that Downy; a bird between Downy/Hairys is one of those."""
    either = {"label": EITHER, "probability": 0.8, "downy": 0.45, "hairy": 0.35}
    vague = seen(3, UNIDENTIFIED_BIRD, 0.9, downy=0.3, hairy=0.25)
    pair = [seen(2, **either), vague, seen(4, **either)]
    assert found(pair) == [("Downy/Hairy Woodpecker", 3)]
    (visit,) = visits(pair, GAP, GROUPS)
    assert visit.confidence == pytest.approx((0.8 + 0.55 + 0.8) / 3)
    assert found([*pair, seen(5, DOWNY)]) == [("Downy Woodpecker", 4)]
    assert found([*pair, seen(5, ROBIN)]) == [
        ("Downy/Hairy Woodpecker", 3),
        ("European Robin", 1),
    ]


def test_cameras_and_clocks_are_kept_apart() -> None:
    """Another camera's sightings, and times that nobody vouches for, are other visits."""
    sightings = [seen(1), seen(2, camera="pond"), seen(3, trusted=False), seen(4)]
    assert [one.media_ids for one in visits(sightings, GAP, GROUPS)] == [(1, 4), (2,), (3,)]
    assert [one.trusted for one in visits(sightings, GAP, GROUPS)] == [True, True, False]


def test_the_best_frame_is_the_favorite_or_the_clearest() -> None:
    """A favorite, else the surest reading of the machine, the first of equal ones."""
    sightings = [seen(1, probability=0.7), seen(2), seen(3), seen(4, ROBIN, None)]
    (visit,) = visits(sightings, GAP, GROUPS)
    assert visit.best == 2
    (visit,) = visits([*sightings, seen(5, probability=0.5, favorite=True)], GAP, GROUPS)
    assert visit.best == 5


LABELS = (ROBIN, SPARROW, DOWNY, SQUIRREL, EITHER, UNIDENTIFIED_BIRD)
SHARES: tuple[dict[str, float], ...] = (
    {},
    {"robin": 0.3, "sparrow": 0.1},
    {"sparrow": 0.35, "robin": 0.05, "downy": 0.01},
    {"downy": 0.3, "hairy": 0.25},
    {"hairy": 0.2, "squirrel": 0.1},
)
MOMENTS = st.one_of(st.integers(0, 90), st.integers(0, 90).map(lambda n: n * 20))
ONE = st.tuples(
    st.sampled_from(LABELS),
    st.sampled_from([None, 0.4, 0.55, 0.7, 0.9]),
    MOMENTS,
    st.sampled_from(SHARES),
    st.sampled_from([("garden", True), ("garden", True), ("garden", False), ("pond", True)]),
)
HISTORIES = st.lists(ONE, max_size=30).map(
    lambda drawn: [
        seen(number, label, probability, at, *where, **(shares if probability else {}))
        for number, (label, probability, at, shares, where) in enumerate(drawn)
    ]
)
"""Sightings of a few labels within minutes of each other, times often equal."""

DENSE = st.lists(
    st.tuples(
        st.sampled_from([ROBIN, ROBIN, ROBIN, SPARROW]),
        st.sampled_from([0.55, 0.9]),
        st.sampled_from([{"robin": 0.03, "sparrow": 0.01}, {"sparrow": 0.3, "robin": 0.2}]),
    ),
    min_size=15,
    max_size=40,
).map(
    lambda drawn: [
        seen(
            number,
            label,
            share,
            number,
            **{name: one for name, one in shares.items() if name not in label.name.lower()},
        )
        for number, (label, share, shares) in enumerate(drawn)
    ]
)
"""Two species in many frames, one a second."""

few = settings(max_examples=50, deadline=None)


@few
@given(HISTORIES, st.integers(1, 900))
def test_every_sighting_is_in_exactly_one_visit(history: list[Sighting], seconds: int) -> None:
    """Visits share no frame and leave none out, and a visit's frames are of one camera."""
    made = visits(history, timedelta(seconds=seconds), GROUPS)
    assert sorted(one for visit in made for one in visit.media_ids) == list(range(len(history)))
    for visit in made:
        frames = [history[one] for one in visit.media_ids]
        assert {(one.deployment, one.trusted) for one in frames} == {
            (visit.deployment, visit.trusted)
        }
        assert visit.start == min(one.captured_at for one in frames)
        assert visit.end == max(one.captured_at for one in frames)
        assert 0 <= visit.confidence <= 1


@few
@given(HISTORIES | DENSE, st.randoms())
def test_the_order_of_sightings_does_not_matter(history: list[Sighting], random: Random) -> None:
    """Shuffled, doubled or fed one by one, sightings make the same visits."""
    expected = visits(history, GAP, GROUPS)
    shuffled = [*history, *history]
    random.shuffle(shuffled)
    assert visits(shuffled, GAP, GROUPS) == expected
    tracker = Tracker(GAP, GROUPS)
    for number, one in enumerate(shuffled):
        tracker.add(one)
        if number % 10 == 0:
            assert tracker.visits() == visits(shuffled[: number + 1], GAP, GROUPS)
    assert tracker.visits() == expected


@few
@given(HISTORIES | DENSE, st.integers(1, 900))
def test_time_may_run_backwards(history: list[Sighting], seconds: int) -> None:
    """Read newest first, the log gives the same visits, the newest start first."""
    gap = timedelta(seconds=seconds)
    backwards = list(in_order(sorted(history, key=when, reverse=True), gap, GROUPS))
    expected = visits(history, gap, GROUPS)
    assert sorted(backwards, key=lambda visit: (visit.start, visit.media_ids)) == expected
    assert [one.start for one in backwards] == sorted((v.start for v in expected), reverse=True)


@few
@given(HISTORIES, st.integers(1, 900), st.integers(1, 900))
def test_a_larger_gap_only_merges(history: list[Sighting], seconds: int, more: int) -> None:
    """Each visit at one gap lies whole within one of a larger gap, under the same label."""
    small = visits(history, timedelta(seconds=seconds), GROUPS)
    large = visits(history, timedelta(seconds=seconds + more), GROUPS)
    for visit in small:
        (around,) = (one for one in large if visit.media_ids[0] in one.media_ids)
        assert set(visit.media_ids) <= set(around.media_ids)
        assert visit.label.name == around.label.name


@few
@given(HISTORIES)
def test_a_person_has_the_last_word(history: list[Sighting]) -> None:
    """A frame that a person named lies in a visit of that name."""
    for visit in visits(history, GAP, GROUPS):
        for one in visit.media_ids:
            if history[one].is_by_person:
                assert history[one].label.name == visit.label.name


@few
@given(HISTORIES)
def test_a_history_named_by_its_visits_gives_them_again(history: list[Sighting]) -> None:
    """Once each frame bears its visit's name for good, the visits are the same."""
    made = visits(history, GAP, GROUPS)
    named = [
        replace(history[one], label=visit.label, probability=None, runners_up=())
        for visit in made
        for one in visit.media_ids
    ]
    again = visits(named, GAP, GROUPS)
    assert [(v.label, v.media_ids) for v in again] == [(v.label, v.media_ids) for v in made]


@few
@given(
    st.lists(st.integers(1, 20), min_size=7, max_size=15),
    st.integers(3, 11),
    st.floats(0.4, 0.6),
)
def test_a_misreading_anywhere_inside_splits_nothing(
    steps: list[int], place: int, probability: float
) -> None:
    """Whatever the camera's pace, one unsure frame within a stay leaves one visit."""
    place = min(place, len(steps) - 4)
    at, history = 0, []
    for number, step in enumerate(steps):
        at += step
        history.append(
            seen(number, SPARROW, probability, at=at, robin=0.3)
            if number == place
            else seen(number, at=at, sparrow=0.04)
        )
    assert found(history) == [("European Robin", len(steps))]


def test_what_was_not_told_apart_is_no_species() -> None:
    """Neither birds and animals of whatever species are one, nor look-alikes."""
    animal = Label(UNIDENTIFIED_ANIMAL, Kind.MAMMAL)
    assert is_species(ROBIN) and not is_species(UNIDENTIFIED_BIRD) and not is_species(animal)
    assert not is_species(ROBIN, {ROBIN.name: frozenset()})
