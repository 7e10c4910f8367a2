"""Where cameras are, as exactly as may be told: a feeder hangs where somebody lives."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from feeder.config import Settings
from feeder.export_log import Camera

_METRES_A_DEGREE = 111_320
"""Of latitude; of longitude at the equator."""

_OWN_UNCERTAINTY = 30
"""Metres that coordinates read off a map or a phone may be wrong by."""


@dataclass(frozen=True, slots=True)
class Place:
    """A camera's place: WGS 84 degrees rounded to `decimals`, or None for both.

    `began` and `ended` are the instants (UTC) of its first and last dated frames.
    """

    camera: str
    name: str
    zone: ZoneInfo | None
    began: datetime
    ended: datetime
    latitude: float | None = None
    longitude: float | None = None
    decimals: int = 2

    @property
    def degrees(self) -> tuple[str, str]:
        """Latitude and longitude as text, "" where they are not known."""
        if self.latitude is None or self.longitude is None:
            return "", ""
        return f"{self.latitude:.{self.decimals}f}", f"{self.longitude:.{self.decimals}f}"

    @property
    def precision(self) -> float:
        """Degrees that the last decimal stands for."""
        return round(10.0**-self.decimals, self.decimals)

    @property
    def uncertainty(self) -> int:
        """Metres around the rounded coordinates within which the camera is."""
        half = 0.5 * 10.0**-self.decimals * _METRES_A_DEGREE
        east = half * math.cos(math.radians(min(abs(self.latitude or 0.0), 90)))
        return math.ceil(math.hypot(half, east)) + _OWN_UNCERTAINTY

    @property
    def generalisation(self) -> str:
        """What was done to the coordinates, in words."""
        return f"coordinates rounded to {self.precision:.{self.decimals}f} degree"


def places(
    settings: Settings,
    cameras: Mapping[str, Camera],
    zones: Mapping[str, ZoneInfo | None],
    decimals: int,
) -> dict[str, Place]:
    """The place of each of the log's cameras, as configured now, else as last in the log."""
    configured = {one.name: one for one in settings.deployments}
    found = {}
    for name, camera in cameras.items():
        now = configured.get(name)
        latitude, longitude = camera.latitude, camera.longitude
        if now is not None:
            latitude, longitude = now.latitude, now.longitude
        if latitude is None or longitude is None:
            latitude = longitude = None
        found[name] = Place(
            name,
            _called(settings.export.location, name, len(cameras)),
            zones.get(name),
            camera.began,
            camera.ended,
            _rounded(latitude, decimals),
            _rounded(longitude, decimals),
            decimals,
        )
    return found


def _called(location: str | None, camera: str, cameras: int) -> str:
    """A place's name; no two cameras have one."""
    if location is None:
        return camera
    return location if cameras == 1 else f"{location} - {camera}"


def _rounded(degrees: float | None, decimals: int) -> float | None:
    return None if degrees is None else round(degrees, decimals) + 0.0  # and never -0.0
