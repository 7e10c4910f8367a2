"""The service manager's end of the notification socket."""

import contextlib
import socket
import threading
from pathlib import Path


class ServiceManager:
    """Hears what a daemon tells systemd; `environment` makes the daemon tell it."""

    def __init__(self, folder: Path, watchdog_seconds: float) -> None:
        address = folder / "notify"
        self._channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._channel.bind(str(address))
        self.environment = {
            "NOTIFY_SOCKET": str(address),
            "WATCHDOG_USEC": str(int(watchdog_seconds * 1e6)),
        }
        self.heard: list[str] = []
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Listens no more."""
        with contextlib.suppress(OSError):
            self._channel.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._channel.close()

    @property
    def signs(self) -> int:
        """Signs of life heard so far."""
        return sum(message.startswith("WATCHDOG=1") for message in self.heard)

    @property
    def status(self) -> str:
        """The state in words that `systemctl status` would show."""
        told = [line for message in self.heard for line in message.split("\n")]
        return next((line for line in reversed(told) if line.startswith("STATUS=")), "")

    def _listen(self) -> None:
        while message := self._channel.recv(4096):
            self.heard.append(message.decode(errors="replace"))
