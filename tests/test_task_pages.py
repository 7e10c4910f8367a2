"""Frames, corrections, search, identifying, settings and health, in a real browser."""

import base64
import io
import re
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from feeder.classifier import Classifier
from feeder.config import Settings
from feeder.daemon_link import DaemonLink
from feeder.domain import Kind, Label, unclassified
from feeder.judgement_log import JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from feeder.picture_log import PictureLog
from feeder.web.correcting import answers
from feeder.web.desk import Desk
from feeder.web.health_page import daemon
from feeder.web.settings_page import masked
from tests.accessibility import PHONE, assert_accessible, assert_fits
from tests.conftest import FakeClock
from tests.sightings import ROBIN, SPARROW
from tests.site import BLANK, UNKNOWN, Site
from tests.web_app import BROWSER, HERE, asked

HOSTILE = '"><img src=x onerror=alert(1)><b>finch'


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Site]:
    """A few frames, with secrets in the settings and hostile names in the log."""
    made = Site(
        tmp_path_factory.mktemp("garden"),
        tiny_clip,
        alerts='send_to = ["ntfy://ada:hunter2@example.org/birds", "mailto:ada@example.org"]',
        mqtt='broker = "broker.lan"\nusername = "ada-lovelace"\npassword = "data/mqtt-password"',
        frames="max_megabytes = 0.5",
    )
    made.see(ROBIN, timedelta(hours=5), 0.8, (SPARROW, 0.1), name="<b>robin<img src=x>.jpg")
    made.see(SPARROW, timedelta(hours=3), 0.7, (ROBIN, 0.2))
    made.see(Label(HOSTILE, Kind.BIRD, HOSTILE), timedelta(hours=2), 0.7, (ROBIN, 0.2))
    made.see(UNKNOWN, timedelta(hours=1))
    made.see(BLANK, timedelta(minutes=30))
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(garden: Site) -> Iterator[str]:
    """Where its page is served."""
    with garden.serve() as base:
        yield base


@pytest.fixture(scope="module")
def jpeg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A picture such as a phone takes, in little."""
    path = tmp_path_factory.mktemp("phone") / "my robin.jpg"
    Image.linear_gradient("L").resize((320, 240)).convert("RGB").save(path)
    return path


@pytest.fixture
def plain(chromium: Browser) -> Iterator[Page]:
    """A browser without scripts."""
    context = chromium.new_context(
        java_script_enabled=False, viewport={"width": 390, "height": 844}
    )
    yield context.new_page()
    context.close()


def shown(site: Site, media_id: int) -> str:
    """What the log calls a frame now."""
    rows = LogReader(site.settings.database).sightings(Query(every_frame=True))
    (found,) = (row for row in rows if row["media_id"] == media_id)
    return str(found["label"] or found["observation_type"])


def test_a_correction_is_in_the_log_and_can_be_undone(
    garden: Site, address: str, page: Page
) -> None:
    """One tap on a frame's page corrects it, as `feeder correct` does; the list takes it back."""
    page.goto(f"{address}/frames/1")
    page.get_by_label("A note").fill("a red breast is missing")
    page.get_by_role("button", name="House Sparrow").click()
    expect(page.get_by_role("status")).to_contain_text("Written.")
    expect(page.get_by_role("heading", level=1)).to_contain_text("House Sparrow")
    expect(page.get_by_text("a red breast is missing", exact=True)).to_be_visible()
    assert shown(garden, 1) == "House Sparrow"
    page.goto(f"{address}/corrections")
    said = page.locator(".said > li").first
    expect(said).to_contain_text("correction ")
    expect(said.locator("a[href='/frames/1'] img")).to_be_visible()
    page.get_by_role("button", name="Undo").first.click()
    expect(page.get_by_role("status")).to_contain_text("Taken back.")
    assert shown(garden, 1) == "European Robin"
    with JudgementLog.open(garden.settings.database) as log:
        assert log.judgements(What.CORRECTION)[0].state is State.UNDONE


def test_a_blocked_species_is_listed_and_named_again(address: str, page: Page) -> None:
    """What is never named stands below what people said, with its way back."""
    answer = page.request.post(f"{address}/review/2/block", headers={"Origin": address})
    assert answer.ok
    page.goto(f"{address}/corrections")
    page.get_by_role("button", name="Name House Sparrow again").click()
    expect(page.get_by_role("status")).to_contain_text("House Sparrow may be named again.")
    expect(page.get_by_role("heading", name="Never named")).to_have_count(0)


