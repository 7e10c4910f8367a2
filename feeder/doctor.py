"""What is wrong with a feeder, and how to mend it."""

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

from feeder import region
from feeder.alerts import checkup as alerts_checkup
from feeder.backup import Backups
from feeder.check import Check as Check
from feeder.check import is_open_to_others
from feeder.clock import Clock, to_local
from feeder.config import Settings
from feeder.deployment_log import unmatched
from feeder.domain import Deployment, Kind, KnownBy, Label
from feeder.errors import BundleError, FeederError
from feeder.inbox import must_poll
from feeder.log_reader import LogReader
from feeder.mounts import file_system
from feeder.mqtt.broker_link import access, try_once
from feeder.opening import open_bundle, open_classifier, open_vocabulary
from feeder.species_prior import expect
from feeder.system_time import awaits_synchronisation
from feeder.timekeeping import Timekeeper, installed_at
from feeder.watcher import watcher

LOW_DISK = 500_000_000
"""Bytes free below which a log and its pictures soon run out of room."""

EVENT_SECONDS = 3.0
BROKER_SECONDS = 5.0

OLD_BACKUP = 3
"""Intervals without a backup after which something is in its way."""


def examine(settings: Settings, try_model: Callable[[], str]) -> Iterator[Check]:
    """Looks at folders, watcher, model, database, disk, clock, MQTT and
    messages, one after the other.

    `try_model` loads the configured model and says what it is; FeederError where it cannot.
    """
    for deployment in settings.deployments:
        folder = _folder(deployment)
        yield folder
        if folder.well:
            yield _watcher(deployment, settings)
    yield from _retention(settings)
    yield _model(try_model)
    yield _database(settings)
    yield from _names(settings)
    yield _backup(settings)
    yield _disk(settings)
    yield _clock(settings)
    yield from _broker(settings)
    yield from alerts_checkup.examine(settings, whole=True)
    yield _platform()


def quick(settings: Settings) -> Iterator[Check]:
    """What of it takes no time: folders, cameras' names, backup, disk, clock and messages."""
    yield from map(_folder, settings.deployments)
    yield from _names(settings)
    yield _backup(settings)
    yield _disk(settings)
    yield _clock(settings)
    yield from alerts_checkup.examine(settings, whole=False)


def everything(settings: Settings, outlook: Callable[[Settings], str]) -> Iterator[Check]:
    """All that `feeder doctor` looks at, the model and the birds of the region included.

    `outlook` says in a sentence what a daemon does while the model is refused, "" for nothing.
    """
    yield Check("settings", True, str(settings.path))
    yield from examine(settings, lambda: _model_tried(settings, outlook))
    try:
        labels = open_vocabulary(settings, open_bundle(settings)).labels
    except FeederError:
        return  # the check of the model has said why
    yield from region_checks(settings, labels)


def _model_tried(settings: Settings, outlook: Callable[[Settings], str]) -> str:
    try:
        classifier = open_classifier(settings)
        classifier.bundle.verify()  # also what these settings do not load
    except BundleError as error:
        raise BundleError(f"{error} {outlook(settings)}".strip(), error.hint) from error
    manifest = classifier.bundle.manifest
    skipped = classifier.embeddings.skipped
    unknown = f", {len(skipped)} of the vocabulary unknown to it" if skipped else ""
    return f"{manifest.name}, {len(classifier.labels)} labels{unknown}, self-test passed"


def _folder(deployment: Deployment) -> Check:
    name, folder = f"folder ({deployment.name})", deployment.folder
    if not folder.is_dir():
        return Check(
            name,
            False,
            f"{folder} is not there",
            f"mkdir -p '{folder}', or mount what it is on; the daemon waits for it meanwhile",
        )
    if not os.access(folder, os.R_OK | os.X_OK):
        return Check(
            name,
            False,
            f"{folder} cannot be read by this user",
            f"sudo chmod a+rx '{folder}', or run the daemon as the user who owns it",
        )
    return Check(name, True, str(folder))


