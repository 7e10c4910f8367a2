"""A path -> a `Frame`."""

import hashlib
import io
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from PIL import Image

from feeder.bundle import golden_image
from feeder.decoder_process import DecoderProcess
from feeder.domain import Deployment, Frame, SettledPath, TimeSource
from feeder.errors import NotReady, Vanished
from feeder.frames import MAX_ATTEMPTS, FrameReader


@pytest.fixture(scope="module")
def reader() -> Iterator[FrameReader]:
    """A reader with a real decoder process."""
    decoder = DecoderProcess(max_pixels=20_000_000)
    yield FrameReader(decoder, max_bytes=1_000_000)
    decoder.close()


def settled(path: Path, *, zone: str | None = None, attempt: int = 0) -> SettledPath:
    """`path` as the inbox would give it."""
    found = path.lstat()
    deployment = Deployment("garden", path.parent, zone=ZoneInfo(zone) if zone else None)
    return SettledPath(deployment, path, found.st_size, found.st_mtime_ns, attempt)


def frame_of(reader: FrameReader, source: SettledPath) -> Frame:
    """The frame at `source`, read and decoded."""
    return reader.decode(reader.read(source))


def jpeg(exif: dict[int, str] | None = None, orientation: int | None = None) -> bytes:
    """A JPEG of the golden image; `exif` holds tags of the Exif block."""
    tags = Image.Exif()
    if orientation is not None:
        tags[0x0112] = orientation
    for tag, value in (exif or {}).items():
        tags.get_ifd(0x8769)[tag] = value
    buffer = io.BytesIO()
    golden_image().save(buffer, "JPEG", quality=95, exif=tags)
    return buffer.getvalue()


def test_a_picture_is_read_whole(tmp_path: Path, reader: FrameReader) -> None:
    """A frame carries its digest, type, size, pixels and, without EXIF, its mtime."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(jpeg())
    os.utime(path, (1_700_000_000, 1_700_000_000))
    frame = frame_of(reader, settled(path))
    assert frame.sha256 == hashlib.sha256(jpeg()).hexdigest()
    assert (frame.media_type, frame.width, frame.height) == ("image/jpeg", 320, 240)
    assert frame.image is not None
    assert frame.image.size == (320, 240)
    assert frame.captured_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert frame.time_source is TimeSource.MTIME
    assert frame.defect == ""


@pytest.mark.parametrize("name", ["PNG", "WEBP", "AVIF"])
def test_other_camera_formats_are_accepted(name: str, tmp_path: Path, reader: FrameReader) -> None:
    """PNG, WebP and AVIF decode like JPEG."""
    path = tmp_path / "bird"
    golden_image().save(path, name)
    frame = frame_of(reader, settled(path))
    assert frame.media_type == f"image/{name.lower()}"
    assert frame.image is not None


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int, tmp_path: Path, reader: FrameReader) -> None:
    """Whatever way the camera was held, the pixels come upright."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(jpeg(orientation=orientation))
    frame = frame_of(reader, settled(path))
    with Image.open(path) as stored:
        expected = np.asarray(stored.convert("RGB"))
    steps = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.transpose(1, 0, 2),
        6: lambda a: np.rot90(a, -1),
        7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
        8: lambda a: np.rot90(a, 1),
    }
    upright = steps[orientation](expected)
    assert frame.image is not None
    assert np.array_equal(np.asarray(frame.image), upright)
    assert (frame.height, frame.width) == upright.shape[:2]


@pytest.mark.parametrize(
    ("exif", "zone", "instant", "source"),
    [
        (
            {0x9003: "2026:05:01 08:30:00", 0x9011: "+02:00", 0x9291: "25"},
            None,
            datetime(2026, 5, 1, 6, 30, 0, 250_000, UTC),
            TimeSource.EXIF_OFFSET,
        ),
        (
            {0x9003: "2026:05:01 08:30:00"},
            "Europe/Dublin",
            datetime(2026, 5, 1, 7, 30, tzinfo=UTC),
            TimeSource.EXIF,
        ),
        (
            {0x9003: "2026:01:15 08:30:00"},
            "America/New_York",
            datetime(2026, 1, 15, 13, 30, tzinfo=UTC),
            TimeSource.EXIF,
        ),
    ],
)
def test_capture_time_comes_from_exif(
    exif: dict[int, str],
    zone: str | None,
    instant: datetime,
    source: TimeSource,
    tmp_path: Path,
    reader: FrameReader,
) -> None:
    """EXIF times become UTC, by their own offset or else by the deployment's zone."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(jpeg(exif))
    frame = frame_of(reader, settled(path, zone=zone))
    assert (frame.captured_at, frame.time_source) == (instant, source)


@pytest.mark.parametrize(
    "stamp",
    [
        "0000:00:00 00:00:00",
        "    :  :     :  :  ",
        "yesterday",
        "",
        "2026:05:01 08:30:00+99:99",
        "2026:02:30 08:30:00Z",
    ],
)
def test_a_meaningless_exif_time_falls_back_to_mtime(
    stamp: str, tmp_path: Path, reader: FrameReader
) -> None:
    """A camera whose clock was never set does not decide when a bird was seen."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(jpeg({0x9003: stamp}))
    assert frame_of(reader, settled(path)).time_source is TimeSource.MTIME


