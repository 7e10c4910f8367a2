"""Apprise, which knows how each service wants its messages. Loaded when the first one is sent."""

import logging
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from feeder.alerts import targets
from feeder.alerts.targets import MEND, Target
from feeder.config import Settings
from feeder.errors import ConfigError

if TYPE_CHECKING:
    from apprise import Apprise


def usable(settings: Settings) -> tuple[list[Target], list[ConfigError]]:
    """The services that `send_to` names, and what is wrong with its other entries.

    An error holds the place of a URL and nothing of it.
    """
    found, wrong = targets.read(settings)
    good: list[Target] = []
    with _listening():
        for target in found:
            if _opened(target) is None:
                wrong.append(ConfigError(f"[alerts] {target.name} means nothing to Apprise.", MEND))
            else:
                good.append(target)
    return good, wrong


def send(target: Target, title: str, body: str, picture: bytes | None = None) -> str:
    """Sends a message, with a JPEG where the service takes one; "" once the service has it.

    Else it says why not, without anything of the URL. It takes as long as the service's own
    timeouts, 4 s to connect and 4 s to answer where its URL says nothing else (`cto`, `rto`).
    """
    with _listening() as said, ExitStack() as stack:
        service = _opened(target)
        if service is None:
            return "it means nothing to Apprise"
        attached = None
        with suppress(OSError):  # no room for it: then without
            if picture:
                folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="feeder-"))
                Path(folder, "visit.jpg").write_bytes(picture)
                attached = str(Path(folder, "visit.jpg"))
        if service.notify(body, title, body_format="text", attach=attached):
            return ""
    return target.hide(" ".join(said)) or "it did not take the message"


def _opened(target: Target) -> "Apprise | None":
    from apprise import Apprise, AppriseAsset

    asset = AppriseAsset(app_id="Feeder", app_desc="Feeder", async_mode=False)
    service = Apprise(asset=asset)
    return service if service.add(target.url) and len(service) else None


@contextmanager
def _listening() -> Iterator[list[str]]:
    """What Apprise says meanwhile; it goes nowhere else, for URLs may be in it."""
    said: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    logger = logging.getLogger("apprise")
    logger.propagate = False
    ear = Ear(logging.WARNING)
    logger.addHandler(ear)
    try:
        yield said
    finally:
        logger.removeHandler(ear)
