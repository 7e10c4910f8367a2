"""Home automation, on a real Mosquitto."""

import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image

from feeder.correction_log import CorrectionLog
from feeder.corrections import Answer, correct
from feeder.daemon_link import SILENCE_SECONDS, DaemonLink
from feeder.domain import Label, Tag
from feeder.judgement_log import JudgementLog
from feeder.live_visits import LiveVisits
from feeder.sighting_log import SightingLog
from feeder.visits import visits as visits_of
from tests.announcing import configured, seen_by, told
from tests.broker import (
    Broker,
    broker,
    resting_broker,
    until,
)
from tests.conftest import FakeClock
from tests.feeder_process import PATIENCE, FeederProcess, picture
from tests.sightings import ROBIN, SPARROW, SQUIRREL, SightedLog
from tests.site import Site

__all__ = ["broker", "resting_broker"]  # the fixtures

DISCOVERY = "homeassistant/device/feeder/config"


@pytest.fixture
def log(tmp_path: Path, time: FakeClock) -> Iterator[SightedLog]:
    """A log with two robins and a sparrow this morning."""
    made = SightedLog(tmp_path / "feeder.db", time.clock)
    for seconds in (0, 10, 3600, 3610):
        made.see(seconds, ROBIN)
    made.see(1800, SPARROW)
    time.advance(7200)
    yield made
    made.logbook.close()


