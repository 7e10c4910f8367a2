"""The pages that show the log, in a real browser."""

import re
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from feeder.domain import Kind, Label
from feeder.picture_log import PictureLog
from feeder.web import words
from feeder.web.static_files import static_url
from tests.accessibility import DESKTOP, PHONE, assert_accessible, assert_good_everywhere
from tests.feeder_process import PATIENCE
from tests.sightings import ROBIN, SPARROW
from tests.site import BLUE_TIT, Site

MILLISECONDS = PATIENCE * 1000

PATHS = (
    "/",
    "/?day=2020-02-30x",
    "/?day=2020-02-29",
    "/species",
    "/species?q=ROBIN&sort=name",
    "/species/European%20Robin",
    "/species/Nobody",
    "/calendar",
    "/calendar?species=European+Robin",
    "/visits/garden:1",
    "/visits/garden:999999",
)


@pytest.fixture(autouse=True)
def _patient() -> None:
    expect.set_options(timeout=MILLISECONDS)


@pytest.fixture
def page(page: Page) -> Iterator[Page]:
    """The same; an answer of 4xx is asked for here, and Chromium counts it as an error."""
    page.set_default_timeout(MILLISECONDS)
    yield page


@contextmanager
def served(site: Site, page: Page) -> Iterator[str]:
    """The address of a site; the page leaves it before it ends."""
    with site.serve() as base:
        yield base
        page.goto("about:blank")


def fetch(url: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """The answer to a GET."""
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        return answer.status, dict(answer.headers), answer.read()


GOOD = [path for path in PATHS if not re.search("30x|Nobody|999999", path)]


@pytest.mark.parametrize("path", GOOD)
def test_every_page_is_accessible(base: str, page: Page, path: str) -> None:
    """At a phone's and a desktop's size, light and dark: no finding, no sideways scrolling."""
    page.goto(base + path)
    expect(page.locator("h1")).to_have_count(1)
    assert_good_everywhere(page)


def test_nothing_is_asked_of_another_server(base: str, page: Page) -> None:
    """The pages work without the internet: all they need is here."""
    asked: set[str] = set()
    page.on("request", lambda request: asked.add(urlsplit(request.url).netloc))
    for path in ("/", "/species", "/species/European%20Robin", "/calendar", "/visits/garden:1"):
        page.goto(base + path)
        page.wait_for_load_state("load")
    assert asked == {urlsplit(base).netloc}


def test_no_page_has_a_style_or_script_of_its_own(base: str, page: Page) -> None:
    """A content security policy may forbid both."""
    for path in GOOD:
        html = fetch(base + path)[2].decode()
        assert "<style" not in html and " style=" not in html and "data:" not in html
        assert not re.search(r"<script(?![^>]* src=)", html)
        assert not re.search(r"\son[a-z]+=", html)


def test_pages_work_without_a_script(base: str, chromium: object) -> None:
    """Links and forms are enough to read everything."""
    context = chromium.new_context(java_script_enabled=False)  # type: ignore[attr-defined]
    page = context.new_page()
    page.goto(base)
    expect(page.locator("#visits > li").first).to_be_visible()
    page.get_by_role("link", name="Day before").click()
    expect(page.locator("h1")).not_to_have_text("Today")
    page.get_by_role("link", name="Species", exact=True).click()
    page.get_by_label("Name").fill("blue tit")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".species > li")).to_have_count(1)
    page.get_by_role("link", name="Eurasian Blue Tit").click()
    expect(page.locator("h1")).to_have_text("Eurasian Blue Tit")
    context.close()


def test_today_shows_who_came(base: str, page: Page) -> None:
    """Newest first, with when, for how long, how many frames and how surely."""
    page.goto(base)
    cards = page.locator("#visits > li")
    expect(cards).to_have_count(4)
    expect(cards.first).to_contain_text("European Robin")
    expect(cards.first).to_contain_text("20 s · 3 frames")
    expect(cards.first).to_contain_text("95 %")
    expect(page.locator(".counts li")).to_have_count(4)
    expect(page.locator("#firsts")).to_contain_text("Eurasian Blue Tit")
    picture = cards.first.locator("img")
    assert (picture.get_attribute("width"), picture.get_attribute("height")) == ("240", "180")
    assert picture.get_attribute("loading") == "lazy"


def test_days_lead_to_each_other(base: str, page: Page) -> None:
    """From today to the day before, and back."""
    page.goto(base)
    expect(page.get_by_role("link", name="Day after")).to_have_count(0)
    page.get_by_role("link", name="Day before").click()
    expect(page.locator("#visits > li")).to_have_count(1)
    page.get_by_role("link", name="Day after").click()
    expect(page.locator("#visits > li")).to_have_count(4)


