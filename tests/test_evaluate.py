"""Evaluating a labelled folder: figures, truth names, the report, the command."""

import base64
import hashlib
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy.stats import binomtest
from sklearn.calibration import calibration_curve
from sklearn.metrics import (
    confusion_matrix,
    precision_recall_fscore_support,
    top_k_accuracy_score,
)

from feeder import config, evaluation_report, metrics, pages
from feeder.bundle import Bundle, Thresholds
from feeder.classifier import Classifier
from feeder.cli import app
from feeder.clock import parse_utc
from feeder.domain import Candidate, Kind, Label, ObservationType, Prediction
from feeder.errors import FeederError
from feeder.evaluate import Evaluation, Judged, evaluate
from feeder.labelled import Answer, LabelledPicture, find_pictures, match, suggest
from feeder.metrics import Share
from feeder.vocabulary import Vocabulary

MADE = parse_utc("2026-05-01T06:30:00.000Z")

HOSTILE = "<script>alert(1)"
UNKNOWN = '"><img src=x onerror=alert(2)>'

FINCH = Label("House Finch", Kind.BIRD, "Haemorhous mexicanus", "houfin", ("Linnet",))
ROBIN = Label("American Robin", Kind.BIRD, "Turdus migratorius", "amerob")
SQUIRREL = Label("squirrel", Kind.MAMMAL)
EMPTY = Label("empty feeder", Kind.BLANK, aliases=("empty",))
NIGHT = Label("night", Kind.BLANK)
SCRIPT = Label(HOSTILE, Kind.BIRD)
LABELS = (FINCH, ROBIN, SQUIRREL, EMPTY, NIGHT, SCRIPT)

pairs = st.integers(2, 6).flatmap(
    lambda classes: st.lists(
        st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)), min_size=1
    ).map(lambda drawn: (classes, np.array(drawn, np.int64)))
)
answers = st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=60).map(
    lambda drawn: (np.array([p for p, _ in drawn]), np.array([r for _, r in drawn]))
)


@pytest.fixture(scope="module")
def classifier(tiny_clip: Path) -> Classifier:
    """Birds, a mammal and blanks to choose among, on a model that always answers the same."""
    vocabulary = Vocabulary("garden", ("a photo of a {label}.",), LABELS)
    return Classifier(Bundle.open(tiny_clip), vocabulary, precision="fp32")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder per label: known ones, a kind, an unknown one, and a file that is no picture."""
    named = ["House Finch", "amerob", "Turdus migratorius", "empty", "bird", HOSTILE, UNKNOWN]
    for seed, name in enumerate(named):
        for number in range(3):
            save(tmp_path / "set" / name / f"{number}.jpg", seed * 10 + number)
    (tmp_path / "set" / "House Finch" / "broken.jpg").write_bytes(b"no picture at all")
    return tmp_path / "set"


def save(path: Path, seed: int, size: tuple[int, int] = (64, 48)) -> Path:
    """Writes a picture of its own for each seed, with metadata that must not leave the house."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (4, 5, 3), np.uint8))
    exif = Image.Exif()
    exif[0x010F] = "SECRET-CAMERA"
    coarse.resize(size, Image.Resampling.BICUBIC).save(path, exif=exif, comment="SECRET-COMMENT")
    return path


def judged(
    truth: Answer,
    best: Label,
    probability: float,
    verdict: ObservationType = ObservationType.ANIMAL,
    path: Path = Path("a.jpg"),
) -> Judged:
    """A picture judged as told."""
    candidate = Candidate(best, probability, 0.3)
    named = candidate if verdict is ObservationType.ANIMAL else None
    prediction = Prediction(verdict, "", (candidate,), named)
    outcome: Answer = best.kind if isinstance(truth, Kind) else best
    rank = None if isinstance(truth, Kind) else int(best != truth)
    picture = LabelledPicture(path, path.name, "")
    return Judged(picture, truth, outcome, probability, 0.1, rank, prediction)


def evaluation(*each: Judged) -> Evaluation:
    """An evaluation of pictures that were judged by hand."""
    return Evaluation("set", "tiny", "0" * 64, "garden", "1" * 64, 6, Thresholds(), each)


# Figures


