"""How things stand at the feeder, as the log has it at this moment."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from feeder import visit_history
from feeder.clock import Clock, to_local, to_utc
from feeder.config import Settings
from feeder.domain import Kind, Visit
from feeder.mqtt.frame_watch import FrameWatch
from feeder.refill import FeederState
from feeder.sighting_log import SightingLog
from feeder.tag_log import TagLog
from feeder.visit_history import VisitQuery
from feeder.visits import Groups, is_species

LOOKED_BACK = timedelta(days=60)
"""How far back a camera's last visit is looked for; that of all cameras is found however old."""

FEEDER_SECONDS = 120.0
"""How often that is asked at most."""


@dataclass(frozen=True, slots=True)
class LogState:
    """`last` is the newest visit, `last_at` each camera's, `today` the visits of each label that
    began on that day, `species` how many of these are species of birds."""

    day: date
    last: Visit | None = None
    last_at: dict[str, Visit] = field(default_factory=dict)
    today: dict[str, int] = field(default_factory=dict)
    species: int = 0
    newest_frame: dict[str, datetime] = field(default_factory=dict)
    feeders: dict[str, FeederState] = field(default_factory=dict)


class StateReader:
    """Reads all of it anew, so that a correction, a relabel or another log shows at once."""

    def __init__(self, settings: Settings, groups: Groups, clock: Clock | None = None) -> None:
        self._settings = settings
        self._groups = groups
        self._clock = clock or Clock()
        self._log = SightingLog(settings.database)
        self._frames = FrameWatch(settings.database)
        self._feeders: dict[str, FeederState] = {}
        self._ask_feeders_at = 0.0

    @property
    def zone(self) -> ZoneInfo | None:
        """The zone that days are counted in: the first camera's."""
        return self._settings.deployments[0].zone

    def today(self) -> date:
        """The local date."""
        return to_local(self._clock.now(), self.zone).date()

    def read(self) -> LogState:
        """How it is now. Raises LogbookError as the log does."""
        day = self.today()
        midnight = to_utc(datetime.combine(day, time()), self.zone)
        visits = list(self._visits(VisitQuery(since=midnight, begun=True)))
        last = visits[0] if visits else next(self._visits(VisitQuery(limit=1)), None)
        birds = {visit.label for visit in visits if visit.label.kind is Kind.BIRD}
        return LogState(
            day,
            last,
            self._last_at(last),
            dict(Counter(visit.label.name for visit in visits).most_common()),
            sum(is_species(label, self._groups) for label in birds),
            self._frames.newest(),
            self._feeder_states(),
        )

    def as_logged(self, visit: Visit) -> Visit:
        """The visit as the log has it now: a person may have named it meanwhile."""
        asked = VisitQuery(visit.start, visit.end + timedelta(seconds=1), None, visit.deployment)
        frames = set(visit.media_ids)
        found = (one for one in self._visits(asked) if frames.intersection(one.media_ids))
        return max(found, key=lambda one: len(frames.intersection(one.media_ids)), default=visit)

    def _visits(self, query: VisitQuery) -> Iterator[Visit]:
        return visit_history.read(self._log, self._settings.visits.gap, self._groups, query)

    def _last_at(self, last: Visit | None) -> dict[str, Visit]:
        if last is None:
            return {}
        found = {last.deployment: last}
        since = self._clock.now() - LOOKED_BACK
        known = self._log.zones()
        for camera in self._settings.deployments:
            if camera.name in known and camera.name not in found:
                query = VisitQuery(since, deployment=camera.name, limit=1)
                found.update((camera.name, visit) for visit in self._visits(query))
        return found

    def _feeder_states(self) -> dict[str, FeederState]:
        if self._clock.monotonic() >= self._ask_feeders_at:
            self._ask_feeders_at = self._clock.monotonic() + FEEDER_SECONDS
            now = self._clock.now()
            with TagLog(self._settings.database) as log:
                cameras = [one.name for one in self._settings.deployments]
                self._feeders = log.feeder_states(cameras, now)
        return self._feeders
