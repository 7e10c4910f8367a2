"""The page that asks about what is new, and what becomes of the answers."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from feeder.judgement_log import JudgementLog, State, What
from feeder.log_reader import LogReader, Query
from tests.accessibility import assert_accessible, assert_fits
from tests.sightings import ROBIN, SPARROW, SQUIRREL
from tests.site import BLUE_TIT, Site


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Site]:
    """Four species that nobody has vouched for, the robin first, with two frames."""
    made = Site(tmp_path_factory.mktemp("garden"), tiny_clip)
    made.see(ROBIN, timedelta(hours=5), 0.8, (SPARROW, 0.1), (BLUE_TIT, 0.05))
    made.see(ROBIN, timedelta(hours=4), 0.9, (SPARROW, 0.08), (BLUE_TIT, 0.01))
    made.see(SPARROW, timedelta(hours=3), 0.7, (ROBIN, 0.2))
    made.see(BLUE_TIT, timedelta(hours=2), 0.6)
    made.see(SQUIRREL, timedelta(hours=1), 0.9)
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(garden: Site) -> Iterator[str]:
    """Where its page is served."""
    with garden.serve() as base:
        yield base


@pytest.fixture
def review(garden: Site, address: str, page: Page) -> Iterator[Page]:
    """The page at the start of a round; what a test says is taken back at its end."""
    page.goto(f"{address}/review")
    yield page
    with JudgementLog.open(garden.settings.database) as log:
        for made in log.judgements(What.CORRECTION, state=State.IN_FORCE):
            log.undo(made.judgement_id)


def shown(site: Site) -> dict[int, str]:
    """What the log calls each frame now."""
    rows = LogReader(site.settings.database).sightings(Query(every_frame=True))
    return {row["media_id"]: row["label"] or row["observation_type"] for row in rows}


def test_a_tap_confirms_a_new_species_and_the_next_one_comes(garden: Site, review: Page) -> None:
    """Yes vouches for the species; the page goes on by itself and says what was written."""
    expect(review.get_by_text("1 of 4", exact=True)).to_be_visible()
    review.evaluate("window.stayed = true")
    review.get_by_role("button", name="Yes: European Robin").click()
    expect(review.get_by_role("button", name="Yes: House Sparrow")).to_be_visible()
    expect(review.get_by_role("status")).to_contain_text("Written. frame 2: European Robin")
    assert review.evaluate("window.stayed")
    with JudgementLog.open(garden.settings.database) as log:
        (made, *_) = log.judgements(What.CORRECTION)
    assert made.settings == {"review": "new"}
    assert made.state is State.IN_FORCE


def test_an_answer_can_be_undone_and_is_asked_again(garden: Site, review: Page) -> None:
    """Undo takes the answer out of force, and the species waits again."""
    review.get_by_role("button", name="House Sparrow").click()
    expect(review.get_by_role("status")).to_contain_text("House Sparrow")
    assert shown(garden)[2] == "House Sparrow"
    review.get_by_role("button", name="Undo").click()
    expect(review.get_by_role("status")).to_contain_text("Taken back.")
    expect(review.get_by_role("button", name="Yes: European Robin")).to_be_visible()
    assert shown(garden)[2] == "European Robin"


def test_keys_alone_go_through_the_queue(garden: Site, review: Page) -> None:
    """The terminal's keys do on the page what they do there, and capitals mean all frames."""
    keys = review.keyboard
    keys.press("Shift+N")
    expect(review.get_by_role("button", name="Yes: House Sparrow")).to_be_visible()
    assert [shown(garden)[one] for one in (1, 2)] == ["nothing there", "nothing there"]
    keys.press("1")
    expect(review.get_by_role("button", name="Yes: Eurasian Blue Tit")).to_be_visible()
    assert shown(garden)[3] == "European Robin"
    keys.press("s")
    expect(review.get_by_role("button", name="Yes: Eastern Gray Squirrel")).to_be_visible()
    keys.press("z")
    expect(review.get_by_role("status")).to_contain_text("Taken back.")
    assert shown(garden)[3] == "House Sparrow"


def test_another_species_is_written_and_sent_by_return(garden: Site, review: Page) -> None:
    """Return in the field says what stands in it, and not what the first button says."""
    review.keyboard.press("o")
    expect(review.get_by_label("Another species")).to_be_focused()
    review.keyboard.type("house finch")
    review.keyboard.press("Enter")
    expect(review.get_by_role("status")).to_contain_text("House Finch")
    assert shown(garden)[2] == "House Finch"