def test_a_misspelt_species_is_told_on_the_page(
    garden: Site, address: str, chromium: Browser
) -> None:
    """The name that may be meant is told, and what was typed stays, with a script and without."""
    for with_script in (True, False):
        context = chromium.new_context(java_script_enabled=with_script)
        page = context.new_page()  # a browser calls the refusal an error, too
        page.goto(f"{address}/visits/garden:2")
        page.get_by_label("A note").fill("small")
        page.get_by_label("Another species").fill("House Finsh")
        page.get_by_label("Another species").press("Enter")
        expect(page.get_by_role("alert")).to_contain_text("Did you mean 'House Finch'")
        expect(page.get_by_label("Another species")).to_have_value("House Finsh")
        expect(page.get_by_label("A note")).to_have_value("small")
        assert shown(garden, 2) == "House Sparrow"
        page.get_by_label("Another species").fill("House Finch")
        page.get_by_label("Another species").press("Enter")
        expect(page.get_by_role("status")).to_contain_text("Written.")
        assert shown(garden, 2) == "House Finch"
        page.get_by_role("button", name="Undo").click()
        expect(page.get_by_role("status")).to_contain_text("Taken back.")
        context.close()


def test_a_frame_without_a_verdict_can_be_named_and_not_agreed_with(site: Site, page: Page) -> None:
    """A file that could not be read offers neither Yes nor frames like it; naming it works."""
    site.see(unclassified("the file is cut short"))
    with site.serve() as base:
        page.goto(f"{base}/frames/1")
        expect(page.get_by_role("button", name="Yes")).to_have_count(0)
        expect(page.get_by_role("link", name="Frames like this one")).to_have_count(0)
        page.get_by_label("Another species").fill("House Finch")
        page.get_by_label("Another species").press("Enter")
        expect(page.get_by_role("heading", level=1)).to_contain_text("House Finch")
        assert shown(site, 1) == "House Finch"
        page.goto("about:blank")


def test_a_new_name_is_given_without_a_script(garden: Site, address: str, plain: Page) -> None:
    """A name that no label has is made by ticking so, with its scientific name and kind."""
    plain.goto(f"{address}/frames/4")
    plain.get_by_text("It is a name that Feeder does not know").click()
    plain.get_by_label("Another species").fill("Lesser Redpoll")
    plain.get_by_label("Make it a new name").check()
    plain.get_by_label("Scientific name").fill("Acanthis cabaret")
    plain.get_by_label("Another species").press("Enter")
    expect(plain.get_by_role("heading", level=1)).to_contain_text("Lesser Redpoll")
    assert shown(garden, 4) == "Lesser Redpoll"
    plain.get_by_role("button", name="Undo").click()
    assert shown(garden, 4) == "unknown"


def test_a_blank_is_confirmed_and_an_unknown_is_no_bird(
    garden: Site, address: str, page: Page
) -> None:
    """A frame that names nothing can be agreed with, and corrected, by one tap."""
    page.goto(f"{address}/frames/5")
    page.get_by_role("button", name="Yes: blank").click()
    expect(page.get_by_role("status")).to_contain_text("1 blank -> ")
    page.goto(f"{address}/frames/4")
    page.get_by_role("button", name="Not a bird").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("blank")
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("unknown")


def test_several_chosen_frames_are_one_correction(garden: Site, address: str, page: Page) -> None:
    """Frames that are sent together are corrected, and undone, together."""
    answer = page.request.post(
        f"{address}/corrections",
        data="frame=1&frame=2&species=House%20Finch&back=//evil.example/",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": address},
    )
    assert answer.ok
    assert answer.url.startswith(f"{address}/corrections?said=")
    assert [shown(garden, one) for one in (1, 2)] == ["House Finch", "House Finch"]
    with JudgementLog.open(garden.settings.database) as log:
        made = log.judgements(What.CORRECTION)[0]
        assert made.frames == 2
        log.undo(made.judgement_id)


def test_what_is_not_there_and_what_was_not_chosen_is_told(address: str, page: Page) -> None:
    """A frame that is none is a page that says so; so is a form without a frame."""
    answer = page.request.get(f"{address}/frames/999")
    assert (answer.status, "There is no frame 999" in answer.text()) == (404, True)
    assert page.request.get(f"{address}/frames/{2**63}").status in (404, 422)
    answer = page.request.post(
        f"{address}/corrections",
        data="say=unknown",
        headers={"Content-Type": "application/x-www-form-urlencoded", "Origin": address},
    )
    assert (answer.status, "No frame was chosen." in answer.text()) == (400, True)


