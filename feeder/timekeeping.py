"""Whose clock a frame's time came from, and what that time is worth.

While nobody sets the clock, wall time is the time since boot plus a constant: an epoch. The epochs
of a boot say which times were written while the clock was wrong, and by how much it was.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from feeder.clock import Clock, namesakes
from feeder.domain import ClockEpoch, Frame, KnownBy, SettledPath, TimeSource

log = logging.getLogger("feeder.timekeeping")

STEP = 1.0
"""Seconds by which the clock must jump for a new epoch; the network's small corrections are no
jumps, for the time since boot follows them."""

SEEN_SECONDS = 900.0
"""How often at most an epoch that goes on is written again."""

BATTERY_SLACK = 60.0
"""Seconds that a battery clock and the system's may drift apart in weeks."""

SAME_CLOCK = 60.0
"""Seconds within which a camera writes the file of a picture that it has taken."""

COARSE = 2.0
"""Seconds: the file times of FAT."""

RESTART = 300.0
"""Seconds from the daemon's orderly end to the next boot, where the computer was restarted."""

_RANK = {None: 0, KnownBy.ASSUMED: 1, KnownBy.BATTERY: 2, KnownBy.NETWORK: 3}


def installed_at() -> float:
    """When the program came onto this computer, in Unix time."""
    return Path(__file__).stat().st_mtime


