"""The starter in the place of a configured model that is refused."""

import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from feeder import bundle as bundles
from feeder import label_embeddings, region
from feeder.bundle import Bundle, shipped_models
from feeder.classifier import Classifier
from feeder.cli.wiring import open_attributes, open_vocabulary
from feeder.config import Settings
from feeder.daemon import Station
from feeder.errors import BundleError, FeederError, VocabularyError
from feeder.label_embeddings import is_negative
from feeder.vocabulary import Vocabulary

log = logging.getLogger("feeder.model")

_WAITING = "Frames wait in their folder meanwhile; none is lost."


def open_station_somehow(settings: Settings, load: Callable[..., Station]) -> Station:
    """The configured station, or one on the starter where the configured model is refused.

    `load` is `open_station` with all but its settings and classifier given. Raises BundleError
    where the starter is the one configured, or is refused too.
    """
    try:
        return load(settings)
    except BundleError as refused:
        starter = _starter(settings)
        if starter is None:
            raise BundleError(str(refused), f"{refused.hint} {_WAITING}".strip()) from refused
        try:
            classifier = _classifier(settings, Bundle.open(starter))
        except FeederError as error:
            said = f"{refused} The starter cannot stand in for it: {error}"
            raise BundleError(said, f"{refused.hint} {_WAITING}".strip()) from error
        name = settings.bundle_name
        log.error(
            "the starter stands in for the model %s, which is refused: %s %s",
            *(name, refused, refused.hint),
        )
        station = load(settings, classifier=classifier)
        station.stands_in = True
        station.notice = f"starter stands in; the model {name} is refused: {refused}"
        return station


def outlook(settings: Settings) -> str:
    """What a daemon does while the configured model is refused, in a sentence."""
    starter = _starter(settings)
    try:
        if starter is not None:
            Bundle.open(starter).verify()
            return "The starter stands in for it meanwhile."
    except BundleError as error:
        return f"The starter cannot stand in for it: {error}"
    return "The daemon does not start without it."


def _starter(settings: Settings) -> Path | None:
    """The shipped starter's folder; None where that is the configured model."""
    starter = shipped_models() / "starter"
    try:
        configured = bundles.find(settings.bundle_name, settings.model_folders)
    except BundleError:
        # Nothing was found of that name; the shipped starter may be what is not there.
        return starter if settings.bundle_name != starter.name else None
    return None if configured.resolve() == starter.resolve() else starter


def _classifier(settings: Settings, starter: Bundle) -> Classifier:
    """The starter as its makers set it: thresholds and precision were chosen for another model."""
    return Classifier(
        starter,
        _vocabulary(settings, starter),
        cache=settings.cache,
        threads=settings.model.threads,
        localities=region.localities(settings),
        attributes=open_attributes(settings),
    )


def _vocabulary(settings: Settings, starter: Bundle) -> Vocabulary:
    """The configured vocabulary less what the starter cannot know, or else its own labels.

    A label to be learnt from its name is left out here, as one of a shipped list would be.
    """
    try:
        chosen = replace(open_vocabulary(settings, starter), own=frozenset())
        labels = label_embeddings.embed(chosen, starter, None).labels
    except VocabularyError as error:
        log.warning("the starter goes by its own labels: %s", error)
    else:
        if not all(map(is_negative, labels)):
            return chosen
        log.warning("the starter goes by its own labels: it knows no bird of %r", chosen.title)
    return label_embeddings.bundle_labels(starter)
