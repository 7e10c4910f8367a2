"""Settings -> the model, its labels and what judges with them."""

from contextlib import suppress

from feeder import attributes, calibration_file, region
from feeder import bundle as bundles
from feeder.attributes import Attribute
from feeder.bundle import Bundle, Thresholds
from feeder.classifier import Classifier, choose_vocabulary
from feeder.config import Settings
from feeder.correction_log import CorrectionLog
from feeder.errors import LogbookError
from feeder.lessons import lessons
from feeder.vocabulary import Vocabulary, with_text_negatives


def open_bundle(settings: Settings, name: str | None = None) -> Bundle:
    """The configured bundle, or the one called `name`."""
    folders = settings.model_folders
    return Bundle.open(bundles.find(name or settings.bundle_name, folders))


def open_vocabulary(
    settings: Settings, bundle: Bundle, name: str | None = None, *, own: bool = True
) -> Vocabulary:
    """The configured vocabulary, or the one called `name`, with the user's own labels or not."""
    chosen = choose_vocabulary(
        bundle,
        name or settings.vocabulary_name,
        settings.vocabulary_folders,
        settings.own_labels if own else None,
    )
    if settings.model.text_negatives and own and bundle.manifest.text is not None:
        return with_text_negatives(chosen)
    return chosen


def open_classifier(
    settings: Settings,
    model: str | None = None,
    vocabulary: str | Vocabulary | None = None,
    top: int = 5,
    *,
    lazy: bool = False,
) -> Classifier:
    """The configured classifier; `model` and `vocabulary` stand in for the configured ones.

    A `lazy` one, for judging embeddings, loads no image encoder before it sees a picture.
    """
    bundle = open_bundle(settings, model)
    teaches = not isinstance(vocabulary, str)
    if not isinstance(vocabulary, Vocabulary):
        vocabulary = open_vocabulary(settings, bundle, vocabulary)
    classifier = Classifier(
        bundle,
        vocabulary,
        cache=settings.cache,
        precision=settings.model.precision,
        threads=settings.model.threads,
        thresholds=settings.thresholds.over(bundle.manifest.thresholds),
        calibrated=_calibrated(settings, bundle),
        top=top,
        attributes=open_attributes(settings),
        localities=region.localities(settings),
        lazy=lazy,
    )
    if teaches and settings.model.learn_from_corrections and settings.database.exists():
        # A log that cannot be read keeps nobody from naming a picture; the daemon looks again.
        with suppress(LogbookError):
            classifier.teach(lessons(CorrectionLog(settings.database).told(bundle.digest)))
    return classifier


def open_attributes(settings: Settings) -> tuple[Attribute, ...]:
    """The configured attributes, with the user's own."""
    return attributes.read(
        settings.attributes.use, settings.attribute_folders, settings.own_attributes
    )


def _calibrated(settings: Settings, bundle: Bundle) -> dict[str, tuple[Thresholds, float]]:
    """What was found for each camera with this model; the configured thresholds win over it."""
    graph = bundle.graph_file(bundle.manifest.image, settings.model.precision)
    cameras = [one.name for one in settings.deployments]
    found = calibration_file.of(settings.calibration, bundle.digest, graph, cameras)
    return {
        camera: (settings.thresholds.over(one.thresholds), one.temperature)
        for camera, one in found.items()
    }