@settings(deadline=None)
@given(pairs)
def test_scores_equal_scikit_learns(drawn: tuple[int, metrics.Ints]) -> None:
    """Confusion matrix, precision, recall, F1, support and both means are scikit-learn's."""
    classes, both = drawn
    truth, outcome = both.T
    every = list(range(classes))
    confusion = metrics.confusion_matrix(truth, outcome, classes)
    np.testing.assert_array_equal(confusion, confusion_matrix(truth, outcome, labels=every))
    each = metrics.scores(confusion)
    theirs = precision_recall_fscore_support(truth, outcome, labels=every, zero_division=0)
    ours = (each.precision, each.recall, each.f1, each.support)
    for mine, reference in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(mine, reference)
    shown = sorted(set(truth.tolist()))
    for mean, average in ((metrics.macro(each), "macro"), (metrics.weighted(each), "weighted")):
        expected = precision_recall_fscore_support(
            truth, outcome, labels=shown, average=average, zero_division=0
        )
        assert (mean.precision, mean.recall, mean.f1) == pytest.approx(expected[:3])


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(3, 12), st.integers(1, 40))
def test_top_k_accuracy_equals_scikit_learns(seed: int, labels: int, count: int) -> None:
    """A true label of rank below k is a hit among the k best."""
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.ones(labels), count)
    truth = rng.integers(0, labels, count)
    found = metrics.ranks(probabilities, truth)
    for k in (1, 3, 5):
        if k < labels:
            expected = top_k_accuracy_score(truth, probabilities, k=k, labels=range(labels))
            assert (found < k).mean() == pytest.approx(expected)


def test_equal_probabilities_rank_in_the_order_of_labels() -> None:
    """Ties go to the earlier label, as in a prediction's candidates."""
    equal = np.full((3, 3), 1 / 3)
    assert metrics.ranks(equal, np.array([0, 1, 2])).tolist() == [0, 1, 2]


@settings(deadline=None)
@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_intervals_equal_scipys_wilson_interval(drawn: tuple[int, int]) -> None:
    """The 95 % interval of a share is Wilson's, and holds the share."""
    count, total = drawn
    expected = binomtest(count, total).proportion_ci(method="wilson")
    got = metrics.Share(count, total).interval
    assert got == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert got[0] <= count / total <= got[1]


def test_a_share_of_nothing_has_no_value() -> None:
    """Nothing out of nothing is unknown, not zero."""
    share = metrics.Share(0, 0)
    assert share.value is None
    assert share.interval is None


@settings(deadline=None)
@given(answers)
def test_reliability_equals_scikit_learns_calibration_curve(
    drawn: tuple[metrics.Floats, np.ndarray],
) -> None:
    """Fifteen equally wide bins, with each one's mean confidence and accuracy."""
    confidence, right = drawn
    bins = metrics.reliability(confidence, right)
    assert sum(one.count for one in bins) == len(right)
    if len(set(right.tolist())) == 2:  # scikit-learn refuses answers that are all right or wrong
        accuracy, mean = calibration_curve(right, confidence, n_bins=15)
        got = [(one.accuracy, one.confidence) for one in bins if one.count]
        np.testing.assert_allclose(got, np.stack([accuracy, mean], axis=1))


def test_calibration_error_weighs_each_bins_gap_by_its_pictures() -> None:
    """Three answers at 0.9 of which two are right, and a wrong one at 0.1."""
    confidence, right = np.array([0.9, 0.9, 0.9, 0.1]), np.array([True, True, False, False])
    error = metrics.calibration_error(metrics.reliability(confidence, right))
    assert error == pytest.approx(3 / 4 * (0.9 - 2 / 3) + 1 / 4 * 0.1)
    assert metrics.calibration_error([]) is None


@settings(deadline=None)
@given(answers)
def test_coverage_falls_as_the_threshold_rises(drawn: tuple[metrics.Floats, np.ndarray]) -> None:
    """Everything is answered at 0; a higher threshold never answers more."""
    confidence, right = drawn
    first, *rest = metrics.coverage_curve(confidence, right, [0.0, 0.3, 0.6, 1.0])
    assert first.coverage == 1
    assert first.accuracy == pytest.approx(right.mean())
    coverages = [first.coverage, *(point.coverage for point in rest)]
    assert coverages == sorted(coverages, reverse=True)
    assert all((point.accuracy is None) == (point.coverage == 0) for point in rest)


