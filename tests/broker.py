"""A real MQTT broker on a port of its own, and somebody who listens to it."""

import base64
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import threading
import time as wall
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.feeder_process import PATIENCE
from tests.site import free_port

USER, PASSWORD = "feeder", "seeds and nuts"


def mosquitto() -> str:
    """The program; skips where there is none."""
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
    if found is None:
        pytest.skip("no mosquitto on this computer; on Debian: apt install mosquitto")
    return found


def until(happened: Callable[[], bool], what: object = "") -> None:
    """Waits for another process's doing."""
    deadline = wall.monotonic() + PATIENCE
    while not happened():
        assert wall.monotonic() < deadline, what() if callable(what) else what
        wall.sleep(0.02)


class Broker:
    """Mosquitto in `folder`; `lines` are more of its settings. It keeps what is retained."""

    def __init__(self, folder: Path, *lines: str) -> None:
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.tls: ssl.SSLContext | None = None
        self.login: tuple[str, str] | None = None
        self._program = mosquitto()
        self._settings = folder / "mosquitto.conf"
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = folder
        self.configure(*(lines or ("allow_anonymous true",)))

    def configure(self, *lines: str) -> None:
        """Writes its settings."""
        text = [
            f"listener {self.port} 127.0.0.1",
            "user root",  # started by root it would become a user who may not read its files
            "persistence true",
            f"persistence_location {self._folder}/",
            *lines,
        ]
        self._settings.write_text("\n".join(text) + "\n", encoding="utf-8")

    def start(self) -> None:
        """Starts it, and returns once it listens."""
        with (self._folder / "said.txt").open("ab") as said:
            self._process = subprocess.Popen(
                [self._program, "-c", str(self._settings)], stdout=said, stderr=said
            )
        until(self._listens, lambda: (self._folder / "said.txt").read_text())

    def stop(self) -> None:
        """Stops it; what is retained it writes to its folder."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(PATIENCE)
            self._process = None

    def _listens(self) -> bool:
        with closing(socket.socket()) as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    @contextmanager
    def listener(self, *topics: str) -> Iterator["Listener"]:
        """Somebody who subscribes to these topics now."""
        made = Listener(self, topics or ("#",))
        try:
            yield made
        finally:
            made.close()

    def retained(self, topic: str) -> bytes | None:
        """What somebody who subscribes now is given at once; None where it is nothing."""
        with self.listener(topic, "$SYS/broker/version") as one:
            # The broker's own version is retained, too, and comes after.
            until(lambda: "$SYS/broker/version" in one.latest)
            return one.latest.get(topic)


class Listener:
    """Keeps every message, and the latest on each topic."""

    def __init__(self, broker: Broker, topics: tuple[str, ...]) -> None:
        self.messages: list[tuple[str, bytes, bool]] = []
        self.latest: dict[str, bytes] = {}
        subscribed = threading.Event()
        client = Client(CallbackAPIVersion.VERSION2)
        if broker.login is not None:
            client.username_pw_set(*broker.login)
        if broker.tls is not None:
            client.tls_set_context(broker.tls)
        client.on_message = lambda _, data, message: self._take(
            message.topic, bytes(message.payload), message.retain
        )
        client.on_connect = lambda *_: client.subscribe([(topic, 0) for topic in topics])
        client.on_subscribe = lambda *_: subscribed.set()
        client.connect("127.0.0.1" if broker.tls is None else "localhost", broker.port)
        client.loop_start()
        self.client = client
        assert subscribed.wait(PATIENCE)

    def _take(self, topic: str, payload: bytes, is_retained: bool) -> None:
        self.messages.append((topic, payload, is_retained))
        self.latest[topic] = payload

    def json(self, topic: str) -> Any:
        """The latest message on a topic; an empty record where there is none."""
        return json.loads(self.latest.get(topic) or b"{}")

    def all(self, topic: str) -> list[Any]:
        """Every message on a topic."""
        return [json.loads(payload) for name, payload, _ in self.messages if name == topic]

    def close(self) -> None:
        """Goes."""
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture
def resting_broker(tmp_path: Path) -> Iterator[Broker]:
    """A broker that lets everybody in, not started yet."""
    made = Broker(tmp_path / "broker")
    yield made
    made.stop()


@pytest.fixture
def broker(resting_broker: Broker) -> Broker:
    """The same, running."""
    resting_broker.start()
    return resting_broker


@contextmanager
def hanging() -> Iterator[int]:
    """The port of something that takes connections and never says a word."""
    with closing(socket.socket()) as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        yield int(server.getsockname()[1])


def with_password(broker: Broker, folder: Path) -> None:
    """Has the broker ask for `USER` and `PASSWORD`, from its next start on."""
    salt = b"0123456789ab"
    # PBKDF2-SHA512 as mosquitto_passwd writes it.
    digest = hashlib.pbkdf2_hmac("sha512", PASSWORD.encode(), salt, 101)
    line = f"{USER}:$7$101${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}\n"
    passwords = folder / "passwords"
    passwords.write_text(line, encoding="ascii")
    passwords.chmod(0o600)
    broker.configure("allow_anonymous false", f"password_file {passwords}")
    broker.login = USER, PASSWORD


def with_tls(broker: Broker, folder: Path) -> Path:
    """Has the broker speak TLS as `localhost`; the file of the authority that vouches for it."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("no openssl on this computer, to make a throwaway authority with")
    made = [
        folder / name for name in ("ca.key", "ca.pem", "broker.key", "broker.csr", "broker.pem")
    ]
    ca_key, ca, key, request, certificate = map(str, made)
    names = folder / "names.txt"
    names.write_text("subjectAltName=DNS:localhost\n", encoding="ascii")
    new = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    days = ["-days", "2"]
    for arguments in (
        ["req", "-x509", *new, "-keyout", ca_key, "-out", ca, *days, "-subj", "/CN=Feeder test"],
        ["req", *new, "-keyout", key, "-out", request, "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", request, "-CA", ca, "-CAkey", ca_key, "-CAcreateserial", "-out",
         certificate, *days, "-extfile", str(names)],
    ):  # fmt: skip
        subprocess.run([openssl, *arguments], check=True, capture_output=True)
    broker.configure("allow_anonymous true", f"certfile {certificate}", f"keyfile {key}")
    broker.tls = ssl.create_default_context(cafile=ca)
    return Path(ca)
