"""Attributes: files, photos, and the tags they give on an embedding that is there already."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feeder import Classifier, attributes, label_embeddings, tagging
from feeder import vocabulary as vocabularies
from feeder.attributes import AskedOf, Attribute, Value
from feeder.bundle import Bundle, golden_image, shipped_models
from feeder.domain import Box, Candidate, Kind, Label, ObservationType, Prediction, Vectors
from feeder.encoder import unit
from feeder.errors import VocabularyError
from tests.test_classifier import textless as textless

SHIPPED = shipped_models() / "vocabularies" / "attributes"
NAMES = ("behaviour", "sex", "age", "feeder", "lens")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """The user's folder of attributes."""
    folder = tmp_path / "attributes"
    folder.mkdir()
    return folder


def read(own: Path, *use: str) -> tuple[Attribute, ...]:
    """Attributes of these names and of the user's folder."""
    return attributes.read(use, [SHIPPED], own)


def cloud(seed: int, count: int = 8, spread: float = 0.05) -> Vectors:
    """Unit vectors around one direction of 16, which the seed chooses."""
    noise = np.random.default_rng(seed + 100).normal(0, spread, (count, 16))
    return unit((np.random.default_rng(seed).normal(0, 0.3, 16) + noise).astype(np.float32))


def learn(own: Path, bundle: Bundle, tag: str, vectors: Vectors) -> None:
    """What `feeder attributes learn` keeps of photos that have these vectors."""
    attribute, value = tag.split("=")
    path = attributes.photos_path(own, attribute, value)
    label_embeddings.save_photos(path, list(vectors), bundle)


def prediction(embedding: Vectors, kind: Kind = Kind.BIRD, region: Box | None = None) -> Prediction:
    """A sighting of something of that kind."""
    named = Candidate(Label("one", kind), 0.9, 0.3)
    return Prediction(
        ObservationType.ANIMAL, "", (named,), named, embedding=embedding, region=region
    )


def test_shipped_attributes_are_whole(own: Path) -> None:
    """Each has at least two values in words besides its one neutral value."""
    for attribute in read(own, *NAMES):
        neutral = [value for value in attribute.values if value.neutral]
        assert len(neutral) == 1, attribute.name
        assert len(attribute.values) >= 3, attribute.name
        assert all(value.prompts for value in attribute.values), attribute.name
    asked = {one.name for one in read(own, *NAMES) if one.asked_of is AskedOf.BIRD}
    assert asked == {"behaviour", "sex", "age"}


def test_the_users_folder_comes_first(own: Path) -> None:
    """A file of the user's replaces the shipped one, and one of a new name is always asked."""
    (own / "lens.toml").write_text('[[value]]\nname = "jam"\nprompts = ["jam."]\n')
    (own / "ring.toml").write_text('asked_of = "bird"\n')
    lens, ring = read(own, "lens")
    assert [value.name for value in lens.values] == ["jam"]
    assert (ring.name, ring.asked_of) == ("ring", AskedOf.BIRD)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("asked_of = 'cat'", "asked_of"),
        ("[[value]]\nname = '../up'", "value, 0, name"),
        ("[[value]]\nname = 'a'\n[[value]]\nname = 'a'", "one name"),
        ("asked_of = ", "Invalid value"),
    ],
)
def test_a_wrong_file_says_where(text: str, said: str, own: Path) -> None:
    """What is wrong in an attribute's file is named."""
    (own / "mine.toml").write_text(text)
    with pytest.raises(VocabularyError, match=said):
        read(own)


def test_an_unknown_attribute_suggests_one(own: Path) -> None:
    """A misspelt name in the settings is answered with the nearest there is."""
    with pytest.raises(VocabularyError) as caught:
        read(own, "behavior")
    assert "behaviour" in caught.value.hint


