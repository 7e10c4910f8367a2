"""The systemd unit that keeps the daemon up, in a sandbox cut to the settings it was written for.

The directives are those of systemd 252 (Debian 12, Raspberry Pi OS): systemd.exec(5),
systemd.resource-control(5), systemd.service(5).
"""

import ipaddress
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from feeder.companions import wanted
from feeder.config import Settings
from feeder.errors import FeederError

NAME = "feeder.service"

_UNIT = """\
[Unit]
Description=Feeder, the bird feeder's log
Documentation=man:systemd.service(5)
After=local-fs.target time-sync.target
# However often it fails, it is started again: frames wait in their folder meanwhile.
StartLimitIntervalSec=0

[Service]
Type=notify
NotifyAccess=main
ExecStart={python} -m feeder --config {config} run
ExecReload=/bin/kill -HUP $MAINPID
WorkingDirectory={folder}
{user}Restart=always
RestartSec=5
# The first start of a large model embeds hundreds of labels, which takes a small board minutes.
TimeoutStartSec=15min
# Fed only while scanner, worker and writer each progress; SIGABRT then writes to the journal where
# it hung.
WatchdogSec=120
TimeoutStopSec=15
# The daemon ends its own decoder process once the frame at hand is done.
KillMode=mixed
# A decoder that grows too large is one broken frame, not the end of the daemon.
OOMPolicy=continue
LimitCORE=0

# The starter model idles at 140 MB, a large CLIP at 500, and a picture takes 256 MB at most while
# it is decoded; what [web], [mqtt] and [alerts] start beside the daemon has as much again. Between
# the two limits all of it is slowed down.
MemoryHigh={memory_high}M
MemoryMax={memory_max}M
# A quarter of the computer is left to the camera and to you.
CPUQuota={cpu_quota}%
CPUWeight=50
Nice=10
IOSchedulingClass=best-effort
IOSchedulingPriority=7
TasksMax={tasks}

# What needs no privilege. A system call that is not allowed fails; it does not kill.
NoNewPrivileges=yes
UMask=0027
LockPersonality=yes
MemoryDenyWriteExecute=yes
RestrictAddressFamilies={families}
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
SystemCallArchitectures=native
SystemCallErrorNumber=EPERM
SystemCallFilter=@system-service
SystemCallFilter=~@privileged @resources
# ONNX Runtime spreads its threads over the cores; adjtimex tells whether the clock is set.
SystemCallFilter=sched_setaffinity mbind adjtimex clock_adjtime clock_adjtime64
{sandbox}
[Install]
WantedBy={target}
"""

_SANDBOX = """
# What only the system's manager can do.
CapabilityBoundingSet=
AmbientCapabilities=
DevicePolicy=closed
{network}
KeyringMode=private
PrivateDevices=yes
PrivateIPC=yes
PrivateMounts=yes
PrivateUsers=yes
ProtectControlGroups=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectProc=invisible
RemoveIPC=yes
# Not ProcSubset=pid: ONNX Runtime asks /proc/cpuinfo what an ARM can do. Not ProtectClock=yes: it
# also forbids to read how the clock is kept; setting it takes a capability that is not there.

# Everything is read-only but the folders that the settings write to.
ProtectSystem=strict
{folders}
"""

_HOMES = tuple(Path(name) for name in ("/home", "/root", "/run/user"))
_TEMPORARY = tuple(Path(name) for name in ("/tmp", "/var/tmp"))


def unit(settings: Settings, *, for_user: bool) -> str:
    """The unit's text; `for_user` is for the user's own service manager, which needs no root.

    That manager cannot give a private view of the file system without namespaces, which some
    distributions deny to users: its unit has the limits and the system call filter alone.
    """
    companions = wanted(settings)
    memory_high, memory_max = _memory(_physical_memory(), len(companions))
    cores = os.cpu_count() or 1
    return _UNIT.format(
        python=_word(sys.executable).replace("$", "$$"),
        config=_word(str(settings.path)).replace("$", "$$"),
        folder=str(settings.path.parent).replace("%", "%%"),
        user="" if for_user else f"User={owner(settings)}\n",
        memory_high=memory_high,
        memory_max=memory_max,
        cpu_quota=75 * cores,
        tasks=(1 + len(companions)) * (64 + 8 * cores),
        families="AF_UNIX AF_INET AF_INET6" if companions else "AF_UNIX",
        sandbox=""
        if for_user
        else _SANDBOX.format(
            network="\n".join(_network(settings)), folders="\n".join(_folders(settings))
        ),
        target="default.target" if for_user else "multi-user.target",
    )


def unit_path(*, for_user: bool) -> Path:
    """Where systemd looks for it."""
    if for_user:
        base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(base).expanduser() / "systemd" / "user" / NAME
    return Path("/etc/systemd/system") / NAME


def control() -> str:
    """The command that the installed unit obeys; where there are both or none, the user's own."""
    only_system = unit_path(for_user=False).exists() and not unit_path(for_user=True).exists()
    return "sudo systemctl" if only_system else "systemctl --user"


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


