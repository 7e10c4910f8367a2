"""When each camera's newest frame was taken. SQL is here as in `log_reader`."""

from datetime import datetime
from pathlib import Path

from feeder.clock import parse_utc
from feeder.log_file import OpenLog

LOOKED_BACK = 100_000
"""Frames that the first look goes back; a camera that took none of them is not known of."""


class FrameWatch:
    """Each look reads what has come since the last one. Raises LogbookError as the log does."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._last_frame: int | None = None
        self._newest: dict[str, datetime] = {}

    def newest(self) -> dict[str, datetime]:
        """Instants in UTC by camera."""
        with _FrameLog(self._path) as log:
            last = log.last_frame()
            if self._last_frame is None or last < self._last_frame:  # another log
                self._last_frame, self._newest = last - LOOKED_BACK, {}
            for camera, at in log.newest_after(self._last_frame):
                self._newest[camera] = max(at, self._newest.get(camera, at))
            self._last_frame = last
        return self._newest


class _FrameLog(OpenLog):
    def last_frame(self) -> int:
        ((last,),) = self._read("SELECT coalesce(max(media_id), 0) FROM media")
        return int(last)

    def newest_after(self, media_id: int) -> list[tuple[str, datetime]]:
        sql = (
            "SELECT location_name, max(timestamp) FROM media JOIN deployment USING (deployment_id)"
            " WHERE media_id > ? GROUP BY 1"
        )
        return [(str(name), parse_utc(at)) for name, at in self._read(sql, (media_id,))]
