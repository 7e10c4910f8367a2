"""Judging the history again: what would change, what then changes, and what never does."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from feeder import judge_again
from feeder.bundle import Bundle, Thresholds, shipped_models
from feeder.classifier import Classifier, Context, choose_vocabulary
from feeder.domain import Kind, Label, ObservationType
from feeder.errors import LogbookError
from feeder.judge_again import HAIR, Plan
from feeder.judgement_log import Judgement, JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from feeder.relabel import (
    BATCH,
    announce,
    is_announced,
    newest_in_force,
    relabel,
    sole_judge,
)
from feeder.verdict_log import Scope, Verdict, VerdictLog
from feeder.vocabulary import Vocabulary
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess, picture
from tests.history import LOOSE, POND, REGION, History, vocabulary
from tests.test_logbook import NOON

COUNT = 300


@pytest.fixture
def history(tmp_path: Path, tiny_clip: Path, time: FakeClock) -> Iterator[History]:
    """A log of 300 frames, judged on nine labels."""
    made = History(tmp_path, tiny_clip, time.clock)
    made.log(made.classifier(), COUNT)
    yield made
    made.close()


@pytest.fixture
def small_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judges a few frames at a time, so that 300 of them take several steps."""
    monkeypatch.setattr(judge_again, "WINDOW", 64)


def judgements(history: History) -> list[Judgement]:
    """Every judgement in the log, the newest first."""
    with JudgementLog.open(history.path) as opened:
        return opened.judgements()


def counted(plan: Plan) -> Counter[tuple[Verdict, Verdict]]:
    """How many frames change from what to what."""
    return Counter({(one.was, one.now): len(one.media_ids) for one in plan.changes})


def moved(
    before: dict[int, Verdict], after: dict[int, Verdict]
) -> Counter[tuple[Verdict, Verdict]]:
    """The same, of what the log said and says."""
    pairs = ((before[one], after[one]) for one in before)
    return Counter((was, now) for was, now in pairs if was != now)


def moved_from(before: dict[int, dict[str, object]], history: History) -> int:
    """How many frames have another row than before."""
    after = history.rows()
    return sum(after[one] != before[one] for one in before)


def test_the_history_has_all_sorts_of_verdicts(history: History) -> None:
    """What the tests below judge again names birds, others and nothing, whole and in part."""
    said = Counter(verdict.observation_type for verdict in history.verdicts().values())
    assert min(said[kind] for kind in ("animal", "human", "blank", "unknown")) > 5
    assert len({verdict.label for verdict in history.verdicts().values()}) > 8


def test_without_a_change_nothing_changes(history: History) -> None:
    """On the labels it was judged on, every frame keeps its verdict, and nothing is written."""
    plan = history.relabel(history.classifier())
    assert (plan.frames, plan.changed) == (COUNT, 0)
    assert (history.count("observation"), history.count("judgement")) == (COUNT, 0)


@pytest.mark.usefixtures("small_windows")
@pytest.mark.parametrize(
    ("labels", "thresholds"),
    [
        (vocabulary("robin"), LOOSE),
        (vocabulary("robin", "fox", "person"), LOOSE),
        (vocabulary(extra=[Label("linnet", Kind.BIRD), Label("cat", Kind.MAMMAL)]), LOOSE),
        (vocabulary(), Thresholds(label=0.7, bird=0.5, blank=0.6, margin=0.1)),
        (vocabulary("jay"), Thresholds(label=0.2, bird=0.95, blank=0.9)),
    ],
)  # fmt: skip
def test_what_changes_was_foretold(
    history: History, labels: Vocabulary, thresholds: Thresholds
) -> None:
    """A preview names the very changes that judging again then makes, and an undo takes back."""
    before, rows = history.verdicts(), history.rows()
    classifier = history.classifier(labels, thresholds)
    foretold = history.preview(classifier)
    assert history.rows() == rows
    assert foretold.changed > 10
    done = history.relabel(classifier)
    assert counted(done) == counted(foretold) == moved(before, history.verdicts())
    changed = {int(one) for change in done.changes for one in change.media_ids}
    after = history.rows()
    assert {one for one in after if after[one] != rows[one]} == changed
    assert history.count("observation") == COUNT + len(changed)
    history.undo()
    assert history.rows() == rows