class Timekeeper:
    """Follows the wall clock, and says of each frame whether its time can be trusted.

    `epochs` are those of the log, oldest first; `write` is given every one that is new or has
    changed. A clock that lies before `not_before` (Unix time), left out: before the program was
    installed, is wrong unless the network says otherwise. `is_quiet`: it logs nothing of a clock
    that nobody vouches for, as for a mere look.
    """

    def __init__(
        self,
        clock: Clock,
        epochs: Sequence[ClockEpoch],
        write: Callable[[ClockEpoch], None],
        not_before: float | None = None,
        *,
        is_quiet: bool = False,
    ) -> None:
        self._clock = clock
        self._is_quiet = is_quiet
        self._epochs = list(epochs)
        self._write = write
        self._not_before = installed_at() if not_before is None else not_before
        self._current: ClockEpoch | None = None
        self._looked = 0.0
        self._past: list[tuple[ClockEpoch, float]] = []

    def look(self, drained: float | None = None) -> ClockEpoch:
        """Looks whether the clock was set, or is known now; gives the present epoch.

        `drained`: seconds since boot before which every file that was written is in the log.
        """
        since, offset = self._clock.reading()
        first = self._current is None
        if first:
            self._begin(since, offset)
        elif abs(offset - self._epochs[-1].offset) > STEP:
            self._step(since, offset)
        epoch = self._vouched(since)
        if first and epoch.known_by is None and not self._is_quiet:
            log.info("nobody vouches for the clock yet: `feeder sightings` marks times with a ?")
        if drained is not None:
            epoch = replace(epoch, drained=max(epoch.drained, drained))
        if since - epoch.seen >= SEEN_SECONDS:
            epoch = self._keep(replace(epoch, seen=since))
        self._epochs[-1] = self._current = epoch
        self._looked = since
        return epoch

    def is_trusted(self) -> bool:
        """Whether the wall clock may be believed now."""
        return self.look().known_by is not None

    def rest(self, drained: float | None = None) -> None:
        """Notes that nobody looks from now on."""
        epoch = self.look(drained)
        self._keep(replace(epoch, seen=self._looked, ended=self._looked))

    def write_all(self) -> None:
        """Writes every epoch anew: another file has taken the log's place."""
        for epoch in self._epochs:
            self._write(epoch)

    def date(self, frame: Frame) -> Frame:
        """The frame with what its time is worth, by the clock that wrote the file.

        An EXIF time is this computer's own where it lies within a minute of the file's writing,
        on whatever epoch's clock; else it is another machine's, and trusted.
        """
        now = self.look()
        source = frame.source
        modified = source.mtime_ns / 1e9
        found = self._epochs_of(source, modified)
        if frame.time_source is not TimeSource.MTIME:
            frame, found = self._taken(frame, modified, found)
        elif not found and modified > _wall(now, self._looked) + SAME_CLOCK:
            # Another machine's time, unless it is known not to have come yet.
            return replace(frame, trusted=now.known_by is None)
        if all(epoch.known_by is not None for epoch in found):
            only = found[0] if len(found) == 1 else None
            better = only is not None and only.known_by is not KnownBy.NETWORK
            return replace(frame, trusted=True, epoch=only.number if only and better else None)
        if len(found) > 1:
            return replace(frame, trusted=False, epoch=None)
        if frame.time_source is TimeSource.MTIME:
            # Not held within the years of cameras: this clock may well have begun in 1970.
            frame = replace(frame, captured_at=datetime.fromtimestamp(modified, UTC))
        return replace(frame, trusted=False, epoch=found[0].number)

    def _begin(self, since: float, offset: float) -> None:
        """Goes on with the log's epoch of this boot, or begins this boot's first."""
        boot = self._clock.boot_id()
        if self._epochs and self._epochs[-1].boot == boot:
            last = self._epochs[-1]
            if abs(offset - last.offset) <= STEP:
                self._current = self._keep(replace(last, seen=since, ended=None))
            else:
                self._current, self._looked = last, last.seen
                self._step(since, offset)
            return
        early = self._clock.early_offset()
        if early is not None and abs(offset - early) > STEP:
            self._add(boot, early, began=0.0, seen=since)
            self._keep(replace(self._epochs[-1], ended=since))
            _say_step(offset - early)
        self._current = self._add(boot, offset, began=0.0, seen=since)

    def _step(self, since: float, offset: float) -> None:
        assert self._current is not None
        before = self._keep(replace(self._current, seen=self._looked, ended=since))
        _say_step(offset - before.offset)
        self._current = self._add(before.boot, offset, began=self._looked, seen=since)

    def _add(self, boot: str, offset: float, *, began: float, seen: float) -> ClockEpoch:
        number = self._epochs[-1].number + 1 if self._epochs else 1
        self._epochs.append(ClockEpoch(number, boot, offset, began, seen, drained=0.0))
        return self._keep(self._epochs[-1])

    def _keep(self, epoch: ClockEpoch) -> ClockEpoch:
        """Writes the last epoch as it is now."""
        self._epochs[-1] = epoch
        self._past = [
            (one, self._past_end(index, one))
            for index, one in enumerate(self._epochs)
            if one.boot != epoch.boot
        ]
        self._write(epoch)
        return epoch

    def _vouched(self, since: float) -> ClockEpoch:
        """The present epoch; once somebody vouched for its clock, that stays so."""
        epoch = self._current
        assert epoch is not None
        if epoch.known_by is KnownBy.NETWORK:
            return epoch
        found = self._voucher(epoch, since)
        if found is None or _RANK[found] <= _RANK[epoch.known_by]:
            return epoch
        self._current = self._keep(replace(epoch, known_by=found))
        log.info("the clock is known now (%s)", found.value)
        return self._current

    def _voucher(self, epoch: ClockEpoch, since: float) -> KnownBy | None:
        now = _wall(epoch, since)
        synchronised = self._clock.synchronised()
        if synchronised:
            return KnownBy.NETWORK
        at = self._clock.synchronised_at()
        # A clock that was set by hand since then is in another epoch.
        if at is not None and _wall(epoch, epoch.began) - STEP <= at <= now + STEP:
            return KnownBy.NETWORK
        if now < self._not_before:
            return None
        battery = self._clock.battery()
        if battery is not None and abs(battery - now) <= BATTERY_SLACK:
            return KnownBy.BATTERY
        return KnownBy.ASSUMED if synchronised is None else None

    def _epochs_of(self, source: SettledPath, modified: float) -> list[ClockEpoch]:
        """The epochs on whose clock the file may have been written; none: another machine's."""
        for slack in (0.0, COARSE):
            if source.written is not None:
                after, before = source.written
                fresh = [
                    epoch
                    for epoch, end in self._this_boot()
                    if after - slack <= modified - epoch.offset <= before + slack
                    and _holds(epoch, end, modified, slack)
                ]
                if fresh:
                    return fresh
        spans = [*self._past, *self._this_boot()]
        for slack in (0.0, COARSE):
            found = [epoch for epoch, end in spans if _holds(epoch, end, modified, slack)]
            if len(found) > 1:
                found = [one for one in found if not self._is_drained(one, modified)] or found
            if found:
                return found
        return []

    def _taken(
        self, frame: Frame, modified: float, found: list[ClockEpoch]
    ) -> tuple[Frame, list[ClockEpoch]]:
        """The epochs on whose clock the picture may have been taken; none: another machine's.

        `found` may have written its file. Where clocks go back, the EXIF time's other reading is
        tried, too: the clock may have been set between the picture and its file.
        """
        readings = [frame.captured_at]
        if frame.time_source is TimeSource.EXIF:
            readings = namesakes(frame.captured_at, frame.source.deployment.zone)
        for taken in readings:
            shown = {
                one.number: one
                for epoch in found
                if (one := self._same_clock(epoch, modified, taken.timestamp())) is not None
            }
            if shown:
                return replace(frame, captured_at=taken), list(shown.values())
        return frame, []

    def _same_clock(self, epoch: ClockEpoch, modified: float, taken: float) -> ClockEpoch | None:
        """The epoch on whose clock a picture was taken whose file `epoch`'s clock wrote."""
        apart = [
            (abs((modified - epoch.offset) - (taken - one.offset)), one)
            for one, end in [*self._past, *self._this_boot()]
            if one.boot == epoch.boot and _holds(one, end, taken, COARSE)
        ]
        distance, nearest = min(apart, key=lambda pair: pair[0], default=(SAME_CLOCK + 1, epoch))
        return nearest if distance <= SAME_CLOCK else None

    def _is_drained(self, epoch: ClockEpoch, modified: float) -> bool:
        """Whether a file of this time by the epoch's clock would be in the log already."""
        same = (one.drained for one in self._epochs if one.boot == epoch.boot)
        return modified - epoch.offset <= max(same)

    def _this_boot(self) -> Iterator[tuple[ClockEpoch, float]]:
        """This boot's epochs, each with the latest that its clock has shown, in Unix time."""
        for epoch in self._epochs[len(self._past) :]:
            yield epoch, _wall(epoch, self._looked if epoch.ended is None else epoch.ended)

    def _past_end(self, index: int, epoch: ClockEpoch) -> float:
        """The latest that the clock of an earlier boot's epoch may have shown, in Unix time.

        Nobody sees a boot's end, and cameras write on while no daemon runs: a boot's last epoch
        may reach up to where a later boot's clock was known. Where the daemon was stopped in
        order and the next boot's clock goes on from there, the computer was restarted.
        """
        following = self._epochs[index + 1]
        if epoch.ended is not None:
            ended = _wall(epoch, epoch.ended)
            if following.boot == epoch.boot or -COARSE <= following.offset - ended <= RESTART:
                return ended
        for later in self._epochs[index + 1 :]:
            if later.boot != epoch.boot and later.known_by is not None:
                return max(_wall(epoch, epoch.seen) + SEEN_SECONDS, later.offset)
        return float("inf")


def _wall(epoch: ClockEpoch, since: float) -> float:
    """What the epoch's clock shows at `since` seconds since its boot, in Unix time."""
    return since + epoch.offset


def _holds(epoch: ClockEpoch, end: float, wall: float, slack: float) -> bool:
    """Whether the epoch's clock may have shown `wall`; `end` is the latest it has."""
    return _wall(epoch, epoch.began) - slack <= wall <= end + slack


def _say_step(seconds: float) -> None:
    log.warning("the clock was set %s %s", duration(seconds), "ahead" if seconds > 0 else "back")


def duration(seconds: float) -> str:
    """`364 days 2 h`: a length of time in its two largest units; its sign is left out."""
    rest = round(abs(seconds))
    parts = []
    for size, unit in ((86400, "days"), (3600, "h"), (60, "min"), (1, "s")):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count} {'day' if unit == 'days' and count == 1 else unit}")
        elif parts:
            break
    return " ".join(parts[:2]) or "0 s"