def test_pages_name_no_command_for_what_they_can_do(garden: Site) -> None:
    """A frame or a correction that is not there is looked for on the pages."""
    with asked(garden) as asker:
        form = b"back=/corrections"
        for answer in (
            asker.get("/frames?before=99999", BROWSER),
            asker.get("/search?like_frame=99999", BROWSER),
            asker.post("/corrections/99999/undo", {**HERE, **BROWSER}, form),
            asker.post("/favorites", {**HERE, **BROWSER}, b"frame=99999&keep=true"),
        ):
            assert "at the foot of each page" in answer.text
            assert "<code>feeder" not in answer.text


def test_a_visit_is_answered_as_one_and_frame_by_frame(garden: Site) -> None:
    """What most frames show can be said of all; the others' labels are offered beside it."""

    def never(settings: Settings) -> Classifier:
        raise AssertionError("nothing is judged here")

    desk = Desk(garden.settings, lambda settings: None, never)
    of_all = answers(desk, [1, 2], "/visits/garden:1")
    assert (of_all.shown, of_all.yes) == ("European Robin", ("species", "European Robin"))
    assert of_all.others == ("House Sparrow",)
    assert answers(desk, [4], "/").yes == ("say", "unknown")
    assert answers(desk, [5], "/").yes == ("say", "confirm")
    assert answers(desk, [5, 5, 1], "/").yes == ("say", "not-a-bird")


def test_a_favorite_is_made_and_unmade(garden: Site, address: str, page: Page) -> None:
    """The star keeps a picture for ever, until it is taken off."""

    def is_favorite() -> bool:
        log = PictureLog.open(garden.settings.database, writable=False)
        try:
            return log.get([2])[0].is_favorite
        finally:
            log.close()

    page.goto(f"{address}/frames/2")
    page.get_by_role("button", name="Make it a favorite").click()
    expect(page.get_by_text("favorite", exact=True)).to_be_visible()
    assert is_favorite()
    page.get_by_role("button", name="A favorite; no longer").click()
    expect(page.get_by_role("button", name="Make it a favorite")).to_be_visible()
    assert not is_favorite()


def test_hostile_names_are_text(address: str, page: Page) -> None:
    """Names of files and species that hold HTML are shown as they are written."""
    page.goto(f"{address}/frames/1")
    expect(page.get_by_text("<b>robin<img src=x>.jpg")).to_be_visible()
    for path in ("/frames/3", "/search?like_frame=1", "/review?every=1"):
        page.goto(f"{address}{path}")
        expect(page.get_by_text(HOSTILE).first).to_be_visible()
        assert page.locator("img[src=x]").count() == 0


def test_search_by_words_by_frame_and_by_photo(
    garden: Site, address: str, page: Page, jpeg: Path
) -> None:
    """The likest frames come as cards with their similarity, whatever is sought."""
    page.goto(f"{address}/search")
    page.get_by_label("What you look for").fill("a bird bathing")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Like “a bird bathing”")).to_be_visible()
    expect(page.locator("li.hit")).to_have_count(3)
    expect(page.get_by_text("similarity").first).to_be_visible()
    page.goto(f"{address}/frames/1")
    page.get_by_role("link", name="Frames like this one").click()
    expect(page.get_by_role("heading", name="Like frame 1")).to_be_visible()
    expect(page.locator("li.hit")).to_have_count(2)
    page.get_by_label("By a photo of yours").set_input_files(jpeg)
    page.locator("form[method=post]").get_by_text("Only some of the frames").click()
    page.locator("#by-photo-species").fill("House Sparrow")
    page.locator("form[method=post]").get_by_role("button", name="Find").click()
    expect(page.get_by_role("heading", name="Like your photo my robin.jpg")).to_be_visible()
    expect(page.locator("li.hit")).to_have_count(1)


def test_a_photo_is_identified_with_a_script(address: str, page: Page, jpeg: Path) -> None:
    """A chosen photo is judged at once: five labels with bars, P(bird), and what was judged."""
    page.goto(f"{address}/identify")
    page.get_by_label("Photos").set_input_files(jpeg)
    card = page.locator("article.look")
    expect(card.get_by_role("heading", name="my robin.jpg")).to_be_visible()
    expect(card.locator("tbody tr")).to_have_count(5)
    expect(card.get_by_text("Some bird at all")).to_be_visible()
    expect(card.get_by_text("240 pixels; its middle was judged, 75 % of it.")).to_be_visible()
    expect(card.locator("canvas")).to_be_visible()


