"""The user's own label file: what `feeder labels` adds to, removes from and blocks in a vocabulary.

Shipped vocabularies are never written to, so an upgrade and a garden's own list do not collide.
"""

import os
from pathlib import Path

import tomlkit
from tomlkit.items import AoT

from feeder import vocabulary as vocabularies
from feeder.domain import UNIDENTIFIED_BIRD, Kind, Label, ObservationType
from feeder.errors import VocabularyError
from feeder.vocabulary import Vocabulary, spelling

_HEADING = "Your own labels, added to or removed from the vocabulary; see `feeder labels --help`."

RESERVED = frozenset({*Kind, *ObservationType, UNIDENTIFIED_BIRD.name, "empty"})
"""What the program itself answers, or takes to mean a kind: no label of the user's."""


def add(path: Path, label: Label, base: Vocabulary, *, replace: bool = False) -> None:
    """Appends `label` to the file at `path`, made if need be; `replace` drops its old entry.

    `base` is the vocabulary the file adds to. Raises VocabularyError, the file left as it was.
    """
    check_name(label.name)
    document = _load(path)
    entries = _entries(document, path)
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
    _save(path, document, base)


def check_name(name: str) -> None:
    """Raises VocabularyError for a name that no label of the user's may have."""
    if spelling(name) in RESERVED:
        raise VocabularyError(
            f"No label can be called {name!r}: the program answers so itself.",
            "Choose a name that says more, as 'young bird' does.",
        )


def remove(path: Path, name: str, base: Vocabulary) -> Label:
    """Takes the label called `name` out of `base` with the user's labels.

    Raises VocabularyError where there is no such label.
    """
    vocabulary = vocabularies.with_own(base, path)
    label = vocabulary.get(name)
    document = _load(path)
    if label.name in vocabulary.own:
        _drop(_entries(document, path), label.name)
    else:
        document.setdefault("remove", []).append(label.name)
    _save(path, document, base)
    if label.photos is not None:
        label.photos.unlink(missing_ok=True)
    return label


def restore(path: Path, name: str, base: Vocabulary) -> bool:
    """Undoes the removal of a shipped label; False where it was not removed."""
    document = _load(path)
    removed = document.get("remove", [])
    label = base.find(name)
    for entry in removed:
        if label is not None and base.find(entry) == label:
            removed.remove(entry)
            _save(path, document, base)
            return True
    return False


def block(path: Path, name: str, base: Vocabulary) -> Label:
    """Makes the label called `name` one that is scored and never named.

    Raises VocabularyError where there is no such label, or all would be blocked.
    """
    vocabulary = vocabularies.with_own(base, path)
    label = vocabulary.get(name)
    if vocabulary.blocked | {label.name} >= {one.name for one in vocabulary.labels}:
        raise VocabularyError(
            f"{label.name!r} is the last label that is not blocked.", "One must be left to name."
        )
    if label.name not in vocabulary.blocked:
        document = _load(path)
        document.setdefault("block", []).append(label.name)
        _save(path, document, base)
    return label


def unblock(path: Path, name: str, base: Vocabulary) -> bool:
    """Lets the label called `name` be named again; False where it was not blocked."""
    document = _load(path)
    blocked = document.get("block", [])
    label = vocabularies.with_own(base, path).find(name)
    wanted = {spelling(name)} if label is None else set(map(spelling, vocabularies.names(label)))
    kept = [entry for entry in blocked if spelling(entry) not in wanted]
    if len(kept) == len(blocked):
        return False
    document["block"] = kept
    _save(path, document, base)
    return True


def _load(path: Path) -> tomlkit.TOMLDocument:
    if path.exists():
        return tomlkit.parse(path.read_text(encoding="utf-8"))
    document = tomlkit.document()
    document.add(tomlkit.comment(_HEADING))
    # Before any table, or TOML would read the key as the last label's.
    document["remove"] = []
    return document


def _entries(document: tomlkit.TOMLDocument, path: Path) -> AoT:
    entries = document.setdefault("label", tomlkit.aot())
    if not isinstance(entries, AoT):
        raise VocabularyError(
            f"{path}: the labels are written as one list.", "Write each under its own [[label]]."
        )
    return entries


def _drop(entries: AoT, name: str) -> None:
    for index in reversed(range(len(entries))):
        if spelling(entries[index]["name"]) == spelling(name):
            del entries[index]


def _save(path: Path, document: tomlkit.TOMLDocument, base: Vocabulary) -> None:
    """Writes the file whole, and only once it has been read back without an error."""
    if not document.get("label", True):
        del document["label"]  # emptied, it would be written as a list that takes no section
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_suffix(".new")
    try:
        beside.write_text(tomlkit.dumps(document), encoding="utf-8")
        vocabularies.with_own(base, beside)
        os.replace(beside, path)
    finally:
        beside.unlink(missing_ok=True)