def region_checks(settings: Settings, labels: Sequence[Label]) -> Iterator[Check]:
    """Whether each deployment's list and bar chart can be read, and name what `labels` name.

    A deployment of whose birds nothing is known has no check.
    """
    for deployment in settings.deployments:
        name = f"region ({deployment.name})"
        try:
            place = region.locality(deployment, settings)
        except FeederError as error:
            yield Check(name, False, str(error), error.hint)
            continue
        if not place.source:
            continue
        listed = [one.name for one in place.listed or ()]
        unknown = region.unknown(listed, labels)
        wrong = [f"{one!r} ({meant}?)" for one, meant in region.misspelt(listed, labels)]
        ever = expect(place, labels).factors.max(axis=0) == 1
        birds = [ever[at] for at, label in enumerate(labels) if label.kind is Kind.BIRD]
        found = (
            f"by {place.source}: {sum(birds)} of {len(birds)} birds are expected in their season"
        )
        if unknown:
            found += f"; {len(unknown)} of its {len(listed)} names are not in the vocabulary"
        if wrong:
            mend = "write the names as `feeder labels list` does, or take them off the list"
            yield Check(name, False, f"{found}, perhaps misspelt: {', '.join(wrong)}", mend)
        elif not place.names_any(labels):
            mend = "use a list with English, scientific or eBird names of the vocabulary's birds"
            found = f"by {place.source}, which names no bird of the vocabulary"
            yield Check(name, False, found, mend)
        else:
            yield Check(name, True, found)


def _retention(settings: Settings) -> Iterator[Check]:
    """Whether pictures can be moved and deleted as [retention] says; nothing where it is off."""
    limits = settings.retention
    if limits.after == "archive":
        nearest = next(one for one in (settings.archive, *settings.archive.parents) if one.exists())
        belongs = settings.archive.is_relative_to(settings.path.parent)
        if not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
            mend = f"sudo chown $USER '{nearest}', or change `archive` under [retention]"
            yield Check("archive", False, f"{settings.archive} cannot be written to", mend)
        elif nearest != settings.archive and not belongs:
            mend = f"mkdir -p '{settings.archive}', or mount what it is on"
            yield Check("archive", False, f"{settings.archive} is not there", mend)
        else:
            yield Check("archive", True, str(settings.archive))
    if limits.after == "keep" and not limits.deletes:
        return
    for deployment in settings.deployments:
        folder = deployment.folder
        if folder.is_dir() and not os.access(folder, os.W_OK):
            found = f"{folder} is read-only for this user, so pictures stay in it"
            mend = f"sudo chown $USER '{folder}', or set `after = \"keep\"` and no limit"
            yield Check(f"retention ({deployment.name})", False, found, mend)


def _watcher(deployment: Deployment, settings: Settings) -> Check:
    """Makes a hidden file in the folder and waits for the event it should raise."""
    name, folder = f"watcher ({deployment.name})", deployment.folder
    kind = file_system(folder) or sys.platform
    if must_poll(folder, settings.inbox):
        seconds = settings.inbox.polling_seconds
        return Check(name, True, f"polling every {seconds:g} s, on {kind}")
    if not os.access(folder, os.W_OK):
        return Check(name, True, f"native, on {kind}; not tried, for the folder is read-only")
    seen = threading.Event()
    observer = watcher(os.fspath(folder), False, lambda path: seen.set(), lambda: None)
    probe = folder / f".feeder-doctor-{os.getpid()}"
    try:
        observer.start()
        probe.touch()
        arrived = seen.wait(EVENT_SECONDS)
    except OSError as error:
        return Check(
            name,
            False,
            f"cannot watch {folder}: {error.strerror}",
            "raise fs.inotify.max_user_watches with sysctl; until then the scan finds new files",
        )
    finally:
        probe.unlink(missing_ok=True)
        if observer.is_alive():
            observer.stop()
    if arrived:
        return Check(name, True, f"native, on {kind}")
    return Check(
        name,
        False,
        f"no event arrives from {folder}, on {kind}",
        'set watcher = "polling" under [inbox]',
    )


def _model(try_model: Callable[[], str]) -> Check:
    try:
        return Check("model", True, try_model())
    except FeederError as error:
        return Check("model", False, str(error), error.hint)


def _database(settings: Settings) -> Check:
    path = settings.database
    if not path.exists():
        nearest = next(folder for folder in path.parents if folder.exists())
        if os.access(nearest, os.W_OK):
            return Check("log", True, f"{path} is made at the first start")
        return Check(
            "log",
            False,
            f"{path} cannot be made",
            f"sudo chown $USER '{nearest}', or change [logbook]",
        )
    if not os.access(path, os.W_OK) or not os.access(path.parent, os.W_OK):
        return Check("log", False, f"{path} cannot be written", f"sudo chown $USER '{path}'*")
    try:
        reader = LogReader(path)
        problems, counted = reader.problems(), reader.count()
    except FeederError as error:
        return Check("log", False, str(error), error.hint)
    if problems:
        return Check(
            "log",
            False,
            f"{path} is damaged: {problems[0]}",
            "feeder restore puts the newest backup in its place",
        )
    frames = ", ".join(f"{count} {kind}" for kind, count in sorted(counted.items())) or "empty"
    return Check("log", True, f"{path} is sound: {frames}")


