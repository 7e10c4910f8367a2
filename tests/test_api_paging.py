"""Pages of the API: together they are the whole, whatever comes meanwhile."""

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import given, settings
from hypothesis import strategies as st

from feeder import config
from feeder.clock import Clock
from feeder.domain import UNIDENTIFIED_BIRD
from feeder.log_reader import Query
from feeder.opening import open_classifier
from feeder.sighting_log import SightingLog
from feeder.visit_history import VisitQuery, place, read
from feeder.web.app import create_app
from feeder.web.desk import Desk
from tests.api import V1, got
from tests.sightings import ROBIN, SPARROW, START, SightedLog

GAP = timedelta(minutes=5)
LABELS = (ROBIN, SPARROW, UNIDENTIFIED_BIRD, None)

frames = st.tuples(
    # Few different times, so that some are taken at the same moment.
    st.integers(0, 120).map(lambda step: step * 37.5),
    st.sampled_from(LABELS),
    st.sampled_from(("garden", "pond")),
)


@contextmanager
def served(root: Path, clock: Clock | None = None) -> Iterator[tuple[SightedLog, TestClient]]:
    """A log without pictures, to be filled, and the API on it."""
    path = root / "config.toml"
    path.write_text('[[deployment]]\nname = "garden"\nfolder = "snapshots"\n', encoding="utf-8")
    chosen = config.load(path)
    log = SightedLog(chosen.database, clock)
    desk = Desk(chosen, lambda _: None, open_classifier, clock or Clock())
    try:
        with TestClient(create_app(desk), "http://127.0.0.1") as api:
            yield log, api
    finally:
        log.logbook.close()


def fill(log: SightedLog, seen: list[tuple[float, Any, str]]) -> None:
    """Logs frames in this order."""
    for at, label, camera in seen:
        log.see(at, label, 0.7, (SPARROW, 0.2), camera=camera, commit=False)
    log.logbook.commit()


@pytest.mark.parametrize(
    ("path", "asked"),
    [
        ("visits", {}),
        ("visits", {"species": "European Robin"}),
        ("visits", {"deployment": "pond", "since": "2026-05-01T06:40Z"}),
        ("sightings", {}),
        ("sightings", {"every_frame": True, "until": "2026-05-01T07:10Z"}),
        ("sightings", {"species": "House Sparrow", "deployment": "garden"}),
    ],
)
@given(
    seen=st.lists(frames, min_size=10, max_size=60),
    meanwhile=st.lists(st.lists(frames, max_size=5), max_size=8),
    size=st.integers(1, 9),
)
@settings(max_examples=8, deadline=None, derandomize=True)
def test_pages_are_the_whole_while_frames_are_added(
    path: str,
    asked: dict[str, Any],
    seen: list[tuple[float, Any, str]],
    meanwhile: list[list[tuple[float, Any, str]]],
    size: int,
) -> None:
    """At any page size, whatever is logged between two pages, none is repeated and none missing."""
    with tempfile.TemporaryDirectory() as root, served(Path(root)) as (log, api):
        fill(log, [*seen, (0.0, ROBIN, "garden"), (0.0, SPARROW, "pond")])
        whole = got(api, path, limit=500, **asked)
        assert whole["next"] is None
        address = f"{V1}/{path}"
        parameters: dict[str, Any] | None = {**asked, "limit": size}
        found: list[Any] = []
        while address is not None and len(found) <= len(whole["items"]):
            answer = api.get(address, params=parameters)
            assert answer.status_code == 200, answer.text
            page = answer.json()
            assert len(page["items"]) == size or page["next"] is None
            found += page["items"]
            address, parameters = page["next"], None
            assert answer.headers.get("link") == (f'<{address}>; rel="next"' if address else None)
            if meanwhile:
                fill(log, meanwhile.pop())
        assert found == whole["items"]


