"""What systemd is told, by the sd_notify(3) protocol; nothing where there is no systemd."""

import os
import socket


def notify(*lines: str) -> None:
    """Sends `READY=1`, `WATCHDOG=1`, `STATUS=...` and the like; a lost message is no failure."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address or not hasattr(socket, "AF_UNIX"):
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as channel:
        try:
            channel.connect(address)
            channel.sendall("\n".join(lines).encode())
        except OSError:
            return


def watchdog_interval() -> float | None:
    """Seconds between two signs of life, half of what systemd allows; None where it asks none."""
    allowed = os.environ.get("WATCHDOG_USEC", "")
    return int(allowed) / 1e6 / 2 if allowed.isdigit() else None
