"""The page of pictures."""

import base64
import hashlib
from pathlib import Path

from feeder.bundle import golden_image
from feeder.clock import parse_utc
from feeder.contact_sheet import render
from feeder.thumbnails import thumbnail
from tests.test_evaluate import Page

MADE = parse_utc("2026-05-01T06:30:00.000Z")
HOSTILE = "<script>alert(1)</script>\" onload='x"


def test_texts_are_texts(tmp_path: Path) -> None:
    """Titles, headings and captions are escaped wherever they stand."""
    golden_image().save(tmp_path / "a.jpg")
    picture = (HOSTILE, thumbnail(tmp_path / "a.jpg"))
    page = Page(render(HOSTILE, [(HOSTILE, [picture])], MADE))
    assert page.text.count(HOSTILE) == 4
    assert {tag for tag, _ in page.elements}.isdisjoint({"script", "link", "iframe", "object"})
    (image,) = page.all("img")
    assert image["alt"] == HOSTILE
    assert image.keys() == {"src", "alt", "loading"}


def test_it_needs_nothing_beside_it() -> None:
    """Its policy allows its own style by hash and inline pictures, and nothing else."""
    html = render("like frame 3", [("", [("a wren", "")])], MADE)
    page = Page(html)
    style = html.split("<style>")[1].split("</style>")[0]
    pinned = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = [meta.get("content") for meta in page.all("meta")]
    assert f"default-src 'none'; img-src data:; style-src 'sha256-{pinned}'" in policy
    assert "url(" not in style
    assert "no longer readable" in page.text
    assert "2026-05-01 06:30 UTC" in page.text


def test_a_section_without_pictures_says_so() -> None:
    """A heading alone would look as if something had gone wrong."""
    assert "no pictures" in Page(render("like frame 3", [("", [])], MADE)).text