def test_a_clip_reads_the_values(tiny_clip: Path, own: Path) -> None:
    """With a text encoder a picture gets the value whose words it is most like, softmax of that
    attribute's values alone."""
    asked = tuple(replace(one, threshold=0.01) for one in read(own, "lens"))
    bundle = Bundle.open(tiny_clip)
    vocabulary = vocabularies.from_texts(["a robin", "a wren"])
    classifier = Classifier(bundle, vocabulary, threads=1, attributes=asked)
    (question,) = classifier.tagger.questions
    assert question.learnt_from == "words"
    seen = classifier.classify_image(golden_image())
    cosines = question.vectors @ seen.embedding
    shares = np.exp(100 * (cosines - cosines.max()))
    best = question.attribute.values[int(shares.argmax())]
    if best.neutral:
        assert seen.tags == ()
    else:
        (tag,) = seen.tags
        assert (tag.attribute, tag.value) == ("lens", best.name)
        assert tag.probability == pytest.approx(1 / shares.sum(), abs=1e-4)


def test_photos_teach_on_a_bundle_without_text(textless: Bundle, own: Path) -> None:
    """Two values with photos are enough on every bundle; one is not, and its reason is said."""
    learn(own, textless, "feeder=empty", cloud(1))
    tagger = tagging.embed(read(own, *NAMES), textless, None)
    assert tagger.questions == ()
    assert dict(tagger.unasked)["feeder"] == "photos of empty alone; a second value is needed"
    assert dict(tagger.unasked)["lens"] == "the model reads no text"
    learn(own, textless, "feeder=full", cloud(2))
    tagger = tagging.embed(read(own, *NAMES), textless, None)
    (question,) = tagger.questions
    assert (question.right, question.shown) == (16, 16)
    said = [
        [tag.value for tag in tagger.tagged(prediction(vector)).tags]
        for vector in (*cloud(1, 3), *cloud(2, 3))
    ]
    assert said == [["empty"]] * 3 + [["full"]] * 3


def test_what_resembles_no_photo_is_not_told(textless: Bundle, own: Path) -> None:
    """A picture far from all example photos gets no tag, however much nearer one of them is."""
    learn(own, textless, "feeder=empty", cloud(1))
    learn(own, textless, "feeder=full", cloud(2))
    tagger = tagging.embed(read(own, "feeder"), textless, None)
    assert tagger.tagged(prediction(cloud(3, 1)[0])).tags == ()


def test_photos_that_tell_nothing_apart_say_nothing(textless: Bundle, own: Path) -> None:
    """Two values whose photos are alike give odds near even, below every threshold."""
    learn(own, textless, "feeder=empty", cloud(1, 6, 0.2))
    learn(own, textless, "feeder=full", cloud(1, 12, 0.2)[6:])
    tagger = tagging.embed(read(own, "feeder"), textless, None)
    said = [tagger.tagged(prediction(vector)).tags for vector in cloud(1, 20, 0.2)]
    assert sum(map(len, said)) <= 2


def test_photos_of_another_model_are_not_used(textless: Bundle, tiny_clip: Path, own: Path) -> None:
    """Vectors of another embedding space are passed over, and the reason says so."""
    for tag, seed in (("feeder=empty", 1), ("feeder=full", 2)):
        learn(own, Bundle.open(tiny_clip), tag, cloud(seed))
    tagger = tagging.embed(read(own, "feeder"), textless, None)
    assert tagger.unasked == (("feeder", "its photos were read by another model"),)


def test_each_attribute_is_asked_of_its_frames(textless: Bundle, own: Path) -> None:
    """What birds are asked is asked of birds alone, what frames are asked of whole frames alone."""
    attributes.write(own, "ring", AskedOf.BIRD)
    for attribute in ("feeder", "ring"):
        learn(own, textless, f"{attribute}=one", cloud(1))
        learn(own, textless, f"{attribute}=two", cloud(2))
    tagger = tagging.embed(read(own), textless, None)
    vector, part = cloud(1, 1)[0], Box(0.1, 0.1, 0.3, 0.3)

    def told(seen: Prediction) -> set[str]:
        return {tag.attribute for tag in tagger.tagged(seen).tags}

    assert told(prediction(vector)) == {"feeder", "ring"}
    assert told(prediction(vector, Kind.MAMMAL)) == {"feeder"}
    assert told(prediction(vector, region=part)) == {"ring"}