def owner(settings: Settings) -> str:
    """Who the daemon runs as: whoever owns the settings, else who called sudo; root as the last."""
    import pwd  # no module of Windows, where there is no systemd either

    try:
        name = pwd.getpwuid(settings.path.stat().st_uid).pw_name
    except (KeyError, OSError):
        name = "root"
    return name if name != "root" else os.environ.get("SUDO_USER", "root")


def _network(settings: Settings) -> Iterator[str]:
    """The directives that close the network, as far as nothing in the settings asks for it."""
    if not wanted(settings):
        yield "IPAddressDeny=any"
        yield "PrivateNetwork=yes"
    elif not _speaks_to_others(settings):
        yield "IPAddressAllow=localhost"
        yield "IPAddressDeny=any"


def _speaks_to_others(settings: Settings) -> bool:
    """Whether more than this computer itself may be reached, or may reach the page."""
    hosts = [settings.web.host] if settings.web.enabled else []
    if settings.mqtt.broker is not None:
        hosts.append(settings.mqtt.broker)
    return bool(settings.alerts.send_to) or not all(map(_is_this_computer, hosts))


def _is_this_computer(host: str) -> bool:
    """Whether a name can mean no other one, wherever it is looked up."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _memory(physical: int, companions: int = 0) -> tuple[int, int]:
    """MemoryHigh and MemoryMax in MiB, on a computer with `physical` bytes."""
    most = min(2048 + 1024 * companions, physical * 3 // 4 >> 20)
    return most * 3 // 4, most


def _physical_memory() -> int:
    if sys.platform == "win32":
        return 1 << 31
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _folders(settings: Settings) -> Iterator[str]:
    """The directives that depend on where things are."""
    base = settings.path.parent
    folders = [deployment.folder for deployment in settings.deployments]
    writes = [base, settings.database.parent, settings.cache, settings.backups, *folders]
    if settings.retention.after == "archive":
        writes.append(settings.archive)
    yield from _each("ReadWritePaths", _outermost(writes))
    # Not even the daemon has business in the program and the models.
    program = [Path(__file__).parent, Path(sys.prefix), *settings.model_folders]
    yield from _each("ReadOnlyPaths", _outermost(path for path in program if _below(path, (base,))))

    named = [*writes, settings.own_labels, settings.calibration, *_named_by_path(settings)]
    named += _secrets(settings)
    named += [Path(os.path.realpath(path)) for path in named]
    elsewhere = [path for path in named if not _below(path, (base, Path(os.path.realpath(base))))]
    if any(_below(path, _HOMES) for path in elsewhere):
        # A folder bound into an empty home would stay the one it was at the start, also after it
        # was deleted and made again; so the homes are shown as they are.
        yield "ProtectHome=read-only"
    else:
        yield "ProtectHome=tmpfs"
        if _below(base, _HOMES):
            yield from _each("BindPaths", [base])
        program = [Path(sys.prefix), Path(sys.base_prefix), Path(__file__).parents[1]]
        program += _links(Path(sys.executable))
        hidden = (path for path in program if _below(path, _HOMES) and not _below(path, (base,)))
        yield from _each("BindReadOnlyPaths", _outermost(hidden))
    if not any(_below(path, _TEMPORARY) for path in named):
        yield "PrivateTmp=yes"


def _named_by_path(settings: Settings) -> list[Path]:
    """Lists of birds, and the model and the vocabulary where the settings give a path."""
    names = (settings.bundle_name, settings.vocabulary_name or "")
    lists = (settings.region_files(deployment.name) for deployment in settings.deployments)
    paths = [path for pair in lists for path in pair if path is not None]
    return [*paths, *(path for path in map(Path, names) if path.is_absolute())]


def _secrets(settings: Settings) -> list[Path]:
    """Files of passwords and addresses that companions read."""
    names = [settings.web.password] if settings.web.enabled else []
    if settings.mqtt.broker is not None and settings.mqtt.password is not None:
        names.append(settings.mqtt.password)
    names += [name for name in settings.alerts.send_to if "://" not in name]
    return [settings.resolve(name) for name in names]


def _links(path: Path) -> Iterator[Path]:
    """The folder of each link on the way from a virtual environment's `python` to the real one."""
    for _ in range(40):
        yield path.parent
        if not path.is_symlink():
            return
        path = Path(os.path.normpath(path.parent / path.readlink()))


def _below(path: Path, folders: Iterable[Path]) -> bool:
    return any(path.is_relative_to(folder) for folder in folders)


def _outermost(paths: Iterable[Path]) -> list[Path]:
    """Each path once, without those that lie below another."""
    found = sorted(set(paths))
    return [path for path in found if not _below(path, set(found) & set(path.parents))]


def _each(directive: str, paths: Iterable[Path]) -> Iterator[str]:
    """A line for each path; `-`: one that is not there is passed over."""
    for path in paths:
        name = str(path).replace(":", "\\:") if directive.startswith("Bind") else str(path)
        yield f"{directive}={_word(f'-{name}')}"


def _word(text: str) -> str:
    """A word of a unit file, in which % and \\ and quotes mean something."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return f'"{escaped}"'
