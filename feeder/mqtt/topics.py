"""The names of MQTT topics. Cameras are called whatever people like; topics are not."""

import hashlib
import re
from dataclasses import dataclass

_SAFE = re.compile(r"[A-Za-z0-9_-]{1,60}")


def slug(name: str) -> str:
    """`name` in letters, digits, `_` and `-`: unchanged where it is, else with a digest of it.

    So two cameras never share one, whatever MQTT and Home Assistant forbid.
    """
    if _SAFE.fullmatch(name):
        return name
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{re.sub(r'[^A-Za-z0-9_-]+', '_', name)[:50].strip('_')}_{digest}".lstrip("_")


@dataclass(frozen=True, slots=True)
class CameraTopics:
    """What is kept of one camera, called `name`."""

    name: str
    base: str

    @property
    def slug(self) -> str:
        """The last part of its topics' common beginning."""
        return self.base.rsplit("/", 1)[1]

    @property
    def last_visit(self) -> str:
        """The newest visit before it."""
        return f"{self.base}/last_visit"

    @property
    def feeder(self) -> str:
        """Whether its feeder is empty."""
        return f"{self.base}/feeder"

    @property
    def newest_frame(self) -> str:
        """When its newest frame was taken."""
        return f"{self.base}/newest_frame"


@dataclass(frozen=True, slots=True)
class Topics:
    """Everything below one `base`, retained except for `visit`."""

    base: str

    @property
    def slug(self) -> str:
        """What names this feeder in Home Assistant's topics and ids."""
        return slug(self.base)

    @property
    def status(self) -> str:
        """`online` or `offline`."""
        return f"{self.base}/status"

    @property
    def visit(self) -> str:
        """A message for each visit that begins or ends."""
        return f"{self.base}/visit"

    @property
    def last_visit(self) -> str:
        """The newest visit."""
        return f"{self.base}/last_visit"

    @property
    def today(self) -> str:
        """Visits and species since midnight."""
        return f"{self.base}/today"

    @property
    def health(self) -> str:
        """Whether something is wrong, and how much is waiting."""
        return f"{self.base}/health"

    @property
    def thumbnail(self) -> str:
        """The newest visit's picture, a JPEG."""
        return f"{self.base}/thumbnail"

    def camera(self, name: str) -> CameraTopics:
        """Those of the camera called `name`."""
        return CameraTopics(name, f"{self.base}/camera/{slug(name)}")

    @property
    def every_camera(self) -> str:
        """A filter for the topics of all cameras, also of those that are no more."""
        return f"{self.base}/camera/+/+"
