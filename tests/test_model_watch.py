"""A bundle that is replaced, broken and mended while the daemon runs on it."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from feeder import bundle as bundles
from feeder import config
from feeder.bundle import CHECKSUM, MANIFEST, Bundle, golden_image
from feeder.cli.stand_in import open_station_somehow
from feeder.cli.wiring import open_station
from feeder.config import Settings
from feeder.daemon import Daemon, Station
from feeder.logbook import Logbook
from feeder.model_watch import LOOK_SECONDS, MAX_RETRY_SECONDS, RETRY_SECONDS, ModelWatch
from tests.care import timekeeper_of
from tests.conftest import FakeClock
from tests.test_stand_in import flip
from tests.tiny_bundle import make_tiny_clip

GRAPH = "onnx/vision_model_quantized.onnx"


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of other weights under the same name."""
    return make_tiny_clip(tmp_path_factory.mktemp("other") / "tiny", seed=1)


@dataclass
class Running:
    """A daemon on the bundle in `folder`, its watch, and how often a station was loaded."""

    folder: Path
    daemon: Daemon
    watch: ModelWatch
    time: FakeClock
    loads: list[str]

    def look(self, times: int = 1) -> None:
        """Lets the time of so many looks pass."""
        for _ in range(times):
            self.time.advance(LOOK_SECONDS)
            self.watch()

    @property
    def digest(self) -> str:
        """The model that judges, by what it says of itself."""
        return self.daemon.station.classifier.classify_image(golden_image()).model_digest


Start = Callable[[], Running]


@pytest.fixture
def start(
    tiny_clip: Path,
    write_config: Callable[..., Path],
    tmp_path: Path,
    time: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> Iterator[Start]:
    """Starts a daemon on `models/tiny`, a copy of the tiny model; the log keeps what it says."""
    caplog.set_level("INFO")
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "models" / "tiny"))
    settings = config.load(write_config(model='bundle = "tiny"\nthreads = 1'))
    logbook = Logbook.open(tmp_path / "log.db", time.clock)
    begun: list[Daemon] = []

    def run() -> Running:
        loads: list[str] = []

        def load(settings: Settings) -> Station:
            loads.append(settings.bundle_name)
            return open_station(settings, logbook)

        station = open_station_somehow(settings, partial(open_station, logbook=logbook))
        daemon = Daemon(
            station,
            logbook,
            load=lambda: load(settings),
            report=lambda frame, prediction, ms: None,
            timekeeper=timekeeper_of(logbook, time.clock),
            clock=time.clock,
        )
        begun.append(daemon)
        watch = ModelWatch(daemon, load)
        watch()
        return Running(folder, daemon, watch, time, loads)

    yield run
    for daemon in begun:
        daemon.station.close()
    logbook.close()


def test_nothing_is_loaded_while_nothing_changes(start: Start) -> None:
    """A bundle that stays as it is costs a look and no more."""
    running = start()
    running.look(50)
    assert running.loads == []
    assert running.daemon.station.notice == ""


def test_a_new_bundle_is_taken_up_once_it_stands_still(start: Start, other: Path) -> None:
    """After a replacement in one step, two looks later the new model judges."""
    running = start()
    shutil.rmtree(running.folder)
    shutil.copytree(other, running.folder)
    running.look(2)
    assert running.digest == Bundle.open(other).digest
    running.look(10)
    assert running.loads == ["tiny"]


