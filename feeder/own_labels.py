"""The user's own label file: what `feeder labels` adds to and removes from a vocabulary.

Shipped vocabularies are never written to, so an upgrade and a garden's own list do not collide.
"""

import os
from pathlib import Path

import tomlkit
from tomlkit.items import AoT

from feeder.domain import Label
from feeder.errors import VocabularyError
from feeder.vocabulary import Vocabulary, spelling

_HEADING = "Your own labels, added to or removed from the vocabulary; see `feeder labels --help`."


def add(path: Path, label: Label, *, replace: bool = False) -> None:
    """Appends `label` to the file at `path`, made if need be; `replace` drops its old entry."""
    document = _load(path)
    entries = _entries(document)
    if replace:
        _drop(entries, label.name)
    entry = tomlkit.table()
    entry["name"] = label.name
    entry["kind"] = label.kind.value
    for key in ("scientific_name", "ebird_code"):
        if getattr(label, key):
            entry[key] = getattr(label, key)
    for key in ("prompts", "alternatives"):
        if getattr(label, key):
            entry[key] = list(getattr(label, key))
    if label.photos is not None:
        entry["photos"] = label.photos.relative_to(path.parent).as_posix()
    entries.append(entry)
    _save(path, document)


def remove(path: Path, name: str, vocabulary: Vocabulary) -> Label:
    """Takes the label called `name` out of `vocabulary`, by way of the file at `path`.

    Raises VocabularyError where there is no such label.
    """
    label = vocabulary.find(name)
    if label is None:
        raise VocabularyError(
            f"There is no label {name!r}.{vocabulary.closest(name)}",
            "`feeder labels list` shows the names.",
        )
    document = _load(path)
    if label.name in vocabulary.own:
        _drop(_entries(document), label.name)
        if label.photos is not None:
            label.photos.unlink(missing_ok=True)
    else:
        document.setdefault("remove", []).append(label.name)
    _save(path, document)
    return label


def restore(path: Path, name: str) -> bool:
    """Undoes the removal of a shipped label; False where it was not removed."""
    document = _load(path)
    removed = document.get("remove", [])
    for entry in removed:
        if spelling(entry) == spelling(name):
            removed.remove(entry)
            _save(path, document)
            return True
    return False


def _load(path: Path) -> tomlkit.TOMLDocument:
    if path.exists():
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADING))
    # Before any table, or TOML would read the key as the last label's.
    document["remove"] = []
    return document


def _entries(document: tomlkit.TOMLDocument) -> AoT:
    entries = document.setdefault("label", tomlkit.aot())
    assert isinstance(entries, AoT)
    return entries


def _drop(entries: AoT, name: str) -> None:
    for index in reversed(range(len(entries))):
        if entries[index]["name"] == name:
            del entries[index]


def _save(path: Path, document: tomlkit.TOMLDocument) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    beside.write_text(tomlkit.dumps(document), encoding="utf-8")
    os.replace(beside, path)
