import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from feeder import config
from feeder.companions import FIRST_WAIT, STOP_SECONDS, TELL_SECONDS, Companions, wanted
from feeder.config import Settings
from feeder.daemon_link import SILENCE_SECONDS, DaemonLink, DaemonState
from tests.broker import until
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess
from tests.site import answers, free_port

STATE = DaemonState("watching", 3)


def settings(tmp_path: Path, lines: str) -> Settings:
    """The settings of one camera with these lines."""
    text = f'[[deployment]]\nname = "garden"\nfolder = "snapshots"\n{lines}\n'
    return config.parse(text, tmp_path / "config.toml")


WEB = "[web]\nenabled = true"


def companions(tmp_path: Path, time: FakeClock, script: str) -> Companions:
    """Companions that are a line or two of Python each."""
    return Companions(
        tmp_path / "config.toml",
        time.clock,
        start=lambda path, name: [sys.executable, "-c", script],
    )


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
    made = companions(tmp_path, time, script)
    made.turn(settings(tmp_path, WEB), STATE)
    until(lambda: heard.exists() and heard.read_text() != "")
    assert heard.read_text() == '{"words": "watching", "waiting": 3}\n'
    made.close()


def test_a_companion_that_ends_is_started_again_later_each_time(
    tmp_path: Path, time: FakeClock
) -> None:
    """It waits before each start, and twice as long where it soon ends again."""
    count = tmp_path / "count.txt"
    count.write_text("")
    made = companions(tmp_path, time, f"open({str(count)!r}, 'a').write('x')")
    chosen = settings(tmp_path, WEB)

    def has_ended(times: int) -> bool:
        made.turn(chosen, STATE)
        return count.read_text() == "x" * times and not made.running

    until(lambda: has_ended(1))
    time.advance(FIRST_WAIT - 1)
    made.turn(chosen, STATE)
    assert not made.running
    time.advance(1)
    until(lambda: has_ended(2))
    time.advance(2 * FIRST_WAIT - 1)
    made.turn(chosen, STATE)
    assert not made.running
    time.advance(1)
    until(lambda: has_ended(3))
    made.close()