def test_the_digest_follows_what_decides(textless: Bundle, own: Path) -> None:
    """A photo more, another threshold or another value is another side vocabulary."""
    learn(own, textless, "feeder=empty", cloud(1))
    learn(own, textless, "feeder=full", cloud(2))

    def digest() -> str:
        return tagging.embed(read(own, "feeder"), textless, None).digest

    first = digest()
    assert digest() == first
    learn(own, textless, "feeder=full", cloud(2, 9))
    second = digest()
    (own / "feeder.toml").write_text("threshold = 0.9\n")
    assert len({first, second, digest()}) == 3


def test_many_at_once_are_each_alone(textless: Bundle, own: Path) -> None:
    """The history is told as its frames were, one by one."""
    learn(own, textless, "feeder=empty", cloud(1))
    learn(own, textless, "feeder=full", cloud(2))
    tagger = tagging.embed(read(own), textless, None)
    vectors = np.concatenate([cloud(1, 3), cloud(2, 3), cloud(3, 3)])
    many = tagger.tags(vectors, np.ones(9, bool), np.ones(9, bool))
    for vector, tags in zip(vectors, many, strict=True):
        alone = tagger.tagged(prediction(vector)).tags
        assert [tag.value for tag in alone] == [tag.value for tag in tags]
        assert [tag.probability for tag in alone] == pytest.approx(
            [tag.probability for tag in tags], abs=1e-5
        )


def test_an_attribute_of_one_value_is_not_asked() -> None:
    """One answer alone would always be the answer, and is never given."""
    lone = Attribute("lens", AskedOf.FRAME, 0.6, (Value("jam", ("jam.",)),))
    tagger = tagging.embed(
        [lone], Bundle.open(shipped_models() / "starter"), lambda prompts: cloud(1)
    )
    assert tagger.unasked == (("lens", "fewer than two values"),)
    assert tagger.tagged(prediction(cloud(1, 1)[0])).tags == ()


def test_a_frame_without_an_embedding_has_no_tags(textless: Bundle, own: Path) -> None:
    """What could not be decoded is asked nothing."""
    learn(own, textless, "feeder=empty", cloud(1))
    learn(own, textless, "feeder=full", cloud(2))
    tagger = tagging.embed(read(own), textless, None)
    broken = Prediction(ObservationType.UNCLASSIFIED, "broken")
    assert tagger.tagged(broken) is broken


def test_a_name_that_is_a_path_is_refused(own: Path) -> None:
    """Photos are kept inside the user's folder, whatever an attribute is called."""
    for attribute, value in (("..", "x"), ("a/b", "x"), ("a", "../x"), ("a", "")):
        with pytest.raises(VocabularyError):
            attributes.photos_path(own, attribute, value)


def test_real_photographs_teach_the_starter(photos: Path, own: Path) -> None:
    """Six pictures each of dogs and cats tell most of ten others apart, and few wrongly."""
    bundle = Bundle.open(shipped_models() / "starter")
    plain = Classifier.load("starter", threads=1)
    vectors = {}
    for name in ("Dog", "Cat"):
        files = sorted((photos / "not_birds" / name).iterdir())[:11]
        vectors[name] = plain.embed([Image.open(file).convert("RGB") for file in files])
        learn(own, bundle, f"pet={name}", vectors[name][:6])
    tagger = tagging.embed(read(own), bundle, None)
    right = wrong = 0
    for name in vectors:
        for vector in vectors[name][6:]:
            said = [tag.value for tag in tagger.tagged(prediction(vector)).tags]
            right += said == [name]
            wrong += bool(said) and said != [name]
    assert right >= 5
    assert wrong <= 2
