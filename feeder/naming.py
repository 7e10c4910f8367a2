"""What a person may call a frame."""

from feeder import own_labels
from feeder.config import Settings
from feeder.correction_log import CorrectionLog
from feeder.corrections import known_labels
from feeder.domain import Label
from feeder.errors import FeederError
from feeder.opening import open_bundle, open_vocabulary
from feeder.vocabulary import Vocabulary, names


def given_labels(settings: Settings, chosen: Vocabulary) -> list[Label]:
    """What people have called frames that is no label of the vocabulary."""
    if not settings.database.exists():
        return []
    given = CorrectionLog(settings.database).names()
    return [label for label in given if chosen.find(label.name) is None]


def every_label(settings: Settings) -> Vocabulary:
    """The vocabulary with whatever else people may say, or have said before."""
    bundle = open_bundle(settings)
    given = CorrectionLog(settings.database).names()
    return known_labels(open_vocabulary(settings, bundle), bundle, given)


def new_label(label: Label, known: Vocabulary) -> Label:
    """A label that --new makes; that of its name where there is one already.

    Raises FeederError where one of its names is another's: the two would be taken for one.
    """
    own_labels.check_name(label.name)
    for name in names(label):
        taken = known.find(name)
        if taken is not None and taken.name != label.name:
            raise FeederError(
                f"{name!r} is {taken.name!r} already.",
                "Leave out --new; to tell an individual apart, leave out its species' names.",
            )
    return known.find(label.name) or label