def test_a_new_verdict_is_the_one_a_new_frame_would_get(history: History) -> None:
    """Label, probabilities, reason and runners-up are as if the frame were judged just now."""
    classifier = history.classifier(vocabulary("wren"))
    plan = history.relabel(classifier)
    rows = history.rows()
    for change in plan.changes:
        for media_id in change.media_ids.tolist():
            row, said = rows[media_id], classifier.judge(history.vectors[media_id])
            shown = said.named or said.best
            assert shown is not None
            assert (row["observation_type"], row["label"]) == (
                said.observation_type,
                shown.label.name,
            )
            assert row["reason"] == said.reason
            assert row["classification_probability"] == pytest.approx(shown.probability, abs=1e-5)
            assert row["cosine"] == pytest.approx(shown.cosine, abs=1e-5)
            others = [one.label.name for one in said.candidates if one is not shown]
            assert [one["label"] for one in row["runners_up"]] == others
            assert row["vocabulary_digest"] == classifier.embeddings.digest


def test_the_part_that_was_judged_stays(history: History) -> None:
    """A verdict on a region of the frame stays one on that region: the embedding is of it."""
    plan = history.relabel(history.classifier(vocabulary("wren", "jay")))
    changed = {int(one) for change in plan.changes for one in change.media_ids}
    rows = history.rows()
    assert any(one % 4 == 0 for one in changed)
    for one in changed:
        wanted = REGION.x if one % 4 == 0 else None
        assert rows[one]["bbox_x"] == wanted
        assert rows[one]["bbox_height"] == (REGION.height if wanted else None)


def test_a_rounding_changes_nothing(history: History) -> None:
    """A threshold as close to a frame's probability as sums are exact does not tip it over."""
    sure = [row for row in history.rows().values() if " < " not in row["reason"]]
    for row in [one for one in sure if one["reason"].startswith("robin")][:10]:
        for above, tips in ((HAIR / 3, False), (HAIR * 3, True)):
            label = row["classification_probability"] + above
            at = LOOSE.model_copy(update={"label": label})
            plan = history.preview(history.classifier(thresholds=at))
            changed = {int(one) for change in plan.changes for one in change.media_ids}
            assert (row["media_id"] in changed) is tips


def test_what_people_said_stays(history: History) -> None:
    """A frame that a person named keeps that name, and gets no further row."""
    robins = [one for one, said in history.verdicts().items() if said.label == "robin"]
    history.correct(robins[0], Label("dunnock", Kind.BIRD))
    before = history.count("observation")
    plan = history.relabel(history.classifier(vocabulary("robin")))
    assert plan.by_person == 1
    assert plan.frames == COUNT - 1
    assert history.verdicts()[robins[0]].label == "dunnock"
    assert history.verdicts()[robins[1]].label != "robin"
    assert history.count("observation") == before + plan.changed


def test_a_correction_that_was_undone_stays_no_longer(history: History) -> None:
    """After a person has taken a name back, the frame is judged like any other."""
    robin = next(one for one, said in history.verdicts().items() if said.label == "robin")
    history.correct(robin, Label("dunnock", Kind.BIRD))
    history.undo()
    assert history.relabel(history.classifier(vocabulary("robin"))).by_person == 0
    assert history.verdicts()[robin].label not in ("robin", "dunnock")


def test_frames_without_an_embedding_are_left(history: History) -> None:
    """What could not be decoded has nothing to be judged by."""
    history.log_broken(COUNT + 1)
    plan = history.relabel(history.classifier(vocabulary("robin")))
    assert plan.frames == COUNT
    assert history.verdicts()[COUNT + 1] == Verdict(ObservationType.UNCLASSIFIED, "")


def test_only_the_frames_in_scope_are_judged(history: History) -> None:
    """A span of time, from its first instant to before its last, and a camera can be chosen."""
    pond = history.log(history.classifier(), 60, deployment=POND, seed=1)
    since, until = NOON + timedelta(days=2), NOON + timedelta(days=4)
    other = history.classifier(vocabulary("robin", "wren"))
    assert history.preview(other, Scope(since=since, until=until)).frames == 48
    assert history.preview(other, Scope(deployment="pond")).frames == len(pond)
    before = history.verdicts()
    plan = history.relabel(other, Scope(since=since, deployment="pond"))
    after = history.verdicts()
    assert plan.changed > 0
    assert {one for one in after if after[one] != before[one]} <= set(pond)
    (row,) = judgements(history)
    assert row.description == "on 7 labels, pond, from 2026-05-03 12:00 UTC"


