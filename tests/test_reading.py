"""What is read in a picture is told from what is seen in it."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from benchmarks.notes import chosen, paste_note, stamp
from benchmarks.typographic import NOTHING, on_pictures
from feeder import Classifier
from feeder import vocabulary as vocabularies
from feeder.bundle import Bundle, Thresholds, golden_image, shipped_models
from feeder.classifier import PERHAPS
from feeder.domain import Box, Kind, Label, ObservationType
from feeder.prototypes import Examples
from feeder.reading import TEMPLATES, Words, without_what_is_read
from feeder.verdicts import Choices, decide
from feeder.vocabulary import Vocabulary, with_text_negatives
from tests.test_classifier import framed

ROBIN, WREN = Label("robin", Kind.BIRD), Label("wren", Kind.BIRD)
EMPTY = Label("empty", Kind.BLANK)
TEXT = Label("sign with text", Kind.BLANK, is_text=True)
LABELS = (ROBIN, WREN, EMPTY, TEXT)
WORDS = Words(np.eye(4, dtype=np.float32)[:2], np.array([0, 1]), 3)


def moved(shares: list[float], seen: list[float], read: list[float]) -> list[float]:
    """The probabilities of LABELS where the names' words are so much like the picture."""
    embedding = np.array([[*read, 0, 0]], np.float32)
    probability, cosines = np.array([shares], np.float32), np.array([seen], np.float32)
    return without_what_is_read(probability, embedding, cosines, WORDS, 100.0)[0].tolist()


def test_a_word_that_is_more_alike_than_its_thing_is_read() -> None:
    """The label's probability goes to the text; that of a label that is seen stays."""
    assert moved([0.9, 0.1, 0, 0], [0.2, 0.2, 0, 0], [0.3, 0.1]) == pytest.approx(
        [0, 0.1, 0, 0.9], abs=1e-4
    )
    assert moved([0.9, 0.1, 0, 0], [0.3, 0.2, 0, 0], [0.2, 0.1]) == pytest.approx(
        [0.9, 0.1, 0, 0], abs=1e-4
    )


@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.floats(-1, 1), st.floats(-1, 1))
def test_nothing_is_lost(weights: list[float], robin: float, wren: float) -> None:
    """Probabilities still sum to what they summed to, none of them negative."""
    total = sum(weights) or 1.0
    shares = [weight / total for weight in weights]
    after = moved(shares, [0.2, 0.2, 0.2, 0.2], [robin, wren])
    assert sum(after) == pytest.approx(sum(shares), abs=1e-5)
    assert min(after) >= -1e-7


def test_what_is_read_is_unknown() -> None:
    """Written words are neither a bird nor nothing: a bird may sit beside them."""
    said = decide(np.array([[0.1, 0.0, 0.1, 0.8]], np.float32), Choices(LABELS), Thresholds())
    assert said.type(0) is ObservationType.UNKNOWN
    assert said.reason(0) == (
        "sign with text 0.80 is read there, and says nothing of what else there is"
    )
    said = decide(np.array([[0.1, 0.0, 0.6, 0.3]], np.float32), Choices(LABELS), Thresholds())
    assert said.type(0) is ObservationType.BLANK


def test_the_shipped_sign_stands_for_text() -> None:
    """The list's own label for signs takes what is read; a list without one gets one."""
    folder = shipped_models() / "vocabularies"
    birds = with_text_negatives(vocabularies.read(folder / "europe.toml"))
    assert [label.name for label in birds.labels if label.is_text] == ["sign with text"]
    faces = with_text_negatives(vocabularies.read(folder / "animal-faces.toml"))
    assert [label.name for label in faces.labels if label.is_text] == ["written text"]
    plain = vocabularies.read(folder / "europe.toml")
    assert vocabularies.digest(birds) != vocabularies.digest(plain)
    robin = plain.find("European Robin")
    assert robin is not None
    assert ['the word "Robin".', *(one.replace("{label}", "Robin") for one in TEMPLATES[1:])] in (
        plain.written(robin)
    )


def test_a_clip_scores_each_name_as_a_word(tiny_clip: Path) -> None:
    """On a bundle that reads, names are compared as words, too, and nothing is lost by it."""
    bundle, plain = Bundle.open(tiny_clip), vocabularies.from_texts(["robin", "wren"])
    reading = Classifier(bundle, with_text_negatives(plain), threads=1)
    words = reading.embeddings.words
    assert words is not None
    assert (words.owner.tolist(), words.text) == ([0, 1], 2)
    vector = reading.embed([golden_image()])
    probability = reading.probabilities(vector)
    assert probability.sum() == pytest.approx(1, abs=1e-5)
    bare = Classifier(bundle, reading_less(with_text_negatives(plain)), threads=1)
    before = bare.probabilities(vector)
    assert probability[0, 2] >= before[0, 2]
    assert (probability[0, :2] <= before[0, :2]).all()


