"""Pictures by row id."""

import hashlib
import io
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest
from PIL import ExifTags, Image

from feeder.picture_log import PictureLog
from tests.conftest import FakeClock
from tests.sightings import ROBIN
from tests.site import Site
from tests.web_app import Asker, asked

BROKEN = b"cannot be shown"
LOUD = b"53.3498 north, a garden in Dublin"


@pytest.fixture
def ask(site: Site, time: FakeClock) -> Iterator[Asker]:
    """The application on `site`."""
    with asked(site, time.clock) as asker:
        yield asker


def jpeg(width: int = 640, height: int = 480, **options: object) -> bytes:
    """A picture whose left third is red."""
    image = Image.new("RGB", (width, height), "white")
    image.paste("red", (0, 0, width // 3, height))
    file = io.BytesIO()
    image.save(file, "JPEG", **options)
    return file.getvalue()


def opened(data: bytes) -> Image.Image:
    """The image in these bytes, which have to be a JPEG."""
    return Image.open(io.BytesIO(data), formats=["JPEG"])


def thumbnail(ask: Asker, media_id: int, **headers: str) -> tuple[int, bytes]:
    """Status and body of a frame's thumbnail."""
    answer = ask.get(f"/media/{media_id}/thumbnail.jpg", headers)
    return answer.status, answer.body


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("thumbnail.jpg", (240, 180)),
        ("thumbnail.jpg?edge=480", (480, 360)),
        ("thumbnail.jpg?edge=9999999999999", (480, 360)),
        ("thumbnail.jpg?edge=-1", (240, 180)),
        ("picture.jpg", (1600, 1200)),
    ],
)
def test_a_picture_is_made_small(name: str, size: tuple[int, int], site: Site, ask: Asker) -> None:
    """Its longer edge is 240, 480 or 1600 pixels, whichever edge is asked for."""
    answer = ask.get(f"/media/{site.see(ROBIN, data=jpeg(2000, 1500))}/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert opened(answer.body).size == size
    assert answer.headers["cache-control"].startswith("private")


def test_a_small_picture_is_not_made_larger(site: Site, ask: Asker) -> None:
    """Pixels that the camera did not see are not made up."""
    media_id = site.see(ROBIN, data=jpeg(100, 80))
    assert opened(ask.get(f"/media/{media_id}/picture.jpg").body).size == (100, 80)


def test_nothing_but_pixels_goes_out(site: Site, ask: Asker) -> None:
    """EXIF, the place it holds, a comment and a colour profile stay in the file."""
    exif = Image.Exif()
    exif[ExifTags.Base.ImageDescription] = LOUD.decode()
    exif[ExifTags.Base.Orientation] = 6
    gps = exif.get_ifd(ExifTags.IFD.GPSInfo)
    gps[ExifTags.GPS.GPSLatitude] = (53.0, 20.0, 59.0)
    gps[ExifTags.GPS.GPSLatitudeRef] = "N"
    exif._ifds[ExifTags.IFD.GPSInfo] = gps
    data = jpeg(exif=exif, comment=LOUD, icc_profile=b"profile " + LOUD)
    stored = opened(data)
    assert stored.getexif().get_ifd(ExifTags.IFD.GPSInfo) and data.count(LOUD) == 3
    media_id = site.see(ROBIN, data=data)
    for name in ("thumbnail.jpg", "picture.jpg"):
        shown = ask.get(f"/media/{media_id}/{name}").body
        image = opened(shown)
        assert LOUD not in shown and b"Exif" not in shown and not image.getexif()
        assert set(image.info) <= {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert image.width < image.height, "not upright"


def test_a_browser_asks_again_for_little(site: Site, ask: Asker) -> None:
    """What it names by ETag is not sent again; another edge is another picture."""
    media_id = site.see(ROBIN)
    first = ask.get(f"/media/{media_id}/thumbnail.jpg")
    named = {"if-none-match": f'"other", {first.headers["etag"]}'}
    again = ask.get(f"/media/{media_id}/thumbnail.jpg", named)
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert ask.get(f"/media/{media_id}/thumbnail.jpg?edge=480", named).status == 200
    assert not first.headers["etag"].startswith("W/")


def test_a_page_of_pictures_is_decoded_once(site: Site, ask: Asker) -> None:
    """The second look at twenty pictures decodes none; nothing is written to the disk."""
    media_ids = [site.see(ROBIN) for _ in range(20)]
    files = sorted(site.root.rglob("*.jpg"))
    first = [thumbnail(ask, media_id) for media_id in media_ids]
    ask.app.state.darkroom.decoder.interrupt()  # from now on no picture can be decoded
    assert [thumbnail(ask, media_id) for media_id in media_ids] == first
    assert {status for status, _ in first} == {200}
    assert sorted(site.root.rglob("*.jpg")) == files


def test_memory_for_pictures_is_bounded(
    site: Site, ask: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of more small pictures than there is room for, the ones not asked for lately go."""
    monkeypatch.setattr("feeder.web.media.CACHE_BYTES", 12_000)
    media_ids = [site.see(ROBIN) for _ in range(5)]
    for media_id in media_ids:
        assert thumbnail(ask, media_id)[0] == 200
    darkroom = ask.app.state.darkroom
    assert sum(map(len, darkroom._kept.values())) == darkroom._kept_bytes <= 12_000


def test_a_picture_that_went_is_not_shown_from_memory(site: Site, ask: Asker) -> None:
    """What somebody deletes is gone; once the log knows so, for good."""
    media_id = site.see(ROBIN, name="gone.jpg")
    assert thumbnail(ask, media_id)[0] == 200
    (site.deployment.folder / "gone.jpg").unlink()
    status, body = thumbnail(ask, media_id)
    assert status == 404 and body.startswith(b"<svg")
    log = PictureLog.open(site.settings.database)
    with log.writing():
        log.note_gone([media_id])
    log.close()
    answer = ask.get(f"/media/{media_id}/picture.jpg")
    assert (answer.status, answer.headers["content-type"]) == (410, "image/svg+xml")
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("media_id", [99, 0, -1, 2**63 - 1, 2**63, 10**30])
def test_an_id_that_is_none_shows_nothing(media_id: int, site: Site, ask: Asker) -> None:
    """Whatever number is asked for, no such frame is no such picture."""
    site.see(ROBIN)
    assert thumbnail(ask, media_id)[0] == 404


def test_what_cannot_be_decoded_says_so_and_is_not_tried_at_once_again(
    site: Site, ask: Asker, time: FakeClock
) -> None:
    """A broken file costs one decoding in ten minutes, however often it is asked for."""
    media_id = site.see(ROBIN, data=b"\xff\xd8\xff no picture")
    status, body = thumbnail(ask, media_id)
    assert status == 404 and BROKEN in body
    darkroom = ask.app.state.darkroom
    darkroom.decoder.close()
    assert thumbnail(ask, media_id) == (status, body)
    assert darkroom.decoder._child is None
    time.advance(601)
    assert thumbnail(ask, media_id) == (status, body)
    assert darkroom.decoder._child is not None


def test_other_bytes_under_the_same_name_are_not_shown(site: Site, ask: Asker) -> None:
    """A file that was replaced by one of the same size and time is not the logged picture."""
    media_id = site.see(ROBIN, name="bird.jpg")
    path = site.deployment.folder / "bird.jpg"
    was = path.stat()
    path.write_bytes(bytes(was.st_size))
    os.utime(path, ns=(was.st_atime_ns, was.st_mtime_ns))
    assert thumbnail(ask, media_id)[0] == 404


@pytest.mark.parametrize("kind", ["file", "folder", "drop link"])
def test_a_link_in_place_of_the_picture_leads_nowhere(kind: str, site: Site, ask: Asker) -> None:
    """Not even to a copy of the same bytes, wherever on the way the link was put."""
    folder = site.deployment.folder / "day"
    folder.mkdir()
    media_id = site.see(ROBIN, name="day/bird.jpg")
    assert thumbnail(ask, media_id)[0] == 200
    outside = site.root / "outside"
    folder.rename(outside)
    if kind == "folder":
        folder.symlink_to(outside)
    else:
        folder.mkdir()
        target = outside / "bird.jpg" if kind == "file" else "/etc/passwd"
        (folder / "bird.jpg").symlink_to(target)
    ask.app.state.darkroom._kept.clear()
    assert thumbnail(ask, media_id)[0] == 404


@pytest.mark.parametrize("name", [b"../config.toml", b"/etc/hostname", b"day/../../config.toml"])
def test_a_log_that_names_another_file_opens_none(name: bytes, site: Site, ask: Asker) -> None:
    """Not even where its row has that file's own size, time and digest."""
    media_id = site.see(ROBIN)
    (site.deployment.folder / "day").mkdir()
    target = site.deployment.folder / os.fsdecode(name)
    if not target.exists():
        pytest.skip(f"there is no {target} here")
    found, data = target.stat(), target.read_bytes()
    with closing(sqlite3.connect(site.settings.database)) as log, log:
        log.execute(
            "UPDATE path SET file_path = ?, file_size = ?, mtime_ns = ?",
            (name, found.st_size, found.st_mtime_ns),
        )
        log.execute("UPDATE media SET sha256 = ?", (hashlib.sha256(data).digest(),))
    status, body = thumbnail(ask, media_id)
    assert status == 404 and BROKEN not in body, "it was read"