def test_a_fresh_subscriber_sees_how_things_stand(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Last visit, counts and availability are there at once, from the log, and are retained."""
    with told(configured(tmp_path, broker.port), time) as feeder:
        with broker.listener() as first:
            feeder.until(seen_by(first, "feeder/status"))
        with broker.listener() as late:
            until(seen_by(late, "feeder/status", "feeder/last_visit", "feeder/today"))
            assert all(is_retained for _, _, is_retained in late.messages)
            assert late.latest["feeder/status"] == b"online"
            last = late.json("feeder/last_visit")
            assert last["label"] == "European Robin"
            assert last["scientific_name"] == "Erithacus rubecula"
            assert last["event_start"] == "2026-05-01T07:30:00.000Z"
            assert last["event_start_local"] == "2026-05-01T08:30:00+01:00"
            assert late.json("feeder/camera/garden/last_visit") == last
            assert late.json("feeder/today") == {
                "date": "2026-05-01",
                "visits": 3,
                "species": 2,
                "visits_by_label": {"European Robin": 2, "House Sparrow": 1},
            }
            assert late.latest["feeder/camera/garden/newest_frame"] == b"2026-05-01T07:30:10.000Z"
            assert late.json("feeder/camera/garden/feeder")["empty"] == "None"
            assert late.json("feeder/health")["problem"] == "OFF"
    assert broker.retained("feeder/status") == b"offline"


def test_at_midnight_the_counts_begin_anew(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Without a frame, by the local clock; the last visit stays."""
    with told(configured(tmp_path, broker.port), time) as feeder, broker.listener() as listener:
        feeder.until(lambda: listener.json("feeder/today").get("visits") == 3)
        time.seconds = 1000 + 16.5 * 3600 - 30  # 23:59:30 in Dublin
        feeder.until(lambda: listener.json("feeder/today").get("date") == "2026-05-02")
        assert listener.json("feeder/today") == {
            "date": "2026-05-02", "visits": 0, "species": 0, "visits_by_label": {},
        }  # fmt: skip
        assert listener.json("feeder/last_visit")["label"] == "European Robin"


def test_a_correction_renames_what_is_shown(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """A person's word shows without another visit, and after its undoing no more."""
    with told(configured(tmp_path, broker.port), time) as feeder, broker.listener() as listener:
        feeder.until(lambda: listener.json("feeder/last_visit").get("label") == "European Robin")
        with JudgementLog.open(log.path, time.clock) as judgements:
            frames = CorrectionLog(log.path).frames([3, 4])
            number = correct(judgements, frames, Answer.of(SQUIRREL), person="ada")
            feeder.until(lambda: listener.json("feeder/last_visit")["label"] == SQUIRREL.name)
            assert listener.json("feeder/last_visit")["classification_method"] == "human"
            until(lambda: listener.json("feeder/today")["species"] == 2)
            judgements.undo(number)
            feeder.until(lambda: listener.json("feeder/last_visit")["label"] == ROBIN.name)


def test_visits_are_told_as_they_begin_and_end(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Each is a message that is not retained; its end has the name that the log has by then."""
    settings = configured(tmp_path, broker.port)
    with told(settings, time) as feeder, broker.listener("feeder/visit") as listener:
        live = LiveVisits(log.path, feeder.mqtt.began, feeder.mqtt.ended, time.clock)
        live.turn(timedelta(minutes=5), {})
        feeder.until(lambda: broker.retained("feeder/status") == b"online")
        log.see(time.clock.now(), SPARROW)
        log.see(time.clock.now() + timedelta(seconds=1), SPARROW)
        live.logged()
        live.turn(timedelta(minutes=5), {})
        until(lambda: len(listener.messages) == 1)
        with JudgementLog.open(log.path, time.clock) as judgements:
            frames = CorrectionLog(log.path).frames([6, 7])
            correct(judgements, frames, Answer.of(SQUIRREL), person="ada")
        time.advance(400)
        live.turn(timedelta(minutes=5), {})
        until(lambda: len(listener.messages) == 2)
        began, ended = listener.all("feeder/visit")
        assert (began["event_type"], began["label"]) == ("began", "House Sparrow")
        assert (ended["event_type"], ended["label"], ended["frames"]) == ("ended", SQUIRREL.name, 2)
        assert began["event_id"] == ended["event_id"] == "garden:6"
        assert not any(is_retained for _, _, is_retained in listener.messages)


def test_it_connects_again_and_says_how_things_are_then(
    tmp_path: Path,
    resting_broker: Broker,
    log: SightedLog,
    time: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A broker that is not there yet, or goes and comes back empty, gets all that is retained, and
    no message of a visit that began meanwhile; each change is said once."""
    caplog.set_level(logging.INFO)
    made = resting_broker
    with told(configured(tmp_path, made.port), time) as feeder:
        feeder.until(lambda: "no MQTT broker answers" in caplog.text)
        made.start()
        feeder.until(lambda: caplog.text.count("connected to the MQTT broker") == 1)
        feeder.until(lambda: made.retained("feeder/status") == b"online")
        made.stop()
        (tmp_path / "broker" / "mosquitto.db").unlink()
        feeder.until(lambda: "broke;" in caplog.text)
        log.see(time.clock.now(), SPARROW)
        (*_, visit) = visits_of(SightingLog(log.path).in_order(), timedelta(minutes=5), {})
        feeder.mqtt.began(visit)
        made.start()
        with made.listener() as listener:
            feeder.until(seen_by(listener, "feeder/status", DISCOVERY))
            assert listener.json("feeder/last_visit")["label"] == "House Sparrow"
            assert "feeder/visit" not in listener.latest
    assert caplog.text.count("no MQTT broker answers") <= 2, "once for each time it was away"


def test_a_killed_feeder_is_offline_and_goes_on_where_it_was(
    tmp_path: Path, broker: Broker, tiny_clip: Path
) -> None:
    """The broker says so for it. A visit under way is not said to begin again, and it ends."""
    site = Site(tmp_path, tiny_clip, mqtt=f'broker = "127.0.0.1"\nport = {broker.port}')
    command = [sys.executable, "-m", "feeder", "--config", str(site.config), "announce"]
    output = tmp_path / "said.txt"
    with broker.listener() as listener, output.open("wb") as said:

        def status(wanted: bytes) -> None:
            until(lambda: listener.latest.get("feeder/status") == wanted, output.read_text)

        site.see(ROBIN, timedelta(minutes=3))
        site.see(ROBIN, timedelta(minutes=2))
        first = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            until(lambda: len(listener.all("feeder/visit")) == 1, output.read_text)
            status(b"online")
        finally:
            first.kill()
            first.wait()
        status(b"offline")
        second = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            status(b"online")
        finally:
            second.terminate()
            assert second.wait(PATIENCE) == 0
        status(b"offline")
        assert [one["event_type"] for one in listener.all("feeder/visit")] == ["began"]
        with Image.open(io.BytesIO(listener.latest["feeder/thumbnail"])) as small:
            assert small.format == "JPEG"
            assert max(small.size) <= 240
    site.close()


def test_home_assistant_is_told_again_when_it_comes_up(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Its birth message brings the discovery and every state; one that was retained does not."""
    with told(configured(tmp_path, broker.port), time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        before = len(listener.all(DISCOVERY))
        listener.client.publish("homeassistant/status", "offline")
        listener.client.publish("homeassistant/status", "online")
        feeder.until(lambda: len(listener.all(DISCOVERY)) > before)
        feeder.until(lambda: len(listener.all("feeder/last_visit")) == 2)
        assert len(listener.all(DISCOVERY)) == before + 1


def test_what_is_no_more_is_removed(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """A camera that was taken away leaves no entity and no state behind, nor do thumbnails."""
    with told(configured(tmp_path, broker.port, cameras=("garden", "shed")), time) as feeder:
        feeder.until(lambda: broker.retained("feeder/status") == b"online")
        assert broker.retained("feeder/camera/shed/feeder") is not None
    settings = configured(tmp_path, broker.port, "thumbnails = false")
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(lambda: listener.latest.get("feeder/camera/shed/feeder") == b"")
        feeder.until(lambda: broker.retained("feeder/camera/shed/last_visit") is None)
        removal = next(
            one["components"]
            for one in listener.all(DISCOVERY)
            if one["components"].get("thumbnail") == {"platform": "image"}
        )
        assert removal["camera_shed_last_visit"] == {"platform": "sensor"}
        assert "unique_id" in removal["camera_garden_last_visit"]
        feeder.until(lambda: "thumbnail" not in listener.json(DISCOVERY)["components"])
        assert not any("shed" in key for key in listener.json(DISCOVERY)["components"])


def test_an_empty_feeder_is_a_problem(tmp_path: Path, broker: Broker, tiny_clip: Path) -> None:
    """What frames say of the feeder is shown of its camera, with since when."""
    site = Site(tmp_path, tiny_clip, mqtt=f'broker = "127.0.0.1"\nport = {broker.port}')
    site.logbook.register_attribute("feeder", "feeder", ["empty", "full"])
    for number in range(12):
        tag = Tag("feeder", "empty", 0.9, "feeder")
        site.see(ROBIN, timedelta(minutes=60 - number), tags=(tag,))
    with told(site.settings, FakeClock(start=site.now)) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        shown = listener.json("feeder/camera/garden/feeder")
        assert shown["empty"] == "ON"
        assert shown["since"] is not None
    site.close()


def test_a_daemon_that_hangs_is_a_problem(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Its last words say how many frames wait; its silence is a problem, and its word ends it."""
    ends = os.pipe()
    with os.fdopen(ends[0]) as stream, os.fdopen(ends[1], "w") as daemon_end:
        link = DaemonLink(stream, lambda: None, time.clock)
        say = '{"words": "watching", "waiting": 7}\n'
        daemon_end.write(say)
        daemon_end.flush()
        until(lambda: link.state is not None)
        settings = configured(tmp_path, broker.port)
        with told(settings, time, link) as feeder, broker.listener() as listener:
            feeder.until(lambda: listener.json("feeder/health").get("waiting") == 7)
            assert listener.json("feeder/health")["problem"] == "OFF"
            time.advance(SILENCE_SECONDS)
            feeder.until(lambda: listener.json("feeder/health")["problem"] == "ON")
            assert listener.json("feeder/health")["reason"] == "the daemon does not answer"
            daemon_end.write(say)
            daemon_end.flush()
            feeder.until(lambda: listener.json("feeder/health")["problem"] == "OFF")
            daemon_end.close()


def test_a_log_that_goes_and_comes_back(tmp_path: Path, broker: Broker, time: FakeClock) -> None:
    """Without a log nothing is known and nothing wrong; a damaged one is a problem; one that is put
    there is read."""
    settings = configured(tmp_path, broker.port)
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        assert listener.json("feeder/last_visit") == {"label": None}
        assert listener.json("feeder/today")["visits"] == 0
        assert listener.json("feeder/health")["problem"] == "OFF"
        log = SightedLog(settings.database, time.clock)
        log.see(time.clock.now())
        feeder.until(lambda: listener.json("feeder/last_visit")["label"] == ROBIN.name)
        log.logbook.close()
        for path in tmp_path.glob("feeder.db*"):
            path.rename(path.with_name(f"away-{path.name}"))
        settings.database.write_bytes(b"no database " * 1000)
        feeder.until(lambda: listener.json("feeder/health")["problem"] == "ON")
        assert listener.json("feeder/last_visit")["label"] == ROBIN.name
        settings.database.unlink()
        other = SightedLog(settings.database, time.clock)
        other.see(time.clock.now(), SPARROW)
        feeder.until(lambda: listener.json("feeder/last_visit")["label"] == SPARROW.name)
        feeder.until(lambda: listener.json("feeder/health")["problem"] == "OFF")
        other.logbook.close()


def test_hostile_names_harm_nobody(tmp_path: Path, broker: Broker, time: FakeClock) -> None:
    """Cameras and species are called whatever people like: each keeps topics of its own, valid
    JSON and plain letters."""
    cameras = ("a/+/#", "a_+_#", "\u0001\u202e{{ states }}", "garden", "ü" * 300)
    settings = configured(tmp_path, broker.port, cameras=cameras)
    log = SightedLog(settings.database, time.clock)
    for number, camera in enumerate(cameras):
        name = f"{camera}\n\u202e</script>{'x' * 300}"
        log.see(number * 600, Label(name, ROBIN.kind), camera=camera)
        log.see(number * 600 + 5, Label(name, ROBIN.kind), camera=camera)
    time.advance(3600)
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        shown = {topic for topic in listener.latest if topic.endswith("/last_visit")}
        assert len(shown) == 1 + len(cameras)
        for topic, payload, _ in listener.messages:
            assert payload.isascii(), topic
            assert "\\u202e" not in payload.decode().replace("\\\\u202e", "")
        components = listener.json(DISCOVERY)["components"]
        assert len({one["unique_id"] for one in components.values() if "unique_id" in one}) == 22
    log.logbook.close()


def test_a_frame_that_is_dropped_reaches_the_broker(
    feeder: FeederProcess, write_config: Callable[..., Path], broker: Broker
) -> None:
    """The whole way: a daemon, its companion, a broker, somebody who listens."""
    write_config(
        thresholds="label = 0.0\nbird = 0.0\nblank = 1.0",
        mqtt=f'broker = "127.0.0.1"\nport = {broker.port}',
    )
    with broker.listener() as listener:
        feeder.start()
        feeder.until(lambda: listener.latest.get("feeder/status") == b"online")
        assert listener.json("feeder/last_visit") == {"label": None}
        for number in range(2):
            picture(feeder.folder / f"{number}.jpg", number)
        feeder.until(lambda: listener.json("feeder/last_visit")["label"] is not None)
        feeder.until(lambda: listener.latest.get("feeder/thumbnail", b"")[:2] == b"\xff\xd8")
        assert listener.json("feeder/health")["daemon"].startswith("watching ")
        feeder.until(lambda: len(listener.all("feeder/visit")) == 1)
        assert feeder.stop() == 0
        feeder.until(lambda: listener.latest["feeder/status"] == b"offline")


def test_without_discovery_home_assistant_is_left_alone(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """With `discovery = ""` the states are there and nothing is announced."""
    settings = configured(tmp_path, broker.port, 'discovery = ""', 'topic = "birds/north"')
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "birds/north/status"))
        assert {topic.split("/")[0] for topic in listener.latest} == {"birds"}


def test_each_camera_has_its_own_last_visit(
    tmp_path: Path, broker: Broker, log: SightedLog, time: FakeClock
) -> None:
    """Also one whose last visit is not today's; one that the log does not know has none."""
    log.see(time.clock.now() - timedelta(days=20), SQUIRREL, camera="shed")
    settings = configured(tmp_path, broker.port, cameras=("garden", "shed", "new"))
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        assert listener.json("feeder/camera/garden/last_visit")["label"] == ROBIN.name
        assert listener.json("feeder/camera/shed/last_visit")["label"] == SQUIRREL.name
        assert listener.json("feeder/camera/new/last_visit") == {"label": None}
        assert listener.latest["feeder/camera/new/newest_frame"] == b"None"


def test_a_log_that_cannot_be_read_from_the_start_is_a_problem(
    tmp_path: Path, broker: Broker, time: FakeClock
) -> None:
    """The feeder is online, and says what is wrong."""
    settings = configured(tmp_path, broker.port)
    settings.database.write_bytes(b"no database " * 1000)
    with told(settings, time) as feeder, broker.listener() as listener:
        feeder.until(seen_by(listener, "feeder/status"))
        assert listener.json("feeder/health")["problem"] == "ON"
        assert "is damaged" in listener.json("feeder/health")["reason"]
