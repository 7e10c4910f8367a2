"""Settings -> the objects that do the work."""

from pathlib import Path

from feeder import bundle as bundles
from feeder import config
from feeder.bundle import Bundle
from feeder.classifier import Classifier, choose_vocabulary
from feeder.cli import DEFAULT_CONFIG
from feeder.config import Settings
from feeder.daemon import Station
from feeder.decoder_process import DecoderProcess
from feeder.errors import ConfigError
from feeder.frames import FrameReader
from feeder.inbox import Inbox
from feeder.logbook import Logbook
from feeder.vocabulary import Vocabulary


def open_bundle(settings: Settings, name: str | None = None) -> Bundle:
    """The configured bundle, or the one called `name`."""
    folders = settings.model_folders
    return Bundle.open(bundles.find(name or settings.bundle_name, folders))


def open_vocabulary(
    settings: Settings, bundle: Bundle, name: str | None = None, *, own: bool = True
) -> Vocabulary:
    """The configured vocabulary, or the one called `name`, with the user's own labels or not."""
    return choose_vocabulary(
        bundle,
        name or settings.vocabulary_name,
        settings.vocabulary_folders,
        settings.own_labels if own else None,
    )


def open_classifier(
    settings: Settings, model: str | None = None, vocabulary: str | None = None, top: int = 5
) -> Classifier:
    """The configured classifier; `model` and `vocabulary` stand in for the configured ones."""
    bundle = open_bundle(settings, model)
    return Classifier(
        bundle,
        open_vocabulary(settings, bundle, vocabulary),
        cache=settings.cache,
        precision=settings.model.precision,
        threads=settings.model.threads,
        thresholds=settings.thresholds.over(bundle.manifest.thresholds),
        top=top,
    )


def open_station(settings: Settings, logbook: Logbook) -> Station:
    """Everything the daemon runs on, with drop folders made where they belong to this config."""
    for deployment in settings.deployments:
        # A folder elsewhere may be a mount that is not there yet; making it would hide that.
        if deployment.folder.is_relative_to(settings.path.parent):
            _make_folder(deployment.folder)
    classifier = open_classifier(settings)
    limits = settings.frames
    return Station(
        settings=settings,
        inbox=Inbox(
            settings.deployments,
            settings.inbox,
            logbook.has_path,
            are_recorded=logbook.has_paths,
        ),
        reader=FrameReader(
            DecoderProcess(
                max_pixels=int(limits.max_megapixels * 1e6), timeout=limits.decode_seconds
            ),
            max_bytes=int(limits.max_megabytes * 1e6),
            min_edge=classifier.min_edge,
        ),
        classifier=classifier,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(
            f"The drop folder {folder} is a file.", "Name a folder under [[deployment]]."
        ) from None


def load_or_default(path: Path) -> Settings:
    """The settings at `path`; where there is no such file, those of a fresh one.

    For commands that need no deployment: `feeder classify` works before `feeder init`.
    """
    if path.exists() or path != Path(DEFAULT_CONFIG):
        return config.load(path)
    return config.parse(config.fresh(), path.absolute())
