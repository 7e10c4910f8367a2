"""Pictures by row id, made small and without metadata.

A request names a row of the log and nothing else; where its file lies, the log and the settings
say. The file is read as `picture_file` does, decoded in a process that may be killed, and encoded
anew from its pixels. A picture that cannot be shown is answered with a drawing that says so, and
the status for programs: 410 where the log knows that it was deleted, 404 where there is no such
frame, where its file is not to be found now, or where that cannot be decoded.

Small ones are kept in memory, not on disk: a card wears with each write, a board makes one in
some hundredths of a second, browsers keep theirs, and of a deleted picture nothing is left behind.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass, field

from fastapi import APIRouter, Request, Response

from feeder import picture_file
from feeder.clock import Clock
from feeder.config import Settings
from feeder.decoder_process import DecoderProcess
from feeder.errors import BadFrame, FeederError, NoSuchFrame, Vanished
from feeder.picture_log import Picture, PictureLog
from feeder.places import Places
from feeder.thumbnails import EDGE, jpeg
from feeder.web import row_id
from feeder.web.desk import Desk, TheDesk
from feeder.web.row_id import RowId

router = APIRouter()

EDGES = (EDGE, 480)
"""Pixels of a thumbnail's longer edge, of which a request gets the next that is large enough."""

LARGE = 1600
"""The same of a whole picture."""

RECIPE = 1
"""Part of each ETag: to be raised when the same picture is encoded otherwise."""

CACHE_BYTES, LARGEST_CACHED = 16_000_000, 100_000
"""Memory for pictures that were made small: some 1,500 of them, and no large one."""

BROWSER_SECONDS = 3600
"""How long a browser need not ask again. Not for ever: after a restored backup the ids of the
last frames go to others."""

REFUSED_SECONDS = 600.0
"""How long a picture is not tried again that could not be decoded."""

WAIT_SECONDS = 30.0
"""How long a request waits for the pictures before it."""

_DRAWING = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 240 180" width="240" height="180">'
    '<rect width="240" height="180" fill="#808080" fill-opacity="0.15"/>'
    '<text x="120" y="95" text-anchor="middle" font-family="sans-serif" font-size="14"'
    ' fill="#808080">{}</text></svg>'
)


class Busy(FeederError):
    """Too many pictures are asked for at once."""


@dataclass
class Darkroom:
    """Makes pictures small, one at a time, in a decoder process of its own; it keeps some.

    It may be asked from several threads at once.
    """

    settings: Settings
    clock: Clock = field(default_factory=Clock)
    decoder: DecoderProcess = field(init=False)
    _one: threading.Lock = field(default_factory=threading.Lock, init=False)
    _keeping: threading.Lock = field(default_factory=threading.Lock, init=False)
    _kept: OrderedDict[tuple[bytes, int], bytes] = field(default_factory=OrderedDict, init=False)
    _kept_bytes: int = field(default=0, init=False)
    _refused: OrderedDict[bytes, tuple[float, str]] = field(default_factory=OrderedDict, init=False)

    def __post_init__(self) -> None:
        limits = self.settings.frames
        pixels = int(limits.max_megapixels * 1e6)
        self.decoder = DecoderProcess(max_pixels=pixels, timeout=limits.decode_seconds)

    def made_small(self, picture: Picture, edge: int) -> bytes:
        """A JPEG of the picture, upright, no edge longer than `edge` pixels.

        Raises Vanished where its file is gone or another one, BadFrame where it cannot be decoded,
        Busy where too many are waiting.
        """
        places = Places.of(self.settings)
        if picture.sha256 is None:
            raise BadFrame("the file was too large to be read")
        if next(places.files(picture), None) is None:
            raise Vanished(f"the picture of frame {picture.media_id} is gone")
        key = (picture.sha256, edge)
        if (kept := self._find(key)) is not None:
            return kept
        if not self._one.acquire(timeout=WAIT_SECONDS):
            raise Busy("Too many pictures are asked for at once.", "Load the page again.")
        try:
            # Another request may have wanted the same one and been first.
            if (kept := self._find(key)) is not None:
                return kept
            small = self._make(places, picture, picture.sha256, edge)
        finally:
            self._one.release()
        self._keep(key, small)
        return small

    def _make(self, places: Places, picture: Picture, digest: bytes, edge: int) -> bytes:
        until, reason = self._refused.get(digest, (0.0, ""))
        if self.clock.monotonic() < until:
            raise BadFrame(reason)
        data = picture_file.read(places, picture)
        try:
            image = self.decoder.decode(data, min_edge=edge).image
        except BadFrame as bad:
            self._refused[digest] = (self.clock.monotonic() + REFUSED_SECONDS, str(bad))
            while len(self._refused) > 1000:
                self._refused.popitem(last=False)
            raise
        image.thumbnail((edge, edge))
        return jpeg(image)

    def _find(self, key: tuple[bytes, int]) -> bytes | None:
        with self._keeping:
            if key in self._kept:
                self._kept.move_to_end(key)
            return self._kept.get(key)

    def _keep(self, key: tuple[bytes, int], small: bytes) -> None:
        with self._keeping:
            if len(small) > LARGEST_CACHED or key in self._kept:
                return
            self._kept[key] = small
            self._kept_bytes += len(small)
            while self._kept_bytes > CACHE_BYTES:
                _, oldest = self._kept.popitem(last=False)
                self._kept_bytes -= len(oldest)


