"""What a day may write to the journal."""

from feeder.cli.quota import DAY, DailyQuota
from tests.conftest import FakeClock


def test_a_day_takes_so_many_bytes_and_no_more(time: FakeClock) -> None:
    """Lines fit until the day's bytes are spent; the first that does not is told apart."""
    quota = DailyQuota(100, lambda: time.seconds)
    assert [quota.takes("a line of 24 characters.") for _ in range(4)] == [True] * 4
    assert not quota.takes("x")
    assert quota.is_first_refusal
    assert not quota.takes("")
    assert not quota.is_first_refusal


def test_the_next_day_begins_afresh(time: FakeClock) -> None:
    """A day is counted from its first line on, by a clock that never steps."""
    quota = DailyQuota(10, lambda: time.seconds)
    assert quota.takes("123456789")
    assert not quota.takes("1")
    time.advance(DAY)
    assert quota.takes("123456789")
