"""Files and folders that are written completely or not at all.

They are made under a hidden name beside the place they are meant for, and renamed once they are
whole. So nobody ever reads half an export, and one that fails leaves what was there.
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from feeder.errors import FeederError

_HIDDEN = ".feeder-export."


class ExportError(FeederError):
    """An export that cannot be written, and why."""


def refuse_existing(path: Path, *, force: bool, marker: str = "") -> None:
    """Raises ExportError where something at `path` would be overwritten that must not be.

    With `force`, a file takes the place of a file. A folder takes the place of an empty one, and of
    one that holds a file called `marker`, as an earlier export does.
    """
    if not os.path.lexists(path):
        if not path.parent.is_dir():
            raise ExportError(f"There is no folder {path.parent}.", "Make it, or name another.")
        return
    kind = "folder" if marker else "file"
    if path.is_symlink() or not (path.is_dir() if marker else path.is_file()):
        raise ExportError(f"{path} is there, and is no {kind}.", "Name another.")
    if not force:
        raise ExportError(f"{path} is there already.", "--force replaces it.")
    if marker and any(path.iterdir()) and not (path / marker).is_file():
        raise ExportError(
            f"{path} holds other things than an earlier export.", "Name another folder."
        )


@contextmanager
def whole_files(path: Path) -> Iterator[Path]:
    """A hidden folder for what is to be files beside `path`; all of them are put there at the end.

    What is called the same is replaced.
    """
    with _beside(path) as made:
        yield made
        for file in sorted(made.iterdir()):
            _sync(file)
        for file in sorted(made.iterdir()):
            os.replace(file, path.parent / file.name)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A hidden folder that takes `path`'s place at the end."""
    with _beside(path) as made:
        yield made
        for file in made.rglob("*"):
            _sync(file)
        made.chmod(0o777 & ~_umask())
        _take_place(made, path)


def _take_place(made: Path, path: Path) -> None:
    if not path.is_dir():
        os.rename(made, path)
        return
    aside = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=path.parent))
    os.rename(path, aside / path.name)
    try:
        os.rename(made, path)
    except BaseException:
        os.rename(aside / path.name, path)
        raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def _beside(path: Path) -> Iterator[Path]:
    made = Path(tempfile.mkdtemp(prefix=_HIDDEN, dir=path.parent))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _sync(file: Path) -> None:
    if file.is_file():
        with file.open("rb+") as opened:
            os.fsync(opened.fileno())


def _umask() -> int:
    found = os.umask(0o022)
    os.umask(found)
    return found
