"""Judgements: rows that count together, or not at all."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from feeder.domain import ObservationType
from feeder.errors import LogbookError
from feeder.judgement_log import JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from tests.conftest import FakeClock
from tests.test_logbook import ROBIN, WREN, frame, seen


@pytest.fixture
def path(tmp_path: Path, time: FakeClock) -> Path:
    """A log of three robins."""
    path = tmp_path / "feeder.db"
    logbook = Logbook.open(path, time.clock)
    logbook.register_model("m" * 64, "tiny")
    logbook.register_vocabulary("v" * 64, (ROBIN, WREN))
    for number in (1, 2, 3):
        logbook.append(frame(number), seen())
    logbook.close()
    return path


@pytest.fixture
def judgements(path: Path, time: FakeClock) -> Iterator[JudgementLog]:
    """Opened on it, with the model and the vocabulary known."""
    with JudgementLog.open(path, time.clock) as opened:
        opened.observations.register_model("m" * 64, "tiny")
        opened.observations.register_vocabulary("v" * 64, (ROBIN, WREN))
        yield opened


def labels(path: Path) -> list[str]:
    """What the log says of its frames now, the oldest first."""
    return [row["label"] for row in LogReader(path).sightings(Query(every_frame=True))][::-1]


def relabel(judgements: JudgementLog, *media_ids: int) -> int:
    """A judgement that calls these frames wrens, still in preparation."""
    number = judgements.begin(
        What.RELABEL, "wrens", made_by="tiny", model_digest="m" * 64, vocabulary_digest="v" * 64
    )
    judgements.observe(number, [(media_id, seen(WREN)) for media_id in media_ids])
    return number


def test_it_counts_once_it_is_in_force(path: Path, judgements: JudgementLog) -> None:
    """While a judgement is prepared the log says what it said; then all of it changes at once."""
    number = relabel(judgements, 1, 3)
    assert labels(path) == ["European Robin"] * 3
    judgements.put_in_force(number, frames=3)
    assert labels(path) == ["Eurasian Wren", "European Robin", "Eurasian Wren"]
    (said,) = judgements.judgements()
    assert (said.state, said.frames, said.changed) == (State.IN_FORCE, 3, 2)


def test_it_can_be_undone(path: Path, judgements: JudgementLog) -> None:
    """Undone, a judgement counts no longer, and its rows stay in the log."""
    number = relabel(judgements, 2)
    judgements.put_in_force(number, frames=3)
    judgements.undo(number)
    assert labels(path) == ["European Robin"] * 3
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM observation").fetchone() == (4,)
    again = relabel(judgements, 2)
    judgements.put_in_force(again, frames=3)
    assert labels(path)[1] == "Eurasian Wren"


def test_an_interrupted_judgement_goes_on(path: Path, judgements: JudgementLog) -> None:
    """Observing a frame twice in one judgement is observing it once."""
    number = relabel(judgements, 1)
    judgements.observe(number, [(1, seen(WREN)), (2, seen(WREN))])
    judgements.put_in_force(number, frames=3)
    assert judgements.judgements()[0].changed == 2


def test_a_person_counts_over_a_later_machine(path: Path, judgements: JudgementLog) -> None:
    """What a person said stays, whatever is judged afterwards, until it is undone."""
    correction = judgements.begin(What.CORRECTION, "1 frame", made_by="ann")
    judgements.observe_as_person(
        correction, [2], ObservationType.ANIMAL, WREN, person="ann", reason="seen well"
    )
    judgements.put_in_force(correction, frames=1)
    number = judgements.begin(
        What.RELABEL, "robins", made_by="tiny", model_digest="m" * 64, vocabulary_digest="v" * 64
    )
    judgements.observe(number, [(2, seen(ROBIN))])
    judgements.put_in_force(number, frames=3)
    assert labels(path)[1] == "Eurasian Wren"
    judgements.undo(correction)
    assert labels(path)[1] == "European Robin"


def test_a_frame_that_is_not_there_spoils_nothing(path: Path, judgements: JudgementLog) -> None:
    """A batch that the database refuses leaves no row of it, and the log as it was."""
    number = relabel(judgements)
    with pytest.raises(sqlite3.IntegrityError):
        judgements.observe(number, [(1, seen(WREN)), (99, seen(WREN))])
    assert judgements.judgements()[0].changed == 0


def test_it_needs_a_log(tmp_path: Path) -> None:
    """Without a log it says who starts one, and makes none."""
    with pytest.raises(LogbookError, match="no log"):
        JudgementLog.open(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
