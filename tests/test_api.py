"""The REST API: what it answers, and that it is what the commands say."""

import io
import json
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image

from feeder.classifier import as_kept
from feeder.cli import app
from feeder.domain import ObservationType, Prediction, Tag
from feeder.encoder import unit
from feeder.opening import open_classifier
from feeder.web.api.statistics import Counting
from tests.api import V1, client, every, got
from tests.feeder_process import PATIENCE
from tests.sightings import ROBIN, SPARROW
from tests.site import BLANK, UNKNOWN, Site


@pytest.fixture(scope="module")
def api(full_site: Site) -> Iterator[TestClient]:
    """The API on a garden that nothing is changed in."""
    with client(full_site) as made:
        yield made


@pytest.fixture
def small(site: Site) -> Iterator[TestClient]:
    """The API on a garden of a few frames."""
    for minutes in (40, 39, 20):
        site.see(ROBIN, timedelta(minutes=minutes), 0.9, (SPARROW, 0.05))
    site.see(UNKNOWN, timedelta(minutes=10))
    with client(site) as made:
        yield made


def command(site: Site, *arguments: str) -> Any:
    """What a command writes as JSON."""
    ran = CliRunner().invoke(app, ["--config", str(site.config), *arguments, "--json"])
    assert ran.exit_code == 0, ran.output
    return json.loads(ran.stdout)


def shown(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A command's rows as the API has them: a picture is an address there, not a path."""
    return [
        {**row, "picture": f"/media/{row['media_id']}/picture.jpg" if row["picture"] else None}
        for row in rows
    ]


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"since": "today"},
        {"species": "Erithacus rubecula"},
        {"deployment": "garden", "until": "yesterday"},
        {"since": "2026-05-01T06:30+02:00", "species": "Passer domesticus"},
    ],
)
def test_visits_are_those_of_the_command(
    api: TestClient, full_site: Site, asked: dict[str, str]
) -> None:
    """The same question gives the same records, in the same order, over whatever pages."""
    options = [word for name, value in asked.items() for word in (f"--{name}", value)]
    expected = command(full_site, "visits", "--limit", "0", *options)
    assert every(api, "visits", limit=7, **asked) == expected


@pytest.mark.parametrize("asked", [{}, {"species": "House Sparrow"}, {"every_frame": True}])
def test_sightings_are_those_of_the_command(
    api: TestClient, full_site: Site, asked: dict[str, Any]
) -> None:
    """The same, but for where the pictures are."""
    options = ["--all"] if asked.get("every_frame") else []
    options += ["--species", asked["species"]] if "species" in asked else []
    expected = command(full_site, "sightings", "--limit", "0", *options)
    assert every(api, "sightings", limit=20, **asked) == shown(expected)


def test_what_is_no_list_of_rows_is_the_commands_too(api: TestClient, full_site: Site) -> None:
    """Statistics, labels, the review queue, a search and the feeder's state are theirs."""
    assert got(api, "statistics") == command(full_site, "stats")
    assert got(api, "labels")["items"] == command(full_site, "labels", "list")
    assert got(api, "review")["items"] == shown(command(full_site, "review"))
    assert got(api, "attributes/status")["items"] == command(full_site, "attributes", "status")
    assert got(api, "search", text="a robin")["items"] == shown(
        command(full_site, "search", "a robin")
    )
    assert got(api, "search", like_frame=1)["items"] == shown(
        command(full_site, "search", "--like-frame", "1")
    )


def test_species_are_counted_within_the_period(api: TestClient) -> None:
    """The list is that of the statistics; days before the period do not count."""
    assert got(api, "species")["items"] == got(api, "statistics")["species"]
    (robin,) = got(api, "species", since="today", species="European Robin")["items"]
    assert (robin["visits"], robin["days"]) == (1, 1)


def test_a_visit_is_found_by_any_of_its_frames(api: TestClient) -> None:
    """An event id names the visit that its frame is of; what names none is not there."""
    first = got(api, "visits", limit=1)["items"][0]
    assert got(api, f"visits/{first['event_id']}") == first
    assert got(api, f"visits/garden:{first['media_ids'][-1]}") == first
    blank = got(api, "sightings", every_frame=True, limit=1)["items"][0]["media_id"]
    for strange in (f"pond:{first['media_ids'][0]}", "garden:999", "garden", f"garden:{9**99}"):
        assert "There is no visit" in got(api, f"visits/{strange}", 404)["error"]
    assert blank != first["media_ids"][0]


