"""What people say of frames, kept beside what the machine said: made, listed, undone."""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from feeder import label_embeddings
from feeder.bundle import Bundle
from feeder.correction_log import Shown
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType
from feeder.errors import FeederError
from feeder.judgement_log import Judgement, JudgementLog, State, What
from feeder.lessons import NOTHING_THERE
from feeder.vocabulary import Vocabulary, names, spelling

ROWS = 500
"""Observations written in one transaction."""

_TYPES = {
    Kind.BIRD: ObservationType.ANIMAL,
    Kind.MAMMAL: ObservationType.ANIMAL,
    Kind.HUMAN: ObservationType.HUMAN,
    Kind.BLANK: ObservationType.BLANK,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person says that a frame shows; `label` is None for what the person cannot name."""

    observation_type: ObservationType
    label: Label | None

    @classmethod
    def of(cls, label: Label) -> "Answer":
        """That it shows what the label names."""
        return cls(_TYPES[label.kind], label)

    @property
    def words(self) -> str:
        """What is shown to people."""
        return self.label.name if self.label else self.observation_type.value

    def is_said_of(self, frame: Shown) -> bool:
        """Whether the log says the same already."""
        name = self.label.name if self.label else None
        same = frame.observation_type is self.observation_type
        # The machine's label of a blank is the best guess at why, and no part of what it says.
        return same and (frame.label == name or not _names_something(self.observation_type))


NOT_A_BIRD = Answer.of(NOTHING_THERE)
"""Camtrap DP's `blank`: nothing of interest is there."""

UNKNOWN = Answer(ObservationType.UNKNOWN, None)
"""Something is there, and the person cannot tell what."""


def known_labels(vocabulary: Vocabulary, bundle: Bundle, given: Iterable[Label]) -> Vocabulary:
    """`vocabulary` with whatever else a frame may be called.

    That is its groups, an unidentified bird, what the bundle can tell besides the vocabulary, and
    the labels that people have `given` before.
    """
    labels = [*vocabulary.labels, *(group.label for group in vocabulary.groups), UNIDENTIFIED_BIRD]
    if bundle.manifest.labels is not None:
        own = label_embeddings.bundle_labels(bundle).labels
        labels += filter(label_embeddings.is_negative, own)
    found: list[Label] = []
    taken: set[str] = set()
    for label in [*labels, *given]:
        if spelling(label.name) not in taken:
            found.append(label)
            taken.update(map(spelling, names(label)))
    return replace(vocabulary, labels=tuple(found))


def find(name: str, known: Vocabulary) -> Label:
    """The label called `name`, by any of its names.

    Raises FeederError with the nearest names where there is none.
    """
    label = known.find(name)
    if label is None:
        words, every = set(spelling(name).split()), [one.name for one in known.labels]
        # A squirrel of whatever species is a "squirrel" to many vocabularies.
        near = [one for one in every if set(spelling(one).split()) <= words]
        near = near or difflib.get_close_matches(name.title(), every, n=3)
        said = f" Did you mean {' or '.join(map(repr, near))}?" if near else ""
        raise FeederError(
            f"There is no label {name!r}.{said}",
            "`feeder labels list` shows the names; --new makes this one a label.",
        )
    return label


def counts(frames: Sequence[Shown]) -> list[tuple[str, int]]:
    """What the log says of these frames now, and how often, the most frequent first."""
    return Counter(frame.words for frame in frames).most_common()


def correct(
    log: JudgementLog, frames: Sequence[Shown], answer: Answer, *, person: str, note: str = ""
) -> int:
    """Keeps what `person` says of all these frames, as one judgement; returns its number.

    What the log says already is confirmed, which counts as the person's word, too. The reason kept
    is `note`, else what was said before.
    """
    before = ", ".join(f"{count} {words}" for words, count in counts(frames))
    description = f"{before} -> {answer.words}" + (f": {note}" if note else "")
    reasons: dict[str, list[int]] = {}
    for frame in frames:
        said = "confirmed" if answer.is_said_of(frame) else f"was {frame.words}"
        reasons.setdefault(note or said, []).append(frame.media_id)
    return record(log, answer, reasons, person=person, description=description)


def record(
    log: JudgementLog,
    answer: Answer,
    reasons: Mapping[str, Sequence[int]],
    *,
    person: str,
    description: str,
    settings: Mapping[str, Any] | None = None,
) -> int:
    """Keeps an answer as one judgement, all of it in force at once; returns its number.

    `reasons` are the frames' media ids by the reason kept with them. What the log said before
    stays in it.
    """
    number = log.begin(What.CORRECTION, description, made_by=person, settings=settings)
    for reason, media_ids in reasons.items():
        for start in range(0, len(media_ids), ROWS):  # the daemon gets its turn between them
            log.observe_as_person(
                number,
                media_ids[start : start + ROWS],
                answer.observation_type,
                answer.label,
                person=person,
                reason=reason,
            )
    log.put_in_force(number, sum(map(len, reasons.values())))
    return number


def undo(log: JudgementLog, number: int | None = None) -> Judgement:
    """Takes back the correction of that number, or the newest; returns what it was.

    Raises FeederError where there is none, or it was taken back before.
    """
    made = log.judgements(What.CORRECTION)
    chosen = [
        one
        for one in made
        if (one.judgement_id == number if number else one.state is State.IN_FORCE)
    ]
    hint = "`feeder correct --list` shows them."
    if not chosen:
        said = f"There is no correction {number}." if number else "There is no correction to undo."
        raise FeederError(said, hint)
    if chosen[0].state is not State.IN_FORCE:
        raise FeederError(f"Correction {number} is not in force.", hint)
    log.undo(chosen[0].judgement_id)
    return chosen[0]


def _names_something(kind: ObservationType) -> bool:
    return kind in (ObservationType.ANIMAL, ObservationType.HUMAN)
