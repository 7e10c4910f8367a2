"""Which message a visit deserves, in which words, and when it goes."""

from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feeder.alerts.quiet_hours import QuietHours
from feeder.alerts.replay import replay
from feeder.alerts.rules import Outcome, Rules, Sort, judge
from feeder.alerts.state import AlertState, Told
from feeder.alerts.timing import LONGEST, Alert, Held, hold, release
from feeder.alerts.words import LINES, digest, visit_alert
from feeder.cli import output
from feeder.domain import UNIDENTIFIED_ANIMAL, UNIDENTIFIED_BIRD, Kind, Label, Visit
from feeder.web import words
from tests.sightings import ROBIN, SPARROW, SQUIRREL

ZONE = ZoneInfo("Europe/Dublin")
NOON = datetime(2026, 5, 1, 11, tzinfo=UTC)
DOWNY = Label("Downy/Hairy Woodpecker", Kind.BIRD)
GROUPS = {DOWNY.name: frozenset(["Downy Woodpecker", "Hairy Woodpecker"])}
EVERYTHING = frozenset(Sort)


def visit(
    label: Label = ROBIN,
    start: datetime = NOON,
    *,
    frames: tuple[int, ...] = (1, 2),
    confidence: float = 0.9,
    by_person: bool = False,
    camera: str = "garden",
    trusted: bool = True,
) -> Visit:
    """A visit of some seconds."""
    end = start + timedelta(seconds=5 * (len(frames) - 1))
    return Visit(camera, label, start, end, frames, frames[0], confidence, by_person, trusted)


def prints(of: Visit) -> tuple[str, ...]:
    """What tells its frames apart, here their numbers."""
    return tuple(map(str, of.media_ids))


def told_of(of: Visit) -> Told:
    """That it was told of."""
    return Told.of(of, prints(of))


def is_of(told: Told, of: Visit) -> bool:
    """Whether the visit goes on from it."""
    return told.is_of(of, prints(of))


def sorts(of: Visit, earlier: Visit | None, *, rare: bool = False, absence: int = 60) -> set[str]:
    """What a visit is, after an earlier one of its label."""
    rules = Rules(EVERYTHING, absence=absence, groups=GROUPS)
    return set(judge(of, rules, lambda: earlier, lambda: rare, lambda _: ZONE).sorts)


DAY_FIRST = {"visit", "first-of-day"}


@pytest.mark.parametrize(
    ("days", "expected"),
    [
        (None, {*DAY_FIRST, "first-of-season", "first-ever"}),
        (0, {"visit"}),
        (1, DAY_FIRST),
        (60, DAY_FIRST),
        (61, {*DAY_FIRST, "first-of-season"}),
        (400, {*DAY_FIRST, "first-of-season"}),
    ],
)
def test_what_is_a_first_depends_on_whole_days_without(
    days: int | None, expected: set[str]
) -> None:
    """A first ever is also one of the season and of the day; 60 whole days make a season."""
    earlier = None if days is None else visit(start=NOON - timedelta(days=days, hours=1))
    assert sorts(visit(), earlier) == expected


def test_a_day_is_the_cameras_own() -> None:
    """Half past midnight in Dublin's summer is the day before in UTC."""
    late = visit(start=datetime(2026, 5, 1, 22, 50, tzinfo=UTC))
    assert sorts(visit(start=datetime(2026, 5, 1, 23, 30, tzinfo=UTC)), late) == DAY_FIRST
    assert sorts(visit(start=datetime(2026, 5, 1, 22, 55, tzinfo=UTC)), late) == {"visit"}


@pytest.mark.parametrize("label", [UNIDENTIFIED_BIRD, DOWNY, Label(UNIDENTIFIED_ANIMAL, Kind.BIRD)])
def test_what_was_not_told_apart_is_no_first(label: Label) -> None:
    """An unidentified bird, look-alikes and an animal without a name are visits alone."""
    assert sorts(visit(label), None) == {"visit"}