def test_several_photos_are_identified_without_a_script(
    garden: Site, address: str, plain: Page, jpeg: Path, tmp_path: Path
) -> None:
    """One form takes several photos; what is wrong with one is said of that one alone."""
    broken, large, text = (tmp_path / name for name in ("cut.jpg", "large.jpg", "note.png"))
    broken.write_bytes(jpeg.read_bytes()[:600])
    large.write_bytes(jpeg.read_bytes() + bytes(600_000))
    text.write_text("no picture", encoding="utf-8")
    plain.goto(f"{address}/identify")
    plain.get_by_label("Photos").set_input_files([jpeg, broken, large, text])
    plain.get_by_role("button", name="Identify").click()
    expect(plain.locator("article.look")).to_have_count(4)
    expect(plain.locator("tbody tr")).to_have_count(5)
    said = plain.get_by_role("alert").all_inner_texts()
    assert "cut short" in said[0] or "broken" in said[0]
    assert said[1] == "Not looked at: the file has more than the 0.5 MB allowed."
    assert said[2].startswith("Not looked at: not a picture in an accepted format")
    assert LogReader(garden.settings.database).count()["animal"] == 3
    assert not list(garden.settings.database.parent.rglob("*robin*"))


def test_no_photo_is_told_kindly(address: str, page: Page) -> None:
    """A form that is sent without a photo says so."""
    page.goto(f"{address}/identify")
    page.get_by_role("button", name="Identify").click()
    expect(page.get_by_role("alert")).to_have_text("Not looked at: no picture was chosen.")


def test_a_photo_is_pasted_and_dropped(address: str, page: Page, jpeg: Path) -> None:
    """A picture on the clipboard, or dragged onto the page, is looked at as it comes."""
    page.goto(f"{address}/identify")
    for event, field in (("paste", "clipboardData"), ("drop", "dataTransfer")):
        page.evaluate(
            """([event, field, data]) => {
                const bytes = Uint8Array.from(atob(data), (one) => one.charCodeAt(0));
                const held = new DataTransfer();
                held.items.add(new File([bytes], `${event}.jpg`, { type: "image/jpeg" }));
                const kind = event === "paste" ? ClipboardEvent : DragEvent;
                document.body.dispatchEvent(
                    new kind(event, { [field]: held, bubbles: true, cancelable: true }),
                );
            }""",
            [event, field, base64.b64encode(jpeg.read_bytes()).decode()],
        )
        expect(page.get_by_role("heading", name=f"{event}.jpg")).to_be_visible()
        expect(page.locator("article.look tbody tr")).to_have_count(5)


def test_any_labels_and_other_vocabularies_are_tried(address: str, page: Page, jpeg: Path) -> None:
    """On a model that reads text, the same page does one's own labels and dog breeds."""
    page.goto(f"{address}/identify")
    page.get_by_text("Ask for something else").click()
    page.get_by_label("Choose among").select_option("dog-breeds")
    page.get_by_label("Try any labels").fill("an apple\n\nan iPod\nan apple")
    page.get_by_label("Set each against its written word").check()
    page.get_by_label("Photos").set_input_files(jpeg)
    card = page.locator("article.look")
    yours = card.get_by_role("table", name="Your labels")
    expect(yours.locator("tbody tr")).to_have_count(4)
    expect(yours.get_by_text('the word "an iPod"', exact=True)).to_be_visible()
    breeds = (Path(__file__).parents[1] / "models/vocabularies/dog-breeds.toml").read_text("utf-8")
    names = card.get_by_role("table", name="Labels with").locator("th[scope=row]").all_inner_texts()
    assert any(f'"{name}"' in breeds for name in names)


def test_a_model_without_words_says_what_it_cannot(
    tmp_path: Path, photos: Path, page: Page
) -> None:
    """The starter names a garden bird, and says kindly that dog breeds and words are not for it."""
    starter = Path(__file__).parents[1] / "models" / "starter"
    (robin, *_) = sorted((photos / "garden" / "European Robin").iterdir())
    site = Site(tmp_path, starter)
    with site.serve() as address:
        page.goto(f"{address}/search")
        expect(page.get_by_text("knows pictures and no words")).to_be_visible()
        page.goto(f"{address}/identify")
        page.get_by_text("Ask for something else").click()
        expect(page.get_by_label("Try any labels")).to_be_disabled()
        page.get_by_label("Photos").set_input_files(robin)
        expect(page.locator(".verdict")).to_contain_text("European Robin")
        expect(page.get_by_text("all of it was judged")).to_be_visible()
        page.get_by_label("Choose among").select_option("dog-breeds")
        page.get_by_role("button", name="Identify").click()
        expect(page.get_by_text("labels of dog-breeds, and chose")).to_be_visible()
    site.close()


