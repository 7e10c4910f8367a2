"""The systemd unit that keeps the daemon up."""

import getpass
import os
import sys
from pathlib import Path

from feeder.config import Settings
from feeder.errors import FeederError

NAME = "feeder.service"

_UNIT = """\
[Unit]
Description=Feeder, the bird feeder's log
Documentation=man:systemd.service(5)
After=local-fs.target time-sync.target

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m feeder --config {config} run
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={folder}
{user}Restart=always
RestartSec=5
WatchdogSec=120
TimeoutStopSec=15
# The daemon ends its own decoder process once the frame at hand is done.
KillMode=mixed
Nice=10
NoNewPrivileges=yes
PrivateTmp=yes
RestrictAddressFamilies=AF_UNIX

[Install]
WantedBy={target}
"""


def unit(settings: Settings, *, for_user: bool) -> str:
    """The unit's text; `for_user` is for the user's own service manager, which needs no root."""
    return _UNIT.format(
        python=_quoted(sys.executable),
        config=_quoted(str(settings.path)),
        folder=str(settings.path.parent).replace("%", "%%"),
        user="" if for_user else f"User={_owner()}\n",
        target="default.target" if for_user else "multi-user.target",
    )


def unit_path(*, for_user: bool) -> Path:
    """Where systemd looks for it."""
    if for_user:
        base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(base).expanduser() / "systemd" / "user" / NAME
    return Path("/etc/systemd/system") / NAME


def install(settings: Settings, *, for_user: bool) -> Path:
    """Writes the unit. Raises FeederError where systemd is absent or root is needed."""
    if sys.platform != "linux":
        raise FeederError(
            "Services are installed by systemd, which this system does not have.",
            "Run `feeder run` from launchd or the task scheduler instead.",
        )
    path = unit_path(for_user=for_user)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(unit(settings, for_user=for_user), encoding="utf-8")
    except PermissionError:
        raise FeederError(
            f"{path} cannot be written by this user.",
            "Run it with sudo, or install for yourself alone with --user.",
        ) from None
    return path


def _owner() -> str:
    """The user who called sudo, if one did: the daemon should not be root."""
    return os.environ.get("SUDO_USER") or getpass.getuser()


def _quoted(text: str) -> str:
    """A word of systemd's ExecStart, in which % and \\ and quotes mean something."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"'