def test_corrections_do_not_make_a_name_less_of_a_word(tiny_clip: Path) -> None:
    """Pictures are more alike than words, so what is seen is weighed by the label's own vector."""
    bundle, plain = Bundle.open(tiny_clip), vocabularies.from_texts(["robin", "wren"])
    reading = Classifier(bundle, with_text_negatives(plain), threads=1)
    note = reading.embed([golden_image()])
    robin = reading.labels[0]
    reading.teach([Examples(robin, np.repeat(note, 3, axis=0), np.arange(3))])
    taught = reading.probabilities(note)[0]
    bare = Classifier(bundle, reading_less(with_text_negatives(plain)), threads=1)
    bare.teach([Examples(robin, np.repeat(note, 3, axis=0), np.arange(3))])
    assert taught[0] < 0.9 * bare.probabilities(note)[0, 0]


def reading_less(vocabulary: vocabularies.Vocabulary) -> vocabularies.Vocabulary:
    """The same labels, none of which stands for text."""
    labels = tuple(replace(label, is_text=False) for label in vocabulary.labels)
    return replace(vocabulary, labels=labels)


def test_words_do_not_keep_a_region_from_being_looked_at(tiny_clip: Path) -> None:
    """Where the whole frame is read as text, what changed is judged, and counts if it is named."""
    labels = tuple(Label(name, Kind.BIRD) for name in ("wren", "lawn"))
    vocabulary = Vocabulary("", ("{label}",), (*labels, Label("sign", Kind.BLANK, is_text=True)))
    classifier = Classifier(Bundle.open(tiny_clip), vocabulary, thresholds=Thresholds(label=0.0))
    boxes = [Box(x / 8, y / 8, 0.3, 0.3) for x in range(6) for y in range(6)]
    noise = np.random.default_rng(0).integers(0, 255, (60, 64, 64, 3), np.uint8)
    frames = [framed(Image.fromarray(pixels)) for pixels in noise]
    wholes = [classifier.classify(frame) for frame in frames]
    signs = [
        frame
        for frame, whole in zip(frames, wholes, strict=True)
        if whole.best is not None
        and whole.best.label.is_text
        and (whole.bird_probability or 0) < PERHAPS
    ]
    assert signs
    regions = [classifier.classify(frame, box).region for frame in signs for box in boxes]
    assert any(regions)


def test_notes_hold_what_is_written_on_them() -> None:
    """A note covers its box alone; what it says changes its pixels and no others."""
    image = golden_image()
    for number in range(6):
        blank, box = paste_note(image, "", chosen(number))
        written, same = paste_note(image, "robin", chosen(number))
        assert box == same
        assert outside(blank, box) == outside(written, box) == outside(image, box)
        assert blank.tobytes() != written.tobytes()
    stamped, bar = stamp(image, "06:30")
    assert outside(stamped, bar) == outside(image, bar)


def outside(image: Image.Image, box: Box) -> bytes:
    """The pixels that lie outside the box."""
    rest = image.copy()
    left, top = round(box.x * image.width), round(box.y * image.height)
    size = round(box.width * image.width), round(box.height * image.height)
    rest.paste((0, 0, 0), (left, top, left + size[0], top + size[1]))
    return rest.tobytes()


def test_the_benchmark_counts_what_becomes_of_names() -> None:
    """A judge that reads is counted as fooled, one behind a mask as not."""
    image = golden_image()

    def fooled(picture: Image.Image, box: Box | None) -> str:
        return "robin" if picture.tobytes() == image.tobytes() else "wren"

    def masked(picture: Image.Image, box: Box | None) -> str:
        return "robin" if box is None else NOTHING

    tally = on_pictures({"none": fooled, "mask": masked}, [image] * 3, ["robin", "wren"])
    assert tally.counts["a note with another label", "none"] == {"the word": 3}
    assert tally.counts["a blank note", "none"] == {"another": 3}
    assert tally.counts["a note with another label", "mask"] == {"nothing": 3}
    assert tally.counts["nothing", "none"] == {"the same": 3}
