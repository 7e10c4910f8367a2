"""What systemd is told, by the sd_notify(3) protocol; nothing where there is no systemd."""

import os
import socket

SECONDS = 1.0
"""How long a manager that does not read may hold the daemon up."""


def notify(*lines: str) -> None:
    """Sends `READY=1`, `WATCHDOG=1`, `STATUS=...` and the like; a lost message is no failure."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        channel.settimeout(SECONDS)
        message = "\n".join(line.replace("\n", " ") for line in lines)
        try:
            channel.connect(address)
            channel.sendall(message.encode(errors="replace"))
        except OSError:
            return


def watchdog_seconds() -> float | None:
    """Seconds that systemd allows between two signs of life; None where it asks none."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 1e6 if allowed.isdigit() else None
