import sys
from collections.abc import Callable
from pathlib import Path

from feeder import config
from feeder.companions import FIRST_WAIT, Companions, wanted
from feeder.config import Settings
from feeder.daemon_link import DaemonState
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess
from tests.site import answers, free_port

STATE = DaemonState("watching", 3)


def settings(tmp_path: Path, lines: str) -> Settings:
    """The settings of one camera with these lines."""
    text = f'[[deployment]]\nname = "garden"\nfolder = "snapshots"\n{lines}\n'
    return config.parse(text, tmp_path / "config.toml")


def test_companions_are_those_that_the_settings_ask_for(tmp_path: Path) -> None:
    """As shipped there is none; the page and what tells others are one process each."""
    assert wanted(settings(tmp_path, "")) == ()
    assert wanted(settings(tmp_path, "[web]\nenabled = true")) == ("serve",)
    assert wanted(settings(tmp_path, '[mqtt]\nbroker = "b"')) == ("announce",)
    assert wanted(settings(tmp_path, '[alerts]\nsend_to = ["ntfy://a"]')) == ("announce",)


def test_a_companion_hears_of_the_daemon_and_ends_with_it(tmp_path: Path, time: FakeClock) -> None:
    """It reads the daemon's state from its standard input, whose end is the daemon's."""
    heard = tmp_path / "heard.txt"
    script = f"import sys, pathlib; pathlib.Path({str(heard)!r}).write_text(sys.stdin.readline())"
    made = Companions(
        tmp_path / "config.toml",
        time.clock,
        start=lambda path, name: [sys.executable, "-c", script],
    )
    feeder = FeederProcess(tmp_path / "config.toml")
    feeder.output.write_text("")
    chosen = settings(tmp_path, "[web]\nenabled = true")
    made.turn(chosen, STATE)
    feeder.until(lambda: heard.exists() and heard.read_text() != "")
    assert heard.read_text() == '{"words": "watching", "waiting": 3}\n'
    made.close()


def test_a_companion_that_ends_is_started_again_later_each_time(
    tmp_path: Path, time: FakeClock
) -> None:
    """It waits before each start, and longer where it soon ends again."""
    count = tmp_path / "count.txt"
    count.write_text("")
    script = f"open({str(count)!r}, 'a').write('x')"
    made = Companions(
        tmp_path / "config.toml",
        time.clock,
        start=lambda path, name: [sys.executable, "-c", script],
    )
    feeder = FeederProcess(tmp_path / "config.toml")
    feeder.output.write_text("")
    chosen = settings(tmp_path, "[web]\nenabled = true")

    def has_ended(times: int) -> bool:
        made.turn(chosen, STATE)
        return count.read_text() == "x" * times and not made.running

    feeder.until(lambda: has_ended(1))
    time.advance(FIRST_WAIT)
    made.turn(chosen, STATE)
    assert not made.running, "it waits twice as long"
    time.advance(FIRST_WAIT)
    feeder.until(lambda: has_ended(2))
    made.close()


def test_the_daemon_serves_the_page_and_takes_it_along(
    write_config: Callable[..., Path], tmp_path: Path
) -> None:
    """With [web] enabled the page answers while the daemon runs, and not when it was killed."""
    port = free_port()
    feeder = FeederProcess(write_config(web=f"enabled = true\nport = {port}"))
    feeder.start()
    feeder.until(lambda: answers(f"http://127.0.0.1:{port}"))
    assert feeder.process is not None
    feeder.process.kill()
    feeder.process.wait()
    feeder.until(lambda: not answers(f"http://127.0.0.1:{port}"))