def test_a_large_jpeg_is_reduced_while_decoding(tmp_path: Path) -> None:
    """With a smallest edge asked for, decoding reduces but never below it."""
    path = tmp_path / "large.jpg"
    golden_image().resize((3200, 2400)).save(path, "JPEG")
    decoder = DecoderProcess(max_pixels=20_000_000)
    frame = frame_of(FrameReader(decoder, max_bytes=10_000_000, min_edge=448), settled(path))
    decoder.close()
    assert frame.image is not None
    assert frame.image.size == (800, 600)
    assert (frame.width, frame.height) == (3200, 2400)


def test_a_truncated_file_is_retried_then_recorded(tmp_path: Path, reader: FrameReader) -> None:
    """A picture cut short is sent back while it has attempts left, then kept as a defect."""
    path = tmp_path / "half.jpg"
    path.write_bytes(jpeg()[:4000])
    for attempt in range(MAX_ATTEMPTS - 1):
        with pytest.raises(NotReady):
            frame_of(reader, settled(path, attempt=attempt))
    frame = frame_of(reader, settled(path, attempt=MAX_ATTEMPTS - 1))
    assert frame.image is None
    assert "cut short" in frame.defect
    assert frame.sha256 == hashlib.sha256(jpeg()[:4000]).hexdigest()


def test_an_empty_file_is_recorded_as_one(tmp_path: Path, reader: FrameReader) -> None:
    """An empty file ends as a defect that says so."""
    path = tmp_path / "empty.jpg"
    path.touch()
    assert frame_of(reader, settled(path, attempt=MAX_ATTEMPTS)).defect == "the file is empty"


def test_a_file_over_the_cap_is_not_read(tmp_path: Path, reader: FrameReader) -> None:
    """A file over the byte cap is recorded without being read."""
    path = tmp_path / "film.jpg"
    with path.open("wb") as file:
        file.truncate(1_000_001)
    frame = frame_of(reader, settled(path))
    assert frame.sha256 == ""
    assert "more than the 1000000 allowed" in frame.defect


def test_a_picture_over_the_pixel_cap_is_not_decoded(tmp_path: Path, reader: FrameReader) -> None:
    """A small file that would become a huge picture is recorded from its header alone."""
    path = tmp_path / "bomb.png"
    Image.new("1", (13_370, 13_370)).save(path)
    frame = frame_of(reader, settled(path, attempt=MAX_ATTEMPTS))
    assert "13370 x 13370 pixels" in frame.defect


def test_a_file_that_changes_is_sent_back(tmp_path: Path, reader: FrameReader) -> None:
    """A file that is no longer what the inbox saw is read again later."""
    path = tmp_path / "bird.jpg"
    path.write_bytes(jpeg())
    source = settled(path)
    path.write_bytes(jpeg() + b"more")
    with pytest.raises(NotReady):
        frame_of(reader, source)


def test_links_are_not_followed(tmp_path: Path, reader: FrameReader) -> None:
    """A link in place of the file, or of a folder on the way to it, is as good as gone."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "bird.jpg").write_bytes(jpeg())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "linked").symlink_to(outside)
    (inside / "bird.jpg").symlink_to(outside / "bird.jpg")
    found = (outside / "bird.jpg").stat()
    for name in ("bird.jpg", "linked/bird.jpg"):
        source = SettledPath(
            Deployment("garden", inside), inside / name, found.st_size, found.st_mtime_ns
        )
        with pytest.raises(Vanished):
            frame_of(reader, source)


def test_a_fifo_does_not_stop_the_reader(tmp_path: Path, reader: FrameReader) -> None:
    """A FIFO that took a file's place is passed over at once."""
    path = tmp_path / "fifo.jpg"
    os.mkfifo(path)
    with pytest.raises(Vanished):
        frame_of(reader, settled(path))


def test_a_folder_in_a_files_place_is_passed_over(tmp_path: Path, reader: FrameReader) -> None:
    """A folder that took a file's place is no picture, whatever it is called."""
    path = tmp_path / "folder.jpg"
    path.mkdir()
    with pytest.raises(Vanished):
        frame_of(reader, settled(path))


def test_bytes_that_killed_two_decoders_are_given_up(tmp_path: Path) -> None:
    """The first death sends the file back; the second, under whatever name, is its defect."""
    names = []
    for name in ("slow.png", "same.png"):
        Image.new("RGB", (6000, 6000)).save(tmp_path / name)
        names.append(tmp_path / name)
    quick = tmp_path / "quick.jpg"
    quick.write_bytes(jpeg())
    decoder = DecoderProcess(max_pixels=50_000_000, timeout=0.0)
    reader = FrameReader(decoder, max_bytes=10_000_000)
    with pytest.raises(NotReady):
        frame_of(reader, settled(names[0], attempt=MAX_ATTEMPTS))
    assert frame_of(reader, settled(names[1])).defect == "decoding it takes more than 0 s"
    decoder.timeout = 30
    assert frame_of(reader, settled(quick)).image is not None
    decoder.close()


def test_every_awkward_file_ends_as_pixels_or_a_reason(photos: Path) -> None:
    """Of a hundred broken and odd files none raises, and each that has no pixels says why."""
    decoder = DecoderProcess(max_pixels=64_000_000)
    reader = FrameReader(decoder, max_bytes=50_000_000, min_edge=448)
    decoded = 0
    for path in sorted(path for path in (photos / "decoders").rglob("*") if path.is_file()):
        frame = frame_of(reader, settled(path, attempt=MAX_ATTEMPTS))
        assert (frame.image is None) == bool(frame.defect), path.name
        decoded += frame.image is not None
    decoder.close()
    assert decoded > 60
