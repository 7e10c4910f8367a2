"""The connection to an MQTT broker: made again for ever, and never waited for."""

import hashlib
import logging
import os
import socket
import ssl
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from feeder.errors import ConfigError, FeederError
from feeder.outward_sections import MqttSection
from feeder.plain_text import plain

log = logging.getLogger("feeder.mqtt")

KEEPALIVE_SECONDS = 30
"""A broker that has been silent for so long counts as gone, and so does the feeder to it."""

FIRST_WAIT, LONGEST_WAIT = 1, 120
"""Seconds before another attempt; twice as long each time."""

GOODBYE_SECONDS = 2.0
"""How long the last words may take."""


_Properties = Properties | None


@dataclass(frozen=True, slots=True)
class Access:
    """Where the broker is and what it is told; `password` is what the file holds."""

    host: str
    port: int
    tls: bool
    username: str | None = None
    password: str | None = None

    @property
    def place(self) -> str:
        """For people."""
        return f"{plain(self.host)}:{self.port}"


def access(settings: MqttSection, password_file: Path | None) -> Access:
    """What [mqtt] says, with the password read. Raises ConfigError where that cannot be had."""
    assert settings.broker is not None
    password = None
    if password_file is not None:
        if settings.username is None:
            raise ConfigError(
                "There is a `password` under [mqtt], and no `username`.", "Add the `username`."
            )
        try:
            password = password_file.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(
                f"The password for the MQTT broker cannot be read: {error}.",
                f"Write it into {password_file}, and `chmod 600 {password_file}`.",
            ) from error
    return Access(settings.broker, settings.port, settings.tls, settings.username, password)


class BrokerLink:
    """Connects in a thread of its own from `start` on; all else is called from one other thread.

    `will` is the topic and payload that the broker publishes, retained, when this program dies.
    After each connection `take_connected` says so once. What is published while there is none is
    dropped: after a connection whoever publishes says everything anew.
    """

    def __init__(
        self, access: Access, identity: str, will: tuple[str, str], topics: Sequence[str]
    ) -> None:
        self._access = access
        self._topics = list(topics)
        self._said = ""
        self._refused = False
        self._is_connected = threading.Event()
        self._is_new = threading.Event()
        self._is_gone = threading.Event()
        self._messages: SimpleQueue[MQTTMessage] = SimpleQueue()
        self._client = _client(access, client_id(identity))
        self._client.will_set(*will, retain=True)
        self._client.reconnect_delay_set(FIRST_WAIT, LONGEST_WAIT)
        self._client.on_connect = self._connected
        self._client.on_connect_fail = self._failed
        self._client.on_disconnect = self._disconnected
        self._client.on_message = lambda client, data, message: self._messages.put(message)

    def start(self) -> None:
        """Begins to connect."""
        self._client.connect_async(self._access.host, self._access.port, KEEPALIVE_SECONDS)
        self._client.loop_start()

    @property
    def is_connected(self) -> bool:
        """Whether the broker takes messages now."""
        return self._is_connected.is_set()

    def take_connected(self) -> bool:
        """Whether there has been a new connection since the last call."""
        was_new = self._is_new.is_set()
        if was_new:  # else one that comes at this moment would be overlooked
            self._is_new.clear()
        return was_new

    def messages(self) -> list[MQTTMessage]:
        """What has come on the topics since the last call."""
        found = []
        while True:
            try:
                found.append(self._messages.get_nowait())
            except Empty:
                return found

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Sends a message if there is a connection. It does not wait."""
        if self.is_connected:
            # Quality 0: the stream of a connection loses nothing, and after another connection all
            # that is kept is said anew; what is not kept must not come twice.
            self._client.publish(topic, payload, qos=0, retain=retain)

    def close(self, last: tuple[str, str]) -> None:
        """Says the last words where anybody listens, and lets go; within seconds."""
        # The thread is not waited for: it may wait for a name server, and ends with the process.
        if not self.is_connected:
            self._client.disconnect()
            return
        with suppress(RuntimeError):  # the connection has just gone
            self._client.publish(*last, retain=True).wait_for_publish(GOODBYE_SECONDS)
        self._client.disconnect()
        self._is_gone.wait(GOODBYE_SECONDS)

    def _connected(
        self, client: Client, data: object, flags: ConnectFlags, reason: ReasonCode, _: _Properties
    ) -> None:
        if reason.is_failure:
            self._refused = True
            self._say(_refusal(self._access, str(reason)))
            return
        self._refused = False
        self._is_gone.clear()
        client.subscribe([(topic, 0) for topic in self._topics])
        self._is_connected.set()
        self._is_new.set()
        self._said = ""
        log.info("connected to the MQTT broker at %s", self._access.place)

    def _failed(self, client: Client, data: object) -> None:
        error = sys.exc_info()[1]
        self._say(_trouble(self._access, error) if isinstance(error, OSError) else str(error))

    def _disconnected(
        self,
        client: Client,
        data: object,
        flags: DisconnectFlags,
        reason: ReasonCode,
        properties: _Properties,
    ) -> None:
        was_connected = self._is_connected.is_set()
        self._is_connected.clear()
        self._is_gone.set()
        if self._refused or not reason.is_failure:
            self._refused = False
        elif was_connected:
            self._say(f"the connection to the MQTT broker at {self._access.place} broke")
        else:
            self._say(_silence(self._access))

    def _say(self, what: str) -> None:
        """Says what is in the way, once for as long as it stays the same."""
        if what != self._said:
            self._said = what
            log.warning("%s; it is tried again, and nothing else waits for it", what)


class _Client(Client):
    """paho's, whose thread survives a host name that no encoder takes."""

    def reconnect(self) -> MQTTErrorCode:
        try:
            return super().reconnect()
        except UnicodeError as error:
            raise socket.gaierror(socket.EAI_NONAME, "no name of a computer") from error