def test_a_frame_bears_its_history(small: TestClient, site: Site) -> None:
    """Every observation is there, newest first, with the state of its judgement."""
    made = small.post(f"{V1}/corrections", json={"media_ids": [1], "species": "houspa"}).json()
    number = made["items"][0]["judgement_id"]
    small.delete(f"{V1}/corrections/{number}")
    frame = got(small, "frames/1")
    assert frame["label"] == ROBIN.name
    assert [(one["label"], one["state"]) for one in frame["observations"]] == [
        (SPARROW.name, "undone"),
        (ROBIN.name, "in force"),
    ]
    assert "no frame 99 " in got(small, "frames/99", 404)["error"]


def test_tags_and_favorites_choose_sightings(site: Site) -> None:
    """`tag` and `favorites` mean what they mean to the command."""
    site.logbook.register_vocabulary("side", [ROBIN])
    site.see(ROBIN, tags=(Tag("behaviour", "bathing", 0.9, "side"),))
    site.see(ROBIN)
    with client(site) as api:
        assert api.put(f"{V1}/frames/2/favorite").json() == {"media_id": 2, "favorite": True}
        assert [one["media_id"] for one in every(api, "sightings", favorites=True)] == [2]
        assert api.delete(f"{V1}/frames/2/favorite").json()["favorite"] is False
        assert every(api, "sightings", favorites=True) == []
        assert [one["media_id"] for one in every(api, "sightings", tag="behaviour=bathing")] == [1]
        assert got(api, "sightings", 422, tag="bathing")["error"].startswith("'bathing' is no tag")
        assert api.put(f"{V1}/frames/99/favorite").status_code == 404


def test_a_slip_is_refused_and_named(api: TestClient) -> None:
    """A parameter that nobody knows, a time that is none and a camera that is not there: 422."""
    for asked, said in (
        ({"deplyoment": "garden"}, "deplyoment"),
        ({"since": "gestern"}, "`since`: 'gestern' is no time"),
        ({"until": "9999-12-31"}, "is no time"),
        ({"deployment": "pond"}, "there are: garden"),
        ({"species": "Dodo"}, "Nothing is called 'Dodo'"),
        ({"limit": 0}, "limit"),
        ({"cursor": "eyJ9"}, "cursor"),
    ):
        answer = got(api, "visits", 422, **asked)
        assert said in answer["error"] and set(answer) == {"error", "hint"}


def test_every_answer_of_the_framework_has_the_one_shape(api: TestClient) -> None:
    """No such address, and no such method, are told as anything else is."""
    for answer, status in ((api.get(f"{V1}/nope"), 404), (api.patch(f"{V1}/visits"), 405)):
        assert answer.status_code == status
        assert set(answer.json()) == {"error", "hint"}
    assert api.put(f"{V1}/visits").headers["allow"] == "GET"
    assert api.put(f"{V1}/corrections").headers["allow"] == "GET, POST"


def test_polling_costs_nothing_until_the_log_changes(small: TestClient, site: Site) -> None:
    """The ETag of a list holds until something is written; then there is another answer."""
    for path in ("visits", "sightings?every_frame=true", "statistics", "frames/1", "deployments"):
        first = small.get(f"{V1}/{path}")
        known = {"If-None-Match": first.headers["etag"]}
        again = small.get(f"{V1}/{path}", headers=known)
        assert (again.status_code, again.content) == (304, b"")
        site.see(SPARROW)
        assert small.get(f"{V1}/{path}", headers=known).status_code == 200


def test_the_whole_history_is_counted_once() -> None:
    """Whoever asks the same at the same time waits for one count; another question is counted."""
    counting, counts = Counting(), []
    together = threading.Barrier(4)

    def ask(tag: str) -> dict[str, Any]:
        together.wait(PATIENCE)
        return counting.once(tag, lambda: counts.append(tag) or {"of": tag})

    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, ["a"] * 4)) == [{"of": "a"}] * 4
    assert counts == ["a"]
    assert counting.once("b", lambda: {"of": "b"}) == {"of": "b"}


