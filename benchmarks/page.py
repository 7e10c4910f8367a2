"""The page on a long history: bytes of a first load, and the server's time for each page.

    python benchmarks/page.py --frames 1000000 --work DIR          # DIR takes 3 GB for a while
    python benchmarks/page.py --photos FOLDER                      # so that thumbnails are counted

A log of three years is made without pictures; the photos, if any, are today's frames. The page is
served by `feeder serve` in a process of its own. Bytes are what a headless Chromium of a phone's
size receives with an empty cache; times are of a client that asks again and again. CPU ms is what
the server's process used for an answer, which a busy computer hardly changes.
"""

import argparse
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import closing, suppress
from datetime import timedelta
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.made_log import FIRST, make_log
from feeder import config, visit_history
from feeder.cli.wiring import open_classifier
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.log_changes import LogChanges
from feeder.sighting_log import SightingLog
from feeder.tally import Tally
from feeder.visit_history import VisitQuery

OFTEN = "House Sparrow"
LIMIT = 200_000
"""Bytes a first load may have."""
TICK = os.sysconf("SC_CLK_TCK")


def prepare(work: Path, frames: int, photos: Path | None, count: int) -> Settings:
    """A garden with a made log and, as today's frames, photographs."""
    path = work / "config.toml"
    path.write_text(config.fresh(), encoding="utf-8")
    settings = config.load(path)
    (work / "snapshots").mkdir(exist_ok=True)
    if not settings.database.exists():
        make_log(settings.database, open_classifier(settings, lazy=True), frames, often=OFTEN)
    if photos is not None and not any((work / "snapshots").iterdir()):
        chance = random.Random(0)
        found = sorted(one for one in photos.rglob("*") if one.suffix.lower() in (".jpg", ".jpeg"))
        for place, source in enumerate(chance.sample(found, min(count, len(found)))):
            copy = work / "snapshots" / f"{place:04}.jpg"
            shutil.copyfile(source, copy)
            at = time.time() - place * 300 - 60
            os.utime(copy, (at, at))
        subprocess.run(
            [sys.executable, "-m", "feeder", "--config", str(path), "run", "--once"],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
    return settings


def cpu(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def wait_until_counted(tally: Tally, process: "subprocess.Popen[bytes]", patience: float) -> float:
    """Waits until nothing is due; the processor time the server used meanwhile, in seconds."""
    pid = process.pid
    before, until = cpu(pid), time.monotonic() + patience
    while time.monotonic() < until and process.poll() is None:
        with suppress(sqlite3.Error, FeederError):  # the file is being made
            if tally.totals() and tally.days_due() == 0:
                return cpu(pid) - before
        time.sleep(1)
    raise SystemExit("the history is not counted; serve.txt says why")


def timed(base: str, path: str, pid: int, rounds: int) -> tuple[float, float, int]:
    """Median milliseconds until the whole answer is here, CPU ms of an answer, and its bytes."""
    with closing(HTTPConnection(urlsplit(base).netloc, timeout=60)) as connection:
        took, used = [], 0.0
        for place in range(rounds + 1):
            if place == 1:
                used = cpu(pid)
            began = time.perf_counter()
            connection.request("GET", path, headers={"Accept-Encoding": "gzip"})
            answer = connection.getresponse()
            size = len(answer.read())
            if answer.status != 200:
                raise SystemExit(f"{path} answers {answer.status}")
            took.append(time.perf_counter() - began)
        return float(np.median(took[1:])) * 1e3, (cpu(pid) - used) / rounds * 1e3, size


def received(base: str, paths: list[str]) -> dict[str, dict[str, int]]:
    """Bytes by kind of what a browser receives for each page, its cache empty; {} without one."""
    program = next(filter(None, map(shutil.which, ("chromium", "google-chrome"))), None)
    if program is None:
        return {}
    from playwright.sync_api import sync_playwright

    found = {}
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        for path in paths:
            context = browser.new_context(viewport={"width": 390, "height": 844})
            page = context.new_page()
            session = context.new_cdp_session(page)
            session.send("Network.enable")
            kinds: dict[str, str] = {}
            sizes: dict[str, int] = {}

            def note(event: dict, kinds: dict[str, str] = kinds) -> None:
                kinds[event["requestId"]] = event["type"]

            def add(
                event: dict, kinds: dict[str, str] = kinds, sizes: dict[str, int] = sizes
            ) -> None:
                kind = kinds.get(event["requestId"], "Other")
                sizes[kind] = sizes.get(kind, 0) + int(event["encodedDataLength"])

            session.on("Network.responseReceived", note)
            session.on("Network.loadingFinished", add)
            page.goto(base + path)
            page.wait_for_timeout(2000)  # lazy pictures that are in sight, and a little beyond
            found[path] = sizes
            context.close()
        browser.close()
    return found


def main() -> int:
    """Exits 1 where a first load has more bytes than it may."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=100_000, help="in the log (%(default)s)")
    parser.add_argument("--photos", type=Path, help="a folder of photographs")
    parser.add_argument("--today", type=int, default=60, help="photos taken today (%(default)s)")
    parser.add_argument("--rounds", type=int, default=15, help="requests of each (%(default)s)")
    parser.add_argument("--work", type=Path, help="a folder to keep, instead of a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        work.mkdir(parents=True, exist_ok=True)
        settings = prepare(work, options.frames, options.photos, options.today)
        return measure(settings, options.rounds)


def measure(settings: Settings, rounds: int) -> int:
    """Serves the page and prints both tables."""
    out = Console(width=120)
    tally = Tally(settings.cache / "visits-by-day.db")
    log = SightingLog(settings.database)
    began = time.process_time()
    last = next(log.in_order(newest_first=True)).captured_at
    day = min(last, FIRST + timedelta(days=1095)).date()
    read = VisitQuery(since=last - timedelta(days=30))
    visits = sum(1 for _ in visit_history.read(log, settings.visits.gap, {}, read))
    used = time.process_time() - began
    out.print(f"visits of the last 30 days, read: {visits}, {used:.2f} s CPU")
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        port = int(found.getsockname()[1])
    command = [sys.executable, "-m", "feeder", "--config", str(settings.path), "serve"]
    output = settings.path.with_name("serve.txt").open("wb")
    process = subprocess.Popen([*command, "--port", str(port)], stderr=output)
    base = f"http://127.0.0.1:{port}"
    try:
        while True:
            with suppress(OSError):
                urllib.request.urlopen(base, timeout=60).close()
                break
            time.sleep(0.1)
        counted = wait_until_counted(tally, process, 1800)
        out.print(f"history counted: {counted:.1f} s CPU, {tally.path.stat().st_size / 1e6:.1f} MB")
        with LogChanges(settings.database) as changes:
            began = time.process_time()
            changes.since(changes.since(None).mark)
            out.print(f"a look at the log: {(time.process_time() - began) * 1e3:.0f} ms CPU")
        paths = [
            "/",
            f"/?day={day}",
            "/species",
            f"/species/{OFTEN.replace(' ', '%20')}",
            "/calendar",
            f"/calendar?species={OFTEN.replace(' ', '+')}",
        ]
        bytes_of = received(base, paths)
        table = Table("page", "ms", "CPU ms", "HTML bytes", "style+script", "pictures", "all")
        too_large = []
        for path in paths:
            wall, used, size = timed(base, path, process.pid, rounds)
            kinds = bytes_of.get(path, {})
            files = kinds.get("Stylesheet", 0) + kinds.get("Script", 0)
            whole = sum(kinds.values())
            if whole > LIMIT:
                too_large.append(path)
            row = (wall, used, size, files, kinds.get("Image", 0), whole)
            table.add_row(path, *(f"{value:,.0f}" for value in row))
        out.print(table)
    finally:
        process.terminate()
        process.wait()
        output.close()
    for path in too_large:
        print(f"error: {path} takes more than {LIMIT:,} bytes", file=sys.stderr)
    return 1 if too_large else 0


if __name__ == "__main__":
    sys.exit(main())
