"""What Prometheus is told, the dashboard and the alerts that are made of it."""

import io
import json
import re
import shutil
import sqlite3
import threading
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from prometheus_client import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_openmetrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

from feeder import corrections
from feeder.clock import Clock
from feeder.correction_log import CorrectionLog
from feeder.corrections import Answer
from feeder.daemon_link import DaemonLink
from feeder.domain import Kind, Label, Tag
from feeder.frame_counts import FrameCountLog, FrameCounts
from feeder.judgement_log import JudgementLog
from feeder.log_file import OpenLog
from feeder.logbook import Logbook
from feeder.web import metric_families
from feeder.web.app import create_app
from feeder.web.desk import Desk
from tests.feeder_process import PATIENCE
from tests.sightings import ROBIN, SPARROW, SightedLog
from tests.site import BLANK, UNKNOWN, Site

DOCS = Path(__file__).resolve().parents[1] / "docs"
HOSTILE = Label('Wren"} 1\n# EOF\\', Kind.BIRD)


class Scraped:
    """A desk whose metrics a test asks for in this process."""

    def __init__(self, site: Site, link: DaemonLink | None = None) -> None:
        self.desk = Desk(site.settings, lambda _: None, _no_classifier, link=link)
        self.client = TestClient(create_app(self.desk), base_url=site.base)

    def families(self) -> dict[str, Metric]:
        """The families of one scrape, by name."""
        response = self.client.get("/metrics")
        assert response.status_code == 200
        return {one.name: one for one in parse_text(response.text)}

    def values(self, name: str) -> dict[tuple[str, ...], float]:
        """One family's samples by the values of their labels, in the order of the labels' names."""
        family = self.families().get(name)
        return {
            tuple(value for _, value in sorted(one.labels.items())): one.value
            for one in (family.samples if family else ())
        }


def _no_classifier(_: object) -> object:
    raise AssertionError("a scrape needs no model")


@pytest.fixture
def scraped(site: Site) -> Scraped:
    """The metrics of an empty log."""
    return Scraped(site)


def test_frames_and_sightings_are_counted(site: Site, scraped: Scraped) -> None:
    """By camera and what they showed; a frame that came since the last scrape is added."""
    for what in (ROBIN, ROBIN, SPARROW, BLANK, UNKNOWN):
        site.see(what)
    assert scraped.values("feeder_frames") == {
        ("garden", "animal"): 3, ("garden", "blank"): 1, ("garden", "unknown"): 1,
    }  # fmt: skip
    site.see(ROBIN)
    assert scraped.values("feeder_sightings") == {
        ("garden", "European Robin"): 3, ("garden", "House Sparrow"): 1,
    }  # fmt: skip


def test_counters_never_fall(site: Site, scraped: Scraped) -> None:
    """A correction changes no count of what was logged; it is counted by itself."""
    first = site.see(ROBIN)
    before = scraped.values("feeder_frames")
    shown = CorrectionLog(site.settings.database).frames([first])
    with JudgementLog.open(site.settings.database) as judgements:
        corrections.correct(judgements, shown, Answer.of(SPARROW), person="ada")
    assert scraped.values("feeder_frames") == before
    assert scraped.values("feeder_corrected_frames") == {(): 1}
    assert scraped.values("feeder_judgements")["in_force", "correction"] == 1


def test_the_days_visits(site: Site, scraped: Scraped) -> None:
    """Visits that began today by species and by hour, not frames and not yesterday's."""
    for ago in (timedelta(minutes=9), timedelta(minutes=8), timedelta(hours=2)):
        site.see(ROBIN, ago)
    site.see(SPARROW, timedelta(days=1))
    assert scraped.values("feeder_visits_today") == {("garden", "European Robin"): 2}
    hours = scraped.values("feeder_arrivals_today")
    assert (len(hours), sum(hours.values())) == (24, 2)
    site.see(SPARROW)
    assert scraped.values("feeder_visits_today")["garden", "House Sparrow"] == 1


def test_the_newest_frame(site: Site, scraped: Scraped) -> None:
    """When it was logged, whenever it was taken."""
    site.see(ROBIN, timedelta(days=400))
    (at,) = scraped.values("feeder_last_frame_timestamp_seconds").values()
    assert abs(datetime.now(UTC).timestamp() - at) < 600