def _client(access: Access, identity: str) -> Client:
    client = _Client(CallbackAPIVersion.VERSION2, client_id=identity)
    if access.username is not None:
        client.username_pw_set(access.username, access.password)
    if access.tls:
        client.tls_set_context(ssl.create_default_context())
    return client


def client_id(identity: str) -> str:
    """What this program calls itself: the same after every start, so that the broker ends what is
    left of an earlier connection before its last will can say that the feeder is gone."""
    digest = hashlib.sha256(os.fsencode(f"{socket.gethostname()}\n{identity}")).hexdigest()
    return f"feeder{digest[:16]}"  # within the 23 characters that every broker takes


def _trouble(access: Access, error: OSError) -> str:
    """What keeps it from connecting, in words that say what to do."""
    place = access.place
    match error:
        case ssl.SSLCertVerificationError():
            return (
                f"the certificate of the MQTT broker at {place} is not to be trusted "
                f"({error.verify_message}); its authority must be among the system's certificates"
            )
        case ssl.SSLError():
            said = error.reason or "the handshake fails"
            return (
                f"the MQTT broker at {place} speaks no TLS ({said}); look at `port` and `tls` "
                "under [mqtt]"
            )
        case ConnectionResetError() if access.tls:
            return (
                f"what answers at {place} speaks no TLS, or no more; look at `port` and `tls` "
                "under [mqtt]"
            )
        case ConnectionRefusedError():
            return f"no MQTT broker answers at {place}"
        case socket.gaierror():
            return f"there is no computer called {plain(access.host)} ({error.strerror})"
        case TimeoutError():
            return f"the MQTT broker at {place} does not answer"
    return f"the MQTT broker at {place} cannot be reached: {error.strerror or error}"


def _refusal(access: Access, reason: str) -> str:
    return (
        f"the MQTT broker at {access.place} refuses this feeder ({reason}); look at `username` "
        "and `password` under [mqtt]"
    )


def _silence(access: Access) -> str:
    hint = "" if access.tls else "; perhaps it wants `tls = true` under [mqtt]"
    return f"what answers at {access.place} does not speak MQTT{hint}"


def try_once(access: Access, seconds: float) -> None:
    """Connects and goes, within so many seconds and a few. Raises FeederError where it cannot."""
    answered = threading.Event()
    refused: list[str] = []

    def connected(
        client: Client, data: object, flags: ConnectFlags, reason: ReasonCode, _: _Properties
    ) -> None:
        if reason.is_failure:
            refused.append(str(reason))
        answered.set()

    client = _client(access, "")
    client.on_connect = connected
    client.connect_timeout = seconds
    try:
        client.connect(access.host, access.port)
    except OSError as error:
        raise FeederError(_trouble(access, error)) from error
    client.loop_start()
    has_answered = answered.wait(seconds)
    client.disconnect()
    client.loop_stop()
    if refused:
        raise FeederError(_refusal(access, refused[0]))
    if not has_answered:
        raise FeederError(_silence(access))
