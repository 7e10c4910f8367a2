"""Rounds of raw measurements to one comparison: medians, spreads, ratios, agreement."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.contenders import BASELINE, CONTENDERS

MAX_DIFFERENCE = 1e-3
"""What two fp32 contenders' probabilities may differ by."""

SINGLES = ("first_result_s", "private_ready_mb", "private_end_mb", "peak_mb")

Round = dict[str, dict[str, Any]]
"""What `contender.measure` returned, by the contender's name."""


def summarise(rounds: Sequence[Round]) -> dict[str, dict[str, Any]]:
    """For each contender its medians, `ratio` to the baseline (1.0), and agreement with it."""
    summary = {name: _medians([one[name] for one in rounds]) for name in rounds[0]}
    base = summary[BASELINE]
    for name, row in summary.items():
        row["title"] = CONTENDERS[name].title
        row["ratio"] = {key: row[key] / base[key] for key in SINGLES}
        for group, cell in row["groups"].items():
            reference = base["groups"][group]
            cell["ratio"] = {key: cell[key] / reference[key] for key in ("frame_ms", "cpu_ms")}
        row["max_difference"] = _difference(name, rounds)
    return summary


def disagreements(summary: dict[str, dict[str, Any]]) -> list[str]:
    """One sentence for each exact contender whose probabilities are not the baseline's."""
    return [
        f"{row['title']} differs from {CONTENDERS[BASELINE].title} by {row['max_difference']:.1e}."
        for name, row in summary.items()
        # Written so that NaN counts.
        if CONTENDERS[name].exact and not row["max_difference"] <= MAX_DIFFERENCE
    ]


def _medians(runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    row: dict[str, Any] = {key: float(np.median([run[key] for run in runs])) for key in SINGLES}
    row["first_result_range_s"] = [
        choose(run["first_result_s"] for run in runs) for choose in (min, max)
    ]
    row["groups"] = {group: _group(runs, group) for group in runs[0]["groups"]}
    return row


def _group(runs: Sequence[dict[str, Any]], group: str) -> dict[str, Any]:
    """Milliseconds a frame over the frames of all rounds; processor milliseconds likewise."""
    times = [ms for run in runs for ms in run["groups"][group]["frame_ms"]]
    p10, middle, p90 = np.percentile(times, [10, 50, 90])
    return {
        "frames": len(times),
        "frame_ms": float(middle),
        "p10_ms": float(p10),
        "p90_ms": float(p90),
        "cpu_ms": float(np.median([run["groups"][group]["cpu_ms"] for run in runs])),
    }


def _difference(name: str, rounds: Sequence[Round]) -> float | None:
    """The largest difference from the baseline in any probability; None for other labels."""
    if CONTENDERS[name].own_labels:
        return None
    worst = [
        float(np.abs(np.subtract(one[name]["probabilities"][path], expected)).max())
        for one in rounds
        for path, expected in one[BASELINE]["probabilities"].items()
    ]
    return float(np.max(worst))
