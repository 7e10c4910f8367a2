"""`python -m benchmarks`: Feeder and its peers, measured in one run. See `README.md` here."""

import argparse
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import report
from benchmarks.contenders import CONTENDERS
from benchmarks.prepare import ROOT, prepare, say
from benchmarks.summary import Round, disagreements, summarise
from benchmarks.workload import Workload
from feeder.errors import FeederError

PACKAGES = ("onnxruntime", "numpy", "pillow", "tokenizers", "torch", "transformers")

FULL = {"frames": 10, "warm_up": 2, "paced": 5, "pause": 0.25}
QUICK = {"frames": 3, "warm_up": 1, "paced": 2, "pause": 0.05}


def main(arguments: Sequence[str] | None = None) -> int:
    """Exits 0; or 1 where something is missing, a contender fails, or two disagree."""
    options = _arguments(arguments)
    try:
        if sys.platform != "linux":
            raise FeederError("Memory is read from /proc: the benchmark runs on Linux alone.")
        length = QUICK if options.quick else FULL
        workload = prepare(
            options.work.absolute(),
            checkpoint=options.model,
            photos=options.photos,
            length=length,
        )
        path = options.work.absolute() / "workload.json"
        workload.save(path)
        count = 1 if options.quick else options.rounds
        rounds = [_round(path, f"round {i + 1} of {count}") for i in range(count)]
    except FeederError as error:
        print(f"error: {error}", error.hint, sep="\n  ", file=sys.stderr)
        return 1
    summary = summarise(rounds)
    report.show(summary)
    if options.json:
        document = {**_circumstances(workload, count), "contenders": summary}
        options.json.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    wrong = disagreements(summary)
    for sentence in wrong:
        print(f"error: {sentence}", file=sys.stderr)
    return 1 if wrong else 0


def _round(workload: Path, title: str) -> Round:
    """Every contender once, each in a fresh process, one after the other."""
    names = [name for name in CONTENDERS if name != "feeder-starter" or _has_starter()]
    measured: Round = {}
    for name in names:
        say(f"{title}: {CONTENDERS[name].title}")
        measured[name] = _run(name, workload)
    return measured


def _run(name: str, workload: Path) -> dict[str, Any]:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-m", "benchmarks.contender", name, str(workload)]
    started = repr(time.monotonic())
    done = subprocess.run(
        [*command, started], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise FeederError(f"{CONTENDERS[name].title} failed:\n{done.stderr[-2000:]}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def _has_starter() -> bool:
    return (ROOT / "models" / "starter" / "manifest.json").is_file()


def _circumstances(workload: Workload, rounds: int) -> dict[str, Any]:
    """What a reader of the numbers must know; nothing that names the computer."""
    versions = {name: importlib.metadata.version(name) for name in PACKAGES}
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{len(os.sched_getaffinity(0))} {platform.machine()} cores",
        "versions": {"python": platform.python_version(), **versions},
        "labels": len(workload.labels),
        "pictures": {group: len(paths) for group, paths in workload.pictures.items()},
        "rounds": rounds,
        "frames_a_round": workload.frames,
    }


def _arguments(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Compare Feeder with its peers on the same weights, pictures and labels.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="one round of a few frames: a trial, no result")
    add("--json", type=Path, metavar="FILE", help="write the numbers there, too")
    add("--photos", type=Path, metavar="DIR", help="real JPEGs instead of made pictures")
    add("--model", type=Path, metavar="FOLDER", help="a saved CLIP instead of a random ViT-B/32")
    add("--rounds", type=int, default=3, metavar="N", help="rounds (%(default)s)")
    add(
        "--work",
        type=Path,
        default=ROOT / ".cache" / "benchmarks",
        metavar="DIR",
        help="where the model and the pictures are kept (.cache/benchmarks)",
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
