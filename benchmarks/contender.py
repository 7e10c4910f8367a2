"""Measures one contender in this process: `python -m benchmarks.contender NAME WORKLOAD START`.

START is what `time.monotonic()` read when the process was asked for, in seconds. The result is one
line of JSON on standard output.
"""

import itertools
import json
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks import footprint
from benchmarks.contenders import CONTENDERS, Classify
from benchmarks.workload import Workload


def measure(name: str, workload: Workload, started: float) -> dict[str, Any]:
    """Seconds, milliseconds and MB, as `benchmarks/README.md` defines them."""
    classify = CONTENDERS[name].start(workload)
    first = next(iter(workload.pictures.values()))[0]
    classify(first)
    first_s = time.monotonic() - started
    ready = footprint.private_mb()
    groups = {
        group: _look(classify, workload, pictures) for group, pictures in workload.pictures.items()
    }
    seen = [path for pictures in workload.pictures.values() for path in pictures]
    probabilities = {path: [float(p) for p in classify(path)] for path in seen}
    return {
        "first_result_s": first_s,
        "private_ready_mb": ready,
        "private_end_mb": footprint.private_mb(),
        "peak_mb": footprint.peak_mb(),
        "groups": groups,
        "probabilities": probabilities,
    }


def _look(classify: Classify, workload: Workload, pictures: list[str]) -> dict[str, Any]:
    """Frames one straight after the other for their time, then paced ones for their work.

    A pause shows what a run leaves behind, such as threads that spin while they wait for work.
    """
    supply = itertools.cycle(pictures)
    for path in itertools.islice(supply, workload.warm_up):
        classify(path)
    times = []
    for path in itertools.islice(supply, workload.frames):
        began = time.perf_counter()
        classify(path)
        times.append((time.perf_counter() - began) * 1000)
    time.sleep(workload.pause)
    used = footprint.cpu_seconds()
    for path in itertools.islice(supply, workload.paced):
        classify(path)
        time.sleep(workload.pause)
    used = footprint.cpu_seconds() - used
    return {"frame_ms": times, "cpu_ms": used * 1000 / workload.paced}


if __name__ == "__main__":
    _name, _workload, _started = sys.argv[1:]
    print(json.dumps(measure(_name, Workload.load(Path(_workload)), float(_started))))
