"""Getting at an MQTT broker: a real Mosquitto with a password, with TLS, and none at all."""

from collections.abc import Callable
from pathlib import Path

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from feeder import config
from feeder.doctor import examine
from feeder.errors import ConfigError
from feeder.mqtt.broker_link import client_id
from tests.announcing import Told, configured, told
from tests.broker import (
    PASSWORD,
    USER,
    Broker,
    broker,
    hanging,
    resting_broker,
    until,
    with_password,
    with_tls,
)
from tests.conftest import FakeClock
from tests.feeder_process import FeederProcess, picture
from tests.site import free_port

__all__ = ["broker", "resting_broker"]  # the fixtures


def test_a_password_is_asked_for_and_given(
    tmp_path: Path,
    resting_broker: Broker,
    time: FakeClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """It is read from its file; a wrong one, or a file that everybody may read, is said once."""
    made = resting_broker
    with_password(made, tmp_path)
    made.start()
    secret = tmp_path / "secret"
    lines = (f'username = "{USER}"', 'password = "secret"')
    secret.write_text("wrong\n")
    secret.chmod(0o604)
    with told(configured(tmp_path, made.port, *lines), time) as feeder:
        feeder.until(lambda: "refuses this feeder (Not authorized)" in caplog.text)
        assert caplog.text.count("everybody on this computer may read") == 1
        assert "wrong" not in caplog.text
    secret.write_text(f"{PASSWORD}\n")
    secret.chmod(0o600)
    with told(configured(tmp_path, made.port, *lines), time) as feeder:
        feeder.until(lambda: made.retained("feeder/status") == b"online")
    assert caplog.text.count("refuses this feeder") == 1
    secret.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        Told(configured(tmp_path, made.port, *lines), time)


def test_tls_is_checked_against_the_systems_certificates(
    tmp_path: Path,
    resting_broker: Broker,
    time: FakeClock,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A broker that nobody vouches for is refused, and so is one under another name."""
    made = resting_broker
    authority = with_tls(made, tmp_path)
    made.start()
    lines = ("tls = true",)
    settings = configured(tmp_path, made.port, *lines)
    with told(settings, time) as feeder:
        feeder.until(lambda: "is not to be trusted (unable to get local issuer" in caplog.text)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    with told(settings, time) as feeder:
        feeder.until(lambda: "IP address mismatch" in caplog.text)
    settings.path.write_text(settings.path.read_text().replace("127.0.0.1", "localhost"))
    with told(config.load(settings.path), time) as feeder:
        feeder.until(lambda: made.retained("feeder/status") == b"online")
    settings.path.write_text(settings.path.read_text().replace("tls = true", ""))
    with told(config.load(settings.path), time) as feeder:
        feeder.until(lambda: "perhaps it wants `tls = true`" in caplog.text)


def test_the_doctor_tries_the_broker(tmp_path: Path, broker: Broker) -> None:
    """It says that the broker takes the feeder, that nothing is there, or that nothing answers."""

    def found(port: int) -> tuple[bool, str]:
        settings = configured(tmp_path, port)
        (check,) = (one for one in examine(settings, lambda: "") if one.name == "mqtt")
        return check.well, check.found

    assert found(broker.port) == (True, f"127.0.0.1:{broker.port} takes this feeder")
    nobody = free_port()
    assert found(nobody) == (False, f"no MQTT broker answers at 127.0.0.1:{nobody}")


def test_what_is_left_of_an_earlier_connection_does_not_speak_last(
    tmp_path: Path, broker: Broker, time: FakeClock
) -> None:
    """After a power cut the broker still holds the old connection; it ends it when the new one
    comes, and its last will is said before the feeder is online."""
    settings = configured(tmp_path, broker.port)
    name = client_id(f"{settings.database}\n{settings.mqtt.topic}")
    old = Client(CallbackAPIVersion.VERSION2, client_id=name, reconnect_on_failure=False)
    old.will_set("feeder/status", "offline", retain=True)
    old.connect("127.0.0.1", broker.port)
    old.loop_start()
    until(old.is_connected)
    with broker.listener("feeder/status") as listener:
        with told(settings, time) as feeder:
            feeder.until(lambda: len(listener.messages) == 2)
        assert [payload for _, payload, _ in listener.messages[:2]] == [b"offline", b"online"]
    old.loop_stop()


def test_frames_are_logged_while_the_broker_hangs(
    feeder: FeederProcess, write_config: Callable[..., Path]
) -> None:
    """Something that takes the connection and never says a word keeps no row waiting, nor the
    daemon's end."""
    with hanging() as port:
        write_config(mqtt=f'broker = "127.0.0.1"\nport = {port}')
        feeder.start()
        for number in range(3):
            picture(feeder.folder / f"{number}.jpg", number)
        feeder.until(lambda: len(feeder.files()) == 3)
        assert feeder.stop() == 0


def test_the_doctor_does_not_wait_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of something that takes the connection and says nothing it says so after its time."""
    monkeypatch.setattr("feeder.doctor.BROKER_SECONDS", 0.1)
    with hanging() as port:
        (check,) = (
            one for one in examine(configured(tmp_path, port), lambda: "") if one.name == "mqtt"
        )
    assert not check.well
    assert "does not speak MQTT; perhaps it wants `tls = true`" in check.found


@pytest.mark.parametrize(
    "lines",
    ['topic = "a/#"', 'topic = "/a"', 'topic = "a+b"', 'discovery = "$SYS"', 'topic = "a/"'],
)
def test_a_topic_that_no_broker_takes_is_refused(tmp_path: Path, lines: str) -> None:
    """The settings' error names the key."""
    with pytest.raises(ConfigError, match=f"mqtt.{lines.split()[0]}"):
        configured(tmp_path, 1883, lines)