def test_each_frame_is_judged_in_its_own_context(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Camera, time and whatever they entail bear on each frame as they do on a new one."""
    history.log(history.classifier(), 60, deployment=POND, seed=1, days_apart=1)

    def context(self: Classifier, deployment: str, at: datetime) -> Context:
        prior = np.zeros(len(self.labels), np.float32)
        prior[at.month % 5] = 2.0 if deployment == "pond" else -3.0
        return Context(self.thresholds, temperature=1 + at.hour / 24, log_prior=prior)

    monkeypatch.setattr(Classifier, "context", context)
    classifier = history.classifier()
    plan = history.relabel(classifier)
    assert plan.changed > 20
    verdicts = history.verdicts()
    for media_id, row in history.rows().items():
        said = classifier.judge(
            history.vectors[media_id], classifier.context(row["deployment"], row["timestamp"])
        )
        named = said.named.label.name if said.named else ""
        assert verdicts[media_id] == Verdict(said.observation_type, named)


def test_judgements_are_undone_from_the_newest(history: History) -> None:
    """Each undo gives back what the log said before; then there is nothing left to undo."""
    first = history.rows()
    history.relabel(history.classifier(vocabulary("robin")))
    second = history.rows()
    history.relabel(history.classifier(vocabulary("wren")))
    with JudgementLog.open(history.path) as opened:
        opened.undo(newest_in_force(opened).judgement_id)
        assert history.rows() == second
        opened.undo(newest_in_force(opened).judgement_id)
        assert history.rows() == first
        with pytest.raises(LogbookError, match="nothing to undo"):
            newest_in_force(opened)


def test_the_newest_is_what_came_last(history: History, other_clip: Path, time: FakeClock) -> None:
    """A change of model announced before a relabel, and judged after it, is undone before it."""
    classifier = history.classifier()
    with JudgementLog.open(history.path) as opened:
        announce(opened, classifier)
        history.relabel(history.classifier(vocabulary("robin")))
        before = history.rows()
        with closing(sqlite3.connect(history.path)) as connection, connection:
            connection.execute("UPDATE observation SET model_id = NULL WHERE media_id = 5")
        history.relabel(classifier, Scope(other_models=True), what=What.MODEL)
        assert not is_announced(opened, classifier.bundle.digest)
        newest = newest_in_force(opened)
        assert (newest.what, newest.frames, newest.changed) == (What.MODEL, 1, 1)
        opened.undo(newest.judgement_id)
    after = history.rows()
    assert {one for one in after if after[one] != before[one]} <= {5}


@pytest.mark.usefixtures("small_windows")
def test_interrupted_it_leaves_the_log_as_it_was(history: History) -> None:
    """Whatever stops it in the middle, nothing counts; the next time it begins anew."""
    before = history.rows()
    other = history.classifier(vocabulary("robin", "jay"))

    def stop(done: int, of: int) -> None:
        if done > of / 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        history.relabel(other, progress=stop)
    assert history.rows() == before
    assert history.count("observation") > COUNT
    plan = history.relabel(other)
    assert moved_from(before, history) == plan.changed
    assert [one.state for one in judgements(history)] == [State.IN_FORCE, State.UNDONE]


KILLED = """
import os, signal, sys
from pathlib import Path
from feeder import judge_again
from feeder.clock import Clock
from tests.feeder_process import FeederProcess, picture
from tests.history import History, vocabulary
judge_again.WINDOW = 64
def stop(done, of):
    if done > of / 2:
        os.kill(os.getpid(), signal.SIGKILL)
history = History(Path(sys.argv[1]), Path(sys.argv[2]), Clock())
history.relabel(history.classifier(vocabulary("robin", "jay")), progress=stop)
"""


def test_killed_it_leaves_the_log_as_it_was(history: History, tiny_clip: Path) -> None:
    """After kill -9 in the middle nothing counts, and the next run, on other labels, is whole."""
    before = history.rows()
    done = subprocess.run(
        [sys.executable, "-c", KILLED, os.fspath(history.path.parent), os.fspath(tiny_clip)],
        cwd=Path(__file__).parents[1],
        check=False,
        timeout=30,
    )
    assert done.returncode == -signal.SIGKILL
    assert history.count("observation") > COUNT
    assert history.rows() == before
    assert [one.state for one in judgements(history)] == [State.PREPARING]
    plan = history.relabel(history.classifier(vocabulary("wren")))
    assert moved_from(before, history) == plan.changed
    assert [one.state for one in judgements(history)] == [State.IN_FORCE, State.UNDONE]


@pytest.mark.usefixtures("small_windows")
def test_a_frame_logged_meanwhile_keeps_its_verdict(history: History) -> None:
    """The daemon writes between the steps, on the labels it has, and what it says counts."""
    old, new = history.classifier(), history.classifier(vocabulary("robin"))
    logged: dict[int, Verdict] = {}

    def daemon(done: int, of: int) -> None:
        ids = history.log(old, 5, seed=done)
        logged.update({one: history.verdicts()[one] for one in ids})

    plan = history.relabel(new, progress=daemon)
    assert plan.frames == COUNT
    assert len(logged) == 25
    assert "robin" in {said.label for said in logged.values()}
    after = history.verdicts()
    assert {one: after[one] for one in logged} == logged


def test_a_person_who_corrects_meanwhile_is_right(history: History) -> None:
    """A correction made while the history is judged counts, whichever row came last."""
    robin = next(one for one, said in history.verdicts().items() if said.label == "robin")

    def correct(done: int, of: int) -> None:
        history.correct(robin, Label("siskin", Kind.BIRD))

    history.relabel(history.classifier(vocabulary("robin")), progress=correct)
    assert history.verdicts()[robin].label == "siskin"


def test_one_program_judges_at_a_time(history: History) -> None:
    """A second one is told to wait; the first's end lets it in."""
    with (
        sole_judge(history.path),
        pytest.raises(LogbookError, match="Another program"),
        sole_judge(history.path, patience=0),
    ):
        pass
    with sole_judge(history.path):
        pass


def test_rows_are_written_a_few_at_a_time(
    history: History, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No transaction is longer than a batch, so that the daemon's never waits long."""
    sizes = []
    observe = JudgementLog.observe

    def watched(self: JudgementLog, number: int, rows: list[object]) -> None:
        sizes.append(len(rows))
        observe(self, number, rows)  # type: ignore[arg-type]

    monkeypatch.setattr(JudgementLog, "observe", watched)
    monkeypatch.setattr("feeder.relabel.BATCH", 16)
    plan = history.relabel(history.classifier(vocabulary("robin", "wren", "jay")))
    assert sum(sizes) == plan.changed > 16
    assert max(sizes) == 16
    assert BATCH <= 1000


def test_verdicts_of_another_model_are_told_apart(
    history: History, other_clip: Path, time: FakeClock
) -> None:
    """Frames that only another model has seen are counted, and left as they are."""
    before = history.rows()
    other = History(history.path.parent, other_clip, time.clock)
    plan = other.relabel(other.classifier(vocabulary("robin")))
    assert (plan.frames, plan.elsewhere) == (0, COUNT)
    assert history.rows() == before
    other.close()
    with VerdictLog(history.path, history.classifier().bundle.digest, Scope()) as log:
        assert log.only_other_models() == 0


def test_a_daemon_at_work_goes_on(feeder: FeederProcess, tiny_clip: Path) -> None:
    """While frames arrive the history is judged again and again: none is lost or held up."""
    feeder.start()
    for number in range(3):
        picture(feeder.folder / f"first{number}.jpg", number)
    feeder.until(lambda: len(feeder.files()) == 3)
    labels = choose_vocabulary(Bundle.open(tiny_clip), None, [shipped_models() / "vocabularies"])
    for number in range(8):
        picture(feeder.folder / f"then{number}.jpg", 50 + number)
        fewer = replace(labels, labels=labels.labels[number * 10 :])
        classifier = Classifier(Bundle.open(tiny_clip), fewer, threads=1, lazy=True)
        cache = feeder.config.parent / "cache"
        with JudgementLog.open(feeder.database) as opened:
            relabel(feeder.database, cache, classifier, Scope(), opened)
    feeder.until(lambda: len(feeder.files()) == 11)
    assert feeder.stop() == 0
    assert "waiting for" not in feeder.said()
    assert len(list(LogReader(feeder.database).sightings(Query(every_frame=True)))) == 11
