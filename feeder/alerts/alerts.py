"""Messages to phones: follows visits and troubles, and tells each once, at the right time."""

import logging
from dataclasses import replace
from datetime import datetime, time, timedelta
from urllib.parse import quote
from zoneinfo import ZoneInfo

from feeder import picture_file, query_terms, visit_history
from feeder.alerts import apprise_service, words
from feeder.alerts.alert_log import AlertLog
from feeder.alerts.earlier_visits import as_logged, last_before
from feeder.alerts.outbox import Outbox
from feeder.alerts.quiet_hours import QuietHours
from feeder.alerts.rules import Outcome, Rules, Sort, judge
from feeder.alerts.state import TOLD_DAYS, AlertState, Content, Message, Told
from feeder.alerts.timing import TROUBLES, Alert, hold, release
from feeder.alerts.troubles import Trouble, Watch, empty
from feeder.clock import Clock, to_local
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.domain import Visit
from feeder.errors import LogbookError
from feeder.live_visits import SURE
from feeder.query_terms import groups
from feeder.sighting_log import SightingLog
from feeder.tag_log import TagLog
from feeder.thumbnails import jpeg, made_small
from feeder.visit_history import VisitQuery
from feeder.visits import WINDOW, is_species
from feeder.vocabulary import Vocabulary

log = logging.getLogger("feeder.alerts")

FRESH = timedelta(hours=1)
"""A visit that ended longer ago is history, and no news: a backlog sends no messages."""

LOOK_SECONDS = 600.0
"""How often feeders and cameras are looked at."""

AGAIN_SECONDS = 30.0
"""How long a log that cannot be read is left alone."""

EDGE = 1024
"""Pixels of a picture's longer edge."""

MOST_WAITING = 1000


def rules_of(settings: Settings, vocabulary: Vocabulary | None) -> Rules:
    """The rules that [alerts] sets, its names read as people write them.

    Raises VocabularyError for a usual bird that nothing is called.
    """
    section = settings.alerts
    known = SightingLog(settings.database)
    try:
        known.newest_frame()
        heard: SightingLog | None = known
    except LogbookError:  # none yet, or not to be read for now
        heard = None
    named = [query_terms.called(name, vocabulary, heard) for name in section.usual]
    return Rules(
        about=frozenset(map(Sort, section.about)),
        usual=frozenset().union(*named),
        confidence=section.confidence,
        absence=section.absence_days,
        groups=groups(vocabulary),
    )


def quiet_hours(settings: Settings, zone: ZoneInfo | None) -> QuietHours | None:
    """The hours that [alerts] leaves quiet, in a camera's zone; None where there are none."""
    if settings.alerts.quiet is None:
        return None
    start, end = map(time.fromisoformat, settings.alerts.quiet)
    return QuietHours(start, end, zone)


def picture(settings: Settings, message: Message) -> bytes | None:
    """A message's frame made small, without what its file said of it.

    None where its picture has gone, or the log has given its number to another frame since.
    """
    if message.media_id is None:
        return None
    try:
        if AlertLog(settings.database).fingerprints([message.media_id]) != (message.frame,):
            return None
        data = picture_file.of_frame(settings, message.media_id)
    except LogbookError:
        return None
    image = made_small(data, EDGE) if data else None
    return jpeg(image) if image else None


def page_link(settings: Settings, visit: Visit) -> str:
    """Where a phone in the house finds the visit; "" where the page has no name it would know."""
    web = settings.web
    if not (web.enabled and web.names):
        return ""
    return f"http://{web.names[0]}:{web.port}/visits/{quote(visit.visit_id, safe='')}"


