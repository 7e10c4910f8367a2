"""What a camera, a file, a label or a person may be called: shown as text, on every page."""

import hashlib
import os
from collections.abc import Iterator
from datetime import timedelta
from html.parser import HTMLParser
from urllib.parse import quote

import pytest

from feeder.domain import (
    Candidate,
    Deployment,
    Frame,
    Kind,
    Label,
    ObservationType,
    Prediction,
    SettledPath,
    Tag,
    TimeSource,
)
from tests.sightings import ROBIN
from tests.site import Site
from tests.web_app import BROWSER, Asker, asked, filled, routes

MARK = "zzgotcha"
SCRIPT = f"<script>{MARK}()</script>"
TEXTS = (
    SCRIPT,
    f'"><img src=x onerror="{MARK}()">',
    f"' onmouseover='{MARK}()",
    f'</title></style></textarea><svg onload="{MARK}()">',
    f"javascript:{MARK}()",
    "{{ 7 * 191 }}{% raw %}",
    "line\nbreak\r\ttab\x1b[31m\u202eright to left\u2028",
    "Gr\u00fcn\U0001f426 & <b>bold</b>",
)
NAMES = (
    b"plain.jpg", b"<script>zzgotcha()<\\script>.jpg", b"\"'`=.jpg", b"new\nline.jpg",
    b"not \xff\xfe utf-8.jpg", b"-rf.jpg", b"%2e%2e%2f.jpg", b"\xe2\x80\xae.jpg",
)  # fmt: skip


class Tags(HTMLParser):
    """Which elements and attributes a page has."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def hostile(site: Site) -> Iterator[Asker]:
    """A garden where everything is called something that a browser may misread."""
    folder = site.deployment.folder
    for number, text in enumerate(TEXTS):
        label = Label(text, Kind.BIRD, text, text)
        tag = Tag("behaviour", text, 0.9)
        media_id = site.see(label, timedelta(minutes=number), 0.9, (ROBIN, 0.05), tags=(tag,))
        assert media_id
        camera = Deployment(f"camera {text}", folder)
        name = NAMES[number % len(NAMES)]
        path = folder / os.fsdecode(name)
        path.write_bytes(bytes([number]))
        found = path.stat()
        frame = Frame(
            SettledPath(camera, path, found.st_size, found.st_mtime_ns),
            hashlib.sha256(path.read_bytes()).hexdigest(),
            site.now - timedelta(minutes=20 + number),
            TimeSource.EXIF,
            defect=f"EXIF says {text}",
        )
        unknown = Candidate(label, 0.2, 0.1)
        verdict = (
            Prediction(ObservationType.UNKNOWN, f"EXIF says {text}", (unknown,), unknown,
                       model_digest=site.bundle.digest,
                       vocabulary_digest=f"{text}+{ROBIN.name}")
            if number % 2
            else Prediction(ObservationType.UNCLASSIFIED, f"EXIF says {text}")
        )  # fmt: skip
        site.logbook.append(frame, verdict)
        site.logbook.commit()
    with asked(site) as asker:
        yield asker


def check(answer_to: str, body: str) -> None:
    """Fails where a page holds an element, a handler or an address that is no page's own."""
    assert SCRIPT not in body and "1337" not in body, answer_to
    for tag, attributes in Tags(body).found:
        where = (answer_to, tag, attributes)
        assert not any(name.startswith("on") or name == "style" for name in attributes), where
        assert tag != "script" or (attributes.get("src") or "").startswith("/static/"), where
        assert tag not in ("b", "iframe", "object", "embed", "base"), where
        for name in ("href", "src", "action", "formaction"):
            said = (attributes.get(name) or "").strip().lower()
            assert not said.startswith(("javascript:", "data:", "http:", "https:", "//")), where


def test_names_are_text_on_every_page(hostile: Asker) -> None:
    """Labels, files, cameras, tags and EXIF make no element, whichever page shows them."""
    shown = ""
    for path in dict.fromkeys(path for method, path in routes(hostile.app) if method == "GET"):
        for value in ("1", "2", *TEXTS, "camera " + SCRIPT) if "{" in path else ("",):
            answer = hostile.get(filled(path, value), BROWSER)
            assert answer.status < 500, (path, value)
            kind = answer.headers.get("content-type", "")
            if kind.startswith(("text/html", "image/svg")):
                check(f"{path} {value}", answer.body.decode("utf-8"))
                shown += answer.text
    assert shown


def test_what_is_asked_for_is_text_on_every_page(hostile: Asker) -> None:
    """What a link says in its query comes back as text, if it comes back."""
    names = (
        "q", "words", "text", "species", "label", "deployment", "camera", "since", "until", "day",
        "month", "year", "next", "tag", "media_id", "sort", "cursor", "error",
    )  # fmt: skip
    for text in TEXTS:
        query = "&".join(f"{name}={quote(text, safe='')}" for name in names)
        for path in dict.fromkeys(path for method, path in routes(hostile.app) if method == "GET"):
            answer = hostile.get(f"{filled(path)}?{query}", BROWSER)
            assert answer.status < 500, (path, text)
            if answer.headers.get("content-type", "").startswith(("text/html", "image/svg")):
                check(f"{path}?{text}", answer.body.decode("utf-8"))


def test_errors_are_text(hostile: Asker) -> None:
    """What a page says of a wrong request holds no element of the request's."""
    for text in TEXTS:
        answer = hostile.get(f"/{quote(text, safe='')}", BROWSER)
        assert answer.status == 404
        check(text, answer.body.decode("utf-8"))


def test_the_reading_of_pages_finds_what_is_wrong() -> None:
    """The check itself sees a handler, a script and an address that lead elsewhere."""
    for wrong in (
        f"<p>{SCRIPT}", '<a href="JavaScript:x()">', "<img src=/a onerror=x>", "<p style='a:b'>",
        '<script src="//evil.example/a.js"></script>', '<svg><a href="data:text/html,x">',
    ):  # fmt: skip
        with pytest.raises(AssertionError):
            check("", wrong)
    check("", '<script type="module" src="/static/feeder.js"></script><a href="/species/1">')
