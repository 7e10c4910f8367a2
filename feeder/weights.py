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
from pathlib import Path

from feeder.bundle import Bundle, file_digest
from feeder.errors import BundleError

log = logging.getLogger("feeder.weights")

KEPT_SECONDS = 24 * 3600
"""How long another bundle's copy stays: one that is just being opened must not vanish."""

_STEP = 1 << 20


def private_copy(bundle: Bundle, names: Sequence[str], cache: Path) -> Path:
    """A folder below `cache` that holds the files `names` of `bundle` under the same names.

    Both are compared with the manifest each time: the bundle's, so that a damaged one is refused,
    and the copy, which is made again where it is damaged. Raises BundleError.
    """
    folder = cache / "weights" / bundle.digest[:16]
    for name in names:
        bundle.compare(name)
        if not _is_whole(folder / name, bundle.manifest.files[name]):
            try:
                _copy(bundle, name, folder / name)
            except OSError as error:
                raise BundleError(
                    f"{bundle.folder / name} cannot be copied to {folder}: {error.strerror}.",
                    "Make room there, or let the daemon's user write to it: a model is run from a "
                    "copy of its weights.",
                ) from error
    os.utime(folder)
    _forget_others(folder)
    return folder


def _is_whole(path: Path, digest: str) -> bool:
    try:
        if file_digest(path) == digest:
            return True
    except FileNotFoundError:
        return False
    except OSError as error:
        log.warning("%s cannot be read, and is made again: %s", path, error)
        return False
    log.warning("%s is damaged, and is made again", path)
    return False


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
        if digest.hexdigest() != bundle.manifest.files[name]:
            raise BundleError(f"{bundle.folder / name} changed while it was copied.")
        os.replace(beside, target)
    finally:
        beside.unlink(missing_ok=True)


def _forget_others(folder: Path) -> None:
    """Removes the copies last used long before this one; what is mapped needs no name."""
    used = folder.stat().st_mtime
    for other in folder.parent.iterdir():
        if used - other.stat().st_mtime > KEPT_SECONDS:
            shutil.rmtree(other, ignore_errors=True)