@router.get("/media/{media_id}/thumbnail.jpg")
def thumbnail_route(desk: TheDesk, request: Request, media_id: RowId, edge: int = EDGE) -> Response:
    """The frame's picture, small."""
    return thumbnail(desk, media_id, edge, request)


@router.get("/media/{media_id}/picture.jpg")
def picture_route(desk: TheDesk, request: Request, media_id: RowId) -> Response:
    """The frame's picture as a screen shows it."""
    return _answer(desk, media_id, LARGE, request)


def thumbnail(desk: Desk, media_id: int, edge: int, request: Request) -> Response:
    """A frame's picture as a JPEG, its longer edge 240 pixels, or 480 where `edge` is above 240.

    It bears a strong ETag, and where the request names that already, the answer is 304. `request`
    is any of the app's. What is answered where there is no picture, the module says.
    """
    return _answer(desk, media_id, next((one for one in EDGES if one >= edge), EDGES[-1]), request)


def _answer(desk: Desk, media_id: int, edge: int, request: Request) -> Response:
    if not 0 < media_id <= row_id.LAST:
        return _drawing("no such frame", 404)
    log = PictureLog.open(desk.settings.database, writable=False)
    try:
        (picture,) = log.get([media_id])
    except NoSuchFrame:
        return _drawing("no such frame", 404)
    finally:
        log.close()
    etag = f'"{picture.sha256.hex()[:32]}-{edge}-{RECIPE}"' if picture.sha256 else ""
    headers = {"ETag": etag, "Cache-Control": f"private, max-age={BROWSER_SECONDS}"}
    named = request.headers.get("if-none-match", "")
    if etag and etag in [tag.strip().removeprefix("W/") for tag in named.split(",")]:
        return Response(status_code=304, headers=headers)
    darkroom: Darkroom = request.app.state.darkroom
    try:
        return Response(
            darkroom.made_small(picture, edge), media_type="image/jpeg", headers=headers
        )
    except Vanished:
        if picture.gone_since is not None:
            return _drawing("deleted", 410)
        return _drawing("picture not found", 404)
    except BadFrame:
        return _drawing("cannot be shown", 404)
    except Busy as busy:
        return Response(f"{busy} {busy.hint}", 503, {"Retry-After": "5"}, "text/plain")


def _drawing(words: str, status: int) -> Response:
    """A drawing in the picture's place; it may be there again at the next look."""
    return Response(_DRAWING.format(words), status, {"Cache-Control": "no-store"}, "image/svg+xml")