@pytest.mark.parametrize("reverse", [False, True])
def test_half_a_bundle_is_never_taken_up(
    reverse: bool, start: Start, other: Path, tiny_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """File by file, in either order, the old model judges until the last file is there."""
    running = start()
    names = sorted([*Bundle.open(other).manifest.files, MANIFEST, CHECKSUM], reverse=reverse)
    differ = [
        name for name in names if (other / name).read_bytes() != (tiny_clip / name).read_bytes()
    ]
    assert len(differ) >= 6
    for name in differ:
        assert running.digest == Bundle.open(tiny_clip).digest
        shutil.copyfile(other / name, running.folder / name)
        running.look(3)
    running.look(2)
    assert running.digest == Bundle.open(other).digest
    assert "waiting for the model tiny to be whole: " in caplog.text
    assert "the model tiny is whole, and judges from here on" in caplog.text


def test_a_wait_is_told_once_and_shown_as_long_as_it_lasts(
    start: Start, other: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log has one line that names the file; the service's state keeps it until it is over."""
    running = start()
    shutil.copytree(other, running.folder, dirs_exist_ok=True)
    flip(running.folder / GRAPH)
    running.look(20)
    said = f"waiting for the model tiny to be whole: {running.folder / GRAPH} is not the file"
    assert caplog.text.count(said) == 1
    assert running.daemon._status().startswith(said)
    flip(running.folder / GRAPH)
    running.look(3)
    assert running.digest == Bundle.open(other).digest
    assert "waiting" not in running.daemon._status().partition(";")[0]


def test_files_that_keep_changing_are_waited_for(start: Start, other: Path) -> None:
    """As long as something is written to the folder nothing is loaded."""
    running = start()
    shutil.copytree(other, running.folder, dirs_exist_ok=True)
    for step in range(10):
        (running.folder / "onnx" / ".upload").write_bytes(bytes(step))
        running.look()
    assert running.loads == []
    assert "its files are still changing" in running.daemon._status()
    running.look()
    assert running.digest == Bundle.open(other).digest


def test_a_refused_folder_is_tried_again_ever_more_rarely(start: Start, other: Path) -> None:
    """Where no file changes, the next try comes after a minute, then two, up to an hour."""
    running = start()
    shutil.copytree(other, running.folder, dirs_exist_ok=True)
    flip(running.folder / GRAPH)
    running.look(2)
    assert len(running.loads) == 1
    waited, after = 0.0, RETRY_SECONDS
    for tries in range(2, 12):
        while len(running.loads) < tries:
            running.look()
            waited += LOOK_SECONDS
        assert after <= waited <= after + LOOK_SECONDS
        waited, after = 0.0, min(after * 2, MAX_RETRY_SECONDS)


def test_a_bundle_put_back_as_it_was_ends_the_wait(
    start: Start, tiny_clip: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A manifest that is damaged and mended while running changes nothing but the state."""
    running = start()
    flip(running.folder / MANIFEST)
    running.look()
    assert (
        "manifest.json is not the file that manifest.json.sha256 describes"
        in running.daemon._status()
    )
    shutil.copyfile(tiny_clip / MANIFEST, running.folder / MANIFEST)
    running.look()
    assert "the model tiny is whole again" in caplog.text
    assert running.daemon.station.notice == ""
    assert running.loads == []


def test_a_bundle_that_is_taken_away_goes_on(start: Start) -> None:
    """The model in memory judges on, and the state says what is missing."""
    running = start()
    before = running.digest
    shutil.rmtree(running.folder)
    running.look(3)
    assert running.digest == before
    assert "There is no model bundle 'tiny'" in running.daemon._status()


@pytest.mark.parametrize("name", [MANIFEST, CHECKSUM, GRAPH, "config.json"])
def test_a_mended_bundle_relieves_the_starter(
    name: str, start: Start, tiny_clip: Path, tmp_path: Path
) -> None:
    """Started on the starter, the daemon takes the configured model up without a restart."""
    flip(tmp_path / "models" / "tiny" / name)
    running = start()
    assert running.daemon.station.stands_in
    assert running.digest == Bundle.open(bundles.shipped_models() / "starter").digest
    running.look(20)
    assert running.daemon.station.stands_in
    assert "starter stands in; " in running.daemon._status()
    shutil.copyfile(tiny_clip / name, running.folder / name)
    running.look(3)
    assert not running.daemon.station.stands_in
    assert running.digest == Bundle.open(tiny_clip).digest
    assert running.daemon.station.notice == ""


def test_a_new_bundle_that_does_not_fit_the_settings_is_told(start: Start, tmp_path: Path) -> None:
    """A whole model that cannot serve the configured labels leaves the old one in its place."""
    (tmp_path / "labels.toml").write_text(
        '[[label]]\nname = "Resplendent Quetzal"\nkind = "bird"\n', encoding="utf-8"
    )
    running = start()
    before = running.digest
    shutil.rmtree(running.folder)
    shutil.copytree(bundles.shipped_models() / "starter", running.folder)
    running.look(3)
    assert running.digest == before
    assert "the model tiny cannot be taken up: " in running.daemon._status()
    assert "'Resplendent Quetzal'" in running.daemon._status()
