"""What judges when the configured model is refused."""

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from feeder import bundle as bundles
from feeder import config
from feeder.bundle import Bundle, golden_image
from feeder.classifier import Classifier
from feeder.cli.stand_in import open_station_somehow, outlook
from feeder.cli.wiring import open_station
from feeder.daemon import Station
from feeder.errors import BundleError
from feeder.label_embeddings import save_photos
from feeder.logbook import Logbook

Open = Callable[..., Station]


@pytest.fixture
def broken(tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the tiny CLIP with one bit of its image encoder flipped."""
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "models" / "broken"))
    flip(folder / "onnx" / "vision_model_quantized.onnx")
    return folder


@pytest.fixture
def opened(write_config: Callable[..., Path], tmp_path: Path) -> Iterator[Open]:
    """Opens a station on a config with these lines under [model], and closes it at the end."""
    stations: list[Station] = []
    logbook = Logbook.open(tmp_path / "log.db")

    def open_it(*model: str, **sections: str) -> Station:
        path = write_config(model="\n".join(("threads = 1", *model)), **sections)
        stations.append(
            open_station_somehow(config.load(path), partial(open_station, logbook=logbook))
        )
        return stations[-1]

    yield open_it
    for station in stations:
        station.close()
    logbook.close()


def flip(path: Path) -> None:
    """Flips a bit in the middle of a file."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 4
    path.write_bytes(data)


def test_the_starter_stands_in_for_a_refused_model(
    opened: Open, broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It judges under its own name and digest, and file and remedy are told as an error."""
    station = opened('bundle = "broken"')
    starter = Bundle.open(bundles.shipped_models() / "starter")
    assert station.stands_in
    assert station.classifier.classify_image(golden_image()).model_digest == starter.digest
    (record,) = (record for record in caplog.records if record.levelname == "ERROR")
    said = record.getMessage()
    assert str(broken / "onnx" / "vision_model_quantized.onnx") in said
    assert "Copy, pull or export the bundle again" in said
    assert "starter stands in; the model broken is refused" in station.notice


def test_a_model_that_is_not_there_is_stood_in_for(opened: Open) -> None:
    """A folder on a disk that is not mounted yet is as good as a refused one."""
    assert "no model bundle 'elsewhere'" in opened('bundle = "elsewhere"').notice


def test_a_whole_model_needs_nobody(opened: Open, tiny_clip: Path) -> None:
    """The configured model is used where it is whole, and nothing is told."""
    station = opened(f'bundle = "{tiny_clip.as_posix()}"')
    assert not station.stands_in
    assert station.notice == ""


def test_what_was_set_for_the_other_model_is_left_out(opened: Open, broken: Path) -> None:
    """Precision and thresholds meant for a CLIP do not keep the starter from standing in."""
    flip(broken / "onnx" / "vision_model.onnx")
    station = opened('bundle = "broken"', 'precision = "fp32"', thresholds="label = 0.99")
    assert station.stands_in
    assert station.classifier.thresholds == station.classifier.bundle.manifest.thresholds


def test_a_vocabulary_is_kept_as_far_as_the_starter_knows_it(opened: Open, broken: Path) -> None:
    """Of a shipped list the birds it knows are kept and the others skipped."""
    whole = {label.name for label in Classifier.load("starter").labels}
    labels = {
        label.name
        for label in opened('bundle = "broken"', 'vocabulary = "europe"').classifier.labels
    }
    assert "European Robin" in labels
    assert labels < whole


@pytest.mark.parametrize("vocabulary", ["dog-breeds", "animal-faces", "gone.toml"])
def test_a_vocabulary_it_does_not_know_at_all_is_put_aside(
    vocabulary: str, opened: Open, broken: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Where no bird of it is known, or it cannot be read, the starter's own labels serve."""
    flip(broken / "manifest.json")
    station = opened('bundle = "broken"', f'vocabulary = "{vocabulary}"')
    assert station.classifier.labels == Classifier.load("starter").labels
    assert "the starter goes by its own labels" in caplog.text


def test_own_labels_that_need_the_other_model_are_skipped(
    opened: Open, broken: Path, tiny_clip: Path, tmp_path: Path
) -> None:
    """A label learnt from its name, or from photos by the other model, is left out and named."""
    photos = tmp_path / "labels" / "gertrude.npz"
    pictures = [golden_image().rotate(angle) for angle in range(3)]
    save_photos(photos, list(Classifier.load(tiny_clip).embed(pictures)), Bundle.open(tiny_clip))
    (tmp_path / "labels.toml").write_text(
        'remove = ["House Finch"]\n[[label]]\nname = "Resplendent Quetzal"\nkind = "bird"\n'
        '[[label]]\nname = "Gertrude"\nkind = "bird"\nphotos = "labels/gertrude.npz"\n',
        encoding="utf-8",
    )
    embeddings = opened('bundle = "broken"').classifier.embeddings
    names = {label.name for label in embeddings.labels}
    assert not names & {"Resplendent Quetzal", "Gertrude", "House Finch"}
    assert embeddings.skipped == ("Resplendent Quetzal", "Gertrude (learnt by another model)")


def test_nobody_stands_in_for_the_starter_itself(opened: Open) -> None:
    """What the configured starter refuses is an error that tells what becomes of the frames."""
    with pytest.raises(BundleError, match="has no fp32 graph") as caught:
        opened('bundle = "starter"', 'precision = "fp32"')
    assert "Frames wait in their folder" in caught.value.hint


def test_the_shipped_starter_stands_in_for_a_copy_of_it(opened: Open, tmp_path: Path) -> None:
    """A broken starter of the user's own is another bundle than the one that was shipped."""
    copy = tmp_path / "models" / "starter"
    shutil.copytree(bundles.shipped_models() / "starter", copy)
    flip(copy / "labels.npz")
    station = opened('bundle = "starter"')
    assert station.stands_in
    assert station.classifier.bundle.folder == bundles.shipped_models() / "starter"


def test_the_outlook_is_told(write_config: Callable[..., Path], broken: Path) -> None:
    """What a daemon would do is known beforehand."""
    settings = config.load(write_config(model='bundle = "broken"'))
    assert outlook(settings) == "The starter stands in for it meanwhile."
    settings = config.load(write_config(model='bundle = "starter"'))
    assert outlook(settings) == "The daemon does not start without it."