def test_the_verdict_is_measured_apart_from_the_best_label() -> None:
    """Coverage counts names given; declining costs coverage, a wrong name costs accuracy."""
    unknown, blank = ObservationType.UNKNOWN, ObservationType.BLANK
    result = evaluation(
        judged(FINCH, FINCH, 0.9),
        judged(FINCH, ROBIN, 0.8),
        judged(FINCH, FINCH, 0.3, unknown),
        judged(Kind.BIRD, ROBIN, 0.7),
        judged(EMPTY, EMPTY, 0.9, blank),
        judged(Kind.BLANK, FINCH, 0.6),
    )
    assert result.top1 == metrics.Share(4, 6)
    assert result.named == metrics.Share(4, 6)
    assert result.rightly_named == metrics.Share(2, 4)
    assert result.called_bird(Kind.BIRD) == metrics.Share(3, 4)
    assert result.called_bird(Kind.BLANK) == metrics.Share(1, 2)
    assert result.called[Kind.BLANK] == {Kind.BLANK: 1, Kind.BIRD: 1}
    assert result.confused == [(FINCH, ROBIN, 1), (Kind.BLANK, Kind.BIRD, 1)]


def test_top_k_leaves_out_pictures_of_which_only_the_kind_is_known() -> None:
    """A kind has no rank among labels."""
    result = evaluation(judged(FINCH, ROBIN, 0.9), judged(Kind.BIRD, ROBIN, 0.9))
    assert result.top_k == {k: metrics.Share(int(k > 1), 1) for k in (1, 3, 5)}


# Truth


@pytest.mark.parametrize(
    ("name", "answer"),
    [
        ("House Finch", FINCH),
        ("house_finch", FINCH),
        ("LINNET", FINCH),
        ("haemorhous mexicanus", FINCH),
        ("amerob", ROBIN),
        ("bird", Kind.BIRD),
        ("Mammal", Kind.MAMMAL),
        ("human", Kind.HUMAN),
        ("blank", Kind.BLANK),
        ("empty", Kind.BLANK),
        ("empty feeder", EMPTY),
    ],
)
def test_truth_is_a_label_by_any_name_or_a_kind(name: str, answer: Answer) -> None:
    """Names, aliases, scientific names and codes in any spelling; kinds; "empty" is blank."""
    assert match([name], LABELS) == {name: answer}


def test_a_label_named_like_a_kind_is_that_label() -> None:
    """Who calls a label "bird" means it."""
    bird = Label("Bird", Kind.BIRD)
    assert match(["bird"], (FINCH, bird)) == {"bird": bird}


def test_unknown_names_match_nothing_but_may_be_guessed() -> None:
    """A near miss is no match, and its likeliest meaning is suggested."""
    assert match(["Hose Finch"], LABELS) == {}
    assert suggest("Hose Finch", LABELS) == " Did you mean 'House Finch'?"


def test_the_label_is_the_folder_under_the_one_given(tmp_path: Path) -> None:
    """However deep a picture lies; loose and hidden files are passed over."""
    for name in ("Wren/a.jpg", "Wren/2025/b.jpg", "loose.jpg", ".cache/c.jpg", "Wren/.d.jpg"):
        save(tmp_path / name, 0)
    found = [(picture.file, picture.name) for picture in find_pictures(tmp_path)]
    assert found == [("Wren/2025/b.jpg", "Wren"), ("Wren/a.jpg", "Wren")]


def test_names_that_are_not_utf8_can_be_written(tmp_path: Path) -> None:
    """What cannot be shown is replaced; the file is found all the same."""
    path = tmp_path / os.fsdecode(b"caf\xe9") / os.fsdecode(b"\xff.jpg")
    try:
        save(path, 0)
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    (picture,) = find_pictures(tmp_path)
    assert picture.path == path
    assert (picture.file, picture.name) == ("caf\ufffd/\ufffd.jpg", "caf\ufffd")


def test_a_folder_without_labels_is_an_error(tmp_path: Path) -> None:
    """Loose pictures have no label."""
    save(tmp_path / "loose.jpg", 0)
    with pytest.raises(FeederError, match="no folders with pictures"):
        find_pictures(tmp_path)


