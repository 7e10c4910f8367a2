"""What a person decides about a frame that waits for them, and how it enters the log."""

from collections.abc import Sequence
from datetime import datetime

from feeder import corrections
from feeder.corrections import Answer
from feeder.domain import UNIDENTIFIED_BIRD, ObservationType
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog
from feeder.review_log import ReviewLog, Waiting, Why
from feeder.vocabulary import Vocabulary


def waiting(
    log: ReviewLog,
    vocabulary: Vocabulary,
    since: datetime,
    deployment: str | None = None,
    *,
    uncertain: int = 0,
) -> list[Waiting]:
    """What a person is asked about: new species, those since an instant that are rare, and so
    many of the least certain sightings since then."""
    found = log.new_species(deployment, no_species(vocabulary))
    new = {(one.deployment, one.shown) for one in found}
    found += [one for one in log.rare(since, deployment) if (one.deployment, one.shown) not in new]
    asked = {one.media_id for one in found}
    doubtful = log.uncertain(since, uncertain, deployment) if uncertain else []
    return found + [one for one in doubtful if one.media_id not in asked]


def confirmed(waiting: Waiting) -> Answer:
    """That the verdict in force is right. Raises FeederError where the frame was never judged."""
    verdict, label = waiting.observation_type, waiting.label
    if verdict is ObservationType.UNCLASSIFIED:
        raise FeederError(
            f"Frame {waiting.media_id} was not judged, so there is nothing to confirm:"
            f" {waiting.reason}.",
            "`feeder review correct ID --species NAME` says what it shows.",
        )
    if label is not None and Answer.of(label).observation_type is not verdict:
        label = None  # the best label of a frame that was given no name
    return Answer(verdict, label)


def no_species(vocabulary: Vocabulary) -> frozenset[str]:
    """The names of labels that stand for no species, and of those that were blocked.

    Groups and birds of whatever species can be no first of their kind.
    """
    spuhs = [label.name for label in vocabulary.labels if label.is_any_bird]
    groups = [group.label.name for group in vocabulary.groups]
    return frozenset({UNIDENTIFIED_BIRD.name, *spuhs, *groups, *vocabulary.blocked})


def record(
    log: JudgementLog, answer: Answer, media_ids: Sequence[int], *, person: str, why: Why
) -> int:
    """Logs an answer about frames, in force at once; the judgement's id, to undo it by.

    `why` is kept in its settings: calibration counts on frames that were drawn at random.
    """
    frames = f"frame {media_ids[0]}" if len(media_ids) == 1 else f"{len(media_ids)} frames"
    return corrections.record(
        log,
        answer,
        {f"reviewed: {answer.words}": media_ids},
        person=person,
        description=f"{frames}: {answer.words}",
        settings={"review": why.value},
    )