def test_a_visit_shows_its_frames(base: str, page: Page) -> None:
    """Each with its time, its verdict, what else it might be, and why."""
    page.goto(base)
    page.locator("#visits > li").first.get_by_role("link").click()
    expect(page.locator("h1")).to_have_text("European Robin")
    frames = page.locator(".frames > li")
    expect(frames).to_have_count(3)
    expect(frames.first).to_contain_text("else House Sparrow 3 %")
    times = frames.locator("time").all_inner_texts()
    assert times == sorted(times) and re.fullmatch(r"\d\d:\d\d:\d\d", times[0])


def test_a_visit_is_found_by_any_of_its_frames(base: str) -> None:
    """A link stays good when an earlier frame was added."""
    _, _, html = fetch(f"{base}/visits/garden:2")
    assert b"3 frames" in html


def test_what_is_not_there_is_said_so(base: str) -> None:
    """No such visit, species, camera or day: an answer with a page, never a failure."""
    for path, status in (
        ("/visits/garden:999999", 404),
        ("/visits/porch:1", 404),
        ("/visits/nonsense", 404),
        ("/visits/garden:" + "9" * 40, 404),
        ("/visits/garden:" + "9" * 5000, 404),
        ("/api/v1/visits/garden:" + "9" * 5000, 404),
        ("/species/Nobody", 404),
        ("/?day=yesterdayish", 422),
        ("/?day=0001-01-01", 422),
        ("/?day=9999-12-31", 422),
        ("/species?since=x", 422),
        ("/calendar?species=%00", 200),
        ("/calendar?until=1", 200),
    ):
        try:
            found = fetch(base + path, Accept="text/html")[0]
        except urllib.error.HTTPError as error:
            found = error.code
            assert (b"<h1>" in error.read()) != path.startswith("/api/")
        assert found == status, path


def test_a_species_has_all_its_figures(base: str, page: Page) -> None:
    """Totals, days in a row, charts with the same numbers in words, and the latest visits."""
    page.goto(base + "/species/European%20Robin")
    figures = page.locator(".figures")
    expect(figures).to_contain_text(re.compile(r"Visits\s*22"))
    expect(figures).to_contain_text(re.compile(r"Days in a row, now\s*22"))
    expect(page.locator(".figure svg[role=img]")).to_have_count(3)
    page.locator(".figure summary").first.click()
    expect(page.locator(".figure table").first).to_contain_text("22")
    expect(page.locator(".visits > li")).to_have_count(4)


def test_another_name_leads_to_the_species(base: str, page: Page) -> None:
    """Its scientific name is a name, too."""
    page.goto(base + "/species/erithacus%20rubecula")
    assert page.url == base + "/species/European%20Robin"


def test_the_calendar_leads_to_days(base: str, page: Page) -> None:
    """By the squares with a pointer, and by a list with the keyboard."""
    page.set_viewport_size({"width": DESKTOP[0], "height": DESKTOP[1]})
    page.goto(base + "/calendar")
    expect(page.locator(".chart.year a")).not_to_have_count(0)
    assert page.locator(".chart.year a").count() <= 22
    page.locator("summary").first.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.wait_for_url("**/?day=*")
    expect(page.locator("#visits > li").first).to_be_visible()


def test_the_keyboard_reaches_everything_in_order(base: str, page: Page) -> None:
    """The skip link comes first and is seen then; what has the focus is seen and marked."""
    page.goto(base)
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_in_viewport()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Day before")).to_be_focused()
    page.goto(base)
    seen = []
    for _ in range(16):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                "() => { const at = document.activeElement, card = at.closest('.visit') ?? at;"
                " return [at.innerText.trim(), getComputedStyle(card).outlineStyle]; }"
            )
        )
    assert [text for text, _ in seen[:4]] == ["Skip to the content", "Today", "Species", "Calendar"]
    assert "European Robin" in [text for text, _ in seen[11:]]
    assert all(ring != "none" for _, ring in seen)