def test_a_correction_is_the_commands(small: TestClient, site: Site) -> None:
    """What was said over the API is in `feeder correct --list`, which undoes it."""
    answer = small.post(
        f"{V1}/corrections",
        json={"media_ids": [1, 2], "species": "houspa", "person": "ada", "note": "its bib"},
    )
    assert answer.status_code == 201
    (made,) = answer.json()["items"]
    assert [one["label"] for one in made["frames"]] == [ROBIN.name, ROBIN.name]
    listed = command(site, "correct", "--list")
    assert listed == got(small, "corrections")["items"]
    assert (listed[0]["made_by"], listed[0]["state"]) == ("ada", "in force")
    assert "its bib" in listed[0]["description"]
    assert got(small, "visits", species="House Sparrow")["items"][0]["media_ids"] == [1, 2]
    assert command(site, "correct", "--undo")["judgement_id"] == made["judgement_id"]
    assert got(small, "corrections")["items"][0]["state"] == "undone"
    for media_id in (1, 2, 3):
        small.post(f"{V1}/corrections", json={"media_ids": [media_id], "answer": "unknown"})
    assert every(small, "corrections", limit=1) == command(site, "correct", "--list")
    assert small.delete(f"{V1}/corrections/{made['judgement_id']}").status_code == 409
    assert small.delete(f"{V1}/corrections/77").status_code == 404


def test_a_whole_visit_is_corrected_or_confirmed(small: TestClient) -> None:
    """By its event id; to confirm is to say what the log says."""
    visit = got(small, "visits")["items"][-1]
    said = {"event_id": visit["event_id"], "answer": "confirm"}
    (made,) = small.post(f"{V1}/corrections", json=said).json()["items"]
    assert [one["confirmed"] for one in made["frames"]] == [True] * len(visit["media_ids"])
    assert got(small, "review")["items"] == []
    said = {"event_id": visit["event_id"], "answer": "not_a_bird"}
    (made,) = small.post(f"{V1}/corrections", json=said).json()["items"]
    assert made["observation_type"] == "blank"
    assert visit["event_id"] not in [one["event_id"] for one in got(small, "visits")["items"]]


def test_to_confirm_several_species_makes_a_correction_of_each(
    small: TestClient, site: Site
) -> None:
    """Each can be taken back alone; a frame that was never judged cannot be confirmed."""
    sparrow = site.see(SPARROW)
    said = {"media_ids": [1, sparrow, 2], "answer": "confirm"}
    made = small.post(f"{V1}/corrections", json=said).json()["items"]
    assert [(one["label"], len(one["frames"])) for one in made] == [
        (ROBIN.name, 2),
        (SPARROW.name, 1),
    ]
    broken = site.see(Prediction(ObservationType.UNCLASSIFIED, "the picture is broken"))
    said = {"media_ids": [broken], "answer": "confirm"}
    assert small.post(f"{V1}/corrections", json=said).status_code == 409


def test_a_label_may_be_new(small: TestClient) -> None:
    """A name that no label has is refused, with what is near, unless it is meant as a new one."""
    said: dict[str, Any] = {"media_ids": [1], "species": "Crested Robin"}
    answer = small.post(f"{V1}/corrections", json=said)
    assert answer.status_code == 422
    assert "There is no label 'Crested Robin'" in answer.json()["error"]
    said |= {"new": True, "scientific_name": "Erithacus cristatus"}
    assert small.post(f"{V1}/corrections", json=said).status_code == 201
    (label,) = [one for one in got(small, "labels")["items"] if one["name"] == "Crested Robin"]
    assert label["from_corrections"]
    taken = {**said, "species": "Other Robin", "scientific_name": "Passer domesticus"}
    assert "already" in small.post(f"{V1}/corrections", json=taken).json()["error"]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"media_ids": [1]},
        {"species": "houspa"},
        {"media_ids": [1], "event_id": "garden:1", "species": "houspa"},
        {"media_ids": [1], "species": "houspa", "answer": "unknown"},
        {"media_ids": [1], "answer": "unknown", "kind": "mammal"},
        {"media_ids": [], "answer": "unknown"},
        {"media_ids": [2**63], "answer": "unknown"},
        {"media_ids": [1], "answer": "perhaps"},
    ],
)
def test_half_a_correction_is_none(api: TestClient, said: dict[str, Any]) -> None:
    """Of which frames, and what they show, have to be said, each in one way."""
    answer = api.post(f"{V1}/corrections", json=said)
    assert answer.status_code == 422 and answer.json()["error"].startswith("body")


