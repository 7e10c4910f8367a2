"""The tally of a run, and what a machine must have for some of the proofs."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.reliability.tally import Tally

_TALLY = pytest.StashKey[Tally]()


def pytest_configure(config: pytest.Config) -> None:
    """Reads how often each promise is to be tried."""
    chosen = dict(pair.split("=", 1) for pair in config.getoption("--count"))
    counts = {name: int(count) for name, count in chosen.items()}
    config.stash[_TALLY] = Tally(config.getoption("--full"), counts)


def pytest_terminal_summary(
    terminalreporter: pytest.TerminalReporter, config: pytest.Config
) -> None:
    """Prints the counts, whatever the verbosity."""
    tally = config.stash[_TALLY]
    if tally.lines:
        terminalreporter.section("reliability")
        for line in sorted(tally.lines):
            terminalreporter.write_line(line)


@pytest.fixture
def tally(request: pytest.FixtureRequest) -> Tally:
    """How often to try, and where to say what came of it."""
    return request.config.stash[_TALLY]


@pytest.fixture
def needs() -> Callable[..., None]:
    """Skips where this machine lacks root, Linux or a program that a proof is made with."""

    def check(*programs: str, root: bool = False) -> None:
        if sys.platform != "linux":
            pytest.skip("this proof is made with Linux's own means")
        if root and os.geteuid() != 0:
            pytest.skip("this proof mounts file systems, which needs root")
        for program in programs:
            if shutil.which(program) is None:
                pytest.skip(f"this proof needs {program}")
        if root and subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
            pytest.skip("this machine lets nobody mount anything")

    return check
