"""Every format of `feeder export` on a log of many visits: how long, and how much memory.

    python benchmarks/exports.py                   # 100,000 visits of two frames each
    python benchmarks/exports.py --visits 1000

The log is made without pictures, in a folder that is removed. Each export is a process of its own,
start of the program included; CPU s is its processor time, which a busy computer hardly changes,
and peak its largest resident memory. `--help` shows what starting alone takes.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from feeder.clock import utc_text
from feeder.log_file import open_for_writing

ROOT = Path(__file__).resolve().parents[1]

FIRST = datetime(2023, 5, 1, tzinfo=UTC)
BETWEEN = timedelta(minutes=6)
"""From one visit to the next: more than the gap, so that each is one of its own."""

SPECIES = (
    ("European Robin", "Erithacus rubecula", "eurrob1"),
    ("House Sparrow", "Passer domesticus", "houspa"),
    ("Eurasian Blue Tit", "Cyanistes caeruleus", "blutit"),
)

CONFIG = """\
[[deployment]]
name = "garden"
folder = "snapshots"
timezone = "Europe/Dublin"
latitude = 53.35
longitude = -6.26
"""

EXPORTS = {
    "--help": ("csv", "--help"),
    "one day, CSV": ("csv", "day.csv", "--since", "2023-05-01", "--until", "2023-05-01"),
    "CSV": ("csv", "visits.csv"),
    "CSV, frames": ("csv", "frames.csv", "--frames"),
    "Parquet": ("parquet", "visits.parquet"),
    "eBird": ("ebird", "ebird.csv"),
    "Darwin Core": ("darwin-core", "dwc.zip"),
    "Camtrap DP": ("camtrap-dp", "package"),
    "iNaturalist": ("inaturalist", "inat.csv", "--rows", "1000000"),
    "datasette": ("datasette", "visits.db"),
}


def make_log(path: Path, visits: int) -> None:
    """Writes a log of so many visits, each of two frames ten seconds apart."""
    with closing(open_for_writing(path)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        connection.execute(
            "INSERT INTO deployment (location_name, latitude, longitude, timezone,"
            " deployment_start) VALUES ('garden', 53.35, -6.26, 'Europe/Dublin', ?)",
            (utc_text(FIRST),),
        )
        connection.execute("INSERT INTO model (digest, name) VALUES ('0', 'none')")
        connection.execute("INSERT INTO vocabulary (digest, labels) VALUES ('0', '[]')")
        for number in range(2 * visits):
            visit, frame = divmod(number, 2)
            at = utc_text(FIRST + visit * BETWEEN + frame * timedelta(seconds=10))
            connection.execute(
                "INSERT INTO media (deployment_id, sha256, timestamp, timestamp_source, file_path,"
                " file_name, file_mediatype, file_size, width, height, received_at)"
                " VALUES (1, ?, ?, 'mtime', ?, ?, 'image/jpeg', 82000, 640, 480, ?)",
                (number.to_bytes(32, "big"), at, b"%d" % number, str(number), at),
            )
            connection.execute(
                "INSERT INTO observation (media_id, observation_type, label, scientific_name,"
                " ebird_code, kind, classification_method, classified_by,"
                " classification_timestamp, classification_probability, reason, runners_up,"
                " model_id, vocabulary_id) VALUES"
                " (?, 'animal', ?, ?, ?, 'bird', 'machine', 'none', ?, 0.9, '', '[]', 1, 1)",
                (number + 1, *SPECIES[visit % len(SPECIES)], at),
            )
        connection.execute("COMMIT")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def measured(folder: Path, arguments: tuple[str, ...]) -> tuple[float, float, int]:
    """Seconds on the clock and of the processor, and the most kilobytes resident."""
    command = [sys.executable, "-m", "feeder", "export", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    assert process.stdout is not None
    said = process.stdout.read().decode()
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(said)
    return time.perf_counter() - began, used.ru_utime + used.ru_stime, used.ru_maxrss


def size(folder: Path, arguments: tuple[str, ...]) -> int:
    """Bytes that were written."""
    made = folder / arguments[1]
    files = made.rglob("*") if made.is_dir() else folder.glob(f"{made.stem}*")
    return sum(file.stat().st_size for file in files if file.is_file())


def main() -> None:
    """Makes the log, exports it in every format, and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--visits", type=int, default=100_000)
    visits = parser.parse_args().visits
    table = Table(title=f"{visits:,} visits of two frames")
    for column in ("export", "s", "CPU s", "peak MB", "written MB"):
        table.add_column(column, justify="left" if column == "export" else "right")
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "config.toml").write_text(CONFIG, encoding="utf-8")
        make_log(folder / "data" / "feeder.db", visits)
        for name, arguments in EXPORTS.items():
            wall, cpu, peak = measured(folder, arguments)
            written = size(folder, arguments) / 1e6
            table.add_row(name, f"{wall:.1f}", f"{cpu:.1f}", f"{peak / 1e3:.0f}", f"{written:.1f}")
    Console().print(table)


if __name__ == "__main__":
    main()
