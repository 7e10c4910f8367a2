"""What has changed in the log since it was last looked at: for what is computed from it ahead.

SQL is here as in `log_reader`, on a connection that cannot write.
"""

import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Self

from feeder.clock import parse_utc
from feeder.log_file import OpenLog, disk_explained, explained

TOGETHER = timedelta(hours=6)
"""Changed frames less far apart are told as one period."""

Period = tuple[datetime, datetime]
"""From the first to the last of some instants, UTC."""


@dataclass(frozen=True, slots=True)
class Unsure:
    """Frames whose time may be bettered yet, all of them by as much: those of one clock `epoch`.

    `first` and `last` are media ids, `at` is the first one's time as the log writes it, and
    `earliest` and `latest` are those of all.
    """

    epoch: int
    first: int
    last: int
    at: str
    trusted: bool
    earliest: str
    latest: str


@dataclass(frozen=True, slots=True)
class Mark:
    """How far a log was looked at. `rows` are its newest frame and observation, which another log
    that was put in its place does not have, and the cameras' names; `file` is its device and inode.

    `in_force` are the judgements that count; `favorites` are media ids.
    """

    file: tuple[int, int]
    frame: int
    observation: int
    rows: str
    in_force: frozenset[int]
    favorites: frozenset[int]
    unsure: tuple[Unsure, ...]

    def record(self) -> dict[str, Any]:
        """As JSON holds it."""
        plain = {name: getattr(self, name) for name in ("file", "frame", "observation", "rows")}
        sets = {name: sorted(getattr(self, name)) for name in ("in_force", "favorites")}
        return {**plain, **sets, "unsure": [asdict(one) for one in self.unsure]}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Self:
        """The inverse of `record`."""
        return cls(
            (record["file"][0], record["file"][1]),
            record["frame"],
            record["observation"],
            record["rows"],
            frozenset(record["in_force"]),
            frozenset(record["favorites"]),
            tuple(Unsure(**one) for one in record["unsure"]),
        )


@dataclass(frozen=True, slots=True)
class Changes:
    """How far the log goes now, and the periods whose frames have changed, the oldest first.

    `is_other` says that it is not the log that was looked at before.
    """

    mark: Mark
    periods: list[Period]
    is_other: bool


