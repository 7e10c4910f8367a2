"""Promise 12: a damaged model file is refused, and a new model taken up only when it is whole."""

import os
import random
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time as wall
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from feeder import bundle as bundles
from feeder import config
from feeder.bundle import CHECKSUM, MANIFEST, Bundle, golden_image, seal
from feeder.classifier import Classifier, choose_vocabulary
from feeder.cli.wiring import open_station
from feeder.clock import Clock
from feeder.daemon import Daemon
from feeder.encoder import ImageEncoder
from feeder.errors import BundleError
from feeder.logbook import Logbook
from feeder.model_watch import ModelWatch
from tests.care import timekeeper_of
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.reliability.tally import Tally
from tests.tiny_bundle import make_tiny_clip, move_weights_out

ROOT = Path(__file__).resolve().parents[2]
GRAPH = "onnx/vision_model_quantized.onnx"


@pytest.fixture(scope="module")
def new_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model of other weights, under the name of the first."""
    return make_tiny_clip(tmp_path_factory.mktemp("new") / "tiny", seed=1)


@pytest.fixture(params=["starter", "tiny"])
def copy(request: pytest.FixtureRequest, tiny_clip: Path, tmp_path: Path) -> Path:
    """A copy of the starter or of a tiny CLIP, to be damaged."""
    source = bundles.shipped_models() / "starter" if request.param == "starter" else tiny_clip
    return Path(shutil.copytree(source, tmp_path / "models" / request.param))


def pinned(folder: Path) -> list[str]:
    """Every file of a whole bundle that is model data, manifest and checksum among them."""
    return sorted([*Bundle.open(folder).manifest.files, MANIFEST, CHECKSUM])


def is_refused(folder: Path) -> bool:
    """Whether a classifier cannot be made of the bundle, in any precision, its text unread yet."""
    try:
        bundle = Bundle.open(folder)
        name = None if bundle.manifest.labels else str(ROOT / "models/vocabularies/negatives.toml")
        vocabulary = choose_vocabulary(bundle, name, [])
        for precision in bundle.manifest.image.files:
            Classifier(bundle, vocabulary, precision=precision, threads=1)
    except BundleError as error:
        assert str(folder) in str(error), error
        assert error.hint, error
        return True
    return False


def flip(path: Path, place: int) -> None:
    """Flips one bit of a file where it lies."""
    with path.open("r+b") as file:
        file.seek(place // 8)
        (byte,) = file.read(1)
        file.seek(place // 8)
        file.write(bytes([byte ^ 1 << place % 8]))


def test_a_flipped_bit_is_refused(copy: Path, tally: Tally) -> None:
    """One bit of any file, wherever it lies: no classifier is made of the bundle."""
    times = tally.goal("flips", short=40, full=2000)
    chance, refused = random.Random(12), Counter[str]()
    names = pinned(copy)
    assert not is_refused(copy)
    for turn in range(times):
        name = names[turn % len(names)]
        place = chance.randrange((copy / name).stat().st_size * 8)
        flip(copy / name, place)
        assert is_refused(copy), (name, place)
        refused[name] += 1
        flip(copy / name, place)
    assert not is_refused(copy)
    assert set(refused) == set(names)
    tally.report(12, bundle=copy.name, bits_flipped=times, refused=refused.total())


def test_every_bit_of_manifest_and_checksum_counts(copy: Path, tally: Tally) -> None:
    """There is no bit in either that may be another; the short form tries one in 31."""
    bits = [
        (name, bit)
        for name in (MANIFEST, CHECKSUM)
        for bit in range((copy / name).stat().st_size * 8)
    ]
    times = tally.goal("manifest-bits", short=len(bits) // 31, full=len(bits))
    chosen = random.Random(12).sample(bits, min(times, len(bits)))
    for name, place in chosen:
        flip(copy / name, place)
        with pytest.raises(BundleError, match=CHECKSUM):
            Bundle.open(copy)
        flip(copy / name, place)
    Bundle.open(copy).verify()
    tally.report(12, bundle=copy.name, bits_of_manifest_and_checksum=len(chosen), of=len(bits))


def exchange(first: Path, second: Path, aside: Path) -> None:
    """Gives two files each other's name."""
    first.rename(aside)
    second.rename(first)
    aside.rename(second)


