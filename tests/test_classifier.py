"""Label embeddings, verdicts and the Python API, on a tiny model with random weights."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from feeder import Classifier, label_embeddings
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Thresholds, golden_image, seal
from feeder.classifier import PERHAPS, cut
from feeder.domain import (
    Box,
    Deployment,
    Frame,
    Group,
    Kind,
    Label,
    SettledPath,
    TimeSource,
    Vectors,
)
from feeder.encoder import ImageEncoder, TextEncoder, unit
from feeder.errors import BadFrame, BundleError, VocabularyError
from feeder.label_embeddings import PromptCache
from feeder.preprocess import preprocess
from feeder.vocabulary import Vocabulary
from tests.pictures import PICTURES

TEXTS = ["a robin", "a wren", "an empty feeder"]


@pytest.fixture(scope="module")
def classifier(tiny_clip: Path) -> Classifier:
    """The tiny model on the North American vocabulary."""
    return Classifier.load(tiny_clip, "north-america", threads=1)


@pytest.fixture
def textless(tiny_clip: Path, tmp_path: Path) -> Bundle:
    """The tiny model with three labels of its own in place of a text encoder."""
    folder = tmp_path / "textless"
    shutil.copytree(tiny_clip, folder)
    (folder / "labels.toml").write_text(
        '[[label]]\nname = "European Robin"\nkind = "bird"\nebird_code = "eurrob1"\n'
        '[[label]]\nname = "Eurasian Wren"\nkind = "bird"\n'
        '[[label]]\nname = "empty feeder"\nkind = "blank"\n',
        encoding="utf-8",
    )
    vectors = np.random.default_rng(0).normal(size=(3, 16)).astype(np.float32)
    np.savez(folder / "labels.npz", vectors=vectors, bias=np.zeros(3, np.float32))
    manifest = Bundle.open(folder).manifest.model_copy(
        update={
            "text": None,
            "text_encoding": None,
            "labels": "labels.toml",
            "label_vectors": "labels.npz",
        }
    )
    return seal(folder, manifest)


def test_unit_divides_each_vector_by_its_own_norm() -> None:
    """Normalising runs along each vector, not along each feature."""
    vectors = np.array([[3, 4], [0, 0], [0, 2]], np.float32)
    assert unit(vectors).tolist() == [[pytest.approx(0.6), pytest.approx(0.8)], [0, 0], [0, 1]]


def test_probabilities_of_free_texts(classifier: Classifier, tiny_clip: Path) -> None:
    """`predict_proba` is the softmax of scaled cosines, whatever form the pictures have."""
    picture = golden_image()
    bundle = Bundle.open(tiny_clip)
    pixels = preprocess(picture, bundle.manifest.preprocessing)
    image = ImageEncoder(bundle).embed(pixels)
    logits = bundle.manifest.logit_scale * image @ TextEncoder(bundle).embed(TEXTS).T
    expected = np.exp(logits - logits.max()) / np.exp(logits - logits.max()).sum()
    got = classifier.predict_proba([picture, np.asarray(picture)], TEXTS)
    assert got.shape == (2, 3)
    np.testing.assert_allclose(got, np.repeat(expected, 2, axis=0), atol=1e-5)


def test_one_picture_need_not_be_a_list(classifier: Classifier, tmp_path: Path) -> None:
    """A single path gives one row."""
    golden_image().save(tmp_path / "a.png")
    assert classifier.predict_proba(tmp_path / "a.png", TEXTS).shape == (1, 3)
    assert classifier.predict_proba(str(tmp_path / "a.png")).shape == (1, len(classifier.labels))


def test_rows_sum_to_one_over_the_vocabulary(classifier: Classifier) -> None:
    """Every picture's probabilities, over labels with and without alternatives, sum to 1."""
    got = classifier.predict_proba([make() for make in PICTURES.values()])
    np.testing.assert_allclose(got.sum(axis=1), 1, atol=1e-5)


def test_alternatives_are_summed_into_their_label(tiny_clip: Path) -> None:
    """A label of two alternatives gets exactly what the two would get as labels of their own."""
    bundle = Bundle.open(tiny_clip)
    wild = Label("wild", Kind.MAMMAL, alternatives=("wolf", "lion"))
    apart = [Label(name, Kind.MAMMAL) for name in ("wolf", "lion")]
    cat = Label("cat", Kind.MAMMAL)
    templates = ("a photo of a {label}.",)
    together = Classifier(bundle, Vocabulary("a", templates, (wild, cat)))
    separate = Classifier(bundle, Vocabulary("b", templates, (*apart, cat)))
    summed = separate.predict_proba(golden_image())[0]
    got = together.predict_proba(golden_image())[0]
    np.testing.assert_allclose(got, [summed[0] + summed[1], summed[2]], atol=1e-6)


