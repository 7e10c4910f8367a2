"""Settings -> the objects that do the work."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

from filelock import FileLock, Timeout

from feeder import config
from feeder.backup import Backups
from feeder.classifier import Classifier
from feeder.cli import DEFAULT_CONFIG
from feeder.config import Settings
from feeder.daemon import Station
from feeder.decoder_process import DecoderProcess
from feeder.domain import SettledPath
from feeder.errors import ConfigError, LogbookError
from feeder.frames import FrameReader
from feeder.inbox import Inbox
from feeder.log_care import LogCare
from feeder.logbook import Logbook
from feeder.opening import open_attributes as open_attributes
from feeder.opening import open_bundle as open_bundle
from feeder.opening import open_classifier as open_classifier
from feeder.opening import open_vocabulary as open_vocabulary
from feeder.reserve import Reserve


def open_backups(settings: Settings) -> Backups:
    """The log's backups, wherever the settings put them."""
    return Backups(settings.database, settings.backups, settings.backup.keep)


def open_care(settings: Settings) -> LogCare:
    """What looks after the log while the daemon runs."""
    database, hours = settings.database, settings.backup.every_hours
    command = [sys.executable, "-m", "feeder", "--config", str(settings.path), "backup"]
    return LogCare(
        backups=open_backups(settings),
        reserve=Reserve(
            database.with_name(f"{database.name}.reserve"),
            int(settings.logbook.reserve_megabytes * 1e6),
        ),
        every=timedelta(hours=hours),
        backup_command=command if hours else None,
    )


@contextmanager
def sole_writer(settings: Settings) -> Iterator[None]:
    """Held by the one program that may log frames or replace the log; LogbookError for a second."""
    database = settings.database
    lock = FileLock(database.with_name(f"{database.name}.lock"))
    try:
        held = lock.acquire(timeout=0)
    except Timeout:
        raise LogbookError(
            f"Another feeder already writes to {database}.",
            "Stop it first (`systemctl --user stop feeder`, without --user where root installed "
            "it), or give this one a log of its own.",
        ) from None
    with held:
        yield


def open_station(
    settings: Settings,
    logbook: Logbook,
    classifier: Classifier | None = None,
    *,
    on_recorded: Callable[[SettledPath], None] | None = None,
) -> Station:
    """Everything the daemon runs on, with folders made where they belong to this config.

    `classifier` stands in for the configured one; `on_recorded` is the inbox's.
    """
    folders = [deployment.folder for deployment in settings.deployments]
    if settings.retention.after == "archive":
        folders.append(settings.archive)
    for folder in folders:
        # A folder elsewhere may be a mount that is not there yet; making it would hide that.
        if folder.is_relative_to(settings.path.parent):
            _make_folder(folder)
    classifier = classifier or open_classifier(settings)
    return Station(
        settings=settings,
        care=open_care(settings),
        inbox=Inbox(
            settings.deployments,
            settings.inbox,
            logbook.has_path,
            are_recorded=logbook.has_paths,
            on_recorded=on_recorded,
        ),
        reader=open_reader(settings, classifier),
        classifier=classifier,
    )


def open_reader(settings: Settings, classifier: Classifier) -> FrameReader:
    """What reads and decodes pictures for this classifier."""
    limits = settings.frames
    return FrameReader(
        DecoderProcess(max_pixels=int(limits.max_megapixels * 1e6), timeout=limits.decode_seconds),
        max_bytes=int(limits.max_megabytes * 1e6),
        min_edge=classifier.min_edge,
    )


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError:
        raise ConfigError(
            f"The folder {folder} is a file.",
            "Name a folder under [[deployment]], or as `archive` under [retention].",
        ) from None


def load_or_default(path: Path) -> Settings:
    """The settings at `path`; where there is no such file, those of a fresh one.

    For commands that need no deployment: `feeder classify` works before `feeder init`.
    """
    if path.exists() or path != Path(DEFAULT_CONFIG):
        return config.load(path)
    return config.parse(config.fresh(), path.absolute())