@pytest.mark.parametrize("start", ["", "frames/", "photos/frames/"])
def test_listed_paths_start_beside_the_list_or_above_it(tmp_path: Path, start: str) -> None:
    """The list may have moved along with its folder; a byte order mark does no harm."""
    frames = tmp_path / "photos" / "frames"
    save(frames / "day" / "1.jpg", 0)
    table = frames / "labels.csv"
    table.write_text(f"path,label,note\n{start}day/1.jpg, bird ,x\n", encoding="utf-8-sig")
    (picture,) = find_pictures(frames, table)
    assert (picture.file, picture.name) == ("day/1.jpg", "bird")
    assert picture.path.is_file()


def test_listed_files_outside_the_folder_are_passed_over(tmp_path: Path) -> None:
    """One list may serve several folders."""
    save(tmp_path / "one" / "a.jpg", 0)
    save(tmp_path / "two" / "a.jpg", 1)
    table = tmp_path / "labels.csv"
    table.write_text("path,label\none/a.jpg,bird\ntwo/a.jpg,empty\n")
    assert [picture.name for picture in find_pictures(tmp_path / "two", table)] == ["empty"]
    (tmp_path / "three").mkdir()
    with pytest.raises(FeederError, match="None of the 2 files"):
        find_pictures(tmp_path / "three", table)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"path,label\nnot-there-9f3a.jpg,bird\n", "'not-there-9f3a.jpg' in line 2"),
        (b"file,label\na.jpg,bird\n", "no column 'path'; its columns are 'file', 'label'"),
        (b"path,label\n\xff\xfe,bird\n", "cannot be read"),
    ],
)
def test_a_wrong_list_is_an_error_that_says_where(
    tmp_path: Path, content: bytes, message: str
) -> None:
    """Missing files, missing columns and other encodings are named."""
    table = tmp_path / "labels.csv"
    table.write_bytes(content)
    with pytest.raises(FeederError, match=message):
        find_pictures(tmp_path, table)


# Judging


def test_every_known_picture_is_judged_as_classify_would(
    classifier: Classifier, folder: Path
) -> None:
    """Outcomes are the classifier's own; unknown labels and broken files are listed."""
    steps: list[tuple[int, int]] = []
    result = evaluate(
        classifier,
        find_pictures(folder),
        folder,
        progress=lambda done, of: steps.append((done, of)),
    )
    assert len(result.judged) == 18
    assert steps == [(done, 19) for done in range(1, 20)]
    assert result.unmatched == {UNKNOWN: 3}
    assert [picture.file for picture, _ in result.bad] == ["House Finch/broken.jpg"]
    assert "not a picture" in result.bad[0][1]
    for one in result.judged:
        prediction = classifier.classify_image(one.picture.path)
        assert one.prediction == prediction
        assert prediction.best is not None
        if isinstance(one.truth, Label):
            assert one.outcome == prediction.best.label
            assert one.probability == pytest.approx(prediction.best.probability)
            assert one.right == (one.rank == 0)
        elif one.truth is Kind.BIRD:
            assert one.truth_probability == pytest.approx(prediction.bird_probability)


def test_a_kind_is_judged_by_the_sum_over_its_labels(classifier: Classifier, folder: Path) -> None:
    """The outcome is the kind with the greatest sum, whichever single label is best."""
    for one in evaluate(classifier, find_pictures(folder), folder).judged:
        if isinstance(one.truth, Kind):
            assert one.prediction.embedding is not None
            shares = classifier.probabilities(one.prediction.embedding[None])[0]
            mass = {
                kind: sum(
                    share
                    for share, label in zip(shares, classifier.labels, strict=True)
                    if label.kind is kind
                )
                for kind in Kind
            }
            assert one.outcome == max(Kind, key=lambda kind: mass[kind])
            assert one.probability == pytest.approx(max(mass.values()))


def test_a_limit_takes_evenly_from_every_label(classifier: Classifier, tmp_path: Path) -> None:
    """Half of the pictures are half of each label's."""
    for name in ("House Finch", "squirrel"):
        for number in range(4):
            save(tmp_path / name / f"{number}.png", number)
    result = evaluate(classifier, find_pictures(tmp_path), tmp_path, limit=4)
    assert [one.truth for one in result.judged] == [FINCH, FINCH, SQUIRREL, SQUIRREL]


