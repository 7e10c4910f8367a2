"""The history judged again for good: a judgement that comes into force at its end, or not at all.

Who stops in the middle, by Ctrl-C or kill -9, leaves the log saying what it said. What was begun
counts for nothing then, and the next begins anew: labels may have changed in between.
"""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from feeder.classifier import Classifier
from feeder.domain import Prediction
from feeder.embedding_store import EmbeddingStore
from feeder.errors import FeederError, LogbookError
from feeder.judge_again import Plan, Window, judge_again, predictions
from feeder.judgement_log import Judgement, JudgementLog, State, What
from feeder.verdict_log import Scope, VerdictLog

BATCH = 1000
"""Rows written in one transaction: the daemon waits for its own only as long as that takes."""

PATIENCE_SECONDS = 5.0
"""The daemon shows a new model old pictures for half a second at a time, and rests in between."""

BY_MACHINE = (What.RELABEL, What.MODEL)

Progress = Callable[[int, int], None]
"""Told how many frames are done, of how many."""


@contextmanager
def sole_judge(database: Path, patience: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Held by the one program that judges the history again, or shows it to a new model.

    Raises LogbookError where another one does so for `patience` seconds.
    """
    if not database.exists():
        raise LogbookError(f"There is no log at {database} yet.", "`feeder run` starts one.")
    lock = FileLock(database.with_name(f"{database.name}.judging.lock"))
    try:
        held = lock.acquire(timeout=patience)
    except Timeout:
        raise LogbookError(
            "Another program is judging the history again just now.", "Wait until it is done."
        ) from None
    with held:
        yield


def preview(
    database: Path,
    cache: Path,
    classifier: Classifier,
    scope: Scope,
    progress: Progress = lambda done, of: None,
) -> Plan:
    """What judging the history again would change. Nothing but the cache is written."""
    plan = Plan()
    with VerdictLog(database, classifier.bundle.digest, scope) as log:
        plan.elsewhere = log.only_other_models()
        store = EmbeddingStore.open(database, classifier.bundle.digest, cache)
        for window in judge_again(classifier, store, log):
            plan.add(window, log.verdicts)
            progress(window.last, len(store))
    return plan


def relabel(
    database: Path,
    cache: Path,
    classifier: Classifier,
    scope: Scope,
    judgements: JudgementLog,
    *,
    what: What = What.RELABEL,
    progress: Progress = lambda done, of: None,
) -> Plan:
    """Judges the history again; the new verdicts count at once when all are in the log.

    A relabel writes those that change, a model every one that it gives, so that the log says who
    gave it. Nothing is begun where there is nothing to write. Call it as the sole judge.
    """
    plan = Plan()
    earlier = _unfinished(judgements, what, classifier.bundle.digest)
    number: int | None = None
    try:
        with VerdictLog(database, classifier.bundle.digest, scope) as log:
            plan.elsewhere = log.only_other_models()
            store = EmbeddingStore.open(database, classifier.bundle.digest, cache)
            for window in judge_again(classifier, store, log, every=what is What.MODEL):
                plan.add(window, log.verdicts)
                for batch in _batches(classifier, log, window):
                    if number is None:
                        number = _begin(judgements, classifier, scope, what)
                    judgements.observe(number, batch)
                progress(window.last, len(store))
        if number is not None:
            judgements.put_in_force(number, plan.frames)
    except BaseException:
        if number is not None:
            with contextlib.suppress(FeederError):  # it does not count anyway
                judgements.undo(number)
        raise
    for one in earlier:
        judgements.undo(one.judgement_id)
    return plan


def announce(judgements: JudgementLog, classifier: Classifier) -> None:
    """Notes that a new model has seen old pictures, which are to be judged when it has seen all.

    The note is a judgement without a verdict that never comes into force; another ends it.
    """
    if not is_announced(judgements, classifier.bundle.digest):
        _begin(judgements, classifier, Scope(), What.MODEL)


def is_announced(judgements: JudgementLog, model_digest: str) -> bool:
    """Whether frames that a new model has seen wait to be judged, or their judging broke off."""
    return bool(_unfinished(judgements, What.MODEL, model_digest))


def newest_in_force(judgements: JudgementLog) -> Judgement:
    """The newest relabel or change of model that counts. LogbookError where there is none.

    Only that can be undone: each was made of what the log said after those before it.
    """
    in_force = judgements.judgements(*BY_MACHINE, state=State.IN_FORCE)
    if not in_force:
        raise LogbookError(
            "There is nothing to undo: no judgement of the history is in force.",
            "`feeder relabel --list` shows those there were.",
        )
    return in_force[0]


def _unfinished(judgements: JudgementLog, what: What, model_digest: str) -> list[Judgement]:
    """What was announced or broke off; a change to another model may still come to its end."""
    found = judgements.judgements(what, state=State.PREPARING)
    if what is What.MODEL:
        return [one for one in found if one.settings.get("model") == model_digest]
    return found


def _begin(judgements: JudgementLog, classifier: Classifier, scope: Scope, what: What) -> int:
    bundle, vocabulary = classifier.bundle, classifier.embeddings.digest
    judgements.observations.register_model(bundle.digest, bundle.manifest.name)
    judgements.observations.register_vocabulary(vocabulary, classifier.labels)
    description = f"on {len(classifier.labels)} labels"
    if what is What.MODEL:
        description = f"by the model {bundle.manifest.name}, {description}"
    if scope.deployment is not None:
        description += f", {scope.deployment}"
    for word, instant in (("from", scope.since), ("until", scope.until)):
        if instant is not None:
            description += f", {word} {instant:%Y-%m-%d %H:%M} UTC"
    return judgements.begin(
        what,
        description,
        made_by=bundle.manifest.name,
        settings={"model": bundle.digest, "thresholds": classifier.thresholds.model_dump()},
        model_digest=bundle.digest,
        vocabulary_digest=vocabulary,
    )


def _batches(
    classifier: Classifier, log: VerdictLog, window: Window
) -> Iterator[list[tuple[int, Prediction]]]:
    """The window's new verdicts, so many at a time."""
    batch: list[tuple[int, Prediction]] = []
    for judged in window.judged:
        for row in predictions(classifier, log, judged):
            batch.append(row)
            if len(batch) == BATCH:
                yield batch
                batch = []
    if batch:
        yield batch
