"""What judging a whole history again costs, beside the least that any way of doing it would.

    python benchmarks/relabel.py --frames 1000000 --work DIR

Makes a log of so many frames without pictures (2 GB a million; `made_log`), judged by the starter,
and judges it again by `feeder relabel`: with and without the copy of the embeddings in the cache,
and with a label taken out that a fifth of the frames show. Beside it a bare numpy process
multiplies the same vectors, from a plain float32 file, with the labels' and takes the best. Each
is a process of its own; time, processor time and peak resident memory are given, and their ratios.
Linux alone: memory is read from /proc.
"""

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.made_log import make_log
from feeder import Classifier, config
from feeder.cli.output import table
from feeder.config import Settings
from feeder.embedding_store import EmbeddingStore

OFTEN = "House Finch"
LOOK_SECONDS = 0.02

BASELINE = """
import sys
import numpy as np
vectors, labels = np.load(sys.argv[1], mmap_mode="r"), np.load(sys.argv[2])
best = np.empty(len(vectors), np.int64)
for start in range(0, len(vectors), 16384):
    chunk = np.fromfile(sys.argv[1], np.float32, 16384 * vectors.shape[1],
                        offset=vectors.offset + start * vectors.shape[1] * 4)
    best[start : start + 16384] = (chunk.reshape(-1, vectors.shape[1]) @ labels.T).argmax(axis=1)
print(best[:3])
"""


def measure(command: Sequence[str]) -> dict[str, Any]:
    """A process's seconds, processor seconds and peak megabytes (10^6 bytes).

    Resident are all its pages; its own are those that are no file's.
    """
    peak = {"VmHWM": 0, "RssAnon": 0}
    with tempfile.TemporaryFile("w+") as output:
        began, used = time.monotonic(), _processor_seconds()
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            try:
                status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
            except OSError:
                break
            for line in status.splitlines():
                name, _, value = line.partition(":")
                if name in peak:
                    peak[name] = max(peak[name], int(value.split()[0]) * 1024)
            time.sleep(LOOK_SECONDS)
        if process.wait():
            raise SystemExit(f"{' '.join(command)} failed")
        seconds, cpu = time.monotonic() - began, _processor_seconds() - used
        output.seek(0)
        said = output.read()
    return {
        "seconds": seconds,
        "cpu": cpu,
        "resident_mb": peak["VmHWM"] / 1e6,
        "own_mb": peak["RssAnon"] / 1e6,
        "said": said,
    }


def _processor_seconds() -> float:
    """What all processes that were waited for have used so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def prepare(work: Path, frames: int) -> Settings:
    """The settings of a feeder in `work` whose log has so many frames."""
    path = work / "config.toml"
    path.write_text(config.fresh(), encoding="utf-8")
    settings = config.load(path)
    settings.database.parent.mkdir(parents=True)
    classifier = Classifier.load("starter", threads=1)
    make_log(settings.database, classifier, frames, often=OFTEN)
    np.save(work / "labels.npy", classifier.embeddings.vectors)
    store = EmbeddingStore.open(settings.database, classifier.bundle.digest, settings.cache)
    plain = np.lib.format.open_memmap(
        work / "vectors.npy", "w+", np.float32, (len(store), store.width)
    )
    start = 0
    for ids, vectors in store.chunks():
        plain[start : start + len(ids)] = vectors
        start += len(ids)
    del plain
    shutil.rmtree(settings.cache)
    return settings


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--frames", type=int, default=100_000)
    parser.add_argument("--work", type=Path, required=True, help="an empty folder, for the log")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    if any(options.work.iterdir()):
        parser.error(f"{options.work} is not empty")
    settings = prepare(options.work, options.frames)
    feeder = [sys.executable, "-m", "feeder", "--config", str(settings.path)]
    plain = [str(options.work / name) for name in ("vectors.npy", "labels.npy")]
    measured = {
        "numpy, float32, the best label alone": measure([sys.executable, "-c", BASELINE, *plain]),
        "first time, nothing changes": measure([*feeder, "relabel", "--json"]),
        "again, nothing changes": measure([*feeder, "relabel", "--json"]),
        "preview of a label less": measure(
            [*feeder, "labels", "preview", "--remove", OFTEN, "--json"]
        ),
    }
    subprocess.run([*feeder, "labels", "remove", OFTEN], check=True, stdout=subprocess.DEVNULL)
    measured["a label less"] = measure([*feeder, "relabel", "--json"])
    shutil.rmtree(settings.cache)
    subprocess.run([*feeder, "relabel", "--undo"], check=True, stdout=subprocess.DEVNULL)
    measured["a label less, first time"] = measure([*feeder, "relabel", "--json"])
    base = next(iter(measured.values()))
    table(
        (
            "",
            "changed",
            "seconds",
            "CPU s",
            "frames a second",
            "time",
            "CPU",
            "peak MB",
            "own MB",
            "memory",
        ),
        [
            (
                name,
                json.loads(one["said"])["changed"] if one is not base else "",
                f"{one['seconds']:.1f}",
                f"{one['cpu']:.1f}",
                f"{options.frames / one['seconds']:.0f}",
                f"{one['seconds'] / base['seconds']:.1f}",
                f"{one['cpu'] / base['cpu']:.1f}",
                f"{one['resident_mb']:.0f}",
                f"{one['own_mb']:.0f}",
                f"{one['resident_mb'] / base['resident_mb']:.1f}",
            )
            for name, one in measured.items()
        ],
    )


if __name__ == "__main__":
    main()