class Alerts:
    """An `Announcer` that tells phones, as [alerts] says.

    Visits are only noted when they come, and judged at the next `turn`, so that a log that cannot
    be read for a while loses none.
    """

    def __init__(
        self, settings: Settings, rules: Rules, link: DaemonLink | None, clock: Clock | None = None
    ) -> None:
        self._settings = settings
        self._rules = rules
        self._clock = clock or Clock()
        self._zones = {one.name: one.zone for one in settings.deployments}
        self._log = SightingLog(settings.database)
        self._known = AlertLog(settings.database)
        self.state = AlertState(
            settings.database.with_name(f"{settings.database.name}.alerts"), self._clock.now()
        )
        section = settings.alerts
        self._watch = Watch(tuple(self._zones), section.stalled_hours, link, self._clock)
        self.outbox = Outbox(
            self.state,
            lambda: apprise_service.usable(settings),
            lambda message: picture(settings, message) if section.picture else None,
            apprise_service.send,
            self._clock,
        )
        self._waiting: dict[str, Visit] = {}
        self._has_caught_up = False
        self._not_before = self._look_at = 0.0

    @classmethod
    def open(
        cls, settings: Settings, vocabulary: Vocabulary | None, link: DaemonLink | None
    ) -> "Alerts":
        """Checks what [alerts] says, and begins to send.

        A URL or file that means nothing is said, and the others are sent to. Raises ConfigError
        where there is no other, VocabularyError for a bird that means nothing.
        """
        found, wrong = apprise_service.usable(settings)
        if wrong and not found:
            raise wrong[0]
        made = cls(settings, rules_of(settings, vocabulary), link)
        made.outbox.look()
        made.outbox.start()
        return made

    def began(self, visit: Visit) -> None:
        """Notes a visit under way."""
        self._note(visit)

    def ended(self, visit: Visit) -> None:
        """Notes a visit that is over; it may not have been sure enough before."""
        self._note(visit)

    def turn(self) -> None:
        """Judges what was noted, looks for troubles when that is due, and lets go what is due."""
        self.outbox.check()
        now = self._clock.monotonic()
        if now >= self._not_before:
            try:
                self._judge()
                if now >= self._look_at:
                    self._look()
                    self._look_at = now + LOOK_SECONDS
            except LogbookError as error:
                self._not_before = now + AGAIN_SECONDS
                log.warning("nothing is told for now: %s", error)
        for trouble, is_so in self._watch.daemon().items():
            self._follow(trouble, is_so)
        self._release()
        self.state.save()

    def close(self) -> None:
        """Sends no more; what is left is sent after the next start."""
        self.outbox.close()

    def _note(self, visit: Visit) -> None:
        self._waiting[visit.visit_id] = visit
        if len(self._waiting) > MOST_WAITING:
            self._waiting.pop(next(iter(self._waiting)))

    def _judge(self) -> None:
        if not self._settings.database.exists():
            return
        if not self._has_caught_up:
            for visit in self._missed():
                self._waiting.setdefault(visit.visit_id, visit)
            self._has_caught_up = True
        for key, visit in list(self._waiting.items()):
            if not self._is_early(visit):
                self._tell(visit)
                del self._waiting[key]

    def _is_early(self, visit: Visit) -> bool:
        """Whether frames to come may still make it part of another visit.

        A name gives way to one that was given before it and after, within two minutes.
        """
        if not timedelta() <= self._clock.now() - visit.start <= WINDOW:
            return False
        near = self._log.in_order(since=visit.start - WINDOW, deployment=visit.deployment)
        others = {one.label.name: one.label for one in near}
        others.pop(visit.label.name, None)
        return any(is_species(label, self._rules.groups or {}) for label in others.values())

    def _missed(self) -> list[Visit]:
        """Visits of the last hour: nobody may have been there to tell of them."""
        now, gap = self._clock.now(), self._settings.visits.gap
        query = VisitQuery(since=now - FRESH, until=now)
        found = visit_history.read(self._log, gap, self._rules.groups or {}, query)
        settled = max(gap, WINDOW)
        return [
            visit
            for visit in found
            if now - visit.end >= settled
            or (len(visit.media_ids) >= SURE and not visit.label.is_any_bird)
        ][::-1]

    def _tell(self, noted: Visit) -> None:
        """Makes a message of a visit that deserves one and has none yet."""
        gap, alike = self._settings.visits.gap, self._rules.groups or {}
        visit = as_logged(self._log, gap, alike, noted)
        if visit is None:
            return
        now = self._clock.now()
        frames = self._known.fingerprints(visit.media_ids)
        with self.state.reading() as content:
            content.started = min(content.started, now)  # a clock that was ahead has been set
            is_news = (
                content.started <= visit.end
                and abs(now - visit.end) <= FRESH
                and now - visit.start < TOLD_DAYS
            )
            if not is_news or content.was_told(visit, frames):
                return
        judged = judge(
            visit,
            self._rules,
            lambda: last_before(self._log, gap, alike, visit, self._rules.confidence),
            lambda: self._known.is_rare(visit.label.name, visit.media_ids),
            self._zones.get,
        )
        if judged.outcome is not Outcome.TOLD:
            return
        zone = self._zones.get(visit.deployment)
        alert = words.visit_alert(judged, zone, page_link(self._settings, visit))
        best = next(iter(self._known.fingerprints([visit.best])), "")
        with self.state.changing() as content:
            content.told.append(Told.of(visit, frames))
            self._post(content, replace(alert, frame=best))

    def _post(self, content: Content, alert: Alert) -> None:
        """Puts an alert where it goes now: into the outbox, or where it waits."""
        now = self._clock.now()
        content.prune(now)
        most = self._settings.alerts.most_an_hour
        held = hold(alert, now, self._quiet, content.held, content.sent, most)
        if held is not None:
            content.held.append(held)
            return
        content.post(alert.title, alert.body, alert, now)
        if alert.sort not in TROUBLES:
            content.sent.append(now)
        self.outbox.wake()

    def _release(self) -> None:
        """Sends what has waited long enough, together."""
        now = self._clock.now()
        with self.state.reading() as content:
            of_quiet, of_flood, rest = release(content.held, now, self._quiet)
            if rest == content.held:
                return
        with self.state.changing() as content:
            content.held = rest
            for alerts, was_quiet in ((of_quiet, True), (of_flood, False)):
                if alerts:
                    content.post(*words.digest(alerts, was_quiet), now)
                    content.sent.append(now)
        self.outbox.wake()

    def _quiet(self, camera: str) -> QuietHours | None:
        return quiet_hours(self._settings, self._zones.get(camera))

    def _look(self) -> None:
        """Looks whether feeders are empty and cameras silent."""
        if not self._settings.database.exists():
            return
        now = self._clock.now()
        if Sort.EMPTY in self._rules.about:
            with TagLog(self._settings.database) as tags:
                states = tags.feeder_states(self._zones, now)
            for camera, state in states.items():
                if state.is_empty is not None:
                    self._follow(empty(camera), state.is_empty)
        if Sort.STALLED in self._rules.about:
            new = set(self._zones).difference(self._watched())
            if new:
                with self.state.changing() as content:
                    content.watched |= dict.fromkeys(new, now)
            for camera, is_silent in self._watch.silent(self._known, self._watched()).items():
                self._follow(self._watch.stalled(camera), is_silent)

    def _watched(self) -> dict[str, datetime]:
        with self.state.reading() as content:
            return dict(content.watched)

    def _follow(self, trouble: Trouble, is_so: bool) -> None:
        """Says that something is wrong, once; and once that it is over, if it says anything."""
        if trouble.sort not in self._rules.about:
            return
        with self.state.reading() as content:
            if (trouble.key in content.troubles) == is_so:
                return
        now, zone = self._clock.now(), self._zones.get(trouble.camera)
        with self.state.changing() as content:
            body = trouble.body
            if is_so:
                content.troubles[trouble.key] = now
            else:
                said = to_local(content.troubles.pop(trouble.key), zone)
                body = f"It was said to be wrong on {said:%Y-%m-%d at %H:%M}."  # none is refused
            over = f"{trouble.key} is over"
            unheard = over if is_so else trouble.key
            waiting = [one for one in content.held if one.alert.key == unheard]
            content.held = [one for one in content.held if one not in waiting]
            title = trouble.title if is_so else trouble.over
            if title and not waiting:  # else what was last heard is true again
                alert = words.trouble_alert(
                    trouble.key if is_so else over,
                    trouble.sort,
                    trouble.camera,
                    title,
                    body,
                    now,
                    zone,
                )
                self._post(content, alert)
