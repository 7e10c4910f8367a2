"""Home automation: what the log shows, said to an MQTT broker."""

import json
import logging
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from feeder import __version__, picture_file, thumbnails
from feeder.check import is_open_to_others
from feeder.clock import Clock, to_local, utc_text
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.domain import Visit
from feeder.errors import LogbookError
from feeder.log_watch import LogWatch
from feeder.mqtt import home_assistant
from feeder.mqtt.broker_link import BrokerLink, access
from feeder.mqtt.home_assistant import BEGAN, ENDED, OFF, OFFLINE, ON, ONLINE
from feeder.mqtt.log_state import LogState, StateReader
from feeder.mqtt.topics import Topics
from feeder.plain_text import plain
from feeder.records import visit_record
from feeder.refill import FeederState
from feeder.visits import Groups

log = logging.getLogger("feeder.mqtt")

LEAST_SECONDS = 1.0
REST = 20
"""The log is read again after so long at least, and after so many times what the last time took:
a twentieth of one core at most."""

AGAIN_SECONDS = 600.0
"""It is read again after so long also where nothing was logged: feeders are forgotten with time."""

HEALTH_SECONDS = 30.0
"""How often the health's words and numbers are sent where there is no problem, old or new."""

STALE = timedelta(minutes=30)
"""Nobody is told of a visit that has been over for longer."""


