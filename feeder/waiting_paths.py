"""Paths that wait until they have stood still long enough."""

import heapq
import os
from dataclasses import dataclass, field, replace

from feeder.domain import SettledPath
from feeder.frame_path import FramePath

SLACK = 500
"""Entries that mean nothing any more and may stay beside as many as twice those that do."""


@dataclass
class WaitingPaths:
    """Paths waiting to stand still, the next due first; of those due together the oldest."""

    _sources: dict[str, tuple[float, SettledPath]] = field(default_factory=dict)
    _due: list[tuple[float, int, str]] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self._sources)

    def __contains__(self, path: str) -> bool:
        return path in self._sources

    def push(self, source: SettledPath, due: float) -> None:
        """Lets a path wait until the monotonic second `due`; it waits once, as it is now."""
        path = os.fspath(source.path)
        # A Path is several times as large as its text, which the key holds already.
        self._sources[path] = (due, replace(source, path=source.deployment.folder))
        heapq.heappush(self._due, (due, source.mtime_ns, path))
        if len(self._due) > 2 * len(self._sources) + SLACK:
            self._due = [(due, at.mtime_ns, path) for path, (due, at) in self._sources.items()]
            heapq.heapify(self._due)

    def drop(self, path: str) -> None:
        """Forgets a path."""
        self._sources.pop(path, None)

    def pop(self, now: float) -> SettledPath | None:
        """The next source that is due, or None."""
        while self._due and self._due[0][0] <= now:
            due, _, path = heapq.heappop(self._due)
            # An entry whose path was dropped, or has waited anew since, means nothing.
            if path in self._sources and self._sources[path][0] == due:
                return replace(self._sources.pop(path)[1], path=FramePath(path))
        return None

    def next_due(self) -> float | None:
        """The monotonic second when the first is due, None where none waits."""
        return self._due[0][0] if self._due else None