def test_settings_are_shown_without_their_secrets(address: str, page: Page) -> None:
    """Each key stands with what it is for; addresses of messages and credentials do not."""
    page.goto(f"{address}/settings")
    text = page.locator("main").inner_text()
    assert "hunter2" not in text and "ada" not in text and "mqtt-password" not in text
    assert "ntfy://…" in text
    expect(page.get_by_text("set, and not shown").first).to_be_visible()
    expect(page.get_by_text('"broker.lan"', exact=True)).to_be_visible()
    expect(page.get_by_text("megabytes in a file")).to_be_visible()


def test_health_says_how_things_are_and_examines_on_demand(address: str, page: Page) -> None:
    """Cameras, log, disk and clock at a glance; the whole doctor on a button."""
    page.goto(f"{address}/health")
    expect(page.get_by_text("No daemon started this page")).to_be_visible()
    expect(page.get_by_text("The newest frame was taken 30 minutes ago")).to_be_visible()
    expect(page.get_by_text("3 animal")).to_be_visible()
    expect(page.get_by_text("clock", exact=True)).to_be_visible()
    page.get_by_role("button", name="Examine everything").click()
    expect(page.get_by_role("heading", name="The doctor's whole look")).to_be_visible()
    expect(page.get_by_text("self-test passed")).to_be_visible()


def test_a_daemon_that_hangs_is_told_from_one_that_works(time: FakeClock) -> None:
    """What the daemon last said is shown, and that it has fallen silent."""
    ended = threading.Event()
    heard = io.StringIO('{"words": "12 frames today", "waiting": 3}\n')
    link = DaemonLink(heard, ended.set, time.clock)
    assert ended.wait(30)
    assert daemon(link) == ("good", "12 frames today (3 files waiting)")
    time.advance(61)
    assert daemon(link)[0] == "warn"
    assert daemon(link)[1].startswith("It has been silent for 61 seconds.")
    assert daemon(None)[0] == ""


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("send_to", "ntfy://token@example.org/topic", "ntfy://…"),
        ("send_to", "mailto:ada:secret@example.org", "…"),
        ("send_to", "ada@example.org", "…"),
        ("send_to", "data/alert-urls", "data/alert-urls"),
        ("broker", "mqtt://ada:secret@broker", "mqtt://…"),
        ("broker", "ada:secret@broker", "…"),
        ("broker", "broker.lan", "broker.lan"),
        ("folder", "C:/snapshots", "C:/snapshots"),
    ],
)
def test_what_may_hold_a_key_is_masked(key: str, value: str, shown: str) -> None:
    """Of an address only its scheme is shown; plain paths are shown."""
    assert masked(key, value) == shown


@pytest.mark.parametrize(
    "path",
    [
        "/frames",
        "/frames/1",
        "/corrections",
        "/search?like_frame=1",
        "/identify",
        "/settings",
        "/health",
    ],
)
def test_each_page_is_accessible_everywhere(address: str, page: Page, path: str) -> None:
    """No page has a serious finding, at any width, light or dark."""
    page.goto(f"{address}{path}")
    page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
    assert_fits(page)
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": PHONE[0], "height": PHONE[1]})
        assert_accessible(page)


def test_frames_of_every_kind_are_listed(address: str, page: Page) -> None:
    """What was not named is found by what it is, and from Health's counts."""
    page.goto(f"{address}/health")
    page.get_by_role("link", name="1 blank").click()
    expect(page.locator("ol.frames > li")).to_have_count(1)
    expect(page.locator("ol.frames > li")).to_contain_text("blank")
    page.get_by_role("link", name="Frame 5", exact=True).click()
    assert page.url == f"{address}/frames/5"
    page.get_by_role("link", name="All frames").click()
    expect(page.locator("ol.frames > li")).to_have_count(5)
    page.get_by_label("Show").select_option("unknown")
    page.get_by_role("button", name="Show").click()
    expect(page.locator("ol.frames > li")).to_have_count(1)
    page.get_by_label("Day").fill("2020-01-01")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("There is no such frame.")).to_be_visible()


def test_many_frames_are_paged_by_links(garden: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each page leads to the older frames until there are none; a day that is none is told."""
    monkeypatch.setattr("feeder.web.frames_page.SHOWN", 2)
    with asked(garden) as asker:
        target, seen = "/frames", []
        while target:
            text = asker.get(target, BROWSER).text
            seen += re.findall(r'href="/frames/(\d+)"', text)
            older = re.search(r'rel="next" href="([^"]+)"', text)
            target = older[1] if older else ""
        assert seen == ["5", "4", "3", "2", "1"]
        assert asker.get("/frames?day=never", BROWSER).status == 422
        assert asker.get("/frames?before=99999", BROWSER).status == 404
        assert asker.get("/frames?show=alone", BROWSER).text.count('<li class="card frame">') == 1
