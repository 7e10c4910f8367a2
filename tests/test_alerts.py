"""Messages to phones: from a log, by Apprise, to something that takes them."""

import io
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from feeder import config
from feeder.alerts import apprise_service, checkup
from feeder.alerts.alerts import LOOK_SECONDS, Alerts, rules_of
from feeder.alerts.outbox import FIRST_WAIT, GIVE_UP, LONGEST_WAIT
from feeder.alerts.targets import Target
from feeder.cli import app
from feeder.clock import utc_text
from feeder.daemon_link import DaemonLink
from feeder.domain import Label, Tag
from feeder.errors import ConfigError, VocabularyError
from feeder.live_visits import LiveVisits
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess
from tests.receiver import Receiver, receiver
from tests.sightings import ROBIN, SPARROW, SQUIRREL
from tests.site import BLANK, BLUE_TIT, UNKNOWN, Site


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """What takes the messages."""
    with receiver() as made:
        yield made


class Watched:
    """A site whose visits are followed; `turn` looks, and sends what is due at once."""

    def __init__(
        self, site: Site, time: FakeClock, phone: Receiver, lines: str, link: object = None
    ):
        self.site = site
        self.time = time
        time.start, time.seconds = site.now, 1000.0
        text = site.config.read_text(encoding="utf-8").partition("[alerts]")[0]
        send_to = "" if "send_to" in lines else f'send_to = ["{phone.json}"]\n'
        site.config.write_text(f"{text}[alerts]\n{send_to}{lines}\n", encoding="utf-8")
        self.settings = config.load(site.config)
        self.link = link
        self.start()

    def start(self) -> None:
        """What a start of `feeder announce` does, after whatever ended the last."""
        rules = rules_of(self.settings, None)
        self.alerts = Alerts(self.settings, rules, self.link, self.time.clock)  # type: ignore[arg-type]
        self.live = LiveVisits(
            self.settings.database, self.alerts.began, self.alerts.ended, self.time.clock
        )
        self.turn()

    def turn(self, seconds: float = 0, *, sends: bool = True) -> None:
        """Lets time pass, looks at the log, and sends."""
        self.time.advance(seconds)
        self.live.logged()
        self.live.turn(self.settings.visits.gap, {})
        self.alerts.turn()
        if sends:
            self.alerts.outbox.step()

    def see(
        self, label: Label, *others: tuple[Label, float], ago: float = 0, probability: float = 0.9
    ) -> int:
        """Logs a frame of a label, taken so many seconds ago."""
        since = self.time.seconds - 1000
        return self.site.see(label, timedelta(seconds=ago - since), probability, *others)

    def visit(self, label: Label) -> None:
        """A visit of two frames that is over at once for all that follows."""
        self.see(label)
        self.see(label)
        self.turn()
        self.turn(310)


@pytest.fixture
def watched(site: Site, time: FakeClock, phone: Receiver) -> Callable[..., Watched]:
    """Begins to watch an empty log, with these lines under [alerts]."""

    def begin(lines: str, link: object = None) -> Watched:
        return Watched(site, time, phone, lines, link)

    return begin


VISIT = 'about = ["visit"]'


