"""`feeder announce` and `feeder alerts` as people and the daemon run them."""

import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner

from feeder.cli import app
from tests.feeder_process import PATIENCE, FeederProcess
from tests.receiver import Receiver, receiver
from tests.sightings import ROBIN, SPARROW
from tests.site import BLUE_TIT, Site


@pytest.fixture
def phone() -> Iterator[Receiver]:
    """What takes the messages."""
    with receiver() as made:
        yield made


@pytest.fixture
def told(tmp_path: Path, tiny_clip: Path, phone: Receiver) -> Iterator[Site]:
    """A garden whose firsts are told to the receiver, by a file of URLs."""
    (tmp_path / "phones.txt").write_text(f"# one\n{phone.json}?rto=20\n", encoding="utf-8")
    lines = 'send_to = ["phones.txt"]\nabout = ["first-ever"]'
    made = Site(tmp_path, tiny_clip, alerts=lines)
    yield made
    made.close()


@pytest.fixture
def process(told: Site) -> Iterator[FeederProcess]:
    """`feeder announce`, not yet started."""
    made = FeederProcess(told.config)
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def announce(process: FeederProcess) -> None:
    """Starts it, and waits until it has looked at the log once."""
    state = process.database.with_name("feeder.db.alerts")
    before = state.stat().st_mtime_ns if state.exists() else 0
    process.spawn(
        [sys.executable, "-m", "feeder", "--config", os.fspath(process.config), "announce"]
    )
    process.until(lambda: state.exists() and state.stat().st_mtime_ns > before)


def come(site: Site, label: object) -> None:
    """Two frames of a label, just now."""
    site.now = datetime.now(UTC)
    for _ in range(2):
        site.see(label, timedelta())  # type: ignore[arg-type]


def test_a_visit_reaches_a_phone_once_through_kills(
    told: Site, process: FeederProcess, phone: Receiver
) -> None:
    """What is logged while it runs is told; a kill amid sending neither loses nor doubles."""
    told.see(SPARROW, timedelta(days=3))
    announce(process)
    phone.hangs = threading.Event()
    come(told, ROBIN)
    process.until(lambda: phone.asked == 1)
    assert process.stop(signal.SIGKILL) != 0
    phone.hangs.set()
    phone.hangs = None
    come(told, ROBIN)
    announce(process)
    process.until(lambda: len(phone.received) == 1)
    come(told, SPARROW)
    come(told, ROBIN)
    assert process.stop() == 0
    announce(process)
    assert process.stop() == 0
    assert phone.titles == ["European Robin: first visit ever"]
    assert len(phone.received[0].pictures) == 1
    assert "s3cret" not in process.said()


def test_a_bad_url_is_an_error_at_the_start(told: Site) -> None:
    """It says which line, and nothing of the URL."""
    (told.root / "phones.txt").write_text("tgram://token12345\n", encoding="utf-8")
    process = FeederProcess(told.config)
    process.spawn([sys.executable, "-m", "feeder", "--config", str(told.config), "announce"])
    assert process.process is not None
    assert process.process.wait(PATIENCE) == 1
    assert "(line 1 of phones.txt) means nothing to Apprise" in process.said()
    assert "token12345" not in process.said()


def run(site: Site, *arguments: str) -> tuple[int, str]:
    """The exit code of a command and what it wrote."""
    found = CliRunner().invoke(app, ["--config", str(site.config), *arguments])
    return found.exit_code, found.output


def test_a_test_message_goes_to_each_service(told: Site, phone: Receiver) -> None:
    """What happened stands beside each, and a failure is one of the command."""
    assert run(told, "alerts", "test") == (
        0,
        "service\ttest message\treason\njson://… (line 2 of phones.txt)\tsent\t\n",
    )
    assert phone.titles == ["Feeder: a test"]
    phone.answers.append(500)
    code, said = run(told, "alerts", "test", "--json")
    assert code == 1
    (one,) = json.loads(said)
    assert one["is_sent"] is False
    assert "error=500" in one["reason"]
    assert "s3cret" not in said


def test_a_test_without_a_service_says_what_to_set(told: Site) -> None:
    """Nobody to tell is an error with its remedy."""
    (told.root / "phones.txt").write_text("# none yet\n", encoding="utf-8")
    with pytest.raises(Exception, match="Nobody is to be told"):
        CliRunner().invoke(
            app, ["--config", str(told.config), "alerts", "test"], catch_exceptions=False
        )


def test_messages_are_shown_as_they_would_have_been(told: Site) -> None:
    """By the rules as they are now, and nothing is sent or noted."""
    for label, hours in ((ROBIN, 72), (SPARROW, 3), (SPARROW, 2), (ROBIN, 1)):
        told.see(label, timedelta(hours=hours), 0.9)
    told.see(BLUE_TIT, timedelta(minutes=30), 0.3)
    code, said = run(told, "alerts", "show", "--since", "2020-01-01", "--json")
    assert code == 0
    assert [(one["label"], one["message"]) for one in json.loads(said)] == [
        ("European Robin", "European Robin: first visit ever"),
        ("House Sparrow", "House Sparrow: first visit ever"),
    ]
    code, said = run(told, "alerts", "show", "--all")
    assert code == 0
    rows = [line.split("\t") for line in said.splitlines() if "\t" in line][1:]
    assert [(row[1], row[4]) for row in rows] == [
        ("House Sparrow", "at once"),
        ("House Sparrow", "not asked for"),
        ("European Robin", "not asked for"),
        ("Eurasian Blue Tit", "unsure"),
    ]
    assert "4 visits: 1 told (0 of them in a digest), 0 usual, 1 not sure enough" in said
    assert not told.settings.database.with_name("feeder.db.alerts").exists()
