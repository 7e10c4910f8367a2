"""A folder of pictures whose labels are known, and what those labels mean."""

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from feeder.domain import Kind, Label
from feeder.errors import FeederError
from feeder.vocabulary import Vocabulary, names, spelling

Answer = Label | Kind
"""What a picture shows or is taken for: one label, or any label of a kind."""

_EMPTY = "empty"


@dataclass(frozen=True, slots=True)
class LabelledPicture:
    """A file, its name within the evaluated folder, and what its label calls it.

    `source` is the camera or collection it comes from, "" where nobody says.
    """

    path: Path
    file: str
    name: str
    source: str = ""


def find_pictures(folder: Path, labels_csv: Path | None = None) -> list[LabelledPicture]:
    """The labelled files of `folder`, in the order of their paths.

    Without `labels_csv` the label is the name of the folder directly in `folder` that holds the
    file, however deep. `labels_csv` has columns `path` and `label`, and may have `source`; its
    paths start in `folder`, where it lies, or in a folder above that, and those outside `folder`
    are passed over. Raises FeederError where there is nothing labelled, a listed file is missing,
    or a column is.
    """
    if labels_csv is not None:
        return _listed(folder, labels_csv)
    found = []
    for path in sorted(folder.rglob("*")):
        inside = path.relative_to(folder)
        hidden = any(part.startswith(".") for part in inside.parts)
        if len(inside.parts) > 1 and not hidden and path.is_file():
            found.append(LabelledPicture(path, shown(inside), shown(Path(inside.parts[0]))))
    if not found:
        raise FeederError(
            f"{folder} has no folders with pictures in them.",
            "Put the pictures of each label into a folder of its name, or name a CSV file with "
            "columns path,label by --labels.",
        )
    return found


def match(wanted: Iterable[str], labels: Sequence[Label]) -> dict[str, Answer]:
    """What each name in `wanted` stands for; unknown names are left out.

    A label's own name comes first, then a kind ("empty" is blank), then any other name of a
    label: "empty" is an alias of one blank label, but a folder called so means them all.
    """
    known: dict[str, Answer] = {}
    for label in labels:
        known.setdefault(spelling(label.name), label)
    for kind in Kind:
        known.setdefault(kind.value, kind)
    known.setdefault(_EMPTY, Kind.BLANK)
    for label in labels:
        for name in names(label):
            known.setdefault(spelling(name), label)
    return {name: known[spelling(name)] for name in wanted if spelling(name) in known}


def suggest(name: str, labels: Sequence[Label]) -> str:
    """` Did you mean X?` for the name of an unknown label, or ""."""
    return Vocabulary("", (), tuple(labels)).closest(name)


def name_of(answer: Answer) -> str:
    """A label's name, or the kind itself."""
    return answer.value if isinstance(answer, Kind) else answer.name


def kind_of(answer: Answer) -> Kind:
    """A label's kind, or the kind itself."""
    return answer if isinstance(answer, Kind) else answer.kind


def few(texts: Sequence[str], most: int = 8) -> str:
    """The first of several texts, quoted, and how many more there are."""
    rest = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(repr(text) for text in texts[:most]) + rest


def shown(path: Path) -> str:
    """A path as text that can be written, whatever bytes its name holds."""
    return os.fsencode(path).decode("utf-8", "replace")


def _listed(folder: Path, table: Path) -> list[LabelledPicture]:
    try:
        with table.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file)
            columns = reader.fieldnames or []
            lacking = [name for name in ("path", "label") if name not in columns]
            if lacking:
                raise FeederError(
                    f"{table} has no column {lacking[0]!r}; its columns are {few(columns)}.",
                    "Its first line must be path,label.",
                )
            rows = [
                (reader.line_num, row["path"] or "", row["label"] or "", row.get("source") or "")
                for row in reader
            ]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FeederError(
            f"{table} cannot be read: {error}.", "It must be comma-separated text in UTF-8."
        ) from error
    start = Path(os.path.abspath(table)).parent
    bases = [Path(os.path.abspath(folder)), start, *start.parents]
    root = folder.resolve()
    found, missing = [], []
    for line, entry, name, source in rows:
        path = next((base / entry for base in bases if (base / entry).is_file()), None)
        if path is None:
            missing.append(f"{entry!r} in line {line}")
            continue
        # The file itself may be a link to anywhere; where it lies is what counts.
        lies = path.parent.resolve() / path.name
        if lies.is_relative_to(root):
            inside = shown(lies.relative_to(root))
            found.append(LabelledPicture(path, inside, name.strip(), source.strip()))
    if missing:
        raise FeederError(
            f"{table} names {len(missing)} of {len(rows)} files that are not there, the first "
            f"being {missing[0]}.",
            f"Paths start in {folder}, in {start} or a folder above it.",
        )
    if not found:
        raise FeederError(
            f"None of the {len(rows)} files that {table} names is in {folder}.",
            "Give the folder that holds them.",
        )
    return sorted(found, key=lambda picture: picture.path)
