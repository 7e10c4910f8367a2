"""Vocabulary files: which labels there are, and the prompts that stand for each."""

import difflib
import hashlib
import json
import tomllib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from feeder import reading
from feeder.domain import Group, Kind, Label
from feeder.errors import VocabularyError

DEFAULT_TEMPLATES = ("a photo of a {label}.",)

SIGN = "sign with text"
"""The label of the shipped lists for a picture of words."""


class _LabelEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"\S")
    kind: Kind
    scientific_name: str = ""
    ebird_code: str = ""
    aliases: list[str] = []
    prompts: list[str] = []
    alternatives: list[str] = []
    photos: str | None = None


class _GroupEntry(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"\S")
    scientific_name: str = ""
    ebird_code: str = ""
    labels: list[str]


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    title: str = ""
    include: list[str] = []
    templates: list[str] = []
    remove: list[str] = []
    block: list[str] = []
    label: list[_LabelEntry] = []
    group: list[_GroupEntry] = []


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """The ordered labels one prediction chooses among.

    `templates` hold `{label}`; `groups` may name labels that are not in this list; `own` are the
    names that the user added to a shipped list, `removed` those taken out of it, and `blocked`
    those that are scored and yet never named.
    """

    title: str
    templates: tuple[str, ...]
    labels: tuple[Label, ...]
    groups: tuple[Group, ...] = ()
    own: frozenset[str] = frozenset()
    removed: frozenset[str] = frozenset()
    blocked: frozenset[str] = frozenset()

    def prompts(self, label: Label) -> list[list[str]]:
        """For each alternative of `label` (itself where it has none), the prompts to average."""
        templates = label.prompts or self.templates
        names = label.alternatives or (label.name,)
        return [[template.replace("{label}", name) for template in templates] for name in names]

    def written(self, label: Label) -> list[list[str]]:
        """For each name of `label`, sentences that say it is written there."""
        names = dict.fromkeys([label.name, *label.aliases, *label.alternatives])
        return [[one.replace("{label}", name) for one in reading.TEMPLATES] for name in names]

    def find(self, name: str) -> Label | None:
        """The label called `name`, by name, alias, scientific name or eBird code, any spelling."""
        wanted = spelling(name)
        for label in self.labels:
            if wanted in map(spelling, names(label)):
                return label
        return None

    def get(self, name: str) -> Label:
        """The same; VocabularyError, with the nearest name, where there is none."""
        label = self.find(name)
        if label is None:
            raise VocabularyError(
                f"There is no label {name!r}.{self.closest(name)}",
                "`feeder labels list` shows the names.",
            )
        return label

    def closest(self, name: str) -> str:
        """` Did you mean X?` for an unknown name, or ""."""
        known = [label.name for label in self.labels]
        close = difflib.get_close_matches(name.title(), known, n=1)
        return f" Did you mean {close[0]!r}?" if close else ""


def names(label: Label) -> list[str]:
    """Everything a label is called."""
    every = [label.name, *label.aliases, label.scientific_name, label.ebird_code]
    return [name for name in every if name]


def members(vocabulary: Vocabulary) -> dict[str, frozenset[str]]:
    """The groups of a vocabulary by name, each with the names of those labels that are in it."""
    known = {spelling(name): label.name for label in vocabulary.labels for name in names(label)}
    return {
        group.label.name: frozenset(
            known[name] for name in map(spelling, group.members) if name in known
        )
        for group in vocabulary.groups
    }


def spelling(name: str) -> str:
    """A name without what its writers differ in: case, hyphens, underscores, apostrophes."""
    plain = name.casefold().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", "")
    return " ".join(plain.replace("-", " ").replace("_", " ").split())


def with_text_negatives(vocabulary: Vocabulary) -> Vocabulary:
    """`vocabulary` with a label that takes what is read in a picture: its sign, or one of its own.

    Such a label is not `blank` any more: where a note hangs, a bird may sit beside it.
    """
    sign = vocabulary.find(SIGN)
    added = Label("written text", Kind.BLANK, prompts=("a photo of printed words on paper.",))
    labels = vocabulary.labels if sign is not None else (*vocabulary.labels, added)
    owner = sign or added
    return replace(
        vocabulary,
        labels=tuple(replace(one, is_text=True) if one == owner else one for one in labels),
    )


def digest(vocabulary: Vocabulary) -> str:
    """SHA-256 of everything that decides a prediction, hexadecimal."""
    content = [
        [label.name, label.kind, vocabulary.prompts(label), _photos_digest(label)]
        + [reading.TEMPLATES] * label.is_text
        for label in vocabulary.labels
    ]
    groups = [[group.label.name, group.members] for group in vocabulary.groups]
    # Without blocked labels as it was before there were any.
    blocked = [sorted(vocabulary.blocked)] if vocabulary.blocked else []
    return hashlib.sha256(json.dumps([content, groups, *blocked]).encode()).hexdigest()


def read(
    path: Path,
    including: tuple[Path, ...] = (),
    load: Callable[[Path], bytes] = Path.read_bytes,
) -> Vocabulary:
    """Reads a vocabulary file with all it includes; `including` are the files that include it.

    `load` gives a file's bytes; a bundle's come compared with its manifest.
    Raises VocabularyError naming the file, the label and the key that is wrong.
    """
    if path in including:
        raise VocabularyError(f"{path} includes itself.", "Take the name out of `include`.")
    file = _parse(path, load)
    labels = [_label(entry, path) for entry in file.label]
    groups = [_group(entry) for entry in file.group]
    for name in file.include:
        included = read(path.with_name(f"{name}.toml"), (*including, path), load)
        labels += included.labels
        groups += included.groups
    _check_unique(labels, path)
    templates = tuple(file.templates) or DEFAULT_TEMPLATES
    check_templates(templates, path)
    return Vocabulary(file.title or path.stem, templates, tuple(labels), tuple(groups))