def test_species_are_bounded(site: Site, scraped: Scraped, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever people call their birds, only so many names become series; the others share one."""
    monkeypatch.setattr(metric_families, "MOST_SPECIES", 2)
    for number in range(5):
        site.see(Label(f"Bird {number}", Kind.BIRD))
    assert scraped.values("feeder_sightings") == {
        ("garden", "Bird 0"): 1, ("garden", "Bird 1"): 1, ("garden", "other"): 3,
    }  # fmt: skip
    assert sum(scraped.values("feeder_visits_today").values()) == 5


def test_a_feeder_that_is_empty(site: Site, scraped: Scraped) -> None:
    """What its frames agree on; nothing where they have not said."""
    assert scraped.values("feeder_empty") == {}
    site.logbook.register_attribute("side", "feeder", ["empty", "full"])
    for number in range(12):
        tag = Tag("feeder", "empty", 0.9, "side")
        site.see(ROBIN, timedelta(minutes=60 - 2 * number), tags=(tag,))
    assert scraped.values("feeder_empty") == {("garden",): 1}


def test_a_long_history_is_counted_by_and_by(
    tmp_path: Path, site: Site, scraped: Scraped, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No scrape takes long, and no counter is shown before it is whole: it would seem to leap."""
    monkeypatch.setattr("feeder.frame_counts.STEP", 2)
    monkeypatch.setattr(metric_families, "COUNT_SECONDS", 0.0)
    for _ in range(5):
        site.see(ROBIN)
    assert scraped.values("feeder_history_counted_ratio") == {(): 0.4}
    assert scraped.values("feeder_frames") == {}
    assert scraped.values("feeder_frames") == {("garden", "animal"): 5}


def test_counting_on_is_counting_anew(tmp_path: Path) -> None:
    """Frames that come between looks are counted once, whatever the steps."""
    log = SightedLog(tmp_path / "feeder.db")
    kept = FrameCounts()
    with FrameCountLog(log.path) as counts:
        for number in range(20):
            log.see(number * 60.0, [ROBIN, SPARROW, None][number % 3], camera="ab"[number % 2])
            if number % 7 == 0:
                counts.count_on(kept, 9.0, Clock())
        counts.count_on(kept, 9.0, Clock())
        anew = FrameCounts()
        counts.count_on(anew, 9.0, Clock())
    log.logbook.close()
    assert kept == anew
    assert sum(kept.frames.values()) == 20


def test_a_log_that_is_not_there_damaged_or_another(site: Site, scraped: Scraped) -> None:
    """A scrape says that it cannot be read, counts anew in another, and is never an error."""
    site.see(ROBIN)
    database = site.settings.database
    assert scraped.values("feeder_log_up") == {(): 1}
    copy = database.with_name("copy.db")
    with closing(sqlite3.connect(database)) as log, closing(sqlite3.connect(copy)) as target:
        log.backup(target)
    site.see(ROBIN)
    assert scraped.values("feeder_frames") == {("garden", "animal"): 2}
    site.logbook.close()
    for side in ("", "-wal", "-shm"):
        database.with_name(database.name + side).unlink(missing_ok=True)
    families = scraped.families()
    assert families["feeder_log_up"].samples[0].value == 0
    assert "feeder_frames" not in families and "feeder_disk_free_bytes" in families
    database.write_bytes(b"this is no database" * 999)
    assert scraped.values("feeder_log_up") == {(): 0}
    shutil.copyfile(copy, database.with_name("again.db"))
    database.with_name("again.db").replace(database)
    assert scraped.values("feeder_frames") == {("garden", "animal"): 1}
    site.logbook = Logbook.open(database)


def test_a_locked_log(site: Site, scraped: Scraped, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where another program holds the log for itself, a scrape says so by a metric."""
    site.see(ROBIN)
    site.logbook.close()
    monkeypatch.setitem(OpenLog.__init__.__kwdefaults__, "patience", 0.05)
    with closing(sqlite3.connect(site.settings.database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        assert scraped.values("feeder_log_up") == {(): 0}
        other.execute("ROLLBACK")
    assert scraped.values("feeder_log_up") == {(): 1}
    site.logbook = Logbook.open(site.settings.database)


def test_the_daemon(site: Site) -> None:
    """Whether it gives signs of life and what waits, where it started this; else nothing."""
    assert "feeder_daemon_up" not in Scraped(site).families()
    seconds = [0.0]
    heard = threading.Event()
    lines = _Lines(heard)
    link = DaemonLink(lines, lambda: None, Clock(monotonic=lambda: seconds[0]))
    scraped = Scraped(site, link)
    assert scraped.values("feeder_daemon_up") == {(): 0}
    lines.say('{"words": "ready", "waiting": 7}\n')
    assert heard.wait(PATIENCE)
    assert scraped.values("feeder_daemon_up") == {(): 1}
    assert scraped.values("feeder_waiting_frames") == {(): 7}
    seconds[0] = 3600.0
    assert scraped.values("feeder_daemon_up") == {(): 0}
    lines.end()


class _Lines(io.StringIO):
    """A stream that gives what is said, and then waits; `heard` is set once a line was taken."""

    def __init__(self, heard: threading.Event) -> None:
        super().__init__()
        self._heard = heard
        self._said: list[str] = []
        self._news = threading.Semaphore(0)

    def say(self, line: str) -> None:
        self._said.append(line)
        self._news.release()

    def end(self) -> None:
        self._news.release()

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        while True:
            self._news.acquire()
            if not self._said:
                return
            yield self._said.pop()
            self._heard.set()


def test_hostile_names_stay_names(site: Site, scraped: Scraped) -> None:
    """A name that looks like metrics is one label's value, in either format."""
    site.see(HOSTILE)
    assert scraped.values("feeder_sightings") == {("garden", HOSTILE.name): 1}
    accept = {"Accept": "application/openmetrics-text; version=1.0.0"}
    said = scraped.client.get("/metrics", headers=accept)
    assert said.headers["content-type"].startswith("application/openmetrics-text")
    (family,) = [one for one in parse_openmetrics(said.text) if one.name == "feeder_sightings"]
    assert family.samples[0].labels["species"] == HOSTILE.name
    for odd in ("application/openmetrics-text; version=x", "text/plain; version=", "*/*", ""):
        assert scraped.client.get("/metrics", headers={"Accept": odd}).status_code == 200


def test_names_and_units_follow_the_conventions(site: Site) -> None:
    """`_total` on counters alone, base units at the end, help on all, no label in a name."""
    families = _all(site)
    assert len(families) > 15
    for name, family in families.items():
        assert re.fullmatch(r"feeder_[a-z]+(_[a-z]+)*", name), name
        assert family.documentation.endswith("."), name
        assert not re.search(r"milli|micro|minutes|hours|days|kilo|mega|giga|percent", name), name
        assert "total" not in name.split("_"), "the parser takes it off counters"
        assert ("timestamp" in name) == name.endswith("_timestamp_seconds"), name
        for unit in ("bytes", "seconds", "ratio"):
            assert unit not in name.split("_")[:-1], name
        assert family.type in ("counter", "gauge"), name
        for sample in family.samples:
            assert not set(sample.labels) & set(name.split("_")), name
            assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", label) for label in sample.labels)
        repeated = Counter(tuple(sorted(one.labels.items())) for one in family.samples)
        assert max(repeated.values(), default=1) == 1, name


def _all(site: Site) -> dict[str, Metric]:
    """Every family of ours there can be, on a log that has something of everything."""
    site.see(ROBIN)
    site.settings.backups.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(site.settings.database, site.settings.backups / "feeder-20260501T060000Z.db")
    heard = threading.Event()
    lines = _Lines(heard)
    link = DaemonLink(lines, lambda: None)
    lines.say('{"words": "ready", "waiting": 7}\n')
    assert heard.wait(PATIENCE)
    lines.end()
    families = Scraped(site, link).families()
    return {name: one for name, one in families.items() if name.startswith("feeder_")}


def test_the_dashboard_and_the_alerts_ask_for_what_there_is(site: Site) -> None:
    """Every metric and label of theirs is one that /metrics gives; panels do not overlap."""
    families = _all(site)
    dashboard = json.loads((DOCS / "grafana.json").read_text(encoding="utf-8"))
    variables = {one["name"] for one in dashboard["templating"]["list"]}
    queries = [one["definition"] for one in dashboard["templating"]["list"]]
    taken: set[tuple[int, int]] = set()
    for panel in dashboard["panels"]:
        queries += [target["expr"] for target in panel["targets"]]
        place = panel["gridPos"]
        cells = {
            (place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])
        }
        assert not cells & taken and max(x for x, _ in cells) < 24, panel["title"]
        taken |= cells
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(one["uid"] == "${DS_PROMETHEUS}" for one in sources)
    assert [one["name"] for one in dashboard["__inputs"]] == ["DS_PROMETHEUS"]
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    alerts = (DOCS / "prometheus-alerts.yml").read_text(encoding="utf-8")
    queries += re.findall(r"expr: (.*)", alerts)
    known = {f"{name}_total" if one.type == "counter" else name for name, one in families.items()}
    asked: set[str] = set()
    for query in queries:
        names = re.findall(r"feeder_\w+", query)
        assert names or query.startswith("up"), query
        asked |= set(names)
        assert set(re.findall(r"\$(\w+)", query)) <= variables, query
        labels = {
            key
            for name in names
            for sample in families[name.removesuffix("_total")].samples
            for key in sample.labels
        }
        used = re.findall(r"by \((\w+)\)", query) + re.findall(r"(\w+)=~", query)
        assert set(used) <= labels | {"instance"} or not labels, query
    assert asked <= known
    assert known - asked == {
        "feeder_backups", "feeder_build_info", "feeder_disk_size_bytes",
        "feeder_history_counted_ratio", "feeder_judgements",
    }  # fmt: skip


def test_a_served_feeder_is_scraped(site: Site) -> None:
    """`feeder serve` gives them over HTTP, to several at once."""
    site.see(ROBIN)
    said: list[str] = []

    def scrape() -> None:
        with urllib.request.urlopen(f"{site.base}/metrics", timeout=PATIENCE) as answer:
            said.append(answer.read().decode())

    with site.serve():
        threads = [threading.Thread(target=scrape) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(said) == 4
    for text in said:
        (frames,) = [one for one in parse_text(text) if one.name == "feeder_frames"]
        assert [one.value for one in frames.samples] == [1]
