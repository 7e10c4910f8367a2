"""Where messages go: Apprise URLs in the settings or in files, never shown whole.

A URL holds the password, token or topic that lets whoever has it write to that phone. So what is
said of one is its place in the settings and the service's name.
"""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

from feeder.config import Settings
from feeder.errors import ConfigError

_SECRET = 3
"""Letters that a part of a URL has at least, if it is to be hidden."""


@dataclass(frozen=True, slots=True)
class Target:
    """One service: its URL, and where that is written (`line 2 of data/alert-urls`)."""

    url: str = field(repr=False)
    place: str

    @property
    def key(self) -> str:
        """What it is noted under: it tells URLs apart, and gives none away."""
        return hashlib.sha256(self.url.encode()).hexdigest()[:16]

    @property
    def name(self) -> str:
        """What it is called in words: `ntfy://… (line 2 of data/alert-urls)`."""
        scheme = self.url.partition("://")[0]
        shown = scheme if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme, re.IGNORECASE) else ""
        return f"{shown}://… ({self.place})"

    def hide(self, text: str) -> str:
        """`text` with every part of the URL in it hidden."""
        rest = self.url.partition("://")[2]
        parts = {*re.split(r"[^\w.-]+", rest), *re.split(r"[^\w.-]+", unquote(rest)), rest}
        for part in sorted(parts, key=len, reverse=True):
            if len(part) >= _SECRET:
                text = re.sub(re.escape(part), "…", text, flags=re.IGNORECASE)
        return text


def read(settings: Settings) -> tuple[list[Target], list[ConfigError]]:
    """Those that `send_to` names, each URL once, its files read as they are now.

    Beside them what is wrong: files that cannot be read, and lines that are no URL.
    """
    found: dict[str, Target] = {}
    wrong: list[ConfigError] = []
    for number, entry in enumerate(settings.alerts.send_to, 1):
        if "://" in entry:
            read: list[Target | ConfigError] = [
                Target(entry.strip(), f"entry {number} of `send_to`")
            ]
        else:
            read = list(_lines(settings.resolve(entry), entry))
        for one in read:
            if isinstance(one, ConfigError):
                wrong.append(one)
            else:
                found.setdefault(one.url, one)
    return list(found.values()), wrong


def files(settings: Settings) -> list[Path]:
    """The files that `send_to` names."""
    return [settings.resolve(one) for one in settings.alerts.send_to if "://" not in one]


def _lines(path: Path, shown: str) -> Iterator[Target | ConfigError]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        said = error.strerror if isinstance(error, OSError) else "it is no text"
        yield ConfigError(
            f"{path}, which `send_to` under [alerts] names, cannot be read: {said}.",
            "Write one Apprise URL in each line of it; a URL in config.toml has `://` in it.",
        )
        return
    for number, line in enumerate(lines, 1):
        url = line.strip()
        if not url or url.startswith("#"):
            continue
        target = Target(url, f"line {number} of {shown}")
        if "://" in url:
            yield target
        else:
            yield ConfigError(f"{target.place.capitalize()} is no URL.", MEND)


MEND = "The services and how their URLs are written stand at github.com/caronc/apprise."
