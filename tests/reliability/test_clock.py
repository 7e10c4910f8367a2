"""Promise 11: the clock may be wrong, and may be set at any moment, by any amount."""

import io
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time as clock
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from PIL import Image

from feeder import config
from feeder.cli.wiring import open_classifier
from feeder.clock import parse_utc
from feeder.config import Settings
from feeder.daemon import Daemon, Station
from feeder.decoder_process import DecoderProcess
from feeder.domain import Frame, Prediction
from feeder.frames import FIRST_YEAR, FrameReader
from feeder.inbox import Inbox
from feeder.log_reader import LogReader, Query
from feeder.logbook import Logbook
from feeder.timekeeping import Timekeeper
from tests.care import plain_care
from tests.computer import Computer
from tests.feeder_process import FeederProcess, picture
from tests.reliability.tally import Tally

ZONE = ZoneInfo("Europe/Dublin")
YEAR = 365 * 86400.0

STARTS = (
    datetime(2026, 5, 1, 6, 30, tzinfo=UTC),
    datetime(2026, 10, 25, 0, 20, tzinfo=UTC),  # the hour that comes twice begins at one
    datetime(2026, 3, 29, 0, 50, tzinfo=UTC),  # ten minutes before the hour that does not come
)

STEPS = (YEAR, -YEAR, 3600.0, -3600.0, 90.0, -90.0, 12.0, -12.0)

FRAMES_A_WORLD = 100


@dataclass
class Written:
    """What is true of a file, whatever the log says."""

    true: float
    boot: int
    watched: bool  # it came while the daemon ran, by this computer's own clock
    since: float


