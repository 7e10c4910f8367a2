"""Edits of a vocabulary in memory: what `feeder labels` would do, without a file."""

from dataclasses import replace

from feeder.domain import Label
from feeder.errors import VocabularyError
from feeder.vocabulary import Vocabulary, check_templates, spelling


def add(vocabulary: Vocabulary, label: Label, base: Vocabulary) -> Vocabulary:
    """`vocabulary` with `label`; one that was removed from `base`, its shipped part, is back.

    It takes the place of a label of the user's with that name, and where it was learnt from
    photos of any. Raises VocabularyError where the name is taken otherwise.
    """
    shipped = base.find(label.name)
    if label.photos is None and shipped is not None and shipped.name in vocabulary.removed:
        return replace(
            vocabulary,
            labels=(*vocabulary.labels, shipped),
            removed=vocabulary.removed - {shipped.name},
        )
    taken = vocabulary.find(label.name)
    if taken is not None and taken.name not in vocabulary.own and label.photos is None:
        raise VocabularyError(
            f"{label.name!r} is there already, as {taken.name!r}.", "Nothing needs to be added."
        )
    kept = tuple(one for one in vocabulary.labels if one is not taken)
    return replace(vocabulary, labels=(*kept, label), own=vocabulary.own | {label.name})


def remove(vocabulary: Vocabulary, name: str) -> Vocabulary:
    """`vocabulary` without the label called `name`. Raises VocabularyError for an unknown one."""
    label = vocabulary.get(name)
    return replace(
        vocabulary,
        labels=tuple(one for one in vocabulary.labels if one is not label),
        own=vocabulary.own - {label.name},
        removed=vocabulary.removed | {label.name},
    )


def rename(vocabulary: Vocabulary, name: str, new: str) -> Vocabulary:
    """`vocabulary` with the label called `name` under a `new` name; the old one is an alias.

    A model that reads text reads the new name, unless the label has prompts or photos of its own.
    Raises VocabularyError for an unknown name and one that is taken.
    """
    label = vocabulary.get(name)
    taken = vocabulary.find(new)
    if taken is not None and taken is not label:
        raise VocabularyError(f"{new!r} is there already, as {taken.name!r}.", "Choose another.")
    aliases = tuple(
        alias for alias in (*label.aliases, label.name) if spelling(alias) != spelling(new)
    )
    renamed = replace(label, name=new, aliases=aliases)
    is_own = label.name in vocabulary.own
    return replace(
        vocabulary,
        labels=tuple(renamed if one is label else one for one in vocabulary.labels),
        own=(vocabulary.own - {label.name}) | ({new} if is_own else set()),
    )


def with_templates(vocabulary: Vocabulary, templates: tuple[str, ...]) -> Vocabulary:
    """`vocabulary` with other prompt templates. VocabularyError where one lacks `{label}`."""
    check_templates(templates, "--template")
    return replace(vocabulary, templates=templates)
