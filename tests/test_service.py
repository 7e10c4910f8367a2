"""The systemd unit."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from feeder import config, service
from feeder.config import Settings

HOME_CHECKOUT = Path("/home/birder/feeder")

MOST_EXPOSED = 15
"""The promise's 1.5, in the tenths that systemd-analyze counts in."""


WEB = "[web]\nenabled = true\n"
OPEN_WEB = WEB + 'host = "0.0.0.0"\n'
MQTT = '[mqtt]\nbroker = "homeassistant.local"\n'
ALERTS = '[alerts]\nsend_to = ["data/alert-urls"]\n'


def settings_with(sections: str, folder: Path = HOME_CHECKOUT) -> Settings:
    """Settings of a camera and these sections."""
    text = f'[[deployment]]\nname = "garden"\nfolder = "snapshots"\n{sections}'
    return config.parse(text, folder / "config.toml")


def settings_in(folder: Path, drop: str = "snapshots", **model: str) -> Settings:
    """A fresh configuration in `folder`, which need not exist, with another drop folder."""
    text = config.fresh(folder=drop)
    for key, value in model.items():
        text = text.replace(f'\n{key} = "', f'\n{key} = "{value}" # "')
    return config.parse(text, folder / "config.toml")


def lines(unit: str, directive: str) -> list[str]:
    """The values of a directive, unquoted, in their order."""
    found = [line for line in unit.splitlines() if line.startswith(f"{directive}=")]
    return [line.partition("=")[2].strip('"') for line in found]


@pytest.fixture
def installed(
    write_config: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Path]:
    """Writes the unit of a feeder that an ordinary user owns."""
    path = write_config()
    if os.geteuid() == 0:
        os.chown(path, 1, 1)
    monkeypatch.delenv("SUDO_USER", raising=False)

    def write(*, for_user: bool) -> Path:
        unit = path.with_name(service.NAME)
        unit.write_text(service.unit(config.load(path), for_user=for_user), encoding="utf-8")
        return unit

    return write


def analyze(*arguments: str | Path, runtime: Path) -> subprocess.CompletedProcess[str]:
    """What systemd-analyze says; skips where there is none, or one too old to look at a file."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("no systemd-analyze here")
    done = subprocess.run(
        ["systemd-analyze", "--no-pager", *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "XDG_RUNTIME_DIR": str(runtime)},
    )
    if "unrecognized option" in done.stderr or "Unknown operation" in done.stderr:
        pytest.skip(f"too old a systemd-analyze: {done.stderr.strip()}")
    return done


def test_the_unit_fits_the_checkout(installed: Callable[..., Path]) -> None:
    """It names this interpreter and config, notifies, is watched, and is started for ever."""
    path = installed(for_user=False)
    unit = path.read_text(encoding="utf-8")
    config_path = path.with_name("config.toml")
    assert f'ExecStart="{sys.executable}" -m feeder --config "{config_path}" run' in unit
    for line in ("Type=notify", "WatchdogSec=120", "Restart=always", "StartLimitIntervalSec=0"):
        assert f"\n{line}\n" in unit
    for limit in ("MemoryMax", "MemoryHigh", "CPUQuota", "TasksMax"):
        assert lines(unit, limit)
    assert not lines(installed(for_user=True).read_text(encoding="utf-8"), "User")


def test_the_unit_is_sandboxed(installed: Callable[..., Path], tmp_path: Path) -> None:
    """systemd's own audit gives the system's unit an exposure of at most 1.5."""
    unit = installed(for_user=False)
    done = analyze(
        "security", "--offline=true", f"--threshold={MOST_EXPOSED}", unit, runtime=tmp_path
    )
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("for_user", [False, True])
def test_systemd_understands_every_line(
    for_user: bool, installed: Callable[..., Path], tmp_path: Path
) -> None:
    """Neither unit holds a directive or value that systemd does not know."""
    unit = installed(for_user=for_user)
    manager = "--user" if for_user else "--system"
    done = analyze(manager, "verify", unit, runtime=tmp_path)
    said = [line for line in done.stderr.splitlines() if service.NAME in line]
    assert (done.returncode, said) == (0, []), done.stderr


def test_it_runs_as_the_owner_of_the_settings(
    installed: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Installed by root, the daemon runs as the user whose settings they are, else as sudo's."""
    unit = installed(for_user=False)
    settings = config.load(unit.with_name("config.toml"))
    assert lines(unit.read_text(encoding="utf-8"), "User") == [service.owner(settings)]
    assert service.owner(settings) != "root"
    if os.geteuid() == 0:
        os.chown(settings.path, 0, 0)
        monkeypatch.setenv("SUDO_USER", "birder")
        assert service.owner(settings) == "birder"


def test_only_the_settings_folders_can_be_written() -> None:
    """Writable are the folder of the settings and those the settings name; not the models."""
    unit = service.unit(settings_in(HOME_CHECKOUT), for_user=False)
    assert lines(unit, "ReadWritePaths") == ["-/home/birder/feeder"]
    assert "-/home/birder/feeder/models" in lines(unit, "ReadOnlyPaths")
    moved = settings_in(Path("/srv/birds"), drop="/mnt/nas/cam", file="/var/lib/birds/log.db")
    assert lines(service.unit(moved, for_user=False), "ReadWritePaths") == [
        "-/mnt/nas/cam",
        "-/srv/birds",
        "-/var/lib/birds",
    ]