def test_templates_are_averaged_in_embedding_space(tiny_clip: Path) -> None:
    """A label's vector is the direction of the mean of its prompts' unit vectors."""
    bundle = Bundle.open(tiny_clip)
    encoder = TextEncoder(bundle)
    vocabulary = Vocabulary("v", ("a {label}.", "one {label}!"), (Label("wren", Kind.BIRD),))
    got = label_embeddings.embed(vocabulary, bundle, encoder.embed).vectors
    mean = encoder.embed(["a wren.", "one wren!"]).mean(axis=0)
    np.testing.assert_allclose(got[0], mean / np.linalg.norm(mean), atol=1e-6)


def test_prompts_are_encoded_once(tmp_path: Path) -> None:
    """A cached prompt is not encoded again, a new one is, and another bundle shares nothing."""
    asked: list[str] = []

    def embed(prompts: list[str]) -> Vectors:
        asked.extend(prompts)
        return np.eye(4, dtype=np.float32)[: len(prompts)]

    PromptCache(tmp_path, "a" * 64).embed(["x", "y", "x"], embed)
    assert asked == ["x", "y"]
    got = PromptCache(tmp_path, "a" * 64).embed(["y", "z"], embed)
    assert asked == ["x", "y", "z"]
    assert got[0].tolist() == [0, 1, 0, 0]
    PromptCache(tmp_path, "b" * 64).embed(["x"], embed)
    assert asked[-1] == "x"


def test_a_damaged_cache_is_computed_again(tmp_path: Path) -> None:
    """A cache file that was cut short costs time, not a crash."""
    cache = PromptCache(tmp_path, "a" * 64)
    cache.embed(["x"], lambda prompts: np.ones((1, 4), np.float32))
    (stored,) = tmp_path.iterdir()
    stored.write_bytes(stored.read_bytes()[:100])
    got = cache.embed(["x"], lambda prompts: np.full((1, 4), 2, np.float32))
    assert got.tolist() == [[2, 2, 2, 2]]