class Mqtt:
    """An Announcer. What is retained is kept as it ought to be, and sent where it is not."""

    def __init__(
        self,
        settings: Settings,
        link: DaemonLink | None,
        groups: Groups,
        clock: Clock | None = None,
    ) -> None:
        self._settings = settings
        self._daemon = link
        self._clock = clock or Clock()
        self._topics = Topics(settings.mqtt.topic)
        self._cameras = [self._topics.camera(one.name) for one in settings.deployments]
        self._reader = StateReader(settings, groups, self._clock)
        self._watch = LogWatch(settings.database)
        self._state: LogState | None = None
        self._trouble = ""
        self._has_news = True
        self._read_at = 0.0
        self._again_at = 0.0
        self._health_at = 0.0
        self._problem = ""
        self._shown: int | None = 0  # which no frame is
        self._retained: dict[str, bytes] = {}
        self._sent: dict[str, bytes] = {}
        prefix = settings.mqtt.discovery
        topics = [self._topics.every_camera]
        if not settings.mqtt.thumbnails:
            topics.append(self._topics.thumbnail)
        if prefix:
            topics += [
                home_assistant.birth_topic(prefix),
                home_assistant.discovery_topic(prefix, self._topics),
            ]
        self._announcement = home_assistant.announcement(
            self._topics, self._cameras, thumbnails=settings.mqtt.thumbnails, version=__version__
        )
        self._broker = BrokerLink(
            access(settings.mqtt, settings.mqtt_password),
            f"{settings.database}\n{settings.mqtt.topic}",
            (self._topics.status, OFFLINE),
            topics,
        )
        _warn_of_open_password(settings.mqtt_password)
        self._broker.start()

    def began(self, visit: Visit) -> None:
        """A message for automations."""
        self._say(BEGAN, visit)

    def ended(self, visit: Visit) -> None:
        """The same, under the name that the log has for it by now."""
        if self._is_stale(visit):
            return
        with suppress(LogbookError):  # then it is said as it was
            visit = self._reader.as_logged(visit)
        self._say(ENDED, visit)

    def turn(self) -> None:
        """Reads the log where it has changed, and sends what the broker has not got."""
        self._look()
        self._note_health()
        if not self._broker.is_connected:
            return
        if self._broker.take_connected():
            self._sent.clear()
            self._announce()
        for message in self._broker.messages():
            self._hear(message.topic, bytes(message.payload), is_retained=message.retain)
        for topic, payload in self._retained.items():
            if self._sent.get(topic) != payload:
                self._broker.publish(topic, payload, retain=True)
                self._sent[topic] = payload
        # After the states, so that nobody takes old ones for current.
        is_known = self._state is not None or self._trouble
        if is_known and self._topics.status not in self._sent:
            self._broker.publish(self._topics.status, ONLINE.encode(), retain=True)
            self._sent[self._topics.status] = ONLINE.encode()

    def close(self) -> None:
        """Says that the feeder is offline."""
        self._broker.close((self._topics.status, OFFLINE))
        self._watch.close()

    def _say(self, what: str, visit: Visit) -> None:
        message = {"event_type": what, **self._record(visit)}
        self._broker.publish(self._topics.visit, _json(message), retain=False)

    def _is_stale(self, visit: Visit) -> bool:
        return self._clock.now() - visit.end > STALE + self._settings.visits.gap

    def _announce(self) -> None:
        prefix = self._settings.mqtt.discovery
        if prefix:
            topic = home_assistant.discovery_topic(prefix, self._topics)
            self._broker.publish(topic, _json(self._announcement), retain=True)

    def _hear(self, topic: str, payload: bytes, *, is_retained: bool) -> None:
        """Home Assistant's birth; or what an earlier start left behind and nobody wants now."""
        prefix = self._settings.mqtt.discovery
        if prefix and topic == home_assistant.birth_topic(prefix):
            if payload == ONLINE.encode() and not is_retained:
                self._sent.clear()
                self._announce()
        elif not is_retained or not payload:
            return  # this program's own words
        elif prefix and topic == home_assistant.discovery_topic(prefix, self._topics):
            removal = home_assistant.without(self._announcement, payload)
            if removal is not None:
                self._broker.publish(topic, _json(removal), retain=True)
                self._announce()
        elif topic not in self._known():
            self._broker.publish(topic, b"", retain=True)

    def _known(self) -> set[str]:
        """The topics that it retains something under, or may."""
        found = {self._topics.thumbnail} if self._settings.mqtt.thumbnails else set()
        for camera in self._cameras:
            found |= {camera.last_visit, camera.feeder, camera.newest_frame}
        return found

    def _look(self) -> None:
        """Reads the log where that is due; one that cannot be read is a problem that is said."""
        now = self._clock.monotonic()
        try:
            self._has_news = self._watch.changed() or self._has_news
            is_due = self._has_news or now >= self._again_at
            if self._state is not None and self._state.day != self._reader.today():
                is_due = True  # at midnight the counts begin anew, frame or no frame
            if not is_due or now < self._read_at:
                return
            is_there = self._watch.is_there
            self._state = self._reader.read() if is_there else LogState(self._reader.today())
            self._note(self._state)
            self._trouble, self._has_news = "", False
            self._again_at = now + AGAIN_SECONDS
        except LogbookError as error:
            self._trouble = str(error)
        took = self._clock.monotonic() - now
        self._read_at = now + max(LEAST_SECONDS, REST * took)

    def _note(self, state: LogState) -> None:
        """What the broker is to retain of it."""
        today: dict[str, Any] = {
            "date": state.day.isoformat(),
            "visits": sum(state.today.values()),
            "species": state.species,
            "visits_by_label": {plain(name): count for name, count in state.today.items()},
        }
        self._retained[self._topics.last_visit] = self._visit(state.last)
        self._retained[self._topics.today] = _json(today)
        for camera in self._cameras:
            self._retained[camera.last_visit] = self._visit(state.last_at.get(camera.name))
            feeder = state.feeders.get(camera.name, FeederState())
            self._retained[camera.feeder] = _json(
                {
                    "empty": _UNKNOWN
                    if feeder.is_empty is None
                    else ON
                    if feeder.is_empty
                    else OFF,
                    "since": feeder.since,
                    "looked": feeder.looked,
                }
            )
            newest = state.newest_frame.get(camera.name)
            self._retained[camera.newest_frame] = (
                _UNKNOWN if newest is None else utc_text(newest)
            ).encode()
        if self._settings.mqtt.thumbnails:
            self._note_picture(state.last)

    def _note_picture(self, visit: Visit | None) -> None:
        best = visit.best if visit else None
        if best == self._shown:
            return
        data = picture_file.of_frame(self._settings, best) if best is not None else None
        picture = thumbnails.made_small(data) if data else None
        self._retained[self._topics.thumbnail] = thumbnails.jpeg(picture) if picture else b""
        self._shown = best

    def _note_health(self) -> None:
        """Whether the daemon answers and the log can be read; what waits is sent now and then."""
        problem = self._trouble
        state = None
        if self._daemon is not None:
            state = self._daemon.state
            if self._daemon.is_hanging:
                problem = "the daemon does not answer"
        health = _json(
            {
                "problem": ON if problem else OFF,
                "reason": plain(problem),
                "waiting": state.waiting if state else None,
                "daemon": plain(state.words) if state else None,
            }
        )
        now = self._clock.monotonic()
        if problem != self._problem or now >= self._health_at:
            self._problem, self._health_at = problem, now + HEALTH_SECONDS
            self._retained[self._topics.health] = health

    def _visit(self, visit: Visit | None) -> bytes:
        return _json({"label": None} if visit is None else self._record(visit))

    def _record(self, visit: Visit) -> dict[str, Any]:
        """The visit's record with local times, without what may be too long for an attribute."""
        record = visit_record(visit)
        del record["media_ids"]  # of thousands of frames; Home Assistant keeps 16 KB
        zone = next(
            (one.zone for one in self._settings.deployments if one.name == visit.deployment),
            self._reader.zone,
        )
        for name in ("event_start", "event_end"):
            record[f"{name}_local"] = to_local(record[name], zone).isoformat(timespec="seconds")
        return {
            name: plain(value) if isinstance(value, str) else value
            for name, value in record.items()
        }


_UNKNOWN = "None"
"""What Home Assistant takes for a state that is not known."""


def _warn_of_open_password(path: Path | None) -> None:
    if path is not None and is_open_to_others(path):
        log.warning("everybody on this computer may read %s; `chmod 600 %s`", path, path)


def _json(value: object) -> bytes:
    return json.dumps(value, default=_as_text).encode("ascii")


def _as_text(value: object) -> str:
    assert isinstance(value, datetime)
    return utc_text(value)
