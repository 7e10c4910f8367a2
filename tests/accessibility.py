"""What every page is held to: WCAG 2.2 AA as far as axe-core can tell, no sideways scrolling."""

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

_OPTIONS = {
    "resultTypes": ["violations"],
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21aa", "wcag22aa"]},
}

PHONE, DESKTOP, NARROW = (390, 844), (1280, 800), (320, 640)
"""Widths and heights in CSS pixels; the last is what WCAG 1.4.10 asks for."""


def assert_accessible(page: Page) -> None:
    """No serious or critical finding of axe-core on the page as it is now."""
    found = Axe().run(page, options=_OPTIONS).response["violations"]
    grave = [
        f"{one['id']}: {one['help']}: " + "; ".join(node["html"][:200] for node in one["nodes"])
        for one in found
        if one["impact"] in ("serious", "critical")
    ]
    assert not grave, "\n".join(grave)


def assert_fits(page: Page, *sizes: tuple[int, int]) -> None:
    """The page scrolls sideways at none of these sizes; without any, at those of this module."""
    for width, height in sizes or (NARROW, PHONE, DESKTOP):
        page.set_viewport_size({"width": width, "height": height})
        found = page.evaluate("document.documentElement.scrollWidth")
        assert found <= width, f"{found} px wide in a window of {width} px"


def assert_good_everywhere(page: Page) -> None:
    """All of this: axe-core looks at a phone in the light, and at a desktop in the dark."""
    assert_fits(page)
    for scheme, (width, height) in (("light", PHONE), ("dark", DESKTOP)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": height})
        assert_accessible(page)
