"""Ten thousand ways to ask for a file that is none of the page's."""

import itertools
import random
import re
from collections.abc import Iterator
from importlib.resources import files
from urllib.parse import quote

import pytest

from tests.sightings import ROBIN
from tests.site import Site
from tests.web_app import Asker, asked, routes

COUNT = 10_000
CANARY = b"a canary that sings outside of every folder that is served"

TARGETS = (
    "etc/passwd", "canary.txt", "config.toml", "data/feeder.db", "data/web-password",
    "snapshots/1.jpg", "proc/self/environ", "windows/win.ini", "app.py", "templates/layout.html.j2",
)  # fmt: skip
UPS = (
    "..", "%2e%2e", "%2E.", ".%2e", "%252e%252e", "%c0%ae%c0%ae", "%e0%80%ae.", "....", "...",
    "..%00", "%u002e%u002e", "\u2024\u2024", "\uff0e\uff0e", "..;", ". .", "..%20", "\u202e..",
    "%ef%bc%8e%ef%bc%8e", "..%0d%0a", "*..", "~",
)  # fmt: skip
SLASHES = (
    "/", "//", "%2f", "%2F", "%5c", "\\", "%252f", "%c0%af", "%c1%9c", "/./", "\u2215", "\uff0f",
    "/%00/", "%2f%2f", "\\\\", "%u2215", ":",
)  # fmt: skip
STARTS = (
    "", "/", "//", "file:///", "file:", "C:\\", "C:/", "\\\\server\\share\\", "//server/share/",
    "\\\\?\\C:\\", "%5c%5cserver%5c", "feeder.css/", "1/", "./", "%00", "http://127.0.0.1/",
    "-1/", "1%00", "NUL", "CON/", "~/", "~root/", "\U0001f426/", "%ff%fe", "1;/", "a" * 300 + "/",
)  # fmt: skip
ENDS = ("", "%00", "%00.jpg", ".jpg", "/", "?", "#", ";.css", "::$DATA", ".", "%20", "/.", "\u0000")


def strings(count: int) -> Iterator[str]:
    """`count` different strings, always the same ones."""
    chance = random.Random(20)
    seen: set[str] = set()
    while len(seen) < count:
        up, slash = chance.choice(UPS), chance.choice(SLASHES)
        ups = (up + slash) * chance.choice((0, 1, 1, 2, 3, 4, 6, 8, 12, 40))
        target = chance.choice(TARGETS).replace("/", chance.choice(("/", slash)))
        made = chance.choice(STARTS) + ups + target + chance.choice(ENDS)
        if chance.random() < 0.05:
            made += "a" * chance.choice((255, 256, 4096, 9000))
        if chance.random() < 0.1:
            made = quote(made, safe="")
        if made not in seen:
            seen.add(made)
            yield made


@pytest.fixture
def ask(site: Site) -> Iterator[Asker]:
    """The application on a garden whose folder holds a canary."""
    site.see(ROBIN)
    (site.root / "canary.txt").write_bytes(CANARY)
    with asked(site) as asker:
        yield asker


def places(ask: Asker) -> tuple[list[str], list[str]]:
    """Paths that take text of the asker's, at `{}`: of files and the API, and of pages."""
    found = ["/static/{}", "/static{}", "/media/{}", "/media/1/{}", "{}", "/{}"]
    found += ["/media/1/thumbnail.jpg?edge={}"]
    for method, path in routes(ask.app):
        if method == "GET" and "{" in path:
            before, _, rest = path.partition("{")
            found.append(before + "{}" + re.sub("{[^}]*}", "1", rest.partition("}")[2]))
    of_pages = [
        one for one in found if not one.startswith(("/static", "/media", "/api", "{", "/{"))
    ]
    return [one for one in found if one not in of_pages], of_pages


def test_no_string_reaches_a_file_outside(ask: Asker) -> None:
    """Encodings, `..`, NUL, shares, devices, long names: never a byte of theirs, never a crash."""
    static = {one.read_bytes() for one in files("feeder.web").joinpath("static").iterdir()}
    outside = [CANARY, b"root:", b"[[deployment]]", b"SQLite format", b"def create_app", b"{% "]
    made = list(strings(COUNT))
    turns, pages = places(ask)
    targets = [
        place.replace("{}", text) for place, text in zip(itertools.cycle(turns), made, strict=False)
    ]
    targets += [place.replace("{}", text) for place in pages for text in made[:50]]
    answers = ask.get_each(targets)
    for target, answer in zip(targets, answers, strict=True):
        assert answer.status < 500, target
        assert not any(one in answer.body for one in outside), target
        if answer.status == 200 and target.startswith("/static"):
            assert answer.body in static, target
    assert sum(answer.status == 404 for answer in answers) > COUNT // 2