@dataclass
class World:
    """A computer, its camera and its daemon, which is started, stopped and killed."""

    computer: Computer
    settings: Settings
    pieces: tuple[FrameReader, object]
    chance: random.Random
    written: dict[str, Written] = field(default_factory=dict)
    seen: Counter[str] = field(default_factory=Counter)
    again: list[str] = field(default_factory=list)
    late: list[str] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)
    daemon: Daemon | None = None
    set_unseen: bool = False  # the clock was set while no daemon ran

    @property
    def folder(self) -> Path:
        return self.settings.deployments[0].folder

    def start(self) -> None:
        """The daemon, as `feeder run` wires it, on this computer's clock."""
        clock = self.computer.clock
        logbook = Logbook.open(self.settings.database, clock)
        reader, classifier = self.pieces
        inbox = Inbox(self.settings.deployments, self.settings.inbox, logbook.has_path, clock)
        self.daemon = Daemon(
            Station(
                self.settings,
                plain_care(self.settings.database, clock),
                inbox,
                reader,
                classifier,  # type: ignore[arg-type]
            ),
            logbook,
            load=lambda: self.daemon.station,  # type: ignore[union-attr]
            report=self.note,
            timekeeper=Timekeeper(clock, logbook.epochs(), logbook.append_epoch, not_before=0.0),
            clock=clock,
        )
        self.daemon.startup()
        self.turn()
        self.set_unseen = False

    def note(self, frame: Frame, prediction: Prediction, ms: float) -> None:
        """Told of each frame that is processed."""
        name = frame.source.path.name
        self.seen[name] += 1
        with closing(sqlite3.connect(self.settings.database)) as log:
            if log.execute("SELECT 1 FROM media WHERE file_name = ?", (name,)).fetchone():
                self.again.append(name)
        file, settings = self.written[name], self.settings.inbox
        patience = settings.polling_seconds + settings.settle_seconds + 3
        if file.watched and self.computer.since - file.since > patience:
            self.late.append(name)

    def turn(self) -> None:
        """What the loop does until nothing is left to do at this moment."""
        if self.daemon is None:
            return
        while (source := self.daemon.station.inbox.take(0)) is not None:
            self.daemon.process(source)
        self.daemon._commit_if_due(idle=True)
        self.daemon._do_chores()

    def kill(self) -> None:
        """The daemon is gone with whatever it had not committed."""
        if self.daemon is not None:
            self.daemon.station.inbox.close()
            self.daemon.logbook._connection.close()
            noted = self.daemon.timekeeper._epochs[-1].offset
            self.set_unseen = abs(noted - self.computer.offset) > 1.0
            self.unwatch()

    def stop(self) -> None:
        """The daemon ends in order; its decoder is kept for the next."""
        if self.daemon is not None:
            self.daemon.timekeeper.rest(self.daemon.station.inbox.drained)
            self.daemon.station.inbox.close()
            self.daemon.logbook.close()
            self.unwatch()

    def unwatch(self) -> None:
        """What is not in the log now must wait for the next daemon, which did not see it come."""
        self.daemon = None
        with closing(sqlite3.connect(self.settings.database)) as log:
            done = {name for (name,) in log.execute("SELECT file_name FROM media")}
        for name in self.written.keys() - done:
            self.written[name].watched = False

    def wait(self, seconds: float) -> None:
        """True time passes, a second at a time while a daemon looks."""
        for _ in range(20 if self.daemon is not None else 0):
            step = min(1.0, seconds)
            self.computer.true += step
            seconds -= step
            self.turn()
        self.computer.true += seconds  # nothing happens
        self.turn()

    def snap(self) -> None:
        """A camera puts a frame into the folder."""
        kind = self.chance.choice(("plain", "own", "own", "offset", "foreign", "copied"))
        computer, name = self.computer, f"{len(self.written):05}.jpg"
        taken, by_own_clock = computer.true, kind != "copied"
        exif = Image.Exif()
        tags = exif.get_ifd(0x8769)
        if kind in ("own", "offset"):
            stamp = datetime.fromtimestamp(computer.wall, ZONE)
            tags[0x9003] = stamp.strftime("%Y:%m:%d %H:%M:%S")
            tags[0x9291] = f"{stamp.microsecond:06}"
            if kind == "offset":
                tags[0x9011] = stamp.isoformat()[-6:]
            if self.chance.random() < 0.3:
                self.event()  # the clock may be set while the picture is written
            computer.true += self.chance.uniform(0.05, 1.5)
            if stamp.year < FIRST_YEAR:
                taken = computer.true  # no camera's year: the file's time stands in
        elif kind == "foreign":
            taken -= self.chance.uniform(120, 3000)
            stamp = datetime.fromtimestamp(taken, UTC)
            tags[0x9003] = stamp.strftime("%Y:%m:%d %H:%M:%S")
            tags[0x9011] = "+00:00"
        modified = computer.wall
        if kind == "copied":  # its time is kept, and was another machine's
            taken -= self.chance.uniform(20 * YEAR, 21 * YEAR)
            modified = taken
        data = io.BytesIO()
        Image.new("RGB", (48, 48), (len(self.written) % 256, 90, 30)).save(data, "JPEG", exif=exif)
        (self.folder / f".{name}").write_bytes(data.getvalue() + name.encode())
        os.utime(self.folder / f".{name}", ns=(0, round(modified * 1e9)))
        os.rename(self.folder / f".{name}", self.folder / name)
        watched = self.daemon is not None and by_own_clock and kind != "foreign"
        self.written[name] = Written(taken, computer.boots, watched, computer.since)
        self.happened[f"{kind} frames"] += 1

    def event(self) -> None:
        """The clock is set by somebody or by the network, or the kernel doubts it again."""
        what = self.chance.choice(("step", "step", "synchronised", "doubted"))
        if what != "doubted" and self.daemon is None:
            if self.set_unseen:
                return  # of two settings that no daemon saw, nobody can tell
            self.set_unseen = True
        self.wait(1.1)  # the daemon looks each second
        if what == "step":
            self.computer.step(self.chance.choice(STEPS))
        elif what == "synchronised":
            self.computer.synchronise()
        else:
            self.computer.synchronised = False
        self.turn()
        self.happened[what] += 1

    def reboot(self) -> None:
        """With the time of the last shutdown, an hour before, or one from the factory."""
        if self.set_unseen:
            self.start()  # a clock that no daemon ever read leaves no trace
        if self.daemon is not None:
            self.chance.choice((self.kill, self.stop))()
        wall = self.computer.wall
        self.computer.true += self.chance.choice((20.0, 20.0, 8 * 3600.0))
        self.computer.boot(
            self.chance.choice((wall, wall + 2, wall - 3000, wall - YEAR, wall + YEAR, 0.0))
        )
        self.computer.early = self.computer.offset
        self.set_unseen = False
        self.computer.true += self.chance.uniform(5, 20)
        for _ in range(self.chance.randrange(3)):
            self.snap()
            self.computer.true += self.chance.uniform(1, 5)
        self.start()
        self.happened["reboots"] += 1

    def live(self, frames: int) -> None:
        """Runs until the camera has taken `frames`, then the network sets the clock."""
        self.computer.boot(self.computer.true - self.chance.choice((0.0, YEAR, -YEAR, 7200.0)))
        self.computer.true += 12.0
        self.start()
        while len(self.written) < frames:
            dice = self.chance.random()
            if dice < 0.62:
                self.snap()
                self.wait(self.chance.choice((0.3, 1.0, 4.0, 11.0)))
            elif dice < 0.80:
                self.event()
            elif dice < 0.86:
                self.wait(self.chance.choice((60.0, 1000.0, 3600.0)))
            elif dice < 0.91:
                self.chance.choice((self.kill, self.stop))()
                self.happened["ends"] += 1
            elif dice < 0.96:
                self.reboot()
            if self.daemon is None and self.chance.random() < 0.4:
                self.start()
        if self.daemon is None:
            self.start()
        self.computer.synchronise()
        self.wait(150)
        self.stop()


