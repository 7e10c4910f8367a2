"""What Prometheus is told, gathered when it asks: names and units follow its conventions.

Source: https://prometheus.io/docs/practices/naming/ (base units, `_total` on counters, `_seconds`
and `_bytes`, no names of labels in a name).
"""

import logging
import shutil
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time
from pathlib import Path

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from feeder import __version__, visit_history
from feeder.backup import Backups
from feeder.clock import to_local, to_utc
from feeder.domain import Kind
from feeder.errors import LogbookError
from feeder.frame_counts import FrameCountLog, FrameCounts, Standing, file_of
from feeder.tag_log import TagLog
from feeder.visit_history import VisitQuery
from feeder.web.desk import Desk

log = logging.getLogger("feeder.web.metrics")

COUNT_SECONDS = 2.0
"""How long one scrape may count frames: a long history is counted by the first few of them."""

MOST_SPECIES = 300
"""Names that get a series of their own at each camera, the first ones seen; others share one."""

OTHER = "other"

RECOUNT_SECONDS = 60.0
"""How old the day's visits may be where nothing says that they changed."""

EMBEDDED_SECONDS = 600.0
"""The same for what looks through an index of the whole log."""


class FeederCollector(Collector):
    """The feeder's metrics on a desk; one scrape at a time reads the log.

    Where the log cannot be read, `feeder_log_up` is 0 and what it would say is left out.
    """

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._lock = threading.Lock()
        self._file: tuple[int, int] | None = None
        self._trouble = ""
        self._forget()

    def describe(self) -> list[Metric]:
        """Nothing: a scrape at the registration would read the log."""
        return []

    def collect(self) -> Iterator[Metric]:
        """Every family there is something to say of."""
        with self._lock:
            families = [*self._log_families(), *self._daemon(), *self._disks(), *self._backups()]
        yield from families

    def _forget(self) -> None:
        """Begins anew: another log is at the path."""
        self._counted = FrameCounts()
        self._embedded: tuple[float, dict[str, int]] = (float("-inf"), {})
        self._today: tuple[float, object, list[Metric]] = (float("-inf"), None, [])

    def _log_families(self) -> list[Metric]:
        path = self._desk.settings.database
        up = GaugeMetricFamily("feeder_log_up", "Whether the log can be read.")
        found: list[Metric] = [up]
        try:
            file = file_of(path)
            if file != self._file:
                self._forget()
                self._file = file
            found += self._of_log()
            up.add_metric([], 1)
            self._trouble = ""
        except (LogbookError, OSError, sqlite3.Error) as error:
            if str(error) != self._trouble:  # once, not at each scrape
                self._trouble = str(error)
                log.warning("the log cannot be read for the metrics: %s", error)
            found = [up]
            up.add_metric([], 0)
        size = sum(_size(path.with_name(path.name + side)) for side in ("", "-wal"))
        found.append(
            GaugeMetricFamily("feeder_log_size_bytes", "The log on disk, its -wal in it.", size)
        )
        return found

    def _of_log(self) -> Iterator[Metric]:
        with FrameCountLog(self._desk.settings.database) as counts:
            counts.count_on(self._counted, COUNT_SECONDS, self._desk.clock)
            standing = counts.standing()
            now = self._desk.clock.monotonic()
            if now - self._embedded[0] > EMBEDDED_SECONDS:
                self._embedded = now, counts.embedded()
        yield InfoMetricFamily(
            "feeder_build",
            "The program, and what judged the newest frame.",
            {
                "version": __version__,
                "model": standing.model,
                "model_digest": standing.model_digest,
                "vocabulary_digest": standing.vocabulary_digest,
            },
        )
        yield from self._counts()
        yield from self._judgements(standing)
        yield from self._visits(standing)
        yield self._empty()

    def _counts(self) -> Iterator[Metric]:
        counts = self._counted
        share = counts.done / counts.total if counts.total else 1.0
        yield GaugeMetricFamily(
            "feeder_history_counted_ratio",
            "The share of the log that this process has counted; counters are left out below 1.",
            share,
        )
        if not counts.is_complete:
            return  # they would seem to leap
        frames = CounterMetricFamily(
            "feeder_frames", "Frames logged, as they were judged when they came.",
            labels=["camera", "observation_type"],
        )  # fmt: skip
        for (camera, kind), count in counts.frames.items():
            frames.add_metric([camera, kind], count)
        yield frames
        sightings = CounterMetricFamily(
            "feeder_sightings", "Frames that named an animal when they came.",
            labels=["camera", "species"],
        )  # fmt: skip
        for labels, count in _bounded(counts.sightings).items():
            sightings.add_metric(labels, count)
        yield sightings
        newest = GaugeMetricFamily(
            "feeder_last_frame_timestamp_seconds", "When the newest frame was logged.",
            labels=["camera"],
        )  # fmt: skip
        for camera, at in counts.newest.items():
            newest.add_metric([camera], at.timestamp())
        yield newest

    def _judgements(self, standing: Standing) -> Iterator[Metric]:
        judgements = GaugeMetricFamily(
            "feeder_judgements", "Corrections and relabels; one that is preparing goes on.",
            labels=["what", "state"],
        )  # fmt: skip
        for what in ("correction", "relabel", "model"):
            for state in ("preparing", "in force", "undone"):
                count = standing.judgements.get((what, state), 0)
                judgements.add_metric([what, state.replace(" ", "_")], count)
        yield judgements
        yield GaugeMetricFamily(
            "feeder_corrected_frames", "Frames that a person named or confirmed.",
            standing.corrected,
        )  # fmt: skip
        embedded = GaugeMetricFamily(
            "feeder_embedded_frames", "Frames that a model has seen, old ones again, too.",
            labels=["model"],
        )  # fmt: skip
        for name, count in self._embedded[1].items():
            embedded.add_metric([name], count)
        yield embedded

    def _visits(self, standing: Standing) -> list[Metric]:
        """The day's visits, computed anew where the log has gained something or a minute passed."""
        desk = self._desk
        now = desk.clock.now()
        midnight = datetime.combine(to_local(now, desk.zone).date(), time())
        state = (self._counted.total, repr(standing), midnight)
        at, seen, families = self._today
        if seen == state and desk.clock.monotonic() - at < RECOUNT_SECONDS:
            return families
        query = VisitQuery(since=to_utc(midnight, desk.zone), begun=True)
        by_species: Counter[tuple[str, str]] = Counter()
        by_hour: Counter[int] = Counter()
        for visit in visit_history.read(desk.log, desk.settings.visits.gap, desk.groups, query):
            if visit.label.kind in (Kind.BIRD, Kind.MAMMAL):
                by_species[visit.deployment, visit.label.name] += 1
                by_hour[to_local(visit.start, desk.zone).hour] += visit.trusted
        visits = GaugeMetricFamily(
            "feeder_visits_today", "Visits that began since midnight, local time.",
            labels=["camera", "species"],
        )  # fmt: skip
        for labels, count in _bounded(by_species).items():
            visits.add_metric(labels, count)
        hours = GaugeMetricFamily(
            "feeder_arrivals_today", "The same by the hour in which they began, 00 to 23.",
            labels=["hour"],
        )  # fmt: skip
        for hour in range(24):
            hours.add_metric([f"{hour:02}"], by_hour[hour])
        self._today = desk.clock.monotonic(), state, [visits, hours]
        return self._today[2]

    def _empty(self) -> Metric:
        empty = GaugeMetricFamily(
            "feeder_empty", "Whether the feeder looks empty; left out where nothing is known.",
            labels=["camera"],
        )  # fmt: skip
        cameras = [one.name for one in self._desk.settings.deployments]
        with TagLog(self._desk.settings.database) as tags:
            states = tags.feeder_states(cameras, self._desk.clock.now())
        for camera, state in states.items():
            if state.is_empty is not None:
                empty.add_metric([camera], state.is_empty)
        return empty

    def _daemon(self) -> Iterator[Metric]:
        """What the daemon said; nothing where no daemon started this process."""
        link = self._desk.link
        if link is None:
            return
        up = link.state is not None and not link.is_hanging
        yield GaugeMetricFamily("feeder_daemon_up", "Whether the daemon gives signs of life.", up)
        if link.state is not None:
            yield GaugeMetricFamily(
                "feeder_waiting_frames", "Files that wait to be judged.", link.state.waiting
            )

    def _disks(self) -> Iterator[Metric]:
        settings = self._desk.settings
        folders = [("log", "", settings.database.parent), ("backups", "", settings.backups)]
        folders += [("pictures", one.name, one.folder) for one in settings.deployments]
        free = GaugeMetricFamily(
            "feeder_disk_free_bytes", "Room for a user on the disk of a folder.",
            labels=["holds", "camera"],
        )  # fmt: skip
        size = GaugeMetricFamily(
            "feeder_disk_size_bytes", "That disk's size.", labels=["holds", "camera"]
        )
        for holds, camera, folder in folders:
            try:
                disk = shutil.disk_usage(folder)
            except OSError:
                continue  # not there: not made yet, or not mounted
            free.add_metric([holds, camera], disk.free)
            size.add_metric([holds, camera], disk.total)
        yield free
        yield size

    def _backups(self) -> Iterator[Metric]:
        settings = self._desk.settings
        listed = Backups(settings.database, settings.backups, settings.backup.keep).listed()
        yield GaugeMetricFamily("feeder_backups", "Checked copies of the log.", len(listed))
        if listed:
            yield GaugeMetricFamily(
                "feeder_last_backup_timestamp_seconds", "When the newest of them was made.",
                listed[0].made_at.timestamp(),
            )  # fmt: skip


def _bounded(counts: Counter[tuple[str, str]]) -> Counter[tuple[str, str]]:
    """The counts by camera and species, of which only so many keep their names: the first ones."""
    own = set(list(dict.fromkeys(name for _, name in counts))[:MOST_SPECIES])
    bounded: Counter[tuple[str, str]] = Counter()
    for (camera, name), count in counts.items():
        bounded[camera, name if name in own else OTHER] += count
    return bounded


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
