"""What the operating system says about its own time: read, never set.

A Raspberry Pi has no battery clock: it boots with the time of its last shutdown and is right
once the network has told it the time. The kernel knows whether that has happened.
"""

import ctypes
import errno
import functools
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime
from pathlib import Path

_STA_UNSYNC = 0x0040  # adjtimex(2)

_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_BATTERY = Path("/sys/class/rtc/rtc0/since_epoch")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Timex(ctypes.Structure):
    """The head of `struct timex`, and more room than its tail takes on any system."""

    _fields_ = (
        ("modes", ctypes.c_uint),  # 0: nothing is set
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("_tail", ctypes.c_byte * 512),
    )


def since_boot() -> float:
    """Seconds since the computer started, its sleep included; no setting of the clock moves it."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC_RAW)
    return time.monotonic()


@functools.cache
def boot_id() -> str:
    """What tells this boot from every other; where nothing does, each process is one."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        return str(uuid.uuid4())


def synchronised() -> bool | None:
    """Whether the kernel takes the time to be right; None where there is none to ask.

    False also after some nine hours without network, and for ever in a virtual machine whose
    host keeps the time.
    """
    if sys.platform != "linux":
        return None
    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "adjtimex"):
        return None
    answer = _Timex()
    if libc.adjtimex(ctypes.byref(answer)) < 0:
        # A sandbox that forbids the question does not make the time right.
        return None if ctypes.get_errno() == errno.ENOSYS else False
    return not answer.status & _STA_UNSYNC


def synchronised_at() -> float | None:
    """When systemd-timesyncd last set the clock, in Unix time; None where it has not."""
    try:
        return _SYNCHRONISED.stat().st_mtime
    except OSError:
        return None


def awaits_synchronisation() -> bool:
    """Whether systemd-timesyncd runs and has not reached a time server in this boot."""
    return _SYNCHRONISED.parent.is_dir() and not _SYNCHRONISED.exists()


def battery_clock() -> float | None:
    """The battery clock's reading in Unix time, to the second; None where there is none."""
    try:
        return float(_BATTERY.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def early_offset() -> float | None:
    """Wall minus since-boot time, in seconds, as systemd read them when this boot was young.

    Tells of a clock that was set before this program started. None where there is no systemd.
    """
    if not Path("/run/systemd/system").is_dir():
        return None
    name = "ActiveEnterTimestamp"
    command = ["systemctl", "show", "sysinit.target", "--timestamp=us+utc"]
    command += [f"--property={name}", f"--property={name}Monotonic"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return parse_early(done.stdout)


def parse_early(said: str) -> float | None:
    """The offset in what `systemctl show` says of a unit's start; None where it says none."""
    found = dict(line.split("=", 1) for line in said.splitlines() if "=" in line)
    try:
        day, clock = found["ActiveEnterTimestamp"].split()[1:3]  # Sat 2026-11-21 11:59:59.25 UTC
        wall = datetime.fromisoformat(f"{day} {clock}").replace(tzinfo=UTC).timestamp()
        since = int(found["ActiveEnterTimestampMonotonic"]) / 1e6
    except (KeyError, ValueError):
        return None
    return wall - since if since > 0 else None
