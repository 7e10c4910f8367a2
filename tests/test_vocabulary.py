"""Vocabulary files, shipped and the user's own."""

from pathlib import Path

import pytest

from feeder import own_labels
from feeder import vocabulary as vocabularies
from feeder.bundle import shipped_models
from feeder.domain import Kind, Label
from feeder.errors import VocabularyError

SHIPPED = shipped_models() / "vocabularies"
BIRDS = """
title = "Birds"
templates = ["a photo of a {label}, a type of bird.", "a {label} at a feeder."]

[[label]]
name = "House Finch"
kind = "bird"
scientific_name = "Haemorhous mexicanus"
ebird_code = "houfin"
aliases = ["Linnet of the West"]

[[label]]
name = "wild"
kind = "mammal"
alternatives = ["wolf", "tiger"]

[[label]]
name = "night"
kind = "blank"
prompts = ["a dark picture"]
"""


@pytest.fixture
def birds(tmp_path: Path) -> Path:
    """A small vocabulary file."""
    path = tmp_path / "birds.toml"
    path.write_text(BIRDS, encoding="utf-8")
    return path


def test_a_label_becomes_prompts(birds: Path) -> None:
    """A name goes into each template, each alternative too, and own prompts replace templates."""
    vocabulary = vocabularies.read(birds)
    finch, wild, night = vocabulary.labels
    assert vocabulary.prompts(finch) == [
        ["a photo of a House Finch, a type of bird.", "a House Finch at a feeder."]
    ]
    assert [row[1] for row in vocabulary.prompts(wild)] == [
        "a wolf at a feeder.",
        "a tiger at a feeder.",
    ]
    assert vocabulary.prompts(night) == [["a dark picture"]]


@pytest.mark.parametrize(
    "name", ["House Finch", "house-finch", "HOUSE_FINCH", "houfin", "Haemorhous mexicanus"]
)
def test_a_label_is_found_by_any_of_its_names(name: str, birds: Path) -> None:
    """Case, hyphens and underscores do not matter, and codes and scientific names count."""
    found = vocabularies.read(birds).find(name)
    assert found is not None
    assert found.name == "House Finch"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[[label]]\nname = "A"', 'label 1 ("A"), kind'),
        ('[[label]]\nname = "A"\nkind = "fish"', "kind"),
        ('[[label]]\nname = "A"\nkind = "bird"\nnmae = "B"', "nmae"),
        ('[[label]]\nname = "A"\nkind = "bird"\n[[label]]\nname = "a"\nkind = "bird"', "both"),
        ('templates = ["a photo"]', "{label}"),
        ('include = ["nowhere"]', "nowhere"),
        ('include = ["wrong"]', "includes itself"),
        ("label = [1]", "label 1"),
        ("[[label]\n", "line 1"),
    ],
)
def test_a_wrong_file_says_where(text: str, said: str, tmp_path: Path) -> None:
    """An error in a vocabulary names the file and the label, key or line."""
    path = tmp_path / "wrong.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(VocabularyError) as caught:
        vocabularies.read(path)
    assert said in str(caught.value)


def test_the_digest_follows_what_decides(birds: Path) -> None:
    """A new prompt changes the digest, an alias does not."""
    before = vocabularies.digest(vocabularies.read(birds))
    birds.write_text(BIRDS.replace("Linnet of the West", "Redhead"), encoding="utf-8")
    assert vocabularies.digest(vocabularies.read(birds)) == before
    birds.write_text(BIRDS.replace("a dark picture", "a black picture"), encoding="utf-8")
    assert vocabularies.digest(vocabularies.read(birds)) != before


def test_own_labels_are_added_and_removed(birds: Path, tmp_path: Path) -> None:
    """The user's file adds labels, takes shipped ones out, and puts them back."""
    own = tmp_path / "labels.toml"
    base = vocabularies.read(birds)
    assert vocabularies.with_own(base, own) == base
    own_labels.add(own, Label("Eurasian Siskin", Kind.BIRD, "Spinus spinus"), base)
    own_labels.remove(own, "house finch", base)
    changed = vocabularies.with_own(base, own)
    assert [label.name for label in changed.labels] == ["wild", "night", "Eurasian Siskin"]
    assert changed.own == {"Eurasian Siskin"}
    own_labels.remove(own, "Eurasian Siskin", base)
    assert own_labels.restore(own, "houfin", base)
    assert vocabularies.with_own(base, own).labels == base.labels
    own_labels.add(own, Label("Eurasian Siskin", Kind.BIRD), base)
    assert vocabularies.with_own(base, own).own == {"Eurasian Siskin"}


def test_own_labels_outlive_a_change_of_vocabulary(birds: Path, tmp_path: Path) -> None:
    """Removing what another list lacks does nothing, and an own label replaces its namesake."""
    own = tmp_path / "labels.toml"
    own.write_text(
        'remove = ["Dunnock"]\n[[label]]\nname = "house finch"\nkind = "bird"\n', encoding="utf-8"
    )
    changed = vocabularies.with_own(vocabularies.read(birds), own)
    assert [label.name for label in changed.labels] == ["wild", "night", "house finch"]