def _names(settings: Settings) -> Iterator[Check]:
    """Whether a camera may have got another name in the settings alone; else nothing."""
    found = unmatched(settings.database, [one.name for one in settings.deployments])
    if found.may_be_renamed:
        yield Check("deployments", False, str(found), found.mend)


def _backup(settings: Settings) -> Check:
    """Whether the newest copy of the log is as old as it may be."""
    copies = Backups(settings.database, settings.backups, settings.backup.keep)
    newest = next(iter(copies.listed()), None)
    hours = settings.backup.every_hours
    if not settings.database.exists() or (not hours and newest is None):
        return Check("backup", True, "none yet" if hours else "turned off")
    if newest is None:
        return Check("backup", True, f"none yet; the daemon makes one within {hours:g} hours")
    age = datetime.now(UTC) - newest.made_at
    found = f"{newest.path} is {age / timedelta(hours=1):.0f} hours old"
    if hours and age > OLD_BACKUP * timedelta(hours=hours) and not copies.is_current():
        return Check("backup", False, found, "feeder backup says what is in the way")
    return Check("backup", True, found)


def _disk(settings: Settings) -> Check:
    nearest = next(folder for folder in settings.database.parents if folder.exists())
    free = shutil.disk_usage(nearest).free
    found = f"{free / 1e9:.1f} GB free at {nearest}"
    if free < LOW_DISK:
        return Check("disk", False, found, "make room, or move the log to a larger disk")
    return Check("disk", True, found)


def _clock(settings: Settings) -> Check:
    """A clock behind the program's own files is wrong for certain; a Pi without a network is."""
    clock = Clock()
    try:
        epochs = LogReader(settings.database).epochs()
    except FeederError:  # no log yet, or an older release's
        epochs = []
    keeper = Timekeeper(clock, epochs, write=lambda epoch: None, is_quiet=True)
    known_by = keeper.look().known_by
    found = to_local(clock.now(), settings.deployments[0].zone).strftime("%Y-%m-%d %H:%M:%S %Z")
    if known_by is not None:
        return Check("clock", True, f"{found}, {_VOUCHED[known_by]}")
    if clock.now().timestamp() < installed_at():
        return Check(
            "clock",
            False,
            f"{found} lies before the program was installed",
            "timedatectl set-ntp true",
        )
    if awaits_synchronisation():
        return Check("clock", False, f"{found}, not synchronised yet", "timedatectl status")
    # A virtual machine or container may be right without knowing: nothing to mend.
    return Check(
        "clock",
        True,
        f"{found}; the system does not say that it is synchronised, so times are marked with a ?;"
        " chrony or systemd-timesyncd would let it know",
    )


_VOUCHED = {
    KnownBy.NETWORK: "synchronised",
    KnownBy.BATTERY: "as the battery clock has it",
    KnownBy.ASSUMED: "taken to be right: this system does not say",
}


def _broker(settings: Settings) -> Iterator[Check]:
    """Whether the MQTT broker takes this feeder; nothing where none is named."""
    if settings.mqtt.broker is None:
        return
    file = settings.mqtt_password
    try:
        broker = access(settings.mqtt, file)
        try_once(broker, BROKER_SECONDS)
    except FeederError as error:
        mend = error.hint or "look at the broker, and at [mqtt]; the daemon tries it for ever"
        yield Check("mqtt", False, str(error), mend)
        return
    if file is not None and is_open_to_others(file):
        yield Check(
            "mqtt", False, f"everybody on this computer may read {file}", f"chmod 600 '{file}'"
        )
    else:
        yield Check("mqtt", True, f"{broker.place} takes this feeder")


def _platform() -> Check:
    missing = {
        "darwin": "no service manager (use launchd), no memory limit on the decoder",
        "win32": "no service manager, no SIGHUP, no memory limit on the decoder",
    }.get(sys.platform, "")
    said = f"{sys.platform}, Python {sys.version.split()[0]}"
    return Check("platform", True, f"{said}; {missing}" if missing else said)
