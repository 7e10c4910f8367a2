"""The sections of `config.toml` for what leaves the log: page, broker, messages and exports.

Those of `settings_sections` are for what makes and keeps it.
"""

import re
from datetime import time
from typing import Literal

from pydantic import Field, field_validator

from feeder.settings_sections import Section, tuple_of


class WebSection(Section):
    """The page and the API, in a process of their own beside the daemon; `feeder serve` by hand."""

    enabled: bool = Field(False, description="serve them while the daemon runs")
    host: str = Field(
        "127.0.0.1",
        min_length=1,
        description='where to listen; "0.0.0.0", for phones in the house, needs a password '
        "(`feeder serve --set-password`)",
    )
    port: int = Field(8765, ge=1, le=65535, description="the page is at http://HOST:PORT")
    names: tuple[str, ...] = Field(
        (),
        description='what else browsers may call this computer: ["feeder.local"]; messages link '
        "to the first",
    )
    password: str = Field(
        "data/web-password", min_length=1, description="the file that holds its Argon2 hash"
    )
    max_megabytes: float = Field(20.0, gt=0, le=200, description="megabytes in an upload")

    _as_tuple = field_validator("names", mode="before")(tuple_of)

    @field_validator("names")
    @classmethod
    def _host_names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        for name in names:
            if not re.fullmatch(r"[\w.-]+|\[?[0-9A-Fa-f]*:[0-9A-Fa-f:.]+]?", name, re.ASCII):
                said = f"{name!r} is no name of a computer; write it like 'feeder.local'"
                raise ValueError(f"{said}, without http:// and port")
        return names


class MqttSection(Section):
    """Home automation: an MQTT broker, and Home Assistant's discovery."""

    broker: str | None = Field(None, description="its host name", examples=["homeassistant.local"])
    port: int = Field(1883, ge=1, le=65535, description="8883 is usual with `tls`")
    tls: bool = Field(False, description="encrypt, and check the broker's certificate")
    username: str | None = Field(None, description="if it asks for one", examples=["feeder"])
    password: str | None = Field(
        None, description="a file that holds the password", examples=["data/mqtt-password"]
    )
    topic: str = Field("feeder", min_length=1, description="what all topics begin with")
    discovery: str = Field(
        "homeassistant", description='Home Assistant\'s discovery prefix; "": not announced'
    )
    thumbnails: bool = Field(True, description="send the newest visit's picture, made small")

    @field_validator("topic", "discovery")
    @classmethod
    def _publishable(cls, topic: str) -> str:
        if any(forbidden in topic for forbidden in "+#\0") or topic.startswith("$"):
            raise ValueError("a topic holds no + or #, and does not begin with $")
        if topic.strip("/") != topic:
            raise ValueError("write it without / at its ends")
        return topic


class AlertsSection(Section):
    """Messages to a phone, by any service that Apprise knows."""

    send_to: tuple[str, ...] = Field(
        (),
        description="Apprise URLs, or files that hold one in each line: "
        '["ntfy://my-feeder", "data/alert-urls"]',
    )
    about: tuple[
        Literal[
            "visit",
            "first-of-day",
            "first-of-season",
            "first-ever",
            "rare",
            "feeder-empty",
            "stalled",
        ],
        ...,
    ] = Field(
        ("first-of-season", "first-ever", "rare", "feeder-empty", "stalled"),
        description='of "visit", "first-of-day", "first-of-season", "first-ever", "rare", '
        '"feeder-empty", "stalled"',
    )
    usual: tuple[str, ...] = Field(
        (),
        description='birds that no message about a visit is sent for: ["House Sparrow"]; what may '
        "be one of them (an unidentified bird, look-alikes) counts as one",
    )
    absence_days: int = Field(
        60,
        ge=1,
        description="whole days without a species that make its next visit a first of the season",
    )
    confidence: float = Field(
        0.6, ge=0, le=1, description="a visit's mean probability from which on it is told"
    )
    quiet: tuple[str, str] | None = Field(
        None,
        description="no messages between, as clocks at the camera show it; one at their end tells "
        "of all",
        examples=[["22:00", "06:30"]],
    )
    most_an_hour: int = Field(
        10, ge=1, le=1000, description="messages about visits in an hour; what is more comes in one"
    )
    picture: bool = Field(True, description="send the visit's best picture with it")
    stalled_hours: float = Field(
        24.0, gt=0, description="hours without a frame from a camera that count as stalled"
    )

    _as_tuple = field_validator("send_to", "about", "usual", "quiet", mode="before")(tuple_of)

    @field_validator("quiet")
    @classmethod
    def _two_times(cls, value: tuple[str, str] | None) -> tuple[str, str] | None:
        if value is not None:
            try:
                start, end = map(time.fromisoformat, value)
            except ValueError:
                raise ValueError('write two times of day, like ["22:00", "06:30"]') from None
            if start == end or start.tzinfo or end.tzinfo:
                raise ValueError("write two different times of day, without a zone")
        return value


class ExportSection(Section):
    """What `feeder export` says besides the visits, and how sure a visit has to be."""

    confidence: float = Field(
        0.8,
        ge=0,
        le=1,
        description="a visit that no person confirmed needs this mean probability",
    )
    observer: str | None = Field(
        None, min_length=1, description="who stands for what is exported", examples=["Ada"]
    )
    location: str | None = Field(
        None,
        min_length=1,
        description="the place's name; left out: the camera's",
        examples=["Home"],
    )
    country: str | None = Field(
        None, pattern="^[A-Z]{2}$", description="ISO 3166-1, two letters", examples=["IE"]
    )
    state: str | None = Field(
        None,
        pattern="^[A-Z0-9]{1,3}$",
        description="state or province as eBird codes it, without the country",
        examples=["L"],
    )
    decimals: int = Field(
        2,
        ge=0,
        le=6,
        description="decimals of latitude and longitude; 2 is about a kilometre, for a feeder "
        "hangs where somebody lives",
    )
    license: Literal["CC0-1.0", "CC-BY-4.0", "CC-BY-NC-4.0"] | None = Field(
        None,
        description='"CC0-1.0", "CC-BY-4.0" or "CC-BY-NC-4.0", one of which GBIF asks for; '
        "left out: none is given",
        examples=["CC-BY-4.0"],
    )
    capture: Literal["activityDetection", "timeLapse"] = Field(
        "activityDetection",
        description='what makes your camera take a picture, for Camtrap DP: or "timeLapse"',
    )