def test_a_new_visit_arrives_by_itself(site: Site, page: Page) -> None:
    """Another process logs a frame: the page shows it, says so, and keeps focus and scroll."""
    for hours in range(1, 9):
        site.see(ROBIN, timedelta(hours=hours / 2))
    with served(site, page) as base:
        page.goto(base)
        cards = page.locator("#visits > li")
        expect(cards).to_have_count(8)
        last = cards.last.get_by_role("link")
        last.focus()
        page.evaluate("scrollTo(0, 300)")
        top = last.evaluate("(it) => it.closest('li').getBoundingClientRect().top")
        held = last.element_handle()
        assert held is not None
        site.see(SPARROW, timedelta(minutes=1))
        expect(cards).to_have_count(9)
        expect(cards.first).to_contain_text("House Sparrow")
        expect(page.locator("#news")).to_have_text(re.compile(r"New: House Sparrow at \d\d:\d\d"))
        assert held.evaluate("(it) => it === document.activeElement")
        assert abs(last.evaluate("(it) => it.closest('li').getBoundingClientRect().top") - top) < 2
        for minutes in (50, 51):  # folds the last ones away, and joins one of the others
            site.see(BLUE_TIT, timedelta(minutes=minutes))
        expect(page.locator("#earlier")).to_have_count(1)
        page.locator("#earlier summary").click()
        site.see(SPARROW, timedelta(minutes=20))
        expect(page.locator("#earlier-count")).to_contain_text("2 earlier")
        expect(page.locator("#folded > li").last).to_be_visible()
        assert_accessible(page)


def test_a_server_that_is_gone_is_told_until_it_is_back(site: Site, chromium: Browser) -> None:
    """The page says politely that nobody answers, and takes that back by itself."""
    context = chromium.new_context()  # a browser calls the refused connection an error
    page = context.new_page()
    with site.serve() as base:
        page.goto(base)
        expect(page.locator("#lost")).to_be_empty()
    expect(page.locator("#lost")).to_have_text("The feeder does not answer; trying again.")
    with site.serve():
        expect(page.locator("#lost")).to_be_empty()
        page.goto("about:blank")
    context.close()


def test_a_favorite_is_marked_on_its_visit(site: Site, page: Page) -> None:
    """A star stands on a card whose picture is a favorite; a single frame lasts no time."""
    site.see(ROBIN, timedelta(minutes=5))
    site.see(SPARROW, timedelta(minutes=50))
    pictures = PictureLog.open(site.settings.database)
    with pictures.writing():
        pictures.set_favorite([1], True)
    pictures.close()
    with served(site, page) as base:
        page.goto(base)
        expect(page.locator("#visits > li").first).to_contain_text("favorite")
        expect(page.locator("#visits > li").last).not_to_contain_text("favorite")
        expect(page.locator("#visits > li").last).not_to_contain_text("1 frame")
        page.goto(f"{base}/frames?show=favorites")
        expect(page.locator("ol.frames > li")).to_have_count(1)


def test_the_first_visit_arrives_in_an_empty_feeder(site: Site, page: Page) -> None:
    """The day begins with kind words, and the first bird takes their place."""
    with served(site, page) as base:
        page.goto(base)
        expect(page.locator("#no-visits")).to_contain_text("Nobody has come yet today")
        assert_good_everywhere(page)
        site.see(ROBIN, timedelta(minutes=1))
        expect(page.locator("#visits > li")).to_have_count(1)
        expect(page.locator("#no-visits")).to_have_count(0)
        expect(page.locator("#news")).to_contain_text("European Robin")


def test_a_day_without_visits_shows_the_last(site: Site, page: Page) -> None:
    """Who came last, and when."""
    site.see(ROBIN, timedelta(days=3))
    with served(site, page) as base:
        page.goto(base)
        expect(page.locator("#last > li")).to_have_count(1)
        assert_accessible(page)


def test_without_a_log_pages_say_what_is_missing(site: Site, page: Page) -> None:
    """Before the first run there is nothing to show, and every page says so."""
    site.close()
    for path in site.settings.database.parent.glob("feeder.db*"):
        path.unlink()
    with served(site, page) as base:
        page.goto(base)
        expect(page.locator("#no-log")).to_contain_text("There is no log yet")
        for path in ("/species", "/calendar"):
            page.goto(base + path)
            expect(page.locator("h1")).to_be_visible()
        assert_accessible(page)


def test_names_are_text_everywhere(site: Site, page: Page) -> None:
    """Whatever stands in a label, it is shown and does nothing."""
    name = '<img src=x onerror="alert(1)">/../?a=1#b%2F&amp;'
    site.see(Label(name, Kind.BIRD, "<b>Avis</b>"), timedelta(minutes=1), 0.9, (ROBIN, 0.05))
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    with served(site, page) as base:
        for path in ("/", "/species", "/calendar"):
            page.goto(base + path)
            expect(page.get_by_text(name).first).to_be_attached()
        page.goto(base + "/species")
        page.get_by_role("link", name=name).click()
        expect(page.locator("h1")).to_have_text(name)
        page.locator(".visits > li").first.get_by_role("link").click()
        expect(page.locator("h1")).to_have_text(name)
        assert_good_everywhere(page)
    assert dialogs == []


