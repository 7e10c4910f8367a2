"""Whether the page can be served as [web] says, for `feeder doctor` and Health."""

import urllib.request
from collections.abc import Iterator
from http.client import HTTPException

from feeder.check import Check
from feeder.config import Settings
from feeder.errors import FeederError
from feeder.web import listening, passwords

ANSWER_SECONDS = 3.0


def examine(settings: Settings) -> Iterator[Check]:
    """Whether the host is one, the password's file is good, and the port free or the page's own.

    No check where the daemon is to serve no page.
    """
    web = settings.web
    if not web.enabled:
        return
    try:
        has_password = passwords.read(settings.resolve(web.password)) is not None
        is_wide = not listening.is_loopback(web.host)
        if is_wide and not has_password:
            found = f"others can reach the page at {web.host}, and no password is set, so it is off"
            yield Check("web", False, found, "feeder serve --set-password")
            return
        url = _served(web.host, web.port)
        if url is None:
            for one in listening.listen(web.host, web.port):
                one.close()
    except FeederError as error:
        yield Check("web", False, str(error), error.hint)
        return
    asked = "with a password" if has_password else "without a password, from this computer alone"
    if url is None:
        yield Check("web", True, f"port {web.port} is free; the daemon serves the page, {asked}")
    else:
        yield Check("web", True, f"the page answers at {url}, {asked}")


def _served(host: str, port: int) -> str | None:
    """Where a page of ours answers by now; None where none does."""
    url = listening.urls(host, port)[-1]
    try:
        # A proxy that the environment names is not asked about this computer.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(f"{url}/healthz", timeout=ANSWER_SECONDS) as answer:
            return url if answer.read(10) == b"ok\n" else None
    except (OSError, HTTPException, ValueError):  # nobody there, or nobody who speaks HTTP
        return None