def test_a_mammal_is_told_when_it_first_comes_at_all() -> None:
    """Nobody is told of each morning's first squirrel, or of its return."""
    assert sorts(visit(SQUIRREL), None) == {"visit", "first-ever"}
    assert sorts(visit(SQUIRREL), visit(SQUIRREL, NOON - timedelta(days=90))) == {"visit"}


def outcome(of: Visit, rules: Rules) -> Outcome:
    """What becomes of the first visit ever of a label that is not rare."""
    return judge(of, rules, lambda: None, lambda: False, lambda _: ZONE).outcome


def test_everything_except_usual_birds() -> None:
    """A usual bird is told of by nothing, nor is what may be one; any other is."""
    usual = frozenset([SPARROW.name, "Downy Woodpecker"])
    rules = Rules(frozenset([Sort.VISIT]), usual, groups=GROUPS)
    assert outcome(visit(SPARROW), rules) is Outcome.USUAL
    assert outcome(visit(DOWNY), rules) is Outcome.USUAL
    assert outcome(visit(UNIDENTIFIED_BIRD), rules) is Outcome.USUAL
    assert outcome(visit(ROBIN), rules) is Outcome.TOLD
    assert outcome(visit(SQUIRREL), rules) is Outcome.TOLD
    nothing_usual = Rules(frozenset([Sort.VISIT]), groups=GROUPS)
    assert outcome(visit(UNIDENTIFIED_BIRD), nothing_usual) is Outcome.TOLD


def test_an_unsure_visit_is_not_told_unless_a_person_named_it() -> None:
    """The mean probability counts, and a person's word is enough."""
    rules = Rules(EVERYTHING, confidence=0.6)
    assert outcome(visit(confidence=0.59), rules) is Outcome.UNSURE
    assert outcome(visit(confidence=0.6), rules) is Outcome.TOLD
    assert outcome(visit(confidence=0.3, by_person=True), rules) is Outcome.TOLD


def test_what_is_not_asked_for_is_not_told() -> None:
    """`about` chooses; a first ever is told where firsts of the season are asked for."""
    assert outcome(visit(), Rules(frozenset([Sort.RARE]))) is Outcome.NOT_ASKED
    assert outcome(visit(), Rules(frozenset([Sort.FIRST_OF_SEASON]))) is Outcome.TOLD


def test_one_message_says_all_that_a_visit_is() -> None:
    """Rare and first of the season stand in one title; when it was last here below."""
    last = visit(start=NOON - timedelta(days=84))
    rules = Rules(EVERYTHING)
    judged = judge(visit(), rules, lambda: last, lambda: True, lambda _: ZONE)
    alert = visit_alert(judged, ZONE, "http://feeder.local:8765/")
    assert alert.title == "European Robin: rare here, first of the season"
    assert alert.body.splitlines() == [
        "12:00 at garden, 90 % sure",
        "Away for 83 days, last here on 2026-02-06",
        "http://feeder.local:8765/",
    ]
    assert alert.sort is Sort.RARE
    assert alert.media_id == 1


def test_nothing_is_100_percent_sure_that_is_not_certain() -> None:
    """A message says of a visit what the page and the command line say."""
    for share, said in ((0.9962, "99 %"), (1.0, "100 %"), (0.905, "91 %"), (0.0, "0 %")):
        judged = judge(
            visit(confidence=share), Rules(EVERYTHING), lambda: None, lambda: False, lambda _: ZONE
        )
        assert visit_alert(judged, ZONE).body == f"12:00 at garden, {said} sure"
        assert output.percent(share) == words.percent(share) == said


def test_a_time_that_may_be_wrong_has_a_mark() -> None:
    """As on the command line; and a person's word has no percentage."""
    judged = judge(
        visit(trusted=False, by_person=True), Rules(EVERYTHING), lambda: visit(), lambda: False,
        lambda _: ZONE,
    )  # fmt: skip
    assert visit_alert(judged, ZONE).body == "12:00? at garden, named by a person"


def alert(number: int, sort: Sort = Sort.VISIT, camera: str = "garden") -> Alert:
    """An alert like no other number's."""
    name = f"Bird {number}"
    return Alert(f"visit {number}", sort, camera, name, name, "", f"line {number}", NOON, number)


