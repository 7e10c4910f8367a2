"""Whether a feeder wants filling, from what its frames said lately; pure."""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

ATTRIBUTE, EMPTY, FULL = "feeder", "empty", "full"
"""The attribute this is told by, and the two of its values that count."""

LOOKS = 10
"""Frames that are looked at together."""
AGREEING = 0.8
"""The share of them that must agree for the state to change; in between it stays what it was."""
LEAST_SPAN = timedelta(minutes=5)
"""They must be spread over this: a crow in front of the feeder is one burst of frames."""
REMEMBERED = timedelta(days=14)
"""How far back the state is followed."""
LONGEST_GAP = timedelta(hours=36)
"""After this long without a look nothing is known any more: one dull day is bridged."""


@dataclass(frozen=True, slots=True)
class FeederState:
    """`is_empty` is None where nothing is known; it has been so `since`, looked at last at
    `looked`, both instants in UTC."""

    is_empty: bool | None = None
    since: datetime | None = None
    looked: datetime | None = None


def feeder_state(said: Iterable[tuple[datetime, str]], now: datetime) -> FeederState:
    """The state after tags of the attribute `feeder` at one camera, the oldest first."""
    state = FeederState()
    looks: deque[tuple[datetime, bool]] = deque(maxlen=LOOKS)
    for at, value in said:
        if value not in (EMPTY, FULL):
            continue
        if looks and at - looks[-1][0] > LONGEST_GAP:
            looks.clear()
            state = FeederState()
        looks.append((at, value == EMPTY))
        share = sum(is_empty for _, is_empty in looks) / len(looks)
        is_sure = max(share, 1 - share) >= AGREEING
        if len(looks) == LOOKS and at - looks[0][0] >= LEAST_SPAN and is_sure:
            is_empty = share >= AGREEING
            since = state.since if is_empty == state.is_empty else _turned(looks, is_empty)
            state = FeederState(is_empty, since, at)
        else:
            state = FeederState(state.is_empty, state.since, at)
    if state.looked is not None and now - state.looked > LONGEST_GAP:
        return FeederState(looked=state.looked)
    return state


def _turned(looks: Iterable[tuple[datetime, bool]], is_empty: bool) -> datetime:
    """When the first of the looks that bear the state out was taken."""
    return next(at for at, was_empty in looks if was_empty == is_empty)