def with_own(vocabulary: Vocabulary, path: Path) -> Vocabulary:
    """`vocabulary` with the labels the user's own file at `path` adds and removes.

    A label of the user's takes the place of a shipped one of that name. A file that is not there
    changes nothing. Raises VocabularyError as `read` does.
    """
    if not path.exists():
        return vocabulary
    file = _parse(path)
    added = [_label(entry, path) for entry in file.label]
    own = {spelling(label.name) for label in added}
    # A removal may be meant for another vocabulary than the one in use, and does nothing then.
    dropped = {label.name for label in map(vocabulary.find, file.remove) if label is not None}
    kept = [
        label
        for label in vocabulary.labels
        if label.name not in dropped and own.isdisjoint(map(spelling, names(label)))
    ]
    _check_unique([*kept, *added], path)
    changed = replace(
        vocabulary,
        templates=tuple(file.templates) or vocabulary.templates,
        labels=(*kept, *added),
        groups=(*vocabulary.groups, *map(_group, file.group)),
        own=frozenset(label.name for label in added),
        removed=frozenset(dropped),
    )
    # Like a removal, a block may be meant for another vocabulary.
    blocked = frozenset(label.name for label in map(changed.find, file.block) if label is not None)
    return replace(changed, blocked=blocked)


def check_templates(templates: Iterable[str], where: object) -> None:
    """Raises VocabularyError, naming `where` they stand, for a template without `{label}`."""
    for template in templates:
        if "{label}" not in template:
            raise VocabularyError(
                f"{where}: the template {template!r} has no {{label}}.",
                'Write it like "a photo of a {label}.".',
            )


def locate(name: str, folders: Iterable[Path]) -> Path:
    """The file of vocabulary `name`: a path as it is, a bare name looked for in `folders`."""
    folders = list(folders)
    places = [folder / f"{name}.toml" for folder in folders]
    if name.endswith(".toml"):
        places.insert(0, Path(name))
    for place in places:
        if place.is_file():
            return place
    shipped = sorted(path.stem for folder in folders for path in folder.glob("*.toml"))
    raise VocabularyError(
        f"There is no vocabulary {name!r}.", f"There are: {', '.join(dict.fromkeys(shipped))}."
    )


def from_texts(texts: Sequence[str]) -> Vocabulary:
    """A vocabulary of plain texts, each its own prompt, word for word."""
    labels = tuple(Label(text, Kind.BIRD, prompts=(text,)) for text in texts)
    return Vocabulary("texts", DEFAULT_TEMPLATES, labels)


def _parse(path: Path, load: Callable[[Path], bytes] = Path.read_bytes) -> _File:
    try:
        content: dict[str, Any] = tomllib.loads(load(path).decode("utf-8"))
        return _File.model_validate(content)
    except FileNotFoundError:
        raise VocabularyError(
            f"There is no vocabulary file {path}.", "Check the name after `include`."
        ) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VocabularyError(f"{path}: {error}.", "Mend the file at that place.") from error
    except ValidationError as error:
        first = error.errors()[0]
        entry = _GroupEntry if first["loc"][0] == "group" else _LabelEntry
        raise VocabularyError(
            f"{path}: {_place(first['loc'], content)}: {first['msg']}.",
            f"It may have: {', '.join(entry.model_fields)}.",
        ) from error


def _place(where: Sequence[int | str], content: dict[str, Any]) -> str:
    """`label 3 ("House Finch"), kind` for pydantic's ("label", 2, "kind")."""
    words: list[str] = []
    for part in where:
        if isinstance(part, int) and words in (["label"], ["group"]):
            entry = content[words[0]][part]
            name = entry.get("name", "") if isinstance(entry, dict) else ""
            words = [f"{words[0]} {part + 1}" + (f' ("{name}")' if name else "")]
        else:
            words.append(str(part))
    return ", ".join(words)


def _label(entry: _LabelEntry, path: Path) -> Label:
    return Label(
        name=entry.name,
        kind=entry.kind,
        scientific_name=entry.scientific_name,
        ebird_code=entry.ebird_code,
        aliases=tuple(entry.aliases),
        prompts=tuple(entry.prompts),
        alternatives=tuple(entry.alternatives),
        photos=path.parent / entry.photos if entry.photos else None,
    )


def _group(entry: _GroupEntry) -> Group:
    label = Label(entry.name, Kind.BIRD, entry.scientific_name, entry.ebird_code)
    return Group(label, tuple(entry.labels))


def _check_unique(labels: Iterable[Label], path: Path) -> None:
    seen: dict[str, str] = {}
    for label in labels:
        for name in {spelling(name) for name in (label.name, *label.aliases)}:
            if name in seen:
                raise VocabularyError(
                    f"{path}: {label.name!r} and {seen[name]!r} are both called {name!r}.",
                    "Remove one, or drop the alias.",
                )
            seen[name] = label.name


def _photos_digest(label: Label) -> str:
    if label.photos is None:
        return ""
    try:
        return hashlib.sha256(label.photos.read_bytes()).hexdigest()
    except FileNotFoundError:
        raise VocabularyError(
            f"The example photos of {label.name!r} are missing: {label.photos}.",
            f'Run `feeder labels add "{label.name}" --photos FOLDER --replace`.',
        ) from None