def test_no_known_label_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    """It names the labels that were found."""
    save(tmp_path / "Dodo" / "a.jpg", 0)
    with pytest.raises(FeederError, match="none of these labels: 'Dodo'"):
        evaluate(classifier, find_pictures(tmp_path), tmp_path)


def test_no_readable_picture_is_an_error(classifier: Classifier, tmp_path: Path) -> None:
    """There is nothing to measure."""
    save(tmp_path / "bird" / "a.jpg", 0).write_bytes(b"")
    with pytest.raises(FeederError, match="None of the 1 pictures"):
        evaluate(classifier, find_pictures(tmp_path), tmp_path)


# The report


class Page(HTMLParser):
    """A page's elements, attributes and text; fails on tags that do not nest."""

    VOID = frozenset({"meta", "img", "line", "circle", "polyline"})

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> Iterator[dict[str, str | None]]:
        """The attributes of each element of this name."""
        return (attributes for name, attributes in self.elements if name == tag)


def test_hostile_names_are_shown_and_do_nothing(classifier: Classifier, folder: Path) -> None:
    """Folder and label names are text: no element or attribute comes of them."""
    html = evaluation_report.render(evaluate(classifier, find_pictures(folder), folder), MADE)
    page = Page(html)
    assert HOSTILE in page.text
    assert UNKNOWN in page.text
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    for _, attributes in page.elements:
        assert not any(name.startswith("on") or name in {"style", "href"} for name in attributes)
    assert "2026-05-01 06:30 UTC" in page.text


def test_the_report_needs_nothing_beside_it(classifier: Classifier, folder: Path) -> None:
    """Its policy allows its own style by hash and inline pictures, and nothing else."""
    html = evaluation_report.render(evaluate(classifier, find_pictures(folder), folder), MADE)
    page = Page(html)
    style = html.split("<style>")[1].split("</style>")[0]
    pinned = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = [meta.get("content") for meta in page.all("meta")]
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{pinned}'" in policy
    assert "url(" not in style
    assert "@import" not in style
    pictures = list(page.all("img"))
    assert pictures
    assert all((image["src"] or "").startswith("data:image/jpeg;base64,") for image in pictures)
    assert all(image["alt"] for image in pictures)
    assert "://" not in html


def test_thumbnails_are_small_and_bare(tmp_path: Path) -> None:
    """At most 240 pixels an edge, without the camera's metadata."""
    path = save(tmp_path / "large.jpg", 1, (1000, 400))
    assert b"SECRET-CAMERA" in path.read_bytes()
    uri = pages.thumbnail(path)
    data = base64.b64decode(uri.split(",")[1])
    assert b"SECRET" not in data
    with Image.open(io.BytesIO(data)) as image:
        assert image.size == (240, 96)
        assert not image.getexif()


def test_only_so_many_pictures_are_shown(tmp_path: Path) -> None:
    """The surest mistakes come first, and a line says how many are left out."""
    path = save(tmp_path / "a.jpg", 0)
    most = evaluation_report.MAX_THUMBNAILS
    each = [judged(FINCH, ROBIN, 0.5 + at / 1000, path=path) for at in range(most + 7)]
    page = Page(evaluation_report.render(evaluation(*each), MADE))
    assert len(list(page.all("img"))) == most
    assert f"{most} of {most + 7}, the surest mistakes first; 7 are left out" in page.text


def test_a_picture_that_is_gone_leaves_a_place_without_an_image() -> None:
    """The report is written all the same."""
    each = judged(FINCH, ROBIN, 0.9, path=Path("gone.jpg"))
    page = Page(evaluation_report.render(evaluation(each), MADE))
    assert list(page.all("img")) == []
    assert "no longer readable" in page.text


def test_a_faultless_evaluation_has_a_report_too() -> None:
    """Without mistakes there is nothing to list."""
    html = evaluation_report.render(evaluation(judged(FINCH, FINCH, 0.9)), MADE)
    assert "Misclassified" not in html
    assert "best label is the true one" in html


