"""What the daemon and its companions write for the journal, and how much a day may."""

import logging
import sys

import pytest

from feeder.cli.quota import DAY, DailyQuota
from feeder.cli.run_output import log_to_stderr
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


def test_a_mistake_in_the_program_is_written_with_its_traceback(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once, each line set in under the line that tells of it, and without what moves a cursor."""
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    log_to_stderr()
    try:
        raise RuntimeError("a \x1b[31mred mistake")
    except RuntimeError:
        logging.getLogger("feeder.web").error("it broke\n", exc_info=sys.exc_info())
    logging.captureWarnings(False)
    first, *rest = capsys.readouterr().err.splitlines()
    assert first == 'level=error part=feeder.web event="it broke"'
    assert rest[0] == "  Traceback (most recent call last):"
    assert any("in test_a_mistake" in line for line in rest)
    assert rest[-1] == "  RuntimeError: a \\x1b[31mred mistake"
