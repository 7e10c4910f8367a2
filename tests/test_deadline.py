"""A time limit for something that blocks."""

import threading
from collections.abc import Iterator

import pytest

from feeder.deadline import Deadline
from tests.feeder_process import PATIENCE


@pytest.fixture
def deadline() -> Iterator[Deadline]:
    """A deadline, closed after the test."""
    made = Deadline()
    yield made
    made.close()


def test_what_takes_too_long_is_told(deadline: Deadline) -> None:
    """When a block outlasts its limit, what was given is called meanwhile, each time anew."""
    for _ in range(2):
        expired = threading.Event()
        with deadline.within(0.05, expired.set):
            assert expired.wait(PATIENCE)


def test_a_shorter_limit_after_a_longer_one_is_kept(deadline: Deadline) -> None:
    """A limit that ends before the last one would have is not slept through."""
    with deadline.within(3600, lambda: None):
        pass
    expired = threading.Event()
    with deadline.within(0.05, expired.set):
        assert expired.wait(PATIENCE)


def test_what_is_quick_is_left_alone(deadline: Deadline) -> None:
    """Limits of blocks that ended are not held against later ones."""
    called: list[int] = []
    for number in range(200):
        with deadline.within(0.2, lambda number=number: called.append(number)):  # type: ignore[misc]
            pass
    expired = threading.Event()
    with deadline.within(0.5, expired.set):
        assert expired.wait(PATIENCE)
    assert called == []


def test_closing_ends_its_thread() -> None:
    """After closing no thread is left; it can be used again."""
    before = threading.active_count()
    deadline = Deadline()
    for _ in range(2):
        with deadline.within(3600, lambda: None):
            pass
        assert threading.active_count() == before + 1
        deadline.close()
        assert threading.active_count() == before
    deadline.close()