def test_a_name_that_is_none_is_told_and_kept(
    garden: Site, address: str, chromium: Browser
) -> None:
    """What cannot be said is explained beside the field, and what was typed stays in it."""
    context = chromium.new_context()  # a browser calls the refusal an error, too
    page = context.new_page()
    page.goto(f"{address}/review")
    page.get_by_label("Another species").fill("House Finsh")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean 'House Finch'")
    expect(page.get_by_label("Another species")).to_have_value("House Finsh")
    assert shown(garden)[2] == "European Robin"
    context.close()


def test_a_species_is_blocked_and_unblocked(garden: Site, review: Page) -> None:
    """A bird that cannot be there is never named again, until that is taken back."""
    review.keyboard.press("s")
    expect(review.get_by_role("button", name="Yes: House Sparrow")).to_be_visible()
    review.keyboard.press("b")
    expect(review.get_by_role("status")).to_contain_text("House Sparrow is not to be named")
    assert "House Sparrow" in garden.settings.own_labels.read_text(encoding="utf-8")
    expect(review.get_by_role("button", name="Yes: Eurasian Blue Tit")).to_be_visible()
    assert "systemctl" not in review.locator("main").inner_text()
    review.keyboard.press("s")
    expect(review.get_by_role("button", name="Yes: Eastern Gray Squirrel")).to_be_visible()
    review.keyboard.press("z")
    expect(review.get_by_role("status")).to_contain_text("House Sparrow may be named again.")
    expect(review.get_by_role("button", name="Yes: House Sparrow")).to_be_visible()
    assert "House Sparrow" not in garden.settings.own_labels.read_text(encoding="utf-8")


def test_keys_can_be_turned_off(review: Page) -> None:
    """Who speaks to the computer turns single keys off, and they stay off (WCAG 2.1.4)."""
    review.get_by_role("button", name="Keys", exact=True).click()
    review.keyboard.press("n")
    review.reload()
    review.keyboard.press("n")
    expect(review.get_by_role("button", name="Yes: European Robin")).to_be_visible()
    expect(review.get_by_role("status")).to_be_empty()


def test_without_a_script_answers_and_undo_work(
    garden: Site, address: str, chromium: Browser, review: Page
) -> None:
    """Each answer is a form that is posted, answered by a redirect to the next one."""
    context = chromium.new_context(java_script_enabled=False)
    plain = context.new_page()
    plain.goto(f"{address}/review")
    plain.get_by_role("button", name="Cannot tell").click()
    assert plain.url.startswith(f"{address}/review?answered=1&said=")
    assert shown(garden)[2] == "unknown"
    plain.get_by_role("button", name="Undo").click()
    expect(plain.get_by_role("button", name="Yes: European Robin")).to_be_visible()
    plain.locator(".taps a").click()
    expect(plain.get_by_role("button", name="Yes: House Sparrow")).to_be_visible()
    context.close()


def test_all_can_be_looked_at_as_a_list(garden: Site, review: Page) -> None:
    """The list shows everything that waits, and answers without leaving it."""
    review.get_by_role("link", name="All as a list").click()
    expect(review.locator("li.hit")).to_have_count(4)
    review.get_by_role("button", name="Yes: European Robin").click()
    expect(review.locator("li.hit")).to_have_count(3)
    expect(review.get_by_role("status")).to_contain_text("European Robin")


def test_review_is_accessible_everywhere(address: str, review: Page) -> None:
    """Neither the card nor the list has a serious finding, at any width, light or dark."""
    for path in ("/review", "/review?every=1"):
        review.goto(f"{address}{path}")
        assert_fits(review)
        for scheme in ("light", "dark"):
            review.emulate_media(color_scheme=scheme)
            assert_accessible(review)


def test_the_end_offers_the_uncertain(review: Page) -> None:
    """Once nothing new waits, the page says so and offers the least certain sightings."""
    for label in (ROBIN, SPARROW, BLUE_TIT, SQUIRREL):
        review.get_by_role("button", name=f"Yes: {label.name}").click()
    expect(review.get_by_role("heading", name="Nothing waits for you")).to_be_visible()
    expect(review.get_by_text("4 answers in this round")).to_be_visible()
    review.get_by_role("link", name="Ask about the least certain, too").click()
    expect(review.get_by_text("1 of 1", exact=True)).to_be_visible()