def test_other_damage_is_refused(copy: Path, tally: Tally) -> None:
    """Files cut short, grown, emptied, deleted, made folders or exchanged are refused."""
    names, tried = pinned(copy), 0
    aside = copy.with_name("aside")

    def check(what: str) -> None:
        nonlocal tried
        assert is_refused(copy), what
        tried += 1

    for name in names:
        path, whole = copy / name, (copy / name).read_bytes()
        for more in (b"\0", b"\n", whole):
            with path.open("ab") as file:
                file.write(more)
            check(f"{name} and {len(more)} bytes")
        for length in (len(whole) - 1, len(whole) // 2, 1, 0):
            os.truncate(path, length)
            check(f"{name} cut to {length}")
        path.unlink()
        check(f"{name} deleted")
        path.mkdir()
        check(f"{name} a folder")
        path.rmdir()
        path.write_bytes(whole)
    for first, second in pairwise(names):
        exchange(copy / first, copy / second, aside)
        check(f"{first} and {second} exchanged")
        exchange(copy / first, copy / second, aside)
    Bundle.open(copy).verify()
    tally.report(12, bundle=copy.name, other_damage_refused=tried)


def test_sealing_killed_at_any_moment_is_never_half_trusted(
    tiny_clip: Path, tmp_path: Path, tally: Tally
) -> None:
    """After kill -9 the bundle is the old one, the new one or refused; sealing anew mends it."""
    times = tally.goal("seals", short=15, full=500)
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "tiny"))
    manifest = Bundle.open(folder).manifest
    found, chance = Counter[str](), random.Random(12)
    for turn in range(times):
        before = Bundle.open(folder).digest
        scale = float(turn + 1)
        child = os.fork()
        if child == 0:  # the child seals until it is killed, and never returns to pytest
            try:
                while True:
                    seal(folder, manifest.model_copy(update={"logit_scale": scale}))
                    scale += 1000
            finally:
                os._exit(1)
        wall.sleep(chance.uniform(0, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        try:
            left = Bundle.open(folder)
            left.verify()
            found["old" if left.digest == before else "new"] += 1
            assert left.manifest.logit_scale % 1000 == turn + 1 or left.digest == before
        except BundleError:
            found["refused"] += 1
        seal(folder, manifest).verify()
    assert found.total() == times
    tally.report(12, seals_killed=times, **found)


def test_a_graph_overwritten_while_it_is_loaded_is_refused(
    tiny_clip: Path, new_clip: Path, tmp_path: Path, tally: Tally
) -> None:
    """Whatever is written to the file and put back meanwhile: what loads is what is pinned."""
    times = tally.goal("overwrites", short=40, full=2000)
    folder = Path(shutil.copytree(tiny_clip, tmp_path / "tiny"))
    # Without a self-test, which would refuse the other weights by itself.
    (folder / "self_test.npy").unlink()
    manifest = Bundle.open(folder).manifest.model_copy(update={"self_test": None})
    bundle = seal(folder, manifest)
    expected = ImageEncoder(bundle, "int8", 1).embed_image(golden_image())
    contents = [(source / GRAPH).read_bytes() for source in (new_clip, tiny_clip)]
    stop, found, chance = threading.Event(), Counter[str](), random.Random(12)

    def overwrite() -> None:
        while not stop.is_set():
            for content, longest in zip(contents, (0.01, 0.1), strict=True):
                (folder / GRAPH).write_bytes(content)
                wall.sleep(chance.uniform(0.005, longest))

    writer = threading.Thread(target=overwrite)
    writer.start()
    try:
        while found.total() < times:
            try:
                encoder = ImageEncoder(bundle, "int8", 1)
            except BundleError:
                found["refused"] += 1
            else:
                assert np.array_equal(encoder.embed_image(golden_image()), expected)
                found["loaded"] += 1
    finally:
        stop.set()
        writer.join()
    tally.report(12, loads_of_a_graph_being_overwritten=times, **found)


# --- the daemon --------------------------------------------------------------------------------


@dataclass
class Logged:
    """What the log says of a frame: its file, the model's digest and the embedding, float16 [d]."""

    file: str
    digest: str
    vector: np.ndarray[tuple[int], np.dtype[np.float16]]


def logged(database: Path) -> list[Logged]:
    """Every frame in the log."""
    with closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT file_name, digest, vector FROM media JOIN observation USING (media_id)"
            " JOIN model USING (model_id) JOIN embedding USING (media_id, model_id)"
        ).fetchall()
    return [Logged(file, digest, np.frombuffer(vector, "<f2")) for file, digest, vector in rows]


def test_the_starter_stands_in_until_the_model_is_whole(
    write_config: Callable[..., Path], tiny_clip: Path, tmp_path: Path, tally: Tally
) -> None:
    """A daemon started on a damaged bundle says so, judges with the starter, and changes over."""
    times = tally.goal("stand-ins", short=1, full=30)
    chance = random.Random(12)
    folder = tmp_path / "models" / "tiny"
    starter = Bundle.open(bundles.shipped_models() / "starter").digest
    # Of the files that these settings use, and the settings nobody reads.
    names = [name for name in pinned(tiny_clip) if name not in unused(tiny_clip)]
    # The whole model would soon judge what the starter has judged, too.
    model = 'bundle = "tiny"\nthreads = 1\nembed_again = false'
    station = FeederProcess(write_config(model=model))
    for turn in range(times):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        shutil.rmtree(tmp_path / "snapshots", ignore_errors=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(tiny_clip, folder)
        name = chance.choice(names)
        flip(folder / name, chance.randrange((folder / name).stat().st_size * 8))
        address = tmp_path / f"notify{turn}"
        manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        manager.bind(str(address))
        manager.settimeout(PATIENCE)
        station.start(environment={"NOTIFY_SOCKET": str(address)})
        try:
            state = manager.recv(4096).decode()
            assert "STATUS=starter stands in; the model tiny is refused: " in state
            loud = [line for line in station.said().splitlines() if "level=error" in line]
            assert len(loud) == 1 and str(folder) in loud[0], station.said()
            assert Path(name).name in loud[0]
            picture(station.folder / "a.jpg", turn)
            station.until(lambda: station.files() == ["a.jpg"])
            shutil.copyfile(tiny_clip / name, folder / name)
            station.until(lambda: "is whole, and judges from here on" in station.said())
            while "stands in" in state:
                state = manager.recv(4096).decode()
            picture(station.folder / "b.jpg", turn + 100)
            station.until(lambda: station.files() == ["a.jpg", "b.jpg"])
        finally:
            manager.close()
            assert station.stop() == 0
        digests = {one.file: one.digest for one in logged(station.database)}
        assert digests == {"a.jpg": starter, "b.jpg": Bundle.open(tiny_clip).digest}
    tally.report(12, starts_on_a_damaged_bundle=times, stood_in_for=times, relieved=times)


def unused(folder: Path) -> list[str]:
    """The graphs that a daemon does not load where int8 is there."""
    manifest = Bundle.open(folder).manifest
    towers = [manifest.image, *([manifest.text] if manifest.text else [])]
    return [tower.files["fp32"] for tower in towers if "int8" in tower.files]


def test_nobody_stands_in_for_a_damaged_starter(tmp_path: Path, tally: Tally) -> None:
    """With the starter damaged the daemon exits with 1 and says why and what becomes of frames.

    The full form also configures a model that is not there.
    """
    site = tmp_path / "site"
    shutil.copytree(ROOT / "feeder", site / "feeder", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "models" / "starter", site / "models" / "starter")
    shutil.copytree(ROOT / "models" / "vocabularies", site / "models" / "vocabularies")
    (tmp_path / "config.toml").write_text(config.fresh(), encoding="utf-8")
    (tmp_path / "snapshots").mkdir()
    golden_image().save(tmp_path / "snapshots" / "a.png")

    def run(model: str) -> subprocess.CompletedProcess[str]:
        config.set_bundle(tmp_path / "config.toml", model)
        return subprocess.run(
            [sys.executable, "-m", "feeder", "--config", tmp_path / "config.toml", "run", "--once"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(site)},
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )

    flip(site / "models" / "starter" / "labels.npz", 4000)
    said = {"starter": "labels.npz is not the file its manifest describes"}
    if tally.full:
        said["nowhere"] = "The starter cannot stand in for it"
    for model, reason in said.items():
        done = run(model)
        words = " ".join(done.stderr.split())
        assert done.returncode == 1
        assert reason in words
        assert "Frames wait in their folder" in words
    flip(site / "models" / "starter" / "labels.npz", 4000)
    assert run("starter").returncode == 0
    assert len(logged(tmp_path / "data" / "feeder.db")) == 1
    tally.report(12, starts_on_a_damaged_starter=len(said), exit_status=1)


# --- replaced while running --------------------------------------------------------------------


class Running:
    """The daemon in a thread of this process, its watch twenty times as quick to look.

    Frames are dropped into its folder all the while.
    """

    def __init__(self, config_path: Path) -> None:
        self.settings = config.load(config_path)
        self.folder = self.settings.deployments[0].folder
        self.folder.mkdir(exist_ok=True)
        self.dropped = 0
        self.digest = ""
        self.failed: BaseException | None = None
        self._daemon: Daemon | None = None
        self._ready = threading.Event()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run),
            threading.Thread(target=self._drop),
        ]
        for thread in self._threads:
            thread.start()
        assert self._ready.wait(PATIENCE)

    def _run(self) -> None:
        try:
            logbook = Logbook.open(self.settings.database)
            quick = Clock(monotonic=lambda: wall.monotonic() * 20)
            daemon = Daemon(
                open_station(self.settings, logbook),
                logbook,
                load=lambda: open_station(self.settings, logbook),
                report=lambda frame, prediction, ms: self._note(prediction.model_digest),
                timekeeper=timekeeper_of(logbook, quick),
                clock=quick,
            )
            daemon.chores = [ModelWatch(daemon, lambda settings: open_station(settings, logbook))]
            self._daemon = daemon
            self._ready.set()
            daemon.run()
        except BaseException as error:
            self.failed = error
            raise
        finally:
            self._ready.set()

    def _note(self, digest: str) -> None:
        self.digest = digest

    def _drop(self) -> None:
        while not self._stop.is_set():
            beside = self.folder / ".next"
            image = golden_image().rotate(self.dropped % 360)
            image.putpixel((self.dropped // 256 % 256, 0), (self.dropped % 256, 0, 0))
            image.resize((160, 120)).save(beside, "PNG")
            beside.rename(self.folder / f"{self.dropped:06}.png")
            self.dropped += 1
            self._stop.wait(0.05)

    def until(self, happened: Callable[[], bool]) -> None:
        """Waits for the daemon's doing."""
        deadline = wall.monotonic() + PATIENCE
        while not happened():
            assert self.failed is None, self.failed
            assert wall.monotonic() < deadline
            wall.sleep(0.01)

    def end(self) -> None:
        """Lets the daemon take the last frame, and ends it."""
        self._stop.set()
        self._threads[1].join()
        self.until(lambda: len(logged(self.settings.database)) == self.dropped)
        self.close()

    def close(self) -> None:
        """Ends both threads."""
        self._stop.set()
        if self._daemon is not None:
            self._daemon.stop()
        for thread in self._threads:
            thread.join()


Copying = Callable[[Path, Path], None]


def _slowly(source: Path, target: Path, *, mode: str) -> None:
    """Writes a file in a few steps, over what is there ("r+b") or after cutting it ("wb")."""
    data = source.read_bytes()
    with target.open(mode if target.exists() else "wb") as file:
        for start in range(0, len(data), max(1, len(data) // 3)):
            file.write(data[start : start + max(1, len(data) // 3)])
            file.flush()
            wall.sleep(0.01)
        file.truncate()


def in_order(first: Callable[[str], object], *, mode: str = "wb", pause: float = 0.0) -> Copying:
    """Copies file by file, sorted by `first`."""

    def copy(new: Path, folder: Path) -> None:
        for name in sorted(pinned(new), key=lambda name: (first(name), name)):
            _slowly(new / name, folder / name, mode=mode)
            wall.sleep(pause)

    return copy


def by_rename(new: Path, folder: Path) -> None:
    """Puts a whole folder in the other's place."""
    beside, old = folder.with_name(".beside"), folder.with_name(".old")
    shutil.copytree(new, beside)
    folder.rename(old)
    wall.sleep(0.1)
    beside.rename(folder)
    shutil.rmtree(old)


def with_program(*words: str) -> Copying:
    """Copies with `cp` or `rsync`."""

    def copy(new: Path, folder: Path) -> None:
        subprocess.run([*words, f"{new}/.", f"{folder}/"], check=True, capture_output=True)

    return copy


def is_manifest(name: str) -> bool:
    """For a sorting in which both come last."""
    return name in {MANIFEST, CHECKSUM}


ORDERS: dict[str, Copying] = {
    "weights first, cut and written slowly": in_order(is_manifest),
    "manifest first, overwritten slowly": in_order(lambda name: not is_manifest(name), mode="r+b"),
    "manifest first, long pauses": in_order(lambda name: not is_manifest(name), pause=0.15),
    "weights first, long pauses": in_order(is_manifest, mode="r+b", pause=0.15),
    "checksum first": in_order(lambda name: name != CHECKSUM),
    "any order": in_order(lambda name: random.random()),
    "one rename": by_rename,
    "cp -r": with_program("cp", "-r"),
    "cp -r --remove-destination": with_program("cp", "-r", "--remove-destination"),
    "rsync": with_program("rsync", "-a", "--checksum"),
    "rsync --inplace": with_program("rsync", "-a", "--checksum", "--inplace"),
}


@pytest.fixture(params=["weights inside", "weights beside"])
def pair(
    request: pytest.FixtureRequest, tiny_clip: Path, new_clip: Path, tmp_path: Path
) -> tuple[Path, Path]:
    """Two models of one name and file layout."""
    made = []
    for number, source in enumerate((tiny_clip, new_clip)):
        folder = Path(shutil.copytree(source, tmp_path / str(number) / "tiny"))
        made.append(move_weights_out(folder) if request.param == "weights beside" else folder)
    return made[0], made[1]


@pytest.fixture
def station(
    pair: tuple[Path, Path], write_config: Callable[..., Path], tmp_path: Path
) -> Iterator[Running]:
    """A daemon on a copy of the first of the pair, with frames going through."""
    shutil.copytree(pair[0], tmp_path / "models" / "tiny")
    model = 'bundle = "tiny"\nthreads = 1\nlook_twice = false\nvocabulary = "negatives"'
    running = Running(write_config(model=model, inbox="settle_seconds = 0.05"))
    yield running
    running.close()


def test_a_model_replaced_while_running_is_the_old_or_the_new(
    pair: tuple[Path, Path], station: Running, tmp_path: Path, tally: Tally
) -> None:
    """However the files arrive, each frame is one whole model's, and the last ones the new's."""
    times = tally.goal("replacements", short=2, full=150)
    folder = tmp_path / "models" / "tiny"
    orders = [order for order in ORDERS if not order.startswith("rsync") or shutil.which("rsync")]
    random.Random(str(pair[0])).shuffle(orders)
    digests = [Bundle.open(each).digest for each in pair]
    station.until(lambda: station.digest == digests[0])
    for turn in range(times):
        to = (turn + 1) % 2
        ORDERS[orders[turn % len(orders)]](pair[to], folder)
        station.until(lambda to=to: station.digest == digests[to])
    station.end()
    classifiers = {
        digest: Classifier.load(each, "negatives", threads=1)
        for digest, each in zip(digests, pair, strict=True)
    }
    judged = Counter[str]()
    for one in logged(station.settings.database):
        expected = {
            digest: classifier.embed([station.folder / one.file])[0].astype(np.float16)
            for digest, classifier in classifiers.items()
        }
        old, new = expected.values()
        assert np.abs(old - new).max() > 0.1, "the models are too alike to be told apart"
        assert one.digest in expected
        assert np.array_equal(one.vector, expected[one.digest]), one.file
        judged["old" if one.digest == digests[0] else "new"] += 1
    assert judged.total() == station.dropped
    tally.report(
        12,
        weights="beside" if (pair[0] / f"{GRAPH}_data").exists() else "inside",
        replacements=times,
        frames=judged.total(),
        by_old=judged["old"],
        by_new=judged["new"],
        mixtures=0,
    )


def test_a_replacement_that_never_becomes_whole_is_never_taken_up(
    pair: tuple[Path, Path], station: Running, tmp_path: Path, tally: Tally
) -> None:
    """With one bit of the new bundle flipped, every frame is the old one's.

    The next bit is flipped before the last one is mended, so that it is whole at no time.
    """
    times = tally.goal("broken-replacements", short=1, full=30)
    folder, chance = tmp_path / "models" / "tiny", random.Random(12)
    digest = Bundle.open(pair[0]).digest
    # Once the prompts are cached the text encoder is not loaded, and so not looked at.
    idle = (*unused(pair[1]), "onnx/text_model")
    names = [name for name in pinned(pair[1]) if not name.startswith(idle)]

    def some_bit(of: Path) -> tuple[str, int]:
        name = chance.choice(names)
        return name, chance.randrange((of / name).stat().st_size * 8)

    damaged = Path(shutil.copytree(pair[1], tmp_path / "damaged"))
    name, place = some_bit(damaged)
    flip(damaged / name, place)
    shutil.copytree(damaged, folder, dirs_exist_ok=True)
    for turn in range(times):
        if turn > 0:
            last, (name, place) = (name, place), some_bit(folder)
            flip(folder / name, place)
            flip(folder / last[0], last[1])
        after = station.dropped + 10
        station.until(lambda after=after: station.dropped >= after)
    station.until(lambda: station.digest == digest)
    station.end()
    frames = logged(station.settings.database)
    assert {one.digest for one in frames} == {digest}
    tally.report(12, damaged_replacements=times, taken_up=0, frames_meanwhile=len(frames))
