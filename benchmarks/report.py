"""The comparison as tables: on a terminal drawn, in a pipe separated by tabs."""

from typing import Any

from benchmarks.contenders import BASELINE, CONTENDERS
from feeder.cli.output import table

Summary = dict[str, dict[str, Any]]


def show(summary: Summary) -> None:
    """Prints the ratios to the baseline, then what was measured."""
    groups = list(summary[BASELINE]["groups"])
    title = f"{CONTENDERS[BASELINE].title} = 1.0; less is better"
    table(_ratio_columns(groups), [_ratios(row) for row in summary.values()], title=title)
    print()
    table(_columns(groups), [_measured(row) for row in summary.values()], title="Measured")


def _ratio_columns(groups: list[str]) -> list[str]:
    times = [f"{what}, {group}" for group in groups for what in ("time a frame", "CPU a frame")]
    return ["contender", "first result", *times, "peak memory", "private memory"]


def _ratios(row: dict[str, Any]) -> list[str]:
    times = [
        cell["ratio"][key] for cell in row["groups"].values() for key in ("frame_ms", "cpu_ms")
    ]
    ratio = row["ratio"]
    values = [ratio["first_result_s"], *times, ratio["peak_mb"], ratio["private_end_mb"]]
    return [row["title"], *(f"{value:.2f}" for value in values)]


def _columns(groups: list[str]) -> list[str]:
    times = [
        f"{what}, {group}"
        for group in groups
        for what in ("ms a frame (p10-p90)", "CPU ms a frame")
    ]
    memory = ["peak MB", "private MB, ready", "private MB, end"]
    return ["contender", "first result s", *times, *memory, "largest difference"]


def _measured(row: dict[str, Any]) -> list[str]:
    times = []
    for cell in row["groups"].values():
        times.append(f"{cell['frame_ms']:.0f} ({cell['p10_ms']:.0f}-{cell['p90_ms']:.0f})")
        times.append(f"{cell['cpu_ms']:.0f}")
    memory = [f"{row[key]:.0f}" for key in ("peak_mb", "private_ready_mb", "private_end_mb")]
    difference = row["max_difference"]
    return [
        row["title"],
        f"{row['first_result_s']:.2f}",
        *times,
        *memory,
        "other labels" if difference is None else f"{difference:.1e}",
    ]
