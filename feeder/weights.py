"""Graphs whose weights lie in files of their own, in a place where nobody overwrites them.

ONNX Runtime maps such a file into memory and reads it as long as the model runs. Copied over in
place, it would change the running model's answers; cut short first, as `cp` does, it would kill
the daemon (SIGBUS). So the graph is opened from a copy that is only ever replaced by a rename,
which leaves a mapped file as it is.
"""

import hashlib
import logging
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from feeder.bundle import Bundle
from feeder.errors import BundleError

log = logging.getLogger("feeder.weights")

KEPT_SECONDS = 24 * 3600
"""How long another bundle's copy stays: one that is just being opened must not vanish."""

_STEP = 1 << 20


def private_copy(bundle: Bundle, names: Sequence[str], cache: Path) -> Path:
    """A folder below `cache` that holds the files `names` of `bundle` under the same names.

    Each time the bundle's files are compared with the manifest, so that a damaged one is refused,
    and the copies with them; a damaged copy is made again. Raises BundleError.
    """
    folder = cache / "weights" / bundle.digest[:16]
    for name in names:
        if not _is_same(bundle, name, folder / name):
            try:
                _copy(bundle, name, folder / name)
            except OSError as error:
                bundle.compare(name)  # says so where it is the bundle's fault
                raise BundleError(
                    f"{bundle.folder / name} cannot be copied to {folder}: {error.strerror}.",
                    "Make room there, or let the daemon's user write to it: a model is run from a "
                    "copy of its weights.",
                ) from error
    with suppress(OSError):
        os.utime(folder)
        _forget_others(folder)
    return folder


def _is_same(bundle: Bundle, name: str, copy: Path) -> bool:
    """Whether the copy holds the bytes of the bundle's file, which are those of the manifest.

    One pass and one hash over both; raises BundleError where the bundle's file is refused.
    """
    if not copy.exists():
        return False
    path, digest, same = bundle.folder / name, hashlib.sha256(), True
    try:
        with path.open("rb") as source, copy.open("rb") as other:
            while step := source.read(_STEP):
                digest.update(step)
                same = same and other.read(len(step)) == step
            same = same and not other.read(1)
    except OSError as error:
        bundle.compare(name)  # likewise
        log.warning("%s cannot be read, and is made again: %s", copy, error)
        return False
    bundle.hold(name, digest.hexdigest())
    if not same:
        log.warning("%s is damaged, and is made again", copy)
    return same


def _copy(bundle: Bundle, name: str, target: Path) -> None:
    """Copies a file of the bundle; what is hashed are the very bytes that are written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    digest = hashlib.sha256()
    try:
        with (bundle.folder / name).open("rb") as source, beside.open("wb") as copy:
            while step := source.read(_STEP):
                digest.update(step)
                copy.write(step)
        bundle.hold(name, digest.hexdigest())
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _forget_others(folder: Path) -> None:
    """Removes the copies last used long before this one; what is mapped needs no name."""
    used = folder.stat().st_mtime
    for other in folder.parent.iterdir():
        if used - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