@given(st.lists(frames, max_size=80), st.data())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_the_list_goes_on_after_any_visit(
    seen: list[tuple[float, Any, str]], data: st.DataObject
) -> None:
    """After the place of a visit come those that come after it in the whole list, and no others."""
    with tempfile.TemporaryDirectory() as root:
        log = SightedLog(Path(root) / "feeder.db")
        fill(log, seen)
        log.logbook.close()
        sightings = SightingLog(log.path)
        whole = list(read(sightings, GAP, {}, VisitQuery()))
        assert len(set(map(place, whole))) == len(whole)
        if whole:
            number = data.draw(st.integers(0, len(whole) - 1))
            rest = read(sightings, GAP, {}, VisitQuery(after=place(whole[number])))
            assert list(rest) == whole[number + 1 :]


def test_a_page_ends_with_its_day(tmp_path: Path) -> None:
    """`today` is the day on which the first page was asked for, also on a page after midnight."""
    now = START
    clock = Clock(now=lambda: now)
    with served(tmp_path, clock) as (log, api):
        for minutes in (-600, 0, 10, 20):
            log.see(60.0 * minutes)
        first = got(api, "visits", since="today", limit=2)
        now = START + timedelta(days=1)
        assert got(api, "visits", since="today")["items"] == []
        rest = api.get(first["next"]).json()
        assert rest["next"] is None
        found = [one["media_ids"] for one in (*first["items"], *rest["items"])]
        assert found == [[4], [3], [2]]


def test_a_cursor_is_of_its_list_alone(tmp_path: Path) -> None:
    """Beside other parameters, on another list, or made up, it is refused; `limit` may change."""
    with served(tmp_path) as (log, api):
        for minutes in range(0, 60, 10):
            log.see(60.0 * minutes)
        cursor = got(api, "visits", limit=2)["next"].partition("cursor=")[2]
        assert len(got(api, "visits", limit=500, cursor=cursor)["items"]) == 4
        for path, asked in (
            ("visits", {"deployment": "garden"}),
            ("visits", {"since": "2026-05-01"}),
            ("sightings", {}),
            ("corrections", {}),
        ):
            said = got(api, path, 422, cursor=cursor, **asked)
            assert "`cursor`" in said["error"] and "Follow `next`" in said["hint"]
        for strange in (cursor[:-4], "AAAA", "W10=", "é", "bnVsbA=="):
            assert "`cursor`" in got(api, "visits", 422, cursor=strange)["error"]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"every_frame": True},
        {"deployment": "garden", "until": START + timedelta(days=1)},
        {"labels": frozenset({ROBIN.name})},
    ],
)
def test_a_page_deep_in_the_log_is_read_off_the_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: dict[str, Any]
) -> None:
    """SQLite begins at the page's first row, and puts nothing in order that it does not give."""
    log = SightedLog(tmp_path / "feeder.db")
    for at in range(20):
        log.see(at, ROBIN, camera=("garden", "pond")[at % 2])
    log.logbook.close()
    said: list[str] = []
    connect = sqlite3.connect

    def listened(*arguments: Any, **options: Any) -> sqlite3.Connection:
        made: sqlite3.Connection = connect(*arguments, **options)
        made.set_trace_callback(said.append)
        return made

    monkeypatch.setattr(sqlite3, "connect", listened)
    query = Query(before=(START + timedelta(seconds=10), 11), newest=19, limit=3, **asked)
    assert len(list(SightingLog(log.path).sightings(query))) == 3
    (sql,) = [one for one in said if " AS frame " in one]
    with connect(log.path) as connection:
        plan = connection.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
    steps = [step for _, parent, _, step in plan if parent == 0]
    assert steps[0].startswith("SEARCH m USING INDEX media_timestamp (timestamp")
    assert not any("TEMP B-TREE" in step or step.startswith("SCAN") for step in steps)
    looked_up = [step for step in steps if step.startswith("SEARCH o ")]
    assert len(looked_up) == 1 and "media_id=?" in looked_up[0]
