"""The chore that keeps the daemon's companions running: the page, and what tells others.

Each is a process of its own that follows the log, so that nothing it waits for, and nothing that
goes wrong in it, keeps a frame waiting. Through its standard input it hears how the daemon is, and
learns from its end that the daemon is gone.
"""

import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from feeder.clock import Clock
from feeder.config import Settings
from feeder.daemon_link import DaemonState

log = logging.getLogger("feeder.companions")

TELL_SECONDS = 5.0
"""How often they are told how the daemon is."""

FIRST_WAIT, LONGEST_WAIT = 2.0, 600.0
"""Seconds until one that ended is started again; twice as long each time it soon ends again."""

STOP_SECONDS = 5.0
"""How long they have to end before they are killed."""


def wanted(settings: Settings) -> tuple[str, ...]:
    """The companions that the settings ask for, each a command of `feeder`."""
    found = []
    if settings.web.enabled:
        found.append("serve")
    if settings.mqtt.broker is not None or settings.alerts.send_to:
        found.append("announce")
    return tuple(found)


def command(path: Path, name: str) -> list[str]:
    """What starts a companion on the settings at `path`."""
    return [sys.executable, "-m", "feeder", "--config", str(path), name, "--attached"]


@dataclass
class _Companion:
    process: "subprocess.Popen[bytes] | None" = None
    wait: float = FIRST_WAIT
    not_before: float = 0.0
    started: float = 0.0


@dataclass
class Companions:
    """`turn` starts, restarts and informs them; `close` ends them.

    Of these `close` alone ever waits: the loop that calls `turn` has frames to look at.
    """

    path: Path
    clock: Clock = field(default_factory=Clock)
    start: Callable[[Path, str], Sequence[str]] = command
    _running: dict[str, _Companion] = field(default_factory=dict, init=False)
    _leaving: "list[subprocess.Popen[bytes]]" = field(default_factory=list, init=False)
    _kill_at: float = field(default=0.0, init=False)
    _settings: Settings | None = field(default=None, init=False)
    _tell_at: float = field(default=0.0, init=False)

    @property
    def running(self) -> tuple[str, ...]:
        """The names of those that run."""
        return tuple(name for name, one in self._running.items() if one.process is not None)

    def turn(self, settings: Settings, state: DaemonState) -> None:
        """Does what is due; on other settings they all begin anew, once the old ones are gone."""
        if settings is not self._settings:
            self.restart()
            self._settings = settings
            self._running = {name: _Companion() for name in wanted(settings)}
        if not self._have_left():
            return
        now = self.clock.monotonic()
        for name, one in self._running.items():
            self._keep(name, one, now)
        if now >= self._tell_at:
            self._tell_at = now + TELL_SECONDS
            line = json.dumps(state.record()).encode() + b"\n"
            for one in self._running.values():
                _tell(one, line)

    def restart(self) -> None:
        """Has them end; the next turns begin anew. So it is also when another log has taken the
        old one's place."""
        for one in self._running.values():
            if one.process is not None:
                one.process.terminate()
                self._leaving.append(one.process)
        self._kill_at = self.clock.monotonic() + STOP_SECONDS
        self._running, self._settings, self._tell_at = {}, None, 0.0

    def close(self) -> None:
        """Ends them all, those that do not end by themselves by force."""
        self.restart()
        for process in self._leaving:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS / len(self._leaving))
        self._kill_at = self.clock.monotonic()
        while not self._have_left():
            self._leaving[0].wait()

    def _have_left(self) -> bool:
        """Whether those that were to end have; after their time they are killed."""
        for process in list(self._leaving):
            if process.poll() is None:
                if self.clock.monotonic() >= self._kill_at:
                    process.kill()
                continue
            if process.stdin is not None:
                process.stdin.close()
            self._leaving.remove(process)
        return not self._leaving

    def _keep(self, name: str, one: _Companion, now: float) -> None:
        if one.process is not None:
            status = one.process.poll()
            if status is None:
                return
            if one.process.stdin is not None:
                one.process.stdin.close()
            one.process = None
            if now - one.started > LONGEST_WAIT:
                one.wait = FIRST_WAIT
            self._put_off(name, one, now, f"ended (status {status})")
        if now < one.not_before:
            return
        try:
            one.process = subprocess.Popen(
                self.start(self.path, name),
                stdin=subprocess.PIPE,
                bufsize=0,
                start_new_session=True,  # Ctrl-C is the daemon's, which then ends them
            )
        except OSError as error:
            self._put_off(name, one, now, f"does not start ({error})")
            return
        assert one.process.stdin is not None
        # One that does not listen must not hold the daemon up.
        os.set_blocking(one.process.stdin.fileno(), False)
        one.started = now
        self._tell_at = 0.0

    def _put_off(self, name: str, one: _Companion, now: float, what: str) -> None:
        log.error("`feeder %s` %s; it starts again in %g s", name, what, one.wait)
        one.not_before = now + one.wait
        one.wait = min(2 * one.wait, LONGEST_WAIT)


def _tell(one: _Companion, line: bytes) -> None:
    if one.process is None or one.process.stdin is None:
        return
    # It does not listen, or has just ended: a later turn sees which.
    with suppress(BlockingIOError, BrokenPipeError):
        os.write(one.process.stdin.fileno(), line)