def test_of_many_labels_the_matrix_shows_the_most_confused() -> None:
    """Labels without a confusion are dropped first, and the page says how many."""
    labels = [Label(f"Species {at}", Kind.BIRD) for at in range(40)]
    right = [judged(label, label, 0.9) for label in labels]
    wrong = [judged(labels[0], labels[1], 0.8), judged(labels[0], labels[2], 0.8)]
    html = evaluation_report.render(evaluation(*right, *wrong), MADE)
    assert "Shown are the 3 labels with the most confusions; 37 are left out." in html


# The command


@pytest.fixture
def vocabulary_file(tmp_path: Path) -> Path:
    """The test labels as a vocabulary file."""
    lines = ['title = "garden"']
    for label in LABELS:
        lines += [
            "[[label]]",
            f"name = {json.dumps(label.name)}",
            f'kind = "{label.kind}"',
            f"scientific_name = {json.dumps(label.scientific_name)}",
            f"ebird_code = {json.dumps(label.ebird_code)}",
            f"aliases = {json.dumps(label.aliases)}",
        ]
    path = tmp_path / "garden.toml"
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def run(tmp_path: Path, *arguments: object) -> Result:
    """`feeder eval` with settings of its own."""
    path = tmp_path / "config.toml"
    path.write_text(config.fresh(), encoding="utf-8")
    return CliRunner().invoke(app, ["--config", str(path), "eval", *map(str, arguments)])


def test_the_command_writes_json_and_a_report(
    tmp_path: Path, tiny_clip: Path, vocabulary_file: Path, folder: Path
) -> None:
    """JSON on stdout holds every figure; what was left out, and the report, are on stderr."""
    report = tmp_path / "report.html"
    options = ("--model", tiny_clip, "--vocabulary", vocabulary_file, "--report", report, "--json")
    result = run(tmp_path, folder, *options, "--top", 2)
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert written["pictures"] == 18
    assert written["vocabulary"]["name"] == "garden"
    assert written["top_1"]["count"] == sum(one["right"] for one in written["judged"])
    assert all(len(one["labels"]) == 2 for one in written["judged"])
    assert sum(map(sum, written["confusion"]["counts"])) == 18
    assert f"no label {UNKNOWN!r} (3 pictures)" in result.stderr
    assert "House Finch/broken.jpg: not a picture" in result.stderr
    assert Page(report.read_text(encoding="utf-8")).text.count("tiny")


def test_the_command_writes_tables(
    tmp_path: Path, tiny_clip: Path, vocabulary_file: Path, folder: Path
) -> None:
    """In a pipe they are tab-separated, and nothing draws a progress bar."""
    result = run(
        tmp_path, folder, "--model", tiny_clip, "--vocabulary", vocabulary_file, "--limit", 9
    )
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].split("\t") == ["measure", "share", "pictures", "95 % interval"]
    assert lines[1].startswith("best label right\t")
    assert "label\tpictures\tprecision\trecall\tF1" in lines
    assert "judging" not in result.stderr


def test_sources_are_measured_apart(tmp_path: Path, tiny_clip: Path, vocabulary_file: Path) -> None:
    """A list that says where its pictures come from gets a figure for each source."""
    rows = [f"{n}.jpg,House Finch,{'window | east' if n < 2 else 'garden'}" for n in range(6)]
    for number in range(6):
        save(tmp_path / "set" / f"{number}.jpg", number)
    table = tmp_path / "list.csv"
    table.write_text("path,label,source\n" + "\n".join(rows), encoding="utf-8")
    report = tmp_path / "figures.md"
    options = ("--labels", table, "--model", tiny_clip, "--vocabulary", vocabulary_file)
    result = run(tmp_path, tmp_path / "set", *options, "--report", report, "--json")
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert {name: one["total"] for name, one in written["sources"].items()} == {
        "garden": 4,
        "window | east": 2,
    }
    right = written["sources"]["garden"]["count"] + written["sources"]["window | east"]["count"]
    assert right == written["species"]["count"] == written["top_1"]["count"]
    text = report.read_text("utf-8")
    assert "| window / east |" in text
    assert f"| species right | {_percent(right / 6)} |" in text