def judge(world: World) -> Counter[str]:
    """Compares the log with the truth; fails where a time is neither right nor marked."""
    assert world.again == [], "processed again after it was in the log"
    assert world.late == [], "held up"
    with closing(sqlite3.connect(world.settings.database)) as log:
        rows = log.execute(
            "SELECT file_name, timestamp, timestamp_trusted, timestamp_recorded FROM media"
        ).fetchall()
        counts = [log.execute(f"SELECT count(*) FROM {table}").fetchone() for table in TABLES]
        known = {
            int(boot.removeprefix("boot "))
            for (boot,) in log.execute(
                "SELECT boot_id FROM clock_epoch GROUP BY boot_id HAVING max(CASE known_by WHEN"
                " 'network' THEN clock_epoch_id END) = max(clock_epoch_id)"
            )
        }
    assert sorted(name for name, *_ in rows) == sorted(world.written)
    assert set(counts) == {(len(rows),)}
    result: Counter[str] = Counter(frames=len(rows))
    for name, timestamp, trusted, recorded in rows:
        file = world.written[name]
        error = parse_utc(timestamp).timestamp() - file.true
        result["corrected" if recorded else "as_written"] += 1
        if trusted:
            assert abs(error) <= 1.0, (name, file, timestamp, recorded)
        else:
            result["marked"] += 1
            result["marked_though_known"] += file.boot in known
            # Whatever came while the daemon ran is told apart, once the boot's clock is known.
            assert not (file.watched and file.boot in known), (name, file, timestamp)
    return result


TABLES = ("media", "observation", "path")


@pytest.fixture
def pieces(write_config: Callable[..., Path]) -> Iterator[Callable[[Path, int], World]]:
    """Makes worlds; the model and the decoder, which know no time, are the same in all."""
    settings = config.load(
        write_config(
            deployment='name = "garden"\nfolder = "snapshots"\ntimezone = "Europe/Dublin"',
            inbox='settle_seconds = 1.0\nwatcher = "polling"\npolling_seconds = 8.0',
        )
    )
    classifier = open_classifier(settings)
    decoder = DecoderProcess(max_pixels=1_000_000)
    reader = FrameReader(decoder, max_bytes=1_000_000, min_edge=classifier.min_edge)

    def make(folder: Path, seed: int) -> World:
        folder.mkdir()
        text = settings.path.read_text(encoding="utf-8")
        (folder / "config.toml").write_text(text, encoding="utf-8")
        chance = random.Random(seed)
        random.seed(seed)  # the inbox spreads its scans
        computer = Computer(STARTS[seed % len(STARTS)].timestamp())
        world = World(computer, config.load(folder / "config.toml"), (reader, classifier), chance)
        world.folder.mkdir()
        return world

    yield make
    decoder.close()


