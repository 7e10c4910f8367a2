"""The style sheets and scripts, under addresses that change with them."""

import hashlib
import os
from functools import cache
from importlib.resources import files
from pathlib import Path
from urllib.parse import parse_qs

from fastapi import Response
from fastapi.staticfiles import StaticFiles as _StaticFiles
from starlette.types import Scope

STATIC = Path(str(files("feeder.web").joinpath("static")))

_FOR_EVER = "public, max-age=31536000, immutable"
_ASK_AGAIN = "no-cache"


@cache
def static_url(name: str) -> str:
    """The address of a file, with a version by which browsers may keep it for ever."""
    return f"/static/{name}?v={_version(name)}"


@cache
def _version(name: str) -> str:
    return hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:12]


class StaticFiles(_StaticFiles):
    """Says how long a file may be kept; without its version, browsers ask again by its ETag."""

    def file_response(
        self,
        full_path: str | os.PathLike[str],
        stat_result: os.stat_result,
        scope: Scope,
        status_code: int = 200,
    ) -> Response:
        """The file, or that it has not changed."""
        response = super().file_response(full_path, stat_result, scope, status_code)
        asked = parse_qs(scope["query_string"].decode("latin-1")).get("v")
        is_this = asked == [_version(os.path.relpath(full_path, STATIC))]
        response.headers["Cache-Control"] = _FOR_EVER if is_this else _ASK_AGAIN
        return response
