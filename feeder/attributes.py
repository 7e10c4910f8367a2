"""Side vocabularies: what else is asked of a frame, such as what the bird does.

    attributes/NAME.toml          asked_of, threshold, and [[value]] with name, prompts, neutral
    attributes/NAME/VALUE.npz     a value learnt from photos, in the user's own folder alone

A user's file takes the place of the shipped one of that name; photos add to either.
"""

import difflib
import re
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feeder.errors import VocabularyError

_NAME = re.compile(r"\w[\w -]*")


class AskedOf(StrEnum):
    """Which frames an attribute is asked of: those that show a bird, or any."""

    BIRD = "bird"
    FRAME = "frame"


@dataclass(frozen=True, slots=True)
class Value:
    """One answer: by `prompts`, or by `photos`, an `.npz` of example embeddings.

    A `neutral` one takes what no other is sure of, and is never said.
    """

    name: str
    prompts: tuple[str, ...] = ()
    photos: Path | None = None
    neutral: bool = False


@dataclass(frozen=True, slots=True)
class Attribute:
    """One question and its answers; `threshold` is the probability from which one is said."""

    name: str
    asked_of: AskedOf
    threshold: float
    values: tuple[Value, ...]


class _ValueEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^\w[\w -]*$")
    prompts: list[str] = []
    neutral: bool = False


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    asked_of: AskedOf = AskedOf.FRAME
    threshold: float = Field(0.6, gt=0, le=1)
    value: list[_ValueEntry] = []


def read(use: Sequence[str], shipped: Sequence[Path], own: Path) -> tuple[Attribute, ...]:
    """The attributes called `use`, from `own` or else a `shipped` folder, and all that `own` has.

    Raises VocabularyError naming what is wrong.
    """
    mine = [path.stem for path in sorted(own.glob("*.toml"))]
    mine += [path.parent.name for path in sorted(own.glob("*/*.npz"))]
    return tuple(_read(name, [own, *shipped]) for name in dict.fromkeys([*use, *mine]))


def photos_path(own: Path, attribute: str, value: str) -> Path:
    """Where the example photos of a value are kept. Raises VocabularyError for an odd name."""
    for name in (attribute, value):
        if not _NAME.fullmatch(name):
            raise VocabularyError(
                f"{name!r} cannot be the name of an attribute or a value.",
                "Use letters, digits, spaces and hyphens, as in feeder=empty.",
            )
    return own / attribute / f"{value}.npz"


def is_known(attribute: str, shipped: Sequence[Path], own: Path) -> bool:
    """Whether a file says what this attribute is asked of."""
    return any((folder / f"{attribute}.toml").is_file() for folder in [own, *shipped])


def write(own: Path, attribute: str, asked_of: AskedOf) -> None:
    """Makes the user's file for a new attribute, whose values photos are to give."""
    own.mkdir(parents=True, exist_ok=True)
    (own / f"{attribute}.toml").write_text(f'asked_of = "{asked_of}"\n', encoding="utf-8")


def _read(name: str, folders: Sequence[Path]) -> Attribute:
    own, *_ = folders
    path = next((at for folder in folders if (at := folder / f"{name}.toml").is_file()), None)
    photos = {at.stem: at for at in sorted((own / name).glob("*.npz"))}
    if path is None and not photos:
        known = sorted({at.stem for folder in folders for at in folder.glob("*.toml")})
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {close[0]!r}?" if close else f"There are: {', '.join(known)}."
        raise VocabularyError(f"There is no attribute {name!r}.", hint)
    file = _parse(path) if path is not None else _File()
    values = [
        Value(entry.name, tuple(entry.prompts), photos.pop(entry.name, None), entry.neutral)
        for entry in file.value
    ]
    values += [Value(value, photos=at) for value, at in photos.items()]
    if path is not None and len({value.name for value in values}) < len(values):
        raise VocabularyError(f"{path}: two values have one name.", "Rename one.")
    return Attribute(name, file.asked_of, file.threshold, tuple(values))


def _parse(path: Path) -> _File:
    try:
        return _File.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError) as error:
        if not isinstance(error, ValidationError):
            raise VocabularyError(f"{path}: {error}.", "Mend the file at that place.") from error
        first = error.errors()[0]
        where = ", ".join(str(part) for part in first["loc"])
        raise VocabularyError(
            f"{path}: {where}: {first['msg']}.",
            f"It may have: {', '.join(_File.model_fields)}; "
            f"a value: {', '.join(_ValueEntry.model_fields)}.",
        ) from error