class LogChanges(OpenLog):
    """Looks at the log. Raises LogbookError where none of this release is, or as the log does."""

    def since(self, mark: Mark | None) -> Changes:
        """What differs from what `mark` saw: everything without a mark, or where another log has
        taken its place. A frame whose time was corrected counts where it was and where it is.
        """
        with explained(self.path):
            self._connection.execute("BEGIN")  # all of it as of one moment
            try:
                return self._since(mark)
            finally:
                self._connection.execute("COMMIT")

    def _since(self, mark: Mark | None) -> Changes:
        with disk_explained(self.path):  # it may be being restored
            there = os.stat(self.path)
        file = (there.st_dev, there.st_ino)
        if mark is not None and (mark.file != file or not self._goes_on_from(mark)):
            mark = None
        in_force = frozenset(
            judgement
            for (judgement,) in self._read(
                "SELECT judgement_id FROM judgement WHERE state = 'in force'"
            )
        )
        favorites = frozenset(
            media_id for (media_id,) in self._read("SELECT media_id FROM media WHERE favorite = 1")
        )
        frame, observation = self._newest()
        unsure, moved = self._unsure(mark)
        now = Mark(
            file,
            frame,
            observation,
            self._rows(frame, observation),
            in_force,
            favorites,
            unsure,
        )
        if mark is None:
            hours = self._read("SELECT DISTINCT substr(timestamp, 1, 13) FROM media")
            periods = [_span(f"{hour}:00", 60) for (hour,) in hours]
            return Changes(now, joined(periods), is_other=True)
        changed = self._observed(mark, in_force ^ mark.in_force)
        changed += self._times_of(favorites ^ mark.favorites)
        periods = [(parse_utc(one.earliest), parse_utc(one.latest)) for one in moved]
        for one in moved:
            changed += self._read(
                "SELECT timestamp FROM media WHERE media_id BETWEEN ? AND ?", (one.first, one.last)
            )
        # To the minute, so that of a whole history's frames few periods are left to compare.
        periods += (_span(minute, 1) for minute in {str(at)[:16] for (at,) in changed})
        return Changes(now, joined(periods), is_other=False)

    def _goes_on_from(self, mark: Mark) -> bool:
        """Whether the log is the one that was looked at, and has lost nothing since."""
        judgements = {number for (number,) in self._read("SELECT judgement_id FROM judgement")}
        is_there = self._rows(mark.frame, mark.observation) == mark.rows
        return is_there and mark.in_force <= judgements

    def _newest(self) -> tuple[int, int]:
        ((frame, observation),) = self._read(
            "SELECT (SELECT coalesce(max(media_id), 0) FROM media),"
            " (SELECT coalesce(max(observation_id), 0) FROM observation)"
        )
        return int(frame), int(observation)

    def _rows(self, frame: int, observation: int) -> str:
        ((rows,),) = self._read(
            "SELECT (SELECT hex(sha256) || received_at FROM media WHERE media_id = ?) || '/' ||"
            " (SELECT media_id || classification_timestamp FROM observation"
            " WHERE observation_id = ?) || '/' ||"
            " (SELECT coalesce(json_group_array(location_name), '') FROM (SELECT location_name"
            " FROM deployment AS d WHERE EXISTS (SELECT 1 FROM media WHERE media_id <= ?"
            " AND deployment_id = d.deployment_id) ORDER BY deployment_id))",
            (frame, observation, frame),
        )
        return str(rows)

    def _observed(self, mark: Mark, judgements: Iterable[int]) -> list[tuple[Any, ...]]:
        """When the frames were taken that something new is said of, or something no longer is."""
        times = self._read(
            "SELECT timestamp FROM media WHERE media_id > ? UNION ALL"
            " SELECT m.timestamp FROM observation AS o JOIN media AS m USING (media_id)"
            " LEFT JOIN judgement AS j USING (judgement_id)"
            " WHERE o.observation_id > ? AND o.media_id <= ?"
            " AND coalesce(j.state, 'in force') = 'in force'",
            (mark.frame, mark.observation, mark.frame),
        )
        for judgement in judgements:
            times += self._read(
                "SELECT m.timestamp FROM observation JOIN media AS m USING (media_id)"
                " WHERE judgement_id = ?",
                (judgement,),
            )
        return times

    def _times_of(self, media_ids: Iterable[int]) -> list[tuple[Any, ...]]:
        listed = ",".join(map(str, media_ids))
        return self._read(f"SELECT timestamp FROM media WHERE media_id IN ({listed})")

    def _unsure(self, mark: Mark | None) -> tuple[tuple[Unsure, ...], list[Unsure]]:
        """The frames whose time may change, and what was said of those whose time has changed.

        One frame tells of all that were taken by its epoch's clock.
        """
        held: dict[int, Unsure] = {}
        moved: list[Unsure] = []
        for one in mark.unsure if mark else ():
            ((at, trusted, epoch),) = self._read(
                "SELECT timestamp, timestamp_trusted, clock_epoch_id FROM media WHERE media_id = ?",
                (one.first,),
            )
            if (at, bool(trusted)) != (one.at, one.trusted):
                moved.append(one)
            elif epoch == one.epoch:
                held[epoch] = one
        # Of an epoch that nothing more is known of, the new frames; of any other, all.
        after = {epoch: one.last for epoch, one in held.items()}
        for (epoch,) in self._read(
            "SELECT DISTINCT clock_epoch_id FROM media WHERE clock_epoch_id IS NOT NULL"
        ):
            found = self._read(
                "SELECT min(media_id), max(media_id), min(timestamp), max(timestamp) FROM media"
                " WHERE clock_epoch_id = ? AND media_id > ?",
                (epoch, after.get(epoch, 0)),
            )
            for first, last, earliest, latest in found:
                if first is not None:
                    held[epoch] = self._joined(
                        held.get(epoch), epoch, first, last, earliest, latest
                    )
        return tuple(held[epoch] for epoch in sorted(held)), moved

    def _joined(
        self, known: Unsure | None, epoch: int, first: int, last: int, earliest: str, latest: str
    ) -> Unsure:
        if known is not None:
            return replace(
                known,
                last=last,
                earliest=min(earliest, known.earliest),
                latest=max(latest, known.latest),
            )
        ((at, trusted),) = self._read(
            "SELECT timestamp, timestamp_trusted FROM media WHERE media_id = ?", (first,)
        )
        return Unsure(epoch, first, last, at, bool(trusted), earliest, latest)


def joined(periods: Iterable[Period], together: timedelta = TOGETHER) -> list[Period]:
    """The same periods, oldest first, those less far apart than `together` as one."""
    found: list[Period] = []
    for start, end in sorted(periods):
        if found and start - found[-1][1] < together:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _span(minute: str, minutes: int) -> Period:
    """So many minutes, from the one on that a time begins with as the log writes it."""
    start = parse_utc(f"{minute}:00.000Z")
    return start, start + timedelta(minutes=minutes)