def test_a_cluster_is_named_at_once(site: Site) -> None:
    """What `/unknowns` lists together is named together, less what a person has judged since."""
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    for number in range(16):
        vector = random.normal(0, 0.03, (1, site.bundle.manifest.embedding_width))
        vector[0, number % 2] = 1
        unknown = Prediction(
            ObservationType.UNKNOWN,
            "no label is likely enough",
            embedding=as_kept(unit(vector.astype(np.float32)))[0],
            model_digest=site.bundle.digest,
        )
        site.see(unknown, timedelta(hours=number + 1))
    with client(site) as api:
        clusters = got(api, "unknowns", min_size=3)["items"]
        assert [one["frames"] for one in clusters] == [8, 8]
        assert clusters == command(site, "unknowns", "--min-size", "3")
        first, *rest = clusters[0]["media_ids"]
        api.post(f"{V1}/corrections", json={"media_ids": [first], "answer": "not_a_bird"})
        said = {"cluster": clusters[0]["media_id"], "species": "Gertrude", "new": True}
        (made,) = api.post(f"{V1}/corrections", json=said).json()["items"]
        assert [one["media_id"] for one in made["frames"]] == rest
        assert api.post(f"{V1}/corrections", json=said).status_code == 409
        said["cluster"] = 99
        assert api.post(f"{V1}/corrections", json=said).status_code == 409


def test_an_upload_is_named_and_not_logged(small: TestClient, site: Site) -> None:
    """Species, the best labels and why are what `feeder classify` says; the log stays as it is."""
    path = site.deployment.folder / "1.jpg"
    (expected,) = command(site, "classify", str(path))
    found = small.post(f"{V1}/identify", files={"picture": path.read_bytes()}).json()
    for key in ("verdict", "named", "reason"):
        assert found[key] == expected[key]
    for key in ("labels", "tags"):
        assert found[key] == [pytest.approx(one) for one in expected[key]]
    sent = {"picture": path.read_bytes()}
    answer = small.post(f"{V1}/identify", files=sent, data={"top": 2})
    assert answer.json()["labels"] == found["labels"][:2]
    assert got(small, "health")["frames"] == 4


def test_an_upload_is_scored_against_any_texts(small: TestClient, site: Site) -> None:
    """With `labels` the answer says how well each text fits, as the Python API does."""
    path = site.deployment.folder / "1.jpg"
    texts = ["an apple", "an iPod"]
    answer = small.post(
        f"{V1}/identify", files={"picture": path.read_bytes()}, data={"labels": texts}
    ).json()
    shares = open_classifier(site.settings).predict_proba(path, texts)[0]
    expected = dict(zip(texts, map(float, shares), strict=True))
    assert {one["label"]: one["probability"] for one in answer["labels"]} == pytest.approx(expected)
    assert answer["verdict"] is None


def test_a_model_that_reads_no_text_says_so(site: Site, tmp_path: Path) -> None:
    """Texts of one's own, or a search by words, are in conflict with such a model: 409."""
    site.see(ROBIN)
    sent = {"picture": (site.deployment.folder / "1.jpg").read_bytes()}
    section = site.settings.model.model_copy(update={"bundle": "starter"})
    site.settings = site.settings.model_copy(update={"model": section})
    with client(site) as api:
        answer = api.get(f"{V1}/search", params={"text": "a robin"})
        assert answer.status_code == 409 and "no text encoder" in answer.json()["error"]
        answer = api.post(f"{V1}/identify", files=sent, data={"labels": ["a robin"]})
        assert answer.status_code == 409 and "no text encoder" in answer.json()["error"]


def bomb() -> bytes:
    """A PNG of a few kilobytes that holds 400 million pixels."""
    made = io.BytesIO()
    Image.new("1", (20_000, 20_000)).save(made, "PNG")
    return made.getvalue()