def test_a_digest_names_the_most_notable_and_counts_the_rest() -> None:
    """A flood of birds becomes a message that a phone can show, with a picture of the best."""
    many = [alert(number) for number in range(40)] + [alert(99, Sort.RARE)]
    title, body, shown = digest(many, was_quiet=True)
    assert title == "While it was quiet: Bird 99 and 40 more"
    lines = body.splitlines()
    assert len(lines) == LINES + 1
    assert "line 99" in lines
    assert lines[-1].startswith("and 31 more: Bird")
    assert shown is not None
    assert shown.media_id == 99


def test_a_digest_of_trouble_alone_has_no_picture() -> None:
    """An empty feeder is told in words."""
    trouble = Alert(
        "empty garden", Sort.EMPTY, "garden", "Empty", "Empty", "", "07:00  Empty", NOON
    )
    assert digest([trouble], was_quiet=True) == ("While it was quiet: Empty", "07:00  Empty", None)


NIGHT = QuietHours(time(22), time(6, 30), ZONE)


@given(
    st.lists(st.integers(0, 72 * 60), max_size=60).map(sorted),
    st.integers(1, 5),
    st.sets(st.integers(0, 59)),
)
def test_every_alert_goes_once_at_once_or_in_one_digest(
    minutes: list[int], most: int, troubles: set[int]
) -> None:
    """None goes in quiet hours, none is lost, and an hour has no more than it may."""
    held: list[Held] = []
    sent: list[datetime] = []
    gone: list[str] = []
    coming = [NOON + timedelta(minutes=minute) for minute in minutes]
    for now in (NOON + timedelta(minutes=step) for step in range(100 * 60)):
        of_quiet, of_flood, held = release(held, now, lambda _: NIGHT)
        for group in (of_quiet, of_flood):
            if group:
                assert NIGHT.until(now) is None
                sent.append(now)
                gone += [one.key for one in group]
        for number, at in enumerate(coming):
            if at != now:
                continue
            one = alert(number, Sort.STALLED if number in troubles else Sort.VISIT)
            waiting = hold(one, now, lambda _: NIGHT, held, sent, most)
            if waiting is not None:
                assert now < waiting.due <= now + LONGEST
                held.append(waiting)
                continue
            assert NIGHT.until(now) is None
            gone.append(one.key)
            if one.sort is Sort.VISIT:
                sent.append(now)
                recent = [one for one in sent if one > now - timedelta(hours=1)]
                assert len(recent) <= most + 1, "a digest when quiet ends may come on top"
    assert held == []
    assert sorted(gone) == sorted(f"visit {number}" for number in range(len(coming)))


def test_what_a_wrong_clock_held_is_let_go() -> None:
    """A clock that was years ahead and has been set holds nothing for years."""
    waiting = Held(alert(1), NOON + timedelta(days=3000))
    assert release([waiting], NOON, lambda _: None) == ([alert(1)], [], [])


def test_a_digest_that_is_days_late_is_not_sent() -> None:
    """A computer that was off over a holiday tells nothing of the night before it."""
    waiting = Held(alert(1), NOON - timedelta(days=3))
    assert release([waiting], NOON, lambda _: None) == ([], [], [])
    late = Held(alert(1), NOON - timedelta(hours=3))
    assert release([late], NOON, lambda _: None) == ([alert(1)], [], [])


def test_a_visit_is_known_again_whatever_becomes_of_it() -> None:
    """Another name, an earlier frame or most of its frames are the same visit; others are not."""
    told = told_of(visit(frames=(5, 6)))
    assert is_of(told, visit(SPARROW, frames=(5, 6, 7)))
    assert is_of(told, visit(frames=(4, 5, 6, 7), start=NOON - timedelta(seconds=5)))
    assert is_of(told_of(visit(frames=(4, 5, 6))), visit(SPARROW, frames=(5, 6, 7)))
    assert not is_of(told, visit(SPARROW, frames=(6, 7)))
    assert not is_of(told, visit(frames=(5, 6), camera="pond"))
    assert not is_of(told, visit(frames=(5, 6), start=NOON + timedelta(days=1)))
    assert is_of(told, visit(frames=(905, 906))), "the same label at the same time"
    later = visit(frames=(5, 6), start=NOON + timedelta(days=1), trusted=False)
    assert told.is_of(later, ("5", "6"))
    assert not told.is_of(later, ("905", "906")), "another log has given the numbers to others"