def test_a_visit_is_told_once_with_its_picture(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """When it is sure, and not again as it goes on or ends; the next one is told anew."""
    feeder = watched(VISIT)
    feeder.see(ROBIN)
    feeder.turn()
    assert phone.received == [], "a lone frame may be a slip"
    feeder.see(ROBIN)
    feeder.turn()
    for _ in range(3):
        feeder.see(ROBIN)
        feeder.turn(30)
    feeder.turn(310)
    feeder.visit(ROBIN)
    assert phone.titles == ["European Robin: first visit ever", "European Robin"]
    (picture,) = phone.received[0].pictures
    with Image.open(io.BytesIO(picture)) as image:
        assert image.format == "JPEG"
        assert max(image.size) <= 1024
        assert dict(image.getexif()) == {}


def test_a_message_links_to_the_visits_own_page(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """By the first name that the page has in the house."""
    text = site.config.read_text(encoding="utf-8")
    named = '[web]\nenabled = true\nnames = ["feeder.local", "nest"]\n'
    site.config.write_text(text.replace("[web]\n", named), encoding="utf-8")
    feeder = watched(VISIT)
    feeder.visit(ROBIN)
    assert phone.received[0].body.endswith(f"\nhttp://feeder.local:{site.port}/visits/garden%3A1")


def test_a_form_takes_the_picture_as_a_file_without_what_it_says(
    watched: Callable[..., Watched], phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither place nor comment leaves the house."""
    exif = Image.Exif()
    exif[0x8825] = {1: "N", 2: (53.0, 20.0, 0.0)}

    def with_a_place(path: Path, number: int) -> Path:
        image = Image.new("RGB", (2000, 1500), (number, 0, 0))
        image.save(path, "JPEG", exif=exif, comment=b"at home")
        return path

    monkeypatch.setattr("tests.site.numbered", with_a_place)
    feeder = watched(f'{VISIT}\nsend_to = ["{phone.form}"]')
    feeder.visit(ROBIN)
    (message,) = phone.received
    (picture,) = message.pictures
    assert b"at home" not in picture
    with Image.open(io.BytesIO(picture)) as image:
        assert image.size == (1024, 768)
        assert dict(image.getexif()) == {}
    kept = next(iter(feeder.site.deployment.folder.iterdir())).read_bytes()
    assert b"at home" in kept


def test_a_message_goes_without_a_picture_that_is_gone_or_not_wanted(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """The words are what counts."""
    feeder = watched(VISIT)
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    for path in feeder.site.deployment.folder.iterdir():
        path.unlink()
    feeder.turn()
    assert phone.received[0].pictures == []
    other = watched(f"{VISIT}\npicture = false")
    other.visit(SPARROW)
    assert phone.received[1].pictures == []


def test_firsts_are_looked_up_in_the_log(watched: Callable[..., Watched], phone: Receiver) -> None:
    """A bird that was here this morning, two months ago or never makes three messages."""
    feeder = watched('about = ["first-ever", "first-of-season", "first-of-day"]')
    for label, hours in ((ROBIN, 2), (SPARROW, 24 * 62), (BLUE_TIT, 24)):
        feeder.see(label, ago=3600 * hours)
        feeder.see(label, ago=3600 * hours - 5)
    for label in (ROBIN, SPARROW, BLUE_TIT, SQUIRREL):
        feeder.visit(label)
    assert phone.titles == [
        "House Sparrow: first of the season",
        "Eurasian Blue Tit: first of the day",
        "Eastern Gray Squirrel: first visit ever",
    ]
    assert "Away for 61 days" in phone.received[0].body


def test_a_misreading_and_a_doubtful_visit_do_not_count_as_having_been(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """A first is the first that could have been told of."""
    feeder = watched('about = ["first-ever"]\nconfidence = 0.6')
    for seconds in range(0, 60, 5):
        feeder.see(ROBIN, (SPARROW, 0.05), ago=9000 - seconds)
    feeder.see(SPARROW, (ROBIN, 0.45), ago=8970, probability=0.5)  # amid the robin
    feeder.see(BLUE_TIT, ago=50000, probability=0.4)
    feeder.visit(SPARROW)
    feeder.visit(BLUE_TIT)
    feeder.visit(ROBIN)
    assert phone.titles == [
        "House Sparrow: first visit ever",
        "Eurasian Blue Tit: first visit ever",
    ]


def test_blanks_and_unknowns_are_told_by_nobody(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """What is no sighting makes no visit."""
    feeder = watched(VISIT)
    for what in (BLANK, UNKNOWN, BLANK, UNKNOWN):
        feeder.site.see(what, timedelta())
    feeder.turn()
    feeder.turn(400)
    assert phone.received == []


def test_a_rare_bird_is_told_by_the_words_of_its_verdict(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """What is not expected there and then is marked in the log, and that is what counts."""
    feeder = watched('about = ["rare"]')
    feeder.visit(ROBIN)
    for _ in range(2):
        feeder.see(SPARROW)
    feeder.site.logbook.commit()
    _sql(feeder, "UPDATE observation SET reason = reason || ' (rare here: no record in May)'"
         " WHERE label = 'House Sparrow'")  # fmt: skip
    feeder.turn()
    assert phone.titles == ["House Sparrow: rare here, first visit ever"]


def _sql(feeder: Watched, text: str) -> None:
    with closing(sqlite3.connect(feeder.settings.database)) as connection, connection:
        connection.execute(text)


def test_a_visit_that_gets_another_name_is_not_told_again(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """What its first frames were taken for was told; what it turns out to be is the same visit."""
    feeder = watched(VISIT)
    feeder.see(SPARROW, (ROBIN, 0.3), probability=0.6)
    feeder.see(SPARROW, (ROBIN, 0.3), probability=0.6)
    feeder.turn()
    _sql(feeder, "UPDATE observation SET label = 'European Robin',"
         " scientific_name = 'Erithacus rubecula', runners_up = '[]'")  # fmt: skip
    for _ in range(4):
        feeder.see(ROBIN)
        feeder.turn(10)
    feeder.turn(400)
    assert len(phone.received) == 1


def test_a_bird_that_comes_to_another_is_told_when_it_is_no_misreading(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """Within two minutes what follows may still show that it was the other all the time."""
    feeder = watched(VISIT)
    for label in (ROBIN, ROBIN, SPARROW, SPARROW):
        feeder.see(label)
        feeder.turn(10)
    assert phone.titles == ["European Robin: first visit ever"]
    feeder.turn(110)
    assert phone.titles[1:] == ["House Sparrow: first visit ever"]


def test_what_a_person_said_meanwhile_counts(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """A visit that was corrected before it was judged is told as what it is."""
    feeder = watched('about = ["first-ever"]')
    feeder.see(SPARROW)
    feeder.see(SPARROW)
    feeder.live.logged()
    feeder.live.turn(feeder.settings.visits.gap, {})
    _sql(feeder, "UPDATE observation SET label = 'European Robin'")
    feeder.turn(121)
    assert phone.titles == ["European Robin: first visit ever"]


def test_an_old_log_and_a_backlog_send_nothing(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """Years of firsts are no news at the first start, nor are last week's frames that come now."""
    for day in (40, 20, 10):
        site.see(ROBIN, timedelta(days=day))
        site.see(ROBIN, timedelta(days=day, seconds=-5))
    site.see(ROBIN, timedelta(minutes=20))
    feeder = watched('about = ["visit", "first-ever"]')
    for hours in (200, 100, 50, 2):
        feeder.see(SPARROW, ago=3600 * hours)
        feeder.see(SPARROW, ago=3600 * hours - 5)
    feeder.turn()
    feeder.turn(400)
    assert phone.received == []
    feeder.visit(BLUE_TIT)
    assert phone.titles == ["Eurasian Blue Tit: first visit ever"]


def test_a_restart_neither_tells_twice_nor_loses(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """What was told stays told; what came or went on while nobody looked is told after it."""
    feeder = watched(VISIT)
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn()
    feeder.see(ROBIN)
    feeder.start()
    feeder.turn(5)
    feeder.turn(310)
    assert phone.titles == ["European Robin: first visit ever"]
    feeder.time.advance(60)
    feeder.see(SPARROW)
    feeder.see(SPARROW)
    feeder.time.advance(600)  # it has come and gone, and nobody looked
    feeder.see(BLUE_TIT)
    feeder.see(BLUE_TIT)  # still here
    feeder.start()
    feeder.turn(5)
    feeder.turn(310)
    feeder.start()
    assert phone.titles[1:] == [
        "House Sparrow: first visit ever",
        "Eurasian Blue Tit: first visit ever",
    ]


def test_what_was_not_sent_is_sent_after_a_restart(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """A message is on the disk before it is sent, and gone from there once a service has it."""
    feeder = watched(VISIT)
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn(sends=False)
    assert phone.received == []
    feeder.start()
    feeder.start()
    assert len(phone.received) == 1


def test_after_a_restore_a_message_bears_no_other_birds_picture(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """What waits to be sent was about a frame whose number the log has given to another since."""
    feeder = watched(f"{VISIT}")
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn(sends=False)
    _sql(feeder, "UPDATE media SET sha256 = randomblob(32), file_name = 'another.jpg'")
    feeder.alerts.outbox.step()
    assert phone.titles == ["European Robin: first visit ever"]
    assert phone.received[0].pictures == []


def test_a_log_that_cannot_be_read_loses_no_visit(
    watched: Callable[..., Watched], phone: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """It is judged when the log is there again."""
    feeder = watched(VISIT)
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.live.logged()
    feeder.live.turn(feeder.settings.visits.gap, {})
    feeder.site.logbook.close()
    away = feeder.settings.database.with_name("away.db")
    feeder.settings.database.rename(away)
    feeder.settings.database.write_bytes(b"no database at all" * 100)
    feeder.alerts.turn()
    assert "nothing is told for now" in caplog.text
    away.rename(feeder.settings.database)
    feeder.turn(60)
    assert phone.titles == ["European Robin: first visit ever"]


def test_quiet_hours_hold_messages_for_one_digest(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """Nothing comes while it is quiet; then one message tells of all, also after a restart."""
    feeder = watched(f'{VISIT}\nquiet = ["10:00", "15:00"]')
    feeder.visit(ROBIN)
    feeder.visit(SPARROW)
    feeder.start()
    feeder.visit(SPARROW)
    assert phone.received == []
    feeder.turn(5 * 3600)
    feeder.turn(60)
    (message,) = phone.received
    assert message.title == "While it was quiet: European Robin and 1 more"
    lines = message.body.splitlines()
    assert [line.partition("  ")[2] for line in lines] == [
        "European Robin: first visit ever (garden)",
        "House Sparrow: first visit ever (garden)",
        "House Sparrow (garden)",
    ]
    assert len(message.pictures) == 1


def test_a_flood_becomes_a_digest(watched: Callable[..., Watched], phone: Receiver) -> None:
    """From the second message in an hour on, here, what comes is told together, an hour later."""
    feeder = watched(f"{VISIT}\nmost_an_hour = 2")
    labels = (ROBIN, SPARROW, BLUE_TIT, SQUIRREL, ROBIN)
    for label in labels:
        feeder.visit(label)
    assert len(phone.received) == 2
    feeder.turn(3600)
    assert phone.titles[2:] == ["In the last hour: Eurasian Blue Tit and 2 more"]
    assert len(phone.received[2].body.splitlines()) == 3


def fullness(feeder: Watched, value: str, ago: float) -> None:
    """Ten frames, half an hour long, that say how the feeder is."""
    for number in range(10):
        since = feeder.time.seconds - 1000
        feeder.site.see(
            ROBIN, timedelta(seconds=ago - 180 * number - since), 0.9,
            tags=(Tag("feeder", value, 0.9, "side"),),
        )  # fmt: skip


def test_an_empty_feeder_is_told_once_until_it_was_filled(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """Who fills it knows that it is full; the next time it is empty is news again."""
    site.logbook.register_vocabulary("side", [])
    feeder = watched('about = ["feeder-empty"]')
    fullness(feeder, "empty", 1800)
    for _ in range(3):
        feeder.turn(LOOK_SECONDS + 1)
    assert phone.titles == ["The feeder at garden looks empty"]
    feeder.start()
    fullness(feeder, "full", 1800)
    feeder.turn(LOOK_SECONDS + 1)
    assert len(phone.received) == 1
    feeder.time.advance(7200)
    fullness(feeder, "empty", 1800)
    feeder.turn(LOOK_SECONDS + 1)
    assert len(phone.received) == 2


def test_a_silent_camera_is_told_once_and_when_it_is_back(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """After the hours that are set, not just after a start, and not again after a restart."""
    feeder = watched('about = ["stalled"]\nstalled_hours = 2')
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn(7000)
    assert phone.received == []
    feeder.turn(1000)
    feeder.turn(7000)
    feeder.start()
    feeder.turn(7000)
    assert phone.titles == ["No pictures from garden"]
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn(LOOK_SECONDS + 1)
    feeder.turn(LOOK_SECONDS + 1)
    assert phone.titles[1:] == ["Pictures come from garden again"]


def _received(feeder: Watched) -> None:
    """Puts the newest frame's arrival at what the clock says."""
    now = utc_text(feeder.time.clock.now())
    _sql(feeder, f"UPDATE media SET received_at = '{now}'"
         " WHERE media_id = (SELECT max(media_id) FROM media)")  # fmt: skip


def test_a_camera_is_not_silent_because_the_computer_was_off(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """After a start it has some time to send something."""
    feeder = watched('about = ["stalled"]\nstalled_hours = 2')
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn()
    feeder.time.advance(5 * 86_400)
    feeder.start()
    feeder.turn(600)
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn(900)
    assert phone.received == []


def test_a_trouble_that_is_over_before_quiet_ends_is_not_told(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """What nobody heard of, and is no more, is worth no message."""
    feeder = watched('about = ["stalled"]\nstalled_hours = 1\nquiet = ["10:00", "15:59"]')
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn(4000)
    feeder.turn(1000)
    feeder.see(ROBIN)
    _received(feeder)
    feeder.turn(1000)
    for _ in range(12):
        feeder.see(ROBIN)
        _received(feeder)
        feeder.turn(1800)
    assert phone.received == []


class Daemon:
    """A daemon's lines, as a companion hears them."""

    def __init__(self, time: FakeClock) -> None:
        self._lines: list[str] = []
        self._news = threading.Condition()
        self._heard = 0
        self.link = DaemonLink(self, lambda: None, time.clock)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[str]:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._lines, 30)
                if not self._lines:
                    return
                line = self._lines.pop(0)
            yield line
            with self._news:
                self._heard += 1
                self._news.notify_all()

    def say(self, words: str) -> None:
        """Says it, and waits until it was heard."""
        with self._news:
            expected = self._heard + 1
            self._lines.append(json.dumps({"words": words, "waiting": 0}))
            self._lines.append("not a line")
            self._news.notify_all()
            self._news.wait_for(lambda: self._heard > expected, 30)


def test_a_daemon_that_hangs_is_told_and_when_it_gets_on(
    watched: Callable[..., Watched], phone: Receiver, time: FakeClock
) -> None:
    """After two minutes without a word of it; a reload that takes one is none."""
    daemon = Daemon(time)
    feeder = watched('about = ["stalled"]', daemon.link)
    daemon.say("watching")
    feeder.turn(100)
    assert phone.received == []
    feeder.turn(30)
    feeder.turn(300)
    daemon.say("watching")
    feeder.turn(1)
    assert phone.titles == ["The feeder hangs", "The feeder gets on again"]


def test_a_full_disk_is_told_and_when_there_is_room(
    watched: Callable[..., Watched], phone: Receiver, time: FakeClock
) -> None:
    """By the daemon's own words, where they stay for two minutes."""
    daemon = Daemon(time)
    feeder = watched('about = ["stalled"]', daemon.link)
    for _ in range(5):
        daemon.say("watching; waiting for room on the disk (/data/feeder.db: full)")
        feeder.turn(50)
    daemon.say("watching")
    feeder.turn(1)
    assert phone.titles == ["The feeder's disk is full", "The feeder's disk has room again"]


def test_a_service_that_fails_is_tried_again_later_each_time(
    watched: Callable[..., Watched], phone: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """500, then 200: the message arrives once, and the trouble was said once, without the URL."""
    caplog.set_level("INFO")
    feeder = watched(VISIT)
    phone.answers += [500, 500]
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn()
    assert phone.asked == 1
    feeder.turn(FIRST_WAIT - 1)
    assert phone.asked == 1
    feeder.turn(1)
    assert phone.asked == 2
    feeder.turn(FIRST_WAIT)
    assert phone.asked == 2
    feeder.turn(FIRST_WAIT)
    assert phone.titles == ["European Robin: first visit ever"]
    feeder.turn(LONGEST_WAIT)
    assert phone.asked == 3
    assert caplog.text.count("did not take a message") == 1
    assert "takes messages again" in caplog.text
    assert "s3cret" not in caplog.text


def test_a_message_that_nobody_takes_is_dropped_and_that_is_said(
    watched: Callable[..., Watched], phone: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """After hours it is no news any more; the next one goes."""
    feeder = watched(VISIT)
    phone.answers += [503] * 3
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn()
    feeder.turn(310)
    feeder.turn(GIVE_UP.total_seconds())
    assert "was dropped" in caplog.text
    phone.answers.clear()
    feeder.visit(SPARROW)
    assert phone.titles == ["House Sparrow: first visit ever"]


def test_a_service_that_is_down_keeps_no_other_waiting(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """One refuses and one takes: the message goes to the second once, to the first when it can."""
    with receiver() as other:
        url, port = other.json, other.port
    feeder = watched(f'{VISIT}\nsend_to = ["{url}", "{phone.json}"]')
    feeder.visit(ROBIN)
    assert len(phone.received) == 1
    with receiver(port) as other:
        feeder.turn(LONGEST_WAIT)
        assert len(other.received) == 1
    feeder.turn(LONGEST_WAIT)
    assert len(phone.received) == 1


def test_a_service_that_hangs_holds_up_nobody_who_follows_the_log(
    watched: Callable[..., Watched], phone: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sending is a thread's: visits are followed meanwhile, and the end does not wait for it."""
    monkeypatch.setattr("feeder.alerts.outbox.CLOSE_SECONDS", 0.1)
    phone.hangs = threading.Event()
    feeder = watched(f'{VISIT}\nsend_to = ["{phone.json}?rto=30"]')
    feeder.alerts.outbox.start()
    feeder.see(ROBIN)
    feeder.see(ROBIN)
    feeder.turn(sends=False)
    FeederProcess(feeder.site.config).until(lambda: phone.asked > 0)
    feeder.see(SPARROW)
    feeder.see(SPARROW)
    feeder.turn(sends=False)
    feeder.turn(121, sends=False)
    with feeder.alerts.state.reading() as content:
        assert [one.title.split(":")[0] for one in content.outbox] == [ROBIN.name, SPARROW.name]
    feeder.alerts.close()
    assert phone.received == []


def test_files_of_urls_are_read_as_they_are_when_a_message_goes(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """A phone that is added gets the next message; comments and empty lines are none."""
    listed = site.root / "urls.txt"
    listed.write_text(f"# mine\n\n  {phone.json}/one\n{phone.json}/one\n", encoding="utf-8")
    feeder = watched(f'{VISIT}\nsend_to = ["urls.txt"]')
    feeder.visit(ROBIN)
    assert len(phone.received) == 1, "the same URL twice is one service"
    listed.write_text(f"{phone.json}/one\n{phone.json}/two\n", encoding="utf-8")
    feeder.visit(SPARROW)
    assert len(phone.received) == 3


@pytest.mark.parametrize(
    ("listed", "said"),
    [
        ('["nonsense://token12345/x"]', "nonsense://… (entry 1 of `send_to`) means nothing"),
        ('["urls.txt"]', "(line 3 of urls.txt) means nothing"),
        ('["absent.txt"]', "absent.txt, which `send_to` under [alerts] names, cannot be read"),
        ('["bare.txt"]', "Line 1 of bare.txt is no URL"),
    ],
)
def test_a_url_that_means_nothing_is_named_without_its_secret(
    watched: Callable[..., Watched], site: Site, listed: str, said: str
) -> None:
    """The error says which it is, by its place."""
    (site.root / "urls.txt").write_text("# x\n\ntgram://token12345\n", encoding="utf-8")
    (site.root / "bare.txt").write_text("token12345\n", encoding="utf-8")
    feeder = watched(f"send_to = {listed}")
    found, (error,) = apprise_service.usable(feeder.settings)
    assert found == []
    assert said in str(error)
    assert "token12345" not in str(error)
    with pytest.raises(ConfigError):
        Alerts.open(feeder.settings, None, None)


def test_a_url_that_means_nothing_silences_no_other(
    watched: Callable[..., Watched],
    phone: Receiver,
    site: Site,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Messages go to the others; it is said once, and by the doctor, without its secret."""
    (site.root / "urls.txt").write_text(f"token12345\n{phone.json}\n", encoding="utf-8")
    (site.root / "urls.txt").chmod(0o644)
    feeder = watched(f'{VISIT}\nsend_to = ["nonsense://token12345/x", "urls.txt", "absent.txt"]')
    feeder.visit(ROBIN)
    feeder.visit(SPARROW)
    assert len(phone.received) == 2
    assert caplog.text.count("entry 1 of `send_to`") == 1
    bad = [one.found for one in checkup.examine(feeder.settings, whole=True) if not one.well]
    assert len(bad) == 4
    assert sum(not one.well for one in checkup.examine(feeder.settings, whole=False)) == 3
    assert "everybody on this computer may read" in bad[-1]
    assert len(phone.received) == 2, "the doctor sends nothing"
    tried = CliRunner().invoke(app, ["--config", str(site.config), "alerts", "test", "--json"])
    assert tried.exit_code == 1
    assert [one["is_sent"] for one in json.loads(tried.stdout)] == [False, False, False, True]
    assert len(phone.received) == 3
    logged = [one.getMessage() for one in caplog.records if one.name.startswith("feeder")]
    assert "token12345" not in "".join([*logged, *bad, tried.stdout])


def test_what_a_service_says_is_passed_on_without_the_url() -> None:
    """Host, user, password, path and query are hidden, however they are written there."""
    target = Target("json://ann:Pass%40word@Example.org:8080/to-ken/x?key=v41ue", "entry 1")
    said = target.hide("no route to example.org:8080/to-ken/x for ann with Pass@word, v41ue: 500")
    for secret in ("example", "8080", "to-ken", "ann", "Pass", "word", "v41ue"):
        assert secret not in said
    assert said.endswith(": 500")
    assert "ann" not in repr(target)


def test_usual_birds_are_named_as_people_name_them(
    watched: Callable[..., Watched], phone: Receiver, site: Site
) -> None:
    """In any spelling, or by scientific name."""
    for label in (ROBIN, SPARROW):
        site.see(label, timedelta(hours=3))
    feeder = watched(f'{VISIT}\nusual = ["house sparrow", "Erithacus rubecula"]')
    for label in (ROBIN, SPARROW, BLUE_TIT):
        feeder.visit(label)
    assert phone.titles == ["Eurasian Blue Tit: first visit ever"]


def test_a_usual_bird_that_nothing_is_called_is_an_error(
    watched: Callable[..., Watched], site: Site
) -> None:
    """It says what may have been meant."""
    site.see(SPARROW)
    with pytest.raises(VocabularyError, match="Did you mean 'House Sparrow'"):
        watched(f'{VISIT}\nusual = ["House Sparow"]')


@pytest.mark.parametrize(
    "lines", ['quiet = ["22:00", "22:00"]', 'quiet = ["late", "early"]', 'quiet = ["22:00"]']
)
def test_quiet_hours_that_are_none_are_an_error(tmp_path: Path, lines: str) -> None:
    """Two different times of day are needed."""
    text = f'[[deployment]]\nname = "a"\nfolder = "a"\n[alerts]\n{lines}\n'
    with pytest.raises(ConfigError, match="quiet"):
        config.parse(text, tmp_path / "config.toml")


def test_a_clock_that_nobody_vouches_for_goes_by_what_was_logged(
    watched: Callable[..., Watched], phone: Receiver
) -> None:
    """A bird of earlier frames is no first ever although the clock stands before them."""
    feeder = watched('about = ["first-ever"]')
    feeder.see(ROBIN, ago=-40 * 86_400)  # logged when the clock was ahead, or is behind now
    for label in (ROBIN, SPARROW):
        feeder.see(label)
        feeder.see(label)
    _sql(feeder, "UPDATE media SET timestamp_trusted = 0")
    feeder.turn()
    feeder.turn(121)
    assert phone.titles == ["House Sparrow: first visit ever"]
    assert "? at garden" in phone.received[0].body