@pytest.mark.parametrize(
    ("drop", "protect", "bound"),
    [
        ("snapshots", "tmpfs", ["-/home/birder/feeder"]),
        ("/mnt/nas/cam", "tmpfs", ["-/home/birder/feeder"]),
        ("/home/camera/upload", "read-only", []),
    ],
)
def test_of_the_homes_it_sees_no_more_than_it_must(
    drop: str, protect: str, bound: list[str]
) -> None:
    """Homes are empty but for the settings' folder; read-only where a drop folder is in one."""
    unit = service.unit(settings_in(HOME_CHECKOUT, drop), for_user=False)
    assert lines(unit, "ProtectHome") == [protect]
    assert lines(unit, "BindPaths") == bound


def test_a_drop_folder_under_tmp_is_seen() -> None:
    """A private /tmp would hide the pictures that a camera's program puts there."""
    assert "PrivateTmp=yes" in service.unit(settings_in(HOME_CHECKOUT), for_user=False)
    unit = service.unit(settings_in(HOME_CHECKOUT, "/tmp/motion"), for_user=False)
    assert "PrivateTmp" not in unit


def test_odd_names_are_quoted() -> None:
    """Spaces, quotes, percent and dollar signs in a path mean themselves."""
    unit = service.unit(settings_in(Path('/srv/a "b" 100% $c')), for_user=False)
    assert '--config "/srv/a \\"b\\" 100%% $$c/config.toml" run' in unit
    assert 'ReadWritePaths="-/srv/a \\"b\\" 100%% $c"' in unit
    assert 'WorkingDirectory=/srv/a "b" 100%% $c\n' in unit


@pytest.mark.parametrize(("physical", "limits"), [(1 << 30, (576, 768)), (4 << 30, (1536, 2048))])
def test_memory_limits_fit_the_computer(physical: int, limits: tuple[int, int]) -> None:
    """At most 2 GiB, and a quarter of a small board's memory is left to others."""
    assert service._memory(physical) == limits


def test_without_companions_there_is_no_network() -> None:
    """What the settings do not ask for is closed: no address family, no network, no address."""
    unit = service.unit(settings_with(""), for_user=False)
    assert lines(unit, "RestrictAddressFamilies") == ["AF_UNIX"]
    assert lines(unit, "PrivateNetwork") == ["yes"]
    assert (lines(unit, "IPAddressDeny"), lines(unit, "IPAddressAllow")) == (["any"], [])
    user = service.unit(settings_with(""), for_user=True)
    assert lines(user, "RestrictAddressFamilies") == ["AF_UNIX"]


@pytest.mark.parametrize("sections", [WEB, '[mqtt]\nbroker = "127.0.0.1"\n'])
def test_what_stays_on_this_computer_reaches_no_other(sections: str) -> None:
    """A page or a broker at 127.0.0.1 opens the way to this computer itself, and no further."""
    unit = service.unit(settings_with(sections), for_user=False)
    assert lines(unit, "RestrictAddressFamilies") == ["AF_UNIX AF_INET AF_INET6"]
    assert lines(unit, "PrivateNetwork") == []
    assert (lines(unit, "IPAddressDeny"), lines(unit, "IPAddressAllow")) == (["any"], ["localhost"])


@pytest.mark.parametrize("sections", [OPEN_WEB, MQTT, ALERTS, WEB + ALERTS])
def test_what_speaks_to_others_may(sections: str) -> None:
    """A page for the house, a broker elsewhere and messages need addresses of others."""
    unit = service.unit(settings_with(sections), for_user=False)
    assert lines(unit, "RestrictAddressFamilies") == ["AF_UNIX AF_INET AF_INET6"]
    for directive in ("PrivateNetwork", "IPAddressDeny", "IPAddressAllow"):
        assert lines(unit, directive) == []


@pytest.mark.parametrize(("sections", "most"), [(WEB, 16), (OPEN_WEB + MQTT + ALERTS, 17)])
def test_with_a_network_it_is_sandboxed_still(sections: str, most: int, tmp_path: Path) -> None:
    """systemd's audit gives 1.6 with a page for this computer, 1.7 with everything there is."""
    settings = settings_with(sections, tmp_path)
    settings.path.touch()
    if os.geteuid() == 0:
        os.chown(settings.path, 1, 1)
    unit = tmp_path / service.NAME
    unit.write_text(service.unit(settings, for_user=False), encoding="utf-8")
    done = analyze("security", "--offline=true", f"--threshold={most}", unit, runtime=tmp_path)
    assert done.returncode == 0, done.stdout
    done = analyze("--system", "verify", unit, runtime=tmp_path)
    assert [line for line in done.stderr.splitlines() if service.NAME in line] == []


def test_companions_have_memory_and_threads_of_their_own() -> None:
    """The daemon is not slowed down because a page is shown."""
    alone, three = (
        service.unit(settings_with(sections), for_user=False) for sections in ("", WEB + ALERTS)
    )
    assert service._memory(16 << 30, 2) == (3072, 4096)
    assert int(lines(three, "TasksMax")[0]) == 3 * int(lines(alone, "TasksMax")[0])


def test_files_of_secrets_elsewhere_are_seen() -> None:
    """A password's file in a home is not hidden from what reads it."""
    settings = settings_with(WEB + 'password = "/home/ada/secret"\n')
    assert lines(service.unit(settings, for_user=False), "ProtectHome") == ["read-only"]


def test_hints_name_the_command_of_the_installed_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was installed for the user is controlled by `systemctl --user`."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    path = service.install(settings_in(tmp_path), for_user=True)
    assert path == tmp_path / "systemd" / "user" / service.NAME
    assert service.control() == "systemctl --user"