def test_a_clock_that_was_not_known_is_marked(site: Site, page: Page) -> None:
    """A question mark follows the time, and says why."""
    site.see(ROBIN, timedelta(minutes=5))
    site.logbook.close()
    with closing(sqlite3.connect(site.settings.database)) as log, log:
        log.execute("UPDATE media SET timestamp_trusted = 0")
    with served(site, page) as base:
        page.goto(base)
        expect(page.locator("#visits abbr")).to_have_text("?")
        missing = "1 visit is not in the chart: the computer did not know the time."
        expect(page.locator("#undated")).to_have_text(missing)
        page.goto(base + "/calendar")
        expect(page.get_by_text(missing)).to_be_visible()
        page.goto(base + "/species")
        expect(page.locator(".species > li")).to_contain_text("no day is known")
        page.goto(base + "/species/European%20Robin")
        expect(page.locator(".figures")).to_contain_text("Undated")


def test_a_reason_is_told_where_it_says_more_than_the_name() -> None:
    """One that repeats the name and its probability stands there already."""
    assert words.telling("dog 1.00", "dog") == ""
    assert words.telling("European Robin", "European Robin") == ""
    assert words.telling("dog 0.40 < 0.6", "dog") == "dog 0.40 < 0.6"
    assert words.telling("confirmed", None) == "confirmed"


def test_motion_is_left_out_where_it_is_unwelcome(base: str, page: Page) -> None:
    """With reduced motion nothing is animated."""
    page.emulate_media(reduced_motion="reduce")
    page.goto(base)
    moving = page.evaluate(
        "[...document.querySelectorAll('*')].filter((it) => { const style = getComputedStyle(it);"
        " return style.animationName !== 'none' || parseFloat(style.transitionDuration) > 0; })"
        ".length"
    )
    assert moving == 0


def test_the_strip_of_pages_is_under_the_thumb(base: str, page: Page) -> None:
    """On a phone it is at the bottom, each page at least 44 px high and all of it in sight."""
    page.goto(base + "/calendar")
    strip = page.locator("header.top")
    box = strip.bounding_box()
    assert box is not None and abs(box["y"] + box["height"] - PHONE[1]) < 1
    links = strip.get_by_role("link")
    assert links.count() == 9
    for place in range(9):
        found = links.nth(place).bounding_box()
        assert found is not None and found["height"] >= 44
        expect(links.nth(place)).to_be_in_viewport(ratio=1)
    expect(strip.locator("[aria-current]")).to_be_in_viewport()


def test_files_are_kept_by_their_version(base: str) -> None:
    """The style under its version is kept for ever; without it browsers ask again by its ETag."""
    _, headers, style = fetch(base + static_url("feeder.css"))
    assert "immutable" in headers["cache-control"]
    _, headers, again = fetch(base + "/static/feeder.css")
    assert headers["cache-control"] == "no-cache" and again == style
    with pytest.raises(urllib.error.HTTPError, match="304"):
        fetch(base + "/static/feeder.css", **{"If-None-Match": headers["etag"]})
    _, headers, _ = fetch(base + "/static/feeder.css?v=other")
    assert headers["cache-control"] == "no-cache"


def test_pages_are_compressed_where_that_is_understood(base: str) -> None:
    """A browser gets gzip, others plain text."""
    _, plain, text = fetch(base + "/species")
    _, packed, data = fetch(base + "/species", **{"Accept-Encoding": "br, gzip"})
    assert "content-encoding" not in plain and packed["content-encoding"] == "gzip"
    assert len(data) < len(text) / 2 and packed["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/species/European%20Robin"])
def test_bars_stay_in_their_chart(base: str, page: Page, path: str) -> None:
    """No rule for something else on another page reaches into a drawing."""
    page.goto(base + path)
    outside = page.evaluate(
        "[...document.querySelectorAll('svg.chart .bar')].filter((bar) => {"
        " const one = bar.getBoundingClientRect();"
        " const all = bar.ownerSVGElement.getBoundingClientRect();"
        " return one.width > all.width / 5 || one.left < all.left - 1 || one.right > all.right + 1;"
        "}).length"
    )
    assert page.locator("svg.chart .bar").count() > 0 and outside == 0


def test_the_calendar_begins_with_its_newest_days(base: str, page: Page) -> None:
    """On a phone, where a year is wider than the page, today is in sight."""
    page.goto(base + "/calendar")
    newest = page.locator(".chart.year a").last
    box = newest.bounding_box()
    assert box is not None and box["x"] >= 0 and box["x"] + box["width"] <= PHONE[0]
