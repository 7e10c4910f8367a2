"""Pictures by row id, made small and without metadata."""

import io

from fastapi import APIRouter, Request, Response

from feeder.places import where
from feeder.thumbnails import reduced
from feeder.web.desk import Desk

router = APIRouter()


def thumbnail(desk: Desk, media_id: int, edge: int, request: Request) -> Response:
    """The frame's picture as a JPEG within `edge` pixels; 404 where it is gone."""
    path = where(desk.settings, [media_id])[media_id]
    image = reduced(path, edge) if path else None
    if image is None:
        return Response(status_code=404)
    image.info = {}
    small = io.BytesIO()
    image.save(small, "JPEG", quality=80)
    return Response(small.getvalue(), media_type="image/jpeg")