def test_a_mistaken_addition_leaves_the_file_as_it_was(birds: Path, tmp_path: Path) -> None:
    """A label that is there already, or has no name, is refused before anything is written."""
    own = tmp_path / "labels.toml"
    base = vocabularies.read(birds)
    own_labels.add(own, Label("Gertrude", Kind.BIRD), base)
    before = own.read_text(encoding="utf-8")
    for name in ("gertrude", " "):
        with pytest.raises(VocabularyError):
            own_labels.add(own, Label(name, Kind.BIRD), base)
    assert own.read_text(encoding="utf-8") == before
    own_labels.add(own, Label("gertrude", Kind.BIRD), base, replace=True)
    assert vocabularies.with_own(base, own).own == {"gertrude"}


def test_own_labels_keep_the_users_comments(birds: Path, tmp_path: Path) -> None:
    """What a person wrote into the file stays when the program adds to it."""
    own = tmp_path / "labels.toml"
    own.write_text('# my garden\n[[label]]\nname = "Gertrude"\nkind = "bird"\n', encoding="utf-8")
    own_labels.add(own, Label("Henrietta", Kind.BIRD), vocabularies.read(birds))
    assert own.read_text(encoding="utf-8").startswith("# my garden\n")
    assert [label.name for label in vocabularies.read(own).labels] == ["Gertrude", "Henrietta"]


def test_removing_an_unknown_label_suggests_one(birds: Path, tmp_path: Path) -> None:
    """A misspelt name is an error that suggests the label that was meant."""
    with pytest.raises(VocabularyError, match="Did you mean 'House Finch'"):
        own_labels.remove(tmp_path / "labels.toml", "hose finch", vocabularies.read(birds))


@pytest.mark.parametrize(
    ("name", "kind", "at_least"),
    [
        ("north-america", Kind.BIRD, 100),
        ("europe", Kind.BIRD, 80),
        ("dog-breeds", Kind.MAMMAL, 60),
        ("flask-lab", Kind.BIRD, 25),
    ],
)
def test_shipped_vocabularies_are_whole(name: str, kind: Kind, at_least: int) -> None:
    """Each shipped list is valid and as long as promised, with negatives beside its labels."""
    vocabulary = vocabularies.read(SHIPPED / f"{name}.toml")
    kinds = [label.kind for label in vocabulary.labels]
    assert kinds.count(kind) >= at_least
    assert Kind.BLANK in kinds
    assert Kind.HUMAN in kinds


@pytest.mark.parametrize("name", ["north-america", "europe"])
def test_shipped_birds_carry_their_standard_names(name: str) -> None:
    """Every bird has a scientific name and an eBird code, and no code stands twice."""
    birds = [
        label
        for label in vocabularies.read(SHIPPED / f"{name}.toml").labels
        if label.kind is Kind.BIRD
    ]
    codes = [label.ebird_code for label in birds]
    assert all(codes)
    assert len(set(codes)) == len(codes)
    assert all(len(label.scientific_name.split()) >= 2 for label in birds)


def test_the_bird_lists_decline_what_is_no_bird() -> None:
    """The bird lists hold the explicit negatives that a feeder camera needs."""
    names = {label.name for label in vocabularies.read(SHIPPED / "north-america.toml").labels}
    assert {
        "empty feeder",
        "squirrel",
        "cat",
        "person",
        "leaves",
        "rain on the lens",
        "night",
        "sign with text",
    } <= names


def test_the_articles_two_vocabularies_differ_in_wild_alone() -> None:
    """One spells wild out as five animals, the other scores the bare word."""
    plain = vocabularies.read(SHIPPED / "animal-faces-plain.toml")
    spelled = vocabularies.read(SHIPPED / "animal-faces.toml")
    assert [label.name for label in plain.labels] == [label.name for label in spelled.labels]
    wild = spelled.find("wild")
    assert wild is not None
    assert wild.alternatives == ("wolf", "tiger", "lion", "fox", "leopard")


def test_look_alikes_are_labels_of_the_shipped_lists() -> None:
    """Every member of a group is a bird of a shipped list; groups have names of their own."""
    lists = [vocabularies.read(SHIPPED / f"{name}.toml") for name in ("north-america", "europe")]
    birds = {label.name for one in lists for label in one.labels if label.kind is Kind.BIRD}
    groups = vocabularies.read(SHIPPED / "look-alikes.toml").groups
    assert len(groups) > 30
    for group in groups:
        assert set(group.members) <= birds, group.label.name
        assert len(set(group.members)) == len(group.members) > 1
    names = [group.label.name for group in groups]
    assert len(set(names)) == len(names)
    assert birds.isdisjoint(names)
    assert all(one.groups == groups for one in lists)


def test_the_digest_follows_the_groups(birds: Path) -> None:
    """Another group is another vocabulary, since it decides what is named."""
    before = vocabularies.read(birds)
    birds.write_text(
        birds.read_text("utf-8") + '[[group]]\nname = "both"\nlabels = ["House Finch", "wild"]\n',
        encoding="utf-8",
    )
    after = vocabularies.read(birds)
    assert [group.members for group in after.groups] == [("House Finch", "wild")]
    assert vocabularies.digest(after) != vocabularies.digest(before)
