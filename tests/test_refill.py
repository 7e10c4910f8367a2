"""Whether a feeder wants filling."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from feeder.refill import LONGEST_GAP, LOOKS, feeder_state

START = datetime(2026, 5, 1, 6, tzinfo=UTC)


def looks(values: str, minutes: float = 2) -> list[tuple[datetime, str]]:
    """One look in so many minutes: `e`mpty, `f`ull or something else."""
    names = {"e": "empty", "f": "full", "?": "no feeder"}
    return [(START + timedelta(minutes=minutes * i), names[one]) for i, one in enumerate(values)]


def is_empty(values: str, minutes: float = 2) -> bool | None:
    """The state right after these looks."""
    said = looks(values, minutes)
    return feeder_state(said, said[-1][0] if said else START).is_empty


def test_nothing_is_known_at_first() -> None:
    """Few looks say nothing."""
    assert is_empty("") is None
    assert is_empty("e" * (LOOKS - 1)) is None


def test_it_runs_empty_and_is_filled() -> None:
    """Enough looks that agree change the state, and say since when."""
    assert is_empty("e" * LOOKS) is True
    assert is_empty("f" * 20 + "e" * LOOKS) is True
    assert is_empty("e" * 20 + "f" * LOOKS) is False
    said = looks("f" * 20 + "e" * 20)
    state = feeder_state(said, said[-1][0])
    assert state.since == said[20][0]
    assert state.looked == said[-1][0]


def test_a_bird_in_the_way_changes_nothing() -> None:
    """A few looks that disagree leave the state, as do any number that say neither."""
    assert is_empty("f" * 20 + "eeeee") is False
    assert is_empty("f" * 20 + "ef" * 20) is False
    assert is_empty("f" * 20 + "?" * 50) is False


def test_a_burst_is_one_look() -> None:
    """Frames within a few seconds of each other are not enough, however many."""
    assert is_empty("f" * 20 + "e" * 100, minutes=0.01) is None
    before = looks("f" * 20)
    burst = [(before[-1][0] + timedelta(seconds=i + 1), "empty") for i in range(60)]
    assert feeder_state(before + burst, burst[-1][0]).is_empty is False


def test_what_was_known_grows_old() -> None:
    """After days without a look nothing is known, and what comes then begins anew."""
    said = looks("e" * 20)
    late = said[-1][0] + LONGEST_GAP + timedelta(minutes=1)
    assert feeder_state(said, late).is_empty is None
    assert feeder_state([*said, (late, "full")], late).is_empty is None


@given(st.text("ef?", max_size=60))
def test_it_turns_only_on_what_agrees(values: str) -> None:
    """The state is never one that the last turn's looks speak against."""
    state = is_empty(values)
    counted = values.replace("?", "")
    if state is True:
        assert "e" * 4 in counted or counted.count("e") >= 8
    if "e" not in values:
        assert state is not True
    if "f" not in values:
        assert state is not False