def test_bad_uploads_are_refused(small: TestClient, site: Site) -> None:
    """No picture, half a picture, a decompression bomb: 415; too many bytes: 413. None is a 500."""
    whole = (site.deployment.folder / "1.jpg").read_bytes()
    for data in (b"", b"no picture", whole[: len(whole) // 2], bomb()):
        answer = small.post(f"{V1}/identify", files={"picture": data})
        assert answer.status_code == 415 and answer.json()["error"]
    huge = whole + bytes(int(site.settings.web.max_megabytes * 1e6))
    assert small.post(f"{V1}/identify", files={"picture": huge}).status_code == 413
    assert small.post(f"{V1}/identify", data={"picture": "text"}).status_code == 422
    assert small.post(f"{V1}/identify", files={"picture": whole}).status_code == 200


def test_a_thumbnail_is_there_or_said_to_be_gone(small: TestClient, site: Site) -> None:
    """A small JPEG; where the picture or the frame is gone, 404 in the one shape."""
    answer = small.get(f"{V1}/frames/1/thumbnail")
    assert answer.headers["content-type"] == "image/jpeg"
    with Image.open(io.BytesIO(answer.content)) as image:
        assert max(image.size) <= 240
    (site.deployment.folder / "1.jpg").unlink()
    assert got(small, "frames/1")["picture"] is None
    assert "no picture of frame 1" in got(small, "frames/1/thumbnail", 404)["error"]
    assert got(small, "frames/99/thumbnail", 404)["error"]


READING = (
    "visits", "visits/garden:1", "sightings", "frames/1", "frames/1/thumbnail", "statistics",
    "species", "search?like_frame=1", "search?text=robin", "review", "unknowns", "corrections",
    "deployments", "attributes/status", "health",
)  # fmt: skip


def test_while_the_log_is_away_everything_waits(tmp_path: Path, tiny_clip: Path) -> None:
    """No log, one being put back, one of an earlier release: 503 with a hint, then it goes on."""
    site = Site(tmp_path, tiny_clip)
    site.see(ROBIN)
    site.close()
    database, aside = site.settings.database, tmp_path / "aside.db"
    with client(site) as api:
        tag = api.get(f"{V1}/visits").headers["etag"]
        database.rename(aside)
        for put_there in (None, b"no database at all"):
            if put_there is not None:
                database.write_bytes(put_there)
            for path in READING:
                answer = api.get(f"{V1}/{path}", headers={"If-None-Match": tag})
                assert answer.status_code == 503, (path, answer.text)
                assert answer.json()["hint"] and answer.headers["retry-after"]
            said = {"media_ids": [1], "species": "houspa"}
            assert api.post(f"{V1}/corrections", json=said).status_code == 503
            assert api.delete(f"{V1}/corrections/1").status_code == 503
            assert api.put(f"{V1}/frames/1/favorite").status_code == 503
        aside.replace(database)
        assert api.get(f"{V1}/visits").status_code == 200
        with closing(sqlite3.connect(database)) as connection, connection:
            connection.execute("PRAGMA user_version = 4")
        assert "earlier release" in got(api, "visits", 503)["error"]


def test_cameras_and_health(api: TestClient, full_site: Site) -> None:
    """Each camera with its newest frame; how large the log is, and that no daemon is known."""
    (camera,) = got(api, "deployments")["items"]
    newest = got(api, "sightings", every_frame=True, limit=1)["items"][0]
    assert camera["deployment"] == "garden"
    assert camera["latest_timestamp"] == newest["timestamp"]
    health = got(api, "health")
    assert health["frames"] == full_site.count and health["daemon"] is None
    assert health["log_bytes"] > 0 and health["deployments"] == [camera]


def test_a_person_can_read_what_there_is(api: TestClient) -> None:
    """/api lists every operation that OpenAPI does, with its parameters, and has no script."""
    described = api.get(f"{V1}/openapi.json").json()
    for address in ("/api", f"{V1}/"):
        text = api.get(address).text
        for path in described["paths"]:
            assert path in text
    names = [one["operationId"] for many in described["paths"].values() for one in many.values()]
    assert len(names) == len(set(names)) and "list_visits" in names
    assert all(one["description"] for many in described["paths"].values() for one in many.values())


def test_what_shows_nothing_is_a_frame_too(site: Site) -> None:
    """A blank and a broken picture have their rows, and no visit."""
    site.see(BLANK)
    with client(site) as api:
        assert got(api, "sightings")["items"] == []
        (blank,) = got(api, "sightings", every_frame=True)["items"]
        assert blank["observation_type"] == "blank" and blank["label"] is None
        assert got(api, "visits") == {"items": [], "next": None}
        assert got(api, "statistics")["visits"] == 0
        assert got(api, "visits/garden:1", 404)
