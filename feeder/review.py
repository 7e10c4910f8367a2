"""What a person decides about a frame that waits for them, and how it enters the log."""

from collections.abc import Sequence
from dataclasses import dataclass

from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType
from feeder.errors import FeederError
from feeder.judgement_log import JudgementLog, What
from feeder.review_log import Waiting, Why
from feeder.vocabulary import Vocabulary

ROWS = 500
"""Observations written in one transaction."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person says that a frame shows; `said` puts it in words for the log."""

    observation_type: ObservationType
    label: Label | None
    said: str


UNKNOWN = Decision(ObservationType.UNKNOWN, None, "cannot be told")
NOT_A_BIRD = Decision(ObservationType.BLANK, None, "no bird")


def confirmed(waiting: Waiting) -> Decision:
    """That the verdict in force is right. Raises FeederError where the frame was never judged."""
    verdict, label = waiting.observation_type, waiting.label
    if verdict is ObservationType.UNCLASSIFIED:
        raise FeederError(
            f"Frame {waiting.media_id} was not judged, so there is nothing to confirm:"
            f" {waiting.reason}.",
            "`feeder review correct ID --species NAME` says what it shows.",
        )
    if label is not None and _verdict_of(label) is not verdict:
        label = None  # the best label of a frame that was given no name
    return Decision(verdict, label, f"{label.name if label else verdict.value} confirmed")


def corrected(label: Label) -> Decision:
    """That a frame shows `label`."""
    return Decision(_verdict_of(label), label, label.name)


def no_species(vocabulary: Vocabulary) -> frozenset[str]:
    """The names of labels that stand for no species, and of those that were blocked.

    Groups and birds of whatever species can be no first of their kind.
    """
    spuhs = [label.name for label in vocabulary.labels if label.is_any_bird]
    groups = [group.label.name for group in vocabulary.groups]
    return frozenset({UNIDENTIFIED_BIRD.name, *spuhs, *groups, *vocabulary.blocked})


def record(
    log: JudgementLog, decision: Decision, media_ids: Sequence[int], *, person: str, why: Why
) -> int:
    """Logs a decision about frames, in force at once; the judgement's id, to undo it by.

    `why` is kept in its settings: calibration counts on frames that were drawn at random.
    """
    frames = f"frame {media_ids[0]}" if len(media_ids) == 1 else f"{len(media_ids)} frames"
    judgement_id = log.begin(
        What.CORRECTION,
        f"{frames}: {decision.said}",
        made_by=person,
        settings={"review": why.value},
    )
    for start in range(0, len(media_ids), ROWS):  # the daemon gets its turn between them
        log.observe_as_person(
            judgement_id,
            media_ids[start : start + ROWS],
            decision.observation_type,
            decision.label,
            person=person,
            reason=f"reviewed: {decision.said}",
        )
    log.put_in_force(judgement_id, len(media_ids))
    return judgement_id


def _verdict_of(label: Label) -> ObservationType:
    match label.kind:
        case Kind.BLANK:
            return ObservationType.BLANK
        case Kind.HUMAN:
            return ObservationType.HUMAN
        case _:
            return ObservationType.ANIMAL