def test_a_flipped_bit_in_the_cache_is_never_believed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Wherever the bit lies, the prompts are made again, and the log says so."""
    cache = PromptCache(tmp_path, "a" * 64)
    good = cache.embed(["x", "y"], lambda prompts: np.eye(2, 4, dtype=np.float32))
    (stored,) = tmp_path.iterdir()
    whole = stored.read_bytes()
    for place in range(0, len(whole) * 8, 7):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        stored.write_bytes(flipped)
        caplog.clear()
        got = cache.embed(["x", "y"], lambda prompts: np.eye(2, 4, dtype=np.float32))
        assert np.array_equal(got, good)
        assert "are damaged, and are made again" in caplog.text
        assert stored.read_bytes() == whole


def test_flipped_bits_in_example_photos_are_told_or_harmless(tmp_path: Path) -> None:
    """What was learnt from photos is either read as it was kept or refused by name."""
    path = tmp_path / "g.npz"
    vectors = unit(np.random.default_rng(0).normal(size=(18, 16)).astype(np.float32))
    np.savez(path, embeddings=vectors.astype(np.float16), bundle_digest="b" * 64)
    label = Label("Gertrude", Kind.BIRD, photos=path)
    good = label_embeddings.photo_examples(label).vectors
    whole = path.read_bytes()
    refused = 0
    for place in range(0, len(whole) * 8):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert np.array_equal(label_embeddings.photo_examples(label).vectors, good)
        except VocabularyError as error:
            assert "Gertrude" in str(error)
            refused += 1
    assert refused > len(whole) * 4


def test_a_bundles_own_labels_are_compared_with_all_they_include(textless: Bundle) -> None:
    """A file that the labels include is pinned like the labels, and photos are not accepted."""
    folder = textless.folder
    own = (folder / "labels.toml").read_text(encoding="utf-8")
    (folder / "more.toml").write_text('[[label]]\nname = "jay"\nkind = "bird"\n', encoding="utf-8")
    (folder / "labels.toml").write_text(f'include = ["more"]\n{own}', encoding="utf-8")
    sealed = seal(folder, textless.manifest)
    assert len(label_embeddings.bundle_labels(sealed).labels) == 4
    (folder / "more.toml").write_text('[[label]]\nname = "daw"\nkind = "bird"\n', encoding="utf-8")
    with pytest.raises(BundleError, match=r"more\.toml"):
        label_embeddings.bundle_labels(sealed)
    (folder / "labels.toml").write_text(f'{own}photos = "a.npz"\n', encoding="utf-8")
    with pytest.raises(VocabularyError, match="made of photos"):
        label_embeddings.bundle_labels(seal(folder, textless.manifest))


def test_a_bundle_without_text_uses_its_own_labels(textless: Bundle) -> None:
    """Its labels are the default vocabulary, and judging works as with a CLIP."""
    classifier = Classifier.load(textless.folder)
    assert [label.name for label in classifier.labels] == [
        "European Robin",
        "Eurasian Wren",
        "empty feeder",
    ]
    best = classifier.classify_image(golden_image()).best
    assert best is not None


def test_a_bundle_without_text_refuses_free_texts(textless: Bundle) -> None:
    """Asking for words is an error that names how to get a model that reads."""
    with pytest.raises(VocabularyError) as caught:
        Classifier.load(textless.folder).predict_proba(golden_image(), TEXTS)
    assert "make model" in caught.value.hint


def test_a_vocabulary_selects_from_a_bundle_without_text(textless: Bundle) -> None:
    """Labels it knows are used, its negatives stay, and what it does not know is told."""
    classifier = Classifier.load(textless.folder, "europe")
    assert {label.name for label in classifier.labels} == {
        "European Robin",
        "Eurasian Wren",
        "empty feeder",
    }
    assert "Dunnock" in classifier.embeddings.skipped


def test_an_own_label_without_photos_is_refused_without_text(textless: Bundle) -> None:
    """A name alone cannot be learnt by a bundle that reads no text; the hint offers photos."""
    vocabulary = Vocabulary(
        "mine", ("{label}",), (Label("Gertrude", Kind.BIRD),), own=frozenset({"Gertrude"})
    )
    with pytest.raises(VocabularyError) as caught:
        Classifier(textless, vocabulary)
    assert "--photos" in caught.value.hint


@pytest.mark.parametrize("reads_text", [True, False])
def test_a_label_can_be_learnt_from_photos(
    reads_text: bool, tiny_clip: Path, textless: Bundle, tmp_path: Path
) -> None:
    """Pictures like the examples get the new label, others do not, on either kind of bundle."""
    bundle = Bundle.open(tiny_clip) if reads_text else textless
    before = Classifier.load(bundle.folder, None if not reads_text else "flask-lab")
    rng = np.random.default_rng(1)
    alike = [
        golden_image().point(lambda value, k=light: int(value * k))
        for light in rng.uniform(0.95, 1, 8)
    ]
    photos = tmp_path / "gertrude.npz"
    label_embeddings.save_photos(photos, list(before.embed(alike[:6])), bundle)
    vocabulary = Vocabulary(
        "mine",
        vocabularies.DEFAULT_TEMPLATES,
        (*before.labels, Label("Gertrude", Kind.BIRD, photos=photos)),
        own=frozenset({"Gertrude"}),
    )
    after = Classifier(bundle, vocabulary)
    for picture in alike[6:]:
        best = after.classify_image(picture).best
        assert best is not None
        assert best.label.name == "Gertrude"
    noise = rng.integers(0, 255, (64, 64, 3)).astype(np.uint8)
    best = after.classify_image(noise).best
    assert best is not None
    assert best.label.name != "Gertrude"


def test_photos_of_another_model_are_skipped(tiny_clip: Path, tmp_path: Path) -> None:
    """Example embeddings are bound to the bundle that made them; another one does without."""
    bundle = Bundle.open(tiny_clip)
    photos = tmp_path / "g.npz"
    np.savez(photos, embeddings=np.ones((3, 16), np.float16), bundle_digest="other")
    vocabulary = Vocabulary(
        "v", ("{label}",), (Label("a", Kind.BIRD), Label("g", Kind.BIRD, photos=photos))
    )
    classifier = Classifier(bundle, vocabulary)
    assert [label.name for label in classifier.labels] == ["a"]
    assert classifier.embeddings.skipped == ("g (learnt by another model)",)


def test_a_group_is_the_sum_of_its_members(tiny_clip: Path) -> None:
    """Groups name labels in any spelling; "sp." needs two of its members, other names need all."""
    labels = tuple(Label(name, Kind.BIRD) for name in ("wren", "finch", "linnet"))
    groups = (
        Group(Label("any", Kind.BIRD), ("Wren", "finch", "linnet")),
        Group(Label("finch sp.", Kind.BIRD), ("linnet", "finch", "siskin")),
        Group(Label("finch/linnet/siskin", Kind.BIRD), ("linnet", "finch", "siskin")),
        Group(Label("wren sp.", Kind.BIRD), ("wren", "winter wren")),
    )
    vocabulary = Vocabulary("", ("{label}",), labels, groups)
    never = Thresholds(label=0.9999, bird=0.0, blank=1.0)
    bundle = Bundle.open(tiny_clip)
    manifest = bundle.manifest.model_copy(update={"logit_scale": 1.0})
    classifier = Classifier(replace(bundle, manifest=manifest), vocabulary, thresholds=never)
    found = {label.name: members for label, members in classifier.embeddings.groups}
    assert found == {"finch sp.": (1, 2), "any": (0, 1, 2)}
    got = classifier.classify_image(golden_image())
    assert got.named is not None
    assert got.named.label.name == "any"
    assert got.named.probability == pytest.approx(1.0)


def test_the_surer_view_of_a_frame_counts(tiny_clip: Path) -> None:
    """A region is judged beside the whole frame, and named where it is the surer of the two."""
    labels = tuple(Label(name, Kind.BIRD) for name in ("wren", "finch", "linnet"))
    vocabulary = Vocabulary("", ("{label}",), labels)
    anything = Thresholds(label=0.0, bird=0.0, blank=1.0)
    classifier = Classifier(Bundle.open(tiny_clip), vocabulary, thresholds=anything)
    frame = framed(golden_image())
    whole = classifier.classify(frame)
    assert whole.region is None
    boxes = [Box(x / 8, y / 8, 0.3, 0.3) for x in range(6) for y in range(6)]
    for box in boxes:
        got = classifier.classify(frame, box)
        part = classifier.classify_image(cut(golden_image(), box))
        assert whole.named is not None
        assert part.named is not None
        assert got.named is not None
        better = part.named.probability > whole.named.probability
        assert got.region == (box if better else None)
        assert got.named.probability == max(part.named.probability, whole.named.probability)


def test_a_region_counts_only_where_the_frame_may_show_a_bird(tiny_clip: Path) -> None:
    """Where the whole frame is nothing like a bird, its changed part is not even looked at."""
    vocabulary = Vocabulary("", ("{label}",), (Label("wren", Kind.BIRD), Label("lawn", Kind.BLANK)))
    classifier = Classifier(Bundle.open(tiny_clip), vocabulary, thresholds=Thresholds(label=0.0))
    boxes = [Box(x / 8, y / 8, 0.3, 0.3) for x in range(6) for y in range(6)]
    noise = np.random.default_rng(0).integers(0, 255, (40, 64, 64, 3), np.uint8)
    frames = [framed(Image.fromarray(pixels)) for pixels in noise]
    wholes = [classifier.classify(frame) for frame in frames]
    lawns = [
        frame
        for frame, whole in zip(frames, wholes, strict=True)
        if (whole.bird_probability or 0) < PERHAPS
    ]
    assert lawns
    for frame in lawns:
        assert all(classifier.classify(frame, box).region is None for box in boxes)


def framed(image: Image.Image) -> Frame:
    """A frame with these pixels."""
    source = SettledPath(Deployment("garden", Path("/")), Path("/a.jpg"), 1, 1)
    return Frame(source, "", datetime(2026, 5, 1, tzinfo=UTC), TimeSource.EXIF, image=image)


def test_a_prediction_says_all_it_knows(classifier: Classifier) -> None:
    """Candidates are sorted and labelled, the margin is theirs, and digests name the judges."""
    prediction = classifier.classify_image(golden_image())
    shares = [candidate.probability for candidate in prediction.candidates]
    assert shares == sorted(shares, reverse=True)
    assert len(shares) == 5
    assert prediction.margin == pytest.approx(shares[0] - shares[1])
    assert all(-1 <= candidate.cosine <= 1 for candidate in prediction.candidates)
    assert prediction.bird_probability is not None
    assert prediction.model_digest == classifier.bundle.digest
    assert prediction.embedding is not None
    assert np.linalg.norm(prediction.embedding) == pytest.approx(1, abs=1e-3)


def test_an_unreadable_picture_is_named(classifier: Classifier, tmp_path: Path) -> None:
    """A missing or broken file is a BadFrame that names it."""
    (tmp_path / "text.jpg").write_text("not a picture", encoding="utf-8")
    for name in ("missing.jpg", "text.jpg"):
        with pytest.raises(BadFrame, match=name):
            classifier.classify_image(tmp_path / name)