def test_every_time_is_right_or_marked(
    pieces: Callable[[Path, int], World], tmp_path: Path, tally: Tally
) -> None:
    """Through steps, reboots and kills no frame is lost, doubled or late, nor its time wrong."""
    goal = tally.goal("clock", short=200, full=10_000)
    total: Counter[str] = Counter()
    for seed in range(max(1, goal // FRAMES_A_WORLD)):
        world = pieces(tmp_path / f"world{seed}", seed)
        try:
            world.live(FRAMES_A_WORLD)
            total += judge(world)
        except BaseException:
            print(f"seed {seed}")
            raise
        total += world.happened
    tally.report(
        11,
        frames=total["frames"],
        lost=0,
        processed_again=0,
        late=0,
        wrong_and_not_marked=0,
        corrected=total["corrected"],
        marked=total["marked"],
        of_boots_that_knew_in_the_end=total["marked_though_known"],
        steps=total["step"],
        synchronised=total["synchronised"],
        reboots=total["reboots"],
        ends=total["ends"],
    )


def test_a_real_daemon_outlives_steps_of_a_year(
    feeder: FeederProcess, tmp_path: Path, needs: Callable[..., None], tally: Tally
) -> None:
    """Set a year back, right, a year ahead and right again, killed in between: all is in order."""
    needs("gcc")
    library, wall = tmp_path / "wall_clock.so", tmp_path / "wall"
    source = Path(__file__).with_name("wall_clock.c")
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)
    preloaded = {"LD_PRELOAD": str(library), "WALL_CLOCK": str(wall)}
    truth: dict[str, float] = {}

    def set_clock(seconds: float, *, synchronised: bool) -> None:
        wall.with_suffix(".new").write_text(f"{seconds:.0f} {synchronised:d}\n", encoding="ascii")
        wall.with_suffix(".new").rename(wall)

    def snap(seconds: float) -> None:
        name = f"{len(truth)}.jpg"
        made = picture(tmp_path / name, len(truth))
        truth[name] = clock.time()
        os.utime(made, (0, truth[name] + seconds))
        made.rename(feeder.folder / name)
        feeder.until(lambda: name in feeder.files())

    def unsettled() -> int:
        with closing(sqlite3.connect(feeder.database)) as log:
            (count,) = log.execute(
                "SELECT count(*) FROM media WHERE NOT timestamp_trusted"
            ).fetchone()
        return int(count)

    with feeder.config.open("a", encoding="utf-8") as settings:
        settings.write("[logbook]\ncommit_rows = 1\n")
    set_clock(-YEAR, synchronised=False)
    feeder.start(environment=preloaded)
    for _ in range(3):
        snap(-YEAR)
    command = [sys.executable, "-m", "feeder", "--config", feeder.config]
    listed = subprocess.run(
        [*command, "sightings", "--all", "--since", "today"],
        env={**os.environ, **preloaded},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    a_year_ago = datetime.fromtimestamp(truth["0.jpg"] - YEAR).strftime("%Y-%m-%d %H:%M:%S?")
    assert f"{a_year_ago}\t" in listed
    assert unsettled() == 3
    set_clock(0, synchronised=True)
    feeder.until(lambda: unsettled() == 0)
    snap(0)
    set_clock(YEAR, synchronised=False)
    feeder.until(lambda: "the clock was set 365 days ahead" in feeder.said())
    snap(YEAR)
    assert unsettled() == 1
    said = feeder.said()
    feeder.stop(signal.SIGKILL)
    set_clock(0, synchronised=True)
    feeder.start(environment=preloaded)
    feeder.until(lambda: unsettled() == 0)
    snap(0)
    set_clock(-3600, synchronised=False)
    snap(-3600)
    set_clock(0, synchronised=True)
    feeder.until(lambda: unsettled() == 0)
    said += feeder.said()
    assert feeder.stop() == 0
    assert feeder.files() == sorted(truth)
    for name, true in truth.items():
        assert said.count(f"  {name}  ") == 1
        (row,) = [
            row
            for row in LogReader(feeder.database).sightings(Query(every_frame=True))
            if row["file_name"] == name
        ]
        assert abs(row["timestamp"].timestamp() - true) <= 1.0
    tally.report(11, real_daemon=f"{len(truth)} frames, 5 steps, 1 kill, each frame once and right")
