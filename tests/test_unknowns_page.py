"""The page that sorts what is unknown, and names it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest
from fastapi import Request
from playwright.sync_api import Page, expect

from feeder.classifier import Classifier, as_kept
from feeder.config import Settings
from feeder.encoder import unit
from feeder.log_reader import LogReader, Query
from feeder.web.desk import Desk
from feeder.web.unknowns_page import Sorter, unknowns
from tests.accessibility import assert_accessible, assert_fits
from tests.site import UNKNOWN, Site

SISKIN, FINCH = 8, 6


@pytest.fixture(scope="module")
def garden(tmp_path_factory: pytest.TempPathFactory, tiny_clip: Path) -> Iterator[Site]:
    """Two birds that the model cannot name, each on several occasions."""
    made = Site(tmp_path_factory.mktemp("garden"), tiny_clip)
    random = np.random.default_rng(1)
    width = made.bundle.manifest.embedding_width
    centres = unit(random.normal(size=(2, width)).astype(np.float32))
    for bird, count in enumerate((SISKIN, FINCH)):
        for number in range(count):
            near = centres[bird] + 0.05 * random.normal(size=width)
            vector = as_kept(unit(near[None].astype(np.float32)))[0]
            seen = replace(UNKNOWN, embedding=vector, model_digest=made.bundle.digest)
            made.see(seen, timedelta(hours=40 - 2 * number - bird))
    yield made
    made.close()


@pytest.fixture(scope="module")
def address(garden: Site) -> Iterator[str]:
    """Where its page is served."""
    with garden.serve() as base:
        yield base


def test_clusters_are_sorted_and_named_at_once(garden: Site, address: str, page: Page) -> None:
    """Sorting goes on beside the page; a name is given to a whole cluster, and taken back."""
    pytest.importorskip("sklearn")
    page.goto(f"{address}/unknowns")
    page.get_by_role("button", name="Sort them").click()
    expect(page.get_by_role("heading", name="8 frames alike")).to_be_visible(timeout=30_000)
    expect(page.get_by_role("heading", name="6 frames alike")).to_be_visible()
    expect(page.get_by_text("14 frames show something that no species fitted.")).to_be_visible()
    assert_fits(page)
    assert_accessible(page)
    cluster = page.locator("section.cluster").first
    cluster.get_by_label("All of them are").fill("House Finch")
    cluster.get_by_role("button", name="Name them").click()
    expect(page.get_by_role("status")).to_contain_text("8 alike -> House Finch")
    expect(page.locator("section.cluster")).to_have_count(1)
    assert named(garden) == 8
    page.get_by_role("button", name="Undo").click()
    expect(page.locator("section.cluster")).to_have_count(2)
    assert named(garden) == 0


def test_without_scikit_learn_the_page_says_what_brings_it(
    garden: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What sorting needs is named where it is not installed; the rest of the page is there."""
    monkeypatch.setattr("feeder.web.unknowns_page.find_spec", lambda name: None)

    def never(settings: Settings) -> Classifier:
        raise AssertionError("nothing is judged here")

    desk = Desk(garden.settings, lambda settings: None, never)
    scope = {"type": "http", "method": "GET", "path": "/unknowns", "query_string": b""}
    text = bytes(unknowns(Request({**scope, "headers": []}), desk, Sorter()).body).decode()
    assert "pip install &#39;.[cluster]&#39;" in text or "pip install '.[cluster]'" in text
    assert "/unknowns/sort" not in text


def named(site: Site) -> int:
    """How many frames have a species."""
    return sum(1 for _ in LogReader(site.settings.database).sightings(Query()))
