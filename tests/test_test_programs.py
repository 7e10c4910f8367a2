"""What finds and installs the programs that tests talk to."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "scripts" / "test_programs.sh"

APT = """#!/bin/sh
echo "$*" >> "$CALLS"
[ -e "$POLICY" ] && echo "held back" >> "$CALLS"
[ ! -e "$CALLS.fail" ]
"""


class Computer:
    """A computer with a few programs, an `apt-get` of which can be seen what it was asked."""

    def __init__(self, root: Path, *programs: str, user: int = 0) -> None:
        self.calls = root / "calls"
        self.policy = root / "policy-rc.d"
        self.bin = root / "bin"
        self.bin.mkdir()
        for name in ("sh", "rm", "chmod", "sleep", "cat"):
            found = shutil.which(name)
            assert found is not None
            (self.bin / name).symlink_to(found)
        self._add("id", f"#!/bin/sh\necho {user}\n")
        self._add("apt-get", APT)
        for name in programs:
            self._add(name, "#!/bin/sh\n")
        # The script looks in /usr/sbin, too, as this computer has it.
        self.script = root / "test_programs.sh"
        text = SCRIPT.read_text(encoding="utf-8").replace(':/usr/sbin"', '"')
        self.script.write_text(text, encoding="utf-8")
        self.script.chmod(0o755)

    def _add(self, name: str, text: str) -> None:
        path = self.bin / name
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def run(self, what: str) -> str:
        """Runs the script, which must succeed; what it said on standard error."""
        done = subprocess.run(
            [self.script, what],
            env={
                "PATH": os.fspath(self.bin),
                "CALLS": os.fspath(self.calls),
                "POLICY": os.fspath(self.policy),
                "RETRY_SECONDS": "0",
            },
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == ""
        return done.stderr

    def asked(self) -> list[str]:
        """What `apt-get` was asked."""
        return self.calls.read_text(encoding="utf-8").splitlines() if self.calls.exists() else []


@pytest.mark.parametrize("what", ["list", "install"])
def test_nothing_is_said_where_nothing_is_missing(tmp_path: Path, what: str) -> None:
    """With a browser and a broker there is nothing to do."""
    computer = Computer(tmp_path, "google-chrome", "mosquitto")
    assert (computer.run(what), computer.asked()) == ("", [])


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    """One line says what, and the command that gets it."""
    (line,) = Computer(tmp_path, "chromium").run("list").splitlines()
    assert line.endswith("without: mosquitto (Debian: apt install mosquitto)")


def test_nobody_but_root_installs(tmp_path: Path) -> None:
    """Without the right to install, what is missing is named and the tests go on."""
    computer = Computer(tmp_path, user=1000)
    assert "apt install chromium mosquitto" in computer.run("install")
    assert computer.asked() == []


def test_root_installs_quietly_and_starts_no_service(tmp_path: Path) -> None:
    """The package's own broker is held back meanwhile, and nothing is left behind."""
    computer = Computer(tmp_path)
    assert computer.run("install") == "installing for the tests: chromium mosquitto\n"
    update, held, install, _ = computer.asked()
    assert update.endswith("update") and install.endswith("install chromium mosquitto")
    assert held == "held back"
    assert not computer.policy.exists()


def test_a_policy_that_is_there_stays(tmp_path: Path) -> None:
    """What the owner of the computer said about services is left alone."""
    computer = Computer(tmp_path)
    computer.policy.write_text("mine", encoding="utf-8")
    computer.run("install")
    assert computer.policy.read_text(encoding="utf-8") == "mine"


def test_it_is_tried_twice_and_then_gone_without(tmp_path: Path) -> None:
    """Where packages cannot be had, that is said, and is no failure."""
    computer = Computer(tmp_path)
    computer.calls.with_name("calls.fail").touch()
    said = computer.run("install")
    assert said.splitlines()[-1] == "not installed, so some tests will skip: chromium mosquitto"
    assert sum(line.endswith("update") for line in computer.asked()) == 2
    assert not computer.policy.exists()
