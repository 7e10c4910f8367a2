"""What judging again would change, or has changed: as a table and as JSON."""

from datetime import timedelta
from typing import Any

from feeder.cli.output import note, say, table
from feeder.judge_again import Change, Plan
from feeder.verdict_log import Verdict

EXAMPLES = 3
"""Frames of each change that a table names."""


def show(plan: Plan, gap: timedelta, *, done: bool) -> None:
    """Prints the changes, the most frequent first, and what stays as it is.

    `gap` is a visit's.
    """
    if plan.changes:
        table(
            ("from", "to", "frames", "visits", "newest"),
            [
                (
                    one.was.name,
                    one.now.name,
                    len(one.media_ids),
                    one.visits(gap),
                    ", ".join(map(str, newest(one))),
                )
                for one in plan.changes
            ],
        )
    say(summary(plan, done=done))
    if plan.by_person:
        note(f"as people have said, and left so: {count(plan.by_person, 'frame')}")
    if plan.elsewhere:
        note(
            f"seen by another model only, and left as they are: {count(plan.elsewhere, 'frame')};"
            " `feeder relabel --embed` shows this one their pictures"
        )


def summary(plan: Plan, *, done: bool) -> str:
    """How many frames changed, or would, of how many."""
    changed = "changed" if done else "would change"
    return f"{plan.changed} of {count(plan.frames, 'frame')} {changed}"


def to_json(plan: Plan, gap: timedelta) -> dict[str, Any]:
    """The same; `examples` are the ids of the newest frames."""
    return {
        "frames": plan.frames,
        "changed": plan.changed,
        "named_by_people": plan.by_person,
        "other_model": plan.elsewhere,
        "changes": [
            {
                "from": _verdict(one.was),
                "to": _verdict(one.now),
                "frames": len(one.media_ids),
                "visits": one.visits(gap),
                "examples": newest(one),
            }
            for one in plan.changes
        ],
    }


def newest(change: Change) -> list[int]:
    """The ids of the newest few of its frames."""
    return [int(one) for one in sorted(change.media_ids)[: -EXAMPLES - 1 : -1]]


def count(number: int, noun: str) -> str:
    """`1 frame`, `2 frames`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _verdict(verdict: Verdict) -> dict[str, str | None]:
    return {"observation_type": verdict.observation_type, "label": verdict.label or None}