FRAMES = st.lists(st.integers(1, 40), min_size=1, max_size=12, unique=True).map(sorted)


@given(FRAMES, FRAMES)
def test_no_two_messages_share_a_visit(first: list[int], second: list[int]) -> None:
    """What is told twice neither has the same first frame nor most frames in common."""
    one = visit(frames=tuple(first))
    other = visit(SPARROW, frames=tuple(second), start=NOON)
    if not is_of(told_of(one), other):
        assert one.visit_id != other.visit_id
        assert 2 * len(set(first).intersection(second)) <= len(first)


def test_the_state_is_read_again_as_it_was_written(tmp_path: Path) -> None:
    """Times, alerts that wait and messages that nobody has taken come back the same."""
    path = tmp_path / "feeder.db.alerts"
    state = AlertState(path, NOON)
    with state.changing() as content:
        content.told.append(told_of(visit()))
        content.held.append(Held(alert(1), NOON))
        content.post("a title", "a body\nof two lines", alert(7), NOON)
        content.troubles["empty garden"] = NOON
        written = content
    assert path.stat().st_mode & 0o077 == 0
    with AlertState(path, NOON + timedelta(days=1)).reading() as content:
        assert content == written


@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"started": 3, "told": 4}', b"\xff\x00"])
def test_a_broken_state_begins_anew(tmp_path: Path, broken: bytes) -> None:
    """It says so, and what is before now is taken for told."""
    path = tmp_path / "feeder.db.alerts"
    path.write_bytes(broken)
    with AlertState(path, NOON).reading() as content:
        assert (content.started, content.outbox) == (NOON, [])


def test_a_state_that_cannot_be_written_is_written_later(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A full disk, or a folder that is gone, loses nothing, and is said once."""
    folder = tmp_path / "data"
    state = AlertState(folder / "feeder.db.alerts", NOON)
    for number in range(3):
        with state.changing() as content:
            content.post(f"{number}", "", None, NOON)
    assert caplog.text.count("cannot be noted") == 1
    folder.mkdir()
    state.save()
    with AlertState(folder / "feeder.db.alerts", NOON).reading() as content:
        assert [one.title for one in content.outbox] == ["0", "1", "2"]


def test_a_replay_says_what_each_visit_would_have_brought() -> None:
    """Firsts count on from the visits before them; quiet hours and floods hold back."""
    night = datetime(2026, 5, 1, 22, 30, tzinfo=UTC)
    came = [
        visit(ROBIN, NOON, frames=(1,)),
        visit(ROBIN, NOON + timedelta(hours=1), frames=(2,)),
        visit(SPARROW, NOON + timedelta(hours=1, minutes=1), frames=(3,)),
        visit(SPARROW, NOON + timedelta(hours=1, minutes=9), frames=(4,), confidence=0.2),
        visit(ROBIN, night, frames=(5,)),
    ]
    rules = Rules(frozenset([Sort.VISIT]), confidence=0.5)
    found = list(
        replay(came, rules, lambda _: None, lambda _: False, lambda _: ZONE, lambda _: NIGHT, 1)
    )
    assert [one.title for one in found] == [
        "European Robin: first visit ever",
        "European Robin",
        "House Sparrow: first visit ever",
        "",
        "European Robin",
    ]
    assert [one.waits_for for one in found] == ["", "", "a flood", "", "quiet hours"]
    assert found[2].at == NOON + timedelta(hours=2)
    assert found[4].at == datetime(2026, 5, 2, 5, 30, tzinfo=UTC)
    assert found[3].judged.outcome is Outcome.UNSURE
