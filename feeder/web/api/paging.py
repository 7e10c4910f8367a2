"""Pages that neither repeat nor skip while the daemon adds frames.

A cursor names the last item of a page by its place in the list, so a page deep in the log costs
what the first one does. It also holds the newest frame that there was at the first page: what came
since is left to who asks anew, and visits stay as they were.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import AwareDatetime, Field, TypeAdapter, ValidationError
from pydantic_core import to_json

from feeder.clock import utc_text
from feeder.web import row_id
from feeder.web.api.asking import Chosen
from feeder.web.api.errors import Refusal

Item = TypeVar("Item")

_Number = Annotated[int, Field(strict=True, ge=0, le=row_id.LAST)]
_CURSOR: TypeAdapter[tuple[str, int, list[AwareDatetime | int]]] = TypeAdapter(
    tuple[str, _Number, Annotated[list[_Number | AwareDatetime], Field(max_length=3)]]
)
LINK = {
    "Link": {
        "description": 'the next page, rel="next", where there is one',
        "schema": {"type": "string"},
    }
}
"""For OpenAPI's `headers`."""


@dataclass(frozen=True)
class Pager:
    """The page that a request asks for. `kinds` are the types of a place in its list.

    Refuses a cursor that is none, or of another list.
    """

    request: Request
    cursor: str | None
    limit: int
    chosen: Chosen | None
    kinds: tuple[type, ...]

    def start(self, newest: int = 0) -> tuple[int, Any]:
        """The newest frame that counts, and the place after which the page begins, or None."""
        if self.cursor is None:
            return newest, None
        strange = Refusal(
            422,
            "query `cursor`: it is of no page of this list.",
            "Follow `next` as it is, or leave the cursor out to begin anew.",
        )
        try:
            padded = self.cursor + "=" * (-len(self.cursor) % 4)
            said = base64.b64decode(padded.encode("ascii"), b"-_", validate=True)
            question, newest, place = _CURSOR.validate_json(said)
        except (ValueError, binascii.Error, ValidationError):
            raise strange from None
        if question != self._question or tuple(map(type, place)) != self.kinds:
            raise strange
        if any(isinstance(one, datetime) and not 1 < one.year < 9999 for one in place):
            raise strange
        return newest, tuple(
            one.astimezone(UTC) if isinstance(one, datetime) else one for one in place
        )

    def cut(self, items: Iterable[Item]) -> tuple[list[Item], Item | None]:
        """The page's items, and the last of them where more follow."""
        found = list(islice(items, self.limit + 1))
        page = found[: self.limit]
        return page, page[-1] if len(found) > self.limit else None

    def link(self, response: Response, newest: int, place: Sequence[object] | None) -> str | None:
        """The address of the page after this place, also as the header `Link`."""
        if place is None:
            return None
        said = to_json([self._question, newest, [_written(one) for one in place]])
        cursor = base64.urlsafe_b64encode(said).decode().rstrip("=")
        given = {**dict(self.request.query_params), "cursor": cursor}
        if self.chosen is not None:  # tomorrow, `today` would be another day
            for name in ("since", "until"):
                if name in given:
                    given[name] = utc_text(getattr(self.chosen, name))
        address = f"{self.request.url.path}?{urlencode(given)}"
        response.headers["Link"] = f'<{address}>; rel="next"'
        return address

    @property
    def _question(self) -> str:
        """Which list it is: its address and parameters, whatever the page."""
        given = dict(self.request.query_params)
        for name in ("cursor", "limit", "since", "until"):
            given.pop(name, None)
        period = self.chosen and (self.chosen.since, self.chosen.until)
        said = repr((self.request.url.path, sorted(given.items()), period))
        return hashlib.sha256(said.encode()).hexdigest()[:12]


def _written(one: object) -> object:
    return utc_text(one) if isinstance(one, datetime) else one