def test_a_group_with_the_truth_in_it_is_right() -> None:
    """A verdict that names a group of look-alikes is right where the truth is one of them."""
    group = Candidate(Label("finch sp.", Kind.BIRD), 0.8, 0.1)
    said = Prediction(ObservationType.ANIMAL, "", [Candidate(ROBIN, 0.4, 0.1)], group)
    picture = LabelledPicture(Path("a.jpg"), "a.jpg", "House Finch")
    one = Judged(picture, FINCH, ROBIN, 0.4, 0.3, 1, said, covered=(FINCH, ROBIN))
    assert one.named
    assert one.rightly_named
    assert not replace(one, covered=(ROBIN, SQUIRREL)).rightly_named


def test_what_is_no_bird_is_measured_together() -> None:
    """Mammals, people and blanks called a bird are one figure; blanks are also one of their own."""
    bird = Candidate(FINCH, 0.9, 0.1)
    said = Prediction(ObservationType.ANIMAL, "", [bird], bird)
    nothing = Prediction(ObservationType.BLANK, "")
    pictures = [(SQUIRREL, said), (EMPTY, nothing), (EMPTY, said), (FINCH, said)]
    judged = tuple(
        Judged(LabelledPicture(Path("a"), "a", ""), truth, FINCH, 0.9, 0.1, 0, prediction)
        for truth, prediction in pictures
    )
    measures = Evaluation("", "", "", "", "", 3, Thresholds(), judged).measures
    assert measures["others called a bird"] == Share(2, 3)
    assert measures["blanks called a bird"].total == 2
    assert measures["species right"].total == 1


def _percent(share: float) -> str:
    return f"{100 * share:.1f}\N{NO-BREAK SPACE}%"


def test_a_report_nowhere_is_refused_before_any_work(tmp_path: Path, folder: Path) -> None:
    """A long evaluation must not end in a path that was mistyped at its start."""
    result = run(tmp_path, folder, "--report", tmp_path / "nowhere" / "report.html")
    assert isinstance(result.exception, FeederError)
    assert "no folder" in str(result.exception)


@pytest.mark.parametrize("vocabulary", ["animal-faces-plain", "animal-faces"])
def test_animal_faces_are_judged_with_wild_bare_or_spelled_out(
    tmp_path: Path, tiny_clip: Path, vocabulary: str
) -> None:
    """Both vocabularies have the same three answers, so one folder serves to compare them."""
    for seed, name in enumerate(("cat", "dog", "wild")):
        save(tmp_path / "faces" / name / "1.jpg", seed)
    options = ("--model", tiny_clip, "--vocabulary", vocabulary, "--json")
    result = run(tmp_path, tmp_path / "faces", *options)
    assert result.exit_code == 0, result.output
    written = json.loads(result.stdout)
    assert [one["truth"] for one in written["judged"]] == ["cat", "dog", "wild"]
    assert written["vocabulary"]["labels"] == 3


def test_help_shows_both_vocabularies_of_animal_faces(tmp_path: Path) -> None:
    """Naming "wild" bare, and spelled out, are one option apart."""
    result = run(tmp_path, "--help")
    assert "--vocabulary animal-faces-plain\n" in result.stdout
    assert "--vocabulary animal-faces\n" in result.stdout


# Real photographs


def test_the_shipped_model_names_most_garden_birds(photos: Path) -> None:
    """The starter model's best label is right more often than not, over some forty species."""
    starter = Classifier.load("starter")
    folder = photos / "garden"
    result = evaluate(starter, find_pictures(folder), folder, limit=60)
    assert result.unmatched == {}
    assert (result.top1.value or 0) > 0.5


def test_a_real_feeders_empty_frames_are_not_called_birds(photos: Path) -> None:
    """Frames labelled bird, empty or uncertain by a list whose paths start further up."""
    starter = Classifier.load("starter")
    folder = photos / "sequences" / "window_feeder"
    pictures = find_pictures(folder, folder / "labels.csv")
    result = evaluate(starter, pictures, folder, limit=60)
    assert set(result.unmatched) >= {"uncertain"}
    assert set(result.answers) >= {Kind.BIRD, Kind.BLANK}
    assert (result.called_bird(Kind.BLANK).value or 0) < 0.05
