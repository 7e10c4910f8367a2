"""`feeder announce` by hand, and the glance at the log that it lives by."""

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from feeder.cli import app
from feeder.errors import FeederError, LogbookError
from feeder.log_watch import LogWatch
from tests.feeder_process import PATIENCE, FeederProcess
from tests.sightings import SightedLog
from tests.site import free_port


@pytest.fixture
def announcing(write_config: Callable[..., Path]) -> Iterator[FeederProcess]:
    """A feeder whose broker is not there, to run `announce` on."""
    made = FeederProcess(write_config(mqtt=f'broker = "127.0.0.1"\nport = {free_port()}'))
    yield made
    if made.process is not None and made.process.poll() is None:
        made.process.kill()
        made.process.wait()


def test_it_waits_for_a_log_and_for_a_broker(announcing: FeederProcess) -> None:
    """Without a daemon, before the first frame of all: nothing is wrong. A second one is refused;
    SIGTERM ends it."""
    announcing.spawn([*announcing.command, "--config", os.fspath(announcing.config), "announce"])
    announcing.until(lambda: "no MQTT broker answers" in announcing.said())
    log = SightedLog(announcing.database)
    memory = announcing.database.with_name("feeder.db.announced")
    log.see(0)
    announcing.until(memory.exists)
    log.logbook.close()
    assert "level=error" not in announcing.said()
    assert "the log cannot be read" not in announcing.said()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("feeder.cli.announce.LEAVING_SECONDS", 0.0)
        second = CliRunner().invoke(app, ["--config", os.fspath(announcing.config), "announce"])
    assert isinstance(second.exception, FeederError)
    assert "Another feeder already tells" in str(second.exception)
    assert announcing.process is not None
    announcing.process.send_signal(signal.SIGTERM)
    assert announcing.process.wait(PATIENCE) == 0


def test_nobody_to_tell_is_said(write_config: Callable[..., Path]) -> None:
    """Without [mqtt] and [alerts] there is nothing to do."""
    done = CliRunner().invoke(app, ["--config", os.fspath(write_config()), "announce"])
    assert isinstance(done.exception, FeederError)
    assert "`broker` under [mqtt]" in done.exception.hint


def test_a_password_that_cannot_be_read_is_said(write_config: Callable[..., Path]) -> None:
    """With the file's name, and what to do."""
    lines = 'broker = "b"\nusername = "u"\npassword = "nowhere"'
    done = CliRunner().invoke(app, ["--config", os.fspath(write_config(mqtt=lines)), "announce"])
    assert isinstance(done.exception, FeederError)
    assert "nowhere" in str(done.exception)
    assert "chmod 600" in done.exception.hint


def test_it_loads_no_model_and_no_page() -> None:
    """It runs all day beside the daemon, on a computer with little memory."""
    code = "import feeder.cli.announce, sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert {"onnxruntime", "tokenizers", "fastapi", "uvicorn"} & set(done.stdout.split()) == set()


def test_a_log_that_changes_is_noticed(tmp_path: Path) -> None:
    """Once for what another program commits, and for another log in its place."""
    path = tmp_path / "feeder.db"
    with LogWatch(path) as watch:
        assert (watch.changed(), watch.is_there) == (False, False)
        log = SightedLog(path)
        assert (watch.changed(), watch.is_there, watch.was_replaced) == (True, True, False)
        assert not watch.changed()
        log.see(0)
        assert watch.changed()
        assert not watch.changed()
        log.see(1, commit=False)
        assert not watch.changed()
        log.logbook.close()
        watch.changed()
        other = SightedLog(tmp_path / "other.db")
        other.logbook.close()
        os.replace(tmp_path / "other.db", path)
        assert (watch.changed(), watch.was_replaced) == (True, True)
        assert (watch.changed(), watch.was_replaced) == (False, False)
        path.unlink()
        assert (watch.changed(), watch.is_there) == (False, False)


def test_a_log_that_is_being_made_is_not_there_yet(tmp_path: Path) -> None:
    """For a moment the file is empty, or a database without a table."""
    path = tmp_path / "feeder.db"
    path.touch()
    with LogWatch(path) as watch:
        assert (watch.changed(), watch.is_there) == (False, False)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA journal_mode = WAL")
            assert (watch.changed(), watch.is_there) == (False, False)
        SightedLog(path).logbook.close()
        assert (watch.changed(), watch.is_there) == (True, True)


def test_a_log_that_is_none_is_an_error(tmp_path: Path) -> None:
    """A damaged one, and one of an earlier or a newer release."""
    path = tmp_path / "feeder.db"
    path.write_bytes(b"no database " * 1000)
    with LogWatch(path) as watch:
        with pytest.raises(LogbookError, match="damaged"):
            watch.changed()
        for version, said in ((1, "earlier release"), (999, "this release knows up to")):
            path.unlink()
            with closing(sqlite3.connect(path)) as connection:
                connection.execute(f"PRAGMA user_version = {version}")
            with pytest.raises(LogbookError, match=said):
                watch.changed()