def test_one_that_cannot_be_started_is_tried_again(
    tmp_path: Path, time: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The daemon says what is wrong, and goes on."""
    missing = str(tmp_path / "missing")
    made = Companions(tmp_path / "config.toml", time.clock, start=lambda path, name: [missing])
    chosen = settings(tmp_path, WEB)
    for _ in range(3):
        made.turn(chosen, STATE)
    assert len(caplog.messages) == 1
    assert "`feeder serve` does not start" in caplog.text
    time.advance(FIRST_WAIT)
    made.turn(chosen, STATE)
    assert len(caplog.messages) == 2
    made.close()


def test_a_companion_that_does_not_listen_holds_nothing_up(tmp_path: Path, time: FakeClock) -> None:
    """Its pipe fills up, the daemon's turns go on; asked to end, it is killed after its time."""
    ready = tmp_path / "ready"
    script = (
        "import signal, time, pathlib\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        f"pathlib.Path({str(ready)!r}).touch()\n"
        "time.sleep(600)"
    )
    made = companions(tmp_path, time, script)
    chosen = settings(tmp_path, WEB)
    made.turn(chosen, STATE)
    until(ready.exists)
    long = DaemonState("x" * 4000, 0)
    for _ in range(40):  # 160 KB: a pipe holds 64
        time.advance(TELL_SECONDS)
        made.turn(chosen, long)
    assert made.running == ("serve",)
    other = settings(tmp_path, WEB)
    made.turn(other, STATE)
    assert made.running == (), "the new one waits until the old one is gone"
    time.advance(STOP_SECONDS)

    def begins_anew() -> bool:
        made.turn(other, STATE)
        return made.running == ("serve",)

    until(begins_anew)
    made.close()


def test_other_settings_begin_them_anew(tmp_path: Path, time: FakeClock) -> None:
    """After a reload those run that the new settings ask for, and no others."""
    made = companions(tmp_path, time, "import sys; sys.stdin.read()")
    made.turn(settings(tmp_path, WEB), STATE)
    assert made.running == ("serve",)
    both = settings(tmp_path, f'{WEB}\n[mqtt]\nbroker = "b"')

    def runs(chosen: Settings, *names: str) -> bool:
        made.turn(chosen, STATE)
        return made.running == names

    until(lambda: runs(both, "serve", "announce"))
    none = settings(tmp_path, "")
    until(lambda: runs(none))
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


@contextmanager
def daemon(config: Path) -> Iterator[FeederProcess]:
    """A running daemon on these settings."""
    feeder = FeederProcess(config)
    feeder.start()
    try:
        yield feeder
    finally:
        assert feeder.process is not None
        if feeder.process.poll() is None:
            feeder.stop()


def children(feeder: FeederProcess, name: str) -> list[int]:
    """The process ids of the daemon's companions of that name."""
    assert feeder.process is not None
    found = []
    for line in subprocess.run(
        ["ps", "-ww", "-o", "pid=", "-o", "args=", "--ppid", str(feeder.process.pid)],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.splitlines():
        pid, _, arguments = line.strip().partition(" ")
        if f"{name} --attached" in arguments:
            found.append(int(pid))
    return found


def is_running(pid: int) -> bool:
    """Whether there is such a process that has not ended."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def test_one_that_is_killed_is_started_again_and_a_reload_applies_to_it(
    write_config: Callable[..., Path],
) -> None:
    """The daemon says that it ended, and a few seconds later there is another one; after SIGHUP
    there is one on the new settings."""
    old, new = free_port(), free_port()
    with daemon(write_config(mqtt=f'broker = "127.0.0.1"\nport = {old}')) as feeder:
        feeder.until(lambda: feeder.said().count(f"no MQTT broker answers at 127.0.0.1:{old}") == 1)
        (first,) = children(feeder, "announce")
        os.kill(first, signal.SIGKILL)
        feeder.until(lambda: feeder.said().count(f"no MQTT broker answers at 127.0.0.1:{old}") == 2)
        assert "`feeder announce` ended (status -9)" in feeder.said()
        write_config(mqtt=f'broker = "127.0.0.1"\nport = {new}')
        assert feeder.process is not None
        feeder.process.send_signal(signal.SIGHUP)
        feeder.until(lambda: f"no MQTT broker answers at 127.0.0.1:{new}" in feeder.said())
        assert len(children(feeder, "announce")) == 1


def test_what_announces_ends_with_a_killed_daemon(write_config: Callable[..., Path]) -> None:
    """It learns from the end of its standard input that nobody is there any more."""
    with daemon(write_config(mqtt=f'broker = "127.0.0.1"\nport = {free_port()}')) as feeder:
        feeder.until(lambda: "no MQTT broker answers" in feeder.said())
        (announcer,) = children(feeder, "announce")
        feeder.stop(signal.SIGKILL)
        feeder.until(lambda: not is_running(announcer))


def test_a_line_that_is_cut_short_is_no_word_of_the_daemon(time: FakeClock) -> None:
    """What hears the daemon passes over it, and notices silence and the end."""
    ends = os.pipe()
    gone: list[bool] = []
    with os.fdopen(ends[0]) as stream, os.fdopen(ends[1], "w") as daemon_end:
        link = DaemonLink(stream, lambda: gone.append(True), time.clock)
        daemon_end.write('{"words": "wat' + json.dumps(STATE.record()) + "\n[1]\n")
        daemon_end.flush()
        assert link.state is None
        daemon_end.write(json.dumps(STATE.record()) + "\n")
        daemon_end.flush()
        until(lambda: link.state == STATE)
        assert not link.is_hanging
        time.advance(SILENCE_SECONDS + 1)
        assert link.is_hanging
        daemon_end.close()
        until(lambda: gone == [True])
